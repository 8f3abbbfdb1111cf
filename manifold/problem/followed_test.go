package problem

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestHessianSingle: the products in single precision are those in double precision to single precision.
func TestHessianSingle(t *testing.T) {
	const n = 20
	d := Data{Matrices: scattered(n, 5, 1e3), Weights: []float64{3, 1, 0, 1, 1}}
	for _, name := range []string{"mean", "median"} {
		p, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		in, m, err := p.instance(&d, &Options{Kappa: 2})
		if err != nil {
			t.Fatal(err)
		}
		f := in.start()
		k := in.(followedObjective)
		memo := k.NewMemo()
		if _, err := k.Evaluate(f, make([]float64, n*n), memo); err != nil {
			t.Fatal(err)
		}
		v, got, want := symmetricNormals(3, n), make([]float64, n*n), make([]float64, n*n)
		if err := k.HessianVec(want, f, v, memo); err != nil {
			t.Fatal(err)
		}
		k.hessianVec32(got, v, make([]float32, n*n), f, memo)
		if e := differenceRelative(got, want); !(e < 1e-5) || e == 0 {
			t.Errorf("%s, metric of dimension %d: %.3g away", name, m.Dim(), e)
		}
	}
}

// TestBarycenterSingle: in spectral frames products with the Hessian in single precision, or of operands rounded to bfloat16, have small errors in the metric of Bures and
// Wasserstein at any condition.
func TestBarycenterSingle(t *testing.T) {
	const n = roundedHessian
	for _, kappa := range []float64{10, 1e6, 1e10} {
		p, _ := ByName("barycenter")
		in, _, err := p.instance(&Data{Matrices: scattered(n, 4, kappa), Weights: []float64{3, 1, 0, 1}}, &Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := newBarycenterRun(in.(*barycenterObjective), in.start(), &Options{})
		for range 3 {
			if r.straighten(); r.mon == nil {
				r.mon = iteration.NewMonitor(&solve.Options{}, n*n)
			}
			cost, err := r.evaluateAt(r.next, r.memo)
			if err != nil {
				t.Fatal(err)
			}
			r.accept()
			f, err := manifold.FrameOf(mat.NewDense(n, n, r.f.Data))
			if err != nil {
				t.Fatal(err)
			}
			for _, rounded := range []bool{false, true} {
				want, got := dense.New[float64](n, n), dense.New[float64](n, n)
				u := dense.Wrap(n, n, symmetricNormals(3, n))
				r.exactHessian(t, want, u, f)
				r.rounded = rounded && dense.HasBFloat16()
				r.hessian(got, u)
				dense.Axpy(-1, want.Data, got.Data)
				bound := 5e-7
				if r.rounded {
					bound = 1.5 * roundedError
				}
				if e := math.Sqrt(dense.Dot(got.Data, got.Data) / dense.Dot(u.Data, u.Data)); !(e < bound) {
					t.Errorf("condition %g, rounded %v: error %.3g of the direction", kappa, r.rounded, e)
				}
			}
			r.mon.Done(f, cost, r.gradientNorm(), r.GradientScale(cost))
			r.direction(greatestForcing)
			r.shift()
		}
	}
}

// exactHessian is hessian in double precision: that along geodesics of the affine-invariant metric, with the term of the gradient exchanged.
func (r *barycenterRun) exactHessian(t *testing.T, dst, u dense.Matrix[float64], f *manifold.Frame) {
	n := r.n
	eta, dn := u.Clone(), dense.New[float64](n, n)
	dense.Multiply(u.Data, r.toEta.Data, eta.Data)
	if err := r.HessianVec(dst.Data, f, eta.Data, r.memo); err != nil {
		t.Fatal(err)
	}
	dense.SymmetricProduct(r.first, eta, r.grad, r.work)
	dense.Axpy(-1, r.first.Data, dst.Data)
	for i, li := range r.lengths {
		for j, lj := range r.lengths {
			eta.Set(i, j, eta.At(i, j)*lj/(li+lj))
		}
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, r.grad, eta, 0, dn)
	for i, li := range r.lengths {
		for j, lj := range r.lengths {
			dst.Set(i, j, (dst.At(i, j)+dn.At(i, j)*lj/(li+lj)+dn.At(j, i)*li/(li+lj))*r.toEta.At(i, j))
		}
	}
}

// TestFollowedRoot: from a basis r away from an eigenbasis the square root has an error of order r^2, at most r^2/2 times the largest root.
func TestFollowedRoot(t *testing.T) {
	const n = 12
	a := scattered(n, 1, 1e3)
	frames, err := factorMatrices(a)
	if err != nil {
		t.Fatal(err)
	}
	p, team := manifold.IdentityFrame(n, 1), newTeam(n, 1)
	w := team.workers[0]
	inv, want := view(p.Inverse()), make([]float64, n*n)
	exact := newSpectrum(n)
	root := func(s *spectrum, tol float64) []float64 {
		w.acc.Zero()
		if err := s.locate(inv, inv, view(frames[0].F()), tol, w); err != nil {
			t.Fatal(err)
		}
		s.addRoot(1, w)
		out := w.acc.Clone()
		dense.Mirror(out)
		return out.Data
	}
	copy(want, root(exact, 1e-7))
	gen, q := dense.New[float64](n, n), dense.New[float64](n, n)
	for _, angle := range []float64{1e-2, 1e-3, 1e-4} {
		r := rand.New(rand.NewPCG(4, 4))
		for i := range n {
			for j := range i {
				x := angle * r.NormFloat64()
				gen.Set(i, j, x)
				gen.Set(j, i, -x)
			}
		}
		dense.CayleyInverse(gen, q, w.work)
		s := newSpectrum(n)
		s.known = true
		s.basis.Copy(exact.basis)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 2, exact.basis, q, -1, s.basis)
		got := root(s, math.Inf(1))
		var e float64
		for i, x := range want {
			e += (got[i] - x) * (got[i] - x)
		}
		largest := s.roots[0]
		for _, x := range s.roots {
			largest = max(largest, x)
		}
		if bound := s.residual * s.residual / 2 * largest; s.fresh > 0 || math.Sqrt(e) > 1.1*bound || math.Sqrt(e) < 1e-4*bound {
			t.Errorf("angle %g: error %.3g, bound %.3g, residual %.3g", angle, math.Sqrt(e), bound, s.residual)
		}
	}
}

// TestBarycenterMethods: Newton's method ends where the fixed point and the trust region do, from the default start and from others, and its certificate
// says how far away that is.
func TestBarycenterMethods(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 8))
		n, m := 2+r.IntN(8), 1+r.IntN(6)
		d := Data{Matrices: scattered(n, m, math.Pow(10, 5*r.Float64()))}
		for i := range m {
			d.Weights = append(d.Weights, float64(r.IntN(4)))
			if r.IntN(3) == 0 {
				var b mat.SymDense
				b.ScaleSym(math.Pow(10, 4*r.Float64()-2), d.Matrices[i])
				d.Matrices[i] = &b
			}
		}
		d.Weights[0]++
		o := &Options{Kappa: 1 + r.IntN(2)}
		if r.IntN(2) == 0 {
			var b mat.SymDense
			b.ScaleSym(math.Pow(10, 2*r.Float64()-1), d.Matrices[0])
			o.Start = &b
		}
		got := solved(t, "barycenter", d, o)
		want := solved(t, "barycenter", d, &Options{Method: "trust", Kappa: o.Kappa})
		if e := distanceRelative(got.Solution, want.Solution); e > 1e-5 || math.Abs(got.Objective-want.Objective) > 1e-8*math.Abs(want.Objective)+1e-9 {
			t.Errorf("seed %d: %g away, objective %v, trust %v", seed, e, got.Objective, want.Objective)
		}
	}
}

// TestRoundedProducts: what products of operands rounded to bfloat16 add to a residual is what roundedError says, whatever the scatter and the number of rows.
func TestRoundedProducts(t *testing.T) {
	if !dense.HasBFloat16() {
		t.Skip("no products in bfloat16")
	}
	for _, name := range []string{"mean", "median"} {
		for _, n := range []int{roundedHessian, 90} {
			for _, kappa := range []float64{10, 1e8} {
				p, err := ByName(name)
				if err != nil {
					t.Fatal(err)
				}
				in, _, err := p.instance(&Data{Matrices: scattered(n, 4, kappa)}, &Options{})
				if err != nil {
					t.Fatal(err)
				}
				k, f, memo := in.(followedObjective), manifold.IdentityFrame(n, 1), in.(solve.Memoizer).NewMemo()
				grad, exact, rounded := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
				if _, err := k.Evaluate(f, grad, memo); err != nil {
					t.Fatal(err)
				}
				for _, v := range [][]float64{grad, symmetricNormals(3, n)} {
					k.hessianVec32(exact, v, make([]float32, n*n), f, memo)
					if !k.(roundable).round(true) {
						t.Fatal("not rounded")
					}
					k.hessianVec32(rounded, v, make([]float32, n*n), f, memo)
					k.(roundable).round(false)
					curvature := dense.Dot(v, exact) / dense.Dot(v, v)
					dense.Axpy(-1, exact, rounded)
					e := math.Sqrt(dense.Dot(rounded, rounded)/dense.Dot(v, v)) / curvature
					if !(e > roundedError/2 && e < 1.5*roundedError) {
						t.Errorf("%s, n = %d, condition %g: error %.3g of the direction", name, n, kappa, e)
					}
				}
			}
		}
	}
}
