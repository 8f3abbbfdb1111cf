package curvature

import (
	"math/big"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// The networks of this file are computed in 256 bits, from formulas that share nothing with package net, so that differences with a step of 2^-70
// give derivatives to more digits than float64 has.
const bigBits = 256

func bigOf(v float64) *big.Float { return new(big.Float).SetPrec(bigBits).SetFloat64(v) }

func bigOp(f func(z, x, y *big.Float) *big.Float, x, y *big.Float) *big.Float {
	return f(new(big.Float).SetPrec(bigBits), x, y)
}

func bigAdd(x, y *big.Float) *big.Float { return bigOp((*big.Float).Add, x, y) }
func bigSub(x, y *big.Float) *big.Float { return bigOp((*big.Float).Sub, x, y) }
func bigMul(x, y *big.Float) *big.Float { return bigOp((*big.Float).Mul, x, y) }
func bigQuo(x, y *big.Float) *big.Float { return bigOp((*big.Float).Quo, x, y) }

// bigExp is the series of exp at x/2^12, squared twelve times.
func bigExp(x *big.Float) *big.Float {
	small := new(big.Float).SetPrec(bigBits).SetMantExp(x, -12)
	sum, term := bigOf(1), bigOf(1)
	for k := 1; k < 24; k++ {
		term = bigQuo(bigMul(term, small), bigOf(float64(k)))
		sum = bigAdd(sum, term)
	}
	for range 12 {
		sum = bigMul(sum, sum)
	}
	return sum
}

// bigLog solves exp(y) = x by Newton's method.
func bigLog(x *big.Float) *big.Float {
	v, _ := x.Float64()
	y := bigOf(logOf(v))
	for range 4 {
		y = bigAdd(y, bigSub(bigQuo(x, bigExp(y)), bigOf(1)))
	}
	return y
}

func bigTanh(x *big.Float) *big.Float {
	e := bigExp(bigAdd(x, x))
	return bigQuo(bigSub(e, bigOf(1)), bigAdd(e, bigOf(1)))
}

// bigMLP is Linear, tanh, Linear with the parameters in the order of the blocks.
type bigMLP struct{ in, hidden, out int }

func (m bigMLP) outputs(p []*big.Float, x []float64) []*big.Float {
	layer := func(in []*big.Float, out int) []*big.Float {
		z := make([]*big.Float, out)
		for i := range z {
			z[i] = p[out*len(in)+i]
			for j, v := range in {
				z[i] = bigAdd(z[i], bigMul(p[i*len(in)+j], v))
			}
		}
		p = p[out*(len(in)+1):]
		return z
	}
	h := make([]*big.Float, len(x))
	for i, v := range x {
		h[i] = bigOf(v)
	}
	h = layer(h, m.hidden)
	for i, v := range h {
		h[i] = bigTanh(v)
	}
	return layer(h, m.out)
}

// loss is the mean cross-entropy over the examples.
func (m bigMLP) loss(p []*big.Float, b *net.Batch[float64]) *big.Float {
	total := bigOf(0)
	for n, class := range b.Target.Classes {
		f := m.outputs(p, b.X.Row(n))
		sum := bigOf(0)
		for _, v := range f {
			sum = bigAdd(sum, bigExp(v))
		}
		total = bigAdd(total, bigSub(bigLog(sum), f[class]))
	}
	return bigQuo(total, bigOf(float64(b.N)))
}

// TestAgainstExtendedPrecision: gradient, Jacobian and Hessian agree with central differences in 256 bits.
func TestAgainstExtendedPrecision(t *testing.T) {
	m := model{
		net:   net.New[float64](net.Chain(linear(1, 2, 3), tanh(), linear(2, 3, 2)), &net.CrossEntropy[float64]{}, 1),
		batch: &net.Batch[float64]{N: 3, X: randomMatrix(11, 3, 2), Target: net.Target[float64]{Classes: []int32{1, 0, 1}}},
	}
	r := m.risk(t)
	r = r.cut(t, m.batch, 2)
	oracle := bigMLP{2, 3, 2}
	var p []*big.Float
	for _, b := range m.net.Blocks() {
		for _, v := range b.Value {
			p = append(p, bigOf(v))
		}
	}
	step := new(big.Float).SetPrec(bigBits).SetMantExp(bigOf(1), -70)
	dim := r.Dim()
	at := func(shift map[int]int) []*big.Float {
		q := slices.Clone(p)
		for i, k := range shift {
			q[i] = bigAdd(q[i], bigMul(bigOf(float64(k)), step))
		}
		return q
	}
	two := bigAdd(step, step)

	jacobian := dense.New[float64](r.Outputs(), dim)
	for i := range dim {
		for n := range m.batch.N {
			high, low := oracle.outputs(at(map[int]int{i: 1}), m.batch.X.Row(n)), oracle.outputs(at(map[int]int{i: -1}), m.batch.X.Row(n))
			for k := range high {
				v, _ := bigQuo(bigSub(high[k], low[k]), two).Float64()
				jacobian.Set(n*oracle.out+k, i, v)
			}
		}
	}
	matrixNear(t, "Jacobian by transposed products", Form(NewJacobian(r)), jacobian, 1e-14)
	matrixNear(t, "Jacobian by products", transposed(Form(Adjoint(NewJacobian(r)))), jacobian, 1e-14)

	loss, _ := oracle.loss(p, m.batch).Float64()
	gradient := make([]float64, dim)
	near(t, "loss", r.Gradient(gradient), loss, 1e-15)
	hessian := dense.New[float64](dim, dim)
	square := bigMul(two, two)
	for i := range dim {
		high, low := oracle.loss(at(map[int]int{i: 1}), m.batch), oracle.loss(at(map[int]int{i: -1}), m.batch)
		want, _ := bigQuo(bigSub(high, low), two).Float64()
		near(t, "gradient", gradient[i], want, 1e-15)
		for j := range i + 1 {
			value := func(a, b int) *big.Float {
				shift := map[int]int{i: a}
				shift[j] += b
				return oracle.loss(at(shift), m.batch)
			}
			sum := bigAdd(bigSub(value(1, 1), value(1, -1)), bigSub(value(-1, -1), value(-1, 1)))
			v, _ := bigQuo(sum, square).Float64()
			hessian.Set(i, j, v)
			hessian.Set(j, i, v)
		}
	}
	matrixNear(t, "Hessian", Form(NewHessian(r)), hessian, 1e-14)
	ggn := gaussNewton(t, r, jacobian, m.batch)
	matrixNear(t, "Gauss-Newton", Form(NewGGN(r)), ggn, 1e-14)
}

// gaussNewton forms R sum_n J_n^T H_n J_n from a Jacobian, with H from the formula of the loss.
func gaussNewton(t *testing.T, r *Risk[float64], j dense.Matrix[float64], b *net.Batch[float64]) dense.Matrix[float64] {
	out := r.Net.Forward(b).Clone()
	g := dense.New[float64](j.Cols, j.Cols)
	for i := range out.Rows {
		h := outputHessian(t, r.Net.Loss, out.Row(i), &b.Target, i)
		rows := j.View(i*out.Cols, 0, out.Cols, j.Cols)
		hj := dense.New[float64](out.Cols, j.Cols)
		dense.Gemm(dense.NoTrans, dense.NoTrans, r.Factor(), h, rows, 0, hj)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, rows, hj, 1, g)
	}
	return g
}

func transposed(m dense.Matrix[float64]) dense.Matrix[float64] {
	out := dense.New[float64](m.Cols, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			out.Set(j, i, v)
		}
	}
	return out
}
