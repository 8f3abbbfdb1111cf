package esadapt

import (
	"math"
	"slices"
)

// EqualityTolerance is the size below which the value of an equality constraint counts as feasible.
const EqualityTolerance = 1e-8

// lagrangian handles constraints g(x) <= 0 (and g = 0) by an adaptive augmented Lagrangian; Atamna, Auger, Hansen: "Linearly convergent
// evolution strategies via augmented Lagrangian constraint handling" (FOGA 2017), eqs. 5-10. Multipliers follow the recombined constraint values of
// the better half, which for linear constraints are the values at the new mean, so that no evaluation is spent on it.
type lagrangian struct {
	n         int
	equality  []bool
	lambda    []float64 // multipliers
	weight    []float64 // penalty weights mu; 0 means not yet set
	g         []float64 // values of the constraints at the last mean
	f         float64
	known     bool
	settled   []bool
	total     []float64 // scratch: fitness before the penalties
	order     []ranked
	mean      []float64
	quantiles []float64
	weights   []float64 // recombination weights
	parents   int
	count     int
}

func newLagrangian(n, constraints int, equalities []int) *lagrangian {
	l := &lagrangian{n: n, equality: make([]bool, constraints), settled: make([]bool, constraints)}
	for _, i := range equalities {
		l.equality[i] = true
	}
	for _, p := range []*[]float64{&l.lambda, &l.weight, &l.g, &l.mean} {
		*p = make([]float64, constraints)
	}
	return l
}

// violation is the sum of what each constraint lacks.
func (l *lagrangian) violation(g []float64) float64 {
	var s float64
	for i, v := range g {
		if l.equality[i] {
			if v = math.Abs(v); v <= EqualityTolerance {
				v = 0
			}
		}
		s += max(0, v)
	}
	return s
}

// penalty is lambda g + mu g^2/2, or its minimum where an inequality is inactive.
func (l *lagrangian) penalty(i int, g float64) float64 {
	mu := l.weight[i]
	if mu == 0 {
		return 0
	}
	if !l.equality[i] && mu*g < -l.lambda[i] {
		return -l.lambda[i] * l.lambda[i] / (2 * mu)
	}
	return l.lambda[i]*g + mu*g*g/2
}

func (l *lagrangian) penalties(g []float64) float64 {
	var s float64
	for i, v := range g {
		s += l.penalty(i, v)
	}
	return s
}

// assess adds the penalties to the fitness and moves the multipliers.
func (l *lagrangian) assess(s *Search) {
	l.initialise(s)
	l.total = append(l.total[:0], s.fitness...)
	l.order = l.order[:0]
	for k := range s.fitness {
		if !math.IsInf(s.fitness[k], 1) {
			s.fitness[k] += l.penalties(s.constraintsOf(k))
		}
		l.order = append(l.order, ranked{s.fitness[k], k})
	}
	slices.SortFunc(l.order, byValue)
	f := l.recombine(s)
	if finite(f) {
		l.learn(f)
	}
}

// recombine sets mean to the weighted constraint values of the better half and returns the weighted value of f.
func (l *lagrangian) recombine(s *Search) float64 {
	if len(l.weights) != len(l.order) {
		l.weights, l.parents, _, _ = rawWeights(len(l.order))
	}
	clear(l.mean)
	f := 0.0
	for r := range l.parents {
		k := l.order[r].i
		f += l.weights[r] * l.total[k]
		for i, g := range s.constraintsOf(k) {
			l.mean[i] += l.weights[r] * g
		}
	}
	return f
}

// initialise sets the coefficients of constraints that have begun to matter, from the spreads of f and g in this generation.
func (l *lagrangian) initialise(s *Search) {
	l.count++
	df := l.spread(len(s.fitness), func(k int) float64 { return s.fitness[k] })
	n := float64(l.n)
	for i := range l.weight {
		if l.settled[i] {
			continue
		}
		positive := 0
		for k := range s.fitness {
			if s.constraintsOf(k)[i] > 0 {
				positive++
			}
		}
		share := float64(positive) / float64(len(s.fitness))
		if share <= 0.1 && !l.equality[i] {
			continue
		}
		dg := l.spread(len(s.fitness), func(k int) float64 { return s.constraintsOf(k)[i] })
		dg2 := l.spread(len(s.fitness), func(k int) float64 { g := s.constraintsOf(k)[i]; return g * g })
		if !finite(df, dg) || dg == 0 {
			continue
		}
		if !l.equality[i] {
			l.lambda[i] = df / (n*dg + 1e-11*(df+1))
		}
		l.weight[i] = 2.0 / 5 * df / n / (dg + 1e-6*dg2 + 1e-11*(df+1))
		l.settled[i] = share < 0.9 || l.count > l.n+2
	}
}

// spread is the interquartile range of k values.
func (l *lagrangian) spread(k int, value func(int) float64) float64 {
	l.quantiles = l.quantiles[:0]
	for i := range k {
		l.quantiles = append(l.quantiles, value(i))
	}
	slices.Sort(l.quantiles)
	q := func(p float64) float64 {
		at := p * float64(k-1)
		lo := int(at)
		hi := min(lo+1, k-1)
		return l.quantiles[lo] + (at-float64(lo))*(l.quantiles[hi]-l.quantiles[lo])
	}
	return q(0.75) - q(0.25)
}

// learn moves multipliers and penalty weights by the values at the new mean.
func (l *lagrangian) learn(f float64) {
	if l.known {
		chi := math.Pow(2, 1/math.Sqrt(float64(l.n)))
		dh := f + l.penalties(l.mean) - l.f - l.penalties(l.g)
		for i, g := range l.mean {
			if l.weight[i] == 0 {
				continue
			}
			l.lambda[i] += l.weight[i] * g / 5
			if !l.equality[i] && l.lambda[i] < 0 {
				l.lambda[i] = 0
				continue
			}
			if !l.equality[i] && l.weight[i]*g < -l.lambda[i] {
				continue
			}
			if l.weight[i]*g*g < 10*math.Abs(dh)/float64(l.n) || 5*math.Abs(g-l.g[i]) < math.Abs(l.g[i]) {
				l.weight[i] *= math.Pow(chi, 0.25)
			} else {
				l.weight[i] /= chi
			}
		}
	}
	copy(l.g, l.mean)
	l.f, l.known = f, true
}

func (l *lagrangian) archive(a *archive) {
	a.fixed(l.lambda)
	a.fixed(l.weight)
	a.fixed(l.g)
	a.float(&l.f)
	a.bool(&l.known)
	for i := range l.settled {
		a.bool(&l.settled[i])
	}
	a.int(&l.count)
}
