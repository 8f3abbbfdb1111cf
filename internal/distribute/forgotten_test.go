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

// leaveTasks leaves the evaluations 1 to n in the tasks, without a coordinator.
func leaveTasks(t *testing.T, s *Server, n uint64) {
	t.Helper()
	c := startCoordinator(t, s, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for id := range n {
		go func() { _, _ = c.Evaluate(ctx, id+1, []float64{1, 2, 3}) }()
	}
	require.Eventually(t, func() bool { return len(inTasks(t, c)) == int(n) }, time.Minute, 5*time.Millisecond)
	c.Stop()
}

func inTasks(t *testing.T, c *Coordinator) map[uint64]bool {
	t.Helper()
	there, err := c.waiting(context.Background())
	require.NoError(t, err)
	return there
}

// TestWorkerLooksAtOldTasks: a server that was killed may hand out for the first time, as it thinks, what has a result. The worker does not evaluate it again.
func TestWorkerLooksAtOldTasks(t *testing.T) {
	s := startServer(t, t.TempDir(), ":0")
	leaveTasks(t, s, 1)
	spec := testSpec()
	conn := dialInside(t, s)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.Publish(context.Background(), spec.subject("result", 1), (&Result{ID: 1, Attempt: 1, Worker: "earlier", Value: objective.Value{F: 6}}).encode(&spec))
	require.NoError(t, err)
	var evaluated atomic.Int64
	startWorker(t, s, WorkerOptions{}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		evaluated.Add(1)
		return sum(ctx, id, x)
	})
	require.Eventually(t, func() bool {
		tasks, err := js.Stream(context.Background(), spec.tasks())
		return err == nil && tasks.CachedInfo().State.Msgs == 0
	}, time.Minute, 5*time.Millisecond, "the worker acknowledges the task")
	require.Zero(t, evaluated.Load())
}

// TestCoordinatorDeletesDoneTasks: a task that came back although its result was kept is gone when the coordinator has started; an open one stays.
func TestCoordinatorDeletesDoneTasks(t *testing.T) {
	s := startServer(t, t.TempDir(), ":0")
	leaveTasks(t, s, 2)
	c := startCoordinator(t, s, Options{Open: []uint64{2}})
	require.Equal(t, map[uint64]bool{2: true}, inTasks(t, c))
}
