package esadapt

import (
	"math"
	"slices"
)

// EqualityTolerance is the size below which the value of an equality constraint counts as feasible.
const EqualityTolerance = 1e-8

// lagrangian handles constraints g(x) <= 0 (and g = 0) by an adaptive augmented Lagrangian; Atamna, Auger, Hansen: "Linearly convergent
// evolution strategies via augmented Lagrangian constraint handling" (FOGA 2017), eqs. 5-10, with a rule of its own for the penalty weights (learn) and constraints that are
// moved inward a little (shiftInward). Multipliers follow the recombined constraint values of the better half, which for linear constraints are the values at the
// new mean, so that no evaluation is spent on it.
type lagrangian struct {
	n         int
	equality  []bool
	lambda    []float64 // multipliers
	weight    []float64 // penalty weights mu; 0 means not yet set
	g         []float64 // values of the constraints at the last mean
	known     bool
	settled   []bool
	valued    []int // candidates of the generation whose evaluation did not fail
	order     []ranked
	mean      []float64
	inward    []float64 // the same in units of each constraint
	depth     float64   // standard deviations that constraints are moved inward by
	moved     []float64 // scratch
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
	for _, p := range []*[]float64{&l.lambda, &l.weight, &l.g, &l.mean, &l.inward, &l.moved} {
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
	l.valued = l.valued[:0]
	for k := range s.fitness {
		if !math.IsNaN(s.constraintsOf(k)[0]) {
			l.valued = append(l.valued, k)
		}
	}
	if len(l.valued) == 0 {
		return
	}
	l.initialise(s)
	l.shiftInward(s)
	l.order = l.order[:0]
	for k := range s.fitness {
		if !math.IsInf(s.fitness[k], 1) {
			s.fitness[k] += l.penalties(l.shifted(s.constraintsOf(k)))
			if math.IsNaN(s.fitness[k]) { // an infinite constraint value
				s.fitness[k] = math.Inf(1)
			}
		}
		l.order = append(l.order, ranked{s.fitness[k], k})
	}
	slices.SortFunc(l.order, byValue)
	l.recombine(s)
	if finite(l.mean...) {
		l.learn()
	}
}

// The share of feasible samples that shiftInward works towards, and how fast.
const (
	feasibleShare = 0.1
	inwardRate    = 0.1
	mostInward    = 2 // standard deviations
)

// shiftInward sets inward to a number of standard deviations of each inequality in this generation, the number that keeps a share of the samples feasible. Constraints
// are handled as if they were that much tighter; around the constrained optimum, where m of them are active, only one sample in 2^m would be feasible otherwise. The
// shift vanishes with the step size.
func (l *lagrangian) shiftInward(s *Search) {
	feasible, n := 0, float64(len(l.valued))
	for _, k := range l.valued {
		if l.keepsInequalities(s.constraintsOf(k)) {
			feasible++
		}
	}
	l.depth = max(0, min(mostInward, l.depth+inwardRate*(feasibleShare-float64(feasible)/n)))
	for i := range l.inward {
		l.inward[i] = 0
		if l.equality[i] || l.weight[i] == 0 {
			continue
		}
		var sum, sum2 float64
		for _, k := range l.valued {
			sum += s.constraintsOf(k)[i]
		}
		for _, k := range l.valued {
			d := s.constraintsOf(k)[i] - sum/n
			sum2 += d * d
		}
		if v := l.depth * math.Sqrt(sum2/n); finite(v) {
			l.inward[i] = v
		}
	}
}

func (l *lagrangian) keepsInequalities(g []float64) bool {
	for i, v := range g {
		if v > 0 && !l.equality[i] {
			return false
		}
	}
	return true
}

// shifted returns g moved inward, in scratch.
func (l *lagrangian) shifted(g []float64) []float64 {
	for i, v := range g {
		l.moved[i] = v + l.inward[i]
	}
	return l.moved
}

// recombine sets mean to the weighted constraint values of the better half.
func (l *lagrangian) recombine(s *Search) {
	if len(l.weights) != len(l.order) {
		l.weights, l.parents, _, _ = rawWeights(len(l.order))
	}
	clear(l.mean)
	for r := range l.parents {
		k := l.order[r].i
		for i, g := range l.shifted(s.constraintsOf(k)) {
			l.mean[i] += l.weights[r] * g
		}
	}
}

// initialise sets the coefficients of constraints that have begun to matter, from the spreads of f and g in this generation.
func (l *lagrangian) initialise(s *Search) {
	l.count++
	df := l.spread(func(k int) float64 { return s.fitness[k] })
	n := float64(l.n)
	for i := range l.weight {
		if l.settled[i] {
			continue
		}
		positive := 0
		for _, k := range l.valued {
			if s.constraintsOf(k)[i] > 0 {
				positive++
			}
		}
		share := float64(positive) / float64(len(l.valued))
		if share <= 0.1 && !l.equality[i] {
			continue
		}
		dg := l.spread(func(k int) float64 { return s.constraintsOf(k)[i] })
		dg2 := l.spread(func(k int) float64 { g := s.constraintsOf(k)[i]; return g * g })
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

// spread is the interquartile range of a value of the candidates.
func (l *lagrangian) spread(value func(k int) float64) float64 {
	l.quantiles = l.quantiles[:0]
	for _, k := range l.valued {
		l.quantiles = append(l.quantiles, value(k))
	}
	slices.Sort(l.quantiles)
	q := func(p float64) float64 {
		last := len(l.quantiles) - 1
		at := p * float64(last)
		lo := int(at)
		hi := min(lo+1, last)
		return l.quantiles[lo] + (at-float64(lo))*(l.quantiles[hi]-l.quantiles[lo])
	}
	return q(0.75) - q(0.25)
}

// learn moves multipliers and penalty weights by the values at the new mean. A value that keeps its sign says that the multiplier lags behind, which a larger
// weight cures; one that changes sign often, that the weight makes the penalised function needlessly stiff. At rest it changes in two of five generations.
func (l *lagrangian) learn() {
	damping := 4 + float64(l.n)/2
	step := math.Pow(2, 0.5/math.Sqrt(float64(l.n)))
	for i, g := range l.mean {
		if !l.known || l.weight[i] == 0 {
			continue
		}
		l.lambda[i] += l.weight[i] * g / damping
		if !l.equality[i] && l.lambda[i] < 0 {
			l.lambda[i] = 0
			continue
		}
		if !l.equality[i] && l.weight[i]*g < -l.lambda[i] {
			continue
		}
		if (g > 0) == (l.g[i] > 0) {
			l.weight[i] *= step
		} else {
			l.weight[i] /= math.Pow(step, 1.5)
		}
	}
	copy(l.g, l.mean)
	l.known = true
}

func (l *lagrangian) archive(a *archive) {
	a.fixed(l.lambda)
	a.fixed(l.weight)
	a.fixed(l.g)
	a.float(&l.depth)
	a.bool(&l.known)
	for i := range l.settled {
		a.bool(&l.settled[i])
	}
	a.int(&l.count)
}
