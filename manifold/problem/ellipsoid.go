package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var ellipsoid = Problem{
	Name:  "ellipsoid",
	What:  "ellipsoid x' X x = 1 through points: minimize 1/2 sum (x' X x - 1)^2",
	Input: "points (N x n, N >= n(n+1)/2) around the origin",
	Takes: Samples,
	Own: []Method{closedForm("normal equations for the n(n+1)/2 entries of X, by Cholesky, or for n >= 32 and points in general position by conjugate gradients to a residual of 1e-10", func(in instance) *manifold.Frame {
		return in.(*ellipsoidObjective).known
	})},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		x, err := checkSamples(d.Samples)
		if err != nil {
			return nil, err
		}
		N, n := x.Rows, x.Cols
		if unknowns := n * (n + 1) / 2; N < unknowns {
			return nil, &DataError{Err: fmt.Errorf("%d points do not determine the %d numbers of an ellipsoid in %d dimensions", N, unknowns, n),
				Remedy: fmt.Sprintf("give at least %d points", unknowns)}
		}
		known, err := fitQuadric(x)
		if err != nil {
			return nil, err
		}
		o := &ellipsoidObjective{x: x, y: dense.New[float64](N, n), work: dense.New[float64](n, n)}
		var square float64
		for i := range N {
			square += dense.Dot(x.Row(i), x.Row(i))
		}
		o.knownMinimizer = knownMinimizer{known: known, from: manifold.IdentityFrame(n, float64(N)/square), count: N}
		o.m, err = m(n)
		return o, err
	},
}

// fitQuadric solves the unconstrained problem: by conjugate gradients where that is faster and the equations allow it.
func fitQuadric(x dense.Matrix[float64]) (*manifold.Frame, error) {
	var out dense.Matrix[float64]
	ok := false
	if x.Cols >= quadricIterative {
		out, ok = quadricByCG(x)
	}
	if !ok {
		var err error
		if out, err = quadricDirectly(x); err != nil {
			return nil, err
		}
	}
	f, err := manifold.NewFrame(symmetric(out))
	if err != nil {
		return nil, &DataError{Where: "best quadric", Err: err, Remedy: "it is no ellipsoid around the origin: subtract the centre of the points, or give points from all sides"}
	}
	return f, nil
}

// quadricDirectly solves the normal equations with one unknown for each pair i <= j. Columns are scaled to unit norm first. Only the upper triangle of the result counts.
func quadricDirectly(x dense.Matrix[float64]) (dense.Matrix[float64], error) {
	n := x.Cols
	out := dense.New[float64](n, n)
	d := n * (n + 1) / 2
	features := dense.New[float64](x.Rows, d)
	for r := range x.Rows {
		p, k := x.Row(r), 0
		for i := range n {
			for j := i; j < n; j++ {
				c := 2.0
				if i == j {
					c = 1
				}
				features.Set(r, k, c*p[i]*p[j])
				k++
			}
		}
	}
	gram, right, scale := dense.New[float64](d, d), dense.New[float64](d, 1), make([]float64, d)
	dense.GemmLower(dense.Transposed, dense.NoTrans, 1, features, features, 0, gram)
	for r := range x.Rows {
		dense.Axpy(1, features.Row(r), right.Data)
	}
	for k := range d {
		scale[k] = 1 / math.Sqrt(gram.At(k, k))
		if math.IsInf(scale[k], 1) {
			return out, quadricError()
		}
	}
	for k := range d {
		for j := range k + 1 {
			gram.Set(k, j, gram.At(k, j)*scale[k]*scale[j])
		}
		right.Data[k] *= scale[k]
	}
	if dense.Cholesky(gram) >= 0 {
		return out, quadricError()
	}
	for k := range d {
		if l := gram.At(k, k); l*l <= float64(d)*0x1p-50 {
			return out, quadricError()
		}
	}
	dense.SolveLower(dense.NoTrans, gram, right)
	dense.SolveLower(dense.Transposed, gram, right)
	k := 0
	for i := range n {
		for j := i; j < n; j++ {
			out.Set(i, j, right.Data[k]*scale[k])
			k++
		}
	}
	return out, nil
}

func quadricError() error {
	return &DataError{Err: fmt.Errorf("more than one quadric passes through the points"), Remedy: "give points from all sides, not in a plane or on few rays"}
}

// ellipsoidObjective is 1/2 sum (q - 1)^2, q = z'z, z = F'x. The whitened differential is W = sum (q - 1) z z' and the Hessian
// sum (z' eta z) z z' + (eta W + W eta)/2.
type ellipsoidObjective struct {
	knownMinimizer
	x, y dense.Matrix[float64]
	work dense.Matrix[float64]
}

type ellipsoidMemo struct{ z, w dense.Matrix[float64] }

// NewMemo implements solve.Memoizer.
func (e *ellipsoidObjective) NewMemo() solve.Memo {
	return &ellipsoidMemo{dense.New[float64](e.x.Rows, e.x.Cols), dense.New[float64](e.x.Cols, e.x.Cols)}
}

// Evaluate implements solve.Objective: one product with the points and half a product of their size.
func (e *ellipsoidObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*ellipsoidMemo)
	if err := e.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, e.x, view(f.F()), 0, m.z)
	var cost float64
	for i := range e.x.Rows {
		z := m.z.Row(i)
		r := dense.Dot(z, z) - 1
		cost += r * r / 2
		dense.Scale(r, z, e.y.Row(i))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, m.z, e.y, 0, m.w)
	dense.Mirror(m.w)
	copy(grad, m.w.Data)
	e.m.FromWhitened(f, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: as much as Evaluate and one small product.
func (e *ellipsoidObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*ellipsoidMemo), e.x.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	symmetricProduct(out, eta, m.w, e.work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.z, eta, 0, e.y)
	for i := range e.x.Rows {
		z, y := m.z.Row(i), e.y.Row(i)
		dense.Scale(dense.Dot(z, y), z, y)
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, m.z, e.y, 1, out)
	dense.Mirror(out)
	e.m.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}
