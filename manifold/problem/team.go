package problem

import (
	"runtime"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

// team runs a sum over many matrices on several goroutines. The matrices are split into a fixed number of parts, each with its own worker,
// whatever the number of threads, and the workers' sums are added in order: the same bits for every GOMAXPROCS.
type team struct {
	n, count int
	workers  []*worker
	serial   bool // the work is too small for goroutines
}

// worker is the scratch space and the partial sums of one part.
type worker struct {
	acc  dense.Matrix[float64]
	t    [4]dense.Matrix[float64]
	zero []float64
	work []float64
	sum  [2]float64
	err  error
}

const (
	teamParts   = 8
	serialLimit = 1 << 18 // count n^3 below which goroutines cost more than they save
)

func newTeam(n, count int) *team {
	t := &team{n: n, count: count, serial: count*n*n*n < serialLimit}
	for range min(count, teamParts) {
		w := &worker{acc: dense.New[float64](n, n), work: make([]float64, dense.CayleyWork(n)), zero: make([]float64, n)}
		for i := range w.t {
			w.t[i] = dense.New[float64](n, n)
		}
		t.workers = append(t.workers, w)
	}
	return t
}

// run calls body for every index, each worker with the indices congruent to its number, and writes the sum of the workers' acc, whose upper
// triangles body adds to, to dst as a complete symmetric matrix. It returns the error of the lowest part.
func (t *team) run(body func(w *worker, i int) error, dst []float64) error {
	part := func(c int) {
		w := t.workers[c]
		w.acc.Zero()
		w.sum, w.err = [2]float64{}, nil
		for i := c; i < t.count && w.err == nil; i += len(t.workers) {
			w.err = body(w, i)
		}
	}
	if threads := min(runtime.GOMAXPROCS(0), len(t.workers)); t.serial || threads == 1 {
		for c := range t.workers {
			part(c)
		}
	} else {
		var group sync.WaitGroup
		for s := range threads {
			group.Go(func() {
				for c := s; c < len(t.workers); c += threads {
					part(c)
				}
			})
		}
		group.Wait()
	}
	clear(dst)
	for _, w := range t.workers {
		if w.err != nil {
			return w.err
		}
		dense.Axpy(1, w.acc.Data, dst)
	}
	dense.Mirror(dense.Wrap(t.n, t.n, dst))
	return nil
}

// sum adds the workers' scalar sums in order.
func (t *team) sum(k int) float64 {
	var s float64
	for _, w := range t.workers {
		s += w.sum[k]
	}
	return s
}
