package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// reweighting solves for a scatter M-estimate, X = (1/N) sum w x x' with w = rho'(x' X^-1 x), in the logarithms of the N weights. They are all
// that an iterate consists of, so that Anderson acceleration costs next to nothing. The plain step, to the weights that the present X asks for, never
// raises the cost, because rho is concave (Hunter and Lange, Amer. Statist. 58 (2004) 30-37); an accelerated step that raises both the cost and the
// gradient is taken back for a plain one. An iteration is half a product with the samples and half a product of their size. The gradient is
// estimated until it is small, then computed.
type reweighting struct {
	x     dense.Matrix[float64] // samples as rows
	weigh weighing
	free  bool // the cost does not depend on the scale of X
	mon   *iteration.Monitor
	acc   *anderson

	y      dense.Matrix[float64] // rows e^(shown/2) x' F^-T
	shown  []float64             // logarithms of the weights that y has
	inv    dense.Matrix[float64] // F^-1, lower triangular
	p      dense.Matrix[float64] // y'y/N
	pivots []float64             // the diagonal of F^-1 after the first step, nil before it

	logW     []float64 // of the present point
	square   []float64 // w x' X^-1 x
	q        []float64 // x' X^-1 x
	residual []float64 // log rho'(q) - logW
	share    []float64 // of a sample's own weight in its residual's change
	first    []float64 // rho'(q) and rho''(q); scratch elsewhere
	second   []float64
	logDet   float64 // log det X
	cost     float64
	estimate float64 // of the whitened gradient's norm

	metric    float64 // the whitened gradient's norm times this is the norm in the metric
	scale     float64 // of the gradient in the metric
	ratio     float64 // of the last exact norm to its estimate
	best      float64 // cost of the last point that was kept
	here      float64 // estimate there
	curvature float64 // smallest curvature seen along a step, 1 before the first
}

// maxShare bounds the over-relaxation of a sample's weight by 1/(1-maxShare).
const maxShare = 0.9

// maxExtrapolation bounds the change of a weight's logarithm in an accelerated step.
const maxExtrapolation = 10

// newReweighting prepares a run; y is space of the size of x, l lends more.
func newReweighting(x, y dense.Matrix[float64], weigh weighing, m *manifold.Affine, o *Options, l *lender) *reweighting {
	N, n := x.Rows, x.Cols
	w := &reweighting{x: x, y: y, weigh: weigh, mon: iteration.NewMonitor(&o.Solver, n*n), acc: newAnderson(N, andersonMemory, l.vector), inv: dense.New[float64](n, n),
		p: dense.New[float64](n, n), metric: math.Sqrt(m.Kappa()), scale: math.Sqrt(m.Kappa() * float64(n)), ratio: 1, curvature: 1}
	for _, s := range []*[]float64{&w.shown, &w.logW, &w.square, &w.q, &w.residual, &w.share, &w.first, &w.second} {
		*s = l.vector(N)
	}
	clear(w.logW)
	return w
}

// startAt evaluates the frame, whose F^-1 is lower triangular, and leaves in p what the samples look like from there.
func (w *reweighting) startAt(f *manifold.Frame) {
	w.inv.Copy(view(f.Inverse()))
	w.logDet = f.LogDet()
	w.refresh()
	w.measure()
	w.toPlain()
	w.gram()
	w.estimate = w.gradient()
}

// run iterates until the criteria say so. missing words the failure of a matrix to be positive definite.
func (w *reweighting) run(missing func(what string) error) (*solve.Result, error) {
	o := w.mon.Options
	target := o.Tolerance * max(w.scale, o.AbsoluteTolerance/o.Tolerance)
	norm, exact := w.metric*w.estimate, true
	if norm-norm != 0 || w.cost-w.cost != 0 {
		return nil, &solve.StartError{Cost: w.cost, GradientNorm: norm}
	}
	for {
		w.here, w.best = w.estimate, w.cost
		if w.mon.Done(nil, w.cost, norm, w.scale) {
			if !exact {
				norm = w.verify()
			}
			return w.result(norm, missing)
		}
		plain := w.mon.Status.Iteration == 0 || w.here*w.metric > w.scale
		if !plain {
			w.accelerate()
		} else if w.mon.Status.Iteration > 0 {
			w.acc.forget()
			w.toPlain()
			w.gram()
		}
		if err := w.move(plain, missing); err != nil {
			return nil, err
		}
		norm, exact = w.metric*w.ratio*w.estimate, false
		if norm <= target {
			norm, exact = w.verify(), true
		}
		w.mon.Step(w.metric * w.here)
	}
}

// move goes to the point of the weights shown, or to that of the plain step if it proves better.
func (w *reweighting) move(plain bool, missing func(what string) error) error {
	for {
		w.mon.Status.Evaluations++
		ok := w.advance()
		if ok && (plain || w.estimate <= w.here || w.cost <= w.best) {
			return nil
		}
		if plain {
			return missing("a sample covariance seen from the iterate is singular")
		}
		plain = true
		copy(w.logW, w.acc.x)
		copy(w.residual, w.acc.r)
		w.acc.forget()
		w.refresh()
		w.toPlain()
		w.gram()
	}
}

// advance sets F <- F C with C C' = p and evaluates. It returns false if p is not positive definite.
func (w *reweighting) advance() bool {
	if dense.CholeskyUpper(w.p) >= 0 {
		return false
	}
	for i := range w.p.Rows {
		w.logDet += 2 * math.Log(w.p.At(i, i))
	}
	copy(w.logW, w.shown)
	dense.SolveLowerTriangle(w.p, w.inv) // F^-1 is triangular too
	if w.collapsed() {
		return false
	}
	w.refresh()
	w.measure()
	return w.estimate-w.estimate == 0
}

// maxCollapse bounds how much further the variance of one variable, given those before it, may fall than that of another, as a ratio of lengths. Rounding lets a
// collapse go on to about 2^45 to 2^50 and no further; estimates that exist stay far below 2^27, where samples would cease to have a covariance.
const maxCollapse = 0x1p40

// collapsed tells whether X has run into the boundary of the cone since the first step.
func (w *reweighting) collapsed() bool {
	if w.pivots == nil {
		w.pivots = make([]float64, w.inv.Rows)
		for i := range w.pivots {
			w.pivots[i] = w.inv.At(i, i)
		}
		return false
	}
	least, most := math.Inf(1), 0.0
	for i, p := range w.pivots {
		growth := w.inv.At(i, i) / p
		least, most = min(least, growth), max(most, growth)
	}
	return most > maxCollapse*least
}

// refresh computes y from the samples, all with weight one.
func (w *reweighting) refresh() {
	dense.MulLowerRight(dense.Transposed, w.inv, w.x, w.y)
	clear(w.shown)
}

// show scales the rows of y to the weights of the present point.
func (w *reweighting) show() {
	dense.Blend(0.5, w.logW, -0.5, w.shown, w.first)
	dense.Exp(w.first, w.first)
	dense.ScaleRows(w.first, w.y, w.y)
	copy(w.shown, w.logW)
}

// toPlain scales the rows of y to the weights that the present point asks for.
func (w *reweighting) toPlain() {
	dense.Axpy(1, w.residual, w.logW)
	w.show()
	dense.Axpy(-1, w.residual, w.logW)
}

// accelerate scales the rows of y to extrapolated weights. A sample's own weight enters the change of its residual with its share; dividing by the rest
// is the over-relaxation.
func (w *reweighting) accelerate() {
	if c := w.acc.add(w.logW, w.residual, w.free); c > 0 {
		w.curvature = min(w.curvature, c)
	}
	correction, rest := w.acc.next()
	largest := 0.0
	for i, s := range w.share {
		correction[i] += rest[i] / (1 - s)
		largest = max(largest, math.Abs(correction[i]))
	}
	dense.Axpy(min(1, maxExtrapolation/largest), correction, w.logW)
	w.show()
	w.gram()
}

// gram sets the upper triangle of p.
func (w *reweighting) gram() {
	gramUpper(1/float64(w.x.Rows), w.y, w.y, 0, w.p)
}

// gradient returns the norm of I - p, the whitened gradient if y has the weights that the point asks for.
func (w *reweighting) gradient() float64 {
	var s float64
	for i := range w.p.Rows {
		row := w.p.Row(i)
		d, right := row[i]-1, row[i+1:]
		s += d*d + 2*dense.Dot(right, right)
	}
	return math.Sqrt(s)
}

// verify computes the gradient at the present point and returns its norm in the metric.
func (w *reweighting) verify() float64 {
	w.toPlain()
	w.gram()
	dense.Mirror(w.p)
	g := w.gradient()
	if w.estimate > 0 {
		w.ratio = g / w.estimate
	}
	return w.metric * g
}

// measure evaluates the present point, from which y has been refreshed. The estimate takes the products of two different samples, seen from X, for what they are on average over
// directions.
func (w *reweighting) measure() {
	dense.RowDots(w.y, w.y, w.q)
	dense.Exp(w.square, w.logW)
	dense.Multiply(w.q, w.square, w.square)
	if !w.free {
		w.rescale()
	}
	n, N := float64(w.x.Cols), float64(w.x.Rows)
	sum, each := w.weigh.total(w.q, w.first), 1/N
	w.weigh.slopes(w.q, w.first, w.second)
	for i, u := range w.first {
		w.share[i] = min(-w.second[i]*w.q[i]/u*w.square[i]*each, maxShare)
	}
	dense.Log(w.residual, w.first)
	dense.Axpy(-1, w.logW, w.residual)
	dense.Exp(w.first, w.residual)
	var along, across float64
	for i, r := range w.residual {
		d := exponentialLess1(r, w.first[i]) * w.square[i]
		along += d
		across += d * d
	}
	w.cost = w.logDet + sum/N
	w.estimate = math.Sqrt(along*along/n+across*(1-1/n)) / N
}

// exponentialLess1 returns e^x - 1 given e^x.
func exponentialLess1(x, e float64) float64 {
	if math.Abs(x) < 0x1p-8 {
		return x * (1 + x/2*(1+x/3*(1+x/4)))
	}
	return e - 1
}

// smallRescaling is the change of log s whose square, the error that Newton's method leaves after it, is below rounding.
const smallRescaling = 1e-8

// rescale moves to the multiple of X of least cost, by Newton's method for (1/N) sum rho'(q/s) q/s = n in log s. y stays as it is.
func (w *reweighting) rescale() {
	n, N := float64(w.x.Cols), float64(w.x.Rows)
	var total float64
	for range 4 {
		w.weigh.slopes(w.q, w.first, w.second)
		var first, second float64
		for i, q := range w.q {
			first += w.first[i] * q
			second += w.second[i] * q * q
		}
		h, slope := first/N-n, (first+second)/N
		if !(slope > 1e-6*n) {
			break
		}
		by := min(max(h/slope, -2), 2)
		total += by
		dense.Scale(math.Exp(-by), w.q, w.q)
		if math.Abs(by) < smallRescaling {
			break
		}
	}
	if total == 0 {
		return
	}
	w.logDet += n * total
	dense.Scale(math.Exp(-total/2), w.inv.Data, w.inv.Data)
	for i := range w.logW {
		w.logW[i] += total
		w.shown[i] += total
	}
}

// result closes the run at the present point.
func (w *reweighting) result(norm float64, missing func(what string) error) (*solve.Result, error) {
	n := w.p.Rows
	p, err := manifold.FrameOfInverse(mat.NewDense(n, n, w.inv.Data))
	if err != nil {
		return nil, missing(fmt.Sprintf("after %d iterations %v", w.mon.Status.Iteration, err))
	}
	w.mon.Status.GradientNorm, w.mon.Status.Cost = norm, w.cost
	r := w.mon.Result(p, 0)
	r.Certificate = solve.Certificate{Kind: "secant-curvature", Value: norm / w.curvature}
	return r, nil
}
