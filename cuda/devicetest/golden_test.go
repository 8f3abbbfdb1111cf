//go:build cuda && cgo && linux

package devicetest

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/nnopt"
)

// goldenRuns are runs of other programs that an optimizer with these options reproduces; they are those of the tests of nnopt.
var goldenRuns = map[string]map[string]struct{ optimizer, options string }{
	"root_free.json": {
		"rf_rmsprop":                        {"root-free-rmsprop", `{"lr":0.01,"decay":0.001,"beta2":0.9}`},
		"rf_rmsprop_no_batch_scaling":       {"root-free-rmsprop", `{"lr":0.01,"beta2":0.9,"no_momentum":true,"no_batch_scaling":true}`},
		"rf_adamw":                          {"root-free-adamw", `{"lr":0.01,"decay":0.01,"beta2":0.99}`},
		"rf_adamw_bias_corrected_zero_init": {"root-free-adamw", `{"lr":0.01,"beta2":0.99,"bias_correction":true}`},
		"if_shampoo_prototype":              {"sirf-shampoo", `{"lr":0.01,"decay":0.001,"beta2":0.1,"damping":0.001}`},
	},
	"distributed_shampoo.json": {
		"eshampoo_eigh_f1":              {"eshampoo", `{"lr":0.1,"eps":1e-5,"decay":0.01,"beta2":0.99}`},
		"eshampoo_eigh_f2":              {"eshampoo", `{"lr":0.1,"eps":1e-5,"decay":0.01,"beta2":0.99,"interval":2,"start":2}`},
		"eshampoo_qr_f1 (SOAP)":         {"soap", `{"lr":0.1,"eps":1e-5,"decay":0.01,"beta2":0.99,"library_order":true}`},
		"shampoo_rootinv_nograft":       {"shampoo", `{"lr":0.1,"eps":1e-5,"decay":0.01,"beta2":0.99,"graft":"none"}`},
		"shampoo_rootinv_exponent_half": {"shampoo", `{"lr":0.1,"eps":1e-5,"decay":0.01,"beta2":0.99,"graft":"none","exponents":[0.5]}`},
		"kl_shampoo_rootinv":            {"shampoo", `{"lr":0.1,"eps":1e-5,"decay":0.01,"beta2":0.99,"graft":"none","kl":true,"exponents":[0.5]}`},
		"muon_ns5":                      {"muon", `{"lr":0.1,"decay":0.01,"scale":"plain","momentum":0.95,"eps":1e-8,"beta2":0.999}`},
		"sign_descent":                  {"sign", `{"lr":0.1,"decay":0.01}`},
		"gpa":                           {"averaged", `{"lr":0.1,"decay":0.01,"kind":"gpa","inner":"eshampoo","eval":0.9,"train":0.8,"options":{"eps":1e-5,"beta2":0.99}}`},
	},
}

// flatten returns the numbers of nested lists in order.
func flatten[T nnopt.Float](t *testing.T, raw json.RawMessage) (all []T) {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case float64:
			all = append(all, T(v))
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return all
}

// golden is what a file holds: a start, the gradients of the steps, and the parameters after each step of every run.
type golden struct {
	start, grads json.RawMessage
	rows, batch  int
	params       map[string][]json.RawMessage
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	data, err := os.ReadFile("../../testdata/golden/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	g := golden{params: map[string][]json.RawMessage{}}
	type run struct {
		Name   string
		Params []json.RawMessage
	}
	var runs []run
	if all["Runs"] != nil || all["runs"] != nil {
		g.start, g.grads, g.rows = all["P0_2d"], all["grads_2d"], 3
		if err := json.Unmarshal(append(all["runs"], all["Runs"]...), &runs); err != nil {
			t.Fatal(err)
		}
	} else {
		g.start, g.grads, g.rows, g.batch = all["P0"], all["grads"], 3, 32
		for key, raw := range all {
			r := run{Name: key}
			if json.Unmarshal(raw, &r) == nil {
				runs = append(runs, run{key, r.Params})
			}
		}
	}
	for _, r := range runs {
		g.params[r.Name] = r.Params
	}
	return g
}

// TestGolden: golden runs on the device, to 1e-9 in float64 and 2e-5 in float32; 1e-3 for EShampoo, whose first step (on the processor as well) divides the gradient by its own size in
// a basis of its own, small singular values included.
func TestGolden(t *testing.T) {
	needDevice(t)
	for file, runs := range goldenRuns {
		g := readGolden(t, file)
		for name, run := range runs {
			t.Run(name, func(t *testing.T) {
				if len(g.params[name]) == 0 {
					t.Fatal("the file has no such run")
				}
				follow[float64](t, &g, name, run.optimizer, run.options, 1e-9)
				single := 2e-5
				if strings.Contains(run.optimizer+run.options, "eshampoo") {
					single = 1e-3
				}
				follow[float32](t, &g, name, run.optimizer, run.options, single)
			})
		}
	}
}

func follow[T nnopt.Float](t *testing.T, g *golden, name, optimizer, options string, tol float64) {
	t.Helper()
	own := `,"device":"cuda"`
	if _, single := any(T(0)).(float32); single {
		own += `,"precision":"fp32"`
	}
	opt, err := nnopt.New[T](optimizer, []byte(options[:len(options)-1]+own+`}`))
	if err != nil {
		t.Fatal(err)
	}
	value, grads := flatten[T](t, g.start), flatten[T](t, g.grads)
	n := len(value)
	w := []nnopt.Block[T]{{Name: "w", Rows: g.rows, Cols: n / g.rows, Value: value, Grad: grads[:n]}}
	if err := opt.Init(w); err != nil {
		t.Fatal(err)
	}
	for k, raw := range g.params[name] {
		w[0].Grad = grads[k*n : (k+1)*n]
		if _, err := opt.Step(w, nnopt.StepInfo{LRScale: 1, BatchSize: g.batch}); err != nil {
			t.Fatal(err)
		}
		for i, want := range flatten[float64](t, raw) {
			if got := float64(w[0].Value[i]); !(math.Abs(got-want) <= tol*(1+math.Abs(want))) {
				t.Fatalf("%T: step %d, element %d: %v, want %v", w[0].Value[i], k+1, i, got, want)
			}
		}
	}
}
