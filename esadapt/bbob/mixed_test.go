package bbob

import (
	"math"
	"testing"
)

func TestMixed(t *testing.T) {
	for _, d := range Suite() {
		f, err := d.New(10, 3)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewMixed(f, Arities(10))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Integers) != 8 || m.BoxUpper[0] != 1 || m.BoxUpper[7] != 15 || m.BoxUpper[9] != 5 {
			t.Fatalf("%s: integers %v, upper bounds %v", d.ID, m.Integers, m.Upper)
		}
		at := m.Eval(m.XOpt)
		if math.Abs(at-m.FOpt) > 1e-9*max(1, math.Abs(m.FOpt)) {
			t.Errorf("%s: value at the optimum %v, want %v", d.ID, at, m.FOpt)
		}
		x := append([]float64(nil), m.XOpt...)
		for _, i := range m.Integers {
			for v := m.BoxLower[i]; v <= m.BoxUpper[i]; v++ {
				x[i] = v
				if f := m.Eval(x); f < at-1e-9*max(1, math.Abs(at)) {
					t.Errorf("%s: variable %d = %v gives %v, below the optimum %v", d.ID, i, v, f, at)
				}
			}
			x[i] = m.XOpt[i] + 0.4
			if m.Eval(x) != at {
				t.Errorf("%s: variable %d is not rounded", d.ID, i)
			}
			x[i] = m.XOpt[i]
		}
	}
	f, _ := Suite()[0].New(2, 1)
	for _, bad := range [][]int{{2}, {2, 1}, {2, -1}} {
		if _, err := NewMixed(f, bad); err == nil {
			t.Errorf("arities %v were accepted", bad)
		}
	}
	for _, f := range []*Function{nil, {}, {Dim: 2}} {
		if _, err := NewMixed(f, Arities(2)); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	if _, err := (Definition{ID: "own"}).New(2, 1); err == nil {
		t.Error("a definition that is not in the registry was accepted")
	}
	if a := Arities(-1); len(a) != 0 {
		t.Errorf("%v", a)
	}
}
