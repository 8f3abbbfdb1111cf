package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// kronSingleSize is the number of elements of all samples from which on steps in single precision pay.
	kronSingleSize = 1 << 15
	// kronSingleFar is the relative distance of the inverse column factor from I from which on samples are whitened on that side too.
	kronSingleFar = 0.1
	// kronSingleSums is what sums in single precision leave of a relative gradient, and kronSingleRounding, times the root of p/Nq, what one
	// rounding of the samples does.
	kronSingleSums, kronSingleRounding = 2e-7, 5e-8
	// kronSingleSteps bounds their number, and kronSingleStalls that of those which gain less than a third.
	kronSingleSteps, kronSingleStalls = 40, 6
)

// kronIteration is the flip-flop with over-relaxed steps. Its frames are triangular. Its samples become F^-1 Y for the frame of the last evaluation, so
// that no second copy of them is made.
type kronIteration struct {
	*kronObjective
	relax *relaxation
	step  dense.Matrix[float64]
	from  dense.Matrix[float64] // that frame
	turn  dense.Matrix[float64] // scratch
	spare [][]float32           // memory of the size of each block of samples in single precision, behind them

	tolerance float64
	refine    *kronRefinement
}

func kronFlipFlop(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	return newKronIteration(in.(*kronObjective), m, o).run(m, o)
}

func newKronIteration(in *kronObjective, m *manifold.Affine, o *Options) *kronIteration {
	k := &kronIteration{kronObjective: in}
	k.relax = newRelaxation(1/(float64(k.q)*m.Kappa()), m.VectorLen())
	k.tolerance = o.Solver.WithDefaults(m.VectorLen()).Tolerance
	k.refine = &kronRefinement{kronIteration: k}
	k.step, k.turn = dense.New[float64](k.p, k.p), dense.New[float64](k.p, k.p)
	return k
}

func (k *kronIteration) run(m *manifold.Affine, o *Options) (*solve.Result, error) {
	r, err := drive(k, m, o, func(next, p *manifold.Frame, grad []float64, norm float64, memo solve.Memo) error {
		if k.refine.step(next, p, norm, memo.(*kronMemo)) {
			return nil
		}
		k.next(grad, norm, memo.(*kronMemo).p)
		f, err := congruence(m, p, k.step)
		if err != nil {
			return &DataError{Err: fmt.Errorf("the row covariance became singular: %w", err), Remedy: "give more samples; the likelihood has no maximum"}
		}
		next.CopyFrom(f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.HessianProducts += k.refine.products
	if k.refine.done {
		r.Evaluations--
	}
	return r, nil
}

// NewMemo implements solve.Memoizer.
func (k *kronIteration) NewMemo() solve.Memo {
	return &kronMemo{p: dense.New[float64](k.p, k.p), l: dense.New[float64](k.q, k.q)}
}

// Evaluate implements solve.Objective, for triangular frames; as kronObjective's.
func (k *kronIteration) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*kronMemo)
	k.at.Copy(view(f.Inverse()))
	if k.refine.done {
		copy(grad, k.refine.grad)
		return k.refine.cost, nil
	}
	if k.turn.Copy(k.at); k.from.Rows > 0 {
		dense.MulLower(dense.NoTrans, k.at, k.from, k.turn)
	} else {
		k.from = dense.New[float64](k.p, k.p)
	}
	k.from.Copy(view(f.F()))
	k.y.whitenRows(k.turn, k.b, 1/float64(k.count*k.p))
	cost, err := k.profile(f, m)
	if err != nil {
		return cost, err
	}
	if k.refine.cost = cost; k.refine.worthwhile() {
		k.refine.rowScatter(m)
	} else {
		k.y.rowScatter(m.l, m.p)
	}
	k.differential(f, m, grad)
	return cost, nil
}

// next sets step to the matrix M such that the next A is F M F': P/q far from the solution, the power (P/q)^t up to terms of third order for a
// relaxed step near it, with t = 1 for the first.
func (k *kronIteration) next(grad []float64, norm float64, p dense.Matrix[float64]) {
	if norm > float64(k.q) {
		dense.Scale(1/float64(k.q), p.Data, k.step.Data)
		k.relax.ready = false
		return
	}
	if norm > float64(k.q)/2 {
		k.relax.ready = false // powers other than 1 might be indefinite
	}
	eta := dense.Wrap(k.p, k.p, k.relax.next(grad))
	second := 0.0
	if t := math.Sqrt(dense.Dot(eta.Data, eta.Data)/dense.Dot(grad, grad)) / k.relax.plain; t > 0 {
		second = (1 - 1/t) / 2
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, second, eta, eta, 0, k.step)
	for i := range k.p {
		for j, v := range eta.Row(i) {
			k.step.Set(i, j, k.step.At(i, j)+v)
		}
		k.step.Set(i, i, k.step.At(i, i)+1)
	}
}

// Certify implements solve.Certifier: the gradient over the smallest curvature that was seen along a step, or the Newton step if none was.
func (k *kronIteration) Certify(p manifold.Point, norm float64, memo solve.Memo) solve.Certificate {
	if c := k.relax.curvature; c > 0 {
		return solve.Certificate{Kind: "secant-curvature", Value: norm / c}
	}
	m, grad := memo.(*kronMemo), make([]float64, k.m.VectorLen())
	if k.refine.forget() { // the samples are not those that products need
		if _, err := k.Evaluate(p, grad, memo); err != nil {
			return solve.Certificate{Kind: "none"}
		}
	}
	k.differential(p.(*manifold.Frame), m, grad)
	m.v, m.e = k.y, dense.New[float64](k.q, k.q) // the last use of the samples
	m.v.whitenColumns(m.l, m.p)
	c, _ := solve.Certify(k.m, k.kronObjective, p, grad, m)
	return c
}

// start makes the first steps in single precision, on samples that are whitened from step to step. What it returns is a first point like any other.
func (k *kronIteration) start() *manifold.Frame {
	if k.count*k.p*k.q < kronSingleSize {
		return k.kronObjective.start()
	}
	v, ok := k.single()
	if !ok {
		return k.kronObjective.start()
	}
	t := &kronSingle{kronIteration: k, v: v, left: dense.New[float32](k.q, k.q), f: dense.New[float64](k.p, k.p),
		sizes: make([]float64, max(k.p, k.q)), noise: 1}
	t.f.Identity()
	t.run()
	k.relax.ready = false
	product := dense.New[float64](k.p, k.p)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t.f, t.f, 0, product)
	if frame, err := manifold.NewFrame(symmetric(product)); err == nil {
		return frame
	}
	return k.kronObjective.start()
}

// kronSingle is the iteration in single precision.
type kronSingle struct {
	*kronIteration
	v         *kronSamples[float32] // F^-1 Y L^-T for the last F and some recent L
	left, inv dense.Matrix[float32] // L^-1, less I for exact sums, and C^-1 or none for I
	f         dense.Matrix[float64]
	sizes     []float64 // scratch: a diagonal
	noise     float64   // how many roundings the errors of v amount to: the square of their ratio to one
}

// run makes steps until the next would end below the tolerance, or the one after it where rounding asks for one in double precision.
func (t *kronSingle) run() {
	k := t.kronIteration
	p, grad := dense.New[float64](k.p, k.p), make([]float64, k.p*k.p)
	best, rate, scale := math.Inf(1), 0.0, k.GradientScale(0)
	for steps, stalls := 0, 0; steps < kronSingleSteps && stalls < kronSingleStalls; steps++ {
		rounding := kronSingleRounding * math.Sqrt(t.noise*float64(k.p)/float64(k.count*k.q))
		double := rounding > 0.95*k.tolerance || k.refine.available()          // a step in double precision will follow
		exact := !double && steps > 1 && best*rate*rate <= 2*k.tolerance*scale // this may be the last step
		if !(steps == 0 && t.flipRounded(p)) && !t.flip(p, exact) {
			return
		}
		minusPlusIdentity(grad, p)
		for i := range k.p {
			grad[i*k.p+i] += float64(k.q) - 1
		}
		k.m.FromWhitened(nil, grad)
		norm := math.Sqrt(k.m.Inner(nil, grad, grad))
		if !(norm < 10*best) {
			return
		}
		if norm > 0.67*best {
			stalls++
		}
		rate = norm / best
		best = min(best, norm)
		k.next(grad, norm, p)
		if k.refine.available() {
			rate = k.refine.foresee(norm, rate, (rounding+kronSingleSums)*scale)
		}
		left, gain := rounding, rate
		if !exact {
			left += kronSingleSums
		}
		if double {
			left, gain = 2*left, rate*rate
		}
		last := norm <= left*scale || steps > 0 && norm*gain <= k.tolerance/2*scale && (double || exact || left <= k.tolerance/2)
		if !t.advance(p, last) || last {
			return
		}
	}
}

// advance multiplies f by the Cholesky factor C of step, and says whether there is one. Unless this is the last step, C is the inverse of what inv becomes, a
// matrix in single precision, so that f is exact. work is scratch.
func (t *kronSingle) advance(work dense.Matrix[float64], last bool) bool {
	c := t.step
	diagonal(c, t.sizes)
	if dense.Cholesky(c) >= 0 {
		return false
	}
	if !last {
		dense.InvertLower(c)
		t.amplify(c)
		if t.inv.Rows == 0 {
			t.inv = dense.New[float32](t.p, t.p)
		}
		for i, x := range c.Data {
			t.inv.Data[i] = float32(x)
			c.Data[i] = float64(t.inv.Data[i])
		}
		dense.InvertLower(c)
	}
	dense.MulLower(dense.NoTrans, t.f, c, work)
	t.f.Copy(work)
	return true
}

// amplify makes noise that of the products of an inverse with vectors of the given sizes, their mean squares.
func (t *kronSingle) amplify(inverse dense.Matrix[float64]) {
	t.noise = (t.noise + 1) * amplification(inverse, t.sizes)
}

// amplification returns the mean square of the elements of products of the lower triangular inverse with errors whose mean squares are the sizes.
func amplification(inverse dense.Matrix[float64], sizes []float64) (k float64) {
	for i := range inverse.Rows {
		for j, x := range inverse.Row(i)[:i+1] {
			k += x * x * sizes[j]
		}
	}
	return k / float64(inverse.Rows)
}

func diagonal(a dense.Matrix[float64], to []float64) {
	for i := range a.Rows {
		to[i] = a.At(i, i)
	}
}

// single returns the samples in single precision, scaled to a mean square of one, and false where that is not possible.
func (k *kronIteration) single() (*kronSamples[float32], bool) {
	scale := math.Sqrt(float64(k.count*k.p*k.q) / k.squares)
	if !(scale > 0) || math.IsInf(scale, 1) {
		return nil, false
	}
	v := newKronSamples(k.count, k.p, k.q, func(count, n int) [][]float32 {
		if k.spare != nil {
			return singlePieces(count, n)
		}
		pieces := make([][]float32, count)
		for i, b := range k.y.blocks {
			both := dense.Singles(b.Data[:n])
			pieces[i] = both[:n:n]
			k.spare = append(k.spare, both[n:])
		}
		return pieces
	})
	v.read(k.x, scale)
	return v, true
}

func singlePieces(count, n int) [][]float32 {
	pieces := make([][]float32, count)
	for i := range pieces {
		pieces[i] = make([]float32, n)
	}
	return pieces
}

// flip replaces the samples V by W = C^-1 V and sets p to the mean of the Z Z', Z = W L^-T, with L L' = (1/Np) sum W'W. Where L is far from I, Z takes the
// place of W; elsewhere that would only cost time and digits. It says whether the former sum is positive definite.
func (t *kronSingle) flip(p dense.Matrix[float64], exact bool) bool {
	t.v.whitenRows(t.inv, t.b, 1/float64(t.count*t.p))
	if !t.invertColumns(exact) {
		return false
	}
	switch {
	case exact:
		exactScatter(t.v, t.left, p)
	case t.far():
		t.amplify(t.b)
		t.v.whitenColumns(t.left, p)
	default:
		t.v.rowScatter(t.left, p)
	}
	return true
}

// invertColumns sets b to the inverse of its Cholesky factor, and left to that or, for exact sums, what it differs from I by. It says whether b is positive
// definite.
func (t *kronSingle) invertColumns(exact bool) bool {
	diagonal(t.b, t.sizes)
	if dense.Cholesky(t.b) >= 0 {
		return false
	}
	dense.InvertLower(t.b)
	for i := range t.q {
		for j, x := range t.b.Row(i) {
			if exact && i == j {
				x--
			}
			t.left.Set(i, j, float32(x))
		}
	}
	return true
}

// far says whether b is far from I.
func (t *kronSingle) far() bool {
	var sum float64
	for i := range t.q {
		for j, x := range t.b.Row(i)[:i+1] {
			if i == j {
				x--
			}
			sum += x * x
		}
	}
	return sum > kronSingleFar*kronSingleFar*float64(t.q)
}
