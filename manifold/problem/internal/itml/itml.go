// Package itml is information-theoretic metric learning: a Mahalanobis metric that keeps pairs of samples of one class near and those of two apart.
package itml

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem/internal/bound"
	"github.com/spdopt/spdopt/manifold/problem/internal/gram"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	defaultPairs = 10000 // default of Options.Pairs
	nearQuantile = 0.05  // quantile of the squared distances that pairs of one class should not exceed, and 1 minus it for pairs of two
)

// Options say how much slacks cost and which pairs there are.
type Options struct {
	Gamma float64 // weight of the slacks; default 1
	Pairs int     // the largest number of pairs; default 10000. More are drawn from at random
	Seed  uint64
}

// Objective is information-theoretic metric learning (Davis, Kulis, Jain, Sra and Dhillon, ICML 2007): tr X - log det X - n plus gamma times the
// log-det divergence of slacks from the bounds b, where q = z'Xz of every pair difference z should be at most its slack for a pair of one class and at
// least its slack for one of two. The best slack for a given X is max(q, b) or min(q, b), so that the problem is to minimize
// tr X - log det X - n + gamma sum h(q/b) over the pairs on the wrong side of b, h(r) = r - log r - 1: convex, with a continuous gradient. With
// v = F'z, f1 = gamma (1/b - 1/q), f2 = gamma/q^2 and A = F'F + sum f1 v v' the whitened differential is A - I, and the Hessian
// (eta A + A eta)/2 + sum f2 (v' eta v) v v': at the minimum at least the identity.
type Objective struct {
	Manifold *manifold.Affine
	x        dense.Matrix[float64] // samples less their mean
	pairs    [][2]int              // of samples, the first the larger
	z        dense.Matrix[float64] // differences, one a row
	near     []bool                // of one class
	bound    []float64
	gamma    float64
	v        dense.Matrix[float64]
	work     dense.Matrix[float64]
}

type pairMemo struct {
	v, a   dense.Matrix[float64]
	f1, f2 []float64
}

// New returns the objective for samples, which it centres and keeps hold of, and their labels, of which a negative one is unknown. It fails where the distances of pairs have no
// scale.
func New(m *manifold.Affine, x dense.Matrix[float64], labels []int, o Options) (*Objective, error) {
	q := &Objective{Manifold: m, x: x, pairs: drawPairs(labels, o), gamma: o.Gamma, work: dense.New[float64](x.Cols, x.Cols)}
	if q.gamma == 0 {
		q.gamma = 1
	}
	gram.Centre(x)
	pairs := len(q.pairs)
	q.z, q.near, q.bound, q.v = dense.New[float64](pairs, x.Cols), make([]bool, pairs), make([]float64, pairs), dense.New[float64](pairs, x.Cols)
	for k, p := range q.pairs {
		copy(q.z.Row(k), x.Row(p[0]))
		dense.Axpy(-1, x.Row(p[1]), q.z.Row(k))
		q.near[k] = labels[p[0]] == labels[p[1]]
		q.bound[k] = dense.Dot(q.z.Row(k), q.z.Row(k))
	}
	sorted := slices.Sorted(slices.Values(q.bound))
	least, most := sorted[int(nearQuantile*float64(len(sorted)-1))], sorted[int(math.Ceil((1-nearQuantile)*float64(len(sorted)-1)))]
	if !(least > 0) || math.IsInf(most, 1) {
		return nil, fmt.Errorf("the squared distances of pairs have 5 %% and 95 %% quantiles %v and %v, want positive finite numbers", least, most)
	}
	for k := range q.bound {
		if q.bound[k] = most; q.near[k] {
			q.bound[k] = least
		}
	}
	return q, nil
}

// drawPairs returns every pair of samples whose labels are known, or as many different ones as the options want, in order.
func drawPairs(labels []int, o Options) (pairs [][2]int) {
	var known []int
	for i, l := range labels {
		if l >= 0 {
			known = append(known, i)
		}
	}
	want := o.Pairs
	if want == 0 {
		want = defaultPairs
	}
	if n := len(known); n*(n-1)/2 <= want {
		for i := range known {
			for _, j := range known[:i] {
				pairs = append(pairs, [2]int{known[i], j})
			}
		}
		return pairs
	}
	var key [32]byte
	for b := range 8 {
		key[b] = byte(o.Seed >> (8 * b))
	}
	rng, seen := rand.New(rand.NewChaCha8(key)), map[[2]int]bool{}
	for len(pairs) < want {
		i, j := rng.IntN(len(known)), rng.IntN(len(known))
		p := [2]int{known[max(i, j)], known[min(i, j)]}
		if i != j && !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// GradientScale implements solve.Scaler: the norm of the gradient of log det X, the identity in whitened coordinates.
func (q *Objective) GradientScale(float64) float64 {
	return math.Sqrt(q.Manifold.Kappa() * float64(q.z.Cols))
}

// NewMemo implements solve.Memoizer.
func (q *Objective) NewMemo() solve.Memo {
	P, n := q.z.Rows, q.z.Cols
	return &pairMemo{dense.New[float64](P, n), dense.New[float64](n, n), make([]float64, P), make([]float64, P)}
}

// slopes sets f1 and f2 of pair k for q = z'Xz and returns h.
func (q *Objective) slopes(k int, value float64) (h, f1, f2 float64) {
	r := value / q.bound[k]
	if q.near[k] != (r > 1) {
		return 0, 0, 0
	}
	return q.gamma * (r - math.Log(r) - 1), q.gamma * (1/q.bound[k] - 1/value), q.gamma / (value * value)
}

// Evaluate implements solve.Objective: one and a half products of the size of the pairs.
func (q *Objective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m, n := p.(*manifold.Frame), memo.(*pairMemo), q.z.Cols
	if err := q.Manifold.Complete(p); err != nil {
		return math.Inf(1), err
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q.z, dense.Of(f.F().RawMatrix()), 0, m.v)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, dense.Of(f.F().RawMatrix()), dense.Of(f.F().RawMatrix()), 0, m.a)
	cost := -f.LogDet() - float64(n)
	for i := range n {
		cost += m.a.At(i, i)
	}
	for k := range q.z.Rows {
		var h float64
		h, m.f1[k], m.f2[k] = q.slopes(k, dense.Dot(m.v.Row(k), m.v.Row(k)))
		cost += h
		dense.Scale(m.f1[k], m.v.Row(k), q.v.Row(k))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, m.v, q.v, 1, m.a)
	dense.Mirror(m.a)
	copy(grad, m.a.Data)
	for i := range n {
		grad[i*n+i]--
	}
	q.Manifold.FromWhitened(f, grad)
	return cost, nil
}

// HessianVec implements solve.Hessian: two products of the size of the pairs.
func (q *Objective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m, n := memo.(*pairMemo), q.z.Cols
	out, eta := dense.Wrap(n, n, dst), dense.Wrap(n, n, v)
	dense.SymmetricProduct(out, eta, m.a, q.work)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.v, eta, 0, q.v)
	for k, f2 := range m.f2 {
		dense.Scale(f2*dense.Dot(q.v.Row(k), m.v.Row(k)), m.v.Row(k), q.v.Row(k))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, m.v, q.v, 1, out)
	dense.Mirror(out)
	q.Manifold.FromWhitened(p.(*manifold.Frame), dst)
	return nil
}

// Certify implements solve.Certifier. The cost is -log det X plus a convex function, so that with the norm g < 1 of the whitened differential it is at
// most -g - log(1 - g) above its minimum (Nesterov, "Lectures on Convex Optimization", 2018, section 5.1), and the gap bounds the distance.
func (q *Objective) Certify(_ manifold.Point, gradientNorm float64, _ solve.Memo) solve.Certificate {
	gap := q.Gap(gradientNorm)
	if math.IsInf(gap, 1) {
		return solve.Certificate{Kind: "none"}
	}
	return solve.Certificate{Kind: "self-concordance", Value: bound.LogDet(gap) / math.Sqrt(q.Manifold.Kappa()), Bound: true}
}

// Gap bounds by how much the cost is above its minimum at a gradient norm, see Certify.
func (q *Objective) Gap(gradientNorm float64) float64 {
	g := gradientNorm / math.Sqrt(q.Manifold.Kappa())
	if !(g < 1) {
		return math.Inf(1)
	}
	if g < 1e-4 {
		return g * g * (0.5 + g) // -g - log(1 - g) = g^2/2 + g^3/3 + ... without cancellation
	}
	return -g - math.Log1p(-g)
}

// Pairs returns the number of pairs.
func (q *Objective) Pairs() int { return q.z.Rows }

// Beyond returns the number of pairs that are on the wrong side of their bounds at a point.
func (q *Objective) Beyond(f *manifold.Frame) (wrong int) {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q.z, dense.Of(f.F().RawMatrix()), 0, q.v)
	for k := range q.z.Rows {
		if _, f1, _ := q.slopes(k, dense.Dot(q.v.Row(k), q.v.Row(k))); f1 != 0 {
			wrong++
		}
	}
	return wrong
}
