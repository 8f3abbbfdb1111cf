package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matfun"
)

var newtonMethod = Method{
	Name:   "newton",
	device: true,
	Title:  "coupled Newton iteration for A^(-1/r) and integer powers of it",
	Source: "Iannazzo, SIAM J. Matrix Anal. Appl. 28 (2006); Guo and Higham, ibid. (2006), eq. (3.6)",
	Can:    canCoupled,
	Work: func(q Query) float64 {
		_, r, _ := rootOf(q.Power, coupledLimit)
		// The smallest eigenvalue grows by ((r+1)/r)^r a step.
		steps := math.Log(2*max(q.Cond, 1))/(float64(r)*math.Log1p(1/float64(r))) + 5
		return steps*(1.5+float64(powerProducts(r))) + coupledFinish(q)
	},
	Bound: func(q Query) float64 { return coupledBound(q, 8) },
	rate:  rate{14.4, 8.4, 3.5, 1.7, 1.2, 1.1, 1.0, 1.0, 1.0, 1.0},
	run64: runNewton[float64],
	run32: runNewton[float32],
}

// coupledLimit is the largest root index r of the coupled iterations.
const coupledLimit = 8

// canCoupled accepts the powers -k/r and k/r with r <= coupledLimit, |k| <= 8 r.
func canCoupled(q Query) bool {
	if q.Kind > KindInv || q.Power == 0 || q.Cutoff {
		return false
	}
	k, r, ok := rootOf(q.Power, coupledLimit)
	return ok && k >= -8*r && k <= 8*r && (r > 1 || k == -1)
}

// coupledSplit writes p as c - k/r with integers c >= 0, k >= 0 and the smallest such c, so that A^p = A^c (A^(-1/r))^k.
func coupledSplit(p float64) (c, k, r int) {
	s, r, _ := rootOf(p, coupledLimit)
	if s > 0 {
		c = (s + r - 1) / r
	}
	return c, c*r - s, r
}

func powerProducts(k int) int {
	n := 0
	for ; k > 1; k >>= 1 {
		n += 1 + k&1
	}
	return n
}

func coupledFinish(q Query) float64 {
	c, k, _ := coupledSplit(q.Power)
	w := float64(powerProducts(k)) / 2
	if c > 0 {
		w += float64(powerProducts(c))/2 + 1
	}
	return w + applyWork(q, 1)
}

// coupledBound is the promise of an iteration for A^(-1/r) followed by a product with A^c: the root's error is amplified by cond(A)^c
// relative to the smaller norm of the product, except where it commutes with A, which is not counted on.
func coupledBound(q Query, c float64) float64 {
	s, k, r := coupledSplit(q.Power)
	cond := max(q.Cond, 1)
	root := q
	root.Power = -1 / float64(r)
	rel := root.rounding(c) * float64(max(k, 1))
	if s > 0 {
		// ||A^s E|| <= M^s ||E||, against ||A^p|| = M^p: M^(s-p) m^(-k/r) = cond^(k/r).
		rel *= math.Pow(cond, float64(k)/float64(r))
	}
	return rel
}

func runNewton[T dense.Float](j *job[T]) error {
	c, k, r := coupledSplit(j.Power)
	x, err := coupled(j, r, 1+float64(r), func(m, t, _ dense.Matrix[T]) {
		j.poly(t, 1+1/T(r), -1/T(r), m, 0, m)
	})
	if err != nil {
		return err
	}
	return j.finishCoupled(x, c, k)
}

// coupled runs X <- X T, M <- T^r M from X = z^(1/r) I, M = z A, with T = step(M) close to M^(-1/r), until M = I; then X = A^(-1/r).
// step(m, t, w) fills t with w as workspace; z puts the largest eigenvalue of M at reach/2, where reach bounds the interval (0, reach) from which
// the iteration converges.
func coupled[T dense.Float](j *job[T], r int, reach float64, step func(m, t, w dense.Matrix[T])) (dense.Matrix[T], error) {
	n := j.N
	m, t, w, x := j.new(n, n), j.new(n, n), j.new(n, n), j.new(n, n)
	z := reach / (2 * j.hi)
	j.poly(m, 0, T(z), j.a, 0, j.a)
	x.Identity()
	j.poly(x, 0, T(math.Pow(z, 1/float64(r))), x, 0, x)
	stop := matfun.Progress{Target: j.target()}
	limit := j.iterationLimit(200)
	var work powers[T]
	for it := 1; ; it++ {
		d := j.distance(m)
		if matfun.Broken(d) {
			return x, &MethodError{j.rep.Method, "the iteration diverged; use method eigen"}
		}
		if j.rep.Reason = stop.Done(d); j.rep.Reason != "" {
			j.trunc += 1.5 * d / float64(r)
			return x, nil
		}
		if it > limit {
			return x, &MethodError{j.rep.Method, "no convergence within the iteration limit"}
		}
		j.rep.Iterations = it
		step(m, t, w)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, x, t, 0, w)
		x, w = w, x
		p := j.powerIn(&work, t, r)
		j.symm(dense.NoTrans, dense.NoTrans, 1, p, m, w)
		m, w = w, m
	}
}

func (j *job[T]) iterationLimit(own int) int {
	if j.limit > 0 {
		return j.limit
	}
	return own
}

// finishCoupled delivers A^c X^k.
func (j *job[T]) finishCoupled(x dense.Matrix[T], c, k int) error {
	if k == 0 {
		j.give(j.powerOf(j.a, c).Clone())
		return nil
	}
	x = j.powerOf(x, k)
	j.trunc *= float64(k)
	if c > 0 {
		j.trunc *= math.Pow(2*max(j.Cond, 1), float64(c)-j.Power)
		z := j.new(j.N, j.N)
		j.gemm(dense.NoTrans, dense.NoTrans, 1, j.powerOf(j.a, c), x, 0, z)
		x = z
	}
	j.give(x)
	return nil
}
