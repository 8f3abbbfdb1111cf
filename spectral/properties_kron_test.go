package spectral

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// randKron has random factors and scale.
func randKron(t testing.TB, seed uint64, sizes ...int) *Kron {
	r := newRand(t, seed)
	var parts []*Factor
	for _, n := range sizes {
		parts = append(parts, randFactor(t, r, n, 10))
	}
	k, err := KronOf(1.7, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func denseKron(k *Kron) *mat.SymDense {
	var s mat.SymDense
	k.ToSym(&s)
	return &s
}

func randTensor(r interface{ NormFloat64() float64 }, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func logDets(k *Kron) float64 {
	var e float64
	for i := range k.Parts() {
		e = max(e, math.Abs(k.Part(i).LogDet()))
	}
	return e
}

// withPart returns alpha times the Kronecker product of the factors with factor p replaced by e.
func withPart(k *Kron, p int, e mat.Matrix) *mat.Dense {
	out := mat.NewDense(1, 1, []float64{k.Alpha()})
	for i := range k.Parts() {
		factor := e
		if i != p {
			factor = formed(k.Part(i))
		}
		var next mat.Dense
		next.Kronecker(out, factor)
		out = &next
	}
	return out
}

// unitSym is the symmetric matrix with 1/2 at (i, j) and (j, i), or 1 at (i, i).
func unitSym(n, i, j int) *mat.SymDense {
	e := mat.NewSymDense(n, nil)
	e.SetSym(i, j, 0.5)
	if i == j {
		e.SetSym(i, i, 1)
	}
	return e
}

func inner(a, b mat.Matrix) float64 {
	var p mat.Dense
	p.MulElem(a, b)
	return mat.Sum(&p)
}

// contractions computes tr(G S) and the partial traces P_p by their definition, P_p[i][j] = <G, S with S_p replaced by the unit matrix ij>.
func contractions(k *Kron, g mat.Matrix) (float64, []mat.Symmetric) {
	var ps []mat.Symmetric
	for p := range k.Parts() {
		n := k.Part(p).Dim()
		out := mat.NewSymDense(n, nil)
		for i := range n {
			for j := i; j < n; j++ {
				out.SetSym(i, j, inner(g, withPart(k, p, unitSym(n, i, j))))
			}
		}
		ps = append(ps, out)
	}
	return inner(g, denseKron(k)), ps
}

// klGradient returns G = 1/2 (gamma S^-1 - S^-1 Q S^-1).
func klGradient(s, q *mat.SymDense, gamma float64) *mat.SymDense {
	var inv mat.Dense
	if err := inv.Inverse(s); err != nil {
		panic(err)
	}
	g := sgs(symmetrised(&inv), q)
	g.Sub(scaled(gamma, &inv), g)
	g.Scale(0.5, g)
	return symmetrised(g)
}

func scaled(c float64, m mat.Matrix) *mat.Dense {
	var d mat.Dense
	d.Scale(c, m)
	return &d
}

func outer(xs [][]float64, ridge float64) *mat.SymDense {
	n := len(xs[0])
	q := mat.NewSymDense(n, nil)
	for _, x := range xs {
		q.SymRankOne(q, 1/float64(len(xs)), mat.NewVecDense(n, x))
	}
	for i := range n {
		q.SetSym(i, i, q.At(i, i)+ridge)
	}
	return q
}

func TestProperty09Kronecker(t *testing.T) {
	t.Run("closed form is the generic one", kronClosedForm)
	t.Run("first order on the Kronecker tangent space", kronFirstOrder)
	t.Run("determinants", kronDeterminants)
	t.Run("one column is the full matrix", kronDegenerate)
	t.Run("transpose", kronTranspose)
	t.Run("flip-flop", kronFlipFlop)
	t.Run("product curvature", kronProduct)
	t.Run("three ways", kronThreeWay)
	t.Run("powers", kronPowers)
}

func kronClosedForm(t *testing.T) {
	r := newRand(t, 90)
	for _, sizes := range [][]int{{4, 3}, {3, 2, 2}} {
		for _, ridge := range []float64{0, 0.3} {
			for name, o := range ordered(modes) {
				const beta = 0.02
				a := randKron(t, 91, sizes...)
				b := a.Clone()
				xs := [][]float64{randTensor(r, 12), randTensor(r, 12), randTensor(r, 12)}
				tr, p := contractions(a, klGradient(denseKron(a), outer(xs, ridge), 0.9))
				a.Learn(xs, beta, 0.9, ridge, &o)
				b.Gradient(tr, p, beta, 2, &o)
				// Under RotatedDiagonal the closed form keeps its increments positive by leaving the decay to alpha: equal to first order.
				tol := 1e-13
				if o.Eigenvalues == RotatedDiagonal {
					tol = 100 * beta * beta
				}
				if e := relDiff(denseKron(a), denseKron(b)); e > tol {
					t.Errorf("%v, %s, ridge %v: %.2g", sizes, name, ridge, e)
				}
			}
		}
	}
}

// kronFirstOrder compares the step with the metric projection of -beta kappa S G S on the tangent space of the products, computed by least squares.
func kronFirstOrder(t *testing.T) {
	r := newRand(t, 92)
	for _, sizes := range [][]int{{3, 4}, {3, 2, 2}, {4}} {
		k := randKron(t, 93, sizes...)
		// G = S^-1/2 E S^-1/2, so that beta S G is small whatever the spread of S.
		whole, err := FromSym(denseKron(k))
		if err != nil {
			t.Fatal(err)
		}
		var inv mat.SymDense
		whole.PowSym(-0.5, &inv)
		g := symmetrised(conjugateDense(&inv, randSym(r, k.Dim())))
		tr, p := contractions(k, g)
		tangent := projected(k, g)
		for name, o := range ordered(modes) {
			wantSecondOrder(t, fmt.Sprintf("%v, %s", sizes, name), func(beta float64) float64 {
				c := k.Clone()
				c.Gradient(tr, p, beta, 1, &o)
				want := denseKron(k)
				want.AddSym(want, symmetrised(scaled(-beta, tangent)))
				return relDiff(denseKron(c), want)
			})
		}
	}
}

// projected returns the projection of S G S on the sums of products with one factor replaced, orthogonal in the metric tr(S^-1 X S^-1 Y).
func projected(k *Kron, g *mat.SymDense) *mat.Dense {
	s := denseKron(k)
	whole, err := FromSym(s)
	if err != nil {
		panic(err)
	}
	var half mat.SymDense
	whole.PowSym(-0.5, &half)
	var columns []float64
	var basis []*mat.Dense
	for p := range k.Parts() {
		n := k.Part(p).Dim()
		for i := range n {
			for j := i; j < n; j++ {
				x := withPart(k, p, unitSym(n, i, j))
				basis = append(basis, x)
				columns = append(columns, conjugateDense(&half, x).RawMatrix().Data...)
			}
		}
	}
	size := k.Dim() * k.Dim()
	a := mat.DenseCopyOf(mat.NewDense(len(basis), size, columns).T())
	rhs := mat.NewDense(size, 1, conjugateDense(&half, sgs(s, g)).RawMatrix().Data)
	// The scale direction is in the basis once per factor, so that the least-squares problem is rank deficient: use the SVD.
	var svd mat.SVD
	svd.Factorize(a, mat.SVDThin)
	var coef mat.Dense
	svd.SolveTo(&coef, rhs, svd.Rank(1e-10))
	out := mat.NewDense(k.Dim(), k.Dim(), nil)
	for i, b := range basis {
		out.Add(out, scaled(coef.At(i, 0), b))
	}
	return out
}

func conjugateDense(a, m mat.Matrix) *mat.Dense {
	var p mat.Dense
	p.Product(a, m, a)
	return &p
}

func kronDeterminants(t *testing.T) {
	r := newRand(t, 94)
	for name, o := range ordered(modes) {
		k := NewKron(1, 4, 5)
		for s := range 1600 {
			x := randTensor(r, 20)
			k.Learn([][]float64{x}, 0.05, 1, 0, &o)
			if e := logDets(k); e > 1e-12 {
				t.Fatalf("%s: log-determinant %.2g after step %d", name, e, s)
			}
		}
	}
}

func kronDegenerate(t *testing.T) {
	r := newRand(t, 95)
	for name, o := range ordered(modes) {
		if name == "default" {
			continue // the full matrix then has no exponential scale; see kronFirstOrder
		}
		o.MaxExponent = math.Inf(1)
		f := randFactor(t, r, 5, 20)
		k, err := KronOf(1, f, Identity(1, 1))
		if err != nil {
			t.Fatal(err)
		}
		x := randTensor(r, 5)
		k.Learn([][]float64{x}, 0.03, 0.9, 0, &o)
		f.Update(Increment{Decay: 0.03 * 0.9, Vectors: mat.NewDense(5, 1, x), Weights: []float64{0.03}}, &o)
		if e := relDiff(denseKron(k), formed(f)); e > 1e-13 {
			t.Errorf("%s: %.2g", name, e)
		}
	}
}

func kronTranspose(t *testing.T) {
	r := newRand(t, 96)
	for name, o := range ordered(modes) {
		k := randKron(t, 97, 3, 5)
		swapped, err := KronOf(k.Alpha(), k.Part(1), k.Part(0))
		if err != nil {
			t.Fatal(err)
		}
		x := randTensor(r, 15)
		xt := mat.DenseCopyOf(mat.NewDense(3, 5, x).T()).RawMatrix().Data
		k.Learn([][]float64{x}, 0.05, 1, 0.1, &o)
		swapped.Learn([][]float64{xt}, 0.05, 1, 0.1, &o)
		for i := range 2 {
			if e := relDiff(formed(k.Part(i)), formed(swapped.Part(1-i))); e > 1e-13 {
				t.Errorf("%s: factor %d differs by %.2g", name, i, e)
			}
		}
		if e := math.Abs(k.Alpha()-swapped.Alpha()) / k.Alpha(); e > 1e-13 {
			t.Errorf("%s: alpha differs by %.2g", name, e)
		}
	}
}

// kronFlipFlop compares the fixed point with the matrix-normal maximum-likelihood equations solved by alternation.
func kronFlipFlop(t *testing.T) {
	const m, n = 3, 4
	r := newRand(t, 98)
	var xs [][]float64
	for range 30 {
		xs = append(xs, randTensor(r, m*n))
	}
	c, kk := mat.NewSymDense(m, nil), mat.NewSymDense(n, nil)
	for i := range m {
		c.SetSym(i, i, 1)
	}
	for range 500 {
		kk = flip(xs, m, n, c, true)
		c = flip(xs, m, n, kk, false)
	}
	var want mat.Dense
	want.Kronecker(c, kk)
	for name, o := range ordered(modes) {
		k := randKron(t, 99, m, n)
		for range 500 {
			k.Learn(xs, 0.2, 1, 0, &o)
		}
		if e := relDiff(denseKron(k), &want); e > 1e-10 {
			t.Errorf("%s: distance to the maximum-likelihood estimate %.3g", name, e)
		}
	}
}

// flip returns E[X^T C^-1 X]/m for the columns, or E[X K^-1 X^T]/n for the rows.
func flip(xs [][]float64, m, n int, other *mat.SymDense, columns bool) *mat.SymDense {
	var inv mat.Dense
	if err := inv.Inverse(other); err != nil {
		panic(err)
	}
	size, norm := m, n
	if columns {
		size, norm = n, m
	}
	sum := mat.NewDense(size, size, nil)
	for _, v := range xs {
		x := mat.NewDense(m, n, v)
		var p mat.Dense
		if columns {
			p.Product(x.T(), &inv, x)
		} else {
			p.Product(x, &inv, x.T())
		}
		sum.Add(sum, &p)
	}
	sum.Scale(1/float64(norm*len(xs)), sum)
	return symmetrised(sum)
}

func kronProduct(t *testing.T) {
	r := newRand(t, 100)
	for _, ridge := range []float64{0, 0.2} {
		o := Step{Eigenvalues: Exponential}
		a := randKron(t, 101, 4, 3)
		b := a.Clone()
		u, v := spd(r, 4), spd(r, 3)
		var q mat.Dense
		q.Kronecker(u, v)
		for i := range 12 {
			q.Set(i, i, q.At(i, i)+ridge)
		}
		tr, p := contractions(a, klGradient(denseKron(a), symmetrised(&q), 1))
		a.LearnProduct([]mat.Symmetric{u, v}, 0.02, 1, ridge, &o)
		b.Gradient(tr, p, 0.02, 2, &o)
		if e := relDiff(denseKron(a), denseKron(b)); e > 1e-13 {
			t.Errorf("ridge %v: %.2g", ridge, e)
		}
	}
}

// kronThreeWay checks the first-order change of the scale and of the objective's value for three factors against dense arithmetic.
func kronThreeWay(t *testing.T) {
	r := newRand(t, 102)
	k := randKron(t, 103, 3, 2, 4)
	xs := [][]float64{randTensor(r, 24), randTensor(r, 24)}
	q := outer(xs, 0.1)
	for name, o := range ordered(modes) {
		// The step is minus the Riemannian gradient, so that the decrease of L is beta times its squared length in the metric, which for tangent
		// X is 1/2 tr(S^-1 X S^-1 X).
		const beta = 1e-4
		c := k.Clone()
		c.Learn(xs, beta, 1, 0.1, &o)
		s, next := denseKron(k), denseKron(c)
		var inv, x mat.Dense
		if err := inv.Inverse(s); err != nil {
			t.Fatal(err)
		}
		x.Sub(next, s)
		x.Mul(&inv, &x)
		x.Mul(&x, &x)
		length := 0.5 * x.Trace() / (beta * beta)
		if ratio := (klLoss(s, q) - klLoss(next, q)) / (beta * length); math.Abs(ratio-1) > 0.01 {
			t.Errorf("%s: decrease over beta |grad|^2 is %.5f", name, ratio)
		}
	}
}

func klLoss(s, q *mat.SymDense) float64 {
	var ch mat.Cholesky
	if !ch.Factorize(s) {
		panic("not positive definite")
	}
	var x mat.Dense
	if err := ch.SolveTo(&x, q); err != nil {
		panic(err)
	}
	return 0.5 * (ch.LogDet() + x.Trace())
}

func kronPowers(t *testing.T) {
	r := newRand(t, 104)
	for _, sizes := range [][]int{{4, 3}, {3, 2, 4}, {5}, {1, 6}} {
		k := randKron(t, 105, sizes...)
		whole, err := FromSym(denseKron(k))
		if err != nil {
			t.Fatal(err)
		}
		x := randTensor(r, k.Dim())
		got, want := make([]float64, k.Dim()), make([]float64, k.Dim())
		for _, p := range []float64{-1, -0.5, -0.25, 0.3, 1, 2} {
			k.Pow(p, got, x)
			whole.PowVec(p, want, x)
			wantSlice(t, "power", got, want, 1e-10)
		}
		if e := math.Abs(k.Cond()/whole.Cond() - 1); e > 1e-10 {
			t.Errorf("%v: condition differs by %.2g", sizes, e)
		}
		if e := math.Abs(k.LogDet() - whole.LogDet()); e > 1e-10 {
			t.Errorf("%v: log-determinant differs by %.2g", sizes, e)
		}
		if e := math.Abs(k.LogDensity(x) - whole.LogDensity(x)); e > 1e-9 {
			t.Errorf("%v: log-density differs by %.2g", sizes, e)
		}
		other := randKron(t, 106, sizes...)
		wother, err := FromSym(denseKron(other))
		if err != nil {
			t.Fatal(err)
		}
		if e := math.Abs(k.KL(other) - whole.KL(wother)); e > 1e-9 {
			t.Errorf("%v: KL differs by %.2g", sizes, e)
		}
	}
}
