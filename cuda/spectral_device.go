//go:build cuda && cgo && linux

package cuda

/*
#include <cuda.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
)

// Spectral is nnopt.Spectral (with Drop) for parameters, gradients, state and workspace in the memory of a device: matrices of one shape are worked on together, and a
// step is one replayed graph on the caller's stream. It never waits and allocates nothing. What is no matrix takes AdamW steps.
type Spectral struct {
	d      *Device
	p      *plan
	l      *launcher
	m      memory
	state  uintptr
	work   uintptr
	step   int
	dirty  bool // bfloat16 copies and powers do not fit the state
	table  [2][]uintptr
	player *launcher // for recording, on a stream of its own
	tape   tape
	done   cu.Event // the last of the work
	graphs map[variant]C.CUgraphExec
}

// variant is what differs between the graphs of steps.
type variant struct {
	phase   int // or one of these
	restore bool
}

// variant returns that of a step.
func (p *plan) variant(step int) variant {
	every := p.o.Every
	if step < every {
		return variant{updateAll, step%restoreEvery == restoreEvery-1}
	}
	if phase := step % every; p.updates(phase) {
		return variant{phase, step/every%restoreEvery == restoreEvery-1}
	}
	return variant{phase: updateNone}
}

// Phases that are no step within an interval.
const (
	updateAll  = -1 // the first Every steps
	updateNone = -2 // steps in which no matrix has its turn, so that they share a graph
)

// WorkBytes returns the bytes of workspace that NewSpectral needs.
func (d *Device) WorkBytes(shapes []Shape, o SpectralOptions) (int, error) {
	p, err := newPlan(shapes, o)
	if err != nil {
		return 0, err
	}
	_, bytes := p.arrange(0, d.info.Capability)
	return bytes, nil
}

// NewSpectral returns the optimizer for parameters of the given shapes with state (Layout says how large) and work (WorkBytes) in device memory that the
// caller owns, aligned to 256 bytes. Begin has to follow.
func (d *Device) NewSpectral(shapes []Shape, o SpectralOptions, state, work uintptr) (*Spectral, error) {
	p, err := newPlan(shapes, o)
	if err != nil {
		return nil, err
	}
	if p.o.Precision == BF16 && d.info.Capability < narrowCapability {
		return nil, &Error{"making the optimizer", "the device has no bfloat16", "use precision fp32"}
	}
	if state == 0 || work == 0 || state%256 != 0 || work%256 != 0 {
		return nil, &Error{"making the optimizer", "state and workspace must be device memory aligned to 256 bytes", ""}
	}
	s := &Spectral{d: d, p: p, state: state, work: work, graphs: map[variant]C.CUgraphExec{}}
	s.m, _ = p.arrange(work, d.info.Capability)
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := errors.Join(d.mustHold("the state", state), d.mustHold("the workspace", work)); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open makes what the optimizer holds; the context is current.
func (s *Spectral) open() error {
	own, err := cu.MakeStream(cu.NonBlocking)
	if err != nil {
		return wrap("making a stream", err)
	}
	if s.done, err = cu.MakeEvent(cu.DisableTiming); err != nil {
		_ = own.Destroy()
		return wrap("making an event", err)
	}
	handle, err := blas.Create()
	if err != nil {
		_, _ = own.Destroy(), cu.DestroyEvent(&s.done)
		return wrap("opening cuBLAS", err)
	}
	s.l, s.player = newLauncher(handle, own, s.d.single), newLauncher(handle, own, nil)
	s.l.kind = kernelEntry
	return nil
}

// Close waits for the work of the optimizer and gives back what it holds beside the caller's memory.
func (s *Spectral) Close() error {
	leave, err := s.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	err = wrap("waiting for the optimizer", s.done.Synchronize())
	s.forgetGraphs()
	_, _ = s.player.stream.Destroy(), cu.DestroyEvent(&s.done)
	if destroyed := wrap("closing cuBLAS", s.l.blas.Destroy()); err == nil {
		err = destroyed
	}
	return s.d.failed(err)
}

func (s *Spectral) forgetGraphs() {
	for _, g := range s.graphs {
		C.cuGraphExecDestroy(g)
	}
	clear(s.graphs)
}

// Begin starts from the identity, on a stream.
func (s *Spectral) Begin(stream uintptr) error {
	return s.on(stream, func() {
		s.l.clear(s.state, 4*s.p.state)
		for i := range s.p.groups {
			g := &s.p.groups[i]
			for side := range 2 {
				n, count := g.side(side), len(g.params)
				b := view{s.at(g.basis[side]), n, n * n}
				s.l.matrix(b).float32(0).float32(1).matrix(b).int(count).int(n).each("shifted", count*n*n)
				d := view{s.at(g.eig[side]), 1, 1}
				s.l.matrix(d).float32(0).float32(1).matrix(d).int(count*n).int(1).each("shifted", count*n)
			}
		}
		s.constants()
		s.step, s.dirty = 0, true
	})
}

// Resume goes on after step steps from a state that the caller has put into the state memory.
func (s *Spectral) Resume(stream uintptr, step int) error {
	if step < 0 {
		return fmt.Errorf("cuda: %d steps", step)
	}
	return s.on(stream, func() {
		s.constants()
		s.step, s.dirty = step, true
	})
}

// Steps returns the number of steps taken.
func (s *Spectral) Steps() int { return s.step }

// at returns the address of a number of the state.
func (s *Spectral) at(offset int) uintptr { return s.state + uintptr(4*offset) }

// constants writes what the kernel of AdamW reads about its parameters.
func (s *Spectral) constants() {
	words := make([]uintptr, len(s.p.starts))
	for i, v := range s.p.starts {
		words[i] = uintptr(v)
	}
	s.words(s.m.ends, words)
	s.table = [2][]uintptr{}
}

// words writes numbers of eight bytes to the device, in the arguments of launches: nothing on the host has to last.
func (s *Spectral) words(at uintptr, v []uintptr) {
	for len(v) > 0 {
		n := min(8, len(v))
		s.l.ptr(at).int(n)
		for i := range 8 {
			if i < n {
				s.l.ptr(v[i])
			} else {
				s.l.ptr(0)
			}
		}
		s.l.launch("plan_pointers", 1, 1, 1, 32, 1)
		at, v = at+uintptr(8*n), v[n:]
	}
}

// on runs f with the launcher on the caller's stream, which must be one of the device. What it enqueues comes after the work of the calls before, on whatever stream
// they were.
func (s *Spectral) on(stream uintptr, f func()) error {
	leave, err := s.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	caller := *(*cu.Stream)(unsafe.Pointer(&stream))
	if stream != 0 {
		var ctx C.CUcontext
		if code := C.cuStreamGetCtx(C.CUstream(unsafe.Pointer(caller.C())), &ctx); code != 0 {
			return s.d.failed(failure("looking at the stream", code))
		}
		if *(*C.CUcontext)(unsafe.Pointer(&s.d.ctx)) != ctx {
			return &Error{"looking at the stream", "it belongs to another device", fmt.Sprintf("pass a stream of device %d", s.d.info.Index)}
		}
	}
	s.l.stream, s.l.count = caller, 0
	if s.l.err = wrap("waiting for the stream of the last call", caller.Wait(s.done, 0)); s.l.err == nil {
		f()
		if err := wrap("marking the end of the work", s.done.Record(caller)); s.l.err == nil {
			s.l.err = err
		}
	}
	return s.d.failed(s.l.err)
}

// Step moves the parameters by the gradients, all contiguous float32 arrays in the memory of the device, in the order of the shapes. It only enqueues work, on
// the caller's stream (0 is the default stream), after everything that can be refused has been checked: after an error nothing has been changed.
func (s *Spectral) Step(params, grads []uintptr, stream uintptr, info StepInfo) error {
	if err := s.checkStep(params, grads, &info); err != nil {
		return err
	}
	return s.on(stream, func() {
		s.numbers(&info)
		s.pointers(params, grads)
		if s.dirty {
			s.refresh()
			s.dirty = s.l.err != nil
		}
		v := s.p.variant(s.step)
		if s.p.o.NoGraphs {
			s.useBLAS(s.l.stream)
			s.enqueue(v)
		} else {
			s.replay(v)
		}
		if s.l.err == nil {
			s.step++
		}
	})
}

// restoreEvery is the number of updates of a matrix between two re-orthonormalisations of its bases.
const restoreEvery = 16

func (s *Spectral) checkStep(params, grads []uintptr, info *StepInfo) error {
	if len(params) != len(s.p.shapes) || len(grads) != len(s.p.shapes) {
		return fmt.Errorf("cuda: %d parameters and %d gradients where %d belong", len(params), len(grads), len(s.p.shapes))
	}
	for _, v := range []float64{info.LR, info.Decay, info.GradScale} {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("cuda: learning rate, decay and gradient scale must be finite and not negative, not %v", v)
		}
	}
	if info.GradScale == 0 {
		info.GradScale = 1
	}
	return s.checkPlaces(params, grads)
}

// checkPlaces demands that arrays that are new since the last step are memory of the device.
func (s *Spectral) checkPlaces(params, grads []uintptr) error {
	leave, err := s.d.enter()
	if err != nil {
		return err
	}
	defer leave()
	for side, all := range [2][]uintptr{params, grads} {
		for k, at := range all {
			if known := s.table[side]; known != nil && known[k] == at {
				continue
			}
			what := fmt.Sprintf("%s of parameter %d", [2]string{"the values", "the gradient"}[side], k)
			if err := s.d.mustHold(what, at); err != nil {
				return err
			}
			if at%4 != 0 {
				return &Error{"looking at " + what, "they are not aligned to 4 bytes", "use contiguous float32 tensors"}
			}
		}
	}
	return nil
}

// mustHold demands that an address is in the memory of the device; the context is current. Page-locked memory of the host has a device too.
func (d *Device) mustHold(what string, at uintptr) error {
	var kind C.uint
	var where C.int
	code := C.cuPointerGetAttribute(unsafe.Pointer(&kind), C.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, C.CUdeviceptr(at))
	if code == C.CUDA_SUCCESS {
		code = C.cuPointerGetAttribute(unsafe.Pointer(&where), C.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, C.CUdeviceptr(at))
	}
	switch {
	case code == C.CUDA_ERROR_INVALID_VALUE || code == C.CUDA_SUCCESS && kind == C.CU_MEMORYTYPE_HOST:
		return &Error{"looking at " + what, "they are not in the memory of a device", "move them there"}
	case code != C.CUDA_SUCCESS:
		return d.failed(failure("looking at "+what, code))
	case int(where) != d.info.Index:
		return &Error{"looking at " + what, fmt.Sprintf("they are on device %d", int(where)), fmt.Sprintf("move them to device %d", d.info.Index)}
	}
	return nil
}

func (s *Spectral) numbers(info *StepInfo) {
	o, t := &s.p.o, float64(s.step+1)
	s.l.ptr(s.m.numbers)
	for _, v := range []float64{info.LR, info.GradScale, 1 - info.LR*info.Decay, o.Momentum, 1 - o.Momentum, 1 / (1 - math.Pow(o.Momentum, t)),
		o.AdamBeta1, 1 - o.AdamBeta1, o.AdamBeta2, 1 - o.AdamBeta2, o.AdamEps, 1 / (1 - math.Pow(o.AdamBeta1, t)), 1 / (1 - math.Pow(o.AdamBeta2, t))} {
		s.l.float32(v)
	}
	s.l.launch("plan_numbers", 1, 1, 1, 32, 1)
}

// pointers tells the kernels where parameters and gradients are, where that has changed.
func (s *Spectral) pointers(params, grads []uintptr) {
	for side, all := range [2][]uintptr{params, grads} {
		changed := s.table[side] == nil
		for k := range all {
			changed = changed || s.table[side][k] != all[k]
		}
		if !changed {
			continue
		}
		for i, g := range s.p.groups {
			s.words([2]uintptr{s.m.groups[i].params, s.m.groups[i].grads}[side], pick(all, g.params))
		}
		s.words([2]uintptr{s.m.params, s.m.grads}[side], pick(all, s.p.plain))
		if s.l.err == nil {
			s.table[side] = append(s.table[side][:0], all...)
		} else {
			s.table[side] = nil
		}
	}
}

func pick(all []uintptr, which []int) []uintptr {
	out := make([]uintptr, len(which))
	for i, k := range which {
		out[i] = all[k]
	}
	return out
}

func (s *Spectral) useBLAS(stream cu.Stream) {
	if s.l.err == nil {
		s.l.err = wrap("setting the stream of cuBLAS", s.l.blas.Stream(unsafe.Pointer(stream.C()), s.m.blas, s.m.blasBytes))
	}
}

// replay launches the graph of a variant, which it records the first time.
func (s *Spectral) replay(v variant) {
	if s.l.err != nil {
		return
	}
	g, ok := s.graphs[v]
	if !ok {
		if g = s.record(v); s.l.err != nil {
			return
		}
		s.graphs[v] = g
	}
	s.l.err = failure("launching the graph of a step", C.cuGraphLaunch(g, C.CUstream(unsafe.Pointer(s.l.stream.C()))))
	if s.step+1 == s.p.o.Every {
		s.forgetGraphs() // the first steps are over
	}
}

// record makes the graph of a variant. Nothing runs meanwhile, so that a failure changes nothing. The work is written down first: a driver that loads kernels when
// they are first asked for must not do so while a stream records.
func (s *Spectral) record(v variant) (graph C.CUgraphExec) {
	s.l.tape = &s.tape
	s.enqueue(v)
	s.l.tape = nil
	if s.useBLAS(s.player.stream); s.l.err == nil {
		graph, _, s.l.err = s.d.record(s.player, &s.tape)
	}
	s.tape.clear()
	return graph
}
