package esadapt

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

func randomRotation(n int, seed uint64) *mat.Dense {
	random := rand.New(rand.NewPCG(seed, 9))
	a := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			a.Set(i, j, random.NormFloat64())
		}
	}
	var qr mat.QR
	qr.Factorize(a)
	var q mat.Dense
	qr.QTo(&q)
	return &q
}

func permutation(n int) *mat.Dense {
	p := mat.NewDense(n, n, nil)
	for i := range n {
		p.Set(i, (3*i+1)%n, 1)
	}
	return p
}

// startIn replaces the covariance of a new cma by r diag(d) r^T, with the columns of r as basis.
func startIn(t *testing.T, s Strategy, r *mat.Dense, d []float64) *cma {
	t.Helper()
	c := s.(*cma)
	factor, err := spectral.FromEigen(r, d)
	if err != nil {
		t.Fatal(err)
	}
	cov := c.cov.(*covariance)
	cov.factor = factor
	cov.read()
	return c
}

// A similarity x -> shift + scale R x of the problem, with the start and the basis moved along, moves every point of the run along.
func TestSimilarityInvariance(t *testing.T) {
	const n = 7
	f := function(t, "ellipsoid", n)
	for name, r := range map[string]*mat.Dense{"rotation": randomRotation(n, 4), "permutation": permutation(n)} {
		const scale, shift = 37.0, 2.5
		forward := func(x []float64) []float64 {
			y := make([]float64, n)
			dense.Gemv(dense.NoTrans, scale, dense.Of(r.RawMatrix()), x, 0, y)
			for i := range y {
				y[i] += shift
			}
			return y
		}
		back := func(y []float64) []float64 {
			moved, x := make([]float64, n), make([]float64, n)
			for i := range y {
				moved[i] = (y[i] - shift) / scale
			}
			dense.Gemv(dense.Transposed, 1, dense.Of(r.RawMatrix()), moved, 0, x)
			return x
		}
		start := make([]float64, n)
		for i := range start {
			start[i] = 1 + float64(i)/3
		}
		ones := make([]float64, n)
		for i := range ones {
			ones[i] = 1
		}
		a, _ := NewStrategy("cma", Setup{Mean: start, Sigma: 0.5, Seed: 8})
		b, _ := NewStrategy("cma", Setup{Mean: forward(start), Sigma: 0.5 * scale, Seed: 8})
		startIn(t, b, r, ones)
		for g := range 30 {
			x, y := a.Ask(), b.Ask()
			for k := range x {
				moved := forward(x[k])
				for i := range moved {
					if math.Abs(moved[i]-y[k][i]) > 1e-7*scale {
						t.Fatalf("%s, generation %d, candidate %d: %v, want %v", name, g, k, y[k], moved)
					}
				}
			}
			step(t, a, f.Eval)
			step(t, b, func(y []float64) float64 { return f.Eval(back(y)) })
		}
	}
}

// Under a general affine map A = R diag(s) the covariance after an update is A C A^T, if the points are mapped along.
func TestAffineInvarianceOfTheUpdate(t *testing.T) {
	const n = 6
	f := function(t, "rosenbrock", n)
	r := randomRotation(n, 12)
	s := []float64{1e-3, 0.1, 1, 7, 300, 1e4}
	a := mat.DenseCopyOf(r)
	squares := make([]float64, n)
	for j := range n {
		squares[j] = s[j] * s[j]
		for i := range n {
			a.Set(i, j, r.At(i, j)*s[j])
		}
	}
	start := make([]float64, n)
	tuning := Tuning{Exact: true, Batch: 1}
	plain, _ := NewStrategy("cma", Setup{Mean: start, Sigma: 0.3, Seed: 2, Tuning: tuning})
	mapped, _ := NewStrategy("cma", Setup{Mean: start, Sigma: 0.3, Seed: 2, Tuning: tuning})
	c := startIn(t, mapped, r, squares)
	values := evaluateAll(f, plain.Ask())
	mapped.Ask()
	for _, x := range []Strategy{plain, mapped} {
		if err := x.Tell(values); err != nil {
			t.Fatal(err)
		}
	}
	got, have := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	c.cov.(*covariance).factor.ToSym(got)
	plain.(*cma).cov.(*covariance).factor.ToSym(have)
	var want mat.Dense
	want.Product(a, have, a.T())
	for i := range n {
		for j := range n {
			if d := math.Abs(got.At(i, j) - want.At(i, j)); d > 1e-10*math.Sqrt(want.At(i, i)*want.At(j, j)) {
				t.Errorf("C[%d][%d] = %v, want %v", i, j, got.At(i, j), want.At(i, j))
			}
		}
	}
	if plain.(*cma).sigma != c.sigma {
		t.Errorf("sigma %v, want %v", c.sigma, plain.(*cma).sigma)
	}
}

// Batched and exact covariance updates describe the same recursion: with the samples held fixed, B diag(sd) T diag(sd) B^T + keep C after k generations is what
// the textbook has after k generations in which it samples from the older C. Here: the pending target of a batch, folded exactly, is the sum of its parts.
func TestBatchedIncrementsAreExact(t *testing.T) {
	const n, k = 5, 6
	random := rand.New(rand.NewPCG(3, 3))
	c := newCovariance(n, 2, k, &Tuning{Exact: true})
	factor, err := spectral.FromEigen(randomRotation(n, 1), []float64{1, 2, 5, 20, 90})
	if err != nil {
		t.Fatal(err)
	}
	c.factor = factor
	c.read()
	want := mat.NewSymDense(n, nil)
	factor.ToSym(want)
	path := []float64{1, -2, 0.5, 3, 1}
	ambient := make([]float64, n)
	dense.Gemv(dense.NoTrans, 1, c.basis, path, 0, ambient)
	for range k {
		a := 0.02 + 0.05*random.Float64()
		c.decay(a)
		want.ScaleSym(1-a, want)
		for _, w := range []float64{0.05, -0.01} {
			z, y := make([]float64, n), mat.NewVecDense(n, nil)
			for j := range z {
				z[j] = random.NormFloat64()
			}
			c.colorOne(y.RawVector().Data, z)
			c.add(w, z)
			want.SymRankOne(want, w, y)
		}
	}
	if r := c.fold(path); r.Err != nil {
		t.Fatal(r.Err)
	}
	got := mat.NewSymDense(n, nil)
	c.factor.ToSym(got)
	var diff mat.Dense
	diff.Sub(got, want)
	if d := mat.Norm(&diff, 2); d > 1e-11*mat.Norm(want, 2) {
		t.Errorf("folded C differs by %.2e", d)
	}
	carried := make([]float64, n)
	dense.Gemv(dense.NoTrans, 1, c.basis, path, 0, carried)
	for i := range carried {
		if math.Abs(carried[i]-ambient[i]) > 1e-12 {
			t.Errorf("path[%d] = %v after the turn, want %v", i, carried[i], ambient[i])
		}
	}
}
