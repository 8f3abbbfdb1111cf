package curvature

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

func gemm(a, b dense.Matrix[float64]) dense.Matrix[float64] {
	c := dense.New[float64](a.Rows, b.Cols)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, b, 0, c)
	return c
}

// kroneckerOf forms the Kronecker product by its definition.
func kroneckerOf(a, b dense.Matrix[float64]) dense.Matrix[float64] {
	m := dense.New[float64](a.Rows*b.Rows, a.Cols*b.Cols)
	for i := range m.Rows {
		for j := range m.Cols {
			m.Set(i, j, a.At(i/b.Rows, j/b.Cols)*b.At(i%b.Rows, j%b.Cols))
		}
	}
	return m
}

// TestAlgebra compares every composed operator with the matrix that it stands for, through products and transposed products.
func TestAlgebra(t *testing.T) {
	a, b, c := randomMatrix(1, 4, 3), randomMatrix(2, 4, 3), randomMatrix(3, 3, 5)
	oa, ob, oc := NewDense(a), NewDense(b), NewDense(c)
	sum := a.Clone()
	dense.Axpy(1, b.Data, sum.Data)
	scaledA := a.Clone()
	dense.Scale(-2.5, scaledA.Data, scaledA.Data)
	blocks := dense.New[float64](7, 8)
	blocks.View(0, 0, 4, 3).Copy(a)
	blocks.View(4, 3, 3, 5).Copy(c)
	part := dense.New[float64](2, 3)
	for i, p := range []int{3, 0} {
		for j, q := range []int{4, 1, 2} {
			part.Set(i, j, gemm(a, c).At(p, q))
		}
	}
	square := lowRank(4, 5, 3, 2, 1)
	damped := square.Clone()
	for i := range 5 {
		damped.Data[i*5+i] += 0.5
	}
	q := transposed(randomMatrix(5, 2, 6))
	spectrum := dense.New[float64](6, 6)
	for k, v := range []float64{3, -1} {
		column := make([]float64, 6)
		for i := range column {
			column[i] = q.At(i, k)
		}
		dense.Ger(v, column, column, spectrum)
	}
	for name, x := range map[string]struct {
		got  Operator
		want dense.Matrix[float64]
	}{
		"sum":           {Sum(oa, ob), sum},
		"scaled":        {Scaled(-2.5, oa), scaledA},
		"chain":         {Chain(oa, oc), gemm(a, c)},
		"chain of one":  {Chain(oa), a},
		"long chain":    {Chain(oc, Adjoint(oc), Adjoint(oa)), gemm(gemm(c, transposed(c)), transposed(a))},
		"adjoint":       {Adjoint(oa), transposed(a)},
		"twice adjoint": {Adjoint(Adjoint(oa)), a},
		"kronecker":     {Kronecker(oa, oc), kroneckerOf(a, c)},
		"three factors": {Kronecker(oa, oc, NewDense(randomMatrix(6, 2, 2))), kroneckerOf(kroneckerOf(a, c), randomMatrix(6, 2, 2))},
		"one factor":    {Kronecker(oa), a},
		"block":         {BlockDiagonal(oa, oc), blocks},
		"submatrix":     {Submatrix(Chain(oa, oc), []int{3, 0}, []int{4, 1, 2}), part},
		"all of it":     {Submatrix(oa, nil, nil), a},
		"damped":        {Damped(NewDense(square), 0.5), damped},
		"diagonal":      {Diagonal([]float64{1, 2}), matrixOf([][]float64{{1, 0}, {0, 2}})},
		"spectrum":      {Spectrum(q, []float64{3, -1}), spectrum},
		"gonum":         {FromGonum(mat.NewDense(4, 3, a.Data)), a},
	} {
		rows, cols := x.got.Dims()
		if rows != x.want.Rows || cols != x.want.Cols {
			t.Errorf("%s: %d x %d", name, rows, cols)
			continue
		}
		matrixNear(t, name, formBack(x.got), x.want, 1e-12)
		matrixNear(t, name+" transposed", formBack(Adjoint(x.got)), transposed(x.want), 1e-12)
		if check, err := Check(x.got, source(3)); err != nil || !check.Repeats || check.Adjoint > 1e-14 || check.Linearity > 1e-14 {
			t.Errorf("%s: %+v, %v", name, check, err)
		}
		gonum := ToGonum(x.got)
		matrixNear(t, name+" as a gonum matrix", dense.Wrap(rows, cols, gonum.RawMatrix().Data), x.want, 1e-12)
	}
}

func TestKroneckerClosedForms(t *testing.T) {
	a, b, c := lowRank(1, 3, 3, 2, 1), lowRank(2, 2, 5, 0.5), lowRank(3, 2, 2, 1)
	k := Kronecker(NewDense(a), NewDense(b), NewDense(c))
	m := kroneckerOf(kroneckerOf(a, b), c)
	near(t, "trace", k.Trace(), trace(m), 1e-12)
	near(t, "norm", k.Frobenius(), norm(m.Data), 1e-12)
	det, ok := k.LogDet()
	want := mat.NewDense(12, 12, m.Data)
	sign := mat.Det(want)
	if !ok {
		t.Error("not positive definite")
	}
	near(t, "log-determinant", det, math.Log(sign), 1e-10)
	if d, _ := k.Det(); math.Abs(d-sign) > 1e-9*sign {
		t.Errorf("determinant %g, want %g", d, sign)
	}
	if _, ok := Kronecker(NewDense(lowRank(1, 3, 1, -1))).LogDet(); ok {
		t.Error("a singular factor has a log-determinant")
	}
}

func TestGonumProducts(t *testing.T) {
	a := randomMatrix(1, 4, 3)
	p := Products{NewDense(a)}
	x := mat.NewVecDense(3, []float64{1, -2, 3})
	y, want := mat.NewVecDense(4, nil), mat.NewVecDense(4, nil)
	p.MulVecTo(y, false, x)
	want.MulVec(mat.NewDense(4, 3, a.Data), x)
	vectorNear(t, "product", y.RawVector().Data, want.RawVector().Data, 1e-14)
	back, wantBack := mat.NewVecDense(3, nil), mat.NewVecDense(3, nil)
	p.MulVecTo(back, true, y)
	wantBack.MulVec(mat.NewDense(4, 3, a.Data).T(), y)
	vectorNear(t, "transposed product", back.RawVector().Data, wantBack.RawVector().Data, 1e-14)
}

func TestMisfitsPanic(t *testing.T) {
	a, b := NewDense(randomMatrix(1, 4, 3)), NewDense(randomMatrix(2, 3, 4))
	for name, f := range map[string]func(){
		"sum":       func() { Sum(a, b) },
		"chain":     func() { Chain(a, a) },
		"empty":     func() { Chain() },
		"no sum":    func() { Sum() },
		"no factor": func() { Kronecker() },
		"product":   func() { Kronecker(a).MulTo(make([]float64, 3), make([]float64, 3)) },
		"range":     func() { Submatrix(a, []int{4}, nil) },
		"repeated":  func() { Submatrix(a, []int{1, 1}, nil) },
		"trace":     func() { Kronecker(a).Trace() },
		"nothing":   func() { Adjoint(nil) },
		"no term":   func() { Sum(a, nil) },
		"no link":   func() { Chain(nil) },
		"no block":  func() { BlockDiagonal(a, nil) },
		"no scaled": func() { Scaled(2, nil) },
		"no damped": func() { Damped(nil, 1) },
		"no whole":  func() { Submatrix(nil, nil, nil) },
		"no matrix": func() { Form(nil) },
		"no side":   func() { Kronecker(a, nil) },
		"no size":   func() { Kronecker(a, Diagonal(nil)) },
		"no risk":   func() { NewHessian[float64](nil) },
		"zero risk": func() { NewJacobian(&Risk[float64]{}) },
		"dim":       func() { NewKFAC(nil, -1) },
		"block": func() {
			NewKFAC([]Factors{{Weight: Block{Rows: 2, Cols: 3}, A: randomMatrix(1, 3, 3), B: randomMatrix(1, 2, 2)}}, 5)
		},
		"factor": func() {
			NewKFAC([]Factors{{Weight: Block{Rows: 2, Cols: 3}, A: randomMatrix(1, 2, 2), B: randomMatrix(1, 2, 2)}}, 6)
		},
		"solution": func() { c, _ := NewCG(Diagonal([]float64{1}), SolveOptions{}); c.MulTo(nil, []float64{1}) },
		"short":    func() { NewDense(dense.Matrix[float64]{Rows: 2, Cols: 2, Stride: 2, Data: make([]float64, 3)}) },
		"shape":    func() { NewDense(dense.Matrix[float64]{Rows: -1}) },
		"spectrum": func() { Spectrum(randomMatrix(1, 3, 2), []float64{1}) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Errorf("%s: no Error", name)
				}
			}()
			f()
		}()
	}
}

// spd returns a symmetric positive definite matrix of condition 100 and its inverse.
func spd(seed uint64, n int) (a, inverse dense.Matrix[float64]) {
	values, reciprocals := make([]float64, n), make([]float64, n)
	for i := range values {
		values[i] = math.Pow(100, float64(i)/float64(n-1))
		reciprocals[i] = 1 / values[i]
	}
	return lowRank(seed, n, values...), lowRank(seed, n, reciprocals...)
}

// TestInverses compares the iterative inverses with the inverse that the matrix was made with.
func TestInverses(t *testing.T) {
	m, inverse := spd(3, 30)
	a := NewDense(m)
	cg, err := NewCG(a, SolveOptions{Tol: 1e-12})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "CG", Form(cg), inverse, 1e-10)
	preconditioned, err := NewCG(a, SolveOptions{Tol: 1e-12, Preconditioner: NewDense(inverse)})
	if err != nil {
		t.Fatal(err)
	}
	x, b := make([]float64, 30), gaussian(source(1), 30)
	if s, err := preconditioned.Solve(x, b); err != nil || s.Iterations > 2 {
		t.Errorf("CG with the inverse as preconditioner: %+v, %v", s, err)
	}
	lsmr, err := NewLSMR(a, 0, SolveOptions{Tol: 1e-13, MaxIterations: 500})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "LSMR", Form(lsmr), inverse, 1e-8)
	series, err := NewNeumann(a, NeumannOptions{Terms: 3000, Scale: 0.015})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "Neumann", Form(series), inverse, 1e-9)
	matrixNear(t, "Neumann transposed", formBack(Adjoint(series)), inverse, 1e-9)
	for name, f := range map[string]interface{ Err() error }{"CG": cg, "LSMR": lsmr, "Neumann": series} {
		if f.Err() != nil {
			t.Errorf("%s: %v", name, f.Err())
		}
	}
	// a preconditioner that is not symmetric, and its transposed series
	p := randomMatrix(8, 30, 30)
	dense.Scale(0.002, p.Data, p.Data)
	dense.Axpy(1, inverse.Data, p.Data)
	helped, err := NewNeumann(a, NeumannOptions{Terms: 200, Preconditioner: NewDense(p)})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "preconditioned Neumann", formBack(Adjoint(helped)), inverse, 1e-9)
	matrixNear(t, "preconditioned Neumann transposed", transposed(formBack(helped)), inverse, 1e-9)
	if helped.Err() != nil {
		t.Error(helped.Err())
	}
}

// TestLSMRLeastSquares: rectangular systems with and without damping satisfy the normal equations, which CG solves too.
func TestLSMRLeastSquares(t *testing.T) {
	for _, shape := range [][2]int{{12, 5}, {5, 12}} {
		for _, damping := range []float64{0, 0.7} {
			m := randomMatrix(3, shape[0], shape[1])
			a, b := NewDense(m), gaussian(source(5), shape[0])
			l, err := NewLSMR(a, damping, SolveOptions{Tol: 1e-13, MaxIterations: 1000})
			if err != nil {
				t.Fatal(err)
			}
			x := make([]float64, shape[1])
			s, err := l.Solve(x, b)
			if err != nil {
				t.Fatal(err)
			}
			r := append([]float64(nil), b...)
			dense.Gemv(dense.NoTrans, -1, m, x, 1, r)
			normal := make([]float64, shape[1])
			dense.Gemv(dense.Transposed, 1, m, r, 0, normal)
			dense.Axpy(-damping*damping, x, normal)
			if norm(normal) > 1e-10 {
				t.Errorf("%v, damping %g: normal equations are off by %g after %d iterations", shape, damping, norm(normal), s.Iterations)
			}
			if damping == 0 {
				near(t, "residual", s.Residual, norm(r)/norm(b), 1e-9)
			}
		}
	}
}

func TestInversesRefuse(t *testing.T) {
	m, _ := spd(3, 10)
	a, b, x := NewDense(m), gaussian(source(1), 10), make([]float64, 10)
	var c *ConvergenceError
	var d *DataError
	few, _ := NewCG(a, SolveOptions{Tol: 1e-12, MaxIterations: 2})
	if _, err := few.Solve(x, b); !errors.As(err, &c) {
		t.Errorf("two iterations of CG: %v", err)
	}
	few.MulTo(x, b)
	if !errors.As(few.Err(), &c) {
		t.Errorf("the product keeps %v", few.Err())
	}
	short, _ := NewLSMR(a, 0, SolveOptions{Tol: 1e-14, MaxIterations: 2})
	if _, err := short.Solve(x, b); !errors.As(err, &c) {
		t.Errorf("two iterations of LSMR: %v", err)
	}
	indefinite, _ := NewCG(Scaled(-1, a), SolveOptions{})
	if _, err := indefinite.Solve(x, b); !errors.As(err, &d) {
		t.Errorf("CG on a negative operator: %v", err)
	}
	series, _ := NewNeumann(a, NeumannOptions{})
	if err := series.Solve(x, b); !errors.As(err, &d) {
		t.Errorf("a series that diverges: %v", err)
	}
	for name, f := range map[string]func(x, b []float64) error{
		"CG":      func(x, b []float64) error { _, err := few.Solve(x, b); return err },
		"LSMR":    func(x, b []float64) error { _, err := short.Solve(x, b); return err },
		"Neumann": func(x, b []float64) error { return series.Solve(x, b) },
	} {
		var e Error
		if err := f(x, b[1:]); !errors.As(err, &e) {
			t.Errorf("%s for a vector that is too short: %v", name, err)
		}
	}
	wide := NewDense(randomMatrix(1, 2, 3))
	for name, f := range map[string]func() error{
		"wide CG":               func() error { _, err := NewCG(wide, SolveOptions{}); return err },
		"preconditioned CG":     func() error { _, err := NewCG(a, SolveOptions{Preconditioner: wide}); return err },
		"preconditioned series": func() error { _, err := NewNeumann(a, NeumannOptions{Preconditioner: wide}); return err },
		"preconditioned pairs":  func() error { _, err := TopLOBPCG(a, wide, TopOptions{Rand: source(1)}); return err },
		"wide Neumann":          func() error { _, err := NewNeumann(wide, NeumannOptions{}); return err },
		"tolerance":             func() error { _, err := NewCG(a, SolveOptions{Tol: -1}); return err },
		"iterations":            func() error { _, err := NewCG(a, SolveOptions{MaxIterations: -1}); return err },
		"LSMR preconditioner":   func() error { _, err := NewLSMR(a, 0, SolveOptions{Preconditioner: a}); return err },
		"LSMR damping":          func() error { _, err := NewLSMR(a, math.NaN(), SolveOptions{}); return err },
	} {
		if err := f(); !errors.As(err, &d) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
