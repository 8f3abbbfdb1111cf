package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program itself ("serve --stdio"), and the objective of "minimize --cmd": the sphere around 1, or what the second argument says.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		main()
	}
	if len(os.Args) > 2 && os.Args[1] == "objective" {
		beObjective(os.Args[2])
		return
	}
	code := m.Run()
	os.RemoveAll(testRuns)
	os.Exit(code)
}

func beObjective(how string) {
	how, gate, _ := strings.Cut(how, "=")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var m struct {
			Type string
			ID   int
			X    []float64
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.Type == "stop" {
			return
		}
		if m.Type != "eval" {
			continue
		}
		f := 0.0
		for _, v := range m.X {
			f += (v - 1) * (v - 1)
		}
		switch {
		case how == "nan" || how == "nanlater" && m.ID > 10 || how == "nansometimes" && m.ID%5 == 0:
			fmt.Printf("{\"id\":%d,\"f\":NaN}\n", m.ID)
		case how == "rubbish" || how == "rubbishlater" && m.ID > 10:
			fmt.Println("Loading model...")
		case how == "minusinf":
			fmt.Printf("{\"id\":%d,\"f\":-Infinity}\n", m.ID)
		case how == "list":
			fmt.Printf("{\"id\":%d,\"f\":[1,2]}\n", m.ID)
		case how == "hang":
			time.Sleep(time.Hour)
		case how == "stubborn":
			signal.Ignore(syscall.SIGTERM, os.Interrupt)
			time.Sleep(time.Hour)
		case how == "counted":
			count(m.ID)
			fmt.Printf("{\"id\":%d,\"f\":%v}\n", m.ID, f)
		case how == "environment":
			fmt.Printf("{\"id\":%d,\"f\":1,\"status\":\"failed\",\"error\":\"%d %s\"}\n", m.ID, len(os.Environ()), os.Getenv("SPDOPT_TEST_GIVEN")+os.Getenv("SPDOPT_TOKEN"))
		case how == "slow", how == "held":
			time.Sleep(20 * time.Millisecond)
			for how == "held" && m.ID > heldFrom && !exists(gate) {
				time.Sleep(time.Millisecond)
			}
			fmt.Printf("{\"id\":%d,\"f\":%v}\n", m.ID, f)
		case how == "simulated" && m.ID%40 == 7:
			fmt.Printf("{\"id\":%d,\"status\":\"failed\",\"error\":\"the mesh has no cells\"}\n", m.ID)
		case how == "simulated":
			time.Sleep(10 * time.Millisecond)
			fmt.Printf("{\"id\":%d,\"f\":%v}\n", m.ID, f)
		case how == "crash":
			fmt.Fprintln(os.Stderr, "no module named numpy")
			os.Exit(1)
		case strings.HasSuffix(how, "gradient"):
			fmt.Println(gradientAnswer(how, m.ID, f, m.X))
		case how == "constrained":
			fmt.Printf("{\"id\":%d,\"f\":%v,\"g\":[%v]}\n", m.ID, f, m.X[0]-0.5)
		default:
			fmt.Printf("{\"id\":%d,\"f\":%v}\n", m.ID, f)
		}
	}
}

// count adds an evaluation to the file of those that were made.
func count(id int) {
	f, err := os.OpenFile(os.Getenv("SPDOPT_TEST_COUNTED"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err == nil {
		fmt.Fprintln(f, id)
		f.Close()
	}
}

func program(how string) string { return "'" + os.Args[0] + "' objective " + how }

// heldFrom is the last evaluation that the program of held answers at once.
const heldFrom = 10

// held returns a slow program that answers the evaluations after heldFrom once release has been called, so that a run of more of them is under way until then.
func held(t *testing.T) (command string, release func()) {
	gate := filepath.Join(t.TempDir(), "gate")
	return program("held=" + gate), func() { // no word of its own, which would be a file that belongs to the objective
		if err := os.WriteFile(gate, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestMinimizeBuiltIn(t *testing.T) {
	args := []string{"minimize", "--fn", "f10", "--dim", "4", "--seed", "3", "--json"}
	m := fields(t, succeed(t, args...), "best_f", "best_x", "evaluations", "generations", "restarts", "stop", "seconds", "seed", "f_opt")
	if d := m["best_f"].(float64) - m["f_opt"].(float64); d > 1e-9 || d < 0 || len(m["best_x"].([]any)) != 4 || m["seed"] != 3.0 {
		t.Errorf("%v above the optimum: %v", d, m)
	}
	if reasons := m["stop"].([]any); len(reasons) == 0 || !strings.HasPrefix(reasons[0].(string), "tol-") {
		t.Errorf("stop %v", reasons)
	}
	if one := succeed(t, "minimize", "--fn", "sphere", "--dim", "1", "--seed", "1", "--max-evals", "50").stdout; !strings.Contains(one, "sphere, 1 variable\n") {
		t.Errorf("one variable: %q", one)
	}
}

// TestMinimizeDoesNotDependOnJobs: the same seed gives the same bits for any number of evaluations at once, built-in or in workers.
func TestMinimizeDoesNotDependOnJobs(t *testing.T) {
	for _, what := range [][]string{{"--fn", "rastrigin"}, {"--cmd", program("sphere")}, {"--cmd", program("nansometimes"), "--on-fail", "resample"}} {
		var first map[string]any
		for _, jobs := range []string{"1", "3"} {
			args := append([]string{"minimize", "--dim", "3", "--seed", "5", "--max-evals", "400", "--json", "--jobs", jobs}, what...)
			m := fields(t, succeed(t, args...))
			delete(m, "seconds")
			delete(m, "run")
			if first == nil {
				first = m
			} else if !reflect.DeepEqual(m, first) {
				t.Errorf("%q with --jobs %s: %v, with 1: %v", what, jobs, m, first)
			}
		}
	}
}

func TestMinimizeProgram(t *testing.T) {
	m := fields(t, succeed(t, "minimize", "--cmd", program("sphere"), "--x0", "3,-2", "--seed", "1", "--target", "1e-8", "--json"))
	if m["target_met"] != true || m["best_f"].(float64) > 1e-8 || m["stop"].([]any)[0] != "target" {
		t.Errorf("%v", m)
	}
	m = fields(t, succeed(t, "minimize", "--cmd", program("sphere"), "--dim", "3", "--lower", "-5", "--upper", "0.25,5,5", "--integers", "1", "--seed", "1",
		"--max-evals", "1000", "--json"))
	if x := m["best_x"].([]any); x[0].(float64) > 0.25 || x[0].(float64) < 0.249 || x[1] != 1.0 {
		t.Errorf("bounds or integers are not kept: %v", x)
	}
	m = fields(t, succeed(t, "minimize", "--cmd", program("constrained"), "--constraints", "1", "--x0", "0,0", "--seed", "1", "--max-evals", "1500", "--json"), "best_g")
	if f := m["best_f"].(float64); f < 0.25-1e-6 || f > 0.26 || m["violation"] != 0.0 {
		t.Errorf("the constrained minimum is 0.25: %v", m)
	}
	o := succeed(t, "minimize", "--cmd", "expr {x0} : '.*'", "--per-eval", "--x0", "3", "--max-evals", "12", "--seed", "1")
	if !strings.Contains(o.stdout, "12 (0 failed)") || !strings.Contains(o.stdout, "seed") {
		t.Errorf("%s", o.stdout)
	}
}

// TestMinimizeExpressionsAndModules: neither depends on the number of evaluations at once.
func TestMinimizeExpressionsAndModules(t *testing.T) {
	module := filepath.Join(t.TempDir(), "sphere.wasm")
	if err := os.WriteFile(module, sphereModule, 0o600); err != nil {
		t.Fatal(err)
	}
	var best []float64
	for _, args := range [][]string{{"--expr", "sum(x, # * #)"}, {"--wasm", module}, {"--wasm", module, "--jobs", "3", "--timeout", "5s"}} {
		m := fields(t, succeed(t, append([]string{"minimize", "--x0", "3,-2,1", "--seed", "1", "--max-evals", "600", "--json"}, args...)...))
		best = append(best, m["best_f"].(float64))
	}
	if best[0] > 1e-9 || best[1] != best[0] || best[2] != best[0] {
		t.Errorf("%v", best)
	}
	m := fields(t, succeed(t, "minimize", "--expr", "[norm(x), 1 - x[0]]", "--constraints", "1", "--x0", "3,2", "--seed", "1", "--max-evals", "1500", "--json"))
	if f := m["best_f"].(float64); f < 1-1e-9 || f > 1.0001 {
		t.Errorf("the constrained minimum is 1: %v", m)
	}
	for _, c := range []struct {
		code int
		part string
		args []string
	}{
		{exitUsage, "unknown name z", []string{"--expr", "z"}},
		{exitUsage, "takes no timeout", []string{"--expr", "n"}},
		{exitObjective, "out of range", []string{"--expr", "x[9]"}},
		{exitInput, "none.wasm", []string{"--wasm", "none.wasm"}},
		{exitInput, "exports neither evaluate_g", []string{"--wasm", module, "--constraints", "1"}},
	} {
		args := append([]string{"minimize", "--dim", "2"}, c.args...)
		if c.part == "takes no timeout" {
			args, c.part = append(args, "--timeout", "1s"), "--timeout needs --cmd or --wasm"
		}
		if o := invoke(args...); o.code != c.code || !strings.Contains(o.stderr, c.part) {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

// sphereModule exports memory, alloc and evaluate: the sum of squares.
var sphereModule = []byte("\x00asm\x01\x00\x00\x00\x01\x0c\x02`\x01\x7f\x01\x7f`\x02\x7f\x7f\x01|\x03\x03\x02\x00\x01\x05\x03\x01\x00\x01" +
	"\x07\x1d\x03\x06memory\x02\x00\x05alloc\x00\x00\x08evaluate\x00\x01" +
	"\n\x31\x02\x05\x00A\x80\x08\x0b\x29\x01\x01|\x03@ \x02 \x00+\x03\x00 \x00+\x03\x00\xa2\xa0!\x02 \x00A\x08j!\x00 \x01A\x01k\"\x01\r\x00\x0b \x02\x0b")

func TestMinimizeFailingObjectives(t *testing.T) {
	for _, c := range []struct {
		how, part string
		printed   bool
		args      []string
	}{
		{"nan", "objective failed on evaluation 1 (the value is NaN)", false, nil},
		{"crash", "stderr: no module named numpy\n  run it by hand:  echo '{", false, nil},
		{"rubbish", `"Loading model..."`, false, nil},
		{"minusinf", "-Infinity", false, nil},
		{"list", "f is a list, want one number", false, nil},
		{"hang", "no answer within 100ms", false, []string{"--timeout", "100ms"}},
		{"rubbishlater", "objective failed on evaluation 11", true, nil},
		{"nanlater", "too many evaluations failed", true, nil},
		{"nansometimes", "too many evaluations failed: an evaluation failed", true, []string{"--on-fail", "abort"}},
		{"nansometimes", "too many evaluations failed", true, []string{"--max-fail-rate", "0"}},
	} {
		o := invoke(append([]string{"minimize", "--cmd", program(c.how), "--dim", "2", "--seed", "1", "--json"}, c.args...)...)
		if o.code != exitObjective || !strings.Contains(o.stderr, c.part) || (o.stdout != "") != c.printed {
			t.Errorf("%s %q: %+v; want code %d with %q", c.how, c.args, o, exitObjective, c.part)
		}
	}
	o := invoke("minimize", "--cmd", "no-such-program-here", "--dim", "2")
	if o.code != exitInput || !strings.Contains(o.stderr, `cannot start "no-such-program-here"`) {
		t.Errorf("%+v", o)
	}
}

func TestMinimizeSurvivesSomeFailures(t *testing.T) {
	m := fields(t, succeed(t, "minimize", "--cmd", program("nansometimes"), "--dim", "2", "--seed", "1", "--target", "1e-6", "--json"))
	if m["failures"].(float64) == 0 || m["target_met"] != true {
		t.Errorf("%v", m)
	}
}

func TestMinimizeUnmetTarget(t *testing.T) {
	o := invoke("minimize", "--fn", "rosenbrock", "--dim", "5", "--seed", "1", "--max-evals", "50", "--target", "1e-8", "--json")
	if o.code != exitUnmet || !strings.Contains(o.stderr, "after 50 evaluations; the target is 1e-08") || fields(t, o)["target_met"] != false {
		t.Errorf("%+v", o)
	}
}

func TestMinimizeEndsInTime(t *testing.T) {
	m := fields(t, succeed(t, "minimize", "--cmd", program("slow"), "--dim", "2", "--max-seconds", "0.4", "--json"), "best_f")
	if !reflect.DeepEqual(m["stop"], []any{"max-seconds"}) || m["seconds"].(float64) < 0.4 {
		t.Errorf("%v", m)
	}
	m = fields(t, succeed(t, "minimize", "--fn", "f24", "--dim", "5", "--max-seconds", "0.2", "--restarts", "ipop", "--json"))
	if !reflect.DeepEqual(m["stop"], []any{"max-seconds"}) {
		t.Errorf("%v", m)
	}
}

func TestMinimizeInterrupted(t *testing.T) {
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(context.Background())
		dir := filepath.Join(t.TempDir(), "run")
		done := make(chan outcome, 1)
		go func() {
			done <- invokeWith(ctx, "", "minimize", "--cmd", program("slow"), "--dim", "2", "--out", dir, "--json")
		}()
		for began := time.Now(); len(told(t, dir)) == 0 && time.Since(began) < time.Minute; {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(interrupted{signal})
		o := <-done
		if o.code != code || !strings.Contains(o.stderr, "interrupted after") || !reflect.DeepEqual(fields(t, o)["stop"], []any{"interrupted"}) {
			t.Errorf("%+v", o)
		}
	}
}

func TestMinimizeProgress(t *testing.T) {
	o := succeed(t, "minimize", "--cmd", program("slow"), "--dim", "2", "--max-evals", "30", "--progress", "plain") // of at least 0.6 s
	if !strings.Contains(o.stderr, "evaluations ") || !strings.Contains(o.stderr, "sigma") {
		t.Errorf("%q", o.stderr)
	}
}

func TestMinimizeUsage(t *testing.T) {
	for _, c := range []struct {
		part string
		args []string
	}{
		{"minimize what?", nil},
		{"takes flags only", []string{"f10"}},
		{"--fn and --cmd exclude each other", []string{"--fn", "f1", "--cmd", "x"}},
		{`did you mean "rastrigin"`, []string{"--fn", "rastrign", "--dim", "2"}},
		{"how many variables", []string{"--fn", "f1"}},
		{"--dim must be at least 1", []string{"--fn", "f1", "--dim", "0"}},
		{"--fn f8", []string{"--fn", "f8", "--dim", "1"}},
		{"--instance needs --fn", []string{"--cmd", "x", "--dim", "1", "--instance", "2"}},
		{"--timeout needs --cmd", []string{"--fn", "f1", "--dim", "2", "--timeout", "3s"}},
		{"--sigma0 must be a positive", []string{"--fn", "f1", "--dim", "2", "--sigma0", "0"}},
		{"--sigma0 must be a positive", []string{"--fn", "f1", "--dim", "2", "--sigma0", "nan"}},
		{"lower bound 1 is not below upper bound 0 (", []string{"--fn", "f1", "--dim", "2", "--lower", "1", "--upper", "0"}},
		{"--x0", []string{"--fn", "f1", "--x0", "3,4", "--upper", "1"}},
		{"--x0 has 3 values for 2", []string{"--fn", "f1", "--dim", "2", "--x0", "1,2,3"}},
		{"--x0 must be numbers", []string{"--fn", "f1", "--x0", "1,b"}},
		{"NaN", []string{"--fn", "f1", "--x0", "1,nan"}},
		{"--integers", []string{"--fn", "f1", "--dim", "2", "--integers", "2"}},
		{"--fixed needs --x0", []string{"--fn", "f1", "--dim", "2", "--fixed", "1"}},
		{"--fixed must be indices from 0 to 1", []string{"--fn", "f1", "--dim", "2", "--x0", "1", "--fixed", "2"}},
		{"--equalities 0 names constraints", []string{"--fn", "f1", "--dim", "2", "--equalities", "0"}},
		{"--equalities must be indices from 0 to 0", []string{"--cmd", "x", "--dim", "2", "--constraints", "1", "--equalities", "1"}},
		{"--equalities names index 0 twice", []string{"--cmd", "x", "--dim", "2", "--constraints", "1", "--equalities", "0,0"}},
		{"--bounds penalty says how bounds are kept, but there are none", []string{"--fn", "f1", "--dim", "2", "--bounds", "penalty"}},
		{"--learn-rate adapts the learning rates of the strategy cma", []string{"--fn", "f1", "--dim", "2", "--learn-rate", "--strategy", "snes"}},
		{"--bounds must be", []string{"--fn", "f1", "--dim", "2", "--bounds", "soft"}},
		{"--surrogate cannot be combined with --noise", []string{"--fn", "f1", "--dim", "2", "--surrogate", "--noise"}},
		{"--noise and --surrogate work on whole generations", []string{"--fn", "f1", "--dim", "2", "--noise", "--in-flight", "2"}},
		{"--popsize must be", []string{"--fn", "f1", "--dim", "2", "--popsize", "1"}},
		{`did you mean "sep-cma"`, []string{"--fn", "f1", "--dim", "2", "--strategy", "sepcma"}},
		{"--restarts must be", []string{"--fn", "f1", "--dim", "2", "--restarts", "jpop"}},
		{"--restarts ipop goes on", []string{"--fn", "f1", "--dim", "2", "--restarts", "ipop"}},
		{"--max-evals must be", []string{"--fn", "f1", "--dim", "2", "--max-evals", "0"}},
		{"--max-seconds must be", []string{"--fn", "f1", "--dim", "2", "--max-seconds", "-1"}},
		{"--target must be", []string{"--fn", "f1", "--dim", "2", "--target", "nan"}},
		{"--jobs must be", []string{"--fn", "f1", "--dim", "2", "--jobs", "0"}},
		{"--on-fail must be", []string{"--cmd", "x", "--dim", "2", "--on-fail", "cry"}},
		{"--max-fail-rate must be", []string{"--cmd", "x", "--dim", "2", "--max-fail-rate", "2"}},
		{"inside quotes", []string{"--cmd", "x 'y", "--dim", "2"}},
	} {
		o := invoke(append([]string{"minimize"}, c.args...)...)
		if o.code != exitUsage || !strings.Contains(o.stderr, c.part) || o.stdout != "" {
			t.Errorf("%q: %+v; want code 2 with %q", c.args, o, c.part)
		}
	}
}

// TestMinimizeInFlight: evaluations overlap, failures and the budget count as usual, and a run ends in time.
func TestMinimizeInFlight(t *testing.T) {
	m := fields(t, succeed(t, "minimize", "--cmd", program("slow"), "--x0", "3,-2", "--seed", "1", "--max-evals", "200", "--in-flight", "8", "--json"))
	if m["evaluations"] != 200.0 || m["best_f"].(float64) > 0.1 || m["seconds"].(float64) > 3 {
		t.Errorf("200 evaluations of 20 ms, 8 at once: %v", m)
	}
	m = fields(t, succeed(t, "minimize", "--cmd", program("nansometimes"), "--x0", "3,-2", "--seed", "1", "--target", "1e-6", "--in-flight", "5", "--json"))
	if m["target_met"] != true || m["failures"].(float64) == 0 {
		t.Errorf("%v", m)
	}
	for part, args := range map[string][]string{
		"exclude each other": {"--in-flight", "3", "--jobs", "2"}, "1 to 4096": {"--in-flight", "0"}, "takes no foreign points": {"--in-flight", "3", "--strategy", "ma-es"},
	} {
		if o := invoke(append([]string{"minimize", "--fn", "f1", "--dim", "2"}, args...)...); o.code != exitUsage || !strings.Contains(o.stderr, part) {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if o := invoke("minimize", "--cmd", program("rubbish"), "--dim", "2", "--in-flight", "3"); o.code != exitObjective {
		t.Errorf("%+v", o)
	}
	if o := invoke("minimize", "--cmd", program("hang"), "--dim", "2", "--in-flight", "3", "--max-seconds", "0.3"); o.code == exitDone && o.stdout == "" {
		t.Errorf("%+v", o)
	}
}

func TestMinimizePlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.svg")
	for _, args := range [][]string{{"--dim", "3"}, {"--dim", "25", "--max-evals", "2000"}, {"--dim", "6", "--strategy", "lm-ma-es", "--max-evals", "500"}} {
		succeed(t, append([]string{"minimize", "--fn", "f8", "--seed", "1", "--svg", path}, args...)...)
		picture(t, path, "above the optimum", "axis lengths", "standard deviations", "coordinates of the mean")
	}
	if o := invoke("minimize", "--fn", "f1", "--dim", "2", "--svg", filepath.Join(path, "x.svg")); o.code != exitInput || o.stdout != "" {
		t.Errorf("%+v", o)
	}
}

// TestMinimizeParts: what a search can be asked for beside its strategy is done.
func TestMinimizeParts(t *testing.T) {
	run := func(args ...string) map[string]any {
		t.Helper()
		return fields(t, succeed(t, append([]string{"minimize", "--dim", "4", "--seed", "1", "--json"}, args...)...))
	}
	plain := run("--fn", "f10")["evaluations"].(float64)
	if n := run("--fn", "f10", "--surrogate")["evaluations"].(float64); n > plain/2 {
		t.Errorf("%v evaluations with a model, %v without", n, plain)
	}
	if x := run("--fn", "f1", "--x0", "1,2,3,4", "--fixed", "1,3")["best_x"].([]any); x[1] != 2. || x[3] != 4. || x[0] == 1. || x[2] == 3. {
		t.Errorf("variables 1 and 3 are fixed, the best point is %v", x)
	}
	m := run("--expr", "[sum(x, # * #), x[0] - 1, x[1] - 1]", "--constraints", "2", "--equalities", "0")
	if x := m["best_x"].([]any); math.Abs(x[0].(float64)-1) > 1e-4 || math.Abs(x[1].(float64)) > 1e-2 {
		t.Errorf("the first constraint is an equality, the second is none: %v", x)
	}
	near := run("--fn", "f1", "--target", "79.481")["evaluations"]
	for _, part := range []string{"--noise", "--learn-rate"} {
		if m := run("--fn", "f1", part, "--target", "79.481"); m["target_met"] != true || m["evaluations"] == near {
			t.Errorf("%s changes nothing or finds nothing: %v", part, m)
		}
	}
	box := []string{"--fn", "f5", "--lower", "-5", "--upper", "5"} // the optimum is in a corner
	transform, penalty := run(box...), run(append(box, "--bounds", "penalty")...)
	if penalty["evaluations"] == transform["evaluations"] {
		t.Errorf("%v evaluations by transform and by penalty", penalty["evaluations"])
	}
	for _, m := range []map[string]any{transform, penalty} {
		if above := m["best_f"].(float64) - m["f_opt"].(float64); !(above >= 0 && above < 1e-6) {
			t.Errorf("%v above the optimum in the box", above)
		}
	}
}

// TestMinimizeOtherSuites: constraints, integers, bounds and noise of a built-in problem are taken from it.
func TestMinimizeOtherSuites(t *testing.T) {
	m := fields(t, succeed(t, "minimize", "--fn", "c1", "--dim", "5", "--seed", "1", "--max-evals", "3000", "--json"), "violation")
	if d := m["best_f"].(float64) - m["f_opt"].(float64); m["violation"] != 0.0 || d < 0 || d > 1e-6 {
		t.Errorf("%v", m)
	}
	m = fields(t, succeed(t, "minimize", "--fn", "m1", "--dim", "5", "--seed", "1", "--max-evals", "2000", "--json"))
	if x := m["best_x"].([]any); m["best_f"].(float64)-m["f_opt"].(float64) > 1e-6 || x[3] != math.Round(x[3].(float64)) {
		t.Errorf("%v", m)
	}
	first := succeed(t, "minimize", "--fn", "f107", "--dim", "3", "--seed", "1", "--max-evals", "300", "--json", "--jobs", "1")
	again := succeed(t, "minimize", "--fn", "f107", "--dim", "3", "--seed", "1", "--max-evals", "300", "--json", "--jobs", "4")
	if a, b := fields(t, first)["best_f"], fields(t, again)["best_f"]; a != b {
		t.Errorf("noise depends on the number of jobs: %v, %v", a, b)
	}
}

// TestEnvironmentOfPrograms: they see what they are given and what every program needs, and no secret of this process.
func TestEnvironmentOfPrograms(t *testing.T) {
	t.Setenv("SPDOPT_TOKEN", "open sesame, please")
	t.Setenv("SPDOPT_TEST_GIVEN", "from outside")
	for _, c := range []struct {
		want string
		args []string
	}{{` )`, nil}, {" from outside)", []string{"--env", "SPDOPT_TEST_GIVEN"}}, {" set here)", []string{"--env", "SPDOPT_TEST_GIVEN=set here"}}} {
		for _, form := range [][]string{{"--cmd", program("environment")}, {"--per-eval", "--shell", "--cmd", `cat >/dev/null; echo "{\"id\":1,\"status\":\"failed\",\"error\":\"$HOME $SPDOPT_TEST_GIVEN$SPDOPT_TOKEN\"}"`}} {
			o := invoke(append(append([]string{"minimize", "--dim", "2", "--out", "none"}, form...), c.args...)...)
			if o.code != exitObjective || !strings.Contains(o.stderr, c.want) || strings.Contains(o.stderr, "sesame") || strings.Contains(o.stderr, "( ") {
				t.Errorf("%q: %+v, want %q", c.args, o, c.want)
			}
		}
	}
	for _, wrong := range []string{"SPDOPT_TEST_ABSENT", "", "=x"} {
		if o := invoke("minimize", "--dim", "2", "--cmd", "true", "--env", wrong); o.code != exitUsage || !strings.Contains(o.stderr, "--env: ") {
			t.Errorf("%q: %+v", wrong, o)
		}
	}
}
