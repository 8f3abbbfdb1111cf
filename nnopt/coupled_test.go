package nnopt

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/golden"
)

type matrixFunctions struct {
	A        [][]float64
	InvSqrt  [][]float64 `json:"inv_sqrt_expected"`
	EighL    []float64   `json:"eigh_L"`
	S        [][]float64
	Trace    []qrStep        `json:"qr_iteration_trace"`
	Tau2     json.RawMessage `json:"qr_tau_0.2"`
	Tau05    json.RawMessage `json:"qr_tau_0.05"`
	Tau01    json.RawMessage `json:"qr_tau_0.01"`
	Root2    [][]float64     `json:"inv_root_2"`
	Root4    [][]float64     `json:"inv_root_4"`
	Newton4  [][]float64     `json:"inv_root_4_newton"`
	Series4  [][]float64     `json:"inv_root_4_ho3"`
	Series43 [][]float64     `json:"inv_root_4over3_ho3 (A^-3/4)"`
	T        [][]float64
	NS5      [][]float64 `json:"ns5"`
	Polar    [][]float64 `json:"svd_orth"`
}

type qrStep struct {
	Iter int
	Est  [][]float64
	Rest float64     `json:"rel_offdiag"`
	Q    [][]float64 `json:"Q"`
}

func matrixGolden(t *testing.T) matrixFunctions {
	var g struct {
		M matrixFunctions `json:"matrix_functions"`
	}
	golden.Load(t, "distributed_shampoo.json", &g)
	return g.M
}

func momentOf(a [][]float64) *momentFactor[float64] {
	n := len(a)
	f := newMomentFactor(0, n, flat(a), make([]float64, n*n), make([]float64, n))
	f.q.At(0).Identity()
	return f
}

// power returns Q diag(values)^e Q^T.
func (f *momentFactor[T]) power(e float64) []float64 {
	out, q := make([]float64, f.n*f.n), f.q.At(0)
	for i := range f.n {
		for j := range f.n {
			for k, v := range f.values {
				out[i*f.n+j] += float64(q.At(i, k)) * math.Pow(float64(v), e) * float64(q.At(j, k))
			}
		}
	}
	return out
}

// TestMatrixFunctionsGolden compares decompositions, orthogonal iterations and the roots by all methods with stored runs of facebookresearch/optimizers.
func TestMatrixFunctionsGolden(t *testing.T) {
	g := matrixGolden(t)
	f := momentOf(g.A)
	f.refresh(1, &refreshing{})
	within(t, "eigenvalues", f.values, g.EighL, 1e-9)
	within(t, "inverse square root", f.power(-0.5), flat(g.InvSqrt), 1e-4) // the matrix is rounded to integers

	s, c, ok := engine.One(wrap(g.S)), newCoupledRoots(engine.CPU[float64](), nil, 1, 3), make([]bool, 1)
	f = momentOf(g.S)
	f.refresh(1, &refreshing{})
	within(t, "root 2", f.power(-0.5), flat(g.Root2), 1e-9)
	within(t, "root 4", f.power(-0.25), flat(g.Root4), 1e-9)
	if c.newton(s, 4, ok); !ok[0] {
		t.Error("Newton's iteration does not converge")
	}
	within(t, "coupled Newton", c.roots.Data, flat(g.Newton4), 1e-9)
	if c.series(s, 4, 1, ok); !ok[0] {
		t.Error("the series does not converge")
	}
	within(t, "series", c.roots.Data, flat(g.Series4), 1e-9)
	if c.series(s, 4, 3, ok); !ok[0] {
		t.Error("the series does not converge")
	}
	within(t, "series, power 3/4", c.roots.Data, flat(g.Series43), 1e-9)

	for _, step := range g.Trace {
		f = momentOf(g.S)
		f.refresh(1, &refreshing{qr: true, most: step.Iter})
		f.load()
		f.quotients()
		within(t, "off-diagonal part", []float64{f.rest()}, []float64{step.Rest}, 1e-9)
		sameColumns(t, f.q.At(0), step.Q)
	}
	for raw, tol := range map[*json.RawMessage]float64{&g.Tau2: 0.2, &g.Tau05: 0.05, &g.Tau01: 0.01} {
		var want struct {
			L []float64
			Q [][]float64
		}
		if err := json.Unmarshal(*raw, &want); err != nil {
			t.Fatal(err)
		}
		f = momentOf(g.S)
		f.refresh(1, &refreshing{qr: true, most: 10, tol: tol, ascending: true})
		within(t, "eigenvalues by iterations", f.values, want.L, 1e-9)
		sameColumns(t, f.q.At(0), want.Q)
	}
}

// sameColumns compares columns up to sign.
func sameColumns(t *testing.T, q dense.Matrix[float64], want [][]float64) {
	t.Helper()
	for j := range q.Cols {
		var dot float64
		for i := range q.Rows {
			dot += q.At(i, j) * want[i][j]
		}
		for i := range q.Rows {
			within(t, "column", []float64{q.At(i, j) * math.Copysign(1, dot)}, want[i][j:j+1], 1e-9)
		}
	}
}

// The orthogonalisation of Muon, five iterations and to the end, against the same file.
func TestOrthogonalisationGolden(t *testing.T) {
	g := matrixGolden(t)
	for _, c := range []struct {
		exact bool
		want  [][]float64
	}{{false, g.NS5}, {true, g.Polar}} {
		o := must(NewMuon[float64](Muon{Settings: Settings{LR: 1}, Scale: MuonPlain, Exact: c.exact}))
		w := []Block[float64]{{Name: "w", Rows: 3, Cols: 2, Value: make([]float64, 6), Grad: flat(g.T)}}
		must(0, o.Init(w))
		must(o.Step(w, StepInfo{LRScale: 1}))
		dense.Scale(-1, w[0].Value, w[0].Value)
		within(t, "orthogonal factor", w[0].Value, flat(c.want), 1e-9)
	}
}
