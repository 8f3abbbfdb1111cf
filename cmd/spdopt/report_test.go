package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/run"
)

func TestReportPlotAndWatch(t *testing.T) {
	root := t.TempDir()
	one, two := filepath.Join(root, "one"), filepath.Join(root, "two")
	for seed, dir := range map[string]string{"1": one, "2": two} {
		succeed(t, "minimize", "--fn", "f10", "--dim", "3", "--seed", seed, "--max-evals", "300", "--out", dir)
	}
	page, both, picture := filepath.Join(root, "one.html"), filepath.Join(root, "both.html"), filepath.Join(root, "both.svg")
	succeed(t, "report", "one", "--runs", root, "--html", page)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, want := range []string{"minimize es-f10", "max-evaluations", "<svg", "<td>seed</td>"} {
		require.True(t, strings.Contains(string(text), want), want)
	}
	require.Equal(t, both, fields(t, succeed(t, "report", one, two, "--html", both, "--json"), "file")["file"])
	text, err = os.ReadFile(both)
	require.NoError(t, err)
	require.True(t, strings.Contains(string(text), "Settings that differ"))
	succeed(t, "plot", one, two, "--svg", picture)
	text, err = os.ReadFile(picture)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "<svg") && strings.Contains(string(text), ">one</text>"))

	require.Contains(t, succeed(t, "watch", one).stdout, "evaluations      300 (0 failed, 0 under way)")
	require.Equal(t, 300.0, fields(t, succeed(t, "watch", one, "--json"), "latest", "status")["evaluations"])

	for _, args := range [][]string{{"report", one}, {"report"}, {"plot", one}, {"watch"}, {"dashboard", "--http", "nowhere"}, {"dashboard", "--http", "0.0.0.0:0"}} {
		require.Equal(t, exitUsage, invoke(args...).code, "%q", args)
	}
	for _, args := range [][]string{{"report", "none", "--html", page}, {"watch", "../one"}, {"report", one, "--html", filepath.Join(root, "no", "such", "folder.html")}} {
		require.Equal(t, exitInput, invoke(append(args, "--runs", root)...).code, "%q", args)
	}
}

// TestPlotMatrices draws a stack of two and a matrix by each of the pictures, and says what is wrong with files that can't be drawn.
func TestPlotMatrices(t *testing.T) {
	dir := t.TempDir()
	stack, one, bad, picture := filepath.Join(dir, "stack.json"), filepath.Join(dir, "one.json"), filepath.Join(dir, "bad.json"), filepath.Join(dir, "p.svg")
	for path, text := range map[string]string{stack: `[[[1,0],[0,100]],[[2,1],[1,2]]]`, one: `[[4,1],[1,3]]`, bad: `[[1,2],[2,1]]`} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	for kind, want := range map[string][]string{
		"ellipses": {">stack</text>", ">one</text>", "0 across, 1 up, each to 10.5"},
		"spectrum": {">stack [0]</text>", ">stack [1]</text>", ">one</text>", ">100</text>"},
		"heat":     {">stack [1] (2 x 2), largest 2</text>", ">one (2 x 2), largest 4</text>"},
	} {
		succeed(t, "plot", stack, one, "--kind", kind, "--title", "a title", "--svg", picture)
		text, err := os.ReadFile(picture)
		require.NoError(t, err)
		for _, w := range append(want, ">a title</text>") {
			require.Contains(t, string(text), w, kind)
		}
	}
	succeed(t, "plot", bad, "--kind", "heat", "--svg", picture)
	for _, kind := range []string{"ellipses", "spectrum"} {
		r := invoke("plot", bad, "--kind", kind, "--svg", picture)
		require.Equal(t, exitInput, r.code)
		require.Contains(t, r.stderr, "smallest eigenvalue -1")
	}
	r := invoke("plot", one, "--svg", picture)
	require.Equal(t, exitInput, r.code)
	require.Contains(t, r.stderr, "one.json: is a file, not the directory of a run; matrices are drawn with --kind ellipses, spectrum or heat")
	for _, args := range [][]string{{"--kind", "ellipses", "--coordinates", "0,2"}, {"--kind", "ellipses", "--coordinates", "1,1"}, {"--kind", "ellipses", "--coordinates", "0"}, {"--kind", "pie"}} {
		require.Equal(t, exitUsage, invoke(append([]string{"plot", one, "--svg", picture}, args...)...).code, "%q", args)
	}
}

// TestDashboardServes starts the dashboard, follows the address that it prints, and ends it by a signal.
func TestDashboardServes(t *testing.T) {
	root := t.TempDir()
	succeed(t, "minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--max-evals", "60", "--out", filepath.Join(root, "one"))
	ctx, cancel := context.WithCancelCause(t.Context())
	out := &firstLine{line: make(chan string, 1)}
	ended := make(chan int, 1)
	a := &app{ctx: ctx, in: strings.NewReader(""), out: out, err: new(bytes.Buffer)}
	go func() { ended <- a.run([]string{"dashboard", "--runs", root, "--control"}) }()
	var where string
	select {
	case where = <-out.line:
	case <-time.After(60 * time.Second):
		t.Fatal("no address was printed")
	}
	where, token, ok := strings.Cut(where, "#token=")
	require.True(t, ok)
	require.GreaterOrEqual(t, len(token), 16)
	answer, err := http.Get(where + "run/one")
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 200, answer.StatusCode)
	cancel(interrupted{syscall.SIGTERM})
	require.Equal(t, 143, <-ended)
}

// firstLine passes on the first line that is written.
type firstLine struct{ line chan string }

func (f *firstLine) Write(p []byte) (int, error) {
	select {
	case f.line <- strings.TrimSpace(string(p)):
	default:
	}
	return len(p), nil
}

func TestOnlyFittingRunsAreStoppedAndResumed(t *testing.T) {
	require.ErrorContains(t, stopRun(&run.Info{Status: run.Finished}), "finished")
	require.ErrorContains(t, stopRun(&run.Info{Status: run.Running, By: run.Holder{PID: 1, Host: "another machine"}}), "another machine")
	require.ErrorContains(t, resumeApart(&run.Info{Status: run.Running}), "running")
}
