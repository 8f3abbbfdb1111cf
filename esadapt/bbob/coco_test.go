package bbob

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// reference is one instance as the testbed's reference implementation in C (COCO, snapshot e6356d2e of its experiment part) computes it: the optimal value, first and
// last coordinate of the optimum, values at the two points of referencePoint, and what belongs to single suites.
type reference struct {
	F, N, I int
	FOpt    float64
	XOpt    []float64
	V       []float64 // values; with noise drawn from freshly reset seeds
	Clean   []float64 // noisy: without noise
	M       int       // constrained: number of constraints
	X0      []float64 // constrained: first, second and last coordinate of the start
	G       []float64 // constrained: sum and sum weighted by 1, 2, .. of the values at both points
}

func referencePoint(p int, f *Function) []float64 {
	x := make([]float64, f.Dim)
	for i := range x {
		a, edge := math.Sin(1+float64(i)), 4.0
		if p == 1 {
			a, edge = math.Cos(0.3+0.7*float64(i)), 6.5
		}
		x[i] = edge * a
		if f.BoxLower != nil {
			x[i] = f.BoxLower[i] + (f.BoxUpper[i]-f.BoxLower[i])*(0.5+0.55*a)
		}
	}
	return x
}

func TestAgainstReferenceImplementation(t *testing.T) {
	for _, suite := range Suites() {
		t.Run(suite.Name, func(t *testing.T) {
			raw, err := os.ReadFile("testdata/" + suite.Name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var cases []reference
			if err := json.Unmarshal(raw, &cases); err != nil {
				t.Fatal(err)
			}
			if len(cases) < 2*len(suite.Functions) {
				t.Fatalf("%d cases", len(cases))
			}
			first := cases[0].F
			for _, c := range cases {
				f, err := suite.Functions[c.F-first].New(c.N, c.I)
				if err != nil {
					t.Fatal(err)
				}
				c.compare(t, f)
			}
		})
	}
}

func (c *reference) compare(t *testing.T, f *Function) {
	name := f.ID + " n=" + strconv.Itoa(c.N) + " i=" + strconv.Itoa(c.I)
	near := func(what string, got, want, tol float64) {
		if !(math.Abs(got-want) <= tol*max(1, math.Abs(want))) {
			t.Errorf("%s: %s %v, want %v", name, what, got, want)
		}
	}
	near("optimal value", f.FOpt, c.FOpt, 1e-10)
	if f.ID[0] != 'l' && f.ID != "f9" && f.ID != "f19" || c.N <= 40 && f.ID != "l19" { // where the reference knows it
		near("first coordinate of the optimum", f.XOpt[0], c.XOpt[0], 1e-10)
	}
	for p, want := range c.V {
		x := referencePoint(p, f)
		near("value", f.Measure(x, uint64(p+1)), want, 1e-10)
		if f.IsNoisy() {
			near("value without noise", f.Eval(x), c.Clean[p], 1e-10)
		}
		if c.M > 0 {
			g := make([]float64, f.Constraints)
			f.Constrain(x, g)
			var sum, weighted float64
			for k, v := range g {
				sum += v
				weighted += float64(k+1) * v
			}
			near("sum of the constraints", sum, c.G[2*p], 1e-10)
			near("weighted sum of the constraints", weighted, c.G[2*p+1], 1e-10)
		}
	}
	if c.M > 0 {
		if f.Constraints != c.M {
			t.Errorf("%s: %d constraints, want %d", name, f.Constraints, c.M)
		}
		for k, i := range []int{0, 1, c.N - 1} {
			near("start", f.X0[i], c.X0[k], 1e-8)
		}
	}
}

// TestConstrainedOptimum: the optimum is feasible with the right number of active constraints, the start is feasible, and no feasible point nearby is better.
func TestConstrainedOptimum(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for k, d := range constrained {
		f, err := d.New(4, 2)
		if err != nil {
			t.Fatal(err)
		}
		g := make([]float64, f.Constraints)
		f.Constrain(f.XOpt, g)
		active := 0
		for _, v := range g {
			if v > 0 {
				t.Errorf("%s: the optimum is not feasible: %v", d.ID, g)
			}
			if v > -1e-9 {
				active++
			}
		}
		if want := activeConstraints(k+1, 4); active != want {
			t.Errorf("%s: %d constraints active at the optimum, want %d", d.ID, active, want)
		}
		f.Constrain(f.X0, g)
		for _, v := range g {
			if v > 0 {
				t.Errorf("%s: the start is not feasible: %v", d.ID, g)
			}
		}
		x := make([]float64, 4)
		feasible := 0
		for n := range 3000 {
			for i := range x {
				x[i] = f.XOpt[i] + math.Pow(10, -3+float64(n%4))*random.NormFloat64()
			}
			f.Constrain(x, g)
			worst := math.Inf(-1)
			for _, v := range g {
				worst = max(worst, v)
			}
			if worst > 0 {
				continue
			}
			feasible++
			if v := f.Eval(x); v < f.FOpt-1e-9*max(1, math.Abs(f.FOpt)) {
				t.Errorf("%s: the feasible point %v is worth %v, less than the optimum %v", d.ID, x, v, f.FOpt)
			}
		}
		if feasible == 0 && f.Constraints <= 9 {
			t.Errorf("%s: no feasible points were tried", d.ID)
		}
	}
}

// TestSpin: the map is orthogonal, and invert undoes apply.
func TestSpin(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{3, 40, 41, 97} {
		s := newSpin(n, 11, 22, 33)
		x, y, z := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = random.NormFloat64()
		}
		s.apply(y, x)
		s.invert(z, y)
		if math.Abs(squares(y)-squares(x)) > 1e-12*squares(x) {
			t.Errorf("n=%d: |y|^2 = %v, |x|^2 = %v", n, squares(y), squares(x))
		}
		for i := range x {
			if math.Abs(z[i]-x[i]) > 1e-12 {
				t.Errorf("n=%d: %v comes back as %v", n, x[i], z[i])
			}
		}
	}
}

// TestNoise: the same evaluation has the same noise, different ones differ; Cauchy noise is one-sided.
func TestNoise(t *testing.T) {
	for _, d := range noisy {
		f, err := d.New(5, 3)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float64, 5)
		values := make(map[float64]bool)
		for serial := range uint64(400) {
			v := f.Measure(x, serial+1)
			if v != f.Measure(x, serial+1) {
				t.Fatalf("%s: evaluation %d is not reproducible", d.ID, serial+1)
			}
			values[v] = true
		}
		if len(values) < 10 || !f.IsNoisy() {
			t.Errorf("%s: %d different values of 400", d.ID, len(values))
		}
	}
}
