package mixture

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// planeHalvings is how often the Newton step in a plane is halved at most.
	planeHalvings = 6
	// planeFlat is the smallest curvature that counts, relative to that along the two directions.
	planeFlat = 1e-7
	// planeSlack is the difference of mean log-likelihoods, relative to 1 and their size, below which slopes tell which point is better.
	planeSlack = 1e-13
	// planeRenewed is the number of steps after which the forms are computed anew.
	planeRenewed = 16
)

// planeSearch makes steps to the largest likelihood in the plane of the step of EM and the last step (Narkiss and Zibulevsky, Technion CCIT 559 (2005), with the
// step of EM for the gradient, as in Jamshidian and Jennrich, JASA 88 (1993)). In inverse lifted matrices and logarithms of shares, the forms y'Py change in
// proportion along a direction, so that the search needs no pass over the samples, and a step as many as that of EM.
type planeSearch struct {
	*Mixture
	planes   []planeInverse
	em, last direction
	steps    int
	used     stage                   // precision of what is known
	coarse   bool                    // which does not tell the size of the components at the step of EM
	points   []dense.Matrix[float64] // all E where the step begins
	trial    dense.Matrix[float64]   // responsibilities at the point under trial
	changes  []dense.Matrix[float64] // of moments
	low      bool                    // changes are computed in the next lower precision
	drift    float64                 // sum of squares of those of the responsibilities that moments and forms have followed so
	point    [2]float64              // under trial
	share    []float64               // there
	weighted []float64               // of the samples, scratch

	trying, deriving              *sharing // weighBlock, deriveBlock
	factoring, targeting, shaping dense.Parallel
}

// direction is a change of all E, of logarithms of shares and of forms. It is zero where there has been no last step.
type direction struct {
	w     []dense.Matrix[float64]
	share []float64
	forms dense.Matrix[float64] // components x samples
	base  float64
}

func (d *direction) clear() {
	for _, w := range d.w {
		w.Zero()
	}
	clear(d.share)
	d.forms.Zero()
	d.base = 0
}

func newPlaneSearch(g *Mixture) *planeSearch {
	N, d, k := g.y.Rows, g.y.Cols, len(g.parts)
	s := &planeSearch{Mixture: g, used: unknown, trial: dense.New[float64](k, N), weighted: make([]float64, N), share: make([]float64, k), points: make([]dense.Matrix[float64], k), changes: make([]dense.Matrix[float64], k)}
	along := func() direction { return direction{share: make([]float64, k), forms: dense.New[float64](k, N)} }
	s.em, s.last = along(), along()
	for range k {
		s.planes = append(s.planes, newPlaneInverse(d))
	}
	s.trying, s.deriving = newSharing(N, s.weighBlock), newSharing(N, s.deriveBlock)
	s.factoring.Task = dense.PartFunc(func(c int) { s.planes[c].try(s.point) })
	s.targeting.Task, s.shaping.Task = dense.PartFunc(s.targetPart), dense.PartFunc(func(c int) { s.planes[c].aim() })
	for c := range s.planes {
		s.em.w, s.last.w = append(s.em.w, s.planes[c].em), append(s.last.w, s.planes[c].last)
	}
	return s
}

// planePoint is a point of the plane, with what is known of the likelihood there.
type planePoint struct {
	t, gradient [2]float64
	value       float64
	hessian     [3]float64 // 00, 01, 11
}

// step moves the mixture, whose responsibilities and R are those of its point, and returns the log-likelihood there.
func (s *planeSearch) step(status *solve.Status) (float64, error) {
	if s.precision() != s.used {
		s.expect()
	}
	if err := s.aim(); err != nil {
		return 0, err
	}
	status.Evaluations++
	p := s.search()
	if err := s.move(&p); err != nil {
		return 0, err
	}
	if s.steps++; s.steps%planeRenewed == 0 || s.used == exact {
		return s.expect(), nil
	}
	if s.advance(); !s.accurate(renewalShare, s.drift) {
		return s.expect(), nil
	}
	return p.value, nil
}

// aim sets the direction of EM, and all that the search needs at its step.
func (s *planeSearch) aim() error {
	for c := range s.planes {
		if err := s.planes[c].err; err != nil {
			return err
		}
		s.em.share[c] = math.Log(s.counts[c] / s.parts[c].share)
	}
	s.em.base = s.alongEM()
	return nil
}

// search returns the best point of the plane that it finds, which is the one under trial: that after a Newton step from the step of EM, or a shorter one.
func (s *planeSearch) search() planePoint {
	em := s.evaluate([2]float64{1, 0})
	s.differentiate(&em)
	step, gain := em.newton()
	if p, ok := s.climb(&em, step, gain); ok {
		return p
	}
	s.try(em.t)
	return s.evaluate(em.t)
}

// climb tries a step, and shorter ones, from a point. gain is the slope along it.
func (s *planeSearch) climb(from *planePoint, step [2]float64, gain float64) (planePoint, bool) {
	slack := planeSlack * (1 + math.Abs(from.value))
	for range planeHalvings {
		t := [2]float64{from.t[0] + step[0], from.t[1] + step[1]}
		if s.try(t) {
			next := s.evaluate(t)
			rise := next.value - from.value
			if rise > slack || rise >= -slack && math.Abs(s.slope(&next, step)) < gain {
				return next, true
			}
		}
		step, gain = [2]float64{step[0] / 2, step[1] / 2}, gain/2
	}
	return planePoint{}, false
}

// try makes a point of the plane the one under trial, where its matrices are positive definite.
func (s *planeSearch) try(t [2]float64) bool {
	s.point = t
	s.factoring.Run(len(s.planes))
	for c := range s.planes {
		if !s.planes[c].definite {
			return false
		}
	}
	return true
}

// slope returns the slope of the value along a step from the point under trial.
func (s *planeSearch) slope(p *planePoint, step [2]float64) float64 {
	for c := range s.planes {
		s.planes[c].incline()
	}
	s.differentiate(p)
	return p.gradient[0]*step[0] + p.gradient[1]*step[1]
}

// setShares sets the shares at a point of the plane and returns the logarithm of their sum before they are divided by it.
func (s *planeSearch) setShares(t [2]float64) float64 {
	var total float64
	for c, p := range s.parts {
		s.share[c] = p.share * math.Exp(t[0]*s.em.share[c]+t[1]*s.last.share[c])
		total += s.share[c]
	}
	dense.Scale(1/total, s.share, s.share)
	return math.Log(total)
}

// evaluate returns the value at the point under trial, and sets responsibilities and shares there.
func (s *planeSearch) evaluate(t [2]float64) planePoint {
	s.point = t
	value := -s.setShares(t) - (s.base+t[0]*s.em.base+t[1]*s.last.base)/2
	for c := range s.parts {
		s.scales[c] = s.scale(s.parts[c].share, s.planes[c].logDet) + t[0]*s.em.share[c] + t[1]*s.last.share[c]
	}
	return planePoint{t: t, value: value + s.trying.run().value/float64(s.y.Rows)}
}

// differentiate sets gradient and Hessian, in which the curvature of determinants is that at the step of EM.
func (s *planeSearch) differentiate(p *planePoint) {
	sums := s.deriving.run()
	p.gradient, p.hessian = sums.gradient, sums.hessian
	g, h, N := &p.gradient, &p.hessian, float64(s.y.Rows)
	dense.Scale(1/N, g[:], g[:])
	g[0], g[1] = g[0]-s.em.base/2, g[1]-s.last.base/2
	dense.Scale(1/N, h[:], h[:])
	s.subtractShares(p)
}

// subtractShares takes the logarithm of the sum of shares from the derivatives.
func (s *planeSearch) subtractShares(p *planePoint) {
	g, h := &p.gradient, &p.hessian
	em, last := dense.Dot(s.share, s.em.share), dense.Dot(s.share, s.last.share)
	g[0], g[1] = g[0]-em, g[1]-last
	for c, w := range s.share {
		u, v := s.em.share[c]-em, s.last.share[c]-last
		h[0], h[1], h[2] = h[0]-w*u*u, h[1]-w*u*v, h[2]-w*v*v
	}
}

// newton returns the Newton step for the Hessian with its eigenvalues made negative, and the slope along it. Units are those in which the curvature along both directions is 1.
func (p *planePoint) newton() (step [2]float64, gain float64) {
	h := p.hessian
	a, b := math.Sqrt(math.Abs(h[0])), math.Sqrt(math.Abs(h[2]))
	if !(a > 0) {
		return step, 0
	}
	if !(b > 0) {
		step[0] = p.gradient[0] / (a * a)
		return step, p.gradient[0] * step[0]
	}
	half, off := (h[0]/(a*a)-h[2]/(b*b))/2, h[1]/(a*b)
	middle, radius := (h[0]/(a*a)+h[2]/(b*b))/2, math.Hypot(half, off)
	sin, cos := math.Sincos(math.Atan2(off, half) / 2)
	x, y := p.gradient[0]/a, p.gradient[1]/b
	u := (cos*x + sin*y) / max(math.Abs(middle+radius), planeFlat)
	v := (cos*y - sin*x) / max(math.Abs(middle-radius), planeFlat)
	step = [2]float64{(cos*u - sin*v) / a, (sin*u + cos*v) / b}
	return step, p.gradient[0]*step[0] + p.gradient[1]*step[1]
}

// move makes the point under trial that of the mixture, or where a component would collapse there, the step of EM.
func (s *planeSearch) move(p *planePoint) error {
	err := s.admit()
	if em := [2]float64{1, 0}; err != nil && p.t != em && s.try(em) {
		*p = s.evaluate(em)
		err = s.admit()
	}
	if err != nil {
		return err
	}
	for c := range s.parts {
		if s.used == exact {
			if err := s.reframe(c, p.t); err != nil {
				return err
			}
		} else {
			s.planes[c].move(p.t)
		}
		s.parts[c].share = s.share[c]
		s.last.share[c] = p.t[0]*s.em.share[c] + p.t[1]*s.last.share[c]
		dense.Blend(p.t[0], s.em.forms.Row(c), p.t[1], s.last.forms.Row(c), s.last.forms.Row(c))
		dense.Axpy(1, s.last.forms.Row(c), s.Mixture.forms.Row(c))
	}
	s.coarse = false
	s.last.base = p.t[0]*s.em.base + p.t[1]*s.last.base
	s.base += s.last.base
	s.resp, s.trial = s.trial, s.resp
	return nil
}

// admit tells whether the components have samples and volume at the point under trial.
func (s *planeSearch) admit() error {
	for c := range s.planes {
		if err := s.enough(c, s.share[c]); err != nil {
			return err
		}
		least := s.planes[c].reach
		if s.used == exact {
			var err error
			if least, err = s.smallest(c); err != nil {
				return err
			}
		}
		if err := s.volume(c, least); err != nil {
			return err
		}
	}
	return nil
}
