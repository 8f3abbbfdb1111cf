//go:build unix

package objective

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program that is tested: the first argument after "worker" or "once" says how it behaves.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "worker" {
		beWorker(os.Args[2])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "once" {
		beOnce(os.Args[2], os.Args[3:])
		return
	}
	os.Exit(m.Run())
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v * v
	}
	return s
}

func beWorker(how string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var m struct {
			Type string
			ID   uint64
			X    []float64
			Seed uint64
		}
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			panic(err)
		}
		switch m.Type {
		case "hello":
			if how == "ready" {
				fmt.Println(`{"type":"ready","name":"test"}`)
			}
			continue
		case "stop":
			return
		}
		answerAs(how, m.ID, m.X, m.Seed)
	}
}

func answerAs(how string, id uint64, x []float64, seed uint64) {
	mode, arg, _ := strings.Cut(how, "=")
	switch mode {
	case "raw":
		fmt.Println(strings.ReplaceAll(arg, "ID", strconv.FormatUint(id, 10)))
	case "twice":
		fmt.Printf("{\"id\":%d,\"f\":1}\n{\"id\":%d,\"f\":2}\n", id, id)
	case "hang":
		time.Sleep(time.Hour)
	case "crash":
		fmt.Fprintln(os.Stderr, "first line\nout of luck")
		os.Exit(3)
	case "crashonce":
		if _, err := os.Stat(arg); err != nil {
			os.WriteFile(arg, nil, 0o600)
			os.Exit(1)
		}
		fmt.Printf("{\"id\":%d,\"f\":5}\n", id)
	case "child", "childhang":
		c := exec.Command("sleep", "3600")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			panic(err)
		}
		os.WriteFile(arg, []byte(strconv.Itoa(c.Process.Pid)), 0o600)
		if mode == "childhang" {
			time.Sleep(time.Hour)
		}
		fmt.Printf("{\"id\":%d,\"f\":1}\n", id)
	case "last":
		fmt.Printf("{\"id\":%d,\"f\":7}\n", id)
		os.Exit(0)
	case "seed":
		fmt.Printf("{\"id\":%d,\"f\":%d}\n", id, seed)
	case "gradient":
		fmt.Printf("{\"id\":%d,\"f\":1,\"gradient\":[-1.2345678901234567e-100%s]}\n", id, strings.Repeat(", -1.2345678901234567e-100", len(x)-1))
	case "pid":
		fmt.Printf("{\"id\":%d,\"f\":%d}\n", id, os.Getpid())
	default:
		fmt.Printf("{\"unknown\":[1,{\"a\":NaN}],\"id\":%d,\"f\":%v}\n", id, sum(x))
	}
}

func beOnce(how string, args []string) {
	switch how {
	case "args":
		fmt.Printf("narration\n%s\n\n", args[0])
	case "file":
		data, err := os.ReadFile(args[0])
		if err != nil {
			panic(err)
		}
		for _, field := range strings.Fields(string(data)) {
			fmt.Println(field)
		}
	case "stdin":
		beWorker(strings.Join(args, ""))
	case "silent":
	case "fail":
		fmt.Println("3")
		os.Exit(9)
	default:
		var id uint64
		var x []float64
		answerAs(how, id, x, 0)
	}
}

func program(t *testing.T, o Options, words ...string) *Program {
	t.Helper()
	o.Argv = append([]string{os.Args[0]}, words...)
	if o.Dim == 0 {
		o.Dim = 2
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	var err error
	if o.Env, err = Environment([]string{"GORACE=atexit_sleep_ms=0"}); err != nil { // the race detector would hold every program for a second at its end
		t.Fatal(err)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestLongAnswers: the gradient of a cost of a 250 x 250 matrix is a line of more than a megabyte.
func TestLongAnswers(t *testing.T) {
	const dim = 62500
	for _, o := range []Options{{Dim: dim}, {Dim: dim, PerEval: true}} {
		words := []string{"worker", "gradient"}
		if o.PerEval {
			words = []string{"once", "stdin", "gradient"}
		}
		v, err := program(t, o, words...).Evaluate(t.Context(), 1, make([]float64, dim))
		if err != nil || len(v.Gradient) != dim || v.Gradient[dim-1] != -1.2345678901234567e-100 {
			t.Errorf("per evaluation %v: %d numbers, %.200v", o.PerEval, len(v.Gradient), err)
		}
	}
}

func TestWorkersEvaluate(t *testing.T) {
	for _, how := range []string{"plain", "ready"} {
		p := program(t, Options{Jobs: 2, Lower: []float64{-1, math.Inf(-1)}}, "worker", how)
		var group sync.WaitGroup
		for id := uint64(1); id <= 20; id++ {
			group.Go(func() {
				x := []float64{float64(id), 0.1}
				v, err := p.Evaluate(t.Context(), id, x)
				if err != nil || v.F != sum(x) {
					t.Errorf("%s: evaluation %d: %v, %v; want %v", how, id, v.F, err, sum(x))
				}
			})
		}
		group.Wait()
	}
}

func TestWorkersPersist(t *testing.T) {
	p := program(t, Options{}, "worker", "pid")
	a, err := p.Evaluate(t.Context(), 1, []float64{0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := p.Evaluate(t.Context(), 2, []float64{0, 0}); err != nil || a.F != b.F {
		t.Errorf("processes %v and %v, %v", a.F, b.F, err)
	}
	p.Close()
	if err := syscall.Kill(int(a.F), 0); err == nil {
		t.Error("the worker lives on after Close")
	}
}

func TestSeedsDependOnRunAndEvaluation(t *testing.T) {
	seen := map[float64]bool{}
	for seed := range uint64(2) {
		p := program(t, Options{Seed: seed}, "worker", "seed")
		for id := range uint64(3) {
			v, err := p.Evaluate(t.Context(), id+1, []float64{0, 0})
			if err != nil || seen[v.F] || v.F >= 1<<53 {
				t.Errorf("seed %v, %v, seen before: %v", v.F, err, seen[v.F])
			}
			seen[v.F] = true
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		raw  string
		kind Kind // "" means a value
		want float64
		part string
	}{
		{`{"id":ID,"f":3.25}`, "", 3.25, ""},
		{`{"id":ID,"f":Infinity,"info":{"text":"NaN \" Infinity"}}`, "", math.Inf(1), ""},
		{`{"id":ID,"f":"Infinity"}`, "", math.Inf(1), ""},
		{`{"id":ID,"f":1e999}`, "", math.Inf(1), ""},
		{`{"id":ID,"f":NaN}`, NoValue, 0, "NaN"},
		{`{"id":ID,"f":"NaN"}`, NoValue, 0, "NaN"},
		{`{"id":ID,"f":null}`, NoValue, 0, "NaN"},
		{`{"id":ID,"f":1,"status":"failed","error":"no licence"}`, NoValue, 0, "no licence"},
		{`{"id":ID,"f":-Infinity}`, Protocol, 0, "-Infinity"},
		{`{"id":ID,"f":[1,2]}`, Protocol, 0, "f is a list, want one number"},
		{`{"id":ID,"f":"abc"}`, Protocol, 0, `the string "abc"`},
		{`{"id":ID}`, Protocol, 0, "no f"},
		{`{"id":ID,"f":1,"g":[1]}`, Protocol, 0, "1 constraint values, want 0"},
		{`{"f":1}`, Protocol, 0, "no id"},
		{`{"id":99,"f":1}`, Protocol, 0, `not asked for: "{\"id\":99,\"f\":1}"`},
		{`hello there`, Protocol, 0, `"hello there"`},
		{`{"id":ID,"f":1}{"id":ID,"f":2}`, Protocol, 0, "can't be read"},
	} {
		p := program(t, Options{}, "worker", "raw="+c.raw)
		v, err := p.Evaluate(t.Context(), 1, []float64{0, 0})
		var failed *Error
		switch {
		case c.kind == "" && (err != nil || v.F != c.want):
			t.Errorf("%s: %v, %v; want %v", c.raw, v, err, c.want)
		case c.kind != "" && (!errors.As(err, &failed) || failed.Kind != c.kind || !strings.Contains(err.Error(), c.part)):
			t.Errorf("%s: %v, %v; want %q with %q", c.raw, v, err, c.kind, c.part)
		}
	}
}

func TestConstraints(t *testing.T) {
	p := program(t, Options{Constraints: 2}, "worker", `raw={"id":ID,"f":1,"g":[-1,"Infinity"]}`)
	v, err := p.Evaluate(t.Context(), 1, []float64{0, 0})
	if err != nil || len(v.G) != 2 || v.G[0] != -1 || !math.IsInf(v.G[1], 1) {
		t.Errorf("%v, %v", v, err)
	}
}

func TestSecondAnswerIsRefused(t *testing.T) {
	p := program(t, Options{}, "worker", "twice")
	if _, err := p.Evaluate(t.Context(), 1, []float64{0, 0}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Evaluate(t.Context(), 2, []float64{0, 0})
	var failed *Error
	if !errors.As(err, &failed) || !failed.Fatal() || !strings.Contains(err.Error(), `a second answer to the same evaluation: "{\"id\":1,\"f\":2}"`) {
		t.Errorf("%v", err)
	}
}

func TestCrashIsDescribed(t *testing.T) {
	p := program(t, Options{Retries: 1}, "worker", "crash")
	_, err := p.Evaluate(t.Context(), 4, []float64{0.5, 2})
	var failed *Error
	if !errors.As(err, &failed) || failed.Kind != Crash || failed.Fatal() {
		t.Fatalf("%v", err)
	}
	for _, part := range []string{"evaluation 4 (exit status 3 before an answer)", "stderr: out of luck", `run it by hand:  echo '{"type":"eval","id":4,"x":[0.5,2]`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in %q", part, err)
		}
	}
}

func TestRetriesAfterCrash(t *testing.T) {
	for retries, wantErr := range []bool{true, false} {
		p := program(t, Options{Retries: retries}, "worker", "crashonce="+filepath.Join(t.TempDir(), "mark"))
		v, err := p.Evaluate(t.Context(), 1, []float64{0, 0})
		if (err != nil) != wantErr || err == nil && v.F != 5 {
			t.Errorf("%d retries: %v, %v", retries, v, err)
		}
	}
}

func TestAnswerOfAProcessThatEndsCounts(t *testing.T) {
	p := program(t, Options{Retries: 1}, "worker", "last")
	for id := range uint64(3) {
		if v, err := p.Evaluate(t.Context(), id+1, []float64{0, 0}); err != nil || v.F != 7 {
			t.Errorf("%v, %v", v, err)
		}
	}
}

func TestTimeoutAndCancellation(t *testing.T) {
	for _, words := range [][]string{{"worker", "hang"}, {"once", "hang"}} {
		p := program(t, Options{PerEval: words[0] == "once", Timeout: 100 * time.Millisecond}, words...)
		_, err := p.Evaluate(t.Context(), 1, []float64{0, 0})
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != Timeout {
			t.Errorf("%v: %v", words, err)
		}
		p = program(t, Options{PerEval: words[0] == "once"}, words...)
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
		defer cancel()
		if _, err := p.Evaluate(ctx, 1, []float64{0, 0}); err != cause {
			t.Errorf("%v: %v", words, err)
		}
	}
}

// TestNothingOutlivesTheProgram: grandchildren end with the program, after a timeout, after Close, and after a one-shot evaluation.
func TestNothingOutlivesTheProgram(t *testing.T) {
	for _, words := range [][]string{{"worker", "childhang="}, {"worker", "child="}, {"once", "childhang="}, {"once", "child="}} {
		hangs := words[1] == "childhang="
		limit := time.Minute
		if hangs {
			limit = 250 * time.Millisecond
		}
		var text []byte
		for ; len(text) == 0 && limit <= time.Minute; limit *= 2 { // until the grandchild has had the time to begin
			file := filepath.Join(t.TempDir(), "pid")
			p := program(t, Options{PerEval: words[0] == "once", Timeout: limit}, words[0], words[1]+file)
			_, err := p.Evaluate(t.Context(), 1, []float64{0, 0})
			if (err != nil) != hangs && words[0] == "worker" {
				t.Errorf("%v: %v", words, err)
			}
			p.Close()
			text, _ = os.ReadFile(file)
		}
		pid, err := strconv.Atoi(string(text))
		if err != nil {
			t.Fatalf("%v: the grandchild has not begun: %v", words, err)
		}
		if !gone(pid) {
			t.Errorf("%v: process %d lives on", words, pid)
		}
	}
}

// gone waits for a process to end; one that waits to be collected by its parent has ended.
func gone(pid int) bool {
	for range 1500 { // half a minute
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func TestOneShot(t *testing.T) {
	x := []float64{0.5, -2}
	for _, c := range []struct {
		want  float64
		part  string
		words []string
	}{
		{-2, "", []string{"args", "{x1}"}},
		{0.5, "", []string{"args", "{x0}"}},
		{12, "", []string{"args", "{id}"}},
		{0, `"0.5,-2"`, []string{"args", "{x}"}},
		{-2, "", []string{"file", "{file}"}},
		{4.25, "", []string{"stdin"}},
		{0, "printed nothing", []string{"silent"}},
		{0, "exit status 9", []string{"fail"}},
		{0, "not asked for", []string{`raw={"id":77,"f":1}`}},
		{1, "", []string{`raw={"f":1}`}},
	} {
		p := program(t, Options{PerEval: true}, append([]string{"once"}, c.words...)...)
		v, err := p.Evaluate(t.Context(), 12, x)
		if c.part == "" && (err != nil || v.F != c.want) || c.part != "" && (err == nil || !strings.Contains(err.Error(), c.part)) {
			t.Errorf("%q: %v, %v; want %v %q", c.words, v, err, c.want, c.part)
		}
	}
}

func TestCommandThatDoesNotExist(t *testing.T) {
	_, err := New(Options{Argv: []string{"no-such-program-here"}, Dim: 1})
	var missing *NotFoundError
	if !errors.As(err, &missing) || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []Options{
		{Dim: 1}, {Argv: []string{"true"}}, {Argv: []string{"true"}, Dim: 1, Jobs: -1}, {Argv: []string{"true"}, Dim: 1, Lower: []float64{1, 2}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"python3 obj.py":          {"python3", "obj.py"},
		`  a "b c"  'd "e' f\ g `: {"a", "b c", `d "e`, "f g"},
		`a "" "x\"y\n" $HOME *`:   {"a", "", `x"y\n`, "$HOME", "*"},
		`a"b"'c'`:                 {"abc"},
	} {
		got, err := Split(line)
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
		again, err := Split(quote(got))
		if err != nil || strings.Join(again, "|") != strings.Join(want, "|") {
			t.Errorf("%s: quoted and split again: %q, %v", line, again, err)
		}
	}
	for _, line := range []string{"", "  ", `a "b`, `a 'b`, `a\`, `"" b`} {
		if got, err := Split(line); err == nil {
			t.Errorf("%q is accepted: %q", line, got)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"id":1,"f":NaN}`, `{"id":1,"f":-Infinity,"g":[null]}`, `{"a":"NaN\"`, `"`, `{"f":[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := parseAnswer(line)
		if err == nil && !json.Valid(quoteTokens(line)) {
			t.Errorf("%q gives %+v", line, a)
		}
		if json.Valid(line) && string(quoteTokens(line)) != string(line) {
			t.Errorf("valid JSON changed: %q", line)
		}
	})
}
