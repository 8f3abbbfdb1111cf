package nnopt

import (
	"errors"
	"slices"
	"testing"
)

// Blocks move in the order of their cost; those above a core's share are moved before the others.
func TestOrderOfWork(t *testing.T) {
	var blocks []Block[float64]
	for k, shape := range [][2]int{{2, 3}, {20, 30}, {1, 5}, {20, 31}} {
		n := shape[0] * shape[1]
		blocks = append(blocks, Block[float64]{Name: string(rune('a' + k)), Rows: shape[0], Cols: shape[1], Value: make([]float64, n), Grad: make([]float64, n)})
	}
	s := must(NewSpectral[float64](Spectral{})).(*stepper[float64])
	must(0, s.Init(blocks))
	if want := []int{3, 1, 0, 2}; !slices.Equal(s.order, want) {
		t.Errorf("order %v, want %v", s.order, want)
	}
}

// Gradients whose squares the moments cannot hold leave factors and second moments alone. After three such steps in a row, and one more, the run stops
// unless they are to be skipped; nothing is poisoned.
func TestShampooRefusesGradients(t *testing.T) {
	for _, name := range []string{"shampoo", "eshampoo", "soap"} {
		for _, policy := range []string{"stop", "skip"} {
			o := must(New[float32](name, []byte(`{"lr":1e-20,"non_finite":"`+policy+`"}`)))
			w := []Block[float32]{{Name: "w", Rows: 20, Cols: 20, Value: make([]float32, 400), Grad: make([]float32, 400)}}
			must(0, o.Init(w))
			run(t, o, w, 1, 3)
			moment := slotOf(t, o, "w", "moment0.0")
			for i := range w[0].Grad {
				w[0].Grad[i] = 5e17
			}
			for k := range 4 {
				if r := must(o.Step(w, StepInfo{LRScale: 1})); r.Failures != k+1 {
					t.Fatalf("%s: %d failures after %d", name, r.Failures, k+1)
				}
			}
			if !equalBits(moment, slotOf(t, o, "w", "moment0.0")) {
				t.Errorf("%s: the moment moved", name)
			}
			_, err := o.Step(w, StepInfo{LRScale: 1})
			var f *FactorError
			if stop := policy == "stop"; stop != errors.As(err, &f) {
				t.Errorf("%s, %s: %v", name, policy, err)
			}
			if policy == "skip" {
				if r := run(t, o, w, 2, 5); r.Failures != 5 || o.State().Failing != 0 {
					t.Errorf("%s: %+v after ordinary gradients", name, r)
				}
			}
			for _, s := range o.State().Slots {
				for _, v := range s.Data {
					if v-v != 0 {
						t.Fatalf("%s: slot %s holds %v", name, s.Name, v)
					}
				}
			}
		}
	}
}
