package dense

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// task is work that has been cut into parts that do not depend on each other and may run in any order on any goroutine.
type task interface{ runPart(i int) }

// pool runs tasks on the calling goroutine and on helpers that live as long as the program. One task runs at a time: a caller that finds the
// pool busy does all parts itself, so that parallelism outside of the kernels costs nothing.
type pool struct {
	mu      sync.Mutex
	helpers int
	wake    chan struct{}
	awake   atomic.Int32 // helpers that work or look for work
	alone   atomic.Int64 // nanoseconds of work that were not worth waking a helper for, since one was
	state   atomic.Int64 // openBit while parts may be left, waitBit once the caller waits on done, plus the number of helpers inside
	done    chan struct{}
	task    task
	parts   int64
	wanted  atomic.Int32 // helpers that may still join
	near    int          // if not 0, the number of goroutines between which the parts are divided, each of which takes its own first

	_     [cacheLine]byte
	next  atomic.Int64
	taken atomic.Uint64 // the parts that somebody took, where near is not 0
	_     [cacheLine]byte
	round atomic.Uint64 // idle helpers read it all the time
	_     [cacheLine]byte
}

const (
	openBit = 1 << 32
	waitBit = 1 << 31
)

// How long it takes until a helper begins with its part: 0.5 us where it is awake, 100 to 160 us where it is parked, of which the caller loses 7 to 24 us
// in the call that wakes it (BenchmarkArrival, two virtual processors of a Zen 4, Linux).
const (
	// wakingTime is the work that pays for waking helpers: it then ends after about three quarters of the time that it takes alone.
	wakingTime = 250 * time.Microsecond
	// sharedTime is the work that pays where they are awake: less than that is fetched from the caller's cache, at 5 to 10 bytes a nanosecond, about as fast
	// as it is done. Runs of solvers take the same time with any value from 12 to 40 us.
	sharedTime = 30 * time.Microsecond
	// spinTime is how long an idle helper and a waiting caller look for an end actively, before they park. It is of the order of what waking costs, so that
	// at most about twice the least possible time is lost whenever the next task comes.
	spinTime = 200 * time.Microsecond
	// spinLoads is the number of looks between two calls of the scheduler, about a microsecond: the lock that those take is everyone's.
	spinLoads = 2000
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
	p.share(t, parts, limit)
}

// maxNear is the largest number of parts that parallelNear takes.
const maxNear = 64

// parallelNear is parallel for tasks that come one after the other and work on the same memory: a goroutine takes the parts that it took the last time, whose
// memory is in its cache, and others only when those are gone.
func (p *pool) parallelNear(t task, parts int) {
	limit := min(runtime.GOMAXPROCS(0), parts)
	if limit <= 1 || !p.mu.TryLock() {
		for i := range parts {
			t.runPart(i)
		}
		return
	}
	defer p.mu.Unlock()
	p.near = limit
	p.taken.Store(0)
	p.share(t, parts, limit)
	p.near = 0
}

// worth says whether work of that length is to be shared: always where it pays for waking helpers, and otherwise where some are awake, or where as much work
// was done alone since as pays for waking them.
func (p *pool) worth(length time.Duration) bool {
	if length < sharedTime {
		return false
	}
	if length >= wakingTime || p.awake.Load() > 0 {
		return true
	}
	if p.alone.Add(int64(length)) < int64(wakingTime) {
		return false
	}
	p.alone.Store(0)
	return true
}

// share is parallel for a caller that holds p.mu.
func (p *pool) share(t task, parts, limit int) {
	if p.wake == nil {
		p.wake, p.done = make(chan struct{}, 1024), make(chan struct{})
	}
	for ; p.helpers < limit-1; p.helpers++ {
		p.awake.Add(1)
		go p.help(p.helpers + 1)
	}
	p.task, p.parts = t, int64(parts)
	p.next.Store(0)
	p.wanted.Store(int32(limit - 1))
	p.state.Store(openBit)
	p.round.Add(1)
	for range min(p.helpers-int(p.awake.Load()), limit-1) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.work(0)
	p.state.Add(-openBit)
	p.await()
	p.task = nil
}

// await returns when no helper is inside the closed round.
func (p *pool) await() {
	for start := time.Now(); time.Since(start) < spinTime; runtime.Gosched() {
		for range spinLoads {
			if p.state.Load() == 0 {
				return
			}
		}
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

// work does parts until all are taken. The number of a goroutine, 0 for the caller, tells which are its own.
func (p *pool) work(number int) {
	if p.near > 0 {
		p.workNear(number % p.near)
		return
	}
	for {
		i := p.next.Add(1) - 1
		if i >= p.parts {
			return
		}
		p.task.runPart(int(i))
	}
}

func (p *pool) workNear(number int) {
	parts := int(p.parts)
	first := number * parts / p.near
	for k := range parts {
		i := (first + k) % parts
		if bit := uint64(1) << i; p.taken.Load()&bit == 0 && p.taken.Or(bit)&bit == 0 {
			p.task.runPart(i)
		}
	}
}

// help is the life of a helper: join a round if it is still open, otherwise look for the next one, at first actively.
func (p *pool) help(number int) {
	seen := uint64(0)
	for {
		for !p.look(seen) {
			p.awake.Add(-1)
			if p.round.Load() == seen {
				<-p.wake
			}
			p.awake.Add(1)
		}
		seen = p.round.Load()
		if p.join() {
			p.work(number)
			p.leave()
		}
	}
}

// look returns whether another round than the one seen has begun, at the latest after spinTime.
func (p *pool) look(seen uint64) bool {
	for start := time.Now(); ; runtime.Gosched() {
		for range spinLoads {
			if p.round.Load() != seen {
				return true
			}
		}
		if time.Since(start) >= spinTime {
			return false
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
