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

	"github.com/spdopt/spdopt/internal/jsonfloat"
	"github.com/spdopt/spdopt/internal/objective"
)

// Options of a coordinator. Spec and Keep must be given.
type Options struct {
	Spec
	Replicas int // copies of the streams in a cluster; 0 means 1
	// Open are evaluations that an earlier coordinator of the run handed out and whose results are not kept.
	Open []uint64
	// Keep writes a result down for good. It is called once for each evaluation that is open, from one goroutine, before anything tells the queue that the result is
	// here. After an error the coordinator takes nothing more.
	Keep func(*Result) error
	// Broken says why the queue can take nothing more, nil while it can; nil asks nobody. With an embedded server it is Server.Broken.
	Broken func() error
	// Log gets what people may want to know; nil drops it.
	Log func(format string, args ...any)
}

// Stats counts what came.
type Stats struct {
	Kept        int `json:"kept"`        // results
	Dropped     int `json:"dropped"`     // results that were duplicates, or not understood
	Redelivered int `json:"redelivered"` // results that were not the first worker's
	Republished int `json:"republished"` // evaluations that the server had lost
}

// Coordinator hands out the evaluations of a run. Its methods may be called from several goroutines.
type Coordinator struct {
	o      Options
	conn   *nats.Conn
	js     jetstream.JetStream
	tasks  jetstream.Stream
	room   chan struct{} // for deletions that are under way
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   sync.WaitGroup
	mended atomic.Bool // the connection was lost and is back: streams may be gone
	warned int         // about results that were dropped

	complained atomic.Bool // about evaluations that the server does not take

	mu      sync.Mutex
	open    map[uint64]*evaluation
	stats   Stats
	workers map[string]int // results of each
}

// evaluation is one that is handed out.
type evaluation struct {
	x         []float64 // nil until somebody asks for it again
	sequence  uint64    // in the tasks, 0 if not known
	published time.Time
	inherited bool // from an earlier coordinator: the task may be in the stream
	again     int  // times that it was published anew
	result    *Result
	ready     chan struct{} // closed when result is kept
}

// RefusedError says that the server does not take evaluations, for another reason than a connection that is lost.
type RefusedError struct{ Err error }

// Error says what to look at.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the queue can take nothing more: %v; look at the disk of the server and its limits, then resume", e.Err)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Start makes the streams of the run, or finds them, and takes in the results that wait there: when it returns, Keep has been called for all of them. The connection
// stays the caller's.
func Start(ctx context.Context, conn *nats.Conn, o Options) (*Coordinator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Spec.fill()
	o.Spec.Replicated = o.Replicas > 1
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if int64(o.taskBytes()) > conn.MaxPayload() && conn.MaxPayload() > 0 {
		return nil, fmt.Errorf("distribute: %d variables need messages of %d bytes; the server takes %d", o.Dim, o.taskBytes(), conn.MaxPayload())
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(1<<16))
	if err != nil {
		return nil, err
	}
	c := &Coordinator{o: o, conn: conn, js: js, open: map[uint64]*evaluation{}, workers: map[string]int{}, room: make(chan struct{}, mostForgotten)}
	for _, id := range o.Open {
		c.open[id] = &evaluation{inherited: true, ready: make(chan struct{})}
	}
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	// What an earlier coordinator was given and did not acknowledge comes at once to a consumer that is new.
	err = js.DeleteConsumer(ctx, o.results(), keeperName)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("consumer %s of %s: %w", keeperName, o.results(), err)
	}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	if c.tasks, err = js.Stream(ctx, c.o.tasks()); err != nil {
		return nil, err
	}
	c.done.Go(c.collect)
	c.done.Go(c.watch)
	if err := c.settle(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// prepare makes streams and consumers. Streams of another version of the objective are emptied.
func (c *Coordinator) prepare(ctx context.Context) error {
	spec, err := json.Marshal(c.o.Spec)
	if err != nil {
		return err
	}
	tasks := jetstream.StreamConfig{
		Name: c.o.tasks(), Subjects: []string{prefix + "." + c.o.Run + ".task.*"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, MaxMsgSize: int32(c.o.taskBytes()),
		Replicas: max(1, c.o.Replicas), Duplicates: remembered, Metadata: map[string]string{metadataKey: string(spec)},
	}
	results := jetstream.StreamConfig{
		Name: c.o.results(), Subjects: []string{prefix + "." + c.o.Run + ".result.*"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, MaxMsgs: mostResults, MaxMsgSize: int32(c.o.resultBytes()), Replicas: max(1, c.o.Replicas), Duplicates: remembered,
	}
	if old, err := c.js.Stream(ctx, tasks.Name); err == nil && old.CachedInfo().Config.Metadata[metadataKey] != string(spec) {
		c.o.Log("the objective or the settings of the queue have changed: what waits there is handed out anew")
		if err := c.remove(ctx); err != nil {
			return err
		}
	}
	for _, s := range []jetstream.StreamConfig{tasks, results} {
		if _, err := c.js.CreateOrUpdateStream(ctx, s); err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	consumers := map[string]jetstream.ConsumerConfig{
		tasks.Name:   {Durable: workersName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.o.AckWait, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: 4096},
		results.Name: {Durable: keeperName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxDeliver: -1, MaxAckPending: -1},
	}
	for stream, config := range consumers {
		if _, err := c.js.CreateOrUpdateConsumer(ctx, stream, config); err != nil {
			return fmt.Errorf("consumer %s of %s: %w", config.Durable, stream, err)
		}
	}
	return nil
}

// remembered is how long the server knows identifiers of messages, each of which costs it memory: longer than a message takes that was sent again because no answer came. What comes later is
// told apart by the subject, or by the coordinator.
const remembered = 10 * time.Second

// mostResults bounds the results that wait for the coordinator. Workers whose results are refused try again.
const mostResults = 1 << 17

func (c *Coordinator) remove(ctx context.Context) error {
	for _, name := range []string{c.o.tasks(), c.o.results()} {
		if err := c.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	return nil
}

// settle finds out which evaluations that were open before are still in the tasks, and waits until no results are left. A worker publishes a result before
// it acknowledges its task, so what is in neither must be published again.
func (c *Coordinator) settle(ctx context.Context) error {
	there, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	for _, id := range c.closed(there) { // a server that was killed may have lost the deletion
		if !c.deleted(id, 0) {
			c.o.Log("the task of evaluation %d, which is done, could not be deleted", id)
		}
	}
	if err := c.drained(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, e := range c.open {
		e.inherited = there[id]
		e.published = time.Now()
	}
	return nil
}

// closed returns those of the evaluations that are not open.
func (c *Coordinator) closed(there map[uint64]bool) (ids []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range there {
		if c.open[id] == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// waiting returns the evaluations in the tasks.
func (c *Coordinator) waiting(ctx context.Context) (map[uint64]bool, error) {
	s, err := c.js.Stream(ctx, c.o.tasks())
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix+"."+c.o.Run+".task.*"))
	if err != nil {
		return nil, err
	}
	there := map[uint64]bool{}
	for subject := range info.State.Subjects {
		there[number(subject)] = true
	}
	return there, nil
}

// drained waits until all results were taken in that are there.
func (c *Coordinator) drained(ctx context.Context) error {
	for {
		s, err := c.js.Stream(ctx, c.o.results())
		if err != nil {
			return err
		}
		if s.CachedInfo().State.Msgs == 0 {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// Evaluate hands out an evaluation and waits for its result, which Keep has been given by then. The error is an *objective.Error, a *RefusedError, what Keep returned, or the cause of ctx, after which
// the evaluation stays open.
func (c *Coordinator) Evaluate(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
	c.mu.Lock()
	e := c.open[id]
	if e == nil {
		e = &evaluation{ready: make(chan struct{})}
		c.open[id] = e
	}
	e.x = x
	publish := !e.inherited && e.result == nil
	c.mu.Unlock()
	if publish {
		if err := c.publish(ctx, id, e); err != nil {
			return objective.Value{}, err
		}
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		return objective.Value{}, context.Cause(ctx)
	case <-c.ctx.Done():
		return objective.Value{}, context.Cause(c.ctx)
	}
	c.mu.Lock()
	delete(c.open, id)
	c.mu.Unlock()
	if e.result.Err != nil {
		failed := *e.result.Err
		failed.Line = c.line(id, x)
		return objective.Value{}, &failed
	}
	return e.result.Value, nil
}

// line is an evaluation as a program reads it.
func (c *Coordinator) line(id uint64, x []float64) string {
	return string(append(jsonfloat.AppendList(fmt.Appendf(nil, `{"type":"eval","id":%d,"x":`, id), x), '}'))
}

// publish puts an evaluation into the tasks, however long the server is away.
func (c *Coordinator) publish(ctx context.Context, id uint64, e *evaluation) error {
	c.mu.Lock()
	data, name := encodeTask(c.o.Run, id, e.x), fmt.Sprint(id)
	if e.again > 0 {
		name = fmt.Sprintf("%d-%d", id, e.again)
	}
	c.mu.Unlock()
	for {
		ack, err := c.send(ctx, c.o.subject("task", id), name, data, e.ready)
		switch {
		case err == nil:
			c.mu.Lock()
			e.published = time.Now()
			if ack != nil {
				e.sequence = ack.Sequence
			}
			c.mu.Unlock()
			c.complained.Store(false)
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		case !passing(err):
			return &RefusedError{err}
		}
		if c.conn.IsConnected() && !c.complained.Swap(true) {
			c.o.Log("the server does not take evaluations, trying again: %v", err)
		}
		select {
		case <-time.After(reconnectWait):
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
	}
}

// send publishes once. ack is nil if the result came first, or if the task is in the stream already.
func (c *Coordinator) send(ctx context.Context, subject, name string, data []byte, ready <-chan struct{}) (ack *jetstream.PubAck, err error) {
	future, err := c.js.PublishAsync(subject, data, jetstream.WithMsgID(name))
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(publishTime)
	defer late.Stop()
	select {
	case ack := <-future.Ok():
		return ack, nil
	case err := <-future.Err():
		if err != nil && strings.Contains(err.Error(), "maximum messages per subject exceeded") {
			return nil, nil
		}
		return nil, err
	case <-ready:
		return nil, nil
	case <-late.C:
		return nil, nats.ErrTimeout
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.ctx.Done():
		return nil, context.Cause(c.ctx)
	}
}

// publishTime is how long a server may take to answer a message before it is sent again, which does no harm.
const publishTime = 2 * time.Second

// passing says whether an error of a server goes away by itself.
func passing(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return true
	}
	if api.ErrorCode == insufficientResources || strings.Contains(api.Description, "no space left") || strings.Contains(api.Description, "file too large") {
		return false
	}
	return api.Code == 503 || api.ErrorCode == jetstream.JSErrCodeStreamNotFound
}

// insufficientResources is the code of a server whose storage is used up.
const insufficientResources jetstream.ErrorCode = 10023

// Stats returns what came so far.
func (c *Coordinator) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Workers returns how many results each worker gave.
func (c *Coordinator) Workers() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]int, len(c.workers))
	for name, n := range c.workers {
		all[name] = n
	}
	return all
}

// errStopped ends what is under way at Stop.
var errStopped = errors.New("distribute: the coordinator was stopped")

// Stop takes no more results; those that come stay in the queue.
func (c *Coordinator) Stop() {
	c.cancel(errStopped)
	c.done.Wait()
}

// Finish stops, tells workers that the run is over, and deletes its streams.
func (c *Coordinator) Finish(ctx context.Context) error {
	c.Stop()
	if err := c.remove(ctx); err != nil {
		return err
	}
	if err := c.conn.Publish(c.o.over(), nil); err != nil {
		return err
	}
	return c.conn.FlushTimeout(publishTime)
}
