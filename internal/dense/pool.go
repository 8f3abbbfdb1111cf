package dense

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// task is work that has been cut into parts that do not depend on each other and may run in any order on any goroutine.
type task interface{ runPart(i int) }

// pool runs tasks on the calling goroutine and on helpers that live as long as the program. One task runs at a time: a caller that finds the
// pool busy does all parts itself, so that parallelism outside of the kernels costs nothing.
type pool struct {
	mu      sync.Mutex
	helpers int
	wake    chan struct{}
	parked  atomic.Int32 // helpers that wait on wake or are about to
	round   atomic.Uint64
	state   atomic.Int64 // openBit while parts may be left, waitBit once the caller waits on done, plus the number of helpers inside
	done    chan struct{}
	next    atomic.Int64
	task    task
	parts   int64
	wanted  atomic.Int32 // helpers that may still join
}

const (
	openBit    = 1 << 32
	waitBit    = 1 << 31
	spinRounds = 200 // scheduler calls of an idle helper or a waiting caller before it parks: a few tens of microseconds
)

var workers pool

// parallel runs the parts of t on up to GOMAXPROCS goroutines and returns when all are done. It allocates nothing once its helpers run.
func (p *pool) parallel(t task, parts int) {
	limit := min(runtime.GOMAXPROCS(0), parts)
	if limit <= 1 || !p.mu.TryLock() {
		for i := range parts {
			t.runPart(i)
		}
		return
	}
	defer p.mu.Unlock()
	if p.wake == nil {
		p.wake, p.done = make(chan struct{}, 1024), make(chan struct{})
	}
	for ; p.helpers < limit-1; p.helpers++ {
		go p.help()
	}
	p.task, p.parts = t, int64(parts)
	p.next.Store(0)
	p.wanted.Store(int32(limit - 1))
	p.state.Store(openBit)
	p.round.Add(1)
	for range min(int(p.parked.Load()), limit-1) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.work()
	p.state.Add(-openBit)
	p.await()
	p.task = nil
}

// await returns when no helper is inside the closed round.
func (p *pool) await() {
	for range spinRounds {
		if p.state.Load() == 0 {
			return
		}
		runtime.Gosched()
	}
	for {
		s := p.state.Load()
		if s == 0 {
			return
		}
		if p.state.CompareAndSwap(s, s|waitBit) {
			<-p.done
			return
		}
	}
}

// leave is what a helper does after its last part.
func (p *pool) leave() {
	if p.state.Add(-1) == waitBit {
		p.state.Store(0)
		p.done <- struct{}{}
	}
}

func (p *pool) work() {
	for {
		i := p.next.Add(1) - 1
		if i >= p.parts {
			return
		}
		p.task.runPart(int(i))
	}
}

// help is the life of a helper: join a round if it is still open, otherwise look for the next one, at first actively.
func (p *pool) help() {
	seen := uint64(0)
	for {
		spins := 0
		for p.round.Load() == seen {
			if spins++; spins <= spinRounds {
				runtime.Gosched()
				continue
			}
			p.parked.Add(1)
			if p.round.Load() == seen {
				<-p.wake
			}
			p.parked.Add(-1)
			spins = 0
		}
		seen = p.round.Load()
		if p.join() {
			p.work()
			p.leave()
		}
	}
}

// join enters the open round if there is one that wants more helpers.
func (p *pool) join() bool {
	for {
		s := p.state.Load()
		if s < openBit {
			return false
		}
		if p.state.CompareAndSwap(s, s+1) {
			break
		}
	}
	if p.wanted.Add(-1) < 0 {
		p.leave()
		return false
	}
	return true
}
