package problem

import (
	"slices"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

// coarseOperator is the secant operator of a model by products that are faster than those in single precision.
type coarseOperator interface {
	Sum(weight float32, u, out dense.Matrix[float32])
	// set makes it that of the factors of the model.
	set(m *procrustesModel)
	// errors returns what bears on the errors of its products, as roundedGain, roundedGoal and roundedDrift.
	errors() (gain, goal, drift float64)
	// finer returns what is to be used where it fails.
	finer(n, count int) coarseOperator
}

func newCoarseOperator(n, count int) coarseOperator {
	if n >= bytesLeast && (n >= tiledLeast || !dense.HasTiles()) {
		if o := newByteOperator(n, count); o != nil {
			return o
		}
	}
	return newRoundedOperator(n, count)
}

func newRoundedOperator(n, count int) coarseOperator {
	if n >= roundedLeast {
		if s := dense.NewRoundedSandwiches(n, count); s != nil {
			return &roundedOperator{s}
		}
	}
	return nil
}

// byteOperator takes products in bytes.
type byteOperator struct {
	*dense.ByteSandwiches
	n, count int
}

// spareBytes has operators of runs that are over.
var spareBytes sync.Pool

// newByteOperator returns nil where the processor has no products in bytes.
func newByteOperator(n, count int) *byteOperator {
	if o, ok := spareBytes.Get().(*byteOperator); ok && o.n == n && o.count == count {
		return o
	}
	if s := dense.NewByteSandwiches(n, count); s != nil {
		return &byteOperator{s, n, count}
	}
	return nil
}

// recycle leaves the operator to another run: this one must be over.
func (m *procrustesModel) recycle() {
	if o, ok := m.coarse.(*byteOperator); ok {
		m.coarse = nil
		spareBytes.Put(o)
	}
}

func (o *byteOperator) set(m *procrustesModel) { o.Set(m.at.g, m.at.inv) }

func (o *byteOperator) errors() (gain, goal, drift float64) {
	return bytesGain, bytesGoal, bytesDrift
}

func (o *byteOperator) finer(n, count int) coarseOperator { return newRoundedOperator(n, count) }

// roundedOperator takes products in bfloat16.
type roundedOperator struct{ *dense.RoundedSandwiches }

// set takes G and its inverse without the medians of their diagonals, so that differences of eigenvalues that most are near to are not lost: a multiple of the identity commutes with
// everything.
func (o *roundedOperator) set(m *procrustesModel) {
	for k, g := range m.at.g {
		o.Set(k, lessMedian(g, m.sum, m.z[:m.n]), lessMedian(m.at.inv[k], m.other, m.z[:m.n]))
	}
}

func (o *roundedOperator) errors() (gain, goal, drift float64) {
	return roundedGain, roundedGoal, roundedDrift
}

func (o *roundedOperator) finer(n, count int) coarseOperator { return nil }

// lessMedian sets dst to a less the median of its diagonal, and returns it.
func lessMedian(a, dst dense.Matrix[float32], diagonal []float32) dense.Matrix[float32] {
	dst.Copy(a)
	for i := range diagonal {
		diagonal[i] = a.At(i, i)
	}
	slices.Sort(diagonal)
	median := diagonal[len(diagonal)/2]
	for i := range diagonal {
		dst.Set(i, i, a.At(i, i)-median)
	}
	return dst
}
