package engine

import (
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

const cpuName = "cpu"

// cpu is the backend of the processor. Its free list holds the descriptions of calls that run in parts, so that no call allocates.
type cpu[T dense.Float] struct {
	mu   sync.Mutex
	free []*job[T]
}

var (
	single cpu[float32]
	double cpu[float64]

	_ Backend[float32] = &single
	_ Backend[float64] = &double
)

// CPU returns the backend of the processor.
func CPU[T dense.Float]() Backend[T] {
	if b, ok := any(&single).(Backend[T]); ok {
		return b
	}
	return any(&double).(Backend[T])
}

// Name implements Backend.
func (*cpu[T]) Name() string { return cpuName }

// job is a call that runs in parts: one of the tasks below.
type job[T dense.Float] struct {
	parallel dense.Parallel
	block    blockTask[T]
	row      rowTask[T]
	norm     normTask[T]
}

func (c *cpu[T]) take() *job[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.free)
	if n == 0 {
		return new(job[T])
	}
	j := c.free[n-1]
	c.free = c.free[:n-1]
	return j
}

func (c *cpu[T]) release(j *job[T]) {
	c.mu.Lock()
	c.free = append(c.free, j)
	c.mu.Unlock()
}

// parallelWork is the number of elementary operations from which a call is shared with other goroutines; only tests change it.
var parallelWork = 1 << 20

// run runs the parts of the task of j, together when the work of all, in elementary operations, is worth it.
func (c *cpu[T]) run(j *job[T], parts, work int) {
	if parts > 1 && work >= parallelWork {
		j.parallel.Run(parts)
		return
	}
	for i := range parts {
		j.parallel.Task.RunPart(i)
	}
}

// runBlocks runs one part for each of count matrices.
func (c *cpu[T]) runBlocks(t blockTask[T], count, work int) {
	j := c.take()
	j.block = t
	j.parallel.Task = &j.block
	c.run(j, count, work)
	j.block = blockTask[T]{}
	c.release(j)
}

// blockTask is an operation on whole matrices.
type blockTask[T dense.Float] struct {
	do          interface{ block(t *blockTask[T], k int) }
	ta, tb      dense.Trans
	alpha, beta T
	shift       T
	a, b, c     Batch[T]
	na, nb      NarrowBatch
	s, r, x     []T
	bounds      []float64
	terms       int
	window      Window
}

// RunPart works on matrix k.
func (t *blockTask[T]) RunPart(k int) { t.do.block(t, k) }
