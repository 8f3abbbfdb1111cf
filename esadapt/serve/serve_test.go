package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/jsonfloat"
)

type reply struct {
	X           json.RawMessage `json:"x"`
	Restarts    *int            `json:"restarts"`
	Stop        string          `json:"stop"`
	Error       string          `json:"error"`
	OK          bool            `json:"ok"`
	F           *float64        `json:"f"`
	Evaluations int             `json:"evaluations"`
}

func (r reply) batch(t *testing.T) [][]float64 {
	t.Helper()
	var x [][]float64
	if err := json.Unmarshal(r.X, &x); err != nil {
		t.Fatalf("x: %v", err)
	}
	return x
}

func ask(t *testing.T, s *Session, line string) reply {
	t.Helper()
	var r reply
	out := s.Handle([]byte(line))
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%s answered by %s: %v", line, out, err)
	}
	if bytes.ContainsRune(out, '\n') {
		t.Fatalf("%s answered by more than one line", line)
	}
	return r
}

func sphere(x []float64) float64 {
	f := 0.0
	for i, v := range x {
		f += float64(i+1) * (v - 0.5) * (v - 0.5)
	}
	return f
}

func tellLine(x [][]float64, f func([]float64) float64) string {
	v := make([]float64, len(x))
	for i := range x {
		v[i] = f(x[i])
	}
	raw, _ := json.Marshal(v)
	return `{"op":"tell","f":` + string(raw) + `}`
}

// The conversation of the protocol's description, against a search driven directly: the same points and the same best.
func TestConversation(t *testing.T) {
	var s Session
	r := ask(t, &s, `{"op":"open","dim":4,"x0":[1,1,1,1],"sigma0":2,"seed":7,"budget":500,"objectives":1,"constraints":0,"integers":0,"scale":[1,1,10,1],"lower":[-5,null,-50,-5],"upper":[5,5,50,null],"options":{}}`)
	direct, err := esadapt.New(esadapt.Options{
		X0: []float64{1, 1, 1, 1}, Sigma0: 2, Seed: 7, MaxEvaluations: 500, Scale: []float64{1, 1, 10, 1},
		Lower: []float64{-5, math.Inf(-1), -50, -5}, Upper: []float64{5, 5, 50, math.Inf(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for r.Stop == "" {
		x := r.batch(t)
		if !slices.EqualFunc(x, direct.Ask(), slices.Equal) {
			t.Fatal("the points differ from those of a direct search")
		}
		values := make([]float64, len(x))
		for i := range x {
			values[i] = sphere(x[i])
		}
		if err := direct.Tell(values); err != nil {
			t.Fatal(err)
		}
		told += len(x)
		r = ask(t, &s, tellLine(x, sphere))
		if r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	if told != 500 || !strings.HasPrefix(r.Stop, "max-evaluations") {
		t.Errorf("%d values told, stopped by %q", told, r.Stop)
	}
	best := ask(t, &s, `{"op":"best"}`)
	var x []float64
	if err := json.Unmarshal(best.X, &x); err != nil {
		t.Fatal(err)
	}
	if b := direct.Best(); best.Evaluations != 500 || *best.F != b.F || !slices.Equal(x, b.X) {
		t.Errorf("best %v %v, want %v", x, *best.F, b)
	}
	if r := ask(t, &s, `{"op":"tell","f":[1]}`); r.Stop == "" {
		t.Error("a tell after the end is not answered by the reason")
	}
	if r := ask(t, &s, `{"op":"close"}`); !r.OK {
		t.Error("close is not answered by ok")
	}
	if r := ask(t, &s, `{"op":"ask"}`); r.Error == "" {
		t.Error("ask after close is not an error")
	}
}

// Two problems after each other in one process are as in two processes.
func TestNothingLeaks(t *testing.T) {
	const open = `{"op":"open","dim":3,"seed":5,"budget":60}`
	run := func(s *Session) (all []string) {
		r := ask(t, s, open)
		for r.Stop == "" {
			all = append(all, string(r.X))
			r = ask(t, s, tellLine(r.batch(t), sphere))
		}
		return all
	}
	var a, b Session
	ask(t, &a, `{"op":"open","dim":9,"seed":1,"constraints":1}`)
	if !slices.Equal(run(&a), run(&b)) {
		t.Error("the second problem of a session differs")
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var s Session
	r := ask(t, &s, `{"op":"open","dim":3,"seed":5,"budget":400}`)
	for range 5 {
		r = ask(t, &s, tellLine(r.batch(t), sphere))
	}
	if r := ask(t, &s, fmt.Sprintf(`{"op":"save","path":%q}`, path)); !r.OK {
		t.Fatal(r.Error)
	}
	var other Session
	if r := ask(t, &other, fmt.Sprintf(`{"op":"load","path":%q}`, path)); !r.OK {
		t.Fatal(r.Error)
	}
	again := ask(t, &other, `{"op":"ask"}`)
	if string(again.X) != string(r.X) {
		t.Fatalf("after load: %s, want %s", again.X, r.X)
	}
	for r.Stop == "" {
		line := tellLine(r.batch(t), sphere)
		r, again = ask(t, &s, line), ask(t, &other, line)
		if string(r.X) != string(again.X) || r.Stop != again.Stop {
			t.Fatal("the loaded search goes another way")
		}
	}
	if r := ask(t, &other, `{"op":"load","path":"/nonexistent/state"}`); r.Error == "" {
		t.Error("a missing file was loaded")
	}
	locked := Session{NoFiles: true}
	ask(t, &locked, `{"op":"open","dim":3}`)
	if r := ask(t, &locked, fmt.Sprintf(`{"op":"save","path":%q}`, path)); r.Error == "" {
		t.Error("NoFiles does not keep files away")
	}
}

// Whatever cannot be done is named and changes nothing.
func TestErrorsChangeNothing(t *testing.T) {
	var s Session
	for want, line := range map[string]string{
		"no problem is open":  `{"op":"ask"}`,
		`no "op"`:             `{"dim":3}`,
		"not JSON":            `{"op":`,
		"an object":           `[1,2]`,
		`"dim" is missing`:    `{"op":"open"}`,
		"dim is 0":            `{"op":"open","dim":0}`,
		"not a whole number":  `{"op":"open","dim":2.5}`,
		"x0":                  `{"op":"open","dim":2,"x0":[1,"two"]}`,
		"x0 has 3 values":     `{"op":"open","dim":2,"x0":[1,2,3]}`,
		"outside":             `{"op":"open","dim":1,"x0":[3],"upper":[1]}`,
		"open: sigma0 = NaN":  `{"op":"open","dim":1,"sigma0":NaN}`,
		"unknown field":       `{"op":"open","dim":1,"lamda":3}`,
		"objectives, options": `{"op":"open","dim":1,"lamda":4}`,
		"unknown option":      `{"op":"open","dim":1,"options":{"lamda":3}}`,
		"auto, none":          `{"op":"open","dim":1,"options":{"restarts":"often"}}`,
		"objectives":          `{"op":"open","dim":2,"objectives":0}`,
		"2 to 8":              `{"op":"open","dim":2,"objectives":9}`,
		"number of variable":  `{"op":"open","dim":2,"integers":-1}`,
		"open: budget is -1":  `{"op":"open","dim":2,"budget":-1}`,
		"use fixed to hold":   `{"op":"open","dim":2,"lower":[1,1],"upper":[0,0]}`,
		"tol_x is NaN":        `{"op":"open","dim":2,"options":{"tol_x":NaN}}`,
		"constraints, noise":  `{"op":"open","dim":2,"objectives":2,"constraints":1}`,
	} {
		if r := ask(t, &s, line); !strings.Contains(r.Error, want) {
			t.Errorf("%s: error %q, want %q", line, r.Error, want)
		}
	}
	first := ask(t, &s, `{"op":"open","dim":2,"seed":3,"constraints":1,"integers":1}`)
	n := len(first.batch(t))
	g := strings.TrimSuffix(strings.Repeat("[0],", n), ",")
	ones := strings.TrimSuffix(strings.Repeat("1,", n), ",")
	for want, line := range map[string]string{
		"unknown op":            `{"op":"dance"}`,
		`"f" is missing`:        `{"op":"tell"}`,
		"values for":            `{"op":"tell","f":[1],"g":[[0]]}`,
		"constraint values for": `{"op":"tell","f":[` + ones + `]}`,
		"0 constraint values":   `{"op":"tell","f":[` + ones + `],"g":[` + strings.ReplaceAll(g, "0", "") + `]}`,
		"-Inf":                  `{"op":"tell","f":[` + strings.Replace(ones, "1", "-Infinity", 1) + `],"g":[` + g + `]}`,
		"not a number":          `{"op":"tell","f":[` + strings.Replace(ones, "1", "true", 1) + `],"g":[` + g + `]}`,
		"no value has been":     `{"op":"best"}`,
		`"path" is no name`:     `{"op":"save","path":3}`,
		`nor "state"`:           `{"op":"load"}`,
		`"state" is damaged`:    `{"op":"load","state":"?"}`,
		"something follows":     `{"op":"ask"} {}`,
		"where an object":       `7`,
		"a string does not end": `{"op":"ask`,
		"not a list of lists":   `{"op":"tell","f":[1],"g":3}`,
		"nested":                strings.Repeat("[", 100),
	} {
		if r := ask(t, &s, line); !strings.Contains(r.Error, want) {
			t.Errorf("%s: error %q, want %q", line, r.Error, want)
		}
	}
	if again := ask(t, &s, `{"op":"ask"}`); string(again.X) != string(first.X) {
		t.Error("the errors changed the batch")
	}
	bad := `{"op":"tell","f":[NaN,null,"NaN",Infinity,"Infinity"` + strings.Repeat(",2e0", n-5) + `],"g":[` + g + `]}`
	if r := ask(t, &s, bad); r.Error != "" {
		t.Errorf("NaN and infinities in all their forms: %s", r.Error)
	}
}

func TestSeveralObjectives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var s Session
	r := ask(t, &s, `{"op":"open","dim":2,"objectives":2,"seed":1,"budget":600}`)
	for r.Stop == "" {
		var f [][2]float64
		for _, x := range r.batch(t) {
			f = append(f, [2]float64{x[0]*x[0] + x[1]*x[1], (x[0]-1)*(x[0]-1) + x[1]*x[1]})
		}
		raw, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if e := ask(t, &s, `{"op":"tell","f":[1,2]}`); !strings.Contains(e.Error, "not a list of numbers") {
			t.Fatalf("numbers where lists belong: %q", e.Error)
		}
		if r = ask(t, &s, `{"op":"tell","f":`+string(raw)+`}`); r.Error != "" {
			t.Fatal(r.Error)
		}
		if ask(t, &s, fmt.Sprintf(`{"op":"save","path":%q}`, path)); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	best := string(s.Handle([]byte(`{"op":"best"}`)))
	var front struct {
		Front []struct{ X, F []float64 }
	}
	if err := json.Unmarshal([]byte(best), &front); err != nil {
		t.Fatal(err)
	}
	var values [][]float64
	for _, p := range front.Front {
		values = append(values, p.F)
	}
	if v := esadapt.Hypervolume(values, []float64{1, 1}); v < 0.8 {
		t.Errorf("hypervolume %v with %d points", v, len(values))
	}
	var other Session
	if r := ask(t, &other, fmt.Sprintf(`{"op":"load","path":%q}`, path)); !r.OK {
		t.Fatal(r.Error)
	}
	if again := string(other.Handle([]byte(`{"op":"best"}`))); again != best {
		t.Error("the front differs after load")
	}
}

func TestServeUntilTheInputEnds(t *testing.T) {
	in := strings.NewReader("\n  {\"op\":\"open\",\"dim\":2,\"seed\":1}\r\n{\"op\":\"close\"}")
	var out strings.Builder
	if err := Serve(in, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"x":[[`) || lines[1] != `{"ok":true}` {
		t.Errorf("answers: %q", lines)
	}
}

func FuzzHandle(f *testing.F) {
	for _, line := range []string{
		`{"op":"open","dim":2}`, `{"op":"tell","f":[1,NaN,-Infinity,"x",null]}`, `{"op":"best"}`, `{"a":"\u00e9\n","b":[1e400,-0.0,{}]}`, `[[[`, `{"op":"ask"`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s := Session{NoFiles: true}
		s.Handle([]byte(`{"op":"open","dim":2,"seed":1}`))
		if strings.Contains(line, "open") && len(line) > 100 {
			return
		}
		out := s.Handle([]byte(line))
		if !json.Valid(out) {
			t.Errorf("%q answered by %q", line, out)
		}
	})
}

func BenchmarkEvaluation(b *testing.B) {
	for _, n := range []int{10, 40} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			var s Session
			open := fmt.Appendf(nil, `{"op":"open","dim":%d,"seed":1,"options":{"restarts":"none"}}`, n)
			line := []byte(`{"op":"tell","f":[`)
			out := s.Handle(open)
			evaluations := 0
			for b.Loop() {
				if bytes.HasPrefix(out, []byte(`{"stop"`)) {
					out = s.Handle(open)
				}
				count := bytes.Count(out, []byte("[")) - 1
				line = line[:len(`{"op":"tell","f":[`)]
				for i := range count {
					if i > 0 {
						line = append(line, ',')
					}
					line = jsonfloat.Append(line, 1/float64(i+3))
				}
				out = s.Handle(append(line, ']', '}'))
				evaluations += count
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(evaluations), "ns/evaluation")
		})
	}
}

// TestEscapes reads strings as encoding/json does, halves of characters included.
func TestEscapes(t *testing.T) {
	for _, in := range []string{`"\ud83d\ude00"`, `"a\ud83dz"`, `"\ud83d\u0041"`, `"\ude00\ud83d"`, `"\ud83d\ud83d\ude00"`, `"\"\\\/\b\f\n\r\t\u00e9"`} {
		var want string
		if err := json.Unmarshal([]byte(in), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := parse([]byte(in)); err != nil || got.text != want {
			t.Errorf("%s: %q, %v, want %q", in, got.text, err, want)
		}
	}
	for _, in := range []string{`"\ud83d\u00"`, `"\x"`, `"\ud83d\u`, `"\`} {
		if got, err := parse([]byte(in)); err == nil {
			t.Errorf("%s: %q", in, got.text)
		}
	}
}

// TestTooManyConstraints: what one caller asks for must fit.
func TestTooManyConstraints(t *testing.T) {
	remote := Session{NoFiles: true, maxDim: 100}
	for s, line := range map[*Session]string{&remote: `{"op":"open","dim":2,"constraints":101}`, {}: `{"op":"open","dim":2,"constraints":1000000000}`} {
		if answer := string(s.Handle([]byte(line))); !strings.Contains(answer, "error") || !strings.Contains(answer, "constraints") {
			t.Errorf("%s: %s", line, answer)
		}
	}
}
