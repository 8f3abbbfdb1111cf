package dense

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// task is work that has been cut into parts that do not depend on each other and may run in any order on any goroutine.
type task interface{ runPart(i int) }

// pool runs tasks on the calling goroutine and on helpers that live as long as the program. The first board is for callers that come from outside; a caller that finds it
// taken, most often a part of the task that is there, offers its own parts on another board, to helpers that have nothing to do, and does them alone where there are none.
//
// No goroutine waits for one that has not begun: a caller does the parts that nobody took and then waits for the helpers inside its board. These wait, in turn, only for helpers inside
// boards that their own parts took, so that nobody waits in a circle.
type pool struct {
	helpers atomic.Int32
	wake    chan struct{}
	awake   atomic.Int32 // helpers that work or look for work
	alone   atomic.Int64 // nanoseconds of work that were not worth waking a helper for, since one was
	boards  [1 + innerBoards]board

	_     [cacheLine]byte
	round atomic.Uint64 // idle helpers read it all the time
	_     [cacheLine]byte
}

// innerBoards is how many tasks inside of others can be offered at a time.
const innerBoards = 15

// board is where a caller offers the parts of a task.
type board struct {
	mu     sync.Mutex
	done   chan struct{}
	task   task
	parts  int64
	near   int          // if not 0, the number of goroutines between which the parts are divided, each of which takes its own first
	wanted atomic.Int32 // helpers that may still join
	state  atomic.Int64 // openBit until the caller has found no more parts, waitBit once it waits on done, plus the number of helpers inside

	_     [cacheLine]byte
	next  atomic.Int64
	taken atomic.Uint64 // the parts that somebody took, where near is not 0
	_     [cacheLine]byte
}

const (
	openBit = 1 << 32
	waitBit = 1 << 31
	inside  = waitBit - 1
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
	// innerTime is how long an idle helper looks where a task is still running, parts of which may offer it work, and half of it the work of such a part that pays for waking one.
	innerTime = 10 * time.Millisecond
	// spinLoads is the number of looks between two calls of the scheduler, about a microsecond: the lock that those take is everyone's.
	spinLoads = 2000
)

var workers = pool{wake: make(chan struct{}, 1024)}

// parallel runs the parts of t, which take about that long together if it is not 0, on up to GOMAXPROCS goroutines and returns when all are done. It allocates nothing once its helpers run.
func (p *pool) parallel(t task, parts int, length time.Duration) { p.run(t, parts, length, false) }

func (p *pool) run(t task, parts int, length time.Duration, near bool) {
	if parts > 1 {
		if b, limit := p.take(length); b != nil {
			defer b.mu.Unlock()
			limit = min(limit, parts)
			if b.near = 0; near {
				b.near = limit
				b.taken.Store(0)
			}
			p.share(b, t, parts, limit)
			return
		}
	}
	for i := range parts {
		t.runPart(i)
	}
}

// take returns a board for work of that length, which the caller then holds, and how many goroutines may do it, or nil if the caller is to do it alone.
func (p *pool) take(length time.Duration) (b *board, limit int) {
	limit = runtime.GOMAXPROCS(0)
	if limit <= 1 {
		return nil, 1
	}
	if b = &p.boards[0]; b.mu.TryLock() {
		b.near = 0
		return b, limit
	}
	free := p.idle()
	if length >= innerTime/2 {
		free = max(free, int(p.helpers.Load()-p.awake.Load()))
	}
	if free <= 0 {
		return nil, 1
	}
	for i := 1; i < len(p.boards); i++ {
		if b = &p.boards[i]; b.mu.TryLock() {
			b.near = 0
			return b, min(limit, 1+free)
		}
	}
	return nil, 1
}

// idle returns about how many helpers are awake, inside no board and wanted on none.
func (p *pool) idle() int {
	count := int64(p.awake.Load())
	for i := range p.boards {
		b := &p.boards[i]
		count -= b.state.Load()&inside + int64(max(0, b.wanted.Load()))
	}
	return int(count)
}

// running tells whether a board is in use.
func (p *pool) running() bool {
	for i := range p.boards {
		if p.boards[i].state.Load() != 0 {
			return true
		}
	}
	return false
}

// maxNear is the largest number of parts that parallelNear takes.
const maxNear = 64

// parallelNear is parallel for tasks that come one after the other and work on the same memory: a goroutine takes the parts that it took the last time, whose
// memory is in its cache, and others only when those are gone.
func (p *pool) parallelNear(t task, parts int) { p.run(t, parts, 0, true) }

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

// share runs the parts on up to limit goroutines, for a caller that holds the board.
func (p *pool) share(b *board, t task, parts, limit int) {
	if b.done == nil {
		b.done = make(chan struct{})
	}
	if b == &p.boards[0] {
		for p.helpers.Load() < int32(limit-1) {
			p.awake.Add(1)
			go p.help(int(p.helpers.Add(1)))
		}
	}
	b.task, b.parts = t, int64(parts)
	b.next.Store(0)
	b.wanted.Store(int32(limit - 1))
	b.state.Store(openBit)
	p.round.Add(1)
	for range p.asleep(b, limit-1) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	b.work(0)
	b.state.Add(-openBit)
	b.await()
	b.task = nil
}

// asleep returns how many helpers to wake if that many are wanted: on an inner board none where idle ones are enough.
func (p *pool) asleep(b *board, wanted int) int {
	if b != &p.boards[0] {
		wanted = -p.idle() // its own are counted as wanted
	}
	return min(int(p.helpers.Load()-p.awake.Load()), wanted)
}

// await returns when no helper is inside the closed board.
func (b *board) await() {
	for start := time.Now(); time.Since(start) < spinTime; runtime.Gosched() {
		for range spinLoads {
			if b.state.Load() == 0 {
				return
			}
		}
	}
	for {
		s := b.state.Load()
		if s == 0 {
			return
		}
		if b.state.CompareAndSwap(s, s|waitBit) {
			<-b.done
			return
		}
	}
}

// leave is what a helper does after its last part.
func (b *board) leave() {
	if b.state.Add(-1) == waitBit {
		b.state.Store(0)
		b.done <- struct{}{}
	}
}

// work does parts until all are taken; nobody need join then. The number of a goroutine, 0 for the caller, tells which are its own.
func (b *board) work(number int) {
	if b.near > 0 {
		b.workNear(number % b.near)
	} else {
		for i := b.next.Add(1) - 1; i < b.parts; i = b.next.Add(1) - 1 {
			b.task.runPart(int(i))
		}
	}
	b.wanted.Store(0)
}

func (b *board) workNear(number int) {
	parts := int(b.parts)
	first := number * parts / b.near
	for k := range parts {
		i := (first + k) % parts
		if bit := uint64(1) << i; b.taken.Load()&bit == 0 && b.taken.Or(bit)&bit == 0 {
			b.task.runPart(i)
		}
	}
}

// help is the life of a helper: do parts of what is offered, otherwise look for the next task, at first actively.
func (p *pool) help(number int) {
	for {
		seen := p.round.Load()
		if p.join(number) {
			continue
		}
		for !p.look(seen) {
			p.awake.Add(-1)
			if p.round.Load() == seen {
				<-p.wake
			}
			p.awake.Add(1)
		}
	}
}

// look returns whether another round than the one seen has begun, at the latest after spinTime, or innerTime while a task is running.
func (p *pool) look(seen uint64) bool {
	for start := time.Now(); ; runtime.Gosched() {
		for range spinLoads {
			if p.round.Load() != seen {
				return true
			}
		}
		if spent := time.Since(start); spent >= innerTime || spent >= spinTime && !p.running() {
			return false
		}
	}
}

// join does parts on the first board that wants helpers, and tells whether there was one.
func (p *pool) join(number int) bool {
	for i := range p.boards {
		if b := &p.boards[i]; b.enter() {
			b.work(number)
			b.leave()
			return true
		}
	}
	return false
}

// enter goes inside the board if it is open and wants more helpers.
func (b *board) enter() bool {
	if b.wanted.Load() <= 0 {
		return false
	}
	for {
		s := b.state.Load()
		if s < openBit {
			return false
		}
		if b.state.CompareAndSwap(s, s+1) {
			break
		}
	}
	if b.wanted.Add(-1) < 0 {
		b.leave()
		return false
	}
	return true
}
