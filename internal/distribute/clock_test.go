package distribute

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/objective"
)

// TestServerClockIsSetBack: a server that was an hour ahead has noted of the evaluation of a dead worker that it was heard of in an hour, which a negative acknowledgement with a delay writes as well. The evaluation is
// given to another worker all the same, after a few acknowledgement waits; one whose worker lives stays with it.
func TestServerClockIsSetBack(t *testing.T) {
	t.Parallel()
	s := openServer(t, t.TempDir(), "127.0.0.1:0")
	spec := testSpec()
	spec.AckWait = 400 * time.Millisecond
	j := newJournal(t)
	c := startOn(t, dial(t, s), Options{Spec: spec, Keep: j.keep})
	taken := takeTask(t, s, c)
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 1) }()
	require.NoError(t, (<-taken).NakWithDelay(time.Hour))
	var long atomic.Int32
	startWorker(t, s, WorkerOptions{Jobs: 2}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		if id == 2 {
			long.Add(1)
			time.Sleep(rousedAfter * spec.AckWait * 3 / 2)
		}
		return sum(ctx, id, x)
	})
	late := make(chan []float64)
	go func() { late <- evaluateAll(t, c, 2, 1) }()
	requireSums(t, <-values, 1)
	require.Equal(t, 2, j.get(1).Attempt)
	requireSums(t, <-late, 2)
	require.Equal(t, int32(1), long.Load())
	require.Equal(t, Stats{Kept: 2, Redelivered: 1}, c.Stats())
}

// TestServerClockIsSetForward: all that is out seems overdue at once, which an acknowledgement that gives an evaluation back does as well. Two workers evaluate it at the same time, the first result counts, and the other is dropped.
func TestServerClockIsSetForward(t *testing.T) {
	t.Parallel()
	s := openServer(t, t.TempDir(), "127.0.0.1:0")
	j := newJournal(t)
	c := startOn(t, dial(t, s), Options{Spec: testSpec(), Keep: j.keep})
	busy, slow := make(chan struct{}), make(chan struct{})
	startWorker(t, s, WorkerOptions{Name: "slow"}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		close(busy)
		<-slow
		return sum(ctx, id, x)
	})
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 1) }()
	<-busy
	conn := dial(t, s)
	require.NoError(t, conn.Publish("$JS.ACK."+c.o.tasks()+"."+workersName+".1.1.1.1.0", []byte("-NAK")))
	startWorker(t, s, WorkerOptions{Name: "fast"}, sum)
	requireSums(t, <-values, 1)
	require.Equal(t, "fast", j.get(1).Worker)
	close(slow)
	require.Eventually(t, func() bool { return c.Stats().Dropped == 1 }, 30*time.Second, 5*time.Millisecond)
	require.Equal(t, 1, j.count())
	_, err := c.js.Stream(context.Background(), c.o.tasks())
	require.NotErrorIs(t, err, jetstream.ErrStreamNotFound)
}
