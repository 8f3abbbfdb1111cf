//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// sink keeps the compiler from leaving reads out.
var sink float32

// faults says whether f touches memory that it must not touch.
func faults(f func()) (yes bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// TestMissingWait: between Defer and Wait the processor can neither read what calls write nor write what they read; the emulation stops it. Before, behind and
// beside that it can.
func TestMissingWait(t *testing.T) {
	emulated(t)
	b := newBackend[float32](device(t))
	a := arena(t, b)
	x, y, z := a.Alloc(5), a.Alloc(5), a.Alloc(5)
	x[0] = 3
	b.Defer()
	b.Blend(2, x, 0, nil, y)
	for name, f := range map[string]func(){"reading a result": func() { sink = y[0] }, "writing a result": func() { y[0] = 1 }, "writing an operand": func() { x[1] = 1 }} {
		if !faults(f) {
			t.Errorf("%s goes through", name)
		}
	}
	if faults(func() { z[0] = x[0] }) {
		t.Error("reading an operand, and writing other memory, does not go through")
	}
	b.Wait()
	if y[0] != 6 || x[1] != 0 {
		t.Errorf("2 * %v = %v", x, y)
	}
	y[0] = 1
	b.Blend(2, y, 0, nil, x)
	b.Settle()
	b.Blend(2, x, 0, nil, z) // waits by itself
	if z[0] != 4 {
		t.Errorf("z = %v", z)
	}
}

// calls is how often the emulated driver was asked for something, 0 for another.
func calls(name string) int {
	if !emu.InUse() {
		return 0
	}
	return emu.Calls(name)
}

// work is a sequence of calls like those of a step, with numbers that differ from step to step; all its memory is that of the backend, but for the
// ordinary array g.
type work[T dense.Float] struct {
	e          engine.Backend[T]
	w, m, v, p []T
	q          dense.Matrix[T]
	g          []T
}

// arena returns one that lives as long as the test, and with it the memory that it gives out.
func arena[T dense.Float](t testing.TB, e engine.Backend[T]) *engine.Arena[T] {
	a := engine.NewArena(e)
	t.Cleanup(func() { runtime.KeepAlive(a) })
	return a
}

func newWork[T dense.Float](t testing.TB, e engine.Backend[T], n int) *work[T] {
	a := arena(t, e)
	s := &work[T]{e: e, w: a.Alloc(n * n), m: a.Alloc(n * n), v: a.Alloc(n * n), p: a.Alloc(n * n), q: dense.Wrap(n, n, a.Alloc(n*n)), g: make([]T, n*n)}
	r := rand.New(rand.NewPCG(5, 5))
	for i := range s.w {
		s.w[i], s.v[i] = T(r.NormFloat64()), 1
	}
	return s
}

func (s *work[T]) step(k int) {
	n := s.q.Rows
	matrix := func(x []T) engine.Batch[T] { return engine.One(dense.Wrap(n, n, x)) }
	for i := range s.g {
		s.g[i] = T(math.Sin(float64(k + i)))
	}
	c := T(1 / float64(k+3))
	s.e.Adam(engine.Adam{Update: engine.Update{LR: 0.1 / float64(k+1), GradScale: 1}, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3, A: 1 / (1 - math.Pow(0.9, float64(k+1))), C: 1}, s.w, s.g, s.m, s.v)
	s.e.Gemm(dense.NoTrans, dense.Transposed, c, matrix(s.w), matrix(s.m), 0, engine.One(s.q))
	s.e.Gemm(dense.NoTrans, dense.NoTrans, 0.5, engine.One(s.q), matrix(s.w), c/3, matrix(s.p))
	s.e.AddSquares(1-c, c, 0.01, s.p, s.v)
	s.e.Unit(s.p, 1, 1e-8)
	s.e.Blend(1-c, s.w, c, s.p, s.w)
	for i := range s.g {
		s.g[i] = 1e9 // ordinary memory is free when a call returns
	}
}

// TestRepeatedWork: work that repeats runs as one graph from the third time on, whatever its numbers are, and gives what the processor gives.
func TestRepeatedWork(t *testing.T) {
	t.Run("float64", func(t *testing.T) { graphs[float64](t, 1e-12) })
	t.Run("float32", func(t *testing.T) { graphs[float32](t, 1e-4) })
}

func graphs[T dense.Float](t *testing.T, tol float64) {
	b := newBackend[T](device(t))
	got, want := newWork(t, b, 9), newWork(t, engine.CPU[T](), 9)
	for k := range 6 {
		kernels, graphs, waits := calls("cuLaunchKernel"), calls("cuGraphLaunch"), calls("cuStreamSynchronize")
		b.Defer()
		got.step(k)
		if n := calls("cuStreamSynchronize") - waits; n != 0 {
			t.Errorf("step %d: %d waits", k, n)
		}
		b.Settle()
		want.step(k)
		kernels, graphs = calls("cuLaunchKernel")-kernels, calls("cuGraphLaunch")-graphs
		if replayed := kernels == 0 && graphs == 1; emu.InUse() && replayed != (k >= 2) {
			t.Errorf("step %d: %d kernels, %d graphs", k, kernels, graphs)
		}
		for i, v := range want.w {
			if !(math.Abs(float64(got.w[i]-v)) <= tol*(1+math.Abs(float64(v)))) {
				t.Fatalf("step %d, element %d: %v, want %v", k, i, got.w[i], v)
			}
		}
	}
}

// TestGraphsThatCannotBe: work that cannot be recorded is done without; graphs make room for others.
func TestGraphsThatCannotBe(t *testing.T) {
	emulated(t)
	d := device(t)
	b := newBackend[float64](d)
	for _, call := range []string{"cuStreamBeginCapture", "cuGraphInstantiateWithFlags", "cuLaunchKernel"} {
		got, want := newWork(t, b, 4), newWork(t, engine.CPU[float64](), 4)
		for k := range 4 {
			if k == 1 {
				emu.Fail(call, 1, 701)
			}
			b.Defer()
			got.step(k)
			b.Settle()
			want.step(k)
			if d := math.Abs(got.w[3] - want.w[3]); !(d < 1e-12) {
				t.Errorf("%s, step %d: %v off", call, k, d)
			}
		}
	}
	x := arena(t, b).Alloc(mostGraphs + 20)
	for n := range len(x) {
		for range 2 {
			b.Defer()
			for range shortestGraph {
				b.Blend(1, x[:1], 1, x[n:n+1], x[n:n+1])
			}
			b.Settle()
		}
	}
	if len(d.graphs.known) > mostGraphs {
		t.Errorf("%d graphs are kept", len(d.graphs.known))
	}
}

// TestOrder: calls of two backends of a device, one of which waits and one of which does not, work in the order in which they are made.
func TestOrder(t *testing.T) {
	d := device(t)
	one, other := newBackend[float32](d), newBackend[float32](d)
	x := arena(t, one).Alloc(1)
	x[0] = 1
	one.Defer()
	one.Blend(3, x, 0, nil, x)
	other.AddSquares(0, 1, 1, x, x)
	if x[0] != 10 {
		t.Errorf("x = %v, want 10", x[0])
	}
	one.Blend(2, x, 0, nil, x)
	out := []float32{0}
	other.Blend(1, x, 0, nil, out)
	if out[0] != 20 {
		t.Errorf("ordinary memory holds %v, want 20", out[0])
	}
	one.Settle()
}

// TestDeferredFailures: what fails is told to the backend whose work it is, when it waits. A call that finds no memory leaves the work before it undone, which the
// device has not been given.
func TestDeferredFailures(t *testing.T) {
	emulated(t)
	d := device(t)
	b, other := newBackend[float32](d), newBackend[float32](d)
	x := arena(t, b).Alloc(4)
	attempt := func(f func()) (err error) {
		defer engine.Recover(&err)
		f()
		return nil
	}
	leave, err := d.enter()
	if err != nil {
		t.Fatal(err)
	}
	d.pool.trim()
	leave()
	before := slices.Clone(x)
	b.Defer()
	b.AddSquares(1, 0, 1, x, x)
	emu.Limit(emu.Used())
	err = attempt(func() { b.Blend(1, make([]float32, 4), 0, nil, x) })
	emu.Limit(8 << 30)
	b.Wait()
	if err == nil || !strings.Contains(err.Error(), "OUT_OF_MEMORY") || !slices.Equal(before, x) {
		t.Errorf("%v after %v, error %v", x, before, err)
	}

	b.AddSquares(1, 0, 1, x, x)
	emu.Fail("cuLaunchKernel", 1, 701)
	if err := attempt(func() { other.SumSquares([]float32{1}) }); err != nil {
		t.Errorf("another's failure: %v", err)
	}
	var failed *engine.DeviceError
	if err := attempt(b.Wait); !errors.As(err, &failed) || !strings.Contains(err.Error(), "kernel add_squares") {
		t.Errorf("an own failure: %v", err)
	}
	if err := attempt(b.Settle); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestRoomRunsOut: more numbers and more ordinary memory than there is room for at a time are waited for.
func TestRoomRunsOut(t *testing.T) {
	d := device(t)
	b := newBackend[float64](d)
	const n = 30_000
	x := arena(t, b).Alloc(n)
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	b.Defer()
	defer b.Settle()
	for k := range 9 {
		b.Blend(1, x, float64(k), ones, x)
		if k == 4 {
			d.numbers.parts[0].used = numbersBytes // as after many calls
		}
	}
	one := engine.One(dense.Wrap(1, 1, x[1:2]))
	target, none, cost := engine.One(dense.Wrap(1, 1, ones[:1])), engine.Batch[float64]{}, arena(t, b).Alloc(1)
	d.numbers.parts[0].used = numbersBytes
	b.Misfits(engine.Absolute, 1, one, none, target, none, none, cost)
	b.Wait()
	if cost[0] != 35 {
		t.Errorf("|36 - 1| = %v", cost[0])
	}
	if x[0] != 36 || x[n-1] != 36 {
		t.Errorf("%v, %v, want 36", x[0], x[n-1])
	}
}
