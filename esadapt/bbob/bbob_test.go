package bbob

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

type golden struct {
	F    int       `json:"f"`
	N    int       `json:"n"`
	I    int       `json:"i"`
	FOpt float64   `json:"fopt"`
	XOpt []float64 `json:"xopt"` // the first three coordinates
	V    []float64 `json:"v"`    // values at the two points of goldenPoint
}

func goldenPoint(p, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		if p == 0 {
			x[i] = 4 * math.Sin(1+float64(i))
		} else {
			x[i] = 6.5 * math.Cos(0.3+0.7*float64(i))
		}
	}
	return x
}

// The values were computed with the testbed's authors' Python implementation (bbobbenchmarks, 2009 definitions).
func TestPublishedValues(t *testing.T) {
	raw, err := os.ReadFile("testdata/values.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 24*5*4 {
		t.Fatalf("%d cases", len(cases))
	}
	suite := Suite()
	for _, c := range cases {
		f, err := suite[c.F-1].New(c.N, c.I)
		if err != nil {
			t.Fatal(err)
		}
		if f.FOpt != c.FOpt {
			t.Errorf("f%d n=%d i=%d: optimal value %v, want %v", c.F, c.N, c.I, f.FOpt, c.FOpt)
		}
		for k, want := range c.XOpt {
			if math.Abs(f.XOpt[k]-want) > 1e-9 { // a constant of f20 has changed in the tenth digit since
				t.Errorf("f%d n=%d i=%d: xopt[%d] = %v, want %v", c.F, c.N, c.I, k, f.XOpt[k], want)
			}
		}
		for p, want := range c.V {
			got := f.Eval(goldenPoint(p, c.N))
			if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
				t.Errorf("f%d n=%d i=%d point %d: %v, want %v", c.F, c.N, c.I, p, got, want)
			}
		}
	}
}

func TestOptimum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range All() {
		for _, n := range []int{d.MinDim, max(d.MinDim, 3), 7} {
			for instance := 1; instance <= 3; instance++ {
				f, err := d.New(n, instance)
				if err != nil {
					t.Fatal(err)
				}
				if f.Constraints > 0 || f.Integers != nil { // looked at where they are tested
					continue
				}
				at := f.Eval(f.XOpt)
				if math.Abs(at-f.FOpt) > 1e-9*max(1, math.Abs(f.FOpt)) {
					t.Errorf("%s n=%d i=%d: f(xopt) = %v, want %v", d.ID, n, instance, at, f.FOpt)
				}
				x := make([]float64, n)
				for range 50 {
					for _, radius := range []float64{1e-3, 0.1, 1} {
						for i := range x {
							x[i] = f.XOpt[i] + radius*(f.Upper-f.Lower)*rng.NormFloat64()
						}
						if v := f.Eval(x); v < at-1e-9*max(1, math.Abs(at)) {
							t.Errorf("%s n=%d i=%d: f(%v) = %v below the optimum %v", d.ID, n, instance, x, v, at)
						}
					}
				}
			}
		}
	}
}

func TestInstances(t *testing.T) {
	for _, d := range Suite() {
		a, _ := d.New(4, 1)
		b, _ := d.New(4, 1)
		c, _ := d.New(4, 2)
		x := goldenPoint(0, 4)
		if a.Eval(x) != b.Eval(x) {
			t.Errorf("%s: two copies of one instance differ", d.ID)
		}
		if a.FOpt == c.FOpt || slices.Equal(a.XOpt, c.XOpt) && d.ID != "f24" && d.ID != "f5" && d.ID != "f20" {
			t.Errorf("%s: instances 1 and 2 have the same optimum", d.ID)
		}
	}
}

func TestBadRequests(t *testing.T) {
	if _, err := Lookup("f25"); err == nil {
		t.Error("f25 found")
	}
	d, err := Lookup("F8")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.New(1, 1); err == nil {
		t.Error("Rosenbrock in one dimension")
	}
	if _, err := d.New(2, -1); err == nil {
		t.Error("negative instance")
	}
}

func TestEvalAllocatesNothing(t *testing.T) {
	if allocs.Race {
		t.Skip("pools are emptied at random")
	}
	x := goldenPoint(0, 10)
	for _, d := range All() {
		f, _ := d.New(10, 1)
		f.Eval(x)
		if a := allocs.PerRun(50, func() { f.Eval(x) }); a >= 1 {
			t.Errorf("%s: %v allocations an evaluation", d.ID, a)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	x := goldenPoint(0, 10)
	for _, d := range Suite() {
		f, _ := d.New(10, 1)
		b.Run(d.ID, func(b *testing.B) {
			for b.Loop() {
				f.Eval(x)
			}
		})
	}
}

// TestDimensionsThatDoNotFit: what would not fit in memory is refused before it is asked for.
func TestDimensionsThatDoNotFit(t *testing.T) {
	for _, d := range All() {
		for _, n := range []int{d.MaxDim() + 1, math.MaxInt} {
			if _, err := d.New(n, 1); err == nil || !strings.Contains(err.Error(), "at most") {
				t.Errorf("%s in %d dimensions: %v", d.ID, n, err)
			}
		}
	}
	if _, err := Suite()[0].New(1<<20, 1); err != nil {
		t.Error(err)
	}
}
