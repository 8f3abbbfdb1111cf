package bbob

import (
	"math"
	"math/rand/v2"
	"testing"
)

// optimal returns a point of the set of optima, t in [0, 1]^2.
func optimal(m *Multi, t [2]float64) []float64 {
	x := make([]float64, m.Dim)
	switch m.ID {
	case "schaffer":
		for i := range x {
			x[i] = 2 * t[0]
		}
	case "zdt1", "zdt2", "zdt4":
		x[0] = t[0]
	case "zdt6":
		x[0] = t[0] / 12 // f1 falls from 1 to its minimum there
	case "dtlz1", "dtlz2":
		for i := range x {
			x[i] = 0.5
		}
		x[0], x[1] = t[0], t[1]
	}
	return x
}

// The hypervolume that a function names is that of its set of optima, and no point dominates one of them.
func TestMultiFronts(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for _, id := range MultiIDs() {
		m, err := NewMulti(id, 6)
		if err != nil {
			t.Fatal(err)
		}
		f, g := make([]float64, m.Objectives), make([]float64, m.Objectives)
		for range 2000 {
			m.Eval(optimal(m, [2]float64{random.Float64(), random.Float64()}), f)
			x := make([]float64, m.Dim)
			for i := range x {
				x[i] = m.Lower[i] + (m.Upper[i]-m.Lower[i])*random.Float64()
			}
			m.Eval(x, g)
			better := true
			for k := range f {
				better = better && g[k] < f[k]-1e-12
			}
			if better {
				t.Errorf("%s: %v dominates the optimal %v", id, g, f)
			}
		}
		if m.Objectives == 2 {
			var area, before float64
			const steps = 20000
			for i := range steps + 1 {
				m.Eval(optimal(m, [2]float64{float64(i) / steps, 0}), f)
				if i > 0 {
					area += math.Abs(f[0]-before) * max(0, m.Reference[1]-f[1])
				}
				before = f[0]
			}
			if math.Abs(area-m.Volume) > 1e-3*m.Volume {
				t.Errorf("%s: area %v above the front, want %v", id, area, m.Volume)
			}
		}
	}
	for _, c := range []struct {
		id  string
		dim int
	}{{"zdt9", 5}, {"zdt1", 1}, {"dtlz2", 2}} {
		if _, err := NewMulti(c.id, c.dim); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
