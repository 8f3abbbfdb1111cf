package spectral

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/golden"
)

// goldenCase is one record of testdata/golden/spectral.json, written by an independent NumPy program.
type goldenCase struct {
	Kind               string
	Kappa, Beta, Gamma float64
	Lam                float64
	XMax               float64
	B, G, N, B1        [][]float64
	D, D1              []float64
	GVec               []float64 `json:"-"`
	Exact              [][]float64
	Trunc              map[string][][]float64
	State, Next        []json.RawMessage
	X                  [][]float64
	Precond            map[string][][]float64
}

func (c *goldenCase) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	for key, dst := range map[string]any{"kind": &c.Kind, "kappa": &c.Kappa, "beta": &c.Beta, "gamma": &c.Gamma, "lam": &c.Lam, "xmax": &c.XMax,
		"B": &c.B, "G": &c.G, "g": &c.GVec, "N": &c.N, "B1": &c.B1, "d": &c.D, "d1": &c.D1, "exact": &c.Exact, "trunc": &c.Trunc, "state": &c.State,
		"next": &c.Next, "X": &c.X, "precond": &c.Precond} {
		if v, ok := raw[key]; ok {
			if err := json.Unmarshal(v, dst); err != nil {
				return err
			}
		}
	}
	return nil
}

func loadGolden(t *testing.T) []goldenCase {
	t.Helper()
	var cases []goldenCase
	golden.Load(t, "spectral.json", &cases)
	if len(cases) != 27 {
		t.Fatalf("%d golden cases, want 27", len(cases))
	}
	return cases
}

func fromRows(rows [][]float64) *mat.Dense {
	m := mat.NewDense(len(rows), len(rows[0]), nil)
	for i, r := range rows {
		m.SetRow(i, r)
	}
	return m
}

func symFromRows(rows [][]float64) *mat.SymDense {
	s := mat.NewSymDense(len(rows), nil)
	for i, r := range rows {
		for j := i; j < len(rows); j++ {
			s.SetSym(i, j, (r[j]+rows[j][i])/2)
		}
	}
	return s
}

func wantMatrix(t *testing.T, what string, got mat.Matrix, want [][]float64, tol float64) {
	t.Helper()
	for i, row := range want {
		for j, w := range row {
			if g := got.At(i, j); !(math.Abs(g-w) <= tol*(1+math.Abs(w))) {
				t.Fatalf("%s[%d][%d] = %v, want %v", what, i, j, g, w)
			}
		}
	}
}

func wantSlice(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d entries, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= tol*(1+math.Abs(w))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], w)
		}
	}
}

// goldenStep is the rule the case was made with: exponential eigenvalues, no norm bound and no cap; no clip unless the case says so.
func goldenStep(c *goldenCase) *Step {
	s := &Step{Rotation: TiesToZero, Eigenvalues: Exponential, MaxNorm: math.Inf(1), MaxExponent: math.Inf(1)}
	if c.XMax > 0 {
		s.MaxExponent = c.XMax
	}
	if len(c.Kind) > 10 && c.Kind[len(c.Kind)-9:] == "logjacobi" {
		s.Rotation = HalfAngle
	}
	return s
}

func TestProperty15GoldenFull(t *testing.T) {
	for i, c := range loadGolden(t) {
		var inc Increment
		switch c.Kind {
		case "full_generic", "full_generic_logjacobi":
			inc = Gradient(symFromRows(c.G), c.Beta, c.Kappa)
		case "full_kl", "full_kl_logjacobi":
			inc = Increment{Decay: c.Beta * c.Gamma, Vectors: mat.NewDense(len(c.D), 1, c.GVec), Weights: []float64{c.Beta}}
		default:
			continue
		}
		t.Run(c.Kind, func(t *testing.T) {
			f, err := FromEigen(fromRows(c.B), c.D)
			if err != nil {
				t.Fatal(err)
			}
			step := goldenStep(&c)
			wantMatrix(t, "N", generatorOf(f, inc, step), c.N, 1e-10)
			if rep := f.Update(inc, step); rep.Err != nil || rep.Scaling != 1 {
				t.Fatalf("case %d: %+v", i, rep)
			}
			wantSlice(t, "d", f.Eigenvalues(), c.D1, 1e-10)
			wantMatrix(t, "B", f.Basis(), c.B1, 1e-10)
		})
	}
}

// generatorOf returns the generator that Update would use, without moving f.
func generatorOf(f *Factor, inc Increment, o *Step) *mat.Dense {
	g, step := f.Clone(), o.resolve(0, 1)
	g.ready()
	g.load(&inc, &step)
	if _, _, err := g.target(&inc); err != nil {
		panic(err)
	}
	clip(g.x, step.MaxExponent)
	g.generator(step.Rotation, g.d)
	n := mat.NewDense(g.n, g.n, nil)
	n.Copy(mat.NewDense(g.n, g.n, g.gen.Data))
	return n
}

func TestProperty15GoldenCayley(t *testing.T) {
	for _, c := range loadGolden(t) {
		if c.Kind != "cayley" {
			continue
		}
		n := len(c.N)
		f := Identity(n, 1)
		f.ready()
		f.gen.Copy(dense.Of(fromRows(c.N).RawMatrix()))
		f.turn(0, 1)
		wantMatrix(t, "exact", f.Basis(), c.Exact, 1e-10)
		for k, want := range map[int][][]float64{1: c.Trunc["1"], 2: c.Trunc["2"], 3: c.Trunc["3"], 4: c.Trunc["4"]} {
			f := Identity(n, 1)
			f.ready()
			f.gen.Copy(dense.Of(fromRows(c.N).RawMatrix()))
			f.turn(k, 1)
			wantMatrix(t, "truncated", f.Basis(), want, 1e-10)
		}
	}
}

func TestProperty15GoldenKron(t *testing.T) {
	for i, c := range loadGolden(t) {
		if c.Kind != "kron_kl" && c.Kind != "kron_kl_logjacobi" {
			continue
		}
		t.Run(c.Kind, func(t *testing.T) {
			k := goldenKron(t, c.State)
			var x []float64
			for _, row := range c.X {
				x = append(x, row...)
			}
			for name, want := range c.Precond {
				p, err := strconv.ParseFloat(name, 64)
				if err != nil {
					t.Fatal(err)
				}
				out := make([]float64, len(x))
				k.Pow(-1/p, out, x)
				wantMatrix(t, "precond "+name, mat.NewDense(len(c.X), len(c.X[0]), out), want, 1e-10)
			}
			if rep := k.Learn([][]float64{x}, c.Beta, c.Gamma, c.Lam, goldenStep(&c)); rep.Err != nil || rep.Scaling != 1 {
				t.Fatalf("case %d: %+v", i, rep)
			}
			want := goldenKron(t, c.Next)
			wantSlice(t, "alpha", []float64{k.Alpha()}, []float64{want.Alpha()}, 1e-10)
			for j := range k.Parts() {
				wantSlice(t, "d", k.Part(j).Eigenvalues(), want.Part(j).Eigenvalues(), 1e-10)
				if e := mat.Norm(sub(k.Part(j).Basis(), want.Part(j).Basis()), 2); e > 1e-10 {
					t.Errorf("case %d: basis %d is off by %.2g", i, j, e)
				}
			}
		})
	}
}

// goldenKron reads a state in the order alpha, d_C, B_C, d_K, B_K.
func goldenKron(t *testing.T, state []json.RawMessage) *Kron {
	t.Helper()
	var alpha float64
	var d [2][]float64
	var b [2][][]float64
	for i, dst := range []any{&alpha, &d[0], &b[0], &d[1], &b[1]} {
		if err := json.Unmarshal(state[i], dst); err != nil {
			t.Fatal(err)
		}
	}
	var f [2]*Factor
	for i := range f {
		var err error
		if f[i], err = FromEigen(fromRows(b[i]), d[i]); err != nil {
			t.Fatal(err)
		}
	}
	k, err := KronOf(alpha, f[0], f[1])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sub(a, b mat.Matrix) *mat.Dense {
	var d mat.Dense
	d.Sub(a, b)
	return &d
}

// The hand-sized example of the specification: a rotation by 0.3, d = (2, 0.5), g = (1, -2), beta = 0.1, gamma = 0.9, published rule.
func TestProperty15HandSized(t *testing.T) {
	c, s := math.Cos(0.3), math.Sin(0.3)
	f, err := FromEigen(mat.NewDense(2, 2, []float64{c, -s, s, c}), []float64{2, 0.5})
	if err != nil {
		t.Fatal(err)
	}
	inc := Increment{Decay: 0.09, Vectors: mat.NewDense(2, 1, []float64{1, -2}), Weights: []float64{0.1}}
	if n := generatorOf(f, inc, &paperMode).At(0, 1); math.Abs(n-0.026790250657560122) > 1e-15 {
		t.Errorf("N_01 = %v", n)
	}
	f.Update(inc, &paperMode)
	wantSlice(t, "d", f.Eigenvalues(), []float64{1.840031630757505, 1.209625119815785}, 1e-14)
	wantMatrix(t, "S", formed(f), [][]float64{{1.8025164779021554, 0.1491388947432097}, {0.1491388947432097, 1.2471402726711351}}, 1e-14)
}
