package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/run"
)

// killCases are commands whose runs are killed; flag names the directory.
func killCases(t *testing.T) map[string]struct {
	flag string
	args []string
} {
	data := write(t, "c.npy", gallery.KarcherScatter(gallery.MeanSeed, 24, 6, 1e5)...)
	return map[string]struct {
		flag string
		args []string
	}{
		"minimize":         {"out", []string{"minimize", "--fn", "f15", "--dim", "8", "--seed", "4", "--max-evals", "2000", "--checkpoint-every", "3ms"}},
		"minimize-program": {"out", []string{"minimize", "--cmd", program("counted"), "--env", "SPDOPT_TEST_COUNTED", "--dim", "4", "--seed", "5", "--max-evals", "400", "--jobs", "2", "--checkpoint-every", "5ms"}},
		"minimize-one":     {"out", []string{"minimize", "--cmd", program("counted"), "--env", "SPDOPT_TEST_COUNTED", "--dim", "4", "--seed", "5", "--max-evals", "150", "--in-flight", "1", "--checkpoint-every", "5ms"}},
		"solve":            {"run", []string{"solve", "mean", "--data", data, "--method", "cg", "--tol", "1e-13", "--checkpoint-every", "1ms"}},
		"solve-own-method": {"run", []string{"solve", "mean", "--data", data, "--tol", "1e-13"}},
		"train":            {"out", []string{"train", "graph", "--steps", "60", "--eval-every", "3"}},
		"bench":            {"run", []string{"bench", "es", "--dims", "2,3", "--functions", "f1,f8,f15,f21", "--instances", "1,2,3", "--budget", "400", "--jobs", "2"}},
	}
}

// process prepares the command line as a process of its own. counted is the file that the program "counted" writes what it evaluated to.
func process(counted string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{"spdopt"}, args...)...)
	cmd.Env = append(os.Environ(), "SPDOPT_TEST_COUNTED="+counted)
	return cmd
}

// output runs a process to its end and returns the JSON object that it prints, without times and places.
func output(t *testing.T, cmd *exec.Cmd) any {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "%q: %s", cmd.Args, errs.String())
	var v any
	require.NoError(t, json.Unmarshal(out, &v), "%s", out)
	return timelessly(v)
}

// timelessly leaves out what differs between two runs with the same result.
func timelessly(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"seconds", "run", "out"} {
			delete(v, name)
		}
		for name, e := range v {
			v[name] = timelessly(e)
		}
	case []any:
		for i, e := range v {
			v[i] = timelessly(e)
		}
	}
	return v
}

// told returns the evaluations whose outcome is in the journal of a run, and demands that none is there twice.
func told(t *testing.T, dir string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	if _, err := os.Stat(filepath.Join(dir, "events.jsonl")); err != nil {
		return ids
	}
	for e, err := range run.Events(dir, "tell") {
		require.NoError(t, err)
		id := strconv.FormatUint(e.ID, 10)
		require.False(t, ids[id], "evaluation %s was told twice", id)
		ids[id] = true
	}
	return ids
}

// TestKilledRunsResumeBitForBit kills every kind of run at random instants, up to three times, and lets it go on: the result is that of the run that was not killed, and
// no evaluation whose outcome had come is made again. SPDOPT_TEST_KILLS sets the number of runs of each kind.
func TestKilledRunsResumeBitForBit(t *testing.T) {
	runs := kills(t)
	for name, c := range killCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			args := append(append([]string{}, c.args...), "--json", "--"+c.flag)
			began := time.Now()
			want := output(t, process("", append(args, filepath.Join(t.TempDir(), "whole"))...))
			took := time.Since(began)
			resumed := 0
			for i := range runs {
				dir := filepath.Join(t.TempDir(), "killed")
				counted := filepath.Join(t.TempDir(), "counted")
				command := append(args, dir)
				for range 1 + random.IntN(3) {
					kill(t, process(counted, command...), time.Duration(random.Float64()*1.1*float64(took)))
					command = goOn(args, dir)
				}
				if command[0] == "runs" {
					resumed++
				}
				before := told(t, dir)
				evaluated, _ := os.ReadFile(counted)
				got := finished(t, counted, command, dir)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("seed %d, run %d: the resumed run ends with\n%v\nwhat was not interrupted with\n%v", seed, i, got, want)
				}
				told(t, dir)
				after, _ := os.ReadFile(counted)
				require.Equal(t, slices.Contains(args, "--cmd"), len(after) > 0, "programs count what they evaluate")
				for _, id := range strings.Fields(string(after[len(evaluated):])) {
					require.False(t, before[id], "seed %d, run %d: evaluation %s was made again", seed, i, id)
				}
			}
			t.Logf("%d runs killed, %d of them resumed at the end, %v each", runs, resumed, took)
		})
	}
}

// kills is the number of runs of each kind that are killed.
func kills(t *testing.T) int {
	text := os.Getenv("SPDOPT_TEST_KILLS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// kill starts a process and kills it after a while.
func kill(t *testing.T, cmd *exec.Cmd, after time.Duration) {
	t.Helper()
	require.NoError(t, cmd.Start())
	time.Sleep(after)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

// goOn returns the command that goes on with a run: the same again if it died before there was one.
func goOn(args []string, dir string) []string {
	if _, err := run.ReadManifest(dir); err != nil {
		return append(args, dir)
	}
	return []string{"runs", "resume", dir, "--json"}
}

// finished goes on with a run to its end and returns its result.
func finished(t *testing.T, counted string, command []string, dir string) any {
	t.Helper()
	if i, err := run.Inspect(dir); err == nil && i.Result != nil {
		var v any
		require.NoError(t, json.Unmarshal(i.Result.Value, &v))
		return timelessly(v)
	}
	return output(t, process(counted, command...))
}

// TestSignals: a run that gets SIGINT or SIGTERM ends with 130 or 143 and says how to go on; it goes on to the same result.
func TestSignals(t *testing.T) {
	for signal, code := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		dir := filepath.Join(t.TempDir(), "run")
		command, release := held(t)
		cmd := process("", "minimize", "--cmd", command, "--dim", "3", "--seed", "1", "--max-evals", "30", "--json", "--out", dir)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		require.NoError(t, cmd.Start())
		for began := time.Now(); len(told(t, dir)) < 5; time.Sleep(5 * time.Millisecond) {
			require.Less(t, time.Since(began), 60*time.Second)
		}
		require.NoError(t, cmd.Process.Signal(signal))
		err := cmd.Wait()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, code, exit.ExitCode(), errs.String())
		require.Contains(t, errs.String(), "go on with: spdopt runs resume "+dir)
		require.Less(t, len(told(t, dir)), 30)
		release()
		got := fields(t, succeed(t, "runs", "resume", dir, "--json"))
		require.Len(t, told(t, dir), 30)
		require.Equal(t, 30.0, got["evaluations"])
	}
}

// TestInterruptedSolveAndBenchGoOn: they end with 130, and go on to the result of a run that was not interrupted.
func TestInterruptedSolveAndBenchGoOn(t *testing.T) {
	for name, c := range killCases(t) {
		if c.flag != "run" {
			continue
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(interrupted{syscall.SIGINT})
		dir := filepath.Join(t.TempDir(), "run")
		o := invokeWith(ctx, "", append(c.args, "--run", dir)...)
		require.Equal(t, 130, o.code, "%s: %s", name, o.stderr)
		require.Contains(t, o.stderr, "interrupted; go on with: spdopt runs resume "+dir)
		want, got := fields(t, succeed(t, append(c.args, "--json", "--run", filepath.Join(t.TempDir(), "whole"))...)), fields(t, succeed(t, "runs", "resume", dir, "--json"))
		require.Equal(t, timelessly(want), timelessly(got), name)
	}
}

// TestSecondSignalEndsAtOnce: an objective that ignores the end of its evaluation does not hold up the second signal.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	cmd := process("", "minimize", "--cmd", program("stubborn"), "--dim", "3", "--seed", "1", "--out", filepath.Join(t.TempDir(), "run"))
	require.NoError(t, cmd.Start())
	time.Sleep(300 * time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	time.Sleep(50 * time.Millisecond)
	_ = cmd.Process.Signal(os.Interrupt) // it may have ended already
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		require.Error(t, err)
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("the process goes on after two signals")
	}
}

// TestFullDiskOfARun limits the size of files, which is how a full disk looks to the program: one error that says what to do, and the run goes on to the same
// result when there is room.
func TestFullDiskOfARun(t *testing.T) {
	args := []string{"minimize", "--fn", "f15", "--dim", "8", "--seed", "4", "--max-evals", "3000", "--json", "--out"}
	want := output(t, process("", append(args, filepath.Join(t.TempDir(), "whole"))...))
	dir := filepath.Join(t.TempDir(), "run")
	limited := exec.Command("sh", append([]string{"-c", `ulimit -f 300; exec "$@"`, "sh", os.Args[0], "spdopt"}, append(args, dir)...)...)
	var errs bytes.Buffer
	limited.Stderr = &errs
	err := limited.Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, errs.String())
	require.Equal(t, exitFailure, exit.ExitCode(), errs.String())
	require.Contains(t, errs.String(), "cannot write events.jsonl: ")
	require.Contains(t, errs.String(), "file too large")
	require.Equal(t, 1, strings.Count(errs.String(), "cannot write"), errs.String())
	kept := len(told(t, dir))
	require.Greater(t, kept, 100)
	require.Less(t, kept, 3000)
	require.Equal(t, want, output(t, process("", "runs", "resume", dir, "--json")))
}

func TestResumeAfterChanges(t *testing.T) {
	script := writeText(t, "objective.sh", "#!/bin/sh\nwhile read -r line; do case $line in *eval*) id=${line#*id\\\":}; echo \"{\\\"id\\\":${id%%,*},\\\"f\\\":1}\";; esac; done\n")
	require.NoError(t, os.Chmod(script, 0o755))
	dir := filepath.Join(t.TempDir(), "run")
	cmd := process("", "minimize", "--cmd", script+" slow", "--dim", "2", "--seed", "1", "--max-evals", "100000", "--restarts", "ipop", "--out", dir)
	require.NoError(t, cmd.Start())
	for began := time.Now(); len(told(t, dir)) < 10; time.Sleep(5 * time.Millisecond) {
		require.Less(t, time.Since(began), 60*time.Second)
	}
	// While it runs nobody else may have it.
	busy := invoke("runs", "resume", dir)
	require.Equal(t, exitInput, busy.code)
	require.Contains(t, busy.stderr, fmt.Sprintf("in use by process %d on ", cmd.Process.Pid))
	list := invoke("runs", "list", "--runs", filepath.Dir(dir))
	require.Contains(t, list.stdout, "running")
	require.Equal(t, exitInput, invoke("runs", "rm", dir).code)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	text, err := os.ReadFile(script)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(script, append(text, "# version 2\n"...), 0o755))
	changed := invoke("runs", "resume", dir)
	require.Equal(t, exitInput, changed.code)
	require.Contains(t, changed.stderr, "--force")

	journal := filepath.Join(dir, "events.jsonl")
	whole, err := os.ReadFile(journal)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(journal, bytes.Replace(whole, []byte(`"f":1`), []byte(`"f":2`), 1), 0o666))
	edited := invoke("runs", "resume", dir)
	require.Equal(t, exitInput, edited.code)
	require.Contains(t, edited.stderr, "events.jsonl: line ")
	require.NoError(t, os.WriteFile(journal, whole, 0o666))
	require.Equal(t, exitInput, invoke("runs", "resume", filepath.Join(dir, "none")).code)
	require.Equal(t, exitInput, invoke("runs", "show", "../../etc").code)
	require.Equal(t, exitDone, invoke("runs", "rm", dir).code)
	require.NoDirExists(t, dir)
}
