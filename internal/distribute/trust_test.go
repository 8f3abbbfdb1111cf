package distribute

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/objective"
)

// TestBadResultsAreDropped: nothing that a worker sends is kept but a value, or a failure, of an evaluation that is open.
func TestBadResultsAreDropped(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	j := newJournal(t)
	c := startCoordinator(t, s, Options{Keep: j.keep})
	taken := takeTask(t, s, c)
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 1) }()
	m := <-taken
	spec := &c.o.Spec
	head := `{"run":"test","id":1,"attempt":1,"v":"v1","worker":"w","s":0.1,`
	bad := []string{
		``, `null`, `[]`, `{`, `"f"`, head + `"f":1`, head + `"f":"one"}`, head + `"f":-Infinity}`, head + `"f":"-Infinity"}`, head + `"f":1,"g":[1]}`, head + `"s":-1,"f":1}`, head + `"attempt":0,"f":1}`,
		head + `"run":"other","f":1}`, head + `"v":"v2","f":1}`, head + `"id":2,"f":1}`, head + `"x":1}`, head + `"f":[1]}`, head + `"s":1e300,"f":1}`,
		strings.Repeat("[", 5000), head + `"worker":{},"f":1}`,
	}
	for _, text := range bad {
		publishRaw(t, s, spec.subject("result", 1), []byte(text))
	}
	publishResult(t, s, spec, &Result{ID: 99, Attempt: 1, Worker: "unknown evaluation"})
	require.Eventually(t, func() bool { return c.Stats().Dropped == len(bad)+1 }, 30*time.Second, 5*time.Millisecond)
	require.Zero(t, j.count())
	for range 3 {
		publishResult(t, s, spec, &Result{ID: 1, Attempt: 1, Value: objective.Value{F: 5}, Worker: strings.Repeat("long\n", 1000)})
	}
	require.NoError(t, m.Ack())
	require.Equal(t, []float64{5}, <-values)
	require.Eventually(t, func() bool { return c.Stats().Dropped == len(bad)+3 }, 30*time.Second, 5*time.Millisecond, "duplicates")
	require.Equal(t, 1, c.Stats().Kept)
	require.LessOrEqual(t, len(j.get(1).Worker), longestText)
	require.NotContains(t, j.get(1).Worker, "\n")
}

// TestWorkersMayOnlyWork: what a worker does not need the embedded server refuses.
func TestWorkersMayOnlyWork(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	c := startCoordinator(t, s, Options{Keep: newJournal(t).keep})
	conn := dial(t, s)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	require.Error(t, js.DeleteStream(ctx, c.o.tasks()))
	ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err = js.Publish(ctx, c.o.subject("task", 1), encodeTask("test", 1, point(1)))
	require.Error(t, err)
	ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "mine", Subjects: []string{"mine"}})
	require.Error(t, err)
	_, err = c.js.Stream(context.Background(), c.o.tasks())
	require.NoError(t, err)
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = js.Publish(ctx, c.o.subject("result", 1), make([]byte, c.o.resultBytes()+1))
	require.ErrorContains(t, err, "message size exceeds maximum")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	s, err := StartServer(ServerOptions{Address: "127.0.0.1:0", Dir: t.TempDir(), Token: token, NoSync: true})
	require.NoError(t, err)
	defer s.Stop()
	for _, wrong := range []string{"", "0123456789abcdeg", token + "0"} {
		_, err := Connect(context.Background(), Login{URL: s.URL(), Token: wrong}, nil)
		var refused *LoginError
		require.ErrorAs(t, err, &refused)
		require.ErrorIs(t, err, nats.ErrAuthorization)
	}
	for _, user := range []string{coordinatorUser, "", "admin"} {
		_, err := nats.Connect(s.URL(), nats.UserInfo(user, token))
		require.ErrorIs(t, err, nats.ErrAuthorization)
	}
	c, err := Connect(context.Background(), Login{URL: s.URL(), Token: token}, nil)
	require.NoError(t, err)
	c.Close()
	_, err = Connect(context.Background(), Login{URL: "nats://me:secret@127.0.0.1:4222"}, nil)
	require.ErrorContains(t, err, "passwords do not belong into an address")
	require.NotContains(t, err.Error(), "secret@")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{":4222": "127.0.0.1:4222 true", "localhost:1": "localhost:1 true", "[::1]:2": "[::1]:2 true", "0.0.0.0:3": "0.0.0.0:3 false", "10.0.0.1:4": "10.0.0.1:4 false"} {
		full, loopback, err := Host(address)
		require.NoError(t, err)
		require.Equal(t, want, fmt.Sprint(full, " ", loopback))
	}
	for _, o := range []ServerOptions{{Address: "4222"}, {Address: ":x"}, {Address: ":65536"}, {Address: "0.0.0.0:0"}, {Address: "0.0.0.0:0", Token: "short"}, {Address: ":0", Cert: "missing"}} {
		o.Dir = t.TempDir()
		_, err := StartServer(o)
		require.Error(t, err, "%+v", o)
	}
	first := startServer(t, t.TempDir(), ":0")
	_, err := StartServer(ServerOptions{Address: strings.TrimPrefix(first.URL(), "nats://"), Dir: t.TempDir()})
	require.ErrorContains(t, err, "address already in use")
}

// TestAnotherVersionIsRefused: the worker says so, and does not evaluate.
func TestAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), ":0")
	startCoordinator(t, s, Options{Keep: newJournal(t).keep})
	err := Work(context.Background(), dial(t, s), WorkerOptions{Version: "v2", Open: func(*Spec) (objective.Evaluator, error) {
		t.Error("it is opened")
		return nil, nil
	}})
	var version *VersionError
	require.ErrorAs(t, err, &version)
	require.Equal(t, VersionError{"test", "v1", "v2"}, *version)
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	good := testSpec()
	require.NoError(t, good.Validate())
	for name, change := range map[string]func(*Spec){
		"no run": func(s *Spec) { s.Run = "" }, "wildcard": func(s *Spec) { s.Run = "a.*" }, "path": func(s *Spec) { s.Run = "../x" }, "no variables": func(s *Spec) { s.Dim = 0 },
		"bounds": func(s *Spec) { s.Lower = append(s.Lower, 1) }, "wait": func(s *Spec) { s.AckWait = time.Millisecond }, "deliveries": func(s *Spec) { s.MaxDeliver = -1 },
	} {
		s := testSpec()
		change(&s)
		require.Error(t, s.Validate(), name)
	}
}

func FuzzDecodeResult(f *testing.F) {
	spec := testSpec()
	spec.Constraints = 1
	f.Add((&Result{ID: 3, Attempt: 1, Value: objective.Value{F: 1.5, G: []float64{2}}, Worker: "w"}).encode(&spec))
	f.Add((&Result{ID: 3, Attempt: 2, Err: &objective.Error{Kind: objective.Crash, What: "gone"}, Worker: "w"}).encode(&spec))
	f.Add([]byte(`{"run":"test","id":1,"attempt":1,"v":"v1","f":NaN,"g":[0]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeResult(data, &spec)
		if err != nil {
			return
		}
		back, err := decodeResult(r.encode(&spec), &spec)
		if err != nil {
			t.Fatalf("%q is read and written as %q, which is not: %v", data, r.encode(&spec), err)
		}
		if r.Err == nil && (back.Value.F != r.Value.F || back.Value.G[0] != r.Value.G[0]) || (r.Err == nil) != (back.Err == nil) {
			t.Fatalf("%q: %+v is written and read as %+v", data, r, back)
		}
	})
}
