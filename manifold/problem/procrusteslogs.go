package problem

import (
	"runtime"
	"sync/atomic"

	"github.com/spdopt/spdopt/internal/dense"
)

// manyPairs is how many for each thread are enough to do a pair each: threads do not wait for each other for long then.
const manyPairs = 4

// wide tells whether threads do a pair each, and not all of them share the work on one.
func wide(pairs int) bool {
	threads := runtime.GOMAXPROCS(0)
	return threads == 1 || pairs >= manyPairs*threads
}

// evenly calls body for every index, as many at a time as there are threads; the products of the last ones, if they are few, are what threads share.
func (t *team) evenly(body func(w *worker, i int) error) {
	t.body = body
	parts, threads := len(t.workers), runtime.GOMAXPROCS(0)
	if rest := parts % threads; rest < parts && 2*rest <= threads {
		parts -= rest
	}
	perform(&t.tasks.part, parts, t.serial)
	for c := parts; c < len(t.workers); c++ {
		t.part(c)
	}
}

// pencilLogs computes what pencilLog does for all pairs at once, with the same bits: products that are shared among threads, and as many inversions of different nodes and pairs side by side as
// there is room for.
type pencilLogs[T dense.Float] struct {
	n               int
	a, b            []dense.Matrix[T]
	d, inverse, log []dense.Matrix[T]
	inversions      []dense.Matrix[T] // of the present wave
	works           dense.Spaces[[]T]
	fresh           func() dense.Matrix[T]
	tasks           struct{ invert, add, mirror dense.Parallel }
	// of the present call
	rule        *logRule
	first, last int // inversions of the wave: node by node, pair after pair
	failed      atomic.Bool
}

// addedRows is the number of rows of a part of a sum.
const addedRows = 64

// newPencilLogs takes a maker of matrices.
func newPencilLogs[T dense.Float](n, count int, fresh func() dense.Matrix[T]) *pencilLogs[T] {
	l := &pencilLogs[T]{n: n, fresh: fresh}
	for range count {
		l.d, l.inverse, l.log = append(l.d, fresh()), append(l.inverse, fresh()), append(l.log, fresh())
	}
	l.works.Make = func() *[]T {
		v := make([]T, dense.InverseWork(n))
		return &v
	}
	l.tasks.invert.Task, l.tasks.add.Task, l.tasks.mirror.Task = dense.PartFunc(l.invert), dense.PartFunc(l.add), dense.PartFunc(l.mirror)
	return l
}

// compute sets d, inverse and log of the pairs of a, which may be log, and b. It returns false where a matrix is not positive definite to rounding.
func (l *pencilLogs[T]) compute(r dense.Matrix[T], a, b []dense.Matrix[T], rule *logRule) bool {
	l.a, l.b, l.rule = a, b, rule
	l.failed.Store(false)
	for k := range a {
		pencilDifference(r, a[k], b[k], l.d[k], l.inverse[k])
		l.inverse[k].Zero()
	}
	room := 2 * runtime.GOMAXPROCS(0)
	for len(l.inversions) < room {
		l.inversions = append(l.inversions, l.fresh())
	}
	all, blocks := len(a)*len(rule.nodes), dense.PartsOf(l.n, addedRows)
	for l.first = 0; l.first < all; l.first = l.last {
		l.last = min(all, l.first+room)
		l.tasks.invert.Run(l.last - l.first)
		if l.failed.Load() {
			return false
		}
		l.tasks.add.Run(blocks)
	}
	l.tasks.mirror.Run(2 * len(a))
	for k, d := range l.d {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, d, l.inverse[k], 0, l.log[k])
	}
	return true
}

// at returns pair and node of an inversion of the wave.
func (l *pencilLogs[T]) at(i int) (k, j int) {
	i += l.first
	return i / len(l.rule.nodes), i % len(l.rule.nodes)
}

func (l *pencilLogs[T]) invert(i int) {
	k, j := l.at(i)
	work := l.works.Take()
	defer l.works.Give(work)
	dense.Blend(1, l.b[k].Data, T(l.rule.nodes[j]), l.d[k].Data, l.inversions[i].Data)
	if !dense.InvertUpper(l.inversions[i], *work) {
		l.failed.Store(true)
	}
}

func (l *pencilLogs[T]) add(block int) {
	from, to := block*addedRows*l.n, min(l.n, (block+1)*addedRows)*l.n
	for i := range l.last - l.first {
		k, j := l.at(i)
		dense.Axpy(T(l.rule.weights[j]), l.inversions[i].Data[from:to], l.inverse[k].Data[from:to])
	}
}

func (l *pencilLogs[T]) mirror(i int) {
	if k := i / 2; i%2 == 0 {
		dense.Mirror(l.d[k])
	} else {
		dense.Mirror(l.inverse[k])
	}
}
