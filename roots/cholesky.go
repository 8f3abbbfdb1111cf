package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var choleskyMethod = Method{
	Name:   "cholesky",
	Title:  "integer powers: products for p >= 0, Cholesky inverse and products for p < 0, two solves to apply the inverse",
	Source: "Higham, Accuracy and Stability of Numerical Algorithms, 14.3",
	Can: func(q Query) bool {
		return q.Kind <= KindInv && q.Power == math.Trunc(q.Power) && math.Abs(q.Power) <= 16 && !q.Cutoff
	},
	Work: func(q Query) float64 {
		if q.Power == -1 && q.Columns > 0 {
			return 1./6 + applyWork(q, 1)
		}
		w := float64(powerProducts(int(math.Abs(q.Power)))) / 2
		if q.Power < 0 {
			w += 0.5
		}
		return w + applyWork(q, 1)
	},
	Bound: choleskyBound,
	rate:  rate{107, 63, 31, 14, 6.4, 3.5, 2.05, 1.6, 1.4, 1.3},
	run64: runCholesky[float64],
	run32: runCholesky[float32],
}

// choleskyBound is that of products for p >= 0. The inverse, made in float64 whatever the query's precision is, has an error of c n eps cond(A) relative
// to itself, to which its powers add that of products.
func choleskyBound(q Query) float64 {
	if q.Power >= 0 {
		return q.rounding(4)
	}
	products := q
	products.Power = -q.Power
	q.Single = false
	return q.rounding(4) + products.rounding(4)
}

func runCholesky[T dense.Float](j *job[T]) error {
	switch {
	case j.Power == -1 && j.Columns == 0:
		return j.invert(false)
	case j.Power == -1:
		return j.solve()
	}
	k := int(math.Abs(j.Power))
	if k == 0 {
		x := j.new(j.N, j.N)
		x.Identity()
		j.give(x)
		return nil
	}
	base := j.a
	if j.Power < 0 {
		l, err := j.factorOf(j.a)
		if err != nil {
			return err
		}
		base = j.new(j.N, j.N)
		convert(base, inverseOf(j, l))
	}
	x := j.powerOf(base, k)
	if k == 1 {
		x = x.Clone()
	}
	j.give(x)
	return nil
}

// solve applies the inverse by substitution.
func (j *job[T]) solve() error {
	l, err := j.factorOf(j.a)
	if err != nil {
		return err
	}
	y := dense.New[float64](j.N, j.Columns)
	convert(y, j.rhs)
	dense.SolveLower(dense.NoTrans, l, y)
	dense.SolveLower(dense.Transposed, l, y)
	j.count(float64(j.N) * float64(j.N) * float64(j.Columns))
	convert(j.x, y)
	return nil
}

// factor overwrites m with its Cholesky factor and reports whether m is positive definite.
func (j *job[T]) factor(m dense.Matrix[float64]) bool {
	j.count(cube(j.N) / 6)
	return dense.Cholesky(m) < 0
}

// factorOf returns the float64 Cholesky factor of m, the one that the survey made if m is the matrix of the job; the caller may overwrite it.
func (j *job[T]) factorOf(m dense.Matrix[T]) (dense.Matrix[float64], error) {
	if j.chol.Data != nil && &m.Data[0] == &j.a.Data[0] {
		l := j.chol
		j.chol.Data = nil
		return l, nil
	}
	l := dense.New[float64](j.N, j.N)
	convert(l, m)
	if !j.factor(l) {
		return l, j.refuse()
	}
	return l, nil
}

// inverseOf returns (l l^T)^-1 in full storage; l is overwritten with its inverse.
func inverseOf[T, S dense.Float](j *job[T], l dense.Matrix[S]) dense.Matrix[S] {
	x := dense.New[S](j.N, j.N)
	invertCholesky(l, x)
	j.count(cube(j.N) / 3)
	return x
}

// invertCholesky sets x = (l l^T)^-1 in full storage; l, whose strict upper triangle is zero, is overwritten with its inverse.
func invertCholesky[S dense.Float](l, x dense.Matrix[S]) {
	dense.InvertLower(l)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, l, l, 0, x)
	dense.Mirror(x)
}

func cube(n int) float64 { return float64(n) * float64(n) * float64(n) }
