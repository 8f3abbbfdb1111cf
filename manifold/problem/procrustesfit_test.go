package problem

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// fitOf returns a fit that has evaluated its start, far or near as asked, with the pairing and the objective.
func fitOf(t *testing.T, d Data, far bool) (*procrustesFit, *pairing, *procrustesObjective) {
	t.Helper()
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		t.Fatal(err)
	}

	o := newProcrustes(d.Matrices, frames)
	p, err := o.pair(o.means(false))
	if err != nil {
		t.Fatal(err)
	}
	var scales, determinants []float64
	for k, a := range o.a {
		scales, determinants = append(scales, relativeScale(a, o.b[k])), append(determinants, a.LogDet()-o.b[k].LogDet())
	}
	f := o.fit(p, scales, determinants, newRotations(o.n))
	f.target = 1e-8
	if far && f.far == nil {
		f.farther()
	}
	goal := 0.0
	if !far {
		f.width, goal = 2, 1e-8
	}
	if (f.far != nil) != far || !f.evaluate(f.at, goal) {
		t.Fatal("no evaluation of the kind asked for")
	}
	f.model.use(f.at.factors)
	if !f.model.prepare() {
		t.Fatal("the pairs are too ill-conditioned")
	}
	return f, p, o
}

// skewIn returns a random skew-symmetric matrix, and Q U Q' for it.
func skewIn(seed uint64, q dense.Matrix[float64]) (u, turned dense.Matrix[float64]) {
	n, s := q.Rows, gallery.NewStream(seed)
	u, turned = dense.New[float64](n, n), dense.New[float64](n, n)
	for i := range n {
		for j := range i {
			v := s.Normal()
			u.Set(i, j, v)
			u.Set(j, i, -v)
		}
	}
	turnBack(q, u, turned)
	return u, turned
}

// turnBack sets dst to Q U Q'.
func turnBack(q, u, dst dense.Matrix[float64]) {
	work := dense.New[float64](q.Rows, q.Rows)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, u, 0, work)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, work, q, 0, dst)
}

// TestProcrustesFitEvaluates what the objective does, by quadrature and by decompositions, whatever the scales of the pairs.
func TestProcrustesFitEvaluates(t *testing.T) {
	const n, m = 14, 3
	d := turned(n, m, 0.2)
	for k := range m {
		s := math.Pow(10, float64(k-1))
		d.Matrices[k].(*mat.SymDense).ScaleSym(s, d.Matrices[k])
	}
	for _, far := range []bool{false, true} {
		f, p, o := fitOf(t, d, far)
		grad, turnedGrad := make([]float64, n*n), dense.New[float64](n, n)
		cost, err := o.Evaluate(p.rotation(), grad, nil)
		if err != nil {
			t.Fatal(err)
		}
		turnBack(p.qb, dense.Wrap(n, n, f.at.grad), turnedGrad)
		dense.Axpy(-1, grad, turnedGrad.Data)
		if e := math.Sqrt(dense.Dot(turnedGrad.Data, turnedGrad.Data)); e > 1e-9 || math.Abs(f.at.cost-cost) > 1e-9*cost {
			t.Errorf("far %v: gradient off by %g, cost %v for %v", far, e, f.at.cost, cost)
		}
		if !far { // in single precision
			f.rough, f.at.norm = true, 0
			if !f.pass(f.at) {
				t.Fatal("no rough evaluation")
			}
			turnBack(p.qb, dense.Wrap(n, n, f.at.grad), turnedGrad)
			dense.Axpy(-1, grad, turnedGrad.Data)
			if e := math.Sqrt(dense.Dot(turnedGrad.Data, turnedGrad.Data)); e > 1e-3*math.Sqrt(dense.Dot(grad, grad)) || e == 0 {
				t.Errorf("rough gradient off by %g of %g", e, math.Sqrt(dense.Dot(grad, grad)))
			}
		}
	}
}

// TestProcrustesFitWidth: it is the root of order 16 of the sum of those powers of the logarithms, at like scale.
func TestProcrustesFitWidth(t *testing.T) {
	f, p, o := fitOf(t, turned(14, 3, 0.2), false)
	memo := o.NewMemo().(*procrustesMemo)
	if _, err := o.Evaluate(p.rotation(), make([]float64, o.n*o.n), memo); err != nil {
		t.Fatal(err)
	}
	var width float64
	for k, logs := range memo.logs {
		c := relativeScale(o.a[k], o.b[k])
		for _, l := range logs {
			l -= c
			width += math.Pow(l, 16)
		}
	}
	width = math.Pow(width, 1./16)
	for _, rough := range []bool{false, true} {
		f.rough = rough
		if f.rounded.Data == nil {
			f.rounded = f.single(f.n, f.n)
		}
		if !f.pass(f.at) || math.Abs(f.width-width) > 1e-3*width {
			t.Errorf("rough %v: width %v, by decompositions %v", rough, f.width, width)
		}
	}
}

// TestRotationsFromTheIdentity: that it is known to be one changes nothing, and a copy of it says so as well.
func TestRotationsFromTheIdentity(t *testing.T) {
	const n = 9
	g, s := newRotations(n), gallery.NewStream(3)
	u := make([]float64, n*n)
	for i := range n {
		for j := range i {
			v := 0.1 * (s.Uniform() - 0.5)
			u[i*n+j], u[j*n+i] = v, -v
		}
	}
	at := func(none bool) *rotation {
		p := &rotation{r: dense.New[float64](n, n), none: none}
		p.r.Identity()
		return p
	}
	want, got := at(false), at(true)
	copied := at(false)
	copied.CopyFrom(at(true))
	if !copied.none {
		t.Error("a copy of the identity is not known as such")
	}
	if err := g.Retract(want, at(false), u); err != nil {
		t.Fatal(err)
	}
	if err := g.Retract(got, copied, u); err != nil || got.none {
		t.Fatalf("%v, an identity: %v", err, got.none)
	}
	for i, v := range want.r.Data {
		if math.Abs(got.r.Data[i]-v) > 1e-15 {
			t.Fatalf("element %d is %v, not %v", i, got.r.Data[i], v)
		}
	}
}

// TestProcrustesFitDamps first steps between near pairs that are too long, by the cost or for the retraction, and no later ones.
func TestProcrustesFitDamps(t *testing.T) {
	for _, c := range []struct {
		stretch      float64
		steps        int
		moved, short bool
	}{{1, 0, true, false}, {5, 0, true, true}, {5, 1, false, false}, {1000, 0, false, true}} {
		f, _, _ := fitOf(t, turned(14, 3, 0.2), false)
		f.rough, f.steps = false, c.steps
		f.model.newton(f.at.grad, 0.01*f.at.norm, 0)
		dense.ToDouble(f.model.step, f.turn)
		f.length = math.Sqrt(dense.Dot(f.turn, f.turn))
		dense.Scale(c.stretch, f.turn, f.turn)
		cost := f.at.cost
		moved, ok := f.move(1e-3 * f.at.norm)
		if !ok || moved != c.moved || f.damped != c.short || moved != (f.at.cost < cost) {
			t.Errorf("%+v: moved %v, shortened %v, cost %v -> %v", c, moved, f.damped, cost, f.at.cost)
		}
	}
}

// TestProcrustesModel: products with tangents are those with the Hessian; the secant operator is as near it as it claims where logarithms reach 7, and much nearer where they
// are small.
func TestProcrustesModel(t *testing.T) {
	for _, c := range []struct {
		name  string
		d     Data
		far   bool
		worst float64 // relative difference of the curvatures
	}{
		{"near", turned(12, 3, 0.02), false, 0.005},
		{"far", noisy(12, 3, 1e6), true, 0.4},
	} {
		f, p, o := fitOf(t, c.d, c.far)
		r, n := p.rotation(), o.n
		memo := o.NewMemo().(*procrustesMemo)
		if _, err := o.Evaluate(r, nil, memo); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(5) {
			u, turned := skewIn(seed+50, p.qb)
			want, back, hu := make([]float64, n*n), dense.New[float64](n, n), make([]float32, n*n)
			if err := o.HessianVec(want, r, turned.Data, memo); err != nil {
				t.Fatal(err)
			}
			exact := dense.Dot(want, turned.Data)
			us := make([]float32, n*n)
			dense.ScaleSingle(1, u.Data, us)
			f.model.operate(us, f.model.secant, f.model.at.inverses, hu)
			dense.Axpy(-2, us, hu)
			if got := float64(dense.Dot(us, hu)); math.Abs(got/exact-1) > c.worst {
				t.Errorf("%s: curvature %v by the secant operator, exactly %v", c.name, got, exact)
			}
			if !c.far {
				continue
			}
			f.model.operate(us, f.model.tangent, f.model.at.transposed, hu)
			dense.ToDouble(hu, u.Data)
			turnBack(p.qb, u, back)
			dense.Axpy(-1, want, back.Data)
			if e := math.Sqrt(dense.Dot(back.Data, back.Data) / dense.Dot(want, want)); e > 1e-3 {
				t.Errorf("exact product off by %g", e)
			}
		}
	}
}

// TestProcrustesModelSolves: solves end at the residual asked for, by products in bytes and in bfloat16 as by those in single precision, in hardly more of them, and at most
// half as many again of those in bytes.
func TestProcrustesModelSolves(t *testing.T) {
	const n = 40
	for name, c := range map[string]struct {
		d   Data
		far bool
	}{
		"near":                {turned(n, 3, 0.1), false},
		"far":                 {noisy(n, 3, 1e6), true},
		"nearly the identity": {noisy(n, 3, 1.1), false},
	} {
		f, _, _ := fitOf(t, c.d, c.far)
		m := f.model
		right := make([]float32, n*n)
		dense.ScaleSingle(1, f.at.grad, right)
		solve := func(goal float64) int {
			before := m.products
			copy(m.res, right)
			if !m.solve(goal * f.at.norm) {
				t.Fatalf("%s: not solved to %g", name, goal)
			}
			products := m.products - before
			m.renew(0)
			if left := norm(m.res) / f.at.norm; left > 1.2*goal {
				t.Errorf("%s, %T: %g is left, asked for %g", name, m.coarse, left, goal)
			}
			return products
		}
		m.coarse = nil
		single := solve(1e-3)
		for coarse, most := range map[coarseOperator]float64{newRoundedOperator(n, 3): 1.2, byteOperatorOf(n, 3): 1.5} {
			if coarse == nil {
				continue
			}
			coarse.set(m)
			m.coarse = coarse
			solve(0.2)
			if products := solve(1e-3); float64(products) > most*float64(single)+2 {
				t.Errorf("%s, %T: %d products, %d in single precision", name, coarse, products, single)
			}
			if m.coarse != coarse {
				t.Errorf("%s: %T has failed", name, coarse)
			}
		}
	}
}

// byteOperatorOf is nil where the processor has no products of bytes.
func byteOperatorOf(n, count int) coarseOperator {
	if o := newByteOperator(n, count); o != nil {
		return o
	}
	return nil
}

// TestProcrustesModelTurnsFiner: where an operator fails, the next finer one takes its place, down to single precision.
func TestProcrustesModelTurnsFiner(t *testing.T) {
	const n = 40
	f, _, _ := fitOf(t, turned(n, 3, 0.1), false)
	m := f.model
	var used []float32
	for range 2 {
		m.coarse = &wrongOperator{newRoundedOperator(n, 3)}
		dense.ScaleSingle(1, f.at.grad, m.res)
		if !m.solve(1e-3 * f.at.norm) {
			t.Fatal("not solved")
		}
		if (m.coarse == nil) != (newRoundedOperator(n, 3) == nil) {
			t.Errorf("%T is left", m.coarse)
		}
		if m.renew(0); norm(m.res) > 1.2e-3*f.at.norm {
			t.Errorf("%g is left", norm(m.res)/f.at.norm)
		}
		used = append(used, m.step[1])
	}
	if used[0] != used[1] {
		t.Error("another step")
	}
}

// wrongOperator has no curvature anywhere.
type wrongOperator struct{ next coarseOperator }

func (o *wrongOperator) Sum(_ float32, _, out dense.Matrix[float32]) { out.Zero() }
func (o *wrongOperator) set(*procrustesModel)                        {}
func (o *wrongOperator) errors() (gain, goal, drift float64)         { return 1, 1, 0 }
func (o *wrongOperator) finer(int, int) coarseOperator               { return o.next }

// noisy are m matrices and their images under a rotation, with a positive definite matrix added that outweighs the small eigenvalues.
func noisy(n, m int, kappa float64) Data {
	a, q := gallery.KarcherScatter(70, n, m, kappa), gallery.Orthogonal(71, n)
	var d Data
	for _, x := range a {
		d.Matrices = append(d.Matrices, symmetric(x.Clone()))
	}
	for k, x := range a {
		b := dense.New[float64](n, n)
		turnBack(q, x, b)
		for i := range n {
			b.Set(i, i, b.At(i, i)*(1+0.02*float64((i+k)%3)))
		}
		d.Matrices = append(d.Matrices, symmetric(b))
	}
	return d
}

// TestProcrustesFarFit: where the logarithms are large the fit goes on by decompositions, to a point that is stationary for the objective, and where L-BFGS stays.
func TestProcrustesFarFit(t *testing.T) {
	const n, m = 20, 3
	d := noisy(n, m, 1e6)
	var seen int
	var point manifold.Point
	last := &rotation{r: dense.New[float64](n, n)}
	r := solved(t, "procrustes", d, &Options{Solver: solve.Options{Callback: func(s *solve.Status) bool {
		if seen++; s.Iteration != seen {
			t.Errorf("iteration %d seen as %d", s.Iteration, seen)
		}
		point = s.Point
		last.CopyFrom(s.Point)
		if !slices.Equal(s.Point.Clone().(*rotation).r.Data, last.r.Data) {
			t.Error("two copies of a point differ")
		}
		return false
	}}})
	if seen != r.Iterations {
		t.Errorf("%d iterations, %d seen", r.Iterations, seen)
	}
	solution := r.Part("rotation").RawMatrix().Data
	if !slices.Equal(last.r.Data, solution) || !slices.Equal(point.Clone().(*rotation).r.Data, solution) {
		t.Error("the last point is not the solution")
	}
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		t.Fatal(err)
	}
	o, grad := newProcrustes(d.Matrices, frames), make([]float64, n*n)
	cost, err := o.Evaluate(&rotation{r: dense.Of(r.Part("rotation").RawMatrix())}, grad, nil)
	if norm := math.Sqrt(dense.Dot(grad, grad)); err != nil || math.Abs(cost-r.Objective) > 1e-10*cost || norm > 2e-8*math.Sqrt(n) {
		t.Errorf("cost %v and gradient %v, by decompositions %v and %v %v", r.Objective, r.GradientNorm, cost, norm, err)
	}
	if width := dense.Dot(r.Part("distances").RawMatrix().Data, r.Part("distances").RawMatrix().Data); width < m*n*fitWidth*fitWidth/4 {
		t.Errorf("squared distances %v: the pairs are not far apart", width)
	}
	if c := r.Certificate; c.Kind != "newton-step" || !(c.Value < 1e-7) {
		t.Errorf("certificate %+v", c)
	}
}

// TestProcrustesScales: scaling the matrices changes the distances as it must, and not the way to the solution.
func TestProcrustesScales(t *testing.T) {
	const n, m = 18, 3
	plain, scaled := turned(n, m, 0.1), turned(n, m, 0.1)
	for k := range m {
		scaled.Matrices[k].(*mat.SymDense).ScaleSym(math.Pow(1000, float64(k-1)), scaled.Matrices[k])
	}
	r, s := solved(t, "procrustes", plain, nil), solved(t, "procrustes", scaled, nil)
	if r.Iterations != s.Iterations || r.HessianProducts != s.HessianProducts {
		t.Errorf("%d iterations with %d products, scaled %d with %d", r.Iterations, r.HessianProducts, s.Iterations, s.HessianProducts)
	}
	if e := distanceRelative(s.Part("rotation"), r.Part("rotation")); e > 1e-6 {
		t.Errorf("rotation off by %g", e)
	}
	o, err := factorMatrices(plain.Matrices)
	if err != nil {
		t.Fatal(err)
	}
	for k := range m { // |log(s C B^-1)|^2 = |log(C B^-1)|^2 + 2 log s log det(C B^-1) + n (log s)^2
		l, d := math.Log(1000)*float64(k-1), r.Part("distances").At(k, 0)
		want := math.Sqrt(d*d + 2*l*(o[k].LogDet()-o[k+m].LogDet()) + n*l*l)
		if got := s.Part("distances").At(k, 0); math.Abs(got-want) > 1e-9*want {
			t.Errorf("distance %d is %v, want %v", k, got, want)
		}
	}
}

// TestLeading: a few powers find the signs of a leading eigenvector.
func TestLeading(t *testing.T) {
	const n = 12
	s, v := gallery.NewStream(31), make([]float64, n)
	c, start := dense.New[float64](n, n), make([]float64, n)
	for i := range v {
		v[i], start[i] = math.Copysign(1+s.Uniform(), s.Normal()), 1
	}
	for i := range n {
		for j := range i {
			x := v[i]*v[j] + 0.1*s.Normal()
			c.Set(i, j, x)
			c.Set(j, i, x)
		}
	}
	start[0] = 0.5 // not orthogonal to v by chance
	q, w := c.Clone(), make([]float64, n)
	if !eigen.Sym(q, w) {
		t.Fatal("no eigenvectors")
	}
	got := leading(c, start)
	sign := math.Copysign(1, got[0]*q.At(0, n-1))
	for i, x := range got {
		if math.Abs(x-sign*q.At(i, n-1)) > 1e-6 {
			t.Errorf("element %d is %v, of the eigenvector %v", i, x, sign*q.At(i, n-1))
		}
	}
}
