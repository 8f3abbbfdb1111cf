package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/run"
)

func TestRunsListShowCompareExport(t *testing.T) {
	root := t.TempDir()
	one, two := filepath.Join(root, "one"), filepath.Join(root, "two")
	succeed(t, "minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--max-evals", "60", "--out", one)
	succeed(t, "minimize", "--fn", "f1", "--dim", "3", "--seed", "2", "--max-evals", "90", "--out", two)
	require.NoError(t, os.Mkdir(filepath.Join(root, "no-run"), 0o777))

	list := fields(t, succeed(t, "runs", "list", "--runs", root, "--json"))["runs"].([]any)
	require.Len(t, list, 2)
	first := list[0].(map[string]any)
	require.Equal(t, []any{one, "minimize", "finished", 1.0}, []any{first["run"], first["verb"], first["status"], first["seed"]})
	require.Regexp(t, `(?s)^one .*finished  max-evaluations.*\ntwo `, succeed(t, "runs", "list", "--runs", root).stdout)
	require.Contains(t, invoke("runs", "list", "--runs", filepath.Join(root, "none")).stderr, "there are no runs")

	show := fields(t, succeed(t, "runs", "show", "two", "--runs", root, "--json"), "settings", "host", "version", "argv", "problem", "result")
	require.Equal(t, 90.0, show["evaluations"])
	require.Equal(t, show["result"].(map[string]any)["best_f"], show["best_f"])
	byID := fields(t, succeed(t, "runs", "show", two, "--json"))
	require.Equal(t, show, byID)
	require.Contains(t, succeed(t, "runs", "show", one).stdout, "60 evaluations, 0 failed")

	var c runsCompareOutput
	decode(t, succeed(t, "runs", "compare", one, two, "--json"), &c)
	names := map[string][]string{}
	for _, r := range append(c.Settings, c.Results...) {
		names[r.Name] = r.Values
	}
	require.Equal(t, []string{"2", "3"}, names["--dim"])
	require.Equal(t, []string{"60", "90"}, names["evaluations"])
	require.NotContains(t, names, "--fn")
	require.Contains(t, succeed(t, "runs", "compare", one, two).stdout, "--seed")

	table := filepath.Join(t.TempDir(), "e.csv")
	succeed(t, "runs", "export", two, "--out", table)
	f, err := os.Open(table)
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"id", "f", "status", "seconds", "x0", "x1", "x2"}, rows[0])
	require.Len(t, rows, 91)
	lines := strings.Split(strings.TrimSpace(succeed(t, "runs", "export", two, "--jsonl").stdout), "\n")
	require.Len(t, lines, 90)
	var e evaluation
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &e))
	require.Equal(t, uint64(1), e.ID)
	require.Len(t, e.X, 3)
	require.Equal(t, exitUsage, invoke("runs", "export", two, "--out", "x.xlsx").code)
	var all runsExportOutput
	decode(t, succeed(t, "runs", "export", two, "--json"), &all)
	require.Equal(t, 1, all.Schema)
	require.Len(t, all.Evaluations, 90)
	require.Equal(t, e, all.Evaluations[0])

	succeed(t, "runs", "rm", "--runs", root, "one")
	require.NoDirExists(t, one)
	for _, args := range [][]string{{"runs"}, {"runs", "lst"}, {"runs", "compare", two}, {"runs", "rm"}, {"runs", "show"}, {"runs", "resume", two, "--jobs", "0"}} {
		require.Equal(t, exitUsage, invoke(args...).code, "%q", args)
	}
	for _, args := range [][]string{{"runs", "show", "one"}, {"runs", "show", "../two"}, {"runs", "rm", filepath.Join(root, "no-run")}, {"runs", "resume", two}} {
		o := invoke(append(args, "--runs", root)...)
		require.Equal(t, exitInput, o.code, "%q: %s", args, o.stderr)
	}
	require.DirExists(t, two)
}

// TestRunsOfAnyName: a directory that --out made is found by its name, whatever the letters.
func TestRunsOfAnyName(t *testing.T) {
	root := t.TempDir()
	succeed(t, "minimize", "--fn", "sphere", "--dim", "2", "--max-evals", "10", "--out", filepath.Join(root, "größe 数"))
	require.Contains(t, succeed(t, "runs", "show", "größe 数", "--runs", root).stdout, "finished")
}

// TestExportOfAFailedEvaluation: it has no value.
func TestExportOfAFailedEvaluation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	succeed(t, "minimize", "--ask-tell", "--out", dir, "--dim", "2")
	succeed(t, "ask", dir)
	require.Equal(t, exitDone, invokeWith(t.Context(), `{"id":1,"f":NaN}`, "tell", dir, "-").code)
	require.Contains(t, succeed(t, "runs", "export", dir, "--jsonl").stdout, `"f":null,"status":"failed"`)
	require.Contains(t, succeed(t, "runs", "export", dir).stdout, "\n1,,failed,")
}

// TestExportWithoutEvaluations: a run that has none is refused in every format, and nothing is written.
func TestExportWithoutEvaluations(t *testing.T) {
	root := t.TempDir()
	trained, lab, table := filepath.Join(root, "trained"), filepath.Join(root, "lab"), filepath.Join(root, "e.csv")
	succeed(t, "train", "graph", "--steps", "2", "--out", trained)
	succeed(t, "minimize", "--ask-tell", "--out", lab, "--dim", "2")
	succeed(t, "ask", lab)
	for dir, expected := range map[string]struct {
		code int
		text string
	}{
		trained: {exitUsage, "trained is a run of train: runs export writes the evaluations of runs of minimize; its curves are in spdopt report " + trained + " --html FILE"},
		lab:     {exitInput, "the run has no evaluations yet"},
	} {
		for _, format := range [][]string{nil, {"--json"}, {"--jsonl"}, {"--out", table}} {
			o := invoke(append([]string{"runs", "export", dir}, format...)...)
			require.Equal(t, expected.code, o.code, "%s %q: %s", dir, format, o.stderr)
			require.Empty(t, o.stdout)
			require.Contains(t, o.stderr, expected.text)
		}
	}
	require.NoFileExists(t, table)
}

func TestFailedEvaluationsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	m := fields(t, succeed(t, "minimize", "--cmd", program("nansometimes"), "--dim", "2", "--seed", "1", "--max-evals", "40", "--json", "--out", dir))
	show := fields(t, succeed(t, "runs", "show", dir, "--json"))
	require.Equal(t, m["failures"], show["failures"])
	require.Equal(t, 8.0, m["failures"])
	require.Contains(t, succeed(t, "runs", "export", dir).stdout, ",,failed,")
	log, err := os.ReadFile(filepath.Join(dir, "log.txt"))
	require.NoError(t, err)
	require.Equal(t, 8, strings.Count(string(log), "the value is NaN"))

	// The first evaluation must not fail: nothing came of the run, and its directory is free for the next attempt.
	broken := filepath.Join(t.TempDir(), "run")
	o := invoke("minimize", "--cmd", program("crash"), "--dim", "2", "--seed", "1", "--max-evals", "40", "--out", broken)
	require.Equal(t, exitObjective, o.code)
	require.NotContains(t, o.stderr, "runs resume")
	require.NoDirExists(t, broken)

	// A later failure that ends the run leaves what was told, to go on from.
	o = invoke("minimize", "--cmd", program("rubbishlater"), "--dim", "2", "--seed", "1", "--max-evals", "40", "--out", broken)
	require.Equal(t, exitObjective, o.code)
	require.Contains(t, o.stderr, "go on with: spdopt runs resume "+broken)
	require.Len(t, told(t, broken), 10)

	// A state that this program cannot read ends a resume, and no advice to resume again follows.
	r, err := run.Open(broken, run.Options{})
	require.NoError(t, err)
	require.NoError(t, r.Checkpoint(run.State{Kind: searchKind, Next: 10, Data: []byte("of another program")}))
	require.NoError(t, r.Close())
	o = invoke("runs", "resume", broken, "--force")
	require.Equal(t, exitInput, o.code)
	require.Contains(t, o.stderr, "state")
	require.NotContains(t, o.stderr, "go on with")
}

func TestSolveAndBenchKeepRuns(t *testing.T) {
	data := write(t, "c.npy", gallery.KarcherScatter(gallery.MeanSeed, 5, 4, 1e3)...)
	dir := filepath.Join(t.TempDir(), "run")
	m := fields(t, succeed(t, "solve", "mean", "--data", data, "--method", "trust", "--run", dir, "--json"), "run", "solution")
	i, err := run.Inspect(dir)
	require.NoError(t, err)
	require.Equal(t, run.Finished, i.Status)
	require.True(t, i.Result.Converged)
	iterations := 0.0
	for e, err := range run.Events(dir, "iter") {
		require.NoError(t, err)
		require.Positive(t, e.Line)
		iterations++
	}
	require.Equal(t, m["iterations"], iterations)
	content, err := os.ReadFile(data)
	require.NoError(t, err)
	stdin := invokeWith(context.Background(), string(content), "solve", "mean", "--data", "-", "--format", "npy", "--run", filepath.Join(t.TempDir(), "run"))
	require.Equal(t, exitUsage, stdin.code)
	require.Contains(t, stdin.stderr, "standard input")

	dir = filepath.Join(t.TempDir(), "run")
	succeed(t, "bench", "es", "--dims", "2", "--functions", "f1,f8", "--instances", "1,2", "--budget", "100", "--run", dir)
	trials := 0
	for _, err := range run.Events(dir, "trial") {
		require.NoError(t, err)
		trials++
	}
	require.Equal(t, 4, trials)
	i, err = run.Inspect(dir)
	require.NoError(t, err)
	require.Equal(t, run.Finished, i.Status)
}
