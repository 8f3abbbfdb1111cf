package manifold

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// SlopeReport is the outcome of a numeric check: the error at a ladder of step lengths t and the slope of log error against log t.
// A correct derivative of order k leaves an error of order t^(k+1).
type SlopeReport struct {
	What     string     // what was checked
	Slope    float64    // fitted slope in the window where the error follows a power law best; NaN if Exact
	Expected float64    // slope of a correct implementation; a larger one is also correct
	Exact    bool       // the error is at rounding level at every t
	OK       bool       // Slope >= Expected - 0.1, or Exact, and Defect is small
	Window   [2]float64 // step lengths between which the slope was fitted
	Steps    []float64  // the ladder of t
	Errors   []float64  // the error at each t
	Defect   float64    // Hessian: asymmetry |<Hu,v> - <u,Hv>|; transport: loss of isometry; otherwise 0
}

// String states the outcome in one line.
func (r SlopeReport) String() string {
	verdict := "wrong"
	if r.OK {
		verdict = "correct"
	}
	if r.Exact {
		return fmt.Sprintf("%s: %s (exact to rounding, defect %.1e)", r.What, verdict, r.Defect)
	}
	return fmt.Sprintf("%s: %s (slope %.2f, expected at least %.0f, between t = %.1e and %.1e, defect %.1e)",
		r.What, verdict, r.Slope, r.Expected, r.Window[0], r.Window[1], r.Defect)
}

const (
	ladderSteps  = 65
	ladderWindow = 10
	leastWindow  = 4
	defectLimit  = 1e-8

	roundingLevel = 1e-14 // of differences, relative to the numbers that are subtracted
)

var errNoCost = errors.New("manifold: a check needs the cost, and that of a Hessian its product; one is nil")

func checkLength(m Manifold, gradient []float64) error {
	if n := m.VectorLen(); len(gradient) != n {
		return fmt.Errorf("manifold: the gradient has %d elements, vectors of the manifold %d", len(gradient), n)
	}
	return nil
}

// CheckGradient compares the first-order model f(p) + t <gradient, v> with f along a random curve through p. cost must be the cost function
// and gradient the Riemannian gradient at p. Expected slope: 2. The manifold must implement RandomTangenter.
func CheckGradient(m Manifold, p Point, cost func(Point) (float64, error), gradient []float64, rng *rand.Rand) (SlopeReport, error) {
	if cost == nil {
		return SlopeReport{}, errNoCost
	}
	v, err := randomTangent(m, p, rng)
	if err != nil {
		return SlopeReport{}, err
	}
	if err := checkLength(m, gradient); err != nil {
		return SlopeReport{}, err
	}
	f0, err := cost(p)
	if err != nil {
		return SlopeReport{}, err
	}
	slope := m.Inner(p, gradient, v)
	return ladder(m, "gradient", 2, p, v, m.Retract, func(t float64, q Point) (float64, float64, error) {
		f, err := cost(q)
		return math.Abs(f - f0 - t*slope), math.Max(math.Abs(f0), math.Abs(f)), err
	})
}

// CheckHessian compares the second-order model f(p) + t <g, v> + t^2/2 <H v, v> with f along a random geodesic, and measures the
// asymmetry of the operator. hessian writes H v at p to its first argument. Expected slope: 3. A manifold without Exponential is followed
// along Retract, which must then be of second order.
func CheckHessian(m Manifold, p Point, cost func(Point) (float64, error), gradient []float64, hessian func(dst, v []float64) error,
	rng *rand.Rand) (SlopeReport, error) {
	if cost == nil || hessian == nil {
		return SlopeReport{}, errNoCost
	}
	u, err := randomTangent(m, p, rng)
	if err != nil {
		return SlopeReport{}, err
	}
	if err := checkLength(m, gradient); err != nil {
		return SlopeReport{}, err
	}
	v, _ := randomTangent(m, p, rng)
	hu, hv := make([]float64, len(u)), make([]float64, len(v))
	if err := errors.Join(hessian(hu, u), hessian(hv, v)); err != nil {
		return SlopeReport{}, err
	}
	f0, err := cost(p)
	if err != nil {
		return SlopeReport{}, err
	}
	slope, curvature := m.Inner(p, gradient, v), m.Inner(p, hv, v)
	move := m.Retract
	if e, ok := m.(Exponential); ok {
		move = e.Exp
	}
	r, err := ladder(m, "Hessian", 3, p, v, move, func(t float64, q Point) (float64, float64, error) {
		f, err := cost(q)
		return math.Abs(f - f0 - t*slope - t*t/2*curvature), math.Max(math.Abs(f0), math.Abs(f)), err
	})
	r.Defect = math.Abs(m.Inner(p, hu, v)-m.Inner(p, u, hv)) / math.Max(1, math.Abs(curvature))
	r.OK = r.OK && r.Defect < defectLimit
	return r, err
}

// CheckRetraction measures the distance between the retraction and the geodesic with the same velocity. order is the order to which they
// should agree: 1 for any retraction, 2 for a second-order one. Expected slope: order + 1. The manifold must implement Exponential,
// Distancer and RandomTangenter.
func CheckRetraction(m Manifold, p Point, order int, rng *rand.Rand) (SlopeReport, error) {
	e, ok1 := m.(Exponential)
	d, ok2 := m.(Distancer)
	if !ok1 || !ok2 {
		return SlopeReport{}, errors.New("manifold: CheckRetraction needs a manifold with Exp and Distance")
	}
	v, err := randomTangent(m, p, rng)
	if err != nil {
		return SlopeReport{}, err
	}
	w, g := make([]float64, len(v)), p.Clone()
	apart := func(t float64, q Point) (float64, error) {
		for i := range v {
			w[i] = t * v[i]
		}
		if err := e.Exp(g, p, w); err != nil {
			return 0, err
		}
		return d.Distance(g, q)
	}
	scale, near := 1.0, p.Clone()
	for i := range v {
		w[i] = shortStep * v[i]
	}
	if m.Retract(near, p, w) == nil {
		if noise, err := apart(shortStep, near); err == nil {
			scale = max(scale, 10*noise/roundingLevel)
		}
	}
	return ladder(m, "retraction", float64(order+1), p, v, m.Retract, func(t float64, q Point) (float64, float64, error) {
		dist, err := apart(t, q)
		return dist, scale, err
	})
}

// shortStep is so short that a distance between points that agree to first order is rounding.
const shortStep = 1e-12

// CheckTransport compares the transport along Retract with the pole ladder, which approximates parallel transport to third order (and is
// exact on symmetric spaces), and measures the loss of isometry. A vector transport differs from the parallel one by O(t): expected slope
// at least 1. The manifold must implement Exponential, Logarithm and RandomTangenter.
func CheckTransport(m Manifold, p Point, rng *rand.Rand) (SlopeReport, error) {
	e, ok1 := m.(Exponential)
	l, ok2 := m.(Logarithm)
	if !ok1 || !ok2 {
		return SlopeReport{}, errors.New("manifold: CheckTransport needs a manifold with Exp and Log")
	}
	v, err := randomTangent(m, p, rng)
	if err != nil {
		return SlopeReport{}, err
	}
	u, _ := randomTangent(m, p, rng)
	if err := shorten(e, p, u); err != nil {
		return SlopeReport{}, fmt.Errorf("manifold: checking the transport: %w", err)
	}
	square := m.Inner(p, u, u)
	var defect float64
	moved, want := make([]float64, len(u)), make([]float64, len(u))
	r, err := ladder(m, "transport", 1, p, v, m.Retract, func(_ float64, q Point) (float64, float64, error) {
		copy(moved, u)
		m.Transport(p, q, moved)
		defect = math.Max(defect, math.Abs(m.Inner(q, moved, moved)/square-1))
		if err := poleLadder(e, l, want, p, q, u); err != nil {
			return 0, 0, err
		}
		for i := range want {
			want[i] -= moved[i]
		}
		return math.Sqrt(m.Inner(q, want, want) / square), 1e2, nil
	})
	r.Defect = defect
	r.OK = r.OK && defect < defectLimit
	return r, err
}

// shorten halves u until it leads to a point: straight lines may leave the cone.
func shorten(e Exponential, p Point, u []float64) error {
	end := p.Clone()
	err := e.Exp(end, p, u)
	for range mostHalvings {
		if !outside(err) {
			break
		}
		for i := range u {
			u[i] /= 2
		}
		err = e.Exp(end, p, u)
	}
	return err
}

// mostHalvings is to what is lost in rounding beside a point.
const mostHalvings = 52

// poleLadder writes to dst the parallel transport of u from p to q (Lorenzi and Pennec, J. Math. Imaging Vis. 50 (2014) 5-17).
func poleLadder(e Exponential, l Logarithm, dst []float64, p, q Point, u []float64) error {
	w := make([]float64, len(u))
	mid, end := p.Clone(), p.Clone()
	if err := l.Log(w, p, q); err != nil {
		return err
	}
	for i := range w {
		w[i] /= 2
	}
	if err := errors.Join(e.Exp(mid, p, w), e.Exp(end, p, u), l.Log(w, mid, end)); err != nil {
		return err
	}
	for i := range w {
		w[i] = -w[i]
	}
	if err := errors.Join(e.Exp(end, mid, w), l.Log(dst, q, end)); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = -dst[i]
	}
	return nil
}

func randomTangent(m Manifold, p Point, rng *rand.Rand) ([]float64, error) {
	r, ok := m.(RandomTangenter)
	if !ok {
		return nil, errors.New("manifold: the check needs a manifold with RandomTangent")
	}
	if rng == nil {
		return nil, errors.New("manifold: the check needs a source of random numbers")
	}
	if p == nil {
		return nil, errors.New("manifold: the point is nil")
	}
	v := make([]float64, m.VectorLen())
	r.RandomTangent(v, p, rng)
	return v, nil
}

// ladder evaluates the error at t = 1e-8 ... 1 and fits the slope. eval returns the error at the point reached with step t and the magnitude
// of the numbers that were subtracted, which sets the rounding level.
func ladder(m Manifold, what string, expected float64, p Point, v []float64, move func(dst, p Point, v []float64) error,
	eval func(t float64, q Point) (float64, float64, error)) (SlopeReport, error) {
	r := SlopeReport{What: what, Expected: expected, Steps: make([]float64, ladderSteps), Errors: make([]float64, ladderSteps)}
	q, w, rounding := p.Clone(), make([]float64, len(v)), make([]float64, ladderSteps)
	for k := range r.Steps {
		t := math.Pow(10, -8+8*float64(k)/(ladderSteps-1))
		for i := range v {
			w[i] = t * v[i]
		}
		var e, scale float64
		err := move(q, p, w)
		if err == nil {
			e, scale, err = eval(t, q)
		}
		if k >= leastSteps && outside(err) {
			r.Steps, r.Errors = r.Steps[:k], r.Errors[:k]
			break
		}
		if err != nil {
			return r, fmt.Errorf("manifold: checking the %s at t = %.1e: %w", what, t, err)
		}
		r.Steps[k], r.Errors[k], rounding[k] = t, e, roundingLevel*scale
	}
	if slices.Max(r.Errors) <= 100*slices.Max(rounding) {
		r.exact()
		return r, nil
	}
	r.fit(rounding)
	return r, nil
}

// outside tells whether a step has left the domain of the manifold.
func outside(err error) bool {
	var step *StepError
	var point *PointError
	return errors.As(err, &step) || errors.As(err, &point)
}

// exact says that there is nothing but rounding.
func (r *SlopeReport) exact() { r.Slope, r.Exact, r.OK = math.NaN(), true, true }

// leastSteps is from how many steps on, to t = 1e-4, a check does with those that the manifold allows.
const leastSteps = ladderSteps / 2

// fit chooses the window of ladderWindow consecutive errors whose logarithms lie closest to a line and reports its slope. What rounding may do to a logarithm counts as
// distance from it: errors that are rounding may be all the same, which is a line of slope 0.
// Where fewer errors are above rounding, those at the end are the window, and where they are next to none the check is exact.
func (r *SlopeReport) fit(rounding []float64) {
	best, above, first := math.Inf(1), 0, 0
	for k, e := range r.Errors {
		if e <= 3*rounding[k] {
			first = k + 1
		} else {
			above++
		}
	}
	if above < leastWindow {
		r.exact()
		return
	}
	if above < ladderWindow && len(r.Steps)-first >= leastWindow {
		r.Slope, _, _ = fitLine(r.Steps[first:], r.Errors[first:])
		r.Window = [2]float64{r.Steps[first], r.Steps[len(r.Steps)-1]}
		r.OK = r.Slope >= r.Expected-0.1
		return
	}
	for k := 0; k+ladderWindow <= len(r.Steps); k++ {
		slope, residual, ok := fitLine(r.Steps[k:k+ladderWindow], r.Errors[k:k+ladderWindow])
		for i := k; i < k+ladderWindow; i++ {
			residual = max(residual, rounding[i]/r.Errors[i])
		}
		if ok && residual < best {
			best, r.Slope = residual, slope
			r.Window = [2]float64{r.Steps[k], r.Steps[k+ladderWindow-1]}
		}
	}
	r.OK = r.Slope >= r.Expected-0.1
}

// fitLine returns the least squares slope of log y against log x and the root mean square residual.
func fitLine(x, y []float64) (slope, residual float64, ok bool) {
	var sx, sy, sxx, sxy, n float64
	for i := range x {
		if !(y[i] > 0) {
			return 0, 0, false
		}
		a, b := math.Log10(x[i]), math.Log10(y[i])
		sx, sy, sxx, sxy, n = sx+a, sy+b, sxx+a*a, sxy+a*b, n+1
	}
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	offset := (sy - slope*sx) / n
	for i := range x {
		d := math.Log10(y[i]) - offset - slope*math.Log10(x[i])
		residual += d * d
	}
	return slope, math.Sqrt(residual / n), true
}
