package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestBesideLeavesBehind leaves a computation that never ends, and lets it touch nothing from then on.
func TestBesideLeavesBehind(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	release, late, began := make(chan struct{}), make(chan bool), make(chan struct{})
	touched := 0
	go func() {
		<-began
		cancel(interrupted{os.Interrupt})
	}()
	err := beside(ctx, func(g *guard) error {
		g.touch(func() { touched++ })
		close(began)
		<-release
		late <- g.touch(func() { touched++ })
		return errors.New("too late")
	})
	require.Equal(t, 130, exitCode(err))
	close(release)
	require.False(t, <-late)
	require.Equal(t, 1, touched)
}

// TestBesideWaitsForATouch: what is being written when the user interrupts is written.
func TestBesideWaitsForATouch(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	written := false
	err := unlessInterrupted(ctx, func(g *guard) error {
		g.touch(func() {
			cancel(interrupted{syscall.SIGTERM})
			time.Sleep(2 * patience)
			written = true
		})
		return nil
	})
	require.Equal(t, 143, exitCode(err))
	require.True(t, written)
}

// TestBesideReturns what the computation returns, unless it was interrupted.
func TestBesideReturns(t *testing.T) {
	failed := errors.New("failed")
	require.NoError(t, beside(context.Background(), func(*guard) error { return nil }))
	require.Equal(t, failed, beside(context.Background(), func(*guard) error { return failed }))
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{os.Interrupt})
	require.NoError(t, beside(ended, func(*guard) error { return nil }), "it came in time")
	require.Equal(t, 130, exitCode(unlessInterrupted(ended, func(*guard) error { return nil })))
	require.Equal(t, failed, unlessInterrupted(ended, func(*guard) error { return failed }), "an error that came in time counts")
}

// TestInterruptedVerbs interrupts verbs before they begin: the exit code says so, nothing is printed and no file appears.
func TestInterruptedVerbs(t *testing.T) {
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{os.Interrupt})
	folder := t.TempDir()
	trained := filepath.Join(folder, "run")
	succeed(t, "train", "graph", "--steps", "3", "--out", trained)
	points := filepath.Join(folder, "points")
	succeed(t, "train", "diffusion", "--steps", "2", "--batch", "8", "--out", points)
	ms, _ := pairOfFour(5)
	stack := write(t, "stack.npy", ms...)
	empty := t.TempDir()
	out, picture := filepath.Join(empty, "out.json"), filepath.Join(empty, "picture.svg")
	for _, args := range [][]string{
		{"solve", "mean", "--data", stack, "--out", out},
		{"root", "sqrt", "--in", stack, "--out", out},
		{"plot", stack, "--kind", "spectrum", "--svg", picture},
		{"check", "gradient", "tyler", "--data", write(t, "samples.npy", gallery.Tyler(3, 10)), "--seed", "1"},
		{"curvature", "trace", trained, "--products", "3"},
		{"curvature", "topk", trained, "--k", "1"},
		{"curvature", "spectrum", trained, "--steps", "3", "--svg", picture},
		{"curvature", "factors", trained, "--svg", picture},
		{"curvature", "check", trained},
		{"laplace", trained, "--svg", picture, "--tune", "none", "--no-score"},
		{"influence", "score", points, "--skip", "--count", "1", "--draws", "1", "--method", "identity", "--cache", filepath.Join(empty, "cache")},
		{"influence", "lds", points, "--skip", "--count", "1", "--draws", "1", "--subsets", "2", "--repeats", "1", "--measured", out, "--methods", "identity"},
		{"influence", "remove", points, "--skip", "--count", "1", "--draws", "1", "--repeats", "1", "--methods", "identity"},
		{"bench", "roots", "--sizes", "4", "--out", out},
		{"bench", "spd", "--sizes", "4", "--problems", "mean", "--out", out},
	} {
		o := invokeWith(ended, "", args...)
		require.Equal(t, 130, o.code, "%q: %s", args, o.stderr)
		require.Empty(t, o.stdout, "%q", args)
	}
	left, err := filepath.Glob(filepath.Join(empty, "*"))
	require.NoError(t, err)
	for _, path := range left { // the cache and the measurements are results of their own that came in time
		require.Contains(t, []string{"cache", "out.json"}, filepath.Base(path))
	}
}

// interruptedError is standard error that interrupts the program when something is written to it.
type interruptedError struct {
	mu     sync.Mutex
	text   bytes.Buffer
	cancel context.CancelCauseFunc
}

// Write implements io.Writer.
func (w *interruptedError) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel(interrupted{os.Interrupt})
	return w.text.Write(p)
}

// TestBenchmarksKeepWhatIsMeasured interrupts benchmarks when they tell their progress.
func TestBenchmarksKeepWhatIsMeasured(t *testing.T) {
	for _, args := range [][]string{
		{"bench", "roots", "--sizes", "4,5,6", "--conds", "10,100", "--powers=-0.5,-1,-0.25", "--tols", "1e-6,1e-3", "--budget", "1ms"},
		{"bench", "spd", "--sizes", "3,4,5,6,7,8,9,10,11,12", "--conds", "10,100,1000", "--repeats", "1"},
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		file := filepath.Join(t.TempDir(), "cases.json")
		var out bytes.Buffer
		errs := &interruptedError{cancel: cancel}
		a := &app{ctx: ctx, in: strings.NewReader(""), out: &out, err: errs}
		require.Equal(t, 130, a.run(append(args, "--json", "--out", file, "--progress", "plain")), "%q", args)
		require.Contains(t, errs.text.String(), "cases measured: ")
		var o struct {
			Interrupted bool
			Cases       []json.RawMessage
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &o))
		require.True(t, o.Interrupted)
		require.NotEmpty(t, o.Cases)
		kept, err := os.ReadFile(file)
		require.NoError(t, err)
		require.JSONEq(t, out.String(), string(kept))
	}
}

// interruptProcess sends the interrupt and demands that the process ends long before its computation would.
func interruptProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	over := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer over.Stop()
	_ = cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode(), "%q", cmd.Args)
}

// TestInterruptEndsLongComputations interrupts a benchmark in the middle of decompositions that take minutes, and verbs that wait for input that never ends.
func TestInterruptEndsLongComputations(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no interrupt can be sent to a process")
	}
	folder := t.TempDir()
	cmd := process("", "bench", "roots", "--sizes", "2500", "--conds", "1e2", "--powers=-0.5", "--tols", "1e-8", "--out", filepath.Join(folder, "roots.json"))
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { all, _ := os.ReadDir(folder); return len(all) > 0 }, time.Minute, 5*time.Millisecond)
	interruptProcess(t, cmd)
	all, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, all)

	lab := filepath.Join(t.TempDir(), "lab")
	succeed(t, "minimize", "--ask-tell", "--dim", "2", "--seed", "1", "--out", lab)
	for text, verbs := range map[string][][]string{
		"1,0\n": {{"solve", "mean", "--data", "-", "--format", "csv"}, {"root", "sqrt", "--in", "-", "--format", "csv"}},
		"   \n": {{"tell", lab, "-"}},
	} {
		for _, args := range verbs {
			interruptWhileReading(t, text, args)
		}
	}
}

// interruptWhileReading interrupts a verb whose standard input is not at its end.
func interruptWhileReading(t *testing.T, text string, args []string) {
	t.Helper()
	cmd := process("", args...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = in.Write(bytes.Repeat([]byte(text), 1<<17)) // more than a pipe holds, so that the program is reading when it returns
	require.NoError(t, err, "%q", args)
	interruptProcess(t, cmd)
}
