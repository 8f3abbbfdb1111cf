package esadapt

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// margin keeps the probability of every integer variable to leave its present value above 1/(n lambda), by moving the mean and by a factor A_i on
// the deviation; Hamano, Saito, Nomura, Shirakawa: "CMA-ES with margin" (GECCO 2022), section 4. The factors live in the coordinate map (stretch), so
// that any strategy with a distribution and a movable mean can use it.
type margin struct {
	space *space
	coord []int // coordinates of the integer variables
	sd    []float64
	mean  []float64
	quiet []bool // coordinates that hardly ever leave their integer
}

// muter is implemented by strategies whose step size can be told not to listen to some coordinates: integers that hardly change make its path noise.
type muter interface{ mute(quiet []bool) }

// quietBelow is the probability to change below which a coordinate is muted.
const quietBelow = 0.3

func newMargin(sp *space) *margin {
	m := &margin{space: sp, sd: make([]float64, sp.m), mean: make([]float64, sp.m), quiet: make([]bool, sp.m)}
	for j, i := range sp.free {
		if sp.integer[i] {
			m.coord = append(m.coord, j)
		}
	}
	return m
}

// update corrects mean and factors after an update of the distribution.
func (m *margin) update(s *Search) {
	d, ok := s.strat.(Distribution)
	mover, ok2 := s.strat.(Mover)
	if !ok || !ok2 {
		return
	}
	d.Deviations(m.sd)
	copy(m.mean, d.Mean())
	alpha := 1 / (float64(m.space.m) * float64(s.run.lambda))
	for _, j := range m.coord {
		m.correct(s, j, alpha)
	}
	mover.SetMean(m.mean)
	if q, ok := s.strat.(muter); ok {
		q.mute(m.quiet)
	}
}

var standardNormal = distuv.Normal{Mu: 0, Sigma: 1}

// correct treats one coordinate: mean v and deviation sd of the latent variable against the thresholds around the present integer.
func (m *margin) correct(s *Search, j int, alpha float64) {
	i := m.space.free[j]
	unit := m.space.scale[i]
	v := m.mean[j] * unit * s.stretch[j]
	sd := m.sd[j] * unit * s.stretch[j]
	lo, hi := m.space.lower[i], m.space.upper[i] // half-integers
	v = max(lo+1e-12, min(hi-1e-12, v))
	low, up := math.Floor(v+0.5)-0.5, math.Floor(v+0.5)+0.5
	pLow, pUp := standardNormal.CDF((low-v)/sd), standardNormal.CDF((v-up)/sd)
	leave := 0.0
	if low > lo {
		leave += pLow
	}
	if up < hi {
		leave += pUp
	}
	m.quiet[j] = leave < quietBelow
	switch {
	case low <= lo && up >= hi: // a single value
	case low <= lo:
		if pUp < alpha {
			v = up - sd*standardNormal.Quantile(1-alpha)
		}
	case up >= hi:
		if pLow < alpha {
			v = low + sd*standardNormal.Quantile(1-alpha)
		}
	default:
		v, sd = m.both(v, sd, low, up, pLow, pUp, alpha)
	}
	if old := m.sd[j] * unit * s.stretch[j]; sd != old {
		if factor := s.stretch[j] * (sd / old); factor < outOfRange {
			s.stretch[j] = factor
		}
	}
	if u := v / (unit * s.stretch[j]); finite(u) {
		m.mean[j] = u
	}
}

// both raises both tails to at least alpha/2, renormalises the three probabilities, and solves for mean and deviation.
func (m *margin) both(v, sd, low, up, pLow, pUp, alpha float64) (float64, float64) {
	if pLow >= alpha/2 && pUp >= alpha/2 {
		return v, sd
	}
	middle := 1 - pLow - pUp
	a, b := max(alpha/2, pLow), max(alpha/2, pUp)
	total := a + b + middle
	correction := (1 - total) / (total - 3*alpha/2)
	a += correction * (a - alpha/2)
	b += correction * (b - alpha/2)
	qa, qb := standardNormal.Quantile(1-min(a, 0.5-1e-9)), standardNormal.Quantile(1-min(b, 0.5-1e-9))
	if a >= 0.5 {
		qa = -standardNormal.Quantile(a)
	}
	if b >= 0.5 {
		qb = -standardNormal.Quantile(b)
	}
	if !(qa+qb > 0) {
		return v, sd
	}
	sd = (up - low) / (qa + qb)
	return low + sd*qa, sd
}
