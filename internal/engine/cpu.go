package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const cpuName = "cpu"

type cpu[T dense.Float] struct{}

var (
	_ Backend[float32] = cpu[float32]{}
	_ Backend[float64] = cpu[float64]{}
)

// Name implements Backend.
func (cpu[T]) Name() string { return cpuName }

// Gemm implements Backend.
func (cpu[T]) Gemm(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, c Batch[T]) {
	if a.Count != c.Count || b.Count != c.Count {
		panic(dense.Error("Gemm: batches of different length"))
	}
	for k := range c.Count {
		dense.Gemm(ta, tb, alpha, a.At(k), b.At(k), beta, c.At(k))
	}
}

// SumSquares implements Backend. The squares are added in four interleaved chains, in float64.
func (cpu[T]) SumSquares(g []T) (sum, largest float64) {
	var s [4]float64
	var top [4]T
	n := len(g) &^ 3
	for i := 0; i < n; i += 4 {
		q := g[i : i+4 : i+4]
		for l, v := range q {
			s[l] += float64(v) * float64(v)
			top[l] = max(top[l], v, -v)
		}
	}
	for _, v := range g[n:] {
		s[0] += float64(v) * float64(v)
		top[0] = max(top[0], v, -v)
	}
	return (s[0] + s[1]) + (s[2] + s[3]), float64(max(top[0], top[1], top[2], top[3]))
}

// Momentum implements Backend.
func (cpu[T]) Momentum(u Momentum, w, g, m []T) {
	lr, scale, l2, keep, mu := T(u.LR), T(u.GradScale), T(u.L2), T(1-u.Decay), T(u.Mu)
	g = g[:len(w)]
	if mu == 0 {
		for i, wi := range w {
			w[i] = keep*wi - lr*(scale*g[i]+l2*wi)
		}
		return
	}
	m = m[:len(w)]
	for i, wi := range w {
		gi := scale*g[i] + l2*wi
		mi := mu*m[i] + gi
		m[i] = mi
		if u.Nesterov {
			mi = gi + mu*mi
		}
		w[i] = keep*wi - lr*mi
	}
}

// Adam implements Backend.
func (cpu[T]) Adam(u Adam, w, g, m, v []T) {
	lr, scale, l2, keep := T(u.LR), T(u.GradScale), T(u.L2), T(1-u.Decay)
	b1, b2, r1, r2, eps := T(u.Beta1), T(u.Beta2), T(1-u.Beta1), T(1-u.Beta2), T(u.Eps)
	ca, cb, cc := T(u.A), T(u.B), T(u.C)
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i, wi := range w {
		gi := scale*g[i] + l2*wi
		mi := b1*m[i] + r1*gi
		vi := b2*v[i] + r2*gi*gi
		m[i], v[i] = mi, vi
		w[i] = keep*wi - lr*((ca*mi+cb*gi)/(root(cc*vi)+eps))
	}
}

// ScheduleFree implements Backend.
func (cpu[T]) ScheduleFree(u ScheduleFree, y, g, m, v, z, x []T) {
	lr, scale, l2 := T(u.LR), T(u.GradScale), T(u.L2)
	b1, b2, r2, eps := T(u.Beta1), T(u.Beta2), T(1-u.Beta2), T(u.Eps)
	inner, rest := T(u.Inner), T(1-u.Inner)
	ca, cb, cc := T(u.A), T(u.B), T(u.C)
	mix, stay, decay := T(u.Mix), T(1-u.Mix), T(u.Decay)
	g, v, z, x = g[:len(y)], v[:len(y)], z[:len(y)], x[:len(y)]
	for i, yi := range y {
		gi := scale*g[i] + l2*yi
		vi := b2*v[i] + r2*gi*gi
		v[i] = vi
		top := cb * gi
		if ca != 0 {
			m[i] = inner*m[i] + rest*gi
			top += ca * m[i]
		}
		at := yi
		if u.DecayAverage {
			at = x[i]
		}
		zi := z[i] - (lr*(top/(root(cc*vi)+eps)) + decay*at)
		xi := stay*x[i] + mix*zi
		z[i], x[i] = zi, xi
		y[i] = zi + b1*(xi-zi)
	}
}

func root[T dense.Float](v T) T { return T(math.Sqrt(float64(v))) }
