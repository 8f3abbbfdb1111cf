package problem

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestSignIteration: the solution for products of eigenvectors is as near to the exact one as signError says, and not shorter than bounds says, in any units.
func TestSignIteration(t *testing.T) {
	for _, n := range []int{1, 2, 7, 40} {
		for _, condition := range []float64{1, 30, 3e3, 3e4} {
			for _, unit := range []float64{1, 1e-30, 1e30} {
				h := gallery.SPD(3, n, condition)
				dense.Scale(unit, h.Data, h.Data)
				l := lyapunovInverse{n: n}
				if err := l.set(h, h, 0); err != nil || !l.fast {
					t.Fatalf("n = %d, condition %g, unit %g refused: %v", n, condition, unit, err)
				}
				q, w := h.Clone(), make([]float64, n)
				eigen.Sym(q, w)
				least, longer := l.bounds()
				if !(least <= w[0]) {
					t.Errorf("n = %d, condition %g, unit %g: smallest eigenvalue %g, at least %g promised", n, condition, unit, w[0], least)
				}
				r, y := dense.New[float64](n, n), dense.New[float64](n, n)
				for i := 0; i < n; i += 1 + n/9 {
					for j := 0; j <= i; j += 1 + n/9 {
						for k := range n {
							for l := range n {
								r.Set(k, l, 1e-20*(q.At(k, i)*q.At(l, j)+q.At(k, j)*q.At(l, i)))
							}
						}
						l.solve(y, r)
						share, rounding := dense.Dot(y.Data, r.Data)/dense.Dot(r.Data, r.Data)*(w[i]+w[j])/2, 1e-3+1e-7*condition
						if !(math.Abs(share-1) < signError+rounding && share > 1/longer) {
							t.Errorf("n = %d, condition %g, unit %g: %g of the exact solution, at least %g promised", n, condition, unit, share, 1/longer)
						}
					}
				}
			}
		}
	}
	if h := gallery.SPD(3, 20, 1e6); newSignIteration(20, new(lender)).set(h, h, false) {
		t.Error("condition 1e6 accepted")
	}
	for _, last := range []float64{-1, math.NaN()} {
		if h := dense.Wrap(2, 2, []float64{1, 0, 0, last}); newSignIteration(2, new(lender)).set(h, h, false) {
			t.Errorf("diag(1, %g) accepted", last)
		}
	}
}

// TestLooseSigns: a long solution has the error that it may have and takes fewer steps, at conditions beyond that for short ones too; a short one is as accurate as any.
func TestLooseSigns(t *testing.T) {
	const n = 40
	for _, condition := range []float64{30, 3e3, 1e4, 1e5, 1e6, 1e7} {
		h, y, r, got := gallery.SPD(5, n, condition), gallery.SPD(6, n, 3), dense.New[float64](n, n), dense.New[float64](n, n)
		work := dense.New[float64](n, n)
		made := map[float64]int{}
		for _, size := range []float64{1e-3, 3} {
			l := lyapunovInverse{n: n, loose: true}
			dense.Scale(size/math.Sqrt(dense.Dot(y.Data, y.Data)/n), y.Data, y.Data)
			dense.SymmetricProduct(r, y, h, work)
			if err := l.set(h, r, 0); err != nil {
				t.Fatal(err)
			}
			l.solve(got, r)
			for i, v := range y.Data {
				work.Data[i] = got.Data[i] - v
			}
			off := math.Sqrt(dense.Dot(work.Data, work.Data) / dense.Dot(y.Data, y.Data))
			allowed := 2 * signError
			if size > 1 {
				allowed = 2 * loosest
			}
			if !(off < allowed) {
				t.Errorf("condition %g, length %g: off by %g", condition, size, off)
			}
			if want := condition <= signCondition || size > 1 && condition <= looseCondition; l.fast != want {
				t.Errorf("condition %g, length %g: in single precision %v", condition, size, l.fast)
			}
			if d := l.length(r, work); !(math.Abs(d-math.Sqrt(dense.Dot(got.Data, got.Data))) < 1e-6*d) {
				t.Errorf("condition %g, length %g: length %g", condition, size, d)
			}
			made[size] = l.sign.made
		}
		if condition < signCondition && made[3] >= made[1e-3] {
			t.Errorf("condition %g: steps %v", condition, made)
		}
	}
}

// TestRiccatiBound: near the minimizer the certificate is a bound of the distance, and hardly above it or far below what counts as near; farther away it is the distance.
func TestRiccatiBound(t *testing.T) {
	const n = 12
	for _, condition := range []float64{1e1, 1e3, 1e5} {
		for _, kappa := range []int{1, 2} {
			d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(61, n, condition)), symmetric(gallery.SPD(62, n, condition))}}
			p, _ := ByName("riccati")
			in, m, err := p.instance(&d, &Options{Kappa: kappa})
			if err != nil {
				t.Fatal(err)
			}
			r := in.(*riccatiObjective)
			if err := r.find(); err != nil {
				t.Fatal(err)
			}
			v, at := make([]float64, n*n), r.known.Clone()
			for _, length := range []float64{1e-12, 1e-7, 1e-4, 0.1, 3} {
				m.RandomTangent(v, r.known, rand.New(rand.NewPCG(1, 7)))
				dense.Scale(length, v, v)
				if err := m.Exp(at, r.known, v); err != nil {
					t.Fatal(err)
				}
				memo := r.NewMemo()
				if _, err := r.Evaluate(at, v, memo); err != nil {
					t.Fatal(err)
				}
				norm := math.Sqrt(m.Inner(at, v, v))
				c := r.Certify(at, norm, memo)
				if !c.Bound || !(c.Value > length*(1-1e-6)) || !(c.Value < max(1.6*length, surelyNear)) {
					t.Errorf("condition %g, kappa %d: %g away, certificate %+v", condition, kappa, length, c)
				}
				if c.Kind != "strong-convexity" && length < 1e-5/math.Sqrt(condition) || c.Kind != knownKind && length > 1 {
					t.Errorf("condition %g: %g away, certificate %+v", condition, length, c)
				}
			}
		}
	}
}

// TestRiccatiDenied: a run with a loose tolerance that ends far from the minimizer is measured by the closed form, and has not converged.
func TestRiccatiDenied(t *testing.T) {
	d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(61, 10, 1e6)), symmetric(gallery.SPD(62, 10, 1e6))}}
	r, err := Solve("riccati", d, &Options{Method: "trust", Solver: solve.Options{MaxIterations: 2}})
	if err != nil || r.Converged || r.Certificate.Kind != knownKind || !(r.Certificate.Value > 0.1) {
		t.Errorf("two iterations: %+v %v", r, err)
	}
}

// TestRiccatiPairs: L-BFGS in frames that turn goes by the preconditioner while steps are long, so that it needs hardly more iterations than steepest descent.
func TestRiccatiPairs(t *testing.T) {
	for _, n := range []int{3, 20, 40} {
		for _, condition := range []float64{1e2, 1e6, 1e8} {
			d := Data{Matrices: []mat.Symmetric{symmetric(gallery.SPD(71, n, condition)), symmetric(gallery.SPD(72, n, condition))}}
			iterations := map[string]int{}
			for _, method := range []string{"steepest", "lbfgs"} {
				r, err := Solve("riccati", d, &Options{Method: method})
				if err != nil || !r.Converged {
					t.Fatalf("n = %d, condition %g by %s: %+v, %v", n, condition, method, r, err)
				}
				iterations[method] = r.Iterations
			}
			if iterations["lbfgs"] > iterations["steepest"]+4 {
				t.Errorf("n = %d, condition %g: iterations %v", n, condition, iterations)
			}
		}
	}
}

// TestHopelessSigns: after an ill-conditioned matrix the sign iteration is not tried for shorter right-hand sides, but for longer ones, and always where a run may be resumed.
func TestHopelessSigns(t *testing.T) {
	const n = 20
	bad, good, r := gallery.SPD(3, n, 1e7), gallery.SPD(4, n, 10), gallery.SPD(5, n, 10)
	longer := r.Clone()
	dense.Scale(2, r.Data, longer.Data)
	for _, c := range []struct {
		r      dense.Matrix[float64]
		afresh bool
		fast   bool
	}{{r, false, false}, {longer, false, true}, {r, true, true}} {
		l := lyapunovInverse{n: n, afresh: c.afresh}
		if err := l.set(bad, r, 0); err != nil || l.fast {
			t.Fatalf("condition 1e7 in single precision: %v, %v", l.fast, err)
		}
		if err := l.set(good, c.r, 0); err != nil || l.fast != c.fast {
			t.Errorf("afresh %v: in single precision %v, %v", c.afresh, l.fast, err)
		}
	}
}

// TestHeldInverse: the inverse of a matrix serves for those near it, within what bounds says of them, and is made anew for others and wherever a run may be resumed.
func TestHeldInverse(t *testing.T) {
	const n = 30
	for _, condition := range []float64{30, 1e6} {
		h, e, r := gallery.SPD(3, n, condition), gallery.SPD(4, n, 1), gallery.SPD(5, n, 10)
		q, w := h.Clone(), make([]float64, n)
		eigen.Sym(q, w)
		for _, share := range []float64{-0.24, -1e-3, 0.24} {
			l := lyapunovInverse{n: n}
			if err := l.set(h, r, 0); err != nil {
				t.Fatal(err)
			}
			held, _ := l.bounds()
			near := h.Clone()
			dense.Axpy(share*held/math.Sqrt(dense.Dot(e.Data, e.Data)), e.Data, near.Data)
			if err := l.set(near, r, heldForLength); err != nil || math.Abs(l.away-math.Abs(share)) > 1e-6 {
				t.Fatalf("condition %g, share %g: %g of the smallest eigenvalue away, %v", condition, share, l.away, err)
			}
			got, want, work := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
			l.solve(got, r)
			least, longer := l.bounds()
			exact := newPencil(n, new(lender))
			if err := exact.decompose(near); err != nil {
				t.Fatal(err)
			}
			exact.solve(want, r)
			if !(least <= exact.mu[0]) || !(norm(want.Data) <= longer*norm(got.Data)) {
				t.Errorf("condition %g, share %g: smallest eigenvalue %g, promised %g; solution of length %g, at most %g promised",
					condition, share, exact.mu[0], least, norm(want.Data), longer*norm(got.Data))
			}
			if err := l.set(near, r, math.Abs(share)/2); err != nil || l.away != 0 {
				t.Errorf("condition %g, share %g: not made anew: %g, %v", condition, share, l.away, err)
			}
			if l.length(r, work); l.distance(near) != 0 {
				t.Errorf("condition %g, share %g: it holds another matrix", condition, share)
			}
			l.afresh = true
			if l.set(near, r, 1); l.away != 0 || !math.IsInf(l.distance(near), 1) {
				t.Errorf("condition %g, share %g: a run that may be resumed uses what it holds", condition, share)
			}
		}
	}
}
