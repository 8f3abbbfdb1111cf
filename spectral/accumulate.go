package spectral

import (
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Accumulator folds the increments of several steps into one, so that the basis turns once for all of them: after Add(t_1), ..., Add(t_k) the
// target is what k exact steps S <- (1-Decay) S + T + Ridge I lead to. Adding a vector costs O(n), a dense increment O(n^2), the rotation is paid at
// Flush. Vectors are kept as they are up to a bound and then summed into a dense matrix.
type Accumulator struct {
	n, rank int
	steps   int
	keep    float64 // product of the 1-Decay
	ridge   float64
	rows    []float64 // k x n, one vector a row
	weights []float64
	full    dense.Matrix[float64] // n x n symmetric, both triangles
	dense   bool
	sym     *mat.SymDense // the view of full that increments carry
	fold    []float64
}

// NewAccumulator returns an empty accumulator for dimension n that keeps up to rank vectors before it sums them into a dense matrix. rank = 0
// means n/2, beyond which a dense increment is the cheaper one.
func NewAccumulator(n, rank int) *Accumulator {
	if n < 0 || rank < 0 {
		mistake("NewAccumulator(%d, %d): need n >= 0 and rank >= 0", n, rank)
	}
	if rank == 0 {
		rank = max(1, n/2)
	}
	return &Accumulator{n: n, rank: rank, keep: 1}
}

// Steps returns the number of increments added since the last Flush or Reset.
func (a *Accumulator) Steps() int { return a.steps }

// Reset forgets every increment.
func (a *Accumulator) Reset() {
	a.steps, a.keep, a.ridge, a.dense = 0, 1, 0, false
	a.rows, a.weights = a.rows[:0], a.weights[:0]
}

// Add appends the increment of one step. Increments with InBasis or Congruent are refused by a panic: they refer to a factor that moves.
// Matrices are copied.
func (a *Accumulator) Add(t Increment) {
	t.check(a.n)
	if t.InBasis || t.Congruent {
		mistake("Accumulator.Add: InBasis and Congruent increments cannot be folded")
	}
	if c := 1 - t.Decay; c != 1 {
		a.keep *= c
		a.ridge *= c
		dense.Scale(c, a.weights, a.weights)
		if a.dense {
			dense.Scale(c, a.full.Data, a.full.Data)
		}
	}
	a.ridge += t.Ridge
	a.steps++
	if t.Dense != nil {
		a.addDense(t.Dense, t.DenseWeight)
	}
	if t.Vectors != nil {
		a.addVectors(dense.Of(t.Vectors.RawMatrix()), t.Weights)
	}
}

// AddVector appends the step (1-decay) S + weight v v^T.
func (a *Accumulator) AddVector(decay, weight float64, v []float64) {
	if len(v) != a.n {
		mistake("AddVector: vector of length %d, the accumulator dimension %d", len(v), a.n)
	}
	a.Add(Increment{Decay: decay})
	a.appendVector(weight, v, 1)
}

func (a *Accumulator) addVectors(v dense.Matrix[float64], w []float64) {
	for l := range v.Cols {
		if a.n > 0 {
			a.appendVector(weightOf(w, l), v.Data[l:], v.Stride)
		}
	}
}

func (a *Accumulator) appendVector(w float64, v []float64, stride int) {
	if len(a.weights) == a.rank {
		a.sum()
	}
	if stride == 1 {
		a.rows = append(a.rows, v[:a.n]...)
	} else {
		for i := range a.n {
			a.rows = append(a.rows, v[i*stride])
		}
	}
	a.weights = append(a.weights, w)
}

func (a *Accumulator) needDense() {
	if a.dense {
		return
	}
	if a.sym == nil {
		a.sym = mat.NewSymDense(a.n, nil)
		raw := a.sym.RawSymmetric()
		a.full = dense.Matrix[float64]{Rows: a.n, Cols: a.n, Stride: raw.Stride, Data: raw.Data}
	}
	a.full.Zero()
	a.dense = true
}

func (a *Accumulator) addDense(t mat.Symmetric, w float64) {
	if a.n == 0 {
		return
	}
	if w == 0 {
		w = 1
	}
	a.needDense()
	if raw, ok := t.(mat.RawSymmetricer); ok {
		s := raw.RawSymmetric()
		for i := range a.n {
			dense.Axpy(w, s.Data[i*s.Stride+i:i*s.Stride+a.n], a.full.Row(i)[i:])
		}
		return
	}
	for i := range a.n {
		row := a.full.Row(i)
		for j := i; j < a.n; j++ {
			row[j] += w * t.At(i, j)
		}
	}
}

// sum moves the vectors held into the dense matrix, by half a product.
func (a *Accumulator) sum() {
	a.needDense()
	k := len(a.weights)
	if cap(a.fold) < len(a.rows) {
		a.fold = make([]float64, len(a.rows))
	}
	scaled := dense.Wrap(k, a.n, a.fold[:len(a.rows)])
	for l, w := range a.weights {
		dense.Scale(w, a.rows[l*a.n:(l+1)*a.n], scaled.Row(l))
	}
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, scaled, dense.Wrap(k, a.n, a.rows), 1, a.full)
	a.rows, a.weights = a.rows[:0], a.weights[:0]
}

// Flush updates f by everything added, in one call, and resets the accumulator unless the report holds an error. Without increments it does
// nothing.
func (a *Accumulator) Flush(f *Factor, o *Step) Report {
	if f.n != a.n {
		mistake("Flush: factor of dimension %d, accumulator of %d", f.n, a.n)
	}
	if a.steps == 0 {
		return Report{Scaling: 1, Defect: f.defect}
	}
	t := Increment{Decay: 1 - a.keep, Ridge: a.ridge, Weights: a.weights, rows: dense.Wrap(len(a.weights), a.n, a.rows)}
	if a.dense {
		t.Dense = a.sym
	}
	rep := f.Update(t, o)
	if rep.Err == nil {
		a.Reset()
	}
	return rep
}
