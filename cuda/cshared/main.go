//go:build cuda && cgo && linux

// Command cshared is the C library that spdopt.h documents.
package main

/*
#include <stdlib.h>
#define SPD_CONST // Go has no const to export
#include "spdopt.h"

void spdSetError(const char *message);
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"

	"github.com/spdopt/spdopt/cuda"
)

func main() {}

// status keeps the text of an error for spd_error and returns what a function returns.
func status(err error) C.int {
	if err == nil {
		return 0
	}
	text := C.CString(err.Error())
	C.spdSetError(text)
	C.free(unsafe.Pointer(text))
	return -1
}

// guard turns a panic into an error: no caller of C can recover from it.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("cuda: internal error: %v", r)
	}
}

func shapesOf(shapes *C.spd_shape, n C.int) (all []cuda.Shape, err error) {
	if n < 1 || shapes == nil {
		return nil, fmt.Errorf("cuda: there are no parameters")
	}
	for _, s := range unsafe.Slice(shapes, int(n)) {
		all = append(all, cuda.Shape{Rows: int(s.rows), Cols: int(s.cols)})
	}
	return all, nil
}

func optionsOf(o *C.spd_options) (cuda.SpectralOptions, error) {
	if o == nil {
		return cuda.SpectralOptions{}, nil
	}
	names := []cuda.Precision{cuda.BF16, cuda.TF32, cuda.FP32}
	if o.precision < 0 || int(o.precision) >= len(names) {
		return cuda.SpectralOptions{}, fmt.Errorf("cuda: precision %d; use 0, 1 or 2", o.precision)
	}
	return cuda.SpectralOptions{
		Precision: names[o.precision], Every: int(o.every), MaxDim: int(o.max_dim), NoGraphs: o.no_graphs != 0, Terms: int(o.terms), Exact: o.exact != 0, Keep: o.keep != 0, Root: float64(o.root), Momentum: float64(o.momentum),
		Beta2: float64(o.beta2), Damping: float64(o.damping), MaxNorm: float64(o.max_norm), AdamBeta1: float64(o.adam_beta1), AdamBeta2: float64(o.adam_beta2),
		AdamEps: float64(o.adam_eps),
	}, nil
}

func arguments(shapes *C.spd_shape, n C.int, options *C.spd_options) ([]cuda.Shape, cuda.SpectralOptions, error) {
	all, err := shapesOf(shapes, n)
	if err != nil {
		return nil, cuda.SpectralOptions{}, err
	}
	o, err := optionsOf(options)
	return all, o, err
}

//export spd_abi
func spd_abi() C.int { return C.SPD_ABI }

//export spd_open
func spd_open(device C.int) C.int {
	_, err := cuda.Open(int(device))
	return status(err)
}

//export spd_layout
func spd_layout(shapes *C.spd_shape, n C.int, options *C.spd_options, slots *C.spd_slot, room C.int, count *C.int, bytes *C.int64_t) C.int {
	all, o, err := arguments(shapes, n, options)
	if err != nil {
		return status(err)
	}
	have, size, err := cuda.Layout(all, o)
	if err != nil {
		return status(err)
	}
	*count, *bytes = C.int(len(have)), C.int64_t(size)
	if slots == nil {
		return 0
	}
	for i, out := range unsafe.Slice(slots, min(int(room), len(have))) {
		s := have[i]
		out = C.spd_slot{parameter: C.int64_t(s.Param), rows: C.int64_t(s.Rows), cols: C.int64_t(s.Cols), offset: C.int64_t(s.Offset)}
		for j, c := range []byte(s.Name) {
			out.name[j] = C.char(c)
		}
		unsafe.Slice(slots, len(have))[i] = out
	}
	return 0
}

//export spd_work_bytes
func spd_work_bytes(device C.int, shapes *C.spd_shape, n C.int, options *C.spd_options, bytes *C.int64_t) C.int {
	all, o, err := arguments(shapes, n, options)
	if err != nil {
		return status(err)
	}
	d, err := cuda.Open(int(device))
	if err != nil {
		return status(err)
	}
	size, err := d.WorkBytes(all, o)
	*bytes = C.int64_t(size)
	return status(err)
}

//export spd_create
func spd_create(device C.int, shapes *C.spd_shape, n C.int, options *C.spd_options, state, work unsafe.Pointer, object *C.uint64_t) C.int {
	all, o, err := arguments(shapes, n, options)
	if err != nil {
		return status(err)
	}
	d, err := cuda.Open(int(device))
	if err != nil {
		return status(err)
	}
	s, err := d.NewSpectral(all, o, uintptr(state), uintptr(work))
	if err != nil {
		return status(err)
	}
	*object = C.uint64_t(cgo.NewHandle(s))
	return 0
}

// with calls f with the optimizer of a handle.
func with(object C.uint64_t, f func(*cuda.Spectral) error) (err error) {
	defer guard(&err)
	if object == 0 {
		return fmt.Errorf("cuda: object 0")
	}
	s, ok := cgo.Handle(object).Value().(*cuda.Spectral)
	if !ok {
		return fmt.Errorf("cuda: object %d is no optimizer", object)
	}
	return f(s)
}

//export spd_begin
func spd_begin(object C.uint64_t, stream unsafe.Pointer) C.int {
	return status(with(object, func(s *cuda.Spectral) error { return s.Begin(uintptr(stream)) }))
}

//export spd_resume
func spd_resume(object C.uint64_t, stream unsafe.Pointer, step C.int64_t) C.int {
	return status(with(object, func(s *cuda.Spectral) error { return s.Resume(uintptr(stream), int(step)) }))
}

//export spd_step
func spd_step(object C.uint64_t, params, grads *C.uint64_t, n C.int, stream unsafe.Pointer, lr, decay, gradScale C.double) C.int {
	return status(with(object, func(s *cuda.Spectral) error {
		if n < 0 || params == nil || grads == nil {
			return fmt.Errorf("cuda: no parameters or gradients")
		}
		addresses := func(p *C.uint64_t) []uintptr {
			return unsafe.Slice((*uintptr)(unsafe.Pointer(p)), int(n))
		}
		return s.Step(addresses(params), addresses(grads), uintptr(stream), cuda.StepInfo{LR: float64(lr), Decay: float64(decay), GradScale: float64(gradScale)})
	}))
}

//export spd_steps
func spd_steps(object C.uint64_t) (steps C.int64_t) {
	_ = with(object, func(s *cuda.Spectral) error {
		steps = C.int64_t(s.Steps())
		return nil
	})
	return steps
}

//export spd_destroy
func spd_destroy(object C.uint64_t) C.int {
	return status(with(object, func(s *cuda.Spectral) error {
		cgo.Handle(object).Delete()
		return s.Close()
	}))
}
