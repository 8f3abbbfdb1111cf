//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/nnopt"
)

// array is float32 numbers on the device.
type array struct {
	at uintptr
	n  int
}

// onDevice runs f with the device's context.
func onDevice(t *testing.T, d *Device, f func() error) {
	t.Helper()
	leave, err := d.enter()
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if err := f(); err != nil {
		t.Fatal(err)
	}
}

func allocate(t *testing.T, d *Device, bytes int) (at uintptr) {
	onDevice(t, d, func() error {
		p, err := cu.MemAlloc(int64((bytes + 255) &^ 255))
		at = uintptr(p)
		return err
	})
	t.Cleanup(func() { onDevice(t, d, func() error { return cu.MemFree(cu.DevicePtr(at)) }) })
	return at
}

func upload(t *testing.T, d *Device, a array, v []float32) {
	t.Helper()
	onDevice(t, d, func() error { return cu.MemcpyHtoD(cu.DevicePtr(a.at), unsafe.Pointer(&v[0]), int64(4*len(v))) })
}

func download(t *testing.T, d *Device, at uintptr, n int) []float32 {
	t.Helper()
	v := make([]float32, n)
	onDevice(t, d, func() error { return cu.MemcpyDtoH(unsafe.Pointer(&v[0]), cu.DevicePtr(at), int64(4*n)) })
	return v
}

// rig is a Spectral with its memory, parameters and gradients.
type rig struct {
	t             *testing.T
	d             *Device
	s             *Spectral
	shapes        []Shape
	state         array
	params, grads []array
	r             *rand.Rand
}

var rigShapes = []Shape{{40, 24}, {1, 9}, {40, 24}, {7, 12}, {40, 24}}

func newRig(t *testing.T, d *Device, o SpectralOptions) *rig {
	t.Helper()
	g := &rig{t: t, d: d, shapes: rigShapes, r: rand.New(rand.NewPCG(5, 6))}
	_, bytes, err := Layout(g.shapes, o)
	if err != nil {
		t.Fatal(err)
	}
	work, err := d.WorkBytes(g.shapes, o)
	if err != nil {
		t.Fatal(err)
	}
	g.state = array{allocate(t, d, bytes), bytes / 4}
	if g.s, err = d.NewSpectral(g.shapes, o, g.state.at, allocate(t, d, work)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range g.shapes {
		n := s.Rows * s.Cols
		p, q := array{allocate(t, d, 4*n), n}, array{allocate(t, d, 4*n), n}
		g.params, g.grads = append(g.params, p), append(g.grads, q)
		upload(t, d, p, g.normals(n))
	}
	if err := g.s.Begin(0); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *rig) normals(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.r.NormFloat64())
	}
	return v
}

func addresses(all []array) (at []uintptr) {
	for _, a := range all {
		at = append(at, a.at)
	}
	return at
}

// step takes a step with new gradients, of which columns and rows have different sizes, and returns the gradients.
func (g *rig) step(info StepInfo) (grads [][]float32) {
	g.t.Helper()
	for k, s := range g.shapes {
		v := g.normals(s.Rows * s.Cols)
		for i := range v {
			v[i] *= float32(1+i/s.Cols) / float32(1+i%s.Cols)
		}
		grads = append(grads, v)
		upload(g.t, g.d, g.grads[k], v)
	}
	if err := g.s.Step(addresses(g.params), addresses(g.grads), 0, info); err != nil {
		g.t.Fatal(err)
	}
	return grads
}

func (g *rig) values() (all []float32) {
	for _, p := range g.params {
		all = append(all, download(g.t, g.d, p.at, p.n)...)
	}
	return all
}

func furthest(a, b []float32) (d float64) {
	for i := range a {
		d = max(d, math.Abs(float64(a[i]-b[i])))
	}
	return d
}

// TestGraphs: replayed graphs give the bits of kernels that are enqueued one by one, in either order of threads, and no step waits for the device or
// allocates.
func TestGraphs(t *testing.T) {
	emulated(t)
	d := device(t)
	run := func(plain, backwards bool) []float32 {
		emu.Order(backwards)
		defer emu.Order(false)
		g := newRig(t, d, SpectralOptions{Every: 3, Precision: TF32, NoGraphs: plain})
		for range 8 {
			waits, pieces := emu.Calls("cuStreamSynchronize")+emu.Calls("cuCtxSynchronize"), emu.Calls("cuMemAlloc")
			launches := emu.Calls("cuGraphLaunch")
			g.step(StepInfo{LR: 0.1, Decay: 0.1})
			if emu.Calls("cuStreamSynchronize")+emu.Calls("cuCtxSynchronize") != waits || emu.Calls("cuMemAlloc") != pieces {
				t.Fatal("a step waits or allocates")
			}
			if !plain && emu.Calls("cuGraphLaunch") != launches+1 {
				t.Fatal("a step is not one graph")
			}
		}
		return g.values()
	}
	want := run(true, false)
	for _, c := range [][2]bool{{false, false}, {false, true}} {
		if d := furthest(run(c[0], c[1]), want); d != 0 {
			t.Errorf("%v: parameters differ by %v", c, d)
		}
	}
}

// TestStreams: steps on one stream after the other come one after the other, without a wait in between; closing waits for the last.
func TestStreams(t *testing.T) {
	d := device(t)
	run := func(several bool) []float32 {
		g := newRig(t, d, SpectralOptions{Every: 2, Precision: FP32})
		var streams [3]uintptr
		for i := range streams {
			onDevice(t, d, func() error {
				s, err := cu.MakeStream(cu.NonBlocking)
				streams[i] = uintptr(unsafe.Pointer(s.C()))
				return err
			})
		}
		onDevice(t, d, cu.Synchronize)
		for k := range 6 {
			stream := streams[0]
			if several {
				stream = streams[k%3]
			}
			if err := g.s.Step(addresses(g.params), addresses(g.params), stream, StepInfo{LR: 0.1}); err != nil {
				t.Fatal(err)
			}
		}
		onDevice(t, d, func() error {
			last := *(*cu.Stream)(unsafe.Pointer(&streams[2]))
			if !several {
				last = *(*cu.Stream)(unsafe.Pointer(&streams[0]))
			}
			return last.Synchronize()
		})
		return g.values()
	}
	if off := furthest(run(true), run(false)); off != 0 {
		t.Errorf("parameters differ by %v", off)
	}
}

// TestLongIntervals: the first steps share two graphs, with re-orthonormalisation and without, which are given back after them; later each of the four matrices has its
// own, and steps in which none has its turn share one.
func TestLongIntervals(t *testing.T) {
	emulated(t)
	const every = 20
	g := newRig(t, device(t), SpectralOptions{Every: every, Precision: FP32})
	before := emu.Calls("cuGraphInstantiateWithFlags")
	for step := range 3 * every {
		g.step(StepInfo{LR: 0.01})
		want := map[int]int{0: 1, every - 2: 2, every - 1: 0, every: 1, 2*every - 1: 5, 3*every - 1: 5}
		if n, ok := want[step]; ok && len(g.s.graphs) != n {
			t.Errorf("%d graphs after step %d, not %d", len(g.s.graphs), step, n)
		}
	}
	if n := emu.Calls("cuGraphInstantiateWithFlags") - before; n != 7 {
		t.Errorf("%d graphs were made", n)
	}
}

// TestStateGoesOn: a state that is copied and resumed goes on bit for bit, within the first interval and after it.
func TestStateGoesOn(t *testing.T) {
	d := device(t)
	for _, every := range []int{2, 7} {
		goesOn(t, d, SpectralOptions{Every: every})
	}
}

// goesOn compares nine steps with those of an optimizer that takes over after the fifth.
func goesOn(t *testing.T, d *Device, o SpectralOptions) {
	t.Helper()
	g := newRig(t, d, o)
	for range 5 {
		g.step(StepInfo{LR: 0.05})
	}
	state, values := download(t, d, g.state.at, g.state.n), g.values()
	for range 4 {
		g.step(StepInfo{LR: 0.05})
	}
	h := newRig(t, d, o)
	upload(t, d, h.state, state)
	for _, p := range h.params {
		upload(t, d, p, values[:p.n])
		values = values[p.n:]
	}
	h.r = rand.New(rand.NewPCG(5, 6))
	for _, s := range h.shapes { // the numbers that the first run drew before
		h.normals(s.Rows * s.Cols)
	}
	for range 5 {
		for _, s := range h.shapes {
			h.normals(s.Rows * s.Cols)
		}
	}
	if err := h.s.Resume(0, 5); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		h.step(StepInfo{LR: 0.05})
	}
	if d := furthest(h.values(), g.values()); d != 0 {
		t.Errorf("every %d: parameters differ by %v", o.Every, d)
	}
}

// TestFollowsTheProcessor: with an update in every step, and in the first ones of an interval, the parameters are those of nnopt.Spectral, with Drop and without, for matrices and nnopt.AdamW for vectors in float64.
// Stated tolerances after 4 steps, relative to the largest change of a parameter: 1e-5 in fp32, with the exact Cayley map and with one of
// six factors, 0.05 in tf32 and bf16, and 0.1 in bf16 where what is off the diagonal is kept and so its rounding too. The bounded angle of a pair of
// eigenvectors jumps from pi/4 to -pi/4 where their eigenvalues meet, with almost no effect on S: rounding makes different choices there sooner or later,
// in float32 about once in 10^5 pairs, which shows as a hundredth of the change of a parameter.
func TestFollowsTheProcessor(t *testing.T) {
	d := device(t)
	for _, c := range []struct {
		every     int
		precision Precision
		terms     int // of the truncated Cayley map; 0 is the exact one
		keep      bool
		tol       float64
	}{{1, FP32, 0, false, 1e-5}, {1, FP32, 6, false, 1e-5}, {1, FP32, 0, true, 1e-5}, {1, FP32, 6, true, 1e-5}, {4, FP32, 0, false, 1e-5}, {5, FP32, 6, true, 1e-5}, {1, TF32, 4, false, 0.05},
		{1, TF32, 4, true, 0.05}, {1, BF16, 4, false, 0.05}, {1, BF16, 0, false, 0.05}, {1, BF16, 4, true, 0.1}} {
		g := newRig(t, d, SpectralOptions{Every: c.every, Precision: c.precision, Exact: c.terms == 0, Terms: c.terms, Keep: c.keep, MaxNorm: 0.7})
		spectral, err1 := nnopt.NewSpectral[float64](nnopt.Spectral{Settings: nnopt.Settings{LR: 0.05, Decay: 0.1}, Interval: c.every, Drop: !c.keep})
		adam, err2 := nnopt.NewAdamW[float64](nnopt.AdamW{Settings: nnopt.Settings{LR: 0.05, Decay: 0.1}})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		var matrices, vectors []nnopt.Block[float64]
		var order []*nnopt.Block[float64]
		for k, s := range g.shapes {
			b := nnopt.Block[float64]{Name: fmt.Sprint(k), Rows: s.Rows, Cols: s.Cols, Grad: make([]float64, s.Rows*s.Cols)}
			for _, v := range download(t, d, g.params[k].at, g.params[k].n) {
				b.Value = append(b.Value, float64(v))
			}
			if s.Rows == 1 {
				vectors = append(vectors, b)
			} else {
				matrices = append(matrices, b)
			}
			order = append(order, &b)
		}
		before := g.values()
		if err := errors.Join(spectral.Init(matrices), adam.Init(vectors)); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			for k, grad := range g.step(StepInfo{LR: 0.05, Decay: 0.1, GradScale: 0.5}) {
				for i, v := range grad {
					order[k].Grad[i] = 0.5 * float64(v)
				}
			}
			_, err1 := spectral.Step(matrices, nnopt.StepInfo{LRScale: 1})
			_, err2 := adam.Step(vectors, nnopt.StepInfo{LRScale: 1})
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
		}
		got, at := g.values(), 0
		for k, b := range order {
			change, off := 0.0, 0.0
			for i, v := range b.Value {
				change = max(change, math.Abs(v-float64(before[at+i])))
				off = max(off, math.Abs(v-float64(got[at+i])))
			}
			if !(off <= c.tol*change) {
				t.Errorf("%+v, parameter %d: off by %v where the largest change is %v", c, k, off, change)
			}
			at += len(b.Value)
		}
	}
}

// TestBasesStayOrthogonal: the measured defect after 18 updates in each precision, two of them after a re-orthonormalisation.
func TestBasesStayOrthogonal(t *testing.T) {
	d := device(t)
	for _, c := range []struct {
		precision Precision
		exact     bool
		limit     float64
	}{{FP32, true, 2e-5}, {FP32, false, 1e-3}, {TF32, false, 5e-3}, {BF16, false, 2e-2}} {
		g := newRig(t, d, SpectralOptions{Every: 1, Precision: c.precision, Exact: c.exact, Beta2: 0.1})
		for range 18 {
			g.step(StepInfo{LR: 0.01})
		}
		slots, _, _ := Layout(g.shapes, SpectralOptions{Every: 1})
		for _, s := range slots {
			if !strings.HasSuffix(s.Name, "_basis") {
				continue
			}
			b, worst := download(t, d, g.state.at+uintptr(4*s.Offset), s.Rows*s.Cols), 0.0
			for i := range s.Cols {
				for j := range s.Cols {
					dot := 0.0
					for k := range s.Rows {
						dot += float64(b[k*s.Cols+i]) * float64(b[k*s.Cols+j])
					}
					if i == j {
						dot--
					}
					worst = max(worst, math.Abs(dot))
				}
			}
			if !(worst <= c.limit) {
				t.Errorf("%+v, parameter %d, %s: defect %v", c, s.Param, s.Name, worst)
			}
		}
	}
}

// TestStepRefused: what cannot be used is named, and nothing has been changed.
func TestStepRefused(t *testing.T) {
	emulated(t)
	d := device(t)
	g := newRig(t, d, SpectralOptions{Every: 1})
	g.step(StepInfo{LR: 0.1})
	before := g.values()
	other, err := Open(1)
	if err != nil {
		t.Fatal(err)
	}
	foreignMemory := allocate(t, other, 4*40*24)
	var foreignStream cu.Stream
	onDevice(t, other, func() (err error) { foreignStream, err = cu.MakeStream(cu.NonBlocking); return err })
	host := make([]float32, 40*24)
	var room staging
	var locked []byte
	onDevice(t, d, func() (err error) { locked, err = room.take(4*40*24, nil); return err })
	params, grads := addresses(g.params), addresses(g.grads)
	with := func(k int, at uintptr) []uintptr {
		all := append([]uintptr(nil), grads...)
		all[k] = at
		return all
	}
	for _, c := range []struct {
		name, want string
		grads      []uintptr
		stream     uintptr
		info       StepInfo
	}{
		{"memory of another device", "parameter 2: they are on device 1; move them to device 0", with(2, foreignMemory), 0, StepInfo{LR: 1}},
		{"memory of the host", "not in the memory of a device", with(0, uintptr(unsafe.Pointer(&host[0]))), 0, StepInfo{LR: 1}},
		{"page-locked memory of the host", "not in the memory of a device", with(0, uintptr(unsafe.Pointer(&locked[0]))), 0, StepInfo{LR: 1}},
		{"address within a number", "not aligned", with(0, grads[0]+2), 0, StepInfo{LR: 1}},
		{"stream of another device", "another device; pass a stream of device 0", grads, uintptr(unsafe.Pointer(foreignStream.C())), StepInfo{LR: 1}},
		{"too few gradients", "1 gradients where 5 belong", grads[:1], 0, StepInfo{LR: 1}},
		{"learning rate", "not NaN", grads, 0, StepInfo{LR: math.NaN()}},
	} {
		if err := g.s.Step(params, c.grads, c.stream, c.info); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for _, name := range []string{"cuLaunchKernel", "cuStreamBeginCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch"} {
		emu.Fail(name, map[string]int{"cuLaunchKernel": 4}[name]+1, 2)
		if err := g.s.Step(params, grads, 0, StepInfo{LR: 1}); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := furthest(g.values(), before); d != 0 || g.s.Steps() != 1 {
		t.Errorf("a refused step changed parameters by %v; %d steps", d, g.s.Steps())
	}
	g.step(StepInfo{LR: 0.1})
	for _, o := range []SpectralOptions{{Precision: "int8"}, {Root: -1}, {Momentum: 1}, {Every: -1}} {
		if _, _, err := Layout(g.shapes, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, _, err := Layout([]Shape{{0, 3}}, SpectralOptions{}); err == nil {
		t.Error("an empty parameter is accepted")
	}
	if _, err := d.NewSpectral(g.shapes, SpectralOptions{}, 5, 6); err == nil {
		t.Error("memory that is not aligned is accepted")
	}
	for _, at := range []uintptr{foreignMemory, uintptr(unsafe.Pointer(&locked[0]))} {
		if _, err := d.NewSpectral(g.shapes, SpectralOptions{}, at, g.state.at); err == nil || !strings.Contains(err.Error(), "the state: they are") {
			t.Errorf("memory that is not of the device is accepted: %v", err)
		}
	}
}
