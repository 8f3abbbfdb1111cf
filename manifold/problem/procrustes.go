package problem

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var procrustes = Problem{
	Name:  "procrustes",
	What:  "covariance Procrustes: minimize (1/2m) sum dist^2(R A_k R', B_k) over orthogonal R; the solution is the Kullback mean of the R A_k R', R beside it",
	Input: "2m SPD matrices of one size: A_1, ..., A_m, then B_1, ..., B_m",
	Takes: Matrices,
	Own: []Method{{
		Name: "trust",
		What: "closed form for one pair (Bhatia and Congedo, Linear Algebra Appl. 563 (2019)), otherwise Newton steps on the orthogonal group in mixed precision, " +
			"from the rotation between means, by a secant operator and where the pairs are far apart by a trust region that it preconditions; a local minimum",
		direct: procrustesBy(solve.Trust, true), resumes: true,
	}, {
		Name:   "lbfgs",
		What:   "the same by L-BFGS",
		direct: procrustesBy(solve.LBFGS, false), resumes: true,
	}, {
		Name:   "steepest",
		What:   "the same by steepest descent",
		direct: procrustesBy(solve.Steepest, false), resumes: true,
	}},
}

// rotation is a point of the orthogonal group.
type rotation struct {
	r    dense.Matrix[float64]
	make func() dense.Matrix[float64] // r when it is first asked for; nil if r is there
	none bool                         // r is the identity, which saves products
}

func (p *rotation) matrix() dense.Matrix[float64] {
	if p.make != nil {
		p.r, p.make = p.make(), nil
	}
	return p.r
}

// turning is r, or a matrix without rows for the identity.
func (p *rotation) turning() dense.Matrix[float64] {
	if p.none {
		return dense.Matrix[float64]{}
	}
	return p.r
}

// Clone implements manifold.Point.
func (p *rotation) Clone() manifold.Point { return &rotation{r: p.matrix().Clone()} }

// CopyFrom implements manifold.Point.
func (p *rotation) CopyFrom(q manifold.Point) {
	from := q.(*rotation)
	p.matrix().Copy(from.matrix())
	p.none = from.none
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (p *rotation) MarshalBinary() ([]byte, error) { return appendFloats(nil, p.matrix().Data), nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (p *rotation) UnmarshalBinary(data []byte) error { return readFloats(p.matrix().Data, data) }

// rotations is the orthogonal group with the metric tr(U'V); the tangent vector U at R stands for the velocity U R, U skew-symmetric. Steps are
// Cayley maps, (I - U/2)^-1 (I + U/2) R; vectors are carried along by keeping U, which is an isometry.
type rotations struct {
	n    int
	half dense.Matrix[float64]
	inv  dense.Matrix[float64]
	work []float64
}

// maxTurn bounds the 2-norm of a step: beyond a turn by a right angle or so the Cayley map no longer resembles the exponential.
const maxTurn = 2

func newRotations(n int) *rotations {
	return &rotations{n: n, half: dense.New[float64](n, n), inv: dense.New[float64](n, n), work: make([]float64, dense.CayleyWork(n))}
}

// VectorLen implements manifold.Manifold.
func (g *rotations) VectorLen() int { return g.n * g.n }

// Inner implements manifold.Manifold.
func (g *rotations) Inner(_ manifold.Point, u, v []float64) float64 { return dense.Dot(u, v) }

// Transport implements manifold.Manifold.
func (g *rotations) Transport(_, _ manifold.Point, _ []float64) {}

// FreeTransport implements manifold.FreeTransporter.
func (g *rotations) FreeTransport() bool { return true }

// turn bounds the 2-norm of the step with the given half: by cheap norms where they tell, which may be sqrt(n) times as large, otherwise by its power 8, whose eigenvalues come in pairs.
func (g *rotations) turn() float64 {
	turn := 2 * dense.NormBound(g.half)
	if turn <= maxTurn || !(turn <= maxTurn*math.Sqrt(float64(g.n))) {
		return turn
	}
	square, fourth := g.inv, dense.Wrap(g.n, g.n, g.work)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, g.half, g.half, 0, square)
	dense.Mirror(square)
	dense.GemmUpper(dense.NoTrans, dense.NoTrans, 1, square, square, 0, fourth)
	dense.Mirror(fourth)
	return min(turn, 2*math.Pow(dense.Dot(fourth.Data, fourth.Data)/2, 1./8))
}

// Retract implements manifold.Manifold: two products, one from the identity, and one more for a long step.
func (g *rotations) Retract(dst, p manifold.Point, v []float64) error {
	dense.Scale(0.5, v, g.half.Data)
	if turn := g.turn(); !(turn <= maxTurn) {
		return &manifold.StepError{Norm: turn, Limit: maxTurn}
	}
	dense.CayleyInverse(g.half, g.inv, g.work)
	from, to := p.(*rotation), dst.(*rotation)
	r := to.matrix()
	if from.none {
		dense.Scale(2, g.inv.Data, r.Data)
		for i := range g.n {
			r.Set(i, i, r.At(i, i)-1)
		}
	} else {
		r.Copy(from.matrix())
		dense.Gemm(dense.NoTrans, dense.NoTrans, 2, g.inv, from.matrix(), -1, r)
	}
	to.none = false
	return nil
}

// RandomPoint implements manifold.Manifold: the eigenvectors of a random symmetric matrix with random signs.
func (g *rotations) RandomPoint(rng *rand.Rand) manifold.Point {
	p := &rotation{r: dense.New[float64](g.n, g.n)}
	for i := range g.n {
		for j := i; j < g.n; j++ {
			p.r.Set(i, j, rng.NormFloat64())
		}
	}
	if !eigen.Sym(p.r, make([]float64, g.n)) {
		panic(manifold.Error("RandomPoint: eigendecomposition of a random matrix failed"))
	}
	for j := range g.n {
		if rng.IntN(2) == 0 {
			for i := range g.n {
				p.r.Set(i, j, -p.r.At(i, j))
			}
		}
	}
	return p
}

// procrustesObjective is (1/2m) sum dist^2(R A R', B). With C = R A R', B = L L', K = log(L^-1 C L^-T) and M = L K L^-1 = log(C B^-1) the derivative along
// U is tr((M - M') U): the gradient is the skew-symmetric M' - M.
type procrustesObjective struct {
	lender
	n             int
	a, b          []*manifold.Frame
	upper         []dense.Matrix[float64] // the upper triangles of the A, then of the B
	team          *team
	sum           dense.Matrix[float64]
	r             dense.Matrix[float64]        // the point of the present call
	u             dense.Matrix[float64]        // the vector of the present product
	memo          *procrustesMemo              // of the present call
	only          bool                         // the cost
	own           *procrustesMemo              // where there is none
	term, product func(w *worker, k int) error // evaluateTerm and productTerm
	inverse       *pencil                      // of the means of the B and of the B^-1, made when it is first needed
	last          *procrustesMemo              // of the last evaluation that filled one
	squares       []float64                    // of the distances at the solution, where a fit has them
}

// newProcrustes takes the A, then as many B, and their frames.
func newProcrustes(matrices []mat.Symmetric, frames []*manifold.Frame) *procrustesObjective {
	n, m := frames[0].Dim(), len(frames)/2
	o := &procrustesObjective{n: n, a: frames[:m], b: frames[m:]}
	for _, s := range matrices {
		o.upper = append(o.upper, upperOf(s))
	}
	o.team, o.sum = newLentTeam(n, m, &o.lender), o.matrix(n, n)
	o.term, o.product = o.evaluateTerm, o.productTerm
	return o
}

// preconditioner sets inverse up.
func (o *procrustesObjective) preconditioner() error {
	means := [2]dense.Matrix[float64]{dense.New[float64](o.n, o.n), dense.New[float64](o.n, o.n)}
	weight := 1 / float64(len(o.b))
	for _, f := range o.b {
		dense.GemmUpper(dense.NoTrans, dense.Transposed, weight, view(f.F()), view(f.F()), 1, means[0])
		dense.GemmUpper(dense.Transposed, dense.NoTrans, weight, view(f.Inverse()), view(f.Inverse()), 1, means[1])
	}
	dense.Mirror(means[0])
	dense.Mirror(means[1])
	o.inverse = newPencil(o.n, &o.lender)
	return o.inverse.set(means[0], means[1])
}

// Precondition implements solve.Preconditioner. Where R A_k R' = B_k the Hessian is U -> (1/m) sum (B_k U B_k^-1 + B_k^-1 U B_k) - 2 U. Its first part with the means
// of the B and of their inverses in place of each pair is inverted by five products, the same at every point.
func (o *procrustesObjective) Precondition(dst []float64, _ manifold.Point, v []float64, _ solve.Memo) error {
	if o.inverse == nil {
		if err := o.preconditioner(); err != nil {
			return err
		}
	}
	out := dense.Wrap(o.n, o.n, dst)
	o.inverse.solveAny(out, dense.Wrap(o.n, o.n, v))
	for i := range o.n { // skew to the last bit
		out.Set(i, i, 0)
		for j := range i {
			u := (out.At(i, j) - out.At(j, i)) / 4
			out.Set(i, j, u)
			out.Set(j, i, -u)
		}
	}
	return nil
}

// procrustesMemo holds, for each pair, F = L Q e^(l/2) and F^-1, with L^-1 C L^-T = Q diag(e^l) Q'.
type procrustesMemo struct {
	at     dense.Matrix[float64] // the rotation
	f, inv []dense.Matrix[float64]
	logs   [][]float64
	// stretch has 2 K, K the factors of productTerm, made when the first product asks for them.
	stretch []dense.Matrix[float64]
	ready   []bool
}

// NewMemo implements solve.Memoizer.
func (o *procrustesObjective) NewMemo() solve.Memo {
	m := &procrustesMemo{at: dense.New[float64](o.n, o.n)}
	for range o.a {
		m.f, m.inv = append(m.f, dense.New[float64](o.n, o.n)), append(m.inv, dense.New[float64](o.n, o.n))
		m.logs, m.stretch = append(m.logs, make([]float64, o.n)), append(m.stretch, dense.New[float64](o.n, o.n))
	}
	m.ready = make([]bool, len(o.a))
	return m
}

// Evaluate implements solve.Objective: one eigendecomposition and five products for each pair; eigenvalues and two products without gradient and memo.
func (o *procrustesObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	o.r, o.only = p.(*rotation).matrix(), grad == nil && memo == nil
	if o.memo, _ = memo.(*procrustesMemo); o.memo == nil {
		if o.own == nil {
			o.own = o.NewMemo().(*procrustesMemo)
		}
		o.memo = o.own
	}
	o.last = nil
	if err := o.skewSum(o.term, grad, 1); err != nil {
		return math.Inf(1), err
	}
	if !o.only {
		o.memo.at.Copy(o.r)
		o.last = o.memo
	}
	return o.team.sum(0), nil
}

// skewSum writes scale (S' - S), S the sum of what body adds to the workers' acc, to dst.
func (o *procrustesObjective) skewSum(body func(w *worker, k int) error, dst []float64, scale float64) error {
	for _, w := range o.team.workers {
		w.acc.Zero()
	}
	o.team.share(body)
	o.sum.Zero()
	for _, w := range o.team.workers {
		if w.err != nil {
			return w.err
		}
		dense.Axpy(1, w.acc.Data, o.sum.Data)
	}
	if dst == nil {
		return nil
	}
	for i := range o.n {
		for j := range o.n {
			dst[i*o.n+j] = scale * (o.sum.At(j, i) - o.sum.At(i, j))
		}
	}
	return nil
}

func (o *procrustesObjective) evaluateTerm(w *worker, k int) error {
	m, l, inv := float64(len(o.a)), view(o.b[k].F()), view(o.b[k].Inverse())
	dense.MulLower(dense.NoTrans, inv, o.r, w.t[0])
	dense.MulLowerRight(dense.NoTrans, view(o.a[k].F()), w.t[0], w.t[1])
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w.t[1], w.t[1], 0, w.t[0])
	logs := o.memo.logs[k]
	o.memo.ready[k] = false
	if o.only {
		if !eigen.SymValues(w.t[0], logs) || !(logs[0] > 0) {
			return o.singular(k)
		}
		dense.Log(logs, logs)
		w.sum[0] += dense.Dot(logs, logs) / (2 * m)
		return nil
	}
	if !eigen.Sym(w.t[0], logs) || !(logs[0] > 0) {
		return o.singular(k)
	}
	roots := w.work[:o.n]
	dense.Sqrt(roots, logs)
	dense.Log(logs, logs)
	w.sum[0] += dense.Dot(logs, logs) / (2 * m)
	for i := range o.n {
		for j, v := range w.t[0].Row(i) {
			w.t[1].Set(i, j, v*roots[j])
			w.t[2].Set(j, i, v/roots[j])
		}
	}
	dense.MulLower(dense.NoTrans, l, w.t[1], o.memo.f[k])
	dense.MulLowerRight(dense.NoTrans, inv, w.t[2], o.memo.inv[k])
	for i := range o.n {
		for j, v := range o.memo.f[k].Row(i) {
			w.t[1].Set(i, j, v*logs[j]/m)
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w.t[1], o.memo.inv[k], 1, w.acc)
	return nil
}

func (o *procrustesObjective) singular(k int) error {
	logs := o.memo.logs[k]
	return &manifold.PointError{What: fmt.Sprintf("the pencil of pair %d is not positive definite to rounding", k), Min: logs[0], Max: logs[o.n-1]}
}

// HessianVec implements solve.Hessian: four products for each pair.
func (o *procrustesObjective) HessianVec(dst []float64, _ manifold.Point, v []float64, memo solve.Memo) error {
	o.memo, o.u = memo.(*procrustesMemo), dense.Wrap(o.n, o.n, v)
	return o.skewSum(o.product, dst, -0.5)
}

// productTerm adds F^-T (2 K o (Z + Z') + (l_i - l_j) o Z) F', Z = F^-1 U F, twice the derivative of half the second derivative along e^(tU) R: with eta = Z +
// Z' that is sum K eta^2, K the factors of the Hessian of the squared distance (karcherObjective), and its gradient diag(l) times the covariant
// acceleration Z Z' - Z' Z.
func (o *procrustesObjective) productTerm(w *worker, k int) error {
	f, inv, logs := o.memo.f[k], o.memo.inv[k], o.memo.logs[k]
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inv, o.u, 0, w.t[0])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w.t[0], f, 0, w.t[1])
	if !o.memo.ready[k] {
		stretches(o.memo.stretch[k], logs)
		o.memo.ready[k] = true
	}
	z, g := w.t[1], w.t[0]
	dense.Transpose(w.t[2], z)
	for i, a := range logs {
		row, stretch, zr, zc := g.Row(i), o.memo.stretch[k].Row(i), z.Row(i), w.t[2].Row(i)
		for j, b := range logs {
			row[j] = stretch[j]*(zr[j]+zc[j]) + (a-b)*zr[j]
		}
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1/float64(len(o.a)), inv, g, 0, w.t[2])
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, w.t[2], f, 1, w.acc)
	return nil
}

// stretches sets to to d coth(d/2) for all differences d of the logarithms.
func stretches(to dense.Matrix[float64], logs []float64) {
	for i, a := range logs {
		to.Set(i, i, 2)
		for j, b := range logs[:i] {
			v := 2.0
			if h := (a - b) / 2; math.Abs(h) > 1e-4 {
				v = 2 * h / math.Tanh(h)
			}
			to.Set(i, j, v)
			to.Set(j, i, v)
		}
	}
}

// GradientScale implements solve.Scaler. The gradient has no unit: it is of the order of sqrt(n) where eigenvalues that differ by a factor of e are a
// radian apart.
func (o *procrustesObjective) GradientScale(float64) float64 { return math.Sqrt(float64(o.n)) }

func procrustesBy(minimize solve.Minimize, fit bool) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		var lent lender
		defer lent.recycle()
		frames, err := lent.factor(d.Matrices)
		if err != nil {
			return nil, err
		}
		if len(frames)%2 != 0 {
			return nil, &DataError{count: true, Err: fmt.Errorf("%d matrices are no pairs", len(frames)), Remedy: "give A_1, ..., A_m, then as many B"}
		}
		f := newProcrustes(d.Matrices, frames)
		defer f.recycle()
		r, err := f.run(o, minimize, fit)
		if err != nil {
			return nil, fmt.Errorf("procrustes: %w", err)
		}
		out, err := f.outcome(r)
		if err != nil {
			return nil, fmt.Errorf("procrustes: %w", err)
		}
		return out, nil
	}
}

// run finds the start and minimizes from there, by a fit if asked to.
func (o *procrustesObjective) run(options *Options, minimize solve.Minimize, fit bool) (*solve.Result, error) {
	p, err := o.begin()
	if err != nil {
		return nil, err
	}
	run, group := options.Solver, &rotations{n: o.n, half: o.matrix(o.n, o.n), inv: o.matrix(o.n, o.n), work: o.team.scratch[0].work}
	if len(o.a) == 1 {
		run.MaxIterations, run.AbsoluteTolerance = 1, math.MaxFloat64
		r, err := minimize(group, o, p.rotation(), &run)
		if err == nil {
			r.Reason = solve.Reason{Name: "closed-form", Detail: "eigenvectors matched in order of the eigenvalues", Converged: true}
		}
		return r, err
	}
	if fit && !kept(options) {
		return o.fitted(p, group, run, minimize)
	}
	return minimize(group, o, p.rotation(), &run)
}

// outcome has the mean of the R A R' for solution, which is the image of that of the A.
func (o *procrustesObjective) outcome(r *solve.Result) (*outcome, error) {
	bound, mean, err := o.describe()
	if err != nil {
		return nil, err
	}
	p := r.Point.(*rotation)
	distances, err := o.distances(p)
	if err != nil {
		return nil, err
	}
	work, solution := o.team.scratch[0].t[0], dense.New[float64](o.n, o.n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.r, mean, 0, work)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, work, p.r, 0, solution)
	if gap := r.Objective - bound; gap <= 1e-9*max(1, bound) {
		r.Reason.Detail += fmt.Sprintf(", a global minimum: the cost is within %.3g of its lower bound", max(gap, 0))
	}
	return &outcome{run: r, n: o.n, count: 2 * len(o.a), solution: symmetric(solution), parts: []Part{
		{Name: "rotation", Matrices: []*mat.Dense{mat.NewDense(o.n, o.n, p.r.Data)}}, vectorPart("distances", distances), numberPart("lower_bound", bound)}}, nil
}

// distances returns those of the pairs at p, from the last evaluation if that was there.
func (o *procrustesObjective) distances(p *rotation) ([]float64, error) {
	d := make([]float64, len(o.a))
	if o.squares != nil {
		for k, v := range o.squares {
			d[k] = math.Sqrt(max(v, 0))
		}
		return d, nil
	}
	memo := o.last
	if memo == nil || !slices.Equal(memo.at.Data, p.r.Data) {
		memo = o.NewMemo().(*procrustesMemo)
		if _, err := o.Evaluate(p, nil, memo); err != nil {
			return nil, err
		}
	}
	for k, logs := range memo.logs {
		d[k] = math.Sqrt(dense.Dot(logs, logs))
	}
	return d, nil
}
