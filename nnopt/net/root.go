package net

import (
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Curved is implemented by losses whose term c of a row has a Hessian S S^T in the outputs of that row with a known root S (cols x cols), the same as the
// Fisher matrix of the distribution whose negative log-likelihood is c where Sample is exact.
type Curved[T Float] interface {
	// Root sets every row of v to column k of S for that row, 0 <= k < cols; zero where a row does not count.
	Root(out Matrix[T], t *Target[T], k int, v Matrix[T])
	// Draw sets every row of v to a random vector whose second moment is the Fisher matrix, drawing for one row after the other; zero where a row does
	// not count.
	Draw(out Matrix[T], t *Target[T], r *rand.Rand, v Matrix[T])
	// Averages says that Factor is one over a number of terms, so that it shrinks as batches grow.
	Averages() bool
}

// Averages implements Curved.
func (l *CrossEntropy[T]) Averages() bool { return !l.Sum }

// Root implements Curved: column k of diag(sqrt p) - p sqrt(p)^T, times the root of the mass of the target.
func (l *CrossEntropy[T]) Root(out Matrix[T], t *Target[T], k int, v Matrix[T]) {
	p := l.probabilities(out)
	f := l.form(out, t)
	for i := range out.Rows {
		row := v.Row(i)
		mass := f.Mass(i)
		weight := sqrt(mass * p.At(i, k))
		dense.Scale(-weight, p.Row(i), row)
		row[k] += weight
	}
}

// Draw implements Curved: p - e_c for a class c drawn from p. Smoothing does not enter, as it does not enter the Hessian.
func (l *CrossEntropy[T]) Draw(out Matrix[T], t *Target[T], r *rand.Rand, v Matrix[T]) {
	p := l.probabilities(out)
	f := l.form(out, t)
	for i := range out.Rows {
		row, c := v.Row(i), pick(p.Row(i), r)
		weight := sqrt(f.Mass(i))
		dense.Scale(weight, p.Row(i), row)
		row[c] -= weight
	}
}

// pick draws an index with the probabilities p.
func pick[T Float](p []T, r *rand.Rand) int {
	u, k := T(r.Float64()), 0
	for k < len(p)-1 && u >= p[k] {
		u -= p[k]
		k++
	}
	return k
}

// Averages implements Curved.
func (l *elementwise[T]) Averages() bool { return !l.sum }

// Root implements Curved: the Hessian is diagonal.
func (l *elementwise[T]) Root(out Matrix[T], t *Target[T], k int, v Matrix[T]) {
	v.Zero()
	for i := range out.Rows {
		_, _, bend := engine.MisfitOf(l.kind, out.At(i, k), t.Values.At(i, k))
		v.Set(i, k, sqrt(bend))
	}
}

// Draw implements Curved: the slopes of the terms at targets drawn from the model.
func (l *elementwise[T]) Draw(out Matrix[T], _ *Target[T], r *rand.Rand, v Matrix[T]) {
	for i := range out.Rows {
		row := v.Row(i)
		for j, o := range out.Row(i) {
			_, row[j], _ = engine.MisfitOf(l.kind, o, l.draw(o, r))
		}
	}
}
