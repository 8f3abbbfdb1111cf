//go:build cuda && cgo && linux

package devicetest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/nnopt"
)

// shaped returns blocks of the given shapes with normal numbers.
func shaped[T nnopt.Float](r *rand.Rand, shapes ...[2]int) (all []nnopt.Block[T]) {
	for k, s := range shapes {
		b := nnopt.Block[T]{Name: fmt.Sprintf("block%d", k), Rows: s[0], Cols: s[1]}
		for range b.Len() {
			b.Value, b.Grad = append(b.Value, T(r.NormFloat64())), append(b.Grad, 0)
		}
		all = append(all, b)
	}
	return all
}

// taken takes steps with seeded gradients, the one of block quiet zero at first, and returns the products of the first one.
func taken(t *testing.T, opt nnopt.Optimizer[float64], all []nnopt.Block[float64], steps, quiet int) (products int) {
	t.Helper()
	if err := opt.Init(all); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(8, 1))
	for step := range steps {
		for k := range all {
			for i := range all[k].Grad {
				all[k].Grad[i] = r.NormFloat64() + all[k].Value[i]
				if k == quiet && step < 3 {
					all[k].Grad[i] = 0
				}
			}
		}
		before := multiplied()
		if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			products = multiplied() - before
		}
	}
	return products
}

// multiplied is how many batches of products have been computed, in graphs too: work that is that of an earlier optimizer, word for word, runs as its graph.
func multiplied() (n int) {
	for _, count := range computed() {
		n += count
	}
	return n
}

// TestEqualShapes: matrices of one size are worked on in the same calls, and go where the processor takes them one by one. A block that is frozen takes no part.
func TestEqualShapes(t *testing.T) {
	needDevice(t)
	for _, c := range []struct {
		name, options string
		products      int // of the first step
	}{
		{"muon", ``, 2 * 3 * 5},
		{"muon", `,"exact":true`, 0},
		{"spectral", ``, 0},
		{"spectral", `,"interval":2`, 0},
		{"spectral", `,"interval":3,"spread":true,"drop":true`, 0},
		{"spectral", `,"drop":true,"shaping":{"max_dim":4}`, 0},
		{"spectral", `,"shaping":{"max_dim":3,"exclude":9},"diag_vectors":true`, 0},
		{"spectral", `,"root":1,"gamma":0.9,"no_momentum":true`, 0},
		{"sirf-shampoo", ``, 0},
		{"sirf-shampoo", `,"structure":"hierarchical","sizes":[2,2],"shaping":{"max_dim":4}`, 0},
		{"sirf-shampoo", `,"structure":"upper-toeplitz","interval":2`, 0},
		{"sirf-shampoo", `,"structure":"lower-arrow-end","shaping":{"tensors":[{"match":"block[015]","shape":[3,2,9]}]}`, 0},
	} {
		t.Run(c.name+c.options, func(t *testing.T) {
			run := func(device string) ([]nnopt.Block[float64], int) {
				opt, err := nnopt.New[float64](c.name, []byte(`{"lr":0.01,"decay":0.1,"groups":[{"match":"block6","freeze":true}],"device":"`+device+`"`+c.options+`}`))
				if err != nil {
					t.Fatal(err)
				}
				all := shaped[float64](rand.New(rand.NewPCG(4, 2)), [2]int{6, 9}, [2]int{6, 9}, [2]int{9, 6}, [2]int{1, 6}, [2]int{4, 4}, [2]int{6, 9}, [2]int{6, 9})
				return all, taken(t, opt, all, 7, 1)
			}
			got, products := run("cuda")
			want, _ := run("cpu")
			compare(t, got, want, 1e-10)
			if emu.InUse() && c.products > 0 && products != c.products {
				t.Errorf("%d products, want %d", products, c.products)
			}
		})
	}
}

// TestProductsOfGroups: four equal matrices take as many calls for products as one.
func TestProductsOfGroups(t *testing.T) {
	needEmulation(t)
	for _, c := range []struct{ name, options string }{
		{"muon", ``}, {"spectral", ``}, {"spectral", `,"published":true`}, {"spectral", `,"tol":0.01,"bfloat16":true`}, {"spectral", `,"statistics":"shampoo","max_sweeps":2`}, {"soap", ``}, {"shampoo", `,"start":2`}, {"shampoo", `,"start":2,"kl":true`}, {"eshampoo", `,"start":2`},
		{"sirf-shampoo", ``}, {"sirf-shampoo", `,"structure":"hierarchical","sizes":[2,2]`}, {"sirf-shampoo", `,"structure":"upper-arrow"`}, {"sirf-shampoo", `,"structure":"lower-toeplitz"`},
	} {
		var products [2]int
		for i, count := range []int{1, 4} {
			opt, err := nnopt.New[float64](c.name, []byte(`{"device":"cuda"`+c.options+`}`))
			if err != nil {
				t.Fatal(err)
			}
			var shapes [][2]int
			for range count {
				shapes = append(shapes, [2]int{6, 9})
			}
			products[i] = taken(t, opt, shaped[float64](rand.New(rand.NewPCG(4, 2)), shapes...), 1, -1)
		}
		if products[0] == 0 || products[0] != products[1] {
			t.Errorf("%s%s: %d products for one matrix, %d for four", c.name, c.options, products[0], products[1])
		}
	}
}

// TestSharedWorkspace: further sizes of matrices cost what is kept of each, and no workspace.
func TestSharedWorkspace(t *testing.T) {
	needEmulation(t)
	var held []nnopt.Optimizer[float32] // memory that is given back in between would not be seen
	defer func() { runtime.KeepAlive(held) }()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nor may what earlier tests left be given back while memory is counted
	taken := func(all []nnopt.Block[float32]) int {
		opt, err := nnopt.New[float32]("muon", []byte(`{"device":"cuda"}`))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, opt)
		before := settled(t)
		if err := opt.Init(all); err != nil {
			t.Fatal(err)
		}
		return emu.Used() - before
	}
	all := shaped[float32](rand.New(rand.NewPCG(4, 2)), [2]int{64, 64}, [2]int{64, 60}, [2]int{56, 64}, [2]int{64, 48}, [2]int{64, 63})
	rest := 0
	for _, b := range all[1:] {
		rest += b.Len()
	}
	// Momentum and a place for the values; the sizes are close below those of pieces of memory. A workspace would be four more.
	if each := float64(taken(all)-taken(all[:1])) / float64(4*rest); each > 2.8 {
		t.Errorf("%.1f numbers for each of further matrices", each)
	}
}

// learned takes steps with seeded statistics of equal layers with biases, the last of which in every other step has fewer of them than the others, or none, unless all
// are alike. It returns the products of the first step.
func learned(t *testing.T, name, options string, layers, steps int, alike bool) (all []nnopt.Block[float64], products int) {
	t.Helper()
	opt, err := nnopt.New[float64](name, []byte(options))
	if err != nil {
		t.Fatal(err)
	}
	const rows, cols = 6, 9
	var known []nnopt.Layer
	var shapes [][2]int
	for k := range layers {
		known = append(known, nnopt.Layer{Weight: fmt.Sprintf("block%d", 2*k), Bias: fmt.Sprintf("block%d", 2*k+1)})
		shapes = append(shapes, [2]int{rows, cols}, [2]int{1, rows})
	}
	r := rand.New(rand.NewPCG(4, 2))
	all = shaped[float64](r, shapes...)
	observer := opt.(nnopt.StatsObserver[float64])
	observer.SetLayers(known)
	if err := opt.Init(all); err != nil {
		t.Fatal(err)
	}
	normal := func(rows, cols int) nnopt.Matrix[float64] {
		m := nnopt.Matrix[float64]{Rows: rows, Cols: cols, Stride: cols}
		for range rows * cols {
			m.Data = append(m.Data, r.NormFloat64())
		}
		return m
	}
	for step := range steps {
		var stats []nnopt.Stats[float64]
		for k, l := range known {
			examples := 8
			if last := k == layers-1; !alike && last && step%2 == 1 {
				examples = 4 * (step % 4 / 2)
			}
			if examples > 0 {
				stats = append(stats, nnopt.Stats[float64]{Weight: l.Weight, In: normal(2*examples, cols), Out: normal(2*examples, rows), Reps: 2})
			}
		}
		for k := range all {
			for i := range all[k].Grad {
				all[k].Grad[i] = r.NormFloat64()
			}
		}
		before := multiplied()
		if err := observer.Observe(stats); err != nil {
			t.Fatal(err)
		}
		if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			products = multiplied() - before
		}
	}
	return all, products
}

// TestEqualLayers: layers of one shape take as many calls for products as one, and go where the processor takes them one by one, also when their statistics differ in
// number.
func TestEqualLayers(t *testing.T) {
	needDevice(t)
	for _, c := range []struct{ name, options string }{
		{"singd", `"interval":1`}, {"singd", `"interval":1,"reduce":true,"input":"hierarchical","output":"lower-toeplitz","sizes":[2,2]`},
		{"singd", `"interval":1,"input":"block","output":"upper-arrow","sizes":[4,2]`}, {"ikfac", `"interval":1,"average":"sum"`},
		{"kfac", `"interval":2`}, {"kfac", `"interval":1,"model":"factors","inverse":"plain","reduce":true`}, {"kfac", `"interval":2,"inverse":"tracked"`},
	} {
		t.Run(c.name+" "+c.options, func(t *testing.T) {
			on := func(device string) string {
				return `{"lr":0.01,"decay":0.1,"device":"` + device + `",` + c.options + `}`
			}
			for _, alike := range []bool{true, false} {
				got, products := learned(t, c.name, on("cuda"), 4, 6, alike)
				want, _ := learned(t, c.name, on("cpu"), 4, 6, alike)
				compare(t, got, want, 1e-10)
				if _, one := learned(t, c.name, on("cuda"), 1, 1, true); emu.InUse() && (one == 0 || products != one) {
					t.Errorf("%d products for one layer, %d for four", one, products)
				}
			}
		})
	}
}

// TestLaunchesOfGroups: of matrices of one shape each further one takes the norm of its gradient, and the way in and out; statistics of layers, and refreshes, some calls
// more.
func TestLaunchesOfGroups(t *testing.T) {
	needEmulation(t)
	for _, c := range []struct {
		name, options string
		each          int // kernels of the first step for each matrix more
	}{
		{"muon", `,"nesterov":true`, 3}, {"spectral", ``, 3}, {"shampoo", `,"start":2,"graft":"rmsprop"`, 3}, {"eshampoo", `,"start":2`, 3}, {"soap", `,"start":2`, 6}, {"sirf-shampoo", ``, 4},
		{"singd", `,"interval":1`, 8}, {"kfac", ``, 13},
	} {
		var launches [2]int
		for i, layers := range []int{4, 8} {
			opt, err := nnopt.New[float32](c.name, []byte(`{"device":"cuda"`+c.options+`}`))
			if err != nil {
				t.Fatal(err)
			}
			rows, cols := 7+i, 9+i // not the work of before, which would run as its graph
			all := shaped[float32](rand.New(rand.NewPCG(4, 2)), slices.Repeat([][2]int{{rows, cols}}, layers)...)
			onDevice(t, all, "cuda")
			var known []nnopt.Layer
			var stats []nnopt.Stats[float32]
			for k := range all {
				all[k].Grad[k] = 1
				known = append(known, nnopt.Layer{Weight: all[k].Name})
				x := nnopt.Matrix[float32]{Rows: 1, Cols: cols, Stride: cols, Data: make([]float32, cols)}
				stats = append(stats, nnopt.Stats[float32]{Weight: all[k].Name, In: x, Out: nnopt.Matrix[float32]{Rows: 1, Cols: rows, Stride: rows, Data: make([]float32, rows)}, Reps: 1})
			}
			observer := opt.(nnopt.StatsObserver[float32])
			observer.SetLayers(known)
			if err := opt.Init(all); err != nil {
				t.Fatal(err)
			}
			before := now()
			if err := observer.Observe(stats); err != nil {
				t.Fatal(err)
			}
			if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1}); err != nil {
				t.Fatal(err)
			}
			launches[i] = before.since().kernels
		}
		if each := float64(launches[1]-launches[0]) / 4; launches[0] == 0 || each > float64(c.each) {
			t.Errorf("%s%s: %v kernels for each matrix more, want %d", c.name, c.options, each, c.each)
		}
	}
}
