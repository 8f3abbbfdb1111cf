package dense

import "time"

// flopsPerLane is about how many operations a kernel does in a nanosecond for each element of a vector.
const flopsPerLane = 6

// productTask is a product whose C is cut into blocks of whole tiles. Each element is computed as in the product that is not cut, so the
// cutting, and who does which part, does not change a bit.
type productTask struct {
	product
	down, across int // blocks
	tall, wide   int // rows and columns of a tile
}

// start computes the product, on several goroutines if that is worth it.
func (q *product) start() {
	length := q.length()
	if !workers.worth(length) {
		q.run()
		return
	}
	b, limit := workers.take(length)
	if b == nil {
		q.run()
		return
	}
	defer b.mu.Unlock()
	q.runParallel(b, limit, length)
}

// length is about how long the product takes one processor.
func (q *product) length() time.Duration {
	flops := 2 * float64(q.m) * float64(q.n) * float64(q.k) // more than an int holds on some processors
	if q.region != everywhere {
		flops /= 2
	}
	return time.Duration(flops / float64(flopsPerLane*tileGeometry(q.size).lanes))
}

// runParallel computes the product on up to limit goroutines, for a caller that holds the board.
func (q *product) runParallel(b *board, limit int, length time.Duration) {
	w := takeWorkspace()
	t := &w.task
	g := tileGeometry(q.size)
	*t = productTask{product: *q, tall: g.rows, wide: g.cols}
	t.cut(partsOf(length, limit))
	parts := t.down * t.across
	workers.share(b, t, parts, min(limit, parts))
	*t = productTask{}
	w.release()
}

const (
	partTime     = 6 * time.Microsecond   // of the shortest part: what packing and handing out cost beside it is then small
	longPartTime = 250 * time.Microsecond // of parts that may be cut once more
)

// partsOf returns into how many parts of about equal length work is cut for so many threads: two for each, so that one which is late does not
// hold up the others, and four where they stay long. Fewer than two for each are as many as there are threads or fewer.
func partsOf(length time.Duration, threads int) int {
	switch parts := int(length / partTime); {
	case length > longPartTime*time.Duration(4*threads):
		return 4 * threads
	case parts >= 2*threads:
		return 2 * threads
	default:
		return min(parts, threads)
	}
}

// cut divides C into that many blocks or somewhat fewer, as close to squares as they can be; into twice as many where half of them are empty.
func (t *productTask) cut(parts int) {
	if t.region != everywhere {
		parts *= 2
	}
	tall, wide := (t.m+t.tall-1)/t.tall, (t.n+t.wide-1)/t.wide
	t.down, t.across = 1, 1
	for down := 1; down <= min(parts, tall); down++ {
		across := min(parts/down, wide)
		gain := down*across - t.down*t.across
		if gain > 0 || gain == 0 && t.m*across+t.n*down < t.m*t.across+t.n*t.down {
			t.down, t.across = down, across
		}
	}
}

// edge returns where block i of count blocks of n rows or columns begins: they are as equal as whole tiles can be.
func edge(i, count, n, tile int) int { return min(n, (n+tile-1)/tile*i/count*tile) }

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

func (t *productTask) runPart(index int) {
	di, dj := index/t.across, index%t.across
	i, end := edge(di, t.down, t.m, t.tall), edge(di+1, t.down, t.m, t.tall)
	j, right := edge(dj, t.across, t.n, t.wide), edge(dj+1, t.across, t.n, t.wide)
	q := t.part(i, j, end-i, right-j)
	if from, to := q.rows(0, q.m, 0, q.n); from < to {
		q.run()
	}
}
