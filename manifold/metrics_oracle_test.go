package manifold

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// oracle holds the operations of one metric, written with gonum's dense decompositions and textbook formulas.
type oracle struct {
	inner     func(s, x, y mat.Symmetric) float64
	distance  func(a, b mat.Symmetric) float64
	exp       func(a, xi mat.Symmetric) *mat.SymDense
	log       func(a, b mat.Symmetric) *mat.SymDense
	geodesic  func(a, b mat.Symmetric, t float64) *mat.SymDense
	transport func(a, b, xi mat.Symmetric) *mat.SymDense
}

// oracles has an entry for every metric of the registry.
var oracles = map[string]oracle{
	"affine-invariant": affineOracle(1),
	"fisher-rao":       affineOracle(2),
	"log-euclidean": chart{
		image:  func(s mat.Symmetric) *mat.Dense { return mat.DenseCopyOf(function(s, math.Log)) },
		matrix: func(y *mat.Dense) *mat.SymDense { return function(sym(y), math.Exp) },
	}.oracle(),
	"power-euclidean": chart{
		image: func(s mat.Symmetric) *mat.Dense {
			return mat.DenseCopyOf(function(s, func(x float64) float64 { return 2 * math.Sqrt(x) }))
		},
		matrix: func(y *mat.Dense) *mat.SymDense {
			return function(sym(y), func(x float64) float64 { return x * x / 4 })
		},
	}.oracle(),
	"euclidean":         chart{image: func(s mat.Symmetric) *mat.Dense { return mat.DenseCopyOf(s) }, matrix: func(y *mat.Dense) *mat.SymDense { return sym(y) }}.oracle(),
	"inverse-euclidean": inverseOracle(),
	"log-cholesky":      chart{image: choleskyImage(math.Log), matrix: choleskyMatrix(math.Exp)}.oracle(),
	"cholesky":          chart{image: choleskyImage(same), matrix: choleskyMatrix(same)}.oracle(),
	"bures-wasserstein": buresOracle(),
}

func affineOracle(kappa float64) oracle {
	return oracle{
		inner: func(s, x, y mat.Symmetric) float64 {
			var a mat.Dense
			a.Mul(congruent(inverseRoot(s), x), congruent(inverseRoot(s), y))
			return mat.Trace(&a) / kappa
		},
		distance: func(a, b mat.Symmetric) float64 { return distanceOracle(a, b) / math.Sqrt(kappa) },
		exp:      expOracle, log: logOracle, geodesic: geodesicOracle, transport: transportOracle,
	}
}

// chart is an isometry into a Euclidean space of matrices. Derivatives are extrapolated central differences, good to about 1e-10.
type chart struct {
	image  func(mat.Symmetric) *mat.Dense
	matrix func(*mat.Dense) *mat.SymDense
}

// inverseOracle is the metric of the chart -S^-1, whose differential is S^-1 U S^-1.
func inverseOracle() oracle {
	inverse := func(s mat.Matrix) *mat.Dense {
		var inv mat.Dense
		if err := inv.Inverse(s); err != nil {
			panic("oracle: " + err.Error())
		}
		return &inv
	}
	push := func(s, u mat.Symmetric) *mat.SymDense { return congruent(sym(inverse(s)), u) }
	return oracle{
		inner: func(s, x, y mat.Symmetric) float64 {
			var a mat.Dense
			a.Mul(push(s, x), push(s, y))
			return mat.Trace(&a)
		},
		distance: func(a, b mat.Symmetric) float64 { return mat.Norm(combine(1, inverse(a), -1, inverse(b)), 2) },
		exp:      func(a, xi mat.Symmetric) *mat.SymDense { return sym(inverse(combine(1, inverse(a), -1, push(a, xi)))) },
		log: func(a, b mat.Symmetric) *mat.SymDense {
			return congruent(a, sym(combine(1, inverse(a), -1, inverse(b))))
		},
		geodesic: func(a, b mat.Symmetric, t float64) *mat.SymDense {
			return sym(inverse(combine(1-t, inverse(a), t, inverse(b))))
		},
		transport: func(a, b, xi mat.Symmetric) *mat.SymDense { return congruent(b, push(a, xi)) },
	}
}

func same(x float64) float64 { return x }

// choleskyImage maps a matrix to its Cholesky factor with f of the diagonal; choleskyMatrix maps back, with the inverse of f.
func choleskyImage(f func(float64) float64) func(mat.Symmetric) *mat.Dense {
	return func(s mat.Symmetric) *mat.Dense {
		var c mat.Cholesky
		if !c.Factorize(s) {
			panic("oracle: not positive definite")
		}
		var l mat.TriDense
		c.LTo(&l)
		y := mat.DenseCopyOf(&l)
		for i := range s.SymmetricDim() {
			y.Set(i, i, f(y.At(i, i)))
		}
		return y
	}
}

func choleskyMatrix(inverse func(float64) float64) func(*mat.Dense) *mat.SymDense {
	return func(y *mat.Dense) *mat.SymDense {
		l := mat.DenseCopyOf(y)
		n, _ := l.Dims()
		for i := range n {
			l.Set(i, i, inverse(l.At(i, i)))
		}
		var s mat.Dense
		s.Mul(l, l.T())
		return sym(&s)
	}
}

func combine(a float64, x mat.Matrix, b float64, y mat.Matrix) *mat.Dense {
	var u, v, r mat.Dense
	u.Scale(a, x)
	v.Scale(b, y)
	r.Add(&u, &v)
	return &r
}

// derivative extrapolates central differences of f at 0.
func derivative(f func(h float64) mat.Matrix, h float64) *mat.Dense {
	central := func(h float64) *mat.Dense { return combine(0.5/h, f(h), -0.5/h, f(-h)) }
	coarse, fine := combine(4./3, central(h), -1./3, central(2*h)), combine(4./3, central(h/2), -1./3, central(h))
	return combine(16./15, fine, -1./15, coarse)
}

func (c chart) push(s, xi mat.Symmetric) *mat.Dense {
	return derivative(func(h float64) mat.Matrix { return c.image(sym(combine(1, s, h, xi))) }, 3e-3/(1e-300+mat.Norm(xi, 2)))
}

func (c chart) pull(s mat.Symmetric, y mat.Matrix) *mat.SymDense {
	at := c.image(s)
	return sym(derivative(func(h float64) mat.Matrix { return c.matrix(combine(1, at, h, y)) }, 1e-2/(1e-300+mat.Norm(y, 2))))
}

func (c chart) oracle() oracle {
	return oracle{
		inner: func(s, x, y mat.Symmetric) float64 {
			u, v := c.push(s, x), c.push(s, y)
			var a mat.Dense
			a.Mul(u, v.T())
			return mat.Trace(&a)
		},
		distance: func(a, b mat.Symmetric) float64 { return mat.Norm(combine(1, c.image(a), -1, c.image(b)), 2) },
		exp: func(a, xi mat.Symmetric) *mat.SymDense {
			return c.matrix(combine(1, c.image(a), 1, c.push(a, xi)))
		},
		log: func(a, b mat.Symmetric) *mat.SymDense { return c.pull(a, combine(1, c.image(b), -1, c.image(a))) },
		geodesic: func(a, b mat.Symmetric, t float64) *mat.SymDense {
			return c.matrix(combine(1-t, c.image(a), t, c.image(b)))
		},
		transport: func(a, b, xi mat.Symmetric) *mat.SymDense { return c.pull(b, c.push(a, xi)) },
	}
}

// buresOperator returns the metric as an n^2 x n^2 matrix on vectorised matrices, (S (x) I + I (x) S)^-1 / 2.
func buresOperator(s mat.Symmetric) *mat.SymDense {
	n := s.SymmetricDim()
	id := mat.NewDense(n, n, nil)
	for i := range n {
		id.Set(i, i, 1)
	}
	var a, b mat.Dense
	a.Kronecker(s, id)
	b.Kronecker(id, s)
	return function(sym(combine(1, &a, 1, &b)), func(x float64) float64 { return 1 / (2 * x) })
}

func apply(op mat.Matrix, x mat.Symmetric) *mat.SymDense {
	n := x.SymmetricDim()
	var y mat.VecDense
	y.MulVec(op, mat.NewVecDense(n*n, mat.DenseCopyOf(x).RawMatrix().Data))
	return sym(mat.NewDense(n, n, y.RawVector().Data))
}

func buresOracle() oracle {
	cross := func(a, b mat.Symmetric) *mat.SymDense { // (AB)^1/2 + (BA)^1/2
		var t, u mat.Dense
		t.Mul(root(a), root(congruent(root(a), b)))
		u.Mul(&t, inverseRoot(a))
		return sym(combine(2, &u, 0, &u))
	}
	return oracle{
		inner: func(s, x, y mat.Symmetric) float64 {
			var a mat.Dense
			a.Mul(apply(buresOperator(s), x), y)
			return mat.Trace(&a)
		},
		distance: func(a, b mat.Symmetric) float64 {
			return math.Sqrt(math.Max(0, mat.Trace(a)+mat.Trace(b)-2*mat.Trace(root(congruent(root(a), b)))))
		},
		exp: func(a, xi mat.Symmetric) *mat.SymDense {
			h := apply(buresOperator(a), xi)
			h.ScaleSym(2, h)
			return sym(combine(1, combine(1, a, 1, xi), 1, congruent(h, a)))
		},
		log: func(a, b mat.Symmetric) *mat.SymDense { return sym(combine(1, cross(a, b), -2, a)) },
		geodesic: func(a, b mat.Symmetric, t float64) *mat.SymDense {
			return sym(combine(1, combine((1-t)*(1-t), a, t*t, b), t*(1-t), cross(a, b)))
		},
		transport: func(a, b, xi mat.Symmetric) *mat.SymDense {
			return apply(function(buresOperator(b), func(x float64) float64 { return 1 / math.Sqrt(x) }), apply(root(buresOperator(a)), xi))
		},
	}
}

func TestEveryMetricHasAnOracle(t *testing.T) {
	if len(oracles) != len(Metrics()) {
		t.Errorf("%d oracles for %d metrics", len(oracles), len(Metrics()))
	}
	for _, g := range Metrics() {
		if _, ok := oracles[g.Name]; !ok {
			t.Errorf("metric %s has no oracle", g.Name)
		}
	}
}
