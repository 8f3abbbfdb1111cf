package esadapt

import (
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// axisSearch searches along all coordinates at once, for functions that are sums of functions of single variables, multimodal ones too. Every generation has
// one new point on each axis through the start, and the point that combines the best coordinates so far. On a separable function that last point is never worse
// than the others; as soon as it is, the search stops and has spent little.
//
// Along an axis it bisects the interval that could most easily hold a better value (the population is always n + 1): STEP; Langerman, Seront, Bersini: "STEP: the easiest way to optimize a
// function" (1994), whose use on separable functions is due to Posik: "BBOB-benchmarking two variants of the line-search algorithm" (2009).
type axisSearch struct {
	n          int
	generation int
	sampled    bool
	center     []float64
	lower      []float64
	upper      []float64
	lines      []line
	points     dense.Matrix[float64]
	rows       [][]float64
	fCenter    float64
	fBest      float64 // best combined value
	improved   int     // generation of its last improvement
	misses     int
	additive   bool
	tol        float64
	closed     func(j int, a, b float64) bool
}

// line holds the points tried on one axis, in order, and their values.
type line struct{ x, f []float64 }

func newAxisSearch(s Setup) (Strategy, error) {
	n := len(s.Mean)
	a := &axisSearch{n: n, center: slices.Clone(s.Mean), lower: slices.Clone(s.Lower), upper: slices.Clone(s.Upper)}
	for j, m := range s.Mean {
		if len(a.lower) == j {
			a.lower = append(a.lower, m-5*s.Sigma)
		}
		if len(a.upper) == j {
			a.upper = append(a.upper, m+5*s.Sigma)
		}
		a.lower[j], a.upper[j] = atMost(min(a.lower[j], m-1e-3*s.Sigma)), atMost(max(a.upper[j], m+1e-3*s.Sigma))
	}
	a.lines = make([]line, n)
	for j := range a.lines {
		a.lines[j] = line{make([]float64, 0, axisCapacity), make([]float64, 0, axisCapacity)}
	}
	a.points = dense.New[float64](n+1, n)
	for i := range n + 1 {
		a.rows = append(a.rows, a.points.Row(i))
	}
	a.tol = s.Tuning.Tolerances.resolve(n, n+1).X
	a.fBest = math.Inf(1)
	a.closed = s.Closed
	if a.closed == nil {
		a.closed = func(int, float64, float64) bool { return false }
	}
	return a, nil
}

const (
	axisCapacity  = 1024 // points on one axis; the search ends with them
	axisPatience  = 200  // generations without a better combination on a function that adds up
	doubtPatience = 8    // and on one that does not
)

// Ask implements Strategy.
func (a *axisSearch) Ask() [][]float64 {
	if a.sampled {
		return a.rows
	}
	a.sampled = true
	combined := a.rows[a.n]
	for j := range a.n {
		copy(a.rows[j], a.center)
		switch a.generation {
		case 0:
			a.rows[j][j] = a.lower[j]
			combined[j] = a.center[j]
		case 1:
			a.rows[j][j] = a.upper[j]
			combined[j] = a.lines[j].best()
		case 2:
			a.rows[j][j] = a.next(j)
			combined[j], _ = a.lines[j].probe()
		default:
			a.rows[j][j] = a.next(j)
			combined[j] = a.lines[j].best()
		}
	}
	return a.rows
}

// best returns the point with the lowest value.
func (l *line) best() float64 {
	k := 0
	for i, f := range l.f {
		if f < l.f[k] {
			k = i
		}
	}
	return l.x[k]
}

// probe returns the better end of the axis and its value.
func (l *line) probe() (x, f float64) {
	last := len(l.x) - 1
	if l.f[last] < l.f[0] {
		return l.x[last], l.f[last]
	}
	return l.x[0], l.f[0]
}

// next returns the middle of the easiest interval of axis j: the one in which the flattest parabola through the ends reaches below the best value.
func (a *axisSearch) next(j int) float64 {
	l := &a.lines[j]
	if len(l.x) < 2 { // nothing lies between the ends
		return l.x[0]
	}
	low, high := slices.Min(l.f), math.Inf(-1)
	for _, f := range l.f {
		if !math.IsInf(f, 1) {
			high = max(high, f)
		}
	}
	goal := low - 1e-15*max(high-low, math.SmallestNonzeroFloat64)
	pick, easiest := 0, math.Inf(1)
	for i := range len(l.x) - 1 {
		w, half := l.x[i+1]-l.x[i], l.half(i)
		p, q := l.f[i]-goal, l.f[i+1]-goal
		if d := (p + q + 2*math.Sqrt(p*q)) / (w * w); d < easiest && l.x[i] < half && half < l.x[i+1] && !a.closed(j, l.x[i], l.x[i+1]) {
			pick, easiest = i, d
		}
	}
	return l.half(pick)
}

// half is the middle of interval i.
func (l *line) half(i int) float64 { return between(l.x[i], l.x[i+1], 0.5) }

func (l *line) insert(x, f float64) {
	k, found := slices.BinarySearch(l.x, x)
	if found {
		l.f[k] = min(l.f[k], f)
		return
	}
	l.x, l.f = slices.Insert(l.x, k, x), slices.Insert(l.f, k, f)
}

// Tell implements Strategy.
func (a *axisSearch) Tell(f []float64) error {
	p := population{lambda: a.n + 1, sampled: a.sampled}
	if err := p.check(f); err != nil {
		return err
	}
	combined := f[a.n]
	switch a.generation {
	case 0:
		a.fCenter = combined
	case 2:
		a.additive = a.addsUp(combined)
	default:
		single, spread := math.Inf(1), 0.0
		for j := range a.lines {
			low := slices.Min(a.lines[j].f)
			single, spread = min(single, low), max(spread, math.Abs(a.fCenter-low))
		}
		if combined > single+1e-9*spread+1e-14*math.Abs(single) {
			a.misses++
		}
	}
	if combined < a.fBest && a.generation != 2 {
		a.fBest, a.improved = combined, a.generation
	}
	for j := range a.lines {
		if a.generation == 0 {
			a.lines[j].insert(a.center[j], a.fCenter)
		}
		a.lines[j].insert(a.rows[j][j], f[j])
	}
	a.sampled = false
	a.generation++
	return nil
}

// addsUp says whether the value of the combined probes is the sum of their differences to the center: then the function is a sum over the coordinates.
func (a *axisSearch) addsUp(combined float64) bool {
	sum, size := a.fCenter, math.Abs(a.fCenter)
	for j := range a.lines {
		_, f := a.lines[j].probe()
		sum += f - a.fCenter
		size = max(size, math.Abs(f))
	}
	return math.Abs(combined-sum) <= 1e-10*size
}

// patience is how many generations may pass without a better combination.
func (a *axisSearch) patience() int {
	if a.additive {
		return max(axisPatience, 2*a.improved)
	}
	return max(doubtPatience, a.improved)
}

// Stop implements Strategy.
func (a *axisSearch) Stop() []Reason {
	if a.misses > 1 {
		return []Reason{because(NotSeparable, fmt.Sprintf("%d of %d combined points were worse", a.misses, a.generation-1))}
	}
	if a.generation < 3 {
		return nil
	}
	if len(a.lines[0].x) > axisCapacity-2 {
		return []Reason{because(GenerationsUsed, fmt.Sprintf("%d points on an axis", len(a.lines[0].x)))}
	}
	if a.settled() {
		return []Reason{because(TolX, fmt.Sprintf("every coordinate within %.3g", a.tol))}
	}
	if a.generation-a.improved > a.patience() {
		return []Reason{because(Stagnation, fmt.Sprintf("no better combination in %d generations", a.generation-a.improved))}
	}
	return nil
}

// settled says whether the best point of every axis has its neighbours within the tolerance.
func (a *axisSearch) settled() bool {
	for j := range a.lines {
		l := &a.lines[j]
		k, _ := slices.BinarySearch(l.x, l.best())
		if k > 0 && a.wide(j, l.x[k-1], l.x[k]) || k+1 < len(l.x) && a.wide(j, l.x[k], l.x[k+1]) {
			return false
		}
	}
	return true
}

// wide says whether there is still something to find between neighbours x and y on axis j.
func (a *axisSearch) wide(j int, x, y float64) bool { return y-x > a.tol && !a.closed(j, x, y) }

// MarshalBinary implements Strategy.
func (a *axisSearch) MarshalBinary() ([]byte, error) { return marshal(a) }

// UnmarshalBinary implements Strategy.
func (a *axisSearch) UnmarshalBinary(data []byte) error { return unmarshal(a, data) }

func (a *axisSearch) archive(r *archive) {
	r.tag("axis 1")
	r.same("dimension", a.n)
	r.int(&a.generation)
	r.fixed(a.center)
	r.fixed(a.lower)
	r.fixed(a.upper)
	for j := range a.lines {
		l := &a.lines[j]
		r.floats(&l.x)
		r.floats(&l.f)
		if r.err == nil && (len(l.x) != len(l.f) || len(l.x) > axisCapacity || len(l.x) < min(a.generation, 1)) {
			r.fail("axis %d: %d points, %d values", j, len(l.x), len(l.f))
		}
		if r.reading {
			l.x, l.f = slices.Grow(l.x, max(0, axisCapacity-len(l.x))), slices.Grow(l.f, max(0, axisCapacity-len(l.f)))
		}
	}
	r.float(&a.fCenter)
	r.float(&a.fBest)
	r.int(&a.improved)
	r.int(&a.misses)
	r.bool(&a.additive)
	if r.reading {
		a.sampled = false
	}
}
