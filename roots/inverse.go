package roots

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// invert computes the Cholesky inverse and judges it by its own norm, so that the condition number need not be known before. It makes the Newton step
// of method refined where correct is set, or where the job is adaptive and the promise without it is above the tolerance.
func (j *job[T]) invert(correct bool) error {
	l, err := j.factorOf(j.a)
	if err != nil {
		return err
	}
	x := inverseOf(j, l)
	if err := j.weigh(x); err != nil {
		return err
	}
	j.bound = choleskyBound(j.Query)
	if !correct && !(j.bound <= j.Tol) {
		least := j.Query
		least.Cond = condMargin * j.hi / j.lo
		if correct = j.adaptive && choleskyBound(least) > j.Tol; !correct {
			if err := j.sharpen(x); err != nil {
				return err
			}
			j.bound = choleskyBound(j.Query)
			correct = j.adaptive && j.bound > j.Tol
		}
	}
	if full, ok := any(j).(*job[float64]); ok && correct {
		if err := full.correctInverse(x, l); err != nil {
			return err
		}
	}
	if j.Columns == 0 {
		convert(j.x, x)
		return nil
	}
	y := j.new(j.N, j.N)
	convert(y, x)
	j.give(y)
	return nil
}

// weigh bounds the condition number by the norms of the matrix and of its inverse x, and estimates the extreme eigenvalues.
func (j *job[T]) weigh(x dense.Matrix[float64]) error {
	j.Cond = normSlack * j.hi * normBound(x)
	return j.extremes(powerSteps(j.a), powerSteps(x))
}

// sharpen replaces what weigh found by better estimates, the condition number with a margin.
func (j *job[T]) sharpen(x dense.Matrix[float64]) error {
	top, inverse := largest(j.a), largest(x)
	j.Cond = min(j.Cond, condMargin*top*inverse)
	return j.extremes(top, inverse)
}

// extremes takes estimates of the largest eigenvalues of the matrix and of its inverse, and refuses what is singular to working precision.
func (j *job[T]) extremes(top, inverse float64) error {
	if !(top*inverse*math.Sqrt(float64(j.N))*0x1p-53 < 1) {
		return j.refuse()
	}
	j.lo, j.hi, j.Top = 1/inverse, top, top
	j.rep.LambdaMin, j.rep.LambdaMax = j.lo, j.hi
	return j.overflow()
}

// normSlack allows for the error of a computed inverse in a bound by its norm.
const normSlack = 1.1

// powerSteps estimates the largest eigenvalue of the symmetric positive-definite m from below, by two steps of the power method from its longest column:
// at worst n^(1/2) too low, where that column hardly meets the dominating eigenvector.
func powerSteps[T dense.Float](m dense.Matrix[T]) float64 {
	n := m.Rows
	var v []T
	var size float64
	for i := range n {
		row := m.Row(i)
		if s := float64(dense.Dot(row, row)); s >= size {
			v, size = row, s
		}
	}
	x, y := make([]T, n), make([]T, n)
	for range 2 {
		dense.Scale(T(1/math.Sqrt(size)), v, x)
		dense.Gemv(dense.NoTrans, 1, m, x, 0, y)
		v, size = y, float64(dense.Dot(y, y))
	}
	return math.Sqrt(size)
}

// correctInverse makes one Newton step x + x (I - a x), where the residual allows it, and sets the bound; scratch is overwritten.
func (j *job[T]) correctInverse(x, scratch dense.Matrix[float64]) error {
	n := j.N
	convert(scratch, j.a)
	p, rest := exactProduct(scratch, x)
	var size float64
	for i := range n {
		pr, er := p.Row(i), rest.Row(i)
		for k := range pr {
			one := 0.0
			if k == i {
				one = 1
			}
			pr[k] = -difference(pr[k], one, er[k])
			size += pr[k] * pr[k]
		}
	}
	j.count(3 * cube(n))
	j.rep.Method = refinedMethod.Name
	promise := choleskyBound
	if size = math.Sqrt(size); size <= maxCoupling {
		promise = func(q Query) float64 { return refinedBound(q, size) }
		// The correction is summed on its own, so that x is rounded once.
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, p, 0, rest)
		j.count(cube(n))
		symmetrise(rest)
		for i := range n {
			dense.Axpy(1, rest.Row(i), x.Row(i))
		}
	}
	easy := j.Query
	easy.Cond = 1
	if j.bound = promise(j.Query); j.bound > j.Tol && j.bound > 1.5*promise(easy) {
		if err := j.sharpen(x); err != nil {
			return err
		}
		j.bound = promise(j.Query)
	}
	return nil
}
