package nnopt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/golden"
	"github.com/spdopt/spdopt/spectral"
)

// within fails unless a and b agree to tol (1 + |b|).
func within[T Float](t *testing.T, what string, a, b []T, tol float64) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s: %d elements, want %d", what, len(a), len(b))
	}
	for i := range a {
		if d := math.Abs(float64(a[i] - b[i])); !(d <= tol*(1+math.Abs(float64(b[i])))) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, a[i], b[i])
		}
	}
}

func flat(rows [][]float64) (all []float64) {
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}

func slotOf[T Float](t *testing.T, o Optimizer[T], block, name string) []T {
	t.Helper()
	for _, s := range o.State().Slots {
		if s.Block == block && s.Name == name {
			return s.Data
		}
	}
	t.Fatalf("no slot %s of %s", name, block)
	return nil
}

// kronSlots reads a golden state: alpha, d_C, B_C, d_K, B_K.
func kronSlots(t *testing.T, state []json.RawMessage) map[string][]float64 {
	t.Helper()
	var alpha float64
	var d [2][]float64
	var b [2][][]float64
	for i, dst := range []any{&alpha, &d[0], &b[0], &d[1], &b[1]} {
		if err := json.Unmarshal(state[i], dst); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]float64{"totals0": {alpha, 0}, "values0.0": d[0], "basis0.0": flat(b[0]), "values0.1": d[1], "basis0.1": flat(b[1])}
}

// The Kronecker cases with the published rule that an independent NumPy program wrote.
func TestSpectralGolden(t *testing.T) {
	var cases []struct {
		Kind             string
		Beta, Gamma, Lam float64
		State, Next      []json.RawMessage
		X                [][]float64
	}
	golden.Load(t, "spectral.json", &cases)
	found := 0
	for i, c := range cases {
		if c.Kind != "kron_kl" {
			continue
		}
		found++
		for _, root := range []float64{1, 2, 4} {
			o := must(NewSpectral[float64](Spectral{Settings: Settings{LR: 1}, Root: root, NoMomentum: true, Beta2: c.Beta, Gamma: c.Gamma, Damping: c.Lam,
				Published: true, MaxNorm: 1e300}))
			rule := o.(*stepper[float64]).rule.(*spectralRule[float64])
			rule.o.Damping = c.Lam
			m, n := len(c.X), len(c.X[0])
			w := []Block[float64]{{Name: "w", Rows: m, Cols: n, Value: make([]float64, m*n), Grad: flat(c.X)}}
			must(0, o.Init(w))
			st := o.State()
			before := kronSlots(t, c.State)
			for k := range st.Slots {
				if data, ok := before[st.Slots[k].Name]; ok {
					st.Slots[k].Data = data
				}
			}
			must(0, o.SetState(st))
			must(o.Step(w, StepInfo{LRScale: 1}))
			want := kronSlots(t, c.Next)
			for name, data := range want {
				got := slotOf(t, o, "w", name)
				if name == "totals0" {
					got, data = got[:1], data[:1]
				}
				within(t, fmt.Sprintf("case %d, root %v, %s", i, root, name), got, data, 1e-10)
			}
			k := kronOf(t, want["totals0"][0], []int{m, n}, want)
			step := make([]float64, m*n)
			k.Pow(-1/root, step, flat(c.X))
			for i := range step {
				step[i] = -step[i]
			}
			within(t, "step", w[0].Value, step, 1e-10)
		}
	}
	if found != 6 {
		t.Errorf("%d cases", found)
	}
}

func kronOf(t *testing.T, alpha float64, dims []int, slots map[string][]float64) *spectral.Kron {
	t.Helper()
	var parts []*spectral.Factor
	for i, n := range dims {
		f, err := spectral.FromEigen(mat.NewDense(n, n, slots[fmt.Sprintf("basis0.%d", i)]), slots[fmt.Sprintf("values0.%d", i)])
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, f)
	}
	k, err := spectral.KronOf(alpha, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Matrices and tensors move as spectral.Kron does, over many steps, when what a rotation leaves is dropped.
func TestSpectralIsKron(t *testing.T) {
	for _, dims := range [][]int{{6, 9}, {3, 4, 5}, {12}, {2, 3, 2, 4}} {
		t.Run(fmt.Sprint(dims), func(t *testing.T) { spectralIsKron(t, dims) })
	}
}

func spectralIsKron(t *testing.T, dims []int) {
	n := product(dims)
	const beta, damping = 0.05, 0.01
	tol := 1e-8
	if len(dims) == 1 {
		tol = 1e-6 // the ties of a vector's first statistics magnify rounding
	}
	o := must(NewSpectral[float64](Spectral{Settings: Settings{LR: 1}, NoMomentum: true, Beta2: beta, Damping: damping, Drop: true,
		Shaping: Shaping{Order: len(dims), Tensors: []Tensor{{"w", dims}}}}))
	w := []Block[float64]{{Name: "w", Rows: dims[0], Cols: n / dims[0], Value: make([]float64, n), Grad: make([]float64, n)}}
	must(0, o.Init(w))
	r := source(uint64(n))
	fill(r, w[0].Grad)
	k := spectral.NewKron(dense.Dot(w[0].Grad, w[0].Grad)/float64(n)+damping, dims...)
	for update := 1; update <= 40; update++ {
		clear(w[0].Value)
		must(o.Step(w, StepInfo{LRScale: 1}))
		k.Learn([][]float64{w[0].Grad}, beta/(1-math.Pow(1-beta, float64(update)+1)), 1, damping, nil)
		step := make([]float64, n)
		k.Pow(-0.5, step, w[0].Grad)
		for i := range step {
			step[i] = -step[i]
		}
		within(t, fmt.Sprintf("update %d", update), w[0].Value, step, tol)
		fill(r, w[0].Grad)
	}
}

// With root 2 the steps do not depend on the unit of the loss, and a transposed problem has the transposed solution.
func TestSpectralInvariances(t *testing.T) {
	const m, n = 5, 8
	run := func(scale float64, transposed bool) []float64 {
		o := must(NewSpectral[float64](Spectral{Damping: 1e-40}))
		w := []Block[float64]{{Name: "w", Rows: m, Cols: n, Value: make([]float64, m*n), Grad: make([]float64, m*n)}}
		if transposed {
			w[0].Rows, w[0].Cols = n, m
		}
		must(0, o.Init(w))
		r := source(21)
		g, gt := make([]float64, m*n), make([]float64, m*n)
		for range 30 {
			fill(r, g)
			dense.Transpose(dense.Wrap(n, m, gt), dense.Wrap(m, n, g))
			from := g
			if transposed {
				from = gt
			}
			dense.Scale(scale, from, w[0].Grad)
			must(o.Step(w, StepInfo{LRScale: 1}))
		}
		if !transposed {
			return w[0].Value
		}
		back := make([]float64, m*n)
		dense.Transpose(dense.Wrap(m, n, back), dense.Wrap(n, m, w[0].Value))
		return back
	}
	base := run(1, false)
	within(t, "gradients times 1000", run(1000, false), base, 1e-10)
	within(t, "transposed", run(1, true), base, 1e-10)
}

// With the batch size, root-free steps on the mean gradient tend to those of Newton's method on a fixed gradient: g/(B g^2).
func TestSpectralRootFree(t *testing.T) {
	o := must(NewSpectral[float64](Spectral{Settings: Settings{LR: 1}, Root: 1, NoMomentum: true, Damping: 1e-12, Beta2: 0.1, DiagVectors: true}))
	w := []Block[float64]{{Name: "w", Rows: 1, Cols: 3, Value: make([]float64, 3), Grad: []float64{2, -0.5, 0.01}}}
	must(0, o.Init(w))
	for range 200 {
		clear(w[0].Value)
		must(o.Step(w, StepInfo{LRScale: 1, BatchSize: 32}))
	}
	within(t, "step", w[0].Value, []float64{-1. / 64, 1. / 16, -100. / 32}, 1e-6)
}

// An excluded dimension leaves the factor of the other.
func TestSpectralExcluded(t *testing.T) {
	w := []Block[float64]{{Name: "w", Rows: 6, Cols: 5, Value: make([]float64, 30), Grad: make([]float64, 30)}}
	excluded := must(NewSpectral[float64](Spectral{Shaping: Shaping{Exclude: 6}}))
	must(0, excluded.Init(w))
	if names := excluded.State().Slots; len(names) != 5 || names[2].Name != "basis0.1" {
		t.Errorf("slots with an excluded dimension: %d", len(names))
	}
	fill(source(3), w[0].Grad)
	must(excluded.Step(w, StepInfo{LRScale: 1}))
}

// Sweeps by residual follow a fixed target to its eigenbasis, and stop there.
func TestSpectralAdaptiveSweeps(t *testing.T) {
	const n = 12
	r := source(9)
	a := dense.New[float64](n, n)
	g := make([]float64, n*2*n)
	fill(r, g)
	x := dense.Wrap(n, 2*n, g)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, x, 0, a)
	dense.Mirror(a)
	f := newEigenFactor(make([]float64, n*n), make([]float64, n), make([]float64, n*n))
	f.bind(newTurnWork[float64](nil, n, dense.CayleyWork(n)))
	f.b.Identity()
	for i := range f.d {
		f.d[i] = 1
	}
	f.m.Copy(a)
	for i := range f.d {
		f.x[i] = a.At(i, i) - 1
	}
	sweeps := f.follow(&turning{maxNorm: 0.7, tol: 1e-9, sweeps: 30}, nil)
	if sweeps < 3 || sweeps > 20 {
		t.Errorf("%d sweeps", sweeps)
	}
	want := dense.New[float64](n, n)
	for i := range n {
		for j := range n {
			for k, d := range f.d {
				want.Data[i*n+j] += f.b.At(i, k) * d * f.b.At(j, k)
			}
		}
	}
	within(t, "B d B^T", want.Data, a.Data, 1e-8)
	f.restore()
	if again := f.follow(&turning{maxNorm: 0.7, tol: 1e-6, sweeps: 30}, nil); again != 0 {
		t.Errorf("%d sweeps on a diagonal target", again)
	}
}

// Over 3000 steps in float32 the bases stay orthogonal to rounding and the values positive.
func TestSpectralDrift(t *testing.T) {
	o := must(NewSpectral[float32](Spectral{}))
	w := []Block[float32]{{Name: "w", Rows: 24, Cols: 16, Value: make([]float32, 24*16), Grad: make([]float32, 24*16)}}
	must(0, o.Init(w))
	run(t, o, w, 77, 3000)
	b := dense.Wrap(24, 24, slotOf(t, o, "w", "basis0.0"))
	e := dense.New[float32](24, 24)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, b, b, 0, e)
	for i := range 24 {
		for j := range 24 {
			want := float32(0)
			if i == j {
				want = 1
			}
			if d := e.At(i, j) - want; d > 3e-5 || d < -3e-5 {
				t.Fatalf("defect %g at %d, %d", d, i, j)
			}
		}
	}
	var logs float64
	for _, v := range slotOf(t, o, "w", "values0.0") {
		if !(v > 0) {
			t.Fatalf("eigenvalue %v", v)
		}
		logs += math.Log(float64(v))
	}
	if math.Abs(logs) > 1e-4 {
		t.Errorf("log-determinant %g", logs)
	}
}

// apart returns how far the ways of a and b from the blocks of source 30 end from each other, as a share of that of a.
func apart(a, b []Block[float32]) float64 {
	start := blocksFor[float32](source(30))
	var off, moved float64
	for k := range a {
		for i, v := range a[k].Value {
			off += math.Pow(float64(v-b[k].Value[i]), 2)
			moved += math.Pow(float64(v-start[k].Value[i]), 2)
		}
	}
	return math.Sqrt(off / moved)
}

// With momentum and couplings in bfloat16 the way of 60 steps differs by about a percent.
func TestSpectralBFloat16(t *testing.T) {
	wide, narrow := blocksFor[float32](source(30)), blocksFor[float32](source(30))
	a, b := must(NewSpectral[float32](Spectral{Interval: 3})), must(NewSpectral[float32](Spectral{Interval: 3, BFloat16: true}))
	must(0, a.Init(wide))
	must(0, b.Init(narrow))
	run(t, a, wide, 31, 60)
	run(t, b, narrow, 31, 60)
	if share := apart(wide, narrow); !(share > 0 && share < 2e-2) {
		t.Errorf("the ways differ by a share of %v", share)
	}
	for _, s := range b.(*stepper[float32]).blocks[3].slots {
		if narrow := s.Name == "momentum" || strings.HasPrefix(s.Name, "coupling"); narrow != (s.Data == nil) {
			t.Errorf("slot %s holds %d elements of four bytes", s.Name, len(s.Data))
		}
	}
	if n := allocs.PerRun(20, func() { must(b.Step(narrow, StepInfo{LRScale: 1})) }); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
}

// followed runs plain statistics on 6 x 9 gradients and returns B M B^T for the rows, the moving average of G G^T/n that it should be, M, and B.
func followed[T Float](o Spectral, steps int) (s, average, c, b dense.Matrix[float64]) {
	const m, n, beta = 6, 9, 0.05
	o.Statistics, o.Beta2, o.Damping = ShampooStatistics, beta, 1e-30
	opt := must(NewSpectral[T](o))
	w := []Block[T]{{Name: "w", Rows: m, Cols: n, Value: make([]T, m*n), Grad: make([]T, m*n)}}
	must(0, opt.Init(w))
	r := source(8)
	g := dense.New[float64](m, n)
	average, s = dense.New[float64](m, m), dense.New[float64](m, m)
	for step := 1; step <= steps; step++ {
		fill(r, g.Data)
		for i := range m {
			dense.Scale(float64(1+i*i), g.Row(i), g.Row(i))
		}
		for i, v := range g.Data {
			w[0].Grad[i] = T(v)
			g.Data[i] = float64(w[0].Grad[i])
		}
		if step == 1 {
			average.Identity()
			dense.Scale(dense.Dot(g.Data, g.Data)/(m*n), average.Data, average.Data)
		}
		weight := beta / (1 - math.Pow(1-beta, float64(step)+1))
		dense.Gemm(dense.NoTrans, dense.Transposed, weight/n, g, g, 1-weight, average)
		must(opt.Step(w, StepInfo{LRScale: 1}))
	}
	slot := func(name string) dense.Matrix[float64] {
		x := dense.New[float64](m, m)
		for _, q := range opt.State().Slots {
			if q.Name == name {
				for i, v := range q.Data {
					x.Data[i] = float64(v)
				}
			}
		}
		return x
	}
	b, c = slot("basis0.0"), slot("coupling0.0")
	dense.Mirror(c)
	half := dense.New[float64](m, m)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, b, c, 0, half)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, half, b, 0, s)
	return s, average, c, b
}

// Plain statistics are the exact moving averages whatever the rotations do: B M B^T is that of G G^T/n over thousands of steps, the basis comes near its
// eigenvectors, and bases stay orthogonal.
func TestSpectralFollowsExactAverage(t *testing.T) {
	s, average, c, _ := followed[float64](Spectral{Interval: 4}, 2000)
	within(t, "S", s.Data, average.Data, 1e-10)
	for i := range c.Rows {
		for j := range i {
			if v := math.Abs(c.At(i, j)) / math.Sqrt(c.At(i, i)*c.At(j, j)); v > 0.6 {
				t.Errorf("coupling %v of eigenvectors %d and %d", v, i, j)
			}
		}
	}
}

// With products of operands in bfloat16 S is the moving average of statistics whose rows and columns carry relative errors of a few units 2^-8 each, after
// thousands of steps no more than after a few, and the bases are as orthogonal as without.
func TestSpectralRoundedProducts(t *testing.T) {
	for _, steps := range []int{20, 2000} {
		for _, interval := range []int{1, 10} {
			o := Spectral{Interval: interval, Products: ProductsBFloat16}
			s, average, _, _ := followed[float64](o, steps)
			checkRoundedAverage(t, s, average)
			s, average, _, b := followed[float32](o, steps)
			checkRoundedAverage(t, s, average)
			defect := dense.New[float64](b.Rows, b.Rows)
			defect.Identity()
			dense.Gemm(dense.Transposed, dense.NoTrans, -1, b, b, 1, defect)
			if d := math.Sqrt(dense.Dot(defect.Data, defect.Data)); !(d < 2e-5) {
				t.Errorf("defect %g after %d steps", d, steps)
			}
		}
	}
}

func checkRoundedAverage(t *testing.T, s, average dense.Matrix[float64]) {
	t.Helper()
	const unit = 0x1p-8
	var off float64
	for i := range s.Rows {
		for j := range s.Rows {
			d := math.Abs(s.At(i, j) - average.At(i, j))
			off += d
			// rotating there and back mixes the rows: an error is relative to the largest of them
			if limit := 8 * unit * average.At(s.Rows-1, s.Rows-1); !(d <= limit) {
				t.Errorf("element (%d, %d) is %v, want %v within %g", i, j, s.At(i, j), average.At(i, j), limit)
			}
		}
	}
	if off == 0 {
		t.Error("nothing was rounded")
	}
}

// The steps with rounded products are those without, but for a few per cent of their way; nothing is allocated.
func TestSpectralRoundedSteps(t *testing.T) {
	full, fast := blocksFor[float32](source(30)), blocksFor[float32](source(30))
	a, b := must(NewSpectral[float32](Spectral{Interval: 3})), must(NewSpectral[float32](Spectral{Interval: 3, Products: ProductsBFloat16, BFloat16: true}))
	must(0, a.Init(full))
	must(0, b.Init(fast))
	run(t, a, full, 31, 60)
	run(t, b, fast, 31, 60)
	if share := apart(full, fast); !(share > 1e-4 && share < 6e-2) {
		t.Errorf("the ways differ by a share of %v", share)
	}
	if n := allocs.PerRun(20, func() { must(b.Step(fast, StepInfo{LRScale: 1})) }); n != 0 {
		t.Errorf("%v allocations per step", n)
	}
	for _, bad := range []string{`{"products":"float16"}`, `{"products":"bfloat16","device":"cuda"}`} {
		var o *OptionError
		if _, err := New[float32]("spectral", []byte(bad)); !errors.As(err, &o) || o.Option != "products" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestMergeDims(t *testing.T) {
	for _, c := range []struct {
		shape        []int
		limit, order int
		want         []int
	}{
		{[]int{1, 2, 5, 1}, 10, 1, []int{10}}, {[]int{1, 2, 5, 1}, 1, 1, []int{2, 5}}, {[]int{8, 3, 3, 3}, 1024, 1, []int{216}},
		{[]int{8, 3, 3, 3}, 27, 1, []int{8, 27}}, {[]int{8, 3, 3, 3}, 1024, 2, []int{8, 27}}, {[]int{64, 3, 7, 7}, 1024, 2, []int{64, 147}},
		{[]int{5}, 10, 1, []int{5}}, {[]int{1}, 4, 1, []int{1}}, {[]int{2, 3, 4, 5}, 20, 1, []int{6, 20}},
	} {
		if got := mergeDims(c.shape, c.limit, c.order); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%v within %d: %v, want %v", c.shape, c.limit, got, c.want)
		}
	}
}

// Plain statistics of gradients that are diagonal need no rotation: the eigenvalues are the moving averages, and the power is shared by the factors.
func TestSpectralShampooStatistics(t *testing.T) {
	const n, beta = 4, 0.1
	o := must(NewSpectral[float64](Spectral{Settings: Settings{LR: 1}, Statistics: ShampooStatistics, NoMomentum: true, Beta2: beta, Damping: 1e-30}))
	w := []Block[float64]{{Name: "w", Rows: n, Cols: n, Value: make([]float64, n*n), Grad: make([]float64, n*n)}}
	must(0, o.Init(w))
	r := source(13)
	want := make([]float64, n)
	for step := 1; step <= 10; step++ {
		var sum float64
		for i := range n {
			g := r.NormFloat64()
			w[0].Grad[i*n+i] = g
			sum += g * g
		}
		weight := beta / (1 - math.Pow(1-beta, float64(step)+1))
		for i := range want {
			if step == 1 {
				want[i] = sum / (n * n)
			}
			g := w[0].Grad[i*n+i]
			want[i] += weight * (g*g/n - want[i])
		}
		clear(w[0].Value)
		must(o.Step(w, StepInfo{LRScale: 1}))
	}
	within(t, "values", slotOf(t, o, "w", "values0.0"), want, 1e-12)
	for i, d := range want {
		within(t, "step", w[0].Value[i*n+i:i*n+i+1], []float64{-w[0].Grad[i*n+i] / math.Sqrt(d)}, 1e-12)
	}
}
