package distribute

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/objective"
)

// silence is the acknowledgement wait of the tests.
const silence = 600 * time.Millisecond

func testSpec() Spec {
	return Spec{Run: "test", Version: "v1", Dim: 3, Seed: 7, AckWait: silence}
}

// patientSpec is for what must not be given to another worker however slow the machine is.
func patientSpec() Spec {
	s := testSpec()
	s.AckWait = time.Minute
	return s
}

// journal is what Keep writes to.
type journal struct {
	mu   sync.Mutex
	kept map[uint64]*Result
	t    testing.TB
}

func newJournal(t testing.TB) *journal { return &journal{kept: map[uint64]*Result{}, t: t} }

func (j *journal) keep(r *Result) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.kept[r.ID] != nil {
		j.t.Errorf("evaluation %d was kept twice", r.ID)
	}
	j.kept[r.ID] = r
	return nil
}

func (j *journal) get(id uint64) *Result {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.kept[id]
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.kept)
}

func startServer(t testing.TB, dir, address string) *Server {
	t.Helper()
	s, err := StartServer(ServerOptions{Address: address, Dir: dir, NoSync: true})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func dial(t testing.TB, s *Server) *nats.Conn {
	t.Helper()
	c, err := Connect(context.Background(), Login{URL: s.URL()}, nil)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func startCoordinator(t testing.TB, s *Server, o Options) *Coordinator {
	t.Helper()
	return startOn(t, dialInside(t, s), o)
}

// dialInside connects as the coordinator does.
func dialInside(t testing.TB, s *Server) *nats.Conn {
	t.Helper()
	c, err := s.Connect()
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// startOn starts a coordinator on a connection.
func startOn(t testing.TB, c *nats.Conn, o Options) *Coordinator {
	t.Helper()
	if o.Run == "" {
		o.Spec = testSpec()
	}
	o.Log = t.Logf
	k, err := Start(context.Background(), c, o)
	require.NoError(t, err)
	t.Cleanup(k.Stop)
	return k
}

// function is an evaluator in this process.
type function func(ctx context.Context, id uint64, x []float64) (objective.Value, error)

func (f function) Evaluate(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
	return f(ctx, id, x)
}
func (f function) Close() {}

func sum(_ context.Context, _ uint64, x []float64) (objective.Value, error) {
	f := 0.0
	for _, v := range x {
		f += v
	}
	return objective.Value{F: f}, nil
}

// startWorker lets a worker work until the function that it returns was called, which returns what Work did.
func startWorker(t testing.TB, s *Server, o WorkerOptions, f function) (end func() error) {
	t.Helper()
	if o.Name == "" {
		o.Name = "tester"
	}
	if o.Version == "" {
		o.Version = "v1"
	}
	o.Drain = 2 * time.Second
	o.Open = func(*Spec) (objective.Evaluator, error) { return f, nil }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	conn := dial(t, s)
	go func() { done <- Work(ctx, conn, o) }()
	var once sync.Once
	var err error
	end = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() { _ = end() })
	return end
}

// evaluateAll hands out evaluations 1 to n, and returns their values.
func evaluateAll(t testing.TB, c *Coordinator, from, n int) []float64 {
	t.Helper()
	values := make([]float64, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			v, err := c.Evaluate(ctx, uint64(from+i), point(from+i))
			if err != nil {
				t.Errorf("evaluation %d: %v", from+i, err)
			}
			values[i] = v.F
		})
	}
	group.Wait()
	return values
}

func point(i int) []float64 { return []float64{float64(i), 0.1, -1e-300} }

func requireSums(t testing.TB, values []float64, from int) {
	t.Helper()
	for i, v := range values {
		want, _ := sum(context.Background(), 0, point(from+i))
		require.Equal(t, math.Float64bits(want.F), math.Float64bits(v), "evaluation %d", from+i)
	}
}

func TestEvaluationsAreSpreadOverWorkers(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Spec: patientSpec(), Keep: j.keep})
	var busy atomic.Int32
	slow := func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		busy.Add(1)
		time.Sleep(2 * time.Millisecond)
		return sum(ctx, id, x)
	}
	for i := range 3 {
		startWorker(t, s, WorkerOptions{Name: fmt.Sprint("worker", i), Jobs: 2}, slow)
	}
	requireSums(t, evaluateAll(t, c, 1, 100), 1)
	require.Equal(t, 100, j.count())
	require.Equal(t, int32(100), busy.Load(), "every evaluation is made once")
	require.Len(t, c.Workers(), 3)
	require.True(t, c.deleted(1, 1) && c.deleted(1, 0), "a task that is gone is gone")
	require.NoError(t, c.Finish(context.Background()))
	_, err := c.js.Stream(context.Background(), c.o.tasks())
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestFailuresAndInfinitiesArrive(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	spec := testSpec()
	spec.Constraints = 1
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Spec: spec, Keep: j.keep})
	startWorker(t, s, WorkerOptions{}, func(_ context.Context, id uint64, _ []float64) (objective.Value, error) {
		switch id {
		case 1:
			return objective.Value{F: math.Inf(1), G: []float64{-2.5}}, nil
		case 2:
			return objective.Value{}, &objective.Error{Kind: objective.Timeout, ID: id, What: "no answer\x1b[31m within 1s"}
		}
		return objective.Value{}, &objective.Error{Kind: objective.Protocol, ID: id, What: "nonsense"}
	})
	v, err := c.Evaluate(context.Background(), 1, point(1))
	require.NoError(t, err)
	require.Equal(t, objective.Value{F: math.Inf(1), G: []float64{-2.5}}, v)
	var failed *objective.Error
	_, err = c.Evaluate(context.Background(), 2, point(2))
	require.ErrorAs(t, err, &failed)
	require.Equal(t, objective.Timeout, failed.Kind)
	require.Equal(t, "no answer [31m within 1s, says worker tester", failed.What)
	_, err = c.Evaluate(context.Background(), 3, point(3))
	require.ErrorAs(t, err, &failed)
	require.False(t, failed.Fatal(), "a worker cannot end the run")
}

// TestDeadWorker: a worker takes a task and falls silent; another gets it after the acknowledgement wait, not before.
func TestDeadWorker(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Keep: j.keep})
	taken := takeTask(t, s, c)
	began := time.Now()
	answer := make(chan []float64)
	go func() { answer <- evaluateAll(t, c, 1, 1) }()
	<-taken
	startWorker(t, s, WorkerOptions{}, sum)
	requireSums(t, <-answer, 1)
	require.GreaterOrEqual(t, time.Since(began), silence)
	require.Equal(t, 2, j.get(1).Attempt)
	require.Equal(t, Stats{Kept: 1, Redelivered: 1}, c.Stats())
}

// takeTask takes the next task as a worker does that dies over it.
func takeTask(t testing.TB, s *Server, c *Coordinator) <-chan jetstream.Msg {
	t.Helper()
	js, err := jetstream.New(dial(t, s))
	require.NoError(t, err)
	consumer, err := js.Consumer(context.Background(), c.o.tasks(), workersName)
	require.ErrorIs(t, err, nil)
	taken := make(chan jetstream.Msg, 1)
	go func() {
		m, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
		if err != nil {
			t.Error(err)
		}
		taken <- m
	}()
	return taken
}

// TestLongEvaluations: one that takes several acknowledgement waits stays with its worker.
func TestLongEvaluations(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Keep: j.keep})
	var made atomic.Int32
	for range 2 {
		startWorker(t, s, WorkerOptions{}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
			made.Add(1)
			time.Sleep(4 * silence)
			return sum(ctx, id, x)
		})
	}
	requireSums(t, evaluateAll(t, c, 1, 1), 1)
	require.Equal(t, int32(1), made.Load())
	require.Equal(t, 1, j.get(1).Attempt)
}

// TestPoison: an evaluation over which workers fall silent is given up after MaxDeliver of them, and the others go on.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	spec := testSpec()
	spec.MaxDeliver = 2
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Spec: spec, Keep: j.keep})
	failed := make(chan error)
	go func() {
		_, err := c.Evaluate(context.Background(), 1, point(1))
		failed <- err
	}()
	for range 2 {
		<-takeTask(t, s, c)
	}
	startWorker(t, s, WorkerOptions{}, sum)
	var why *objective.Error
	require.ErrorAs(t, <-failed, &why)
	require.Contains(t, why.What, "given up: 2 workers fell silent over it")
	require.Contains(t, why.Line, `"id":1,"x":[1,0.1,-1e-300]`)
	requireSums(t, evaluateAll(t, c, 2, 5), 2)
}

// TestWorkerDiesBetweenResultAndAcknowledgement: the result is kept, and nobody evaluates again.
func TestWorkerDiesBetweenResultAndAcknowledgement(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Keep: j.keep})
	taken := takeTask(t, s, c)
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 1) }()
	<-taken
	publishResult(t, s, &c.o.Spec, &Result{ID: 1, Attempt: 1, Value: objective.Value{F: 42}, Worker: "dead"})
	require.Equal(t, []float64{42}, <-values)
	end := startWorker(t, s, WorkerOptions{}, func(context.Context, uint64, []float64) (objective.Value, error) {
		t.Error("it is evaluated again")
		return objective.Value{}, nil
	})
	time.Sleep(2 * silence)
	require.ErrorIs(t, end(), context.Canceled)
	there, err := c.waiting(context.Background())
	require.NoError(t, err)
	require.Empty(t, there)
}

func publishResult(t testing.TB, s *Server, spec *Spec, r *Result) {
	t.Helper()
	publishRaw(t, s, spec.subject("result", r.ID), r.encode(spec))
}

func publishRaw(t testing.TB, s *Server, subject string, data []byte) {
	t.Helper()
	js, err := jetstream.New(dial(t, s))
	require.NoError(t, err)
	_, err = js.Publish(context.Background(), subject, data)
	require.NoError(t, err)
}

// TestResultWaitsWhileTheCoordinatorIsAway: it died after the worker had published and before it had taken the result in. The worker died too, so the task comes again:
// whoever gets it sees the result. The next coordinator takes the result before it publishes anything.
func TestResultWaitsWhileTheCoordinatorIsAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Keep: j.keep})
	taken := takeTask(t, s, c)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = c.Evaluate(ctx, 1, point(1)) }()
	<-taken
	cancel()
	c.Stop()
	publishResult(t, s, &c.o.Spec, &Result{ID: 1, Attempt: 1, Value: objective.Value{F: 42}, Worker: "dead"})
	startWorker(t, s, WorkerOptions{}, func(context.Context, uint64, []float64) (objective.Value, error) {
		t.Error("it is evaluated again")
		return objective.Value{}, nil
	})
	time.Sleep(3 * silence)
	next := startCoordinator(t, s, Options{Open: []uint64{1}, Keep: j.keep})
	require.Equal(t, 42.0, j.get(1).Value.F, "kept before Start returns")
	v, err := next.Evaluate(context.Background(), 1, point(1))
	require.NoError(t, err)
	require.Equal(t, 42.0, v.F)
	there, err := next.waiting(context.Background())
	require.NoError(t, err)
	require.Empty(t, there)
}

// TestCoordinatorRestart: evaluations in the queue or in work are not handed out twice by the next coordinator, those that got lost are.
func TestCoordinatorRestart(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Spec: patientSpec(), Keep: j.keep})
	var made sync.Map
	hold := make(chan struct{})
	startWorker(t, s, WorkerOptions{Jobs: 2}, func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		if _, again := made.LoadOrStore(id, true); again {
			t.Errorf("evaluation %d is made again", id)
		}
		<-hold
		return sum(ctx, id, x)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for id := uint64(1); id <= 5; id++ { // two in work, three in the queue
		group.Go(func() {
			_, err := c.Evaluate(ctx, id, point(int(id)))
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool {
		there, err := c.waiting(context.Background())
		return err == nil && len(there) == 5
	}, 30*time.Second, 5*time.Millisecond)
	cancel()
	group.Wait()
	c.Stop()
	next := startCoordinator(t, s, Options{Spec: patientSpec(), Open: []uint64{1, 2, 3, 4, 5, 6}, Keep: j.keep}) // 6 was asked for and not published
	close(hold)
	requireSums(t, evaluateAll(t, next, 1, 6), 1)
	require.Equal(t, 6, j.count())
	require.Zero(t, next.Stats().Dropped)
}
