package distribute

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/loopback"
	"github.com/spdopt/spdopt/internal/objective"
)

// TestFullStore: a server whose storage is used up refuses evaluations, which ends the run with one error, and results, which their worker keeps. With more room the worker delivers, and the next coordinator goes on: nothing is
// lost and nothing is evaluated twice.
func TestFullStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serverWith(t, &natsserver.Options{StoreDir: dir, JetStreamMaxStore: 20000}, loopback.Host(3)+":0")
	address := strings.TrimPrefix(s.URL(), "nats://")
	j := newJournal(t)
	c := remote(t, s.URL(), Options{Keep: j.keep})
	var made sync.Map
	said := make(chan string, 99)
	conn, err := Connect(context.Background(), Login{URL: s.URL()}, nil)
	require.NoError(t, err)
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	gate, ended := make(chan struct{}), make(chan error)
	go func() {
		ended <- Work(ctx, conn, WorkerOptions{Name: "far", Version: "v1", Jobs: 2, Log: func(format string, args ...any) { said <- format }, Open: func(*Spec) (objective.Evaluator, error) {
			return function(func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
				if _, again := made.LoadOrStore(id, true); again {
					t.Errorf("evaluation %d is made again", id)
				}
				<-gate
				return sum(ctx, id, x)
			}), nil
		}})
	}()
	require.Contains(t, <-said, "working for run")
	const total = 1000
	var first sync.Once
	refused, handing := make(chan error), make(chan struct{})
	go func() {
		defer close(handing)
		var group sync.WaitGroup
		for id := 1; id <= total; id++ {
			group.Go(func() {
				_, err := c.Evaluate(ctx, uint64(id), point(id))
				var full *RefusedError
				if errors.As(err, &full) {
					first.Do(func() { refused <- err })
				}
			})
		}
		group.Wait()
	}()
	require.ErrorContains(t, <-refused, "look at the disk of the server and its limits, then resume")
	close(gate)
	require.Contains(t, <-said, "does not take results")
	c.Stop()
	<-handing
	s.Stop()
	openServer(t, dir, address)
	var open []uint64
	for id := range uint64(total) {
		if j.get(id+1) == nil {
			open = append(open, id+1)
		}
	}
	require.NotEmpty(t, open)
	next := remote(t, "nats://"+address, Options{Keep: j.keep, Open: open})
	var group sync.WaitGroup
	for _, id := range open {
		group.Go(func() {
			if _, err := next.Evaluate(ctx, id, point(int(id))); err != nil {
				t.Errorf("evaluation %d: %v", id, err)
			}
		})
	}
	group.Wait()
	require.Equal(t, total, j.count())
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestBrokenStore: the embedded server gives up its storage on a full disk, and the run ends with one error instead of waiting.
func TestBrokenStore(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	c := startCoordinator(t, s, Options{Keep: newJournal(t).keep, Broken: s.Broken})
	require.NoError(t, s.Broken())
	require.NoError(t, s.inner.DisableJetStream())
	_, err := c.Evaluate(context.Background(), 1, point(1))
	var full *RefusedError
	require.ErrorAs(t, err, &full)
	require.ErrorContains(t, err, "given up its storage")
}
