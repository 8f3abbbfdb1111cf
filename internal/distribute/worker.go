package distribute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spdopt/spdopt/internal/objective"
)

// WorkerOptions say what a worker evaluates. Name, Version and Open must be given.
type WorkerOptions struct {
	Name    string // in results
	Run     string // the only run to work for; empty means any of this version
	Version string // of the objective
	Jobs    int    // evaluations at once; 0 means 1
	Once    bool   // return at the end of the first run
	// Open makes the evaluator for a run.
	Open func(*Spec) (objective.Evaluator, error)
	// Drain is how long evaluations under way may go on once the worker is told to end; 0 means as long as they take.
	Drain time.Duration
	Log   func(format string, args ...any) // what people may want to know; nil drops it
}

// VersionError says that a run needs another version of the objective than the worker has.
type VersionError struct{ Run, Want, Have string }

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("run %s evaluates version %s of the objective, this worker has %s: bring program and command line to the run's state, or give both sides the same --objective-version",
		e.Run, e.Want, e.Have)
}

// Work evaluates until ctx ends, whose cause it returns once the evaluations under way are over and their results in the queue, or with Once until a run is over.
func Work(ctx context.Context, conn *nats.Conn, o WorkerOptions) error {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	o.Jobs = max(1, o.Jobs)
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	for {
		spec, err := find(ctx, conn, js, &o)
		if err != nil {
			return err
		}
		o.Log("working for run %s", spec.Run)
		w := &worker{o: o, spec: spec, js: js, conn: conn, held: map[uint64]jetstream.Msg{}, room: make(chan struct{}, mostUnderWay)}
		if err := w.serve(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o.Log("run %s is over", spec.Run)
		if o.Once {
			return nil
		}
	}
}

// lookEvery is how often a worker without work looks for a run.
const lookEvery = 300 * time.Millisecond

// find waits for a run. One of another version is an error if it is the only one, or asked for.
func find(ctx context.Context, conn *nats.Conn, js jetstream.JetStream, o *WorkerOptions) (*Spec, error) {
	for {
		spec, err := look(ctx, js, o)
		var version *VersionError
		if spec != nil || errors.As(err, &version) {
			return spec, err
		}
		if err := closed(conn); err != nil {
			return nil, err
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func look(ctx context.Context, js jetstream.JetStream, o *WorkerOptions) (*Spec, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	var other error
	names := js.StreamNames(ctx, jetstream.WithStreamListSubject(prefix+".*.task.*"))
	for name := range names.Name() {
		if !strings.HasPrefix(name, prefix+"-") || o.Run != "" && name != (&Spec{Run: o.Run}).tasks() {
			continue
		}
		s, err := js.Stream(ctx, name)
		if err != nil {
			continue
		}
		var spec Spec
		if json.Unmarshal([]byte(s.CachedInfo().Config.Metadata[metadataKey]), &spec) != nil || spec.Validate() != nil || spec.tasks() != name {
			continue
		}
		if spec.Version == o.Version {
			return &spec, nil
		}
		other = &VersionError{spec.Run, spec.Version, o.Version}
	}
	return nil, errors.Join(other, names.Err())
}

// worker works for one run.
type worker struct {
	o    WorkerOptions
	spec *Spec
	js   jetstream.JetStream
	conn *nats.Conn
	eval objective.Evaluator
	room chan struct{} // results that are on their way
	sent sync.WaitGroup

	mu     sync.Mutex
	held   map[uint64]jetstream.Msg // tasks that were taken and not acknowledged
	failed error                    // why the worker can't go on

	complained atomic.Bool // about results that the server does not take
}

// mostUnderWay bounds the results that are on their way to the queue.
const mostUnderWay = 64

// errOver ends the work for a run.
var errOver = errors.New("distribute: the run is over")

// serve works until the run is over or ctx ends.
func (w *worker) serve(ctx context.Context) (err error) {
	if w.eval, err = w.o.Open(w.spec); err != nil {
		return err
	}
	defer w.eval.Close()
	taking, end := context.WithCancelCause(ctx) // tasks are taken
	defer end(nil)
	working, abandon := context.WithCancelCause(context.WithoutCancel(ctx)) // tasks that were taken are evaluated
	defer abandon(nil)
	note, err := w.conn.Subscribe(w.spec.over(), func(*nats.Msg) {
		end(errOver)
		abandon(errOver)
	})
	if err != nil {
		return err
	}
	defer func() { _ = note.Unsubscribe() }()
	if w.o.Drain > 0 {
		stop := context.AfterFunc(ctx, func() {
			time.AfterFunc(w.o.Drain, func() { abandon(context.Cause(ctx)) })
		})
		defer stop()
	}
	beating := make(chan struct{})
	go w.beat(working, beating)
	var slots sync.WaitGroup
	for range w.o.Jobs {
		slots.Go(func() { w.slot(taking, working, end) })
	}
	slots.Wait()
	w.sent.Wait()
	abandon(nil)
	<-beating
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// Sizes of what a slot takes at once: as many tasks as it evaluates in a moment, so that short evaluations do not pay for the way of each request, and long ones are not
// held while others have nothing to do.
const (
	moment      = 5 * time.Millisecond
	mostAtOnce  = 16
	requestTime = time.Second
	patience    = 3 * time.Second // after which a stream that is not there is taken for deleted
)

// slot takes tasks and evaluates them one after the other.
func (w *worker) slot(taking, working context.Context, end context.CancelCauseFunc) {
	missing := time.Time{}
	mean := moment
	for taking.Err() == nil {
		err := w.request(taking, working, end, &mean)
		if err == nil {
			missing = time.Time{}
			continue
		}
		if err := closed(w.conn); err != nil {
			w.fail(err)
			end(err)
		}
		if w.conn.IsConnected() && (errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound)) {
			if missing.IsZero() {
				missing = time.Now()
			}
			if time.Since(missing) > patience {
				end(errOver)
			}
		} else {
			missing = time.Time{}
		}
		select {
		case <-time.After(reconnectWait):
		case <-taking.Done():
		}
	}
}

// request asks for tasks for a while and evaluates those that come.
func (w *worker) request(taking, working context.Context, end context.CancelCauseFunc, mean *time.Duration) error {
	ctx, cancel := context.WithTimeout(working, publishTime)
	ask := asked{connects: w.conn.Stats().Reconnects}
	consumer, err := w.consumer(ctx, &ask)
	cancel()
	if err != nil {
		return err
	}
	for taking.Err() == nil && !w.lost(&ask) {
		n := int(min(mostAtOnce, max(1, moment/max(1, *mean))))
		ask.at = time.Now()
		batch, err := consumer.Fetch(n, jetstream.FetchMaxWait(requestTime))
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			if taking.Err() != nil {
				_ = m.Nak()
				continue
			}
			began := time.Now()
			if err := w.do(working, m, &ask); err != nil {
				_ = m.Nak()
				w.fail(err)
				end(err)
			}
			*mean += (time.Since(began) - *mean) / 4
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
	}
	return nil
}

// asked says when tasks were asked for, and of which server.
type asked struct {
	at       time.Time
	connects uint64 // times that the connection had been made anew
	last     uint64 // number of the last task that the server had then
}

// lost says that the connection was lost since; the server may have forgotten what it had handed out.
func (w *worker) lost(ask *asked) bool {
	return !w.conn.IsConnected() || w.conn.Stats().Reconnects != ask.connects
}

// consumer finds the tasks of the run, and the last of them. A stream that was made anew for another version of the objective is not the run's any more.
func (w *worker) consumer(ctx context.Context, ask *asked) (jetstream.Consumer, error) {
	s, err := w.js.Stream(ctx, w.spec.tasks())
	if err != nil {
		return nil, err
	}
	var now Spec
	if err := json.Unmarshal([]byte(s.CachedInfo().Config.Metadata[metadataKey]), &now); err != nil || now.Version != w.spec.Version {
		return nil, jetstream.ErrStreamNotFound
	}
	ask.last = s.CachedInfo().State.LastSeq
	return s.Consumer(ctx, workersName)
}

func (w *worker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil && !errors.Is(err, errOver) && !errors.Is(err, context.Canceled) {
		w.failed = err
	}
}

// hold notes that a task is in work; false means that it was already: it came again because word of it could not reach the server.
func (w *worker) hold(id uint64, m jetstream.Msg) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[id] != nil {
		return false
	}
	w.held[id] = m
	return true
}

func (w *worker) release(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.held, id)
}

// beat tells the server that tasks are still in work.
func (w *worker) beat(working context.Context, ended chan<- struct{}) {
	defer close(ended)
	t := time.NewTicker(w.spec.AckWait / 3)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-working.Done():
			return
		}
		w.mu.Lock()
		held := make([]jetstream.Msg, 0, len(w.held))
		for _, m := range w.held {
			held = append(held, m)
		}
		w.mu.Unlock()
		for _, m := range held {
			_ = m.InProgress() // if it does not arrive the task is delivered again
		}
	}
}

// do evaluates a task that was asked for, and starts its result on its way. The error says that the worker can't evaluate at all, or the cause of working.
func (w *worker) do(working context.Context, m jetstream.Msg, ask *asked) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	id, x, err := decodeTask(m.Data(), w.spec)
	if err != nil {
		w.o.Log("a task was dropped: %v", err)
		return m.Term()
	}
	if !w.hold(id, m) {
		return nil
	}
	// Behind a long evaluation a task can have waited until others were given it, and a server that was killed counts deliveries from the last state that it wrote.
	if meta.NumDelivered > 1 || w.spec.Replicated || time.Since(ask.at) > w.spec.AckWait/2 || meta.Sequence.Stream <= ask.last || w.lost(ask) {
		done, err := w.look(working, id, meta.Sequence.Stream)
		if err != nil || done {
			w.release(id)
		}
		if err != nil {
			return err
		}
		if done {
			return m.Ack()
		}
	}
	r, err := w.evaluate(working, id, x, int(meta.NumDelivered))
	if err != nil {
		w.release(id)
		return err
	}
	select {
	case w.room <- struct{}{}:
	case <-working.Done():
		w.release(id)
		return context.Cause(working)
	}
	w.sent.Go(func() {
		w.deliver(working, m, r)
		w.release(id)
		<-w.room
	})
	return nil
}

// evaluate returns the result of a task.
func (w *worker) evaluate(working context.Context, id uint64, x []float64, attempt int) (*Result, error) {
	r := &Result{ID: id, Attempt: attempt, Worker: w.o.Name}
	if attempt > w.spec.MaxDeliver {
		r.Err = &objective.Error{Kind: objective.Crash, ID: id, What: fmt.Sprintf("given up: %d workers fell silent over it", attempt-1)}
		return r, nil
	}
	began := time.Now()
	v, err := w.eval.Evaluate(working, id, x)
	r.Seconds, r.Value = time.Since(began).Seconds(), v
	if err != nil && !errors.As(err, &r.Err) {
		return nil, err
	}
	return r, nil
}

// look finds out whether a task is done, however long the server does not answer. The error is the cause of working.
func (w *worker) look(working context.Context, id, sequence uint64) (done bool, err error) {
	for {
		if done, err = w.finished(working, id, sequence); err == nil {
			return done, nil
		}
		select {
		case <-time.After(reconnectWait):
		case <-working.Done():
			return false, context.Cause(working)
		}
	}
}

// finished says whether a task that others may have had as well is done: its result is in the queue, or was kept, and then the task is gone. The order matters: the
// coordinator deletes the task before it acknowledges the result. A server that has lost its streams knows of nothing that is done.
func (w *worker) finished(ctx context.Context, id, sequence uint64) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	results, err := w.js.Stream(ctx, w.spec.results())
	if err == nil {
		_, err = results.GetLastMsgForSubject(ctx, w.spec.subject("result", id))
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return false, nil
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return false, err
	}
	tasks, err := w.js.Stream(ctx, w.spec.tasks())
	if err == nil {
		_, err = tasks.GetMsg(ctx, sequence)
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return true, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return false, nil
	}
	return false, err
}

// deliver publishes a result, however long the server is away, and acknowledges the task.
func (w *worker) deliver(working context.Context, m jetstream.Msg, r *Result) {
	data := r.encode(w.spec)
	name := fmt.Sprintf("%d.%d.%s", r.ID, r.Attempt, w.o.Name)
	for working.Err() == nil {
		ctx, cancel := context.WithTimeout(working, publishTime)
		_, err := w.js.Publish(ctx, w.spec.subject("result", r.ID), data, jetstream.WithMsgID(name), jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			_ = m.Ack() // if it does not arrive the coordinator deletes the task
			w.complained.Store(false)
			return
		}
		if w.conn.IsConnected() && working.Err() == nil && !w.complained.Swap(true) {
			w.o.Log("the server does not take results, trying again: %v", err)
		}
		select {
		case <-time.After(reconnectWait):
		case <-working.Done():
		}
	}
}
