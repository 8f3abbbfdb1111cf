package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked is what "ask --json" prints.
type asked struct {
	Candidates []struct {
		ID int
		X  []float64
	}
	Pending int
	Stop    []string
}

func ask(t *testing.T, dir string, args ...string) (a asked) {
	t.Helper()
	decode(t, succeed(t, append([]string{"ask", dir, "--json"}, args...)...), &a)
	return a
}

// answers evaluates what was asked by the sphere around 1.
func answers(a asked) (lines []string) {
	for _, c := range a.Candidates {
		f := 0.0
		for _, v := range c.X {
			f += (v - 1) * (v - 1)
		}
		lines = append(lines, fmt.Sprintf(`{"id":%d,"f":%v}`, c.ID, f))
	}
	return lines
}

func tell(dir string, lines ...string) outcome {
	return invokeWith(context.Background(), strings.Join(lines, "\n"), "tell", dir, "-", "--json")
}

// newDialogue makes a run for ask and tell.
func newDialogue(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	succeed(t, append([]string{"minimize", "--ask-tell", "--out", dir, "--x0", "3,-2,0.5", "--seed", "1"}, args...)...)
	return dir
}

// TestAskTellIsMinimize drives a search from outside, in odd portions and out of order within a generation, with a new process for every step: it goes the way of the search
// that is told whole generations.
func TestAskTellIsMinimize(t *testing.T) {
	odd, whole := newDialogue(t, "--max-evals", "140"), newDialogue(t, "--max-evals", "140")
	for {
		a := ask(t, whole)
		if len(a.Stop) > 0 {
			break
		}
		require.Equal(t, exitDone, tell(whole, answers(a)...).code)
	}
	n := 0
	for {
		var lines []string
		for {
			n++
			a := ask(t, odd, "-n", fmt.Sprint(1+n%4))
			if len(a.Candidates) == 0 {
				break
			}
			lines = append(lines, answers(a)...)
		}
		if len(lines) == 0 {
			break
		}
		slices.Reverse(lines)
		cut := n % len(lines)
		require.Equal(t, exitDone, tell(odd, lines[:cut]...).code)
		require.Equal(t, exitDone, tell(odd, lines[cut:]...).code)
	}
	for _, dir := range []string{odd, whole} {
		require.Equal(t, exitInput, invoke("runs", "resume", dir).code)
	}
	result := func(dir string) map[string]any {
		m := fields(t, succeed(t, "runs", "show", dir, "--json"), "result")
		require.Equal(t, "finished", m["status"])
		return m["result"].(map[string]any)
	}
	a, b := result(odd), result(whole)
	require.Equal(t, 140.0, a["evaluations"])
	require.Equal(t, b["best_f"], a["best_f"])
	require.Equal(t, b["best_x"], a["best_x"])
	require.Equal(t, b["generations"], a["generations"])
}

// TestKilledAskAndTell kills the processes of a dialogue at random instants and repeats what they were to do: the search ends as one that nobody disturbed.
func TestKilledAskAndTell(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	whole, killed := newDialogue(t, "--max-evals", "70"), newDialogue(t, "--max-evals", "70")
	for a := ask(t, whole); len(a.Candidates) > 0; a = ask(t, whole) {
		require.Equal(t, exitDone, tell(whole, answers(a)...).code)
	}
	file := filepath.Join(t.TempDir(), "results.jsonl")
	for {
		kill(t, process("", "ask", killed), time.Duration(random.Float64()*float64(40*time.Millisecond)))
		ask(t, killed)
		a := ask(t, killed, "--again") // a generation, whoever got it
		if len(a.Candidates) == 0 {
			break
		}
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(answers(a), "\n")), 0o666))
		kill(t, process("", "tell", killed, file), time.Duration(random.Float64()*float64(40*time.Millisecond)))
		succeed(t, "tell", killed, file)
	}
	results := make([]any, 2)
	for i, dir := range []string{whole, killed} {
		results[i] = fields(t, succeed(t, "runs", "show", dir, "--json"), "result")["result"]
		require.Len(t, told(t, dir), 70, "seed %d", seed)
	}
	require.Equal(t, results[0], results[1], "seed %d", seed)
}

func TestTellIsIdempotentAndAllOrNothing(t *testing.T) {
	dir := newDialogue(t)
	a := ask(t, dir, "-n", "3")
	require.Len(t, a.Candidates, 3)
	require.Equal(t, 1, a.Candidates[0].ID)
	lines := answers(a)
	for text, want := range map[string]string{
		`{"id":4,"f":1}`:                    "line 2: evaluation 4 was never handed out",
		`{"id":0,"f":1}`:                    "line 2: ids count from 1",
		`{"f":1}`:                           "line 2: it has no id",
		`{"id":2}`:                          "line 2: it has no f",
		`{"id":2,"f":-Infinity}`:            "line 2: the value is -Infinity",
		`{"id":2,"f":1,"g":[1]}`:            "line 2: 1 constraint values, want 0",
		`{"id":2,"f":"one"}`:                "line 2: it can't be read",
		`not JSON`:                          "line 2: it can't be read",
		`{"id":18446744073709551615,"f":1}`: "line 2: evaluation 18446744073709551615 was never handed out",
	} {
		o := tell(dir, lines[0], text)
		require.Equal(t, exitInput, o.code, text)
		require.Contains(t, o.stderr, want)
		require.Contains(t, o.stderr, "nothing of the file was taken")
	}
	m := fields(t, tell(dir, lines[0], "", lines[0]))
	require.Equal(t, []any{1.0, 1.0, 2.0, 1.0}, []any{m["accepted"], m["ignored"], m["pending"], m["evaluations"]})
	m = fields(t, tell(dir, lines...))
	require.Equal(t, []any{2.0, 1.0, 0.0, 3.0}, []any{m["accepted"], m["ignored"], m["pending"], m["evaluations"]})

	// Points that are out are repeated with their ids on request only.
	more := ask(t, dir, "-n", "2")
	require.Equal(t, []int{4, 5}, []int{more.Candidates[0].ID, more.Candidates[1].ID})
	again := ask(t, dir, "--again")
	require.Equal(t, more.Candidates, again.Candidates)

	// The generation closes when what is missing is dropped; a late result changes nothing.
	rest := ask(t, dir)
	require.NotEmpty(t, rest.Candidates)
	require.Empty(t, ask(t, dir).Candidates)
	waiting := invoke("ask", dir)
	require.Contains(t, waiting.stderr, "no points: 4 are out")
	require.Equal(t, exitDone, tell(dir, answers(rest)...).code)
	m = fields(t, succeed(t, "tell", dir, "--drop-missing", "--json"))
	require.Equal(t, []any{2.0, 0.0, 1.0}, []any{m["dropped"], m["pending"], m["generations"]})
	m = fields(t, tell(dir, answers(more)...))
	require.Equal(t, []any{0.0, 2.0}, []any{m["accepted"], m["ignored"]})
	require.Equal(t, 8, ask(t, dir, "-n", "1").Candidates[0].ID)
	require.Equal(t, 7, strings.Count(succeed(t, "runs", "export", dir).stdout, "\n")-1)
}

// TestAskTellSaysWhatIsNext: a run between two calls is no interrupted one, and each answer says how to go on.
func TestAskTellSaysWhatIsNext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	succeed(t, "minimize", "--ask-tell", "--out", dir, "--dim", "2", "--seed", "1")
	require.Contains(t, succeed(t, "runs", "show", dir).stdout, "driven from outside; go on with: spdopt ask "+dir)
	succeed(t, "ask", dir)
	tell := func(text string) outcome { return invokeWith(t.Context(), text, "tell", dir, "-") }
	require.Contains(t, tell("\xef\xbb\xbf"+`{"id":1,"f":3}`+"\r\n").stdout, "the search goes on when they are told")
	rest := ""
	for id := 2; id <= 6; id++ {
		rest += fmt.Sprintf(`{"id":%d,"f":%d}`+"\n", id, id)
	}
	require.Contains(t, tell(rest).stdout, "the next points are ready (spdopt ask)")
	for text, want := range map[string]string{
		`{"id":1.5,"f":1}`:        "standard input: line 1: it can't be read: want a whole number from 0 on as id, not number 1.5",
		`[{"id":1,"f":1}]`:        "want an object, not array",
		`{"id":1,"f":1,"g":"no"}`: "g cannot be string",
	} {
		o := tell(text)
		require.Equal(t, exitInput, o.code)
		require.Contains(t, o.stderr, want)
	}
}

func TestAskTellUsage(t *testing.T) {
	dir := newDialogue(t)
	kept := filepath.Join(t.TempDir(), "kept")
	succeed(t, "minimize", "--fn", "f1", "--dim", "2", "--max-evals", "50", "--out", kept)
	for _, c := range []struct {
		code int
		part string
		args []string
	}{
		{exitUsage, "--fn has no meaning", []string{"minimize", "--ask-tell", "--fn", "f1", "--dim", "2"}},
		{exitUsage, "--on-fail resample", []string{"minimize", "--ask-tell", "--on-fail", "resample", "--dim", "2"}},
		{exitUsage, "--ask-tell keeps everything", []string{"minimize", "--ask-tell", "--out", "none", "--dim", "2"}},
		{exitUsage, "one run", []string{"ask"}},
		{exitUsage, "-n must not", []string{"ask", dir, "-n", "-1"}},
		{exitUsage, "a run and a file", []string{"tell", dir}},
		{exitInput, "no run", []string{"ask", t.TempDir()}},
		{exitInput, "not driven by ask and tell", []string{"ask", kept}},
		{exitInput, "no such file", []string{"tell", dir, filepath.Join(dir, "none.jsonl")}},
	} {
		o := invoke(c.args...)
		require.Equal(t, c.code, o.code, "%q: %s", c.args, o.stderr)
		require.Contains(t, o.stderr, c.part)
	}
	bounds := newDialogue(t, "--lower", "-1,-3,0", "--upper", "4,4,1", "--integers", "2")
	for _, c := range ask(t, bounds).Candidates {
		require.True(t, c.X[2] == 0 || c.X[2] == 1)
	}
	text := strings.Fields(succeed(t, "ask", dir, "-n", "1").stdout)
	require.Len(t, text, 4)
	require.Equal(t, "1", text[0])
	_, err := os.Stat(filepath.Join(dir, "result.json"))
	require.True(t, os.IsNotExist(err))
}
