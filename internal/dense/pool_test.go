package dense

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counts is a task that counts how often each part ran, and may dawdle.
type counts struct {
	ran   [64]atomic.Int32
	delay time.Duration
}

func (c *counts) runPart(i int) {
	c.ran[i].Add(1)
	if i%3 == 1 {
		time.Sleep(c.delay)
	}
}

// Every part of every task runs exactly once and is over when parallel returns, whether the caller finds helpers asleep or awake, waits for
// them long enough to park, or finds the pool busy.
func TestPool(t *testing.T) {
	t.Run("in order", func(t *testing.T) { testPool(t, func(c task, parts int) { workers.parallel(c, parts, 0) }) })
	t.Run("near", func(t *testing.T) { testPool(t, workers.parallelNear) })
}

func testPool(t *testing.T, run func(t task, parts int)) {
	withProcs(4, func() {
		var group sync.WaitGroup
		for caller := range 3 {
			group.Go(func() {
				for round := range 300 {
					c := &counts{}
					switch round % 100 {
					case 0:
						c.delay = 2 * time.Millisecond
					case 50:
						time.Sleep(2 * time.Millisecond)
					}
					parts := 1 + (round*7+caller)%len(c.ran)
					run(c, parts)
					for i := range c.ran {
						want := int32(0)
						if i < parts {
							want = 1
						}
						if got := c.ran[i].Load(); got != want {
							t.Errorf("caller %d round %d: part %d of %d ran %d times", caller, round, i, parts, got)
							return
						}
					}
				}
			})
		}
		group.Wait()
	})
}

// nest is a task each of whose parts runs a nest of one level less.
type nest struct {
	level int
	near  bool
	inner [5]*nest
	ran   [5]atomic.Int32
}

func (n *nest) runPart(i int) {
	n.ran[i].Add(1)
	if n.level == 0 {
		for start := time.Now(); time.Since(start) < time.Duration(i)*5*time.Microsecond; {
		}
		return
	}
	inner := &nest{level: n.level - 1, near: i%2 == 0}
	n.inner[i] = inner
	if inner.near {
		workers.parallelNear(inner, len(inner.ran))
	} else {
		workers.parallel(inner, len(inner.ran), time.Duration(i)*innerTime/3)
	}
}

// leaves returns how many parts without inner ones ran, or -1 if some part did not run once.
func (n *nest) leaves() int {
	sum := 0
	for i := range n.ran {
		switch {
		case n.ran[i].Load() != 1:
			return -1
		case n.level == 0:
			sum++
		default:
			below := n.inner[i].leaves()
			if below < 0 {
				return -1
			}
			sum += below
		}
	}
	return sum
}

// Tasks inside of tasks, from several callers at once and with any number of processors, run every part once.
func TestNested(t *testing.T) {
	for procs := 1; procs <= 8; procs++ {
		withProcs(procs, func() {
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() {
					for range 6 {
						n := &nest{level: 3}
						workers.parallel(n, len(n.ran), 0)
						if got := n.leaves(); got != 625 {
							t.Errorf("%d processors: %d leaves instead of 625", procs, got)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// arrivals is a task of two parts, each of which lasts until long after the call: when the second one begins is when a helper has come.
type arrivals struct {
	start time.Time
	begun [2]time.Duration
}

const dawdled = 200 * time.Microsecond

func (a *arrivals) runPart(i int) {
	a.begun[i] = time.Since(a.start)
	for time.Since(a.start) < dawdled {
	}
}

// BenchmarkArrival: how long after the call, in microseconds, the caller and a helper begin with their parts, when the last task ended a while ago. It is
// what the thresholds of the pool stand on, and needs a machine that does nothing else.
func BenchmarkArrival(b *testing.B) {
	for _, pause := range []time.Duration{0, 50 * time.Microsecond, time.Millisecond, 5 * time.Millisecond} {
		b.Run(fmt.Sprint(pause), func(b *testing.B) {
			withProcs(2, func() {
				var caller, helper []time.Duration
				a := &arrivals{}
				for range b.N {
					for start := time.Now(); time.Since(start) < pause; {
					}
					a.start = time.Now()
					workers.parallel(a, 2, 0)
					caller, helper = append(caller, min(a.begun[0], a.begun[1])), append(helper, max(a.begun[0], a.begun[1]))
				}
				slices.Sort(caller)
				slices.Sort(helper)
				b.ReportMetric(float64(caller[b.N/2].Nanoseconds())/1e3, "caller-us")
				b.ReportMetric(float64(helper[b.N/2].Nanoseconds())/1e3, "helper-us")
				b.ReportMetric(float64(helper[b.N*9/10].Nanoseconds())/1e3, "helper-p90-us")
			})
		})
	}
}

// Work that does not pay for waking a helper is shared once there has been enough of it, and whenever a helper is awake.
func TestWorth(t *testing.T) {
	var p pool
	if p.worth(sharedTime-1) || !p.worth(wakingTime) {
		t.Error("short work is shared, or long work is not")
	}
	for k := range 9 {
		if got, want := p.worth(wakingTime/4), k%4 == 3; got != want {
			t.Errorf("work %d alone: shared %v", k, got)
		}
	}
	p.awake.Store(1)
	if !p.worth(sharedTime) || p.worth(sharedTime-1) {
		t.Error("with a helper awake")
	}
}
