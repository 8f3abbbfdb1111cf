package distribute

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/loopback"
	"github.com/spdopt/spdopt/internal/objective"
)

// remote connects a coordinator as to a server on another machine.
func remote(t *testing.T, url string, o Options) *Coordinator {
	t.Helper()
	conn, err := Connect(context.Background(), Login{URL: url}, nil)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return startOn(t, conn, o)
}

// TestServerGoesAwayAndComesBack: once with its files, once without. Nothing is lost, and with the files nothing is evaluated twice.
func TestServerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	for host, wiped := range map[int]bool{1: false, 2: true} {
		t.Run(fmt.Sprintf("wiped %v", wiped), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openServer(t, dir, loopback.Host(host)+":0")
			address := strings.TrimPrefix(s.URL(), "nats://")
			j := newJournal(t)
			c := remote(t, s.URL(), Options{Keep: j.keep})
			var made atomic.Int32
			var first sync.Once
			busy := make(chan struct{})
			startWorker(t, s, WorkerOptions{Jobs: 2}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
				made.Add(1)
				first.Do(func() { close(busy) })
				time.Sleep(20 * time.Millisecond)
				return sum(ctx, id, x)
			})
			values := make(chan []float64)
			go func() { values <- evaluateAll(t, c, 1, 40) }()
			<-busy
			s.Stop()
			if wiped {
				require.NoError(t, os.RemoveAll(dir))
			}
			time.Sleep(silence)
			openServer(t, dir, address)
			requireSums(t, <-values, 1)
			require.Equal(t, 40, j.count())
			if !wiped {
				require.Equal(t, int32(40), made.Load())
			}
		})
	}
}

// openServer starts a server that knows no roles: the coordinator is a client like any other.
func openServer(t testing.TB, dir, address string) *Server {
	t.Helper()
	return serverWith(t, &natsserver.Options{StoreDir: dir}, address)
}

// serverWith starts a server with settings of its own.
func serverWith(t testing.TB, o *natsserver.Options, address string) *Server {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	if port == 0 {
		port = natsserver.RANDOM_PORT
	}
	o.Host, o.Port, o.NoLog, o.NoSigs, o.JetStream = host, port, true, true, true
	inner, err := natsserver.NewServer(o)
	require.NoError(t, err)
	inner.Start()
	require.True(t, inner.ReadyForConnections(30*time.Second))
	s := &Server{inner: inner}
	t.Cleanup(s.Stop)
	return s
}

// TestWorkerIsToldToEnd: it finishes and delivers what it is at, and leaves the rest to others at once.
func TestWorkerIsToldToEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Spec: patientSpec(), Keep: j.keep}) // what is given back comes before
	busy := make(chan struct{})
	end := startWorker(t, s, WorkerOptions{Name: "first"}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		busy <- struct{}{}
		time.Sleep(50 * time.Millisecond)
		return sum(ctx, id, x)
	})
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 10) }()
	<-busy
	require.ErrorIs(t, end(), context.Canceled)
	require.Eventually(t, func() bool { return j.count() == 1 }, 30*time.Second, 5*time.Millisecond)
	startWorker(t, s, WorkerOptions{Name: "second"}, sum)
	requireSums(t, <-values, 1)
	require.Equal(t, map[string]int{"first": 1, "second": 9}, c.Workers())
}

// TestWorkerEndsWithTheRun: with Once, also when the evaluation that it is at is not needed any more.
func TestWorkerEndsWithTheRun(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	c := startCoordinator(t, s, Options{Keep: newJournal(t).keep})
	busy, ended := make(chan struct{}), make(chan error)
	conn := dial(t, s)
	go func() {
		ended <- Work(context.Background(), conn, WorkerOptions{Version: "v1", Once: true, Open: func(*Spec) (objective.Evaluator, error) {
			return function(func(ctx context.Context, _ uint64, _ []float64) (objective.Value, error) {
				close(busy)
				<-ctx.Done()
				return objective.Value{}, context.Cause(ctx)
			}), nil
		}})
	}()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = c.Evaluate(ctx, 1, point(1)) }()
	<-busy
	cancel()
	require.NoError(t, c.Finish(context.Background()))
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the worker goes on")
	}
}

// TestWorkerThatCannotEvaluate ends with the reason, and its task goes to another at once.
func TestWorkerThatCannotEvaluate(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	c := startCoordinator(t, s, Options{Keep: newJournal(t).keep})
	missing := &objective.NotFoundError{Command: "x", Err: os.ErrNotExist}
	tried := make(chan struct{})
	end := startWorker(t, s, WorkerOptions{}, func(context.Context, uint64, []float64) (objective.Value, error) {
		close(tried)
		return objective.Value{}, missing
	})
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 1) }()
	<-tried
	require.ErrorIs(t, end(), os.ErrNotExist)
	startWorker(t, s, WorkerOptions{}, sum)
	requireSums(t, <-values, 1)
}

// TestFullJournal: after Keep has failed nothing is acknowledged, every evaluation ends with the error, and the next coordinator gets the result again.
func TestFullJournal(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	c := startCoordinator(t, s, Options{Keep: func(*Result) error { return syscall.ENOSPC }})
	startWorker(t, s, WorkerOptions{}, sum)
	for id := range uint64(3) {
		_, err := c.Evaluate(context.Background(), id+1, point(int(id+1)))
		require.True(t, errors.Is(err, syscall.ENOSPC), "%v", err)
	}
	c.Stop()
	j := newJournal(t)
	startCoordinator(t, s, Options{Open: []uint64{1}, Keep: j.keep})
	require.Equal(t, 1, j.count())
}
