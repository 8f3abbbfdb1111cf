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
	if j.bound, err = j.weigh(x); err != nil {
		return err
	}
	if full, ok := any(j).(*job[float64]); ok && (correct || j.adaptive && j.bound > j.Tol) {
		full.correctInverse(x, l)
		j.rep.Method = refinedMethod.Name
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

// weigh estimates the extreme eigenvalues of the matrix from its inverse x and refuses one that is singular to working precision. It returns the promise
// for x at a bound of the condition number by norms where that meets the tolerance, and at an estimate with a margin otherwise; Cond is that number.
func (j *job[T]) weigh(x dense.Matrix[float64]) (float64, error) {
	known := j.Query
	known.Cond = normSlack * j.hi * normBound(x)
	bound := choleskyBound(known)
	top, inverse := powerSteps(j.a), powerSteps(x)
	if !(bound <= j.Tol) {
		top, inverse = largest(j.a), largest(x)
		known.Cond = min(known.Cond, condMargin*top*inverse)
		bound = choleskyBound(known)
	}
	if !(top*inverse*math.Sqrt(float64(j.N))*0x1p-53 < 1) {
		return 0, j.refuse()
	}
	j.lo, j.hi = 1/inverse, top
	j.Top, j.Cond = top, known.Cond
	j.rep.LambdaMin, j.rep.LambdaMax = j.lo, j.hi
	return bound, j.overflow()
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

// correctInverse makes one Newton step x + x (I - a x); scratch is overwritten.
func (j *job[T]) correctInverse(x, scratch dense.Matrix[float64]) {
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
	if size = math.Sqrt(size); !(size <= maxCoupling) {
		return
	}
	j.bound = refinedBound(j.Query, size)
	rest.Copy(x)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, rest, p, 1, x)
	j.count(cube(n))
	symmetrise(x)
}
