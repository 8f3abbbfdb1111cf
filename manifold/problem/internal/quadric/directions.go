package quadric

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// keptDirections is the number of directions that the next ones are kept conjugate to.
const keptDirections = 12

// conjugate solves A(x) = r to the relative residual and tells whether it got there in at most limit steps. Directions are kept conjugate to the last ones, of
// earlier solves too: in low precision and after each new start they would not stay so by themselves, which costs a third more steps.
func (s *System) conjugate(r, x dense.Matrix[float32], goal float64, limit int) bool {
	k := s.kept
	clear(k.x)
	packSymmetric(k.res, r)
	end := goal * goal * float64(dense.Dot(k.res, k.res))
	k.project()
	for range limit {
		if float64(dense.Dot(k.res, k.res)) <= end {
			break
		}
		unpackSymmetric(r, k.next())
		s.product(r, x)
		s.steps++
		packSymmetric(k.images.Row(k.last), x)
		k.remove(k.identity, k.images.Row(k.last), k.identityImage)
		if !k.step() {
			break
		}
	}
	unpackSymmetric(x, k.x)
	for i := range x.Rows {
		for j := range i {
			x.Set(j, i, x.At(i, j))
		}
	}
	return float64(dense.Dot(k.res, k.res)) <= end
}

// packSymmetric writes the lower triangle of a symmetric matrix as a vector with the same inner products.
func packSymmetric(v []float32, a dense.Matrix[float32]) {
	for i := range a.Rows {
		row := a.Row(i)
		dense.Scale(math.Sqrt2, row[:i], v[:i])
		v[i] = row[i]
		v = v[i+1:]
	}
}

// unpackSymmetric is the inverse of packSymmetric. It leaves what is above the diagonal as it is.
func unpackSymmetric(a dense.Matrix[float32], v []float32) {
	for i := range a.Rows {
		row := a.Row(i)
		dense.Scale(1/math.Sqrt2, v[:i], row[:i])
		row[i] = v[i]
		v = v[i+1:]
	}
}

// directions are the last conjugate directions, as rows, their images, and the products of both, with the residual and the solution of the present
// solve. All are packed. I, whose eigenvalue is n/2 times the others, is a direction that all are conjugate to; what errors of products leave of that is removed.
type directions struct {
	rows, images            dense.Matrix[float32]
	curvature, weight       []float32
	identity, identityImage []float32
	res, x, fresh           []float32
	count, last             int
}

func newDirections(identityImage dense.Matrix[float32]) *directions {
	n := identityImage.Rows
	length := n * (n + 1) / 2
	vector := func() []float32 { return make([]float32, length) }
	k := &directions{rows: dense.New[float32](keptDirections, length), images: dense.New[float32](keptDirections, length),
		curvature: make([]float32, keptDirections), weight: make([]float32, keptDirections), identity: vector(), identityImage: vector(), res: vector(), x: vector(), fresh: vector(), last: keptDirections - 1}
	packSymmetric(k.identityImage, identityImage)
	for i, at := 0, 0; i < n; i++ {
		at += i
		k.identity[at] = 1
		at++
	}
	return k
}

// remove subtracts a multiple of the step from v, so that v is orthogonal to the normal, and returns its size. One of them is I, the other its image.
func (k *directions) remove(normal, v, step []float32) (size float32) {
	size = dense.Dot(normal, v) / dense.Dot(k.identity, k.identityImage)
	dense.Axpy(-size, step, v)
	return size
}

// project makes the residual orthogonal to the directions by a combination of them.
func (k *directions) project() {
	dense.Axpy(k.remove(k.identity, k.res, k.identityImage), k.identity, k.x)
	weight := k.weights(k.rows)
	dense.Gemv(dense.Transposed, 1, k.filled(k.rows), weight, 1, k.x)
	dense.Gemv(dense.Transposed, -1, k.filled(k.images), weight, 1, k.res)
}

// filled returns the rows that are in use.
func (k *directions) filled(rows dense.Matrix[float32]) dense.Matrix[float32] {
	return rows.View(0, 0, k.count, rows.Cols)
}

// weights returns the products of the rows with the residual, over the curvatures.
func (k *directions) weights(rows dense.Matrix[float32]) []float32 {
	weight := k.weight[:k.count]
	dense.Gemv(dense.NoTrans, 1, k.filled(rows), k.res, 0, weight)
	for i, c := range k.curvature[:k.count] {
		weight[i] /= c
	}
	return weight
}

// next puts the residual, made conjugate to the directions, in the place of the oldest one and returns it.
func (k *directions) next() []float32 {
	copy(k.fresh, k.res)
	k.remove(k.identityImage, k.fresh, k.identity)
	dense.Gemv(dense.Transposed, -1, k.filled(k.rows), k.weights(k.images), 1, k.fresh)
	k.last = (k.last + 1) % keptDirections
	k.count = min(k.count+1, keptDirections)
	d := k.rows.Row(k.last)
	copy(d, k.fresh)
	return d
}

// step moves along the last direction, whose image is there, to the minimum. It is false where the curvature is not positive.
func (k *directions) step() bool {
	d, ad := k.rows.Row(k.last), k.images.Row(k.last)
	c := dense.Dot(d, ad)
	if k.curvature[k.last] = c; !(c > 0) {
		k.count, k.last = 0, keptDirections-1
		return false
	}
	alpha := dense.Dot(d, k.res) / c
	dense.Axpy(alpha, d, k.x)
	dense.Axpy(-alpha, ad, k.res)
	return true
}
