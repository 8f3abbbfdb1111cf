package distribute

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Pulling results: how many at once, and how long a request waits for them. A request that a server lost with the connection is repeated after that time.
const (
	pulledAtOnce = 512
	pullTime     = 2 * time.Second
)

// collect takes in results until the coordinator stops.
func (c *Coordinator) collect() {
	for c.ctx.Err() == nil {
		if err := c.pull(); err != nil && c.ctx.Err() == nil {
			c.mended.Store(true)
			c.pause(reconnectWait)
		}
	}
}

// pull asks for results once and takes in those that come.
func (c *Coordinator) pull() error {
	consumer, err := c.js.Consumer(c.ctx, c.o.results(), keeperName)
	if err != nil {
		return err
	}
	for c.ctx.Err() == nil {
		batch, err := consumer.Fetch(pulledAtOnce, jetstream.FetchMaxWait(pullTime))
		if err != nil {
			return err
		}
		if !c.takeAll(batch.Messages()) {
			return nil
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
	}
	return nil
}

// takeAll takes messages until there are no more; false means that the coordinator stops.
func (c *Coordinator) takeAll(messages <-chan jetstream.Msg) bool {
	for {
		select {
		case m, more := <-messages:
			if !more {
				return true
			}
			if err := c.take(m); err != nil {
				c.cancel(err)
				return false
			}
		case <-c.ctx.Done():
			return false
		}
	}
}

// take keeps the result in a message, or drops it. The error is that of Keep.
func (c *Coordinator) take(m jetstream.Msg) error {
	r, err := decodeResult(m.Data(), &c.o.Spec)
	if err == nil && r.ID != number(m.Subject()) {
		err = fmt.Errorf("it is of evaluation %d on the subject of another", r.ID)
	}
	if err != nil {
		c.drop(m, fmt.Sprintf("a result on %s was dropped: %v", m.Subject(), err))
		return nil
	}
	c.mu.Lock()
	e := c.open[r.ID]
	known := e != nil && e.result == nil
	c.mu.Unlock()
	if !known {
		c.drop(m, "")
		return nil
	}
	if err := c.o.Keep(r); err != nil {
		return err
	}
	c.mu.Lock()
	e.result = r
	sequence := e.sequence
	c.stats.Kept++
	c.workers[r.Worker]++
	if r.Attempt > 1 {
		c.stats.Redelivered++
	}
	c.mu.Unlock()
	c.forget(r.ID, sequence)
	close(e.ready)
	_ = m.Ack() // a result whose acknowledgement is lost comes again and is dropped
	return nil
}

// forget deletes the task of a result that was kept: its worker may have died before it could acknowledge it. Nobody waits for the answer; a task that is gone is what is wanted.
// It is deleted by its number: a purge of its subject makes the server forget deliveries of other tasks that are due again.
func (c *Coordinator) forget(id, sequence uint64) {
	if sequence == 0 {
		if sequence = c.find(c.ctx, id); sequence == 0 {
			return
		}
	}
	_ = c.conn.PublishRequest("$JS.API.STREAM.MSG.DELETE."+c.o.tasks(), c.o.subject("forgotten", id), fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, sequence))
}

// mostWarnings bounds what a worker can write into the log.
const mostWarnings = 100

func (c *Coordinator) drop(m jetstream.Msg, why string) {
	c.mu.Lock()
	c.stats.Dropped++
	c.mu.Unlock()
	if why != "" && c.warned < mostWarnings {
		c.warned++
		c.o.Log("%s", why)
	}
	_ = m.Ack()
}

// watch looks after the streams: at once when the connection was lost, and every acknowledgement wait for evaluations that nobody speaks of any more.
func (c *Coordinator) watch() {
	checked := time.Now()
	connects := c.conn.Stats().Reconnects
	for c.ctx.Err() == nil {
		c.pause(min(reconnectWait, c.o.AckWait/2))
		if now := c.conn.Stats().Reconnects; now != connects {
			connects = now
			c.mended.Store(true)
		}
		if err := closed(c.conn); err != nil {
			c.cancel(err)
		}
		if c.o.Broken != nil {
			if err := c.o.Broken(); err != nil {
				c.cancel(err)
			}
		}
		lost := c.mended.Swap(false)
		if !c.conn.IsConnected() || !lost && time.Since(checked) < c.o.AckWait {
			continue
		}
		checked = time.Now()
		if err := c.mend(lost); err != nil && c.ctx.Err() == nil {
			c.mended.Store(true)
		}
	}
}

// mend makes streams anew that a server has lost, and publishes the evaluations again that are neither in the tasks nor in the results.
func (c *Coordinator) mend(lost bool) error {
	ctx, cancel := context.WithTimeout(c.ctx, publishTime)
	defer cancel()
	if lost {
		if err := c.prepare(ctx); err != nil {
			return err
		}
	}
	suspects := c.silent(lost)
	if len(suspects) == 0 {
		return nil
	}
	there, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	if err := c.drained(ctx); err != nil {
		return err
	}
	for _, id := range suspects {
		if there[id] {
			c.rouse(ctx, id)
		} else if err := c.republish(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// republish publishes an evaluation again that has got lost.
func (c *Coordinator) republish(ctx context.Context, id uint64) error {
	c.mu.Lock()
	e := c.open[id]
	gone := e != nil && e.result == nil
	if gone {
		e.again++
		c.stats.Republished++
	}
	c.mu.Unlock()
	if !gone {
		return nil
	}
	return c.publish(ctx, id, e)
}

// rousedAfter is the number of acknowledgement waits after which the server is reminded of an evaluation that has not been heard of.
const rousedAfter = 6

// rouse reminds the server of an evaluation that was out for long, by saying that it is in work. Servers note by their wall clock when a message was last heard of: after that clock was set back they would not
// deliver the evaluation of a dead worker again until it has caught up. Now it is due an acknowledgement wait from here, unless its worker speaks.
func (c *Coordinator) rouse(ctx context.Context, id uint64) {
	c.mu.Lock()
	e := c.open[id]
	due := e != nil && e.result == nil && time.Since(e.published) > rousedAfter*c.o.AckWait
	var sequence uint64
	if due {
		e.published, sequence = time.Now(), e.sequence
	}
	c.mu.Unlock()
	if !due {
		return
	}
	if sequence == 0 {
		if sequence = c.find(ctx, id); sequence == 0 {
			return
		}
	}
	_ = c.conn.Publish(fmt.Sprintf("$JS.ACK.%s.%s.1.%d.1.1.0", c.o.tasks(), workersName, sequence), []byte("+WPI")) // if it does not arrive the next one will
}

// find returns the number of an evaluation in the tasks, 0 if it is not there.
func (c *Coordinator) find(ctx context.Context, id uint64) uint64 {
	s, err := c.js.Stream(ctx, c.o.tasks())
	if err != nil {
		return 0
	}
	m, err := s.GetLastMsgForSubject(ctx, c.o.subject("task", id))
	if err != nil {
		return 0
	}
	return m.Sequence
}

// silent returns evaluations that were published and have no result: all of them after a loss, otherwise those that are older than twice the acknowledgement wait.
func (c *Coordinator) silent(all bool) (ids []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, e := range c.open {
		if e.x != nil && e.result == nil && !e.published.IsZero() && (all || time.Since(e.published) > 2*c.o.AckWait) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *Coordinator) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// number is the last token of a subject, 0 if it is no number.
func number(subject string) uint64 {
	n, _ := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
	return n
}
