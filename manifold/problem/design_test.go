package problem

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// cube returns the corners of [-1, 1]^n.
func cube(n int) *mat.Dense {
	x := mat.NewDense(1<<n, n, nil)
	for i := range 1 << n {
		for j := range n {
			x.Set(i, j, float64(2*(i>>j&1)-1))
		}
	}
	return x
}

// TestEllipsoidOfTheCube is the ball of radius sqrt(n), wherever the cube is; points inside change nothing.
func TestEllipsoidOfTheCube(t *testing.T) {
	for n := 1; n <= 5; n++ {
		x := cube(n)
		x.Apply(func(_, j int, v float64) float64 { return v + 10*float64(j) }, x)
		var all mat.Dense
		all.Stack(x, mat.NewDense(1, n, []float64{0.5, 10, 20, 30.2, 40}[:n]))
		r := solved(t, "mve", Data{Samples: &all}, nil)
		for j := range n {
			if d := math.Abs(r.Part("center").At(j, 0) - 10*float64(j)); d > 1e-7 || math.Abs(r.Solution.At(j, j)-1/float64(n)) > 1e-7 {
				t.Errorf("n = %d: center %g off, %v", n, d, mat.Formatted(r.Solution))
			}
		}
		if v := r.Part("log_volume").At(0, 0); n == 2 && math.Abs(v-math.Log(2*math.Pi)) > 1e-7 {
			t.Errorf("log of the area %v, want log of 2 pi", v)
		}
	}
}

// multiplicative is Titterington's iteration u <- u g/d.
func multiplicative(x *mat.Dense, steps int) *mat.SymDense {
	N, d := x.Dims()
	u := make([]float64, N)
	for i := range u {
		u[i] = 1 / float64(N)
	}
	m := mat.NewSymDense(d, nil)
	for range steps {
		m.Zero()
		for i := range N {
			m.SymRankOne(m, u[i], x.RowView(i))
		}
		var c mat.Cholesky
		c.Factorize(m)
		for i := range N {
			var z mat.VecDense
			c.SolveVecTo(&z, x.RowView(i))
			u[i] *= mat.Dot(&z, x.RowView(i)) / float64(d)
		}
	}
	return m
}

func TestDesignAgainstTheMultiplicativeIteration(t *testing.T) {
	x := dataOf(gallery.NewStream(71).Normals(40, 4))
	r := solved(t, "dopt", Data{Samples: x}, nil)
	if d := distanceRelative(r.Solution, multiplicative(x, 20000)); d > 1e-3 {
		t.Errorf("%g away", d)
	}
	// Kiefer and Wolfowitz, with gonum.
	var c mat.Cholesky
	c.Factorize(r.Solution)
	var sum float64
	for i := range 40 {
		var z mat.VecDense
		c.SolveVecTo(&z, x.RowView(i))
		g, u := mat.Dot(&z, x.RowView(i)), r.Part("weights").At(i, 0)
		sum += u
		if g > 4*(1+2e-8) || (u > 0 && g < 4*(1-2e-8)) || u < 0 {
			t.Errorf("point %d: g = %v with weight %v", i, g, u)
		}
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("the weights sum to %v", sum)
	}
}

// TestQuadraticRegression: the D-optimal design on [-1, 1] puts a third each on -1, 0 and 1.
func TestQuadraticRegression(t *testing.T) {
	x := mat.NewDense(201, 3, nil)
	for i := range 201 {
		v := float64(i)/100 - 1
		x.SetRow(i, []float64{1, v, v * v})
	}
	u := solved(t, "dopt", Data{Samples: x}, nil).Part("weights")
	for i := range 201 {
		want := 0.0
		if i%100 == 0 {
			want = 1.0 / 3
		}
		if math.Abs(u.At(i, 0)-want) > 1e-6 {
			t.Errorf("weight %d is %v", i, u.At(i, 0))
		}
	}
}

// TestEllipsoidEncloses and is affinely equivariant: the ellipsoid of A x + b is A^-T X A^-1 around A c + b.
func TestEllipsoidEncloses(t *testing.T) {
	x := dataOf(gallery.NewStream(72).Normals(60, 3))
	a := mat.NewDense(3, 3, []float64{1, 2, 0, 0, 1e3, 1, 3, 0, 1})
	var y mat.Dense
	y.Mul(x, a.T())
	y.Apply(func(_, j int, v float64) float64 { return v + 1e3*float64(j) }, &y)
	r, moved := solved(t, "mve", Data{Samples: x}, nil), solved(t, "mve", Data{Samples: &y}, nil)
	var back mat.Dense
	back.Mul(a.T(), moved.Solution)
	back.Mul(&back, a)
	if d := distanceRelative(&back, r.Solution); d > 1e-5 {
		t.Errorf("%g away from equivariance", d)
	}
	touching := 0
	for i := range 60 {
		var e mat.VecDense
		e.SubVec(x.RowView(i), r.Part("center").ColView(0))
		q := mat.Inner(&e, r.Solution, &e)
		if q > 1+1e-12 {
			t.Errorf("point %d is outside: %v", i, q)
		}
		if q > 1-1e-6 {
			touching++
		}
	}
	if touching < 4 {
		t.Errorf("only %d points on the boundary", touching)
	}
}

func TestDesignBadInput(t *testing.T) {
	flat := Data{Samples: mat.NewDense(4, 2, []float64{1, 1, 2, 2, 3, 3, -1, -1})}
	few := Data{Samples: mat.NewDense(1, 2, []float64{1, 2})}
	refused(t, "mve", Data{}, nil, "no samples")
	refused(t, "mve", flat, nil, "hyperplane")
	refused(t, "mve", few, nil, "enclose no volume")
	refused(t, "dopt", flat, nil, "subspace")
	refused(t, "dopt", few, nil, "cannot span")
	if r := solved(t, "dopt", Data{Samples: mat.NewDense(3, 1, []float64{1, -5, 2})}, nil); r.Solution.At(0, 0) != 25 {
		t.Errorf("one dimension: %v", r.Solution.At(0, 0))
	}
}

// TestDesignNewton: near the optimum the default method converges quadratically; where every point is there twice, so that the weights are not unique and the
// equations are singular, it ends all the same.
func TestDesignNewton(t *testing.T) {
	x := dataOf(gallery.NewStream(72).Normals(200, 10))
	twice := mat.NewDense(400, 10, nil)
	for i := range 400 {
		twice.SetRow(i, x.RawRowView(i%200))
	}
	r := solved(t, "dopt", Data{Samples: x}, &Options{Solver: solve.Options{Tolerance: 1e-13}})
	if r.Iterations > 6 || r.Certificate.Value > 1e-11 {
		t.Errorf("%d iterations, %+v", r.Iterations, r.Certificate)
	}
	again := solved(t, "dopt", Data{Samples: twice}, &Options{Solver: solve.Options{Tolerance: 1e-9}})
	if d := distanceRelative(again.Solution, r.Solution); d > 1e-7 {
		t.Errorf("points given twice: %g away", d)
	}
}

// TestDesignsAreEquivariant: points that a linear map has stretched to condition 1e12 and worse give the mapped design and ellipsoid.
func TestDesignsAreEquivariant(t *testing.T) {
	const n = 6
	x := dataOf(gallery.NewStream(88).Normals(40, n))
	for _, stretch := range []float64{1e3, 1e6, 3e7} {
		a := gallery.SPD(89, n, stretch)
		var y mat.Dense
		y.Mul(x, dataOf(a))
		for _, method := range []string{"exchange", "trust"} {
			o := &Options{Method: method}
			for _, name := range []string{"dopt", "mve"} {
				r, q := solved(t, name, Data{Samples: x}, o), solved(t, name, Data{Samples: &y}, o)
				// The spectrum of a has the geometric mean 1.
				if d := math.Abs(r.Objective - q.Objective); d > 1e-6 {
					t.Errorf("%s by %s, condition %g: objective %g away", name, method, stretch*stretch, d)
				}
				var u mat.Dense
				if u.Sub(r.Part("weights"), q.Part("weights")); mat.Max(&u) > 1e-5 || mat.Min(&u) < -1e-5 {
					t.Errorf("%s by %s, condition %g: other weights, %g", name, method, stretch*stretch, mat.Max(&u))
				}
				if !(q.Certificate.Value < 1e-3) {
					t.Errorf("%s by %s, condition %g: certificate %+v", name, method, stretch*stretch, q.Certificate)
				}
			}
		}
	}
	for i := range 40 {
		x.Set(i, 0, 2*x.At(i, 1)+1e-9*x.At(i, 0))
	}
	for _, name := range []string{"dopt", "mve"} {
		refused(t, name, Data{Samples: x}, nil, "drop dependent columns")
	}
}

// TestEllipsoidsBlownUpAreCertified: at loose tolerances the ellipsoid that contains all points is farther from the smallest one than what its weights give.
func TestEllipsoidsBlownUpAreCertified(t *testing.T) {
	for seed := range uint64(8) {
		n := int(2 + seed%4*2)
		x := dataOf(gallery.NewStream(900+seed).Normals(4*n+4, n))
		exact := solved(t, "mve", Data{Samples: x}, &Options{Solver: solve.Options{Tolerance: 1e-13}})
		for _, method := range []string{"exchange", "trust"} {
			for _, tolerance := range []float64{1e-2, 1e-3, 1e-4, 1e-5} {
				r := solved(t, "mve", Data{Samples: x}, &Options{Method: method, Solver: solve.Options{Tolerance: tolerance}})
				d, err := manifold.Distance(r.Solution, exact.Solution)
				if err != nil || !(d <= r.Certificate.Value+1e-10) || !r.Certificate.Bound {
					t.Errorf("%s, n = %d, tolerance %g: %g away, %+v, %v", method, n, tolerance, d, r.Certificate, err)
				}
				if gap := r.Part("log_det_gap").At(0, 0); !(r.Objective-exact.Objective <= gap+1e-10) {
					t.Errorf("%s, n = %d, tolerance %g: objective %g above the least, stated %g", method, n, tolerance, r.Objective-exact.Objective, gap)
				}
			}
		}
	}
}

// TestDesignsOfAsManyPointsAsDimensions weigh all points alike, by both methods: the trust region begins at the optimum, where rounding puts some points below
// the others.
func TestDesignsOfAsManyPointsAsDimensions(t *testing.T) {
	rng := rand.New(rand.NewPCG(71, 72))
	for range 30 {
		n := 1 + rng.IntN(6)
		for name, N := range map[string]int{"dopt": n, "mve": n + 1} {
			x := normalDense(rng, N, n, 0)
			for _, method := range []string{"exchange", "trust"} {
				r := solved(t, name, Data{Samples: x}, &Options{Method: method})
				for i, w := range r.Part("weights").RawMatrix().Data {
					if math.Abs(w-1/float64(N)) > 1e-8 {
						t.Errorf("%s of %d points by %s: weight %d is %g", name, N, method, i, w)
					}
				}
			}
		}
	}
}
