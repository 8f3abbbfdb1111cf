package curvature

import (
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

func logOf(v float64) float64 { return math.Log(v) }

func softmax(f []float64) []float64 {
	p, total := make([]float64, len(f)), 0.0
	for i, v := range f {
		p[i] = math.Exp(v)
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

// outputHessian returns the Hessian of c in the outputs of row i, from its formula.
func outputHessian(t *testing.T, loss net.Loss[float64], f []float64, target *net.Target[float64], i int) dense.Matrix[float64] {
	h := dense.New[float64](len(f), len(f))
	if _, ok := loss.(*net.CrossEntropy[float64]); ok {
		mass := 1.0
		if target.Classes == nil {
			mass = 0
			for _, q := range target.Values.Row(i) {
				mass += q
			}
		} else if target.Classes[i] < 0 {
			mass = 0
		}
		p := softmax(f)
		for a := range p {
			for b := range p {
				h.Set(a, b, -mass*p[a]*p[b])
			}
			h.Set(a, a, mass*p[a]*(1-p[a]))
		}
		return h
	}
	// elementwise: second differences of the loss itself
	for a := range f {
		value := func(shift float64) float64 {
			out, one := dense.Wrap(1, len(f), slices.Clone(f)), net.Target[float64]{Values: target.Values.View(i, 0, 1, len(f))}
			out.Data[a] += shift
			return loss.Evaluate(net.Dual[float64]{V: out}, &one, net.Dual[float64]{}) / loss.Factor(out, &one)
		}
		const step = 1e-3
		h.Set(a, a, (-value(2*step)+16*value(step)-30*value(0)+16*value(-step)-value(-2*step))/(12*step*step))
	}
	return h
}

// TestRoots: S S^T from Root, and the second moment of Draw, are the Hessian of c; rows that do not count give zeros.
func TestRoots(t *testing.T) {
	for _, m := range models() {
		out := m.net.Forward(m.batch).Clone()
		curved := m.net.Loss.(net.Curved[float64])
		const draws = 4000
		roots, moments := make([]dense.Matrix[float64], out.Rows), make([]dense.Matrix[float64], out.Rows)
		for i := range roots {
			roots[i], moments[i] = dense.New[float64](out.Cols, out.Cols), dense.New[float64](out.Cols, out.Cols)
		}
		v := dense.New[float64](out.Rows, out.Cols)
		for k := range out.Cols {
			curved.Root(out, &m.batch.Target, k, v)
			for i := range out.Rows {
				dense.Ger(1, v.Row(i), v.Row(i), roots[i])
			}
		}
		r := source(5)
		for range draws {
			curved.Draw(out, &m.batch.Target, r, v)
			for i := range out.Rows {
				dense.Ger(1.0/draws, v.Row(i), v.Row(i), moments[i])
			}
		}
		for i := range roots {
			want := outputHessian(t, m.net.Loss, out.Row(i), &m.batch.Target, i)
			matrixNear(t, m.name+": S S^T", roots[i], want, 1e-8)
			matrixNear(t, m.name+": second moment of draws", moments[i], want, 0.15)
		}
	}
}

// TestOperators compares every operator of every model with a dense matrix formed from columns of the Jacobian by JVP, for one batch and for uneven ones; the
// products are repeatable, linear and have the transposed ones as adjoints.
func TestOperators(t *testing.T) {
	for _, m := range models() {
		t.Run(m.name, func(t *testing.T) {
			whole := m.risk(t)
			j := transposed(Form(Adjoint(NewJacobian(whole)))) // by JVP
			ggn := gaussNewton(t, whole, j, m.batch)
			fisher, each := empiricalFisher(whole, j, m.batch)
			hessian := finiteHessian(m.net, m.batch)
			mc := monteCarlo(t, whole, 2)
			for _, size := range []int{m.batch.N, 1, 2} {
				r := whole.cut(t, m.batch, size)
				near(t, "loss", r.Loss(), whole.Loss(), 1e-12*math.Abs(whole.Loss()))
				matrixNear(t, "Jacobian by transposed products", formBack(NewJacobian(r)), j, 1e-12)
				matrixNear(t, "Gauss-Newton", Form(NewGGN(r)), ggn, 1e-7) // differences of elementwise losses
				matrixNear(t, "empirical Fisher", Form(NewEmpiricalFisher(r)), fisher, 1e-12)
				matrixNear(t, "Hessian", Form(NewHessian(r)), hessian, 1e-6*(1+norm(hessian.Data)))
				again := monteCarlo(t, r, 2)
				matrixNear(t, "Monte-Carlo Gauss-Newton", Form(again), Form(mc), 1e-12)
				for name, a := range map[string]Operator{"J": NewJacobian(r), "H": NewHessian(r), "G": NewGGN(r), "F": NewEmpiricalFisher(r), "M": again} {
					c, err := Check(a, source(9))
					if err != nil || !c.Repeats || c.Adjoint > 1e-13 || c.Linearity > 1e-13 {
						t.Errorf("%s: %+v, %v", name, c, err)
					}
				}
				checkDiagonals(t, r, ggn, each)
			}
		})
	}
}

// TestCertainNetwork: the curvature of a network in single precision whose probabilities round to 1 is tiny, and no noise.
func TestCertainNetwork(t *testing.T) {
	r := source(12)
	n := net.New[float32](net.NewLinear[float32](r, 3, 4, net.LinearOptions{}), &net.CrossEntropy[float32]{}, 1)
	const examples = 20
	b := &net.Batch[float32]{N: examples, X: dense.New[float32](examples, 3), Target: net.Target[float32]{Classes: make([]int32, examples)}}
	for i := range b.X.Data {
		b.X.Data[i] = float32(r.NormFloat64())
	}
	n.Blocks()[1].Value[0] = 25 // the bias of class 0
	risk, err := NewRisk(n, slices.Values([]*net.Batch[float32]{b}), RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]Operator{"H": NewHessian(risk), "G": NewGGN(risk)} {
		c, err := Check(a, source(13))
		if err != nil || !c.Repeats || c.Adjoint > 1e-6 || c.Linearity > 1e-5 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// formBack forms an operator by transposed products, one a row.
func formBack(a Operator) dense.Matrix[float64] {
	rows, cols := a.Dims()
	m, unit := dense.New[float64](rows, cols), make([]float64, rows)
	for i := range rows {
		unit[i] = 1
		a.MulTransTo(m.Row(i), unit)
		unit[i] = 0
	}
	return m
}

func monteCarlo(t *testing.T, r *Risk[float64], samples int) Operator {
	t.Helper()
	g, err := NewMonteCarloGGN(r, samples, 3)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// empiricalFisher forms R sum_n g_n g_n^T from per-example gradients J_n^T u_n, and returns the sum of their squares beside it.
func empiricalFisher(r *Risk[float64], j dense.Matrix[float64], b *net.Batch[float64]) (dense.Matrix[float64], []float64) {
	out := r.Net.Forward(b).Clone()
	u := dense.New[float64](out.Rows, out.Cols)
	r.Net.Loss.Evaluate(net.Dual[float64]{V: out}, &b.Target, net.Dual[float64]{V: u})
	f := dense.New[float64](j.Cols, j.Cols)
	d := make([]float64, j.Cols)
	per := out.Rows / b.N * out.Cols
	for n := range b.N {
		g := make([]float64, j.Cols)
		for k := range per {
			dense.Axpy(u.Data[n*per+k]/r.Factor(), j.Row(n*per+k), g)
		}
		dense.Ger(r.Factor(), g, g, f)
		for i, v := range g {
			d[i] += r.Factor() * v * v
		}
	}
	return f, d
}

// finiteHessian forms the Hessian by central differences of the gradient of package net.
func finiteHessian(n *net.Net[float64], b *net.Batch[float64]) dense.Matrix[float64] {
	dim := n.Dim()
	h := dense.New[float64](dim, dim)
	row := 0
	gradient := func() (g []float64) {
		n.Gradient(b)
		for _, block := range n.Blocks() {
			g = append(g, block.Grad...)
		}
		return g
	}
	const step = 1e-5
	for _, block := range n.Blocks() {
		for i := range block.Value {
			before := block.Value[i]
			block.Value[i] = before + step
			high := gradient()
			block.Value[i] = before - step
			low := gradient()
			block.Value[i] = before
			for k := range dim {
				h.Set(row, k, (high[k]-low[k])/(2*step))
			}
			row++
		}
	}
	return h
}

func checkDiagonals(t *testing.T, r *Risk[float64], ggn dense.Matrix[float64], squares []float64) {
	t.Helper()
	exact, err := GGNDiagonal(r, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, ggn.Rows)
	for i := range want {
		want[i] = ggn.At(i, i)
	}
	vectorNear(t, "diagonal", exact, want, 1e-7)
	empirical, err := GGNDiagonal(r, Settings{Flavour: Empirical})
	if err != nil {
		t.Fatal(err)
	}
	vectorNear(t, "diagonal of the empirical Fisher matrix", empirical, squares, 1e-12)
}

// TestMonteCarlo: the means over many samples of the Monte-Carlo operator, diagonal and factors tend to the exact ones.
func TestMonteCarlo(t *testing.T) {
	for _, m := range models() {
		r := m.risk(t)
		exact := Form(NewGGN(r))
		const samples = 800
		tol := 0.2 * norm(exact.Data) / math.Sqrt(float64(exact.Rows))
		matrixNear(t, m.name, Form(monteCarlo(t, r, samples)), exact, tol)
		d, err := GGNDiagonal(r, Settings{Flavour: MonteCarlo, Samples: samples})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range d {
			near(t, m.name+": diagonal", v, exact.At(i, i), tol+0.2*exact.At(i, i))
		}
	}
}
