package dense

import (
	"runtime"
	"sync/atomic"
)

// Crew is a task whose parts need scratch: there is one for each thread, so that it stays in its caches, and it is kept from run to run. Parts must be independent of the
// number of threads, as those of Parallel. Keep the value in the caller's workspace; Run then allocates nothing but scratch for further threads.
type Crew[S any] struct {
	Do  func(part int, scratch *S)
	New func() *S // makes a scratch

	scratch []*S
	shared  Parallel
	count   int
	next    atomic.Int64
}

// Run calls Do for every part < count and returns when all calls are done.
func (p *Crew[S]) Run(count int) { p.run(count, runtime.GOMAXPROCS(0)) }

// RunSerially is Run on the calling goroutine, for parts that are too small for helpers.
func (p *Crew[S]) RunSerially(count int) { p.run(count, 1) }

func (p *Crew[S]) run(count, threads int) {
	threads = min(threads, count)
	for len(p.scratch) < threads {
		p.scratch = append(p.scratch, p.New())
	}
	p.count, p.shared.Task = count, p
	p.next.Store(0)
	p.shared.Run(threads)
}

// RunPart does parts with one of the scratches while there are any; it is called by Run alone.
func (p *Crew[S]) RunPart(scratch int) {
	for part := int(p.next.Add(1)) - 1; part < p.count; part = int(p.next.Add(1)) - 1 {
		p.Do(part, p.scratch[scratch])
	}
}
