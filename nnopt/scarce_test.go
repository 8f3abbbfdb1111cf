package nnopt

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/engine"
)

// scarce is a device with memory of its own, which computes as the processor does.
type scarce struct {
	engine.Backend[float64]
	left, taken int // elements
}

var device = &scarce{Backend: engine.CPU[float64](), left: math.MaxInt}

func init() {
	engine.Register(engine.Device{Name: "scarce", Float64: func(int) (engine.Backend[float64], error) { return device, nil }})
}

func (*scarce) Name() string { return "scarce" }

func (s *scarce) Alloc(n int) []float64 {
	if n > s.left {
		panic(&engine.DeviceError{Name: "scarce", Err: errors.New("no memory")})
	}
	s.left -= n
	s.taken += n
	return make([]float64, n)
}

func (*scarce) Free([]float64)      {}
func (*scarce) Reserve(int)         {}
func (*scarce) Owns([]float64) bool { return true }

// TestGroups: blocks that a device moves together go where they go one by one, whatever their shapes, and after an Init that found too little memory, the next one
// takes as much as the first of another optimizer.
func TestGroups(t *testing.T) {
	for _, c := range []struct{ name, options string }{
		{"muon", ``}, {"muon", `,"exact":true,"nesterov":true`}, {"spectral", ``}, {"spectral", `,"interval":3,"spread":true`}, {"spectral", `,"drop":true,"interval":2`},
		{"spectral", `,"shaping":{"max_dim":3,"tensors":[{"match":"b0","shape":[2,3,5]}]}`}, {"spectral", `,"tol":0.1`},
		{"spectral", `,"max_sweeps":2,"drop":true,"interval":2`}, {"spectral", `,"tol":0.05,"drop":true,"statistics":"shampoo"`}, {"spectral", `,"statistics":"shampoo","interval":2`},
		{"spectral", `,"published":true`}, {"spectral", `,"published":true,"max_sweeps":2,"interval":2,"shaping":{"max_dim":4}`}, {"spectral", `,"published":true,"statistics":"shampoo"`},
		{"spectral", `,"statistics":"shampoo","root":1,"gamma":0.9,"no_momentum":true`}, {"soap", `,"start":7`}, {"shampoo", `,"start":7`},
		{"shampoo", `,"eps":0.01,"roots":"newton"`}, {"shampoo", `,"eps":0.01,"roots":"series","exponents":[0.5,0.25]`}, {"shampoo", `,"eps":0.01,"sweeps":true,"kl":true`},
		{"eshampoo", `,"start":7,"tol":0.1,"shaping":{"max_dim":4}`},
		{"sirf-shampoo", ``}, {"sirf-shampoo", `,"structure":"block","sizes":[2],"shaping":{"max_dim":4}`},
	} {
		t.Run(c.name+c.options, func(t *testing.T) {
			run := func(device string, fail bool) (all []Block[float64], used int) {
				o := must(New[float64](c.name, []byte(`{"lr":0.01,"decay":0.1,"device":"`+device+`"`+c.options+`}`)))
				r := source(7)
				for k, s := range [][2]int{{6, 5}, {6, 5}, {5, 6}, {1, 4}, {6, 5}} {
					b := Block[float64]{Name: fmt.Sprint("b", k), Rows: s[0], Cols: s[1], Value: make([]float64, s[0]*s[1]), Grad: make([]float64, s[0]*s[1])}
					fill(r, b.Value)
					all = append(all, b)
				}
				used = initialise(t, o, all, fail)
				for step := range 9 {
					for k := range all {
						fill(r, all[k].Grad)
						if k == 1 && step < 2 {
							clear(all[k].Grad)
						}
					}
					must(o.Step(all, StepInfo{LRScale: 1}))
				}
				return all, used
			}
			want, _ := run("cpu", false)
			got, used := run("scarce", false)
			again, after := run("scarce", true)
			for k := range want {
				for i, v := range want[k].Value {
					if !(math.Abs(got[k].Value[i]-v) < 1e-9) || again[k].Value[i] != got[k].Value[i] {
						t.Fatalf("%s, element %d: %v, and %v after a failure, want %v", want[k].Name, i, got[k].Value[i], again[k].Value[i], v)
					}
				}
			}
			if after != used {
				t.Errorf("%d elements after an Init that failed, otherwise %d", after, used)
			}
		})
	}
}

// initialise calls Init, with fail after calls that find less and less too little memory, and returns what the last one takes.
func initialise(t *testing.T, o Optimizer[float64], all []Block[float64], fail bool) int {
	t.Helper()
	for room := 1; fail; room = room*5/4 + 1 {
		device.left = room
		err := o.Init(all)
		device.left = math.MaxInt
		if err == nil {
			break
		}
		if _, err := o.Step(all, StepInfo{LRScale: 1}); err == nil {
			t.Fatal("a step after an Init that failed")
		}
	}
	before := device.taken
	if err := o.Init(all); err != nil {
		t.Fatal(err)
	}
	return device.taken - before
}

// TestManyPieces: a block of thousands of equal pieces, which are one part on a device, goes where it goes on the processor.
func TestManyPieces(t *testing.T) {
	for _, name := range []string{"shampoo", "sirf-shampoo"} {
		run := func(device string) Block[float64] {
			o := must(New[float64](name, []byte(`{"lr":0.01,"shaping":{"max_dim":1},"device":"`+device+`"}`)))
			const rows, cols = 60, 50
			all := []Block[float64]{{Name: "b", Rows: rows, Cols: cols, Value: make([]float64, rows*cols), Grad: make([]float64, rows*cols)}}
			r := source(17)
			if err := o.Init(all); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				fill(r, all[0].Grad)
				must(o.Step(all, StepInfo{LRScale: 1}))
			}
			return all[0]
		}
		want, got := run("cpu"), run("scarce")
		for i, v := range want.Value {
			if !(math.Abs(got.Value[i]-v) < 1e-9) {
				t.Fatalf("%s, element %d: %v, want %v", name, i, got.Value[i], v)
			}
		}
	}
}
