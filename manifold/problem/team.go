package problem

import (
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// team runs a sum over many matrices on several goroutines. The matrices are split into a fixed number of parts, each with its own worker,
// whatever the number of threads, and the workers' sums are added in order: the same bits for every GOMAXPROCS. Scratch space belongs to the threads, so
// that it stays in their caches. Bodies are bound to their objective once, when it is made: one made at every call would allocate.
type team struct {
	n, count int
	workers  []*worker
	scratch  []*scratch // that of the caller
	spaces   *dense.Spaces[scratch]
	serial   bool // the work is too small for goroutines
	bundles  bool // bodies need nothing of the scratch space but what they make
	body32   func(w *singleWorker, i int)
	each32   func(w *worker, i int) error // calls body32
	tasks    struct{ part, sum, sum32 dense.Parallel }
	// of the present call
	body  func(w *worker, i int) error
	begin func(w *worker) // of a part; nil if there is nothing to prepare
	dst   dense.Matrix[float64]
}

// worker is the partial sums of one part and the scratch space of the thread that it runs on. Sums in single precision use single.
type worker struct {
	*scratch
	acc    dense.Matrix[float64]
	sum    [3]float64
	err    error
	single *singleWorker
}

type scratch struct {
	t       [4]dense.Matrix[float64]
	m       dense.Matrix[float64] // B' C B of the matrix being located
	zero    []float64
	work    []float64
	solver  eigen.Solver
	reducer eigen.Reducer
	bundled *eigen.Bundled // made when it is needed, with the next
	pair    *dense.BundlePair[float64]
	single  singleScratch
}

// singleScratch is made when it is needed.
type singleScratch struct {
	t    [3]dense.Matrix[float32]
	work []float32
}

type singleWorker struct {
	acc    dense.Matrix[float32]
	fresh  bool // acc has nothing of the present call; for bodies that write the first part of a sum
	failed bool
	*singleScratch
}

const (
	teamParts   = 8
	serialLimit = 1 << 18 // count n^3 below which goroutines cost more than they save
	sumRows     = 32      // of a part of a sum of matrices
)

func newTeam(n, count int) *team {
	t := newLazyTeam(n, count)
	t.scratch[0].need(n)
	for _, w := range t.workers {
		w.need(n)
	}
	return t
}

// newLentTeam is newTeam in lent memory.
func newLentTeam(n, count int, l *lender) *team {
	t := newLazyTeam(n, count)
	t.scratch[0].lend(n, l)
	for _, w := range t.workers {
		w.acc = l.matrix(n, n)
	}
	return t
}

// newLazyTeam returns a team that makes what it needs when a body is run.
func newLazyTeam(n, count int) *team {
	t := &team{n: n, count: count, serial: count*n*n*n < serialLimit, scratch: []*scratch{{}}}
	t.spaces = &dense.Spaces[scratch]{Make: func() *scratch { return new(scratch) }}
	t.spaces.Give(t.scratch[0])
	for range min(count, teamParts) {
		t.workers = append(t.workers, &worker{scratch: t.scratch[0]})
	}
	t.each32 = func(w *worker, i int) error {
		t.body32(w.single, i)
		return nil
	}
	t.bind()
	return t
}

func (t *team) bind() {
	t.tasks.part.Task, t.tasks.sum.Task, t.tasks.sum32.Task = dense.PartFunc(t.part), dense.PartFunc(t.sumRows), dense.PartFunc(t.sumRows32)
}

// ofBundles returns a team for another number of bodies, at most as many, that work with bundles, with the same workers.
func (t *team) ofBundles(count int) *team {
	bundled := &team{n: t.n, count: count, workers: t.workers[:min(count, len(t.workers))], scratch: t.scratch, spaces: t.spaces, serial: t.serial, bundles: true}
	bundled.bind()
	return bundled
}

func (w *worker) need(n int) {
	if w.acc.Data == nil {
		w.acc = dense.New[float64](n, n)
	}
}

func (w *worker) clearSum() { w.acc.Zero() }

func (w *worker) clearSingle() { w.single.acc.Zero() }

func (s *scratch) need(n int) {
	if s.work == nil {
		for i := range s.t {
			s.t[i] = dense.New[float64](n, n)
		}
		s.m, s.work, s.zero = dense.New[float64](n, n), make([]float64, scratchWork(n)), make([]float64, n)
	}
}

// lend is need, in lent memory, of single precision, too.
func (s *scratch) lend(n int, l *lender) {
	for i := range s.t {
		s.t[i] = l.matrix(n, n)
	}
	for i := range s.single.t {
		s.single.t[i] = l.single(n, n)
	}
	s.m, s.work, s.zero = l.matrix(n, n), l.matrix(1, scratchWork(n)).Data, make([]float64, n)
	s.single.work = l.single(1, dense.InverseWork(n)).Data
}

// scratchWork is the length of scratch.work.
func scratchWork(n int) int { return max(dense.CayleyWork(n), dense.InverseWork(n)) }

func (s *singleScratch) need(n int) {
	if s.work == nil {
		for i := range s.t {
			s.t[i] = dense.New[float32](n, n)
		}
		s.work = make([]float32, dense.InverseWork(n))
	}
}

// run calls body for every index, each worker with the indices congruent to its number, and writes the sum of the workers' acc, whose upper
// triangles body adds to, to dst as a complete symmetric matrix. It returns the error of the lowest part.
func (t *team) run(body func(w *worker, i int) error, dst []float64) error {
	for _, w := range t.workers {
		w.need(t.n)
	}
	t.begin = (*worker).clearSum
	t.share(body)
	t.begin = nil
	for _, w := range t.workers {
		if w.err != nil {
			return w.err
		}
	}
	t.addUp(&t.tasks.sum, dst)
	return nil
}

// run32 is run for bodies that add to single.acc. It returns false if one failed.
func (t *team) run32(body func(w *singleWorker, i int), dst []float64) bool {
	t.begin = (*worker).clearSingle
	ok := t.share32(body)
	if t.begin = nil; ok {
		t.addUp(&t.tasks.sum32, dst)
	}
	return ok
}

// addUp sets dst to the sum of the workers' acc.
func (t *team) addUp(sum *dense.Parallel, dst []float64) {
	t.dst = dense.Wrap(t.n, t.n, dst)
	perform(sum, dense.PartsOf(t.n, sumRows), t.serial)
	dense.Mirror(t.dst)
}

func (t *team) sumRows(part int) {
	for i := part * sumRows; i < min(t.n, (part+1)*sumRows); i++ {
		row := t.dst.Row(i)[i:]
		copy(row, t.workers[0].acc.Row(i)[i:])
		for _, w := range t.workers[1:] {
			dense.Axpy(1, w.acc.Row(i)[i:], row)
		}
	}
}

func (t *team) sumRows32(part int) {
	for i := part * sumRows; i < min(t.n, (part+1)*sumRows); i++ {
		row := t.dst.Row(i)[i:]
		clear(row)
		for _, w := range t.workers {
			for j, v := range w.single.acc.Row(i)[i:] {
				row[j] += float64(v)
			}
		}
	}
}

// share32 calls body for every index, with acc as it is. It returns false if one failed.
func (t *team) share32(body func(w *singleWorker, i int)) bool {
	for _, w := range t.workers {
		if w.single == nil {
			w.single = &singleWorker{acc: dense.New[float32](t.n, t.n)}
		}
		w.single.failed, w.single.fresh = false, true
	}
	t.body32 = body
	t.share(t.each32)
	return !slices.ContainsFunc(t.workers, func(w *worker) bool { return w.single.failed })
}

// share calls body for every index.
func (t *team) share(body func(w *worker, i int) error) {
	t.body = body
	perform(&t.tasks.part, len(t.workers), t.serial)
}

// perform does all parts of a task, if serial on the calling goroutine.
func perform(task *dense.Parallel, parts int, serial bool) {
	if serial {
		task.RunSerially(parts)
	} else {
		task.Run(parts)
	}
}

// part does one part.
func (t *team) part(c int) {
	s := t.spaces.Take()
	defer t.spaces.Give(s)
	w := t.workers[c]
	w.scratch, w.sum, w.err = s, [3]float64{}, nil
	if !t.bundles {
		s.need(t.n)
	}
	if w.single != nil {
		s.single.need(t.n)
		w.single.singleScratch = &s.single
	}
	if t.begin != nil {
		t.begin(w)
	}
	for i := c; i < t.count && w.err == nil; i += len(t.workers) {
		w.err = t.body(w, i)
	}
}

// sum adds the workers' scalar sums in order.
func (t *team) sum(k int) float64 {
	var s float64
	for _, w := range t.workers {
		s += w.sum[k]
	}
	return s
}
