package nnopt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/golden"
)

// shampooGolden is testdata/golden/distributed_shampoo.json: runs of facebookresearch/optimizers.
type shampooGolden struct {
	P02 json.RawMessage `json:"P0_2d"`
	G2  json.RawMessage `json:"grads_2d"`
	P01 json.RawMessage `json:"P0_1d"`
	G1  json.RawMessage `json:"grads_1d"`
	P03 json.RawMessage `json:"P0_3d"`
	G3  json.RawMessage `json:"grads_3d"`

	Runs []struct {
		Name, Tensor string
		Params       []json.RawMessage
		EvalParams   json.RawMessage `json:"eval_params"`
		Calls        []int           `json:"eigh_calls_per_step"`
	}
}

// numbers returns the numbers of nested lists in order.
func numbers(t *testing.T, raw json.RawMessage) (all []float64) {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case float64:
			all = append(all, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return all
}

func TestShampooGolden(t *testing.T) {
	var g shampooGolden
	golden.Load(t, "distributed_shampoo.json", &g)
	options := map[string]struct{ name, json string }{
		"eshampoo_eigh_f1":                       {"eshampoo", `{}`},
		"eshampoo_eigh_f2":                       {"eshampoo", `{"interval":2,"start":2}`},
		"eshampoo_qr_f1 (SOAP)":                  {"soap", `{"library_order":true}`},
		"eshampoo_eigh_adaptive_tau0.1":          {"eshampoo", `{"tol":0.1}`},
		"eshampoo_qr_adaptive_tau0.1_maxit10":    {"soap", `{"tol":0.1,"iterations":10,"library_order":true}`},
		"eshampoo_eigh_adaptive_tau0.5":          {"eshampoo", `{"tol":0.5}`},
		"eshampoo_qr_adaptive_tau0.5_maxit10":    {"soap", `{"tol":0.5,"iterations":10,"library_order":true}`},
		"eshampoo_default_merges_3x3_to_9vector": {"eshampoo", `{"shaping":{"merge_below":1024,"order":1}}`},
		"eshampoo_1d":                            {"eshampoo", `{}`},
		"eshampoo_3d":                            {"eshampoo", `{"shaping":{"tensors":[{"match":"w","shape":[2,3,2]}]}}`},
		"eshampoo_ignore_both_dims(=AdamW)":      {"eshampoo", `{"shaping":{"exclude":1}}`},
		"shampoo_rootinv_nograft":                {"shampoo", `{"graft":"none"}`},
		"shampoo_rootinv_adamgraft_f2":           {"shampoo", `{"graft":"adam","graft_beta2":0.99,"graft_eps":1e-8,"interval":2,"start":2}`},
		"shampoo_rootinv_exponent_half":          {"shampoo", `{"graft":"none","exponents":[0.5]}`},
		"shampoo_rootinv_exp_half_trace_scaling": {"shampoo", `{"graft":"none","exponents":[0.5],"trace_scaling":true}`},
		"shampoo_eigendecomposed_qr":             {"shampoo", `{"graft":"none","qr":true,"library_order":true}`},
		"kl_shampoo_rootinv":                     {"shampoo", `{"graft":"none","kl":true,"exponents":[0.5]}`},
		"blocked_maxdim2":                        {"eshampoo", `{"shaping":{"max_dim":2}}`},
		"beta3_nadam_like":                       {"eshampoo", `{"beta3":0.81}`},
		"muon_ns5":                               {"muon", `{"scale":"plain","momentum":0.95,"eps":1e-8,"beta2":0.999}`},
		"sign_descent":                           {"sign", `{}`},
		"gpa":                                    {"averaged", `{"kind":"gpa","inner":"eshampoo","eval":0.9,"train":0.8,"options":{"eps":1e-5,"beta2":0.99}}`},
		"classic_momentum_nesterov":              {"averaged", `{"kind":"momentum","momentum":0.9,"dampening":0.1,"nesterov":true,"inner":"eshampoo","options":{"eps":1e-5,"beta2":0.99,"no_momentum":true}}`},
		"schedule_free":                          {"averaged", `{"kind":"schedule-free","inner":"eshampoo","train":0.9,"options":{"eps":1e-5,"beta2":0.99,"no_momentum":true}}`},
		"weight_decay_L2":                        {"eshampoo", `{"decay":0.1,"decay_kind":"l2"}`},
		"weight_decay_DECOUPLED":                 {"eshampoo", `{"decay":0.1}`},
		"weight_decay_CORRECTED":                 {"eshampoo", `{"decay":0.1,"decay_kind":"corrected"}`},
		"weight_decay_INDEPENDENT":               {"eshampoo", `{"decay":0.1,"decay_kind":"independent"}`},
	}
	done := 0
	for _, run := range g.Runs {
		o, ok := options[run.Name]
		if !ok {
			continue
		}
		done++
		t.Run(run.Name, func(t *testing.T) {
			var all map[string]any
			if err := json.Unmarshal([]byte(o.json), &all); err != nil {
				t.Fatal(err)
			}
			defaults := map[string]float64{"lr": 0.1, "eps": 1e-5, "decay": 0.01, "beta2": 0.99}
			if o.name == "sign" || o.name == "averaged" {
				delete(defaults, "eps")
				delete(defaults, "beta2")
			}
			for k, v := range defaults {
				if _, set := all[k]; !set {
					all[k] = v
				}
			}
			data, _ := json.Marshal(all)
			opt := must(New[float64](o.name, data))
			start, grads, rows := g.P02, g.G2, 3
			switch run.Tensor {
			case "1d":
				start, grads, rows = g.P01, g.G1, 1
			case "3d":
				start, grads, rows = g.P03, g.G3, 2
			}
			value, gs := numbers(t, start), numbers(t, grads)
			n := len(value)
			w := []Block[float64]{{Name: "w", Rows: rows, Cols: n / rows, Value: value}}
			w[0].Grad = gs[:n]
			must(0, opt.Init(w))
			for k, want := range run.Params {
				w[0].Grad = gs[k*n : (k+1)*n]
				scale := 1.0
				if strings.HasPrefix(run.Name, "weight_decay") {
					scale = []float64{0.2, 0.6, 1, 0.8, 0.5, 0.1}[k] // found from the runs themselves
				}
				if run.Name == "schedule_free" {
					scale = []float64{0.2, 0.6, 1, 1, 1, 1}[k]
				}
				must(opt.Step(w, StepInfo{LRScale: scale}))
				within(t, "params", w[0].Value, numbers(t, want), 1e-9)
			}
			if run.EvalParams != nil {
				must(0, opt.(Averager[float64]).Eval(w))
				within(t, "evaluation point", w[0].Value, numbers(t, run.EvalParams), 1e-9)
			}
		})
	}
	if done != len(options) {
		t.Errorf("%d of %d runs found", done, len(options))
	}
}

// The first step of EShampoo with a vanishing Eps is the polar factor of the gradient, whatever its scale.
func TestEShampooFirstStepIsPolar(t *testing.T) {
	o := must(NewEShampoo[float64](EShampoo{Settings: Settings{LR: 1}, Factoring: Factoring{Eps: 1e-9}}))
	const n = 6
	w := []Block[float64]{{Name: "w", Rows: n, Cols: n, Value: make([]float64, n*n), Grad: make([]float64, n*n)}}
	fill(source(31), w[0].Grad)
	must(0, o.Init(w))
	must(o.Step(w, StepInfo{LRScale: 1}))
	var g, u, p mat.Dense
	g.CloneFrom(mat.NewDense(n, n, w[0].Grad))
	u.Scale(-1, mat.NewDense(n, n, w[0].Value))
	p.Mul(u.T(), &u)
	for i := range n {
		for j := range n {
			want := 0.0
			if i == j {
				want = 1
			}
			if math.Abs(p.At(i, j)-want) > 1e-4 {
				t.Fatalf("U^T U is %v at %d, %d", p.At(i, j), i, j)
			}
		}
	}
	p.Mul(u.T(), &g) // symmetric for the polar factor
	for i := range n {
		for j := range i {
			if math.Abs(p.At(i, j)-p.At(j, i)) > 1e-4 {
				t.Fatalf("U^T G is not symmetric: %v, %v", p.At(i, j), p.At(j, i))
			}
		}
	}
}

// The roots of all methods agree over a run, each to its own accuracy.
func TestShampooRootsAgree(t *testing.T) {
	move := func(options string) []float64 {
		o := must(New[float64]("shampoo", []byte(options)))
		w := []Block[float64]{{Name: "w", Rows: 5, Cols: 7, Value: make([]float64, 35), Grad: make([]float64, 35)}}
		must(0, o.Init(w))
		run(t, o, w, 41, 12)
		return w[0].Value
	}
	for _, base := range []string{`"graft":"none","eps":0.001,"interval":2`, `"exponents":[0.5],"eps":0.001`, `"kl":true,"exponents":[0.5],"eps":0.01,"trace_scaling":true`} {
		want := move("{" + base + "}")
		for _, c := range []struct {
			options string
			tol     float64
		}{{`"roots":"newton"`, 1e-5}, {`"roots":"series"`, 1e-9}, {`"sweeps":true,"tol":1e-9,"iterations":60`, 1e-7}, {`"qr":true,"iterations":4000`, 1e-6}} {
			within(t, base+c.options, move("{"+base+","+c.options+"}"), want, c.tol)
		}
	}
}

// On gradients of rank one the pseudo-inverse moves along the gradient only, by its powers there.
func TestShampooPseudoInverse(t *testing.T) {
	o := must(NewShampoo[float64](Shampoo{Settings: Settings{LR: 1}, Factoring: Factoring{NoMomentum: true, Beta2: 1}, Graft: GraftNone, Pseudo: true}))
	w := []Block[float64]{{Name: "w", Rows: 3, Cols: 2, Value: make([]float64, 6), Grad: []float64{2, 1, 4, 2, -2, -1}}}
	must(0, o.Init(w))
	must(o.Step(w, StepInfo{LRScale: 1}))
	for i, g := range w[0].Grad { // G = u v^T of norm s: L^(-1/4) G R^(-1/4) = G/s
		within(t, "step", w[0].Value[i:i+1], []float64{-g / math.Sqrt(30)}, 1e-12)
	}
}

// Exponents that a coupled iteration cannot take are refused, and so are options that need an eigenbasis.
func TestShampooRootOptions(t *testing.T) {
	for _, text := range []string{
		`{"roots":"cubic"}`, `{"roots":"newton","exponents":[0.3]}`, `{"roots":"series","exponents":[0.7071]}`, `{"roots":"newton","qr":true}`,
		`{"roots":"series","pseudo_inverse":true}`, `{"sweeps":true,"qr":true}`,
	} {
		var o *OptionError
		if _, err := New[float64]("shampoo", []byte(text)); !errors.As(err, &o) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// With a start beyond the run a graft is the method itself.
func TestShampooGraftAlone(t *testing.T) {
	for graft, other := range map[Graft]Optimizer[float64]{
		GraftAdaGrad: must(NewAdaGrad[float64](AdaGrad{Settings: Settings{LR: 0.01}})),
		GraftSGD:     must(NewSGD[float64](SGD{Settings: Settings{LR: 0.01}, NoMomentum: true})),
		GraftRMSProp: must(NewAdamW[float64](AdamW{Settings: Settings{LR: 0.01}, Beta1: tiny, Beta2: 0.99, Eps: 1e-10, NoBiasCorrection: true})),
		GraftAdam:    must(NewAdamW[float64](AdamW{Settings: Settings{LR: 0.01}, Beta1: tiny, Eps: 1e-10})),
	} {
		o := must(NewShampoo[float64](Shampoo{Settings: Settings{LR: 0.01}, Factoring: Factoring{NoMomentum: true, Start: 1000}, Graft: graft}))
		a, b := blocksFor[float64](source(4)), blocksFor[float64](source(4))
		must(0, o.Init(a))
		must(0, other.Init(b))
		run(t, o, a, 5, 6)
		run(t, other, b, 5, 6)
		for k := range a {
			within(t, string(graft), a[k].Value, b[k].Value, 1e-12)
		}
	}
}

// Orthogonal iterations on a fixed moment reach its eigenbasis when they sort descending. Sorted ascending after each, as the library does, they start
// from the wrong end again and again.
func TestWarmQROrder(t *testing.T) {
	const n = 8
	lead := func(ascending bool) float64 {
		f := newMomentFactor(0, n, make([]float64, n*n), make([]float64, n*n), make([]float64, n))
		f.q.At(0).Identity()
		r := source(6)
		x := make([]float64, n*n)
		fill(r, x)
		for i := range n {
			for j := range n {
				for k := range n {
					f.l.Data[i*n+j] += x[i*n+k] * x[j*n+k] * math.Pow(3, float64(k))
				}
			}
		}
		for range 60 {
			f.refresh(1, &refreshing{qr: true, most: 1, ascending: ascending})
		}
		f.refresh(1, &refreshing{qr: true, ascending: ascending})
		f.quotients()
		return f.rest()
	}
	down, up := lead(false), lead(true)
	if !(down < 1e-8) {
		t.Errorf("off-diagonal part %g after 60 iterations, sorted descending", down)
	}
	if !(up > 1e3*down) {
		t.Errorf("sorted ascending %g, descending %g", up, down)
	}
}

// A moment that is not finite leaves basis and values as they were.
func TestRefreshKeepsOldOnFailure(t *testing.T) {
	for _, qr := range []bool{false, true} {
		f := newMomentFactor(0, 2, []float64{1, math.NaN(), 0, 1}, []float64{1, 0, 0, 1}, []float64{3, 4})
		if _, _, ok := f.refresh(1, &refreshing{qr: qr, most: 1}); ok {
			t.Error("refresh of a NaN succeeded")
		}
		within(t, "values", f.values, []float64{3, 4}, 0)
		within(t, "basis", f.q.Data, []float64{1, 0, 0, 1}, 0)
	}
}

// Decompositions are skipped while the basis is good enough, as often as in the library.
func TestAdaptiveRefreshCounts(t *testing.T) {
	var g shampooGolden
	golden.Load(t, "distributed_shampoo.json", &g)
	gs := numbers(t, g.G2)
	for _, run := range g.Runs {
		tol := map[string]float64{"eshampoo_eigh_adaptive_tau0.1": 0.1, "eshampoo_eigh_adaptive_tau0.5": 0.5}[run.Name]
		if tol == 0 {
			continue
		}
		p := newShampooPart[float64]([]int{3, 3}, []bool{false, false}, 1)
		p.add(&shampooBlock[float64]{}, piece{}, 0)
		p.z, p.t = make([]float64, 9), make([]float64, 9)
		r := &shampooRule[float64]{Factoring: Factoring{Beta2: 0.99}}
		for mode := range 2 {
			f := newMomentFactor[float64](mode, 3, make([]float64, 9), make([]float64, 9), nil)
			f.q.At(0).Identity()
			p.moments = append(p.moments, f)
		}
		p.reckon(p.e, nil)
		for k, want := range run.Calls {
			copy(p.z, gs[9*k:9*k+9])
			p.accept(r)
			for k, f := range p.moments {
				p.learn(r, k, f.l)
			}
			calls := 0
			for _, f := range p.moments {
				if _, decomposed, _ := f.refresh(1/r.correction(k+1), &refreshing{tol: tol, eps: 1e-5}); decomposed {
					calls++
				}
			}
			if calls != want {
				t.Errorf("%s, step %d: %d decompositions, want %d", run.Name, k+1, calls, want)
			}
		}
	}
}

// TestShampooHandCases: second steps that can be worked out on paper, with accumulated moments (Beta2 1) but for the last.
func TestShampooHandCases(t *testing.T) {
	for _, c := range []struct {
		name, options string
		rows, cols    int
		first, second []float64
		want          []float64
	}{
		{"vector", `{"beta2":1}`, 1, 2, []float64{1, 0}, []float64{0, 2}, []float64{0, 1}},
		{"vector, exponent 1", `{"beta2":1,"exponents":[1]}`, 1, 2, []float64{1, 0}, []float64{0, 2}, []float64{0, 0.5}},
		{"identities", `{"beta2":1}`, 2, 2, []float64{1, 0, 0, 1}, []float64{1, 0, 0, 1}, []float64{math.Sqrt2 / 2, 0, 0, math.Sqrt2 / 2}},
		{"scalar", `{"beta2":1}`, 1, 1, []float64{1}, []float64{2}, []float64{2 / math.Sqrt(5)}},
		{"vector, moving average", `{"beta2":0.9,"no_bias_correction":true}`, 1, 2, []float64{1, 0}, []float64{0, 2}, []float64{0, 1 / math.Sqrt(0.1)}},
	} {
		o := must(New[float64]("shampoo", []byte(`{"lr":1,"graft":"none","no_momentum":true,"eps":1e-14,`+c.options[1:])))
		w := []Block[float64]{{Name: "w", Rows: c.rows, Cols: c.cols, Value: make([]float64, len(c.first)), Grad: c.first}}
		must(0, o.Init(w))
		must(o.Step(w, StepInfo{LRScale: 1}))
		clear(w[0].Value)
		w[0].Grad = c.second
		must(o.Step(w, StepInfo{LRScale: 1}))
		for i, v := range w[0].Value {
			within(t, c.name, []float64{-v}, c.want[i:i+1], 1e-10)
		}
	}
}

// TestRefreshCriterion: what decides whether a basis is kept is ||A - Q diag(Q^T A Q) Q^T||_F/||A||_F; signs and the order of the columns of Q play no part, and
// it is zero for eigenvectors.
func TestRefreshCriterion(t *testing.T) {
	const n = 5
	r := source(21)
	a, x := dense.New[float64](n, n), dense.New[float64](n, 2*n)
	fill(r, x.Data)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, x, x, 0, a)
	rest := func(q dense.Matrix[float64]) float64 {
		f := newMomentFactor[float64](0, n, a.Data, q.Data, nil)
		f.a.Copy(a)
		f.load()
		f.quotients()
		return f.rest()
	}
	q := orthogonal(r, n)
	got := rest(q)
	var product, diagonal, back mat.Dense
	product.Mul(mat.NewDense(n, n, q.Data).T(), mat.NewDense(n, n, a.Data))
	product.Mul(&product, mat.NewDense(n, n, q.Data))
	d := mat.NewDense(n, n, nil)
	for i := range n {
		d.Set(i, i, product.At(i, i))
	}
	diagonal.Mul(mat.NewDense(n, n, q.Data), d)
	back.Mul(&diagonal, mat.NewDense(n, n, q.Data).T())
	back.Sub(mat.NewDense(n, n, a.Data), &back)
	within(t, "criterion", []float64{got}, []float64{mat.Norm(&back, 2) / mat.Norm(mat.NewDense(n, n, a.Data), 2)}, 1e-12)
	other := dense.New[float64](n, n)
	for i := range n {
		for j := range n {
			other.Set(i, (j+2)%n, q.At(i, j)*float64(1-2*(j%2)))
		}
	}
	within(t, "criterion of permuted columns with other signs", []float64{rest(other)}, []float64{got}, 1e-12)
	var e mat.EigenSym
	if !e.Factorize(mat.NewSymDense(n, a.Data), true) {
		t.Fatal("no eigenvectors")
	}
	var v mat.Dense
	e.VectorsTo(&v)
	if c := rest(dense.Wrap(n, n, v.RawMatrix().Data)); !(c < 1e-13) {
		t.Errorf("the criterion is %g for eigenvectors", c)
	}
}

// A block that is cut into pieces moves as blocks of their own do.
func TestPiecesAreIndependent(t *testing.T) {
	for name, options := range map[string]string{"eshampoo": `"interval":2`, "soap": `"interval":2`, "shampoo": `"interval":2`, "sirf-shampoo": `"interval":2`} {
		whole, parts := must(New[float64](name, []byte(`{`+options+`,"shaping":{"max_dim":4}}`))), must(New[float64](name, []byte(`{`+options+`}`)))
		w := []Block[float64]{{Name: "w", Rows: 6, Cols: 5, Value: make([]float64, 30), Grad: make([]float64, 30)}}
		pieces := (&Shaping{MaxDim: 4}).pieces("w", 6, 5)
		var own []Block[float64]
		for k, p := range pieces {
			own = append(own, Block[float64]{Name: fmt.Sprint(k), Rows: p.dims[0], Cols: p.dims[1], Value: make([]float64, p.size()), Grad: make([]float64, p.size())})
		}
		if len(own) != 4 {
			t.Fatalf("%d pieces", len(own))
		}
		must(0, whole.Init(w))
		must(0, parts.Init(own))
		r := source(3)
		for range 7 {
			fill(r, w[0].Grad)
			for k := range own {
				gather(engine.CPU[float64](), at(&pieces[k]), own[k].Len(), own[k].Grad, w[0].Grad)
			}
			must(whole.Step(w, StepInfo{LRScale: 1}))
			must(parts.Step(own, StepInfo{LRScale: 1}))
		}
		for k := range own {
			got := make([]float64, own[k].Len())
			gather(engine.CPU[float64](), at(&pieces[k]), len(got), got, w[0].Value)
			within(t, name+": piece", got, own[k].Value, 1e-12)
		}
	}
}

// at is the layout of one piece.
func at(p *piece) (l layout) {
	l.add(p, 0)
	return l
}
