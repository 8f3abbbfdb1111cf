package dense

import "runtime"

// parallelFlops is the work from which a product is shared with the helpers of the pool.
const parallelFlops = 1e8

// productTask is a product whose C is cut into blocks of whole tiles. Each element is computed as in the product that is not cut, so the
// cutting, and who does which part, does not change a bit.
type productTask struct {
	product
	rows, cols int // of a block
}

// start computes the product, on several goroutines if that is worth it.
func (q *product) start() {
	if q.flops() >= parallelFlops {
		if limit := runtime.GOMAXPROCS(0); limit > 1 {
			q.runParallel(limit)
			return
		}
	}
	q.run()
}

func (q *product) flops() float64 {
	f := 2 * float64(q.m) * float64(q.n) * float64(q.k)
	if q.region != everywhere {
		f /= 2
	}
	return f
}

// runParallel computes the product on up to limit goroutines.
func (q *product) runParallel(limit int) {
	w := takeWorkspace()
	t := &w.task
	*t = productTask{product: *q, rows: q.m, cols: q.n}
	g := tileGeometry(q.size)
	wanted := 4 * limit
	if q.region != everywhere {
		wanted *= 3
	}
	for t.parts() < wanted && (t.rows > smallestPart || t.cols > smallestPart) {
		if t.rows >= t.cols {
			t.rows = roundUp((t.rows+1)/2, g.rows)
		} else {
			t.cols = roundUp((t.cols+1)/2, g.cols)
		}
	}
	workers.parallel(t, t.parts())
	*t = productTask{}
	w.release()
}

// smallestPart is the size of a block of C below which packing would weigh too much.
const smallestPart = 192

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// parts returns the number of blocks, those outside of a triangle included.
func (t *productTask) parts() int {
	return ((t.m + t.rows - 1) / t.rows) * ((t.n + t.cols - 1) / t.cols)
}

func (t *productTask) runPart(index int) {
	across := (t.n + t.cols - 1) / t.cols
	i, j := index/across*t.rows, index%across*t.cols
	q := t.part(i, j, min(t.rows, t.m-i), min(t.cols, t.n-j))
	if from, to := q.rows(0, q.m, 0, q.n); from < to {
		q.run()
	}
}
