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
	"errors"
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

// call is what every entry point returns: the status of f. A panic becomes an error, because no caller in C could recover from it.
func call(f func() error) C.int {
	return status(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("cuda: internal error: %v", r)
			}
		}()
		return f()
	}())
}

// result demands a place for a result.
func result[T any](p *T, name string) error {
	if p == nil {
		return fmt.Errorf("cuda: %s is NULL", name)
	}
	return nil
}

func shapesOf(shapes *C.spd_shape, n C.int) (all []cuda.Shape, err error) {
	if n < 1 || shapes == nil {
		return nil, errors.New("cuda: there are no parameters")
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
	if o.unused != 0 {
		return cuda.SpectralOptions{}, errors.New("cuda: unused must be 0; set all options to zeros first")
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

// optimizer is what a handle stands for.
type optimizer struct {
	*cuda.Spectral
	begun bool
}

//export spd_abi
func spd_abi() C.int { return C.SPD_ABI }

//export spd_open
func spd_open(device C.int) C.int {
	return call(func() error {
		_, err := cuda.Open(int(device))
		return err
	})
}

//export spd_layout
func spd_layout(shapes *C.spd_shape, n C.int, options *C.spd_options, slots *C.spd_slot, room C.int, count *C.int, bytes *C.int64_t) C.int {
	return call(func() error {
		all, o, err := arguments(shapes, n, options)
		if err := errors.Join(err, result(count, "count"), result(bytes, "bytes")); err != nil {
			return err
		}
		have, size, err := cuda.Layout(all, o)
		if err != nil {
			return err
		}
		*count, *bytes = C.int(len(have)), C.int64_t(size)
		if slots == nil {
			return nil
		}
		out := unsafe.Slice(slots, min(max(0, int(room)), len(have)))
		for i := range out {
			s := have[i]
			out[i] = C.spd_slot{parameter: C.int64_t(s.Param), rows: C.int64_t(s.Rows), cols: C.int64_t(s.Cols), offset: C.int64_t(s.Offset)}
			for j, c := range []byte(s.Name) {
				out[i].name[j] = C.char(c)
			}
		}
		return nil
	})
}

//export spd_work_bytes
func spd_work_bytes(device C.int, shapes *C.spd_shape, n C.int, options *C.spd_options, bytes *C.int64_t) C.int {
	return call(func() error {
		all, o, err := arguments(shapes, n, options)
		if err := errors.Join(err, result(bytes, "bytes")); err != nil {
			return err
		}
		d, err := cuda.Open(int(device))
		if err != nil {
			return err
		}
		size, err := d.WorkBytes(all, o)
		*bytes = C.int64_t(size)
		return err
	})
}

//export spd_create
func spd_create(device C.int, shapes *C.spd_shape, n C.int, options *C.spd_options, state, work unsafe.Pointer, object *C.uint64_t) C.int {
	return call(func() error {
		all, o, err := arguments(shapes, n, options)
		if err := errors.Join(err, result(object, "object")); err != nil {
			return err
		}
		d, err := cuda.Open(int(device))
		if err != nil {
			return err
		}
		s, err := d.NewSpectral(all, o, uintptr(state), uintptr(work))
		if err != nil {
			return err
		}
		*object = C.uint64_t(cgo.NewHandle(&optimizer{Spectral: s}))
		return nil
	})
}

// find returns the optimizer of a handle.
func find(object C.uint64_t) (o *optimizer, err error) {
	defer func() { // what Value does for a handle that was never given out or has been deleted
		if recover() != nil {
			err = fmt.Errorf("cuda: there is no object %d; it was never made, or it was destroyed", object)
		}
	}()
	return cgo.Handle(object).Value().(*optimizer), nil
}

// with calls f with the optimizer of a handle.
func with(object C.uint64_t, f func(*optimizer) error) C.int {
	return call(func() error {
		o, err := find(object)
		if err != nil {
			return err
		}
		return f(o)
	})
}

//export spd_begin
func spd_begin(object C.uint64_t, stream unsafe.Pointer) C.int {
	return with(object, func(o *optimizer) error {
		err := o.Begin(uintptr(stream))
		o.begun = err == nil
		return err
	})
}

//export spd_resume
func spd_resume(object C.uint64_t, stream unsafe.Pointer, step C.int64_t) C.int {
	return with(object, func(o *optimizer) error {
		err := o.Resume(uintptr(stream), int(step))
		o.begun = err == nil
		return err
	})
}

//export spd_step
func spd_step(object C.uint64_t, params, grads *C.uint64_t, n C.int, stream unsafe.Pointer, lr, decay, gradScale C.double) C.int {
	return with(object, func(o *optimizer) error {
		if n < 0 || params == nil || grads == nil {
			return errors.New("cuda: no parameters or gradients")
		}
		if !o.begun {
			return errors.New("cuda: the state has no content yet; call spd_begin or spd_resume first")
		}
		addresses := func(p *C.uint64_t) []uintptr {
			return unsafe.Slice((*uintptr)(unsafe.Pointer(p)), int(n))
		}
		return o.Step(addresses(params), addresses(grads), uintptr(stream), cuda.StepInfo{LR: float64(lr), Decay: float64(decay), GradScale: float64(gradScale)})
	})
}

//export spd_steps
func spd_steps(object C.uint64_t) C.int64_t {
	steps := C.int64_t(-1)
	with(object, func(o *optimizer) error {
		steps = C.int64_t(o.Steps())
		return nil
	})
	return steps
}

//export spd_destroy
func spd_destroy(object C.uint64_t) C.int {
	return with(object, func(o *optimizer) error {
		cgo.Handle(object).Delete()
		return o.Close()
	})
}
