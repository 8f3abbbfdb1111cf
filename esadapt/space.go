package esadapt

import (
	"math"
	"math/rand/v2"
	"slices"
)

// space maps the strategy's coordinates u in R^m to the caller's variables x in R^n and back: fixed variables are put in, u is scaled, bounds are
// kept by a transformation, integers are rounded. The scaled coordinate before bounds and rounding is called latent.
type space struct {
	n, m              int
	free              []int // variable of each coordinate
	x0                []float64
	scale             []float64 // per variable
	lower, upper      []float64 // per variable, infinite where there is none
	margin            []float64 // widths of the quadratic parts at the lower and the upper bound
	marginUp          []float64
	integer           []bool
	transform         bool
	startLow, startUp []float64
	sigma0            float64
}

func newSpace(o *Options) *space {
	n := o.dim()
	s := &space{n: n, transform: o.Bounds == BoundTransform}
	s.lower, s.upper = orAll(o.Lower, n, math.Inf(-1)), orAll(o.Upper, n, math.Inf(1))
	s.integer = make([]bool, n)
	for _, i := range o.Integers {
		s.integer[i] = true
		s.lower[i], s.upper[i] = math.Ceil(s.lower[i])-0.5, math.Floor(s.upper[i])+0.5
	}
	for i := range n {
		if !slices.Contains(o.Fixed, i) {
			s.free = append(s.free, i)
		}
	}
	s.m = len(s.free)
	s.scaleFor(o)
	s.startFor(o)
	s.margin, s.marginUp = make([]float64, n), make([]float64, n)
	for i := range n {
		half := (s.upper[i] - s.lower[i]) / 2
		s.margin[i], s.marginUp[i] = min(half, edge(s.lower[i])), min(half, edge(s.upper[i]))
	}
	return s
}

// edge is the width of the quadratic part at a bound: as much as the numbers beyond a finite one have room for.
func edge(bound float64) float64 {
	width := (1 + math.Abs(bound)) / 20
	if math.IsInf(bound, 0) {
		return width
	}
	return min(width, math.MaxFloat64-math.Abs(bound))
}

func orAll(v []float64, n int, none float64) []float64 {
	if v != nil {
		return slices.Clone(v)
	}
	return slices.Repeat([]float64{none}, n)
}

func (s *space) scaleFor(o *Options) {
	boxed := true
	for _, i := range s.free {
		boxed = boxed && finite(s.lower[i], s.upper[i])
	}
	s.sigma0 = o.Sigma0
	switch {
	case o.Scale != nil:
		s.scale = slices.Clone(o.Scale)
	case o.Sigma0 == 0 && boxed:
		s.scale, s.sigma0 = make([]float64, s.n), 0.3
		for i := range s.scale {
			s.scale[i] = s.upper[i] - s.lower[i]
			if !finite(s.scale[i]) {
				s.scale[i] = 1
			}
		}
	default:
		s.scale = slices.Repeat([]float64{1}, s.n)
	}
	if s.sigma0 == 0 {
		s.sigma0 = 1
	}
}

func (s *space) startFor(o *Options) {
	s.x0 = slices.Clone(o.X0)
	s.startLow, s.startUp = slices.Clone(o.StartLower), slices.Clone(o.StartUpper)
	if s.startLow != nil {
		return
	}
	s.startLow, s.startUp = make([]float64, s.n), make([]float64, s.n)
	for i := range s.n {
		lo, hi := s.lower[i], s.upper[i]
		if finite(lo, hi) {
			s.startLow[i], s.startUp[i] = between(lo, hi, 0.1), between(hi, lo, 0.1)
			continue
		}
		c := 0.0
		if s.x0 != nil {
			c = s.x0[i]
		}
		r := 2 * s.sigma0 * s.scale[i]
		s.startLow[i], s.startUp[i] = max(atMost(c-r), lo), min(atMost(c+r), hi)
		if s.startLow[i] > s.startUp[i] {
			s.startLow[i], s.startUp[i] = max(lo, atMost(hi-r)), min(hi, atMost(lo+r))
		}
	}
}

// between is a + share (b - a), also where b - a overflows.
func between(a, b, share float64) float64 {
	if width := b - a; !math.IsInf(width, 0) {
		return a + width*share
	}
	return a*(1-share) + b*share
}

// start sets u to a start: X0 the first time if there is one, otherwise a random point of the start region.
func (s *space) start(u []float64, first bool, r *rand.Rand) {
	for j, i := range s.free {
		v := between(s.startLow[i], s.startUp[i], r.Float64())
		if first && s.x0 != nil {
			v = s.x0[i]
		}
		u[j] = s.latent(i, v) / s.scale[i]
	}
}

// region returns what the start region spans, a quarter wider, around the point u.
func (s *space) region(u []float64) (lower, upper []float64) {
	for j, i := range s.free {
		a, b := s.startLow[i], s.startUp[i]
		wide := (b - a) / 8
		a, b = max(a-wide, s.lower[i]), min(b+wide, s.upper[i])
		lower = append(lower, min(s.latent(i, a)/s.scale[i], u[j]))
		upper = append(upper, max(s.latent(i, b)/s.scale[i], u[j]))
	}
	return lower, upper
}

// closed says whether no value of an integer variable lies between those of two values a and b of coordinate j.
func (s *space) closed(j int, a, b float64) bool {
	i := s.free[j]
	return s.integer[i] && math.Abs(s.variable(i, a*s.scale[i])-s.variable(i, b*s.scale[i])) <= 1
}

// latent is the inverse of bounded for variable i: some real number that is mapped to v.
func (s *space) latent(i int, v float64) float64 {
	if !s.transform {
		return v
	}
	lo, hi, al, au := s.lower[i], s.upper[i], s.margin[i], s.marginUp[i]
	switch {
	case v < lo+al:
		return lo - al + 2*geometricMean(al, max(0, v-lo))
	case v > hi-au:
		return hi + au - 2*geometricMean(au, max(0, hi-v))
	}
	return v
}

// geometricMean is sqrt(a b), also where a b overflows.
func geometricMean(a, b float64) float64 {
	if p := a * b; !math.IsInf(p, 0) {
		return math.Sqrt(p)
	}
	return math.Sqrt(a) * math.Sqrt(b)
}

// parabola is d^2/(4 a), also where d^2 overflows.
func parabola(d, a float64) float64 {
	if s := d * d; !math.IsInf(s, 0) {
		return s / (4 * a)
	}
	return d * (d / (4 * a))
}

// bounded maps the latent value v of variable i into its interval: the identity on [lo + al, hi - au], a parabola touching each bound at
// distance al (au) outside of it, reflected periodically beyond. Without the transformation it projects.
func (s *space) bounded(i int, v float64) float64 {
	lo, hi := s.lower[i], s.upper[i]
	if !s.transform {
		return max(lo, min(hi, v))
	}
	al, au := s.margin[i], s.marginUp[i]
	v = fold(v, lo-al, hi+au)
	switch {
	case v < lo+al:
		d := v - (lo - al)
		v = lo + parabola(d, al)
	case v > hi-au:
		d := v - (hi + au)
		v = hi - parabola(d, au)
	}
	return max(lo, min(hi, v))
}

// fold reflects v at the ends of [a, b], either of which may be infinite, until it lies within.
func fold(v, a, b float64) float64 {
	switch {
	case v >= a && v <= b:
		return v
	case math.IsInf(b, 1):
		return 2*a - v
	case math.IsInf(a, -1):
		return 2*b - v
	}
	w := b - a
	if math.IsInf(2*w, 0) || math.IsInf(v-a, 0) {
		return 4 * fold(v/4, a/4, b/4)
	}
	r := math.Mod(v-a, 2*w)
	if r < 0 {
		r += 2 * w
	}
	if r > w {
		r = 2*w - r
	}
	return a + r
}

// toX sets x to the variables that belong to u; stretch multiplies the scales of the coordinates.
func (s *space) toX(x, u, stretch []float64) {
	if s.x0 != nil {
		copy(x, s.x0)
	}
	for j, i := range s.free {
		x[i] = s.variable(i, u[j]*s.scale[i]*stretch[j])
	}
}

// variable maps a latent value to variable i. What overflowed counts as the largest number.
func (s *space) variable(i int, latent float64) float64 {
	v := atMost(s.bounded(i, atMost(latent)))
	if s.integer[i] {
		v = min(max(math.RoundToEven(v), math.Ceil(s.lower[i])), math.Floor(s.upper[i])) + 0 // -0 + 0 is 0
	}
	return v
}

// atMost is v, or the largest number of its sign if v is infinite.
func atMost(v float64) float64 { return max(-math.MaxFloat64, min(math.MaxFloat64, v)) }

// toU sets u to coordinates that are mapped to x.
func (s *space) toU(u, x, stretch []float64) {
	for j, i := range s.free {
		u[j] = s.latent(i, max(s.lower[i], min(s.upper[i], x[i]))) / (s.scale[i] * stretch[j])
	}
}
