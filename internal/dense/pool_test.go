package dense

import (
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
					workers.parallel(c, parts)
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
