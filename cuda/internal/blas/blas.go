//go:build cuda

// Package blas calls cuBLAS, which it loads at run time.
package blas

/*
#cgo CFLAGS: -I${SRCDIR}/../../include -O2
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "blas.h"
*/
import "C"

import (
	"fmt"
	"math"
	"os"
	"sync"
	"unsafe"
)

// Type is the type of elements in memory.
type Type int32

// The types.
const (
	Float32  Type = C.SPD_F32
	Float64  Type = C.SPD_F64
	BFloat16 Type = C.SPD_BF16
)

// Compute says how products are made: inputs may be rounded to tf32 (10 bits behind the leading one) or bfloat16 (7 bits), sums are float32 or float64.
type Compute int32

// The ways.
const (
	Compute32   Compute = C.SPD_COMPUTE_F32
	Compute64   Compute = C.SPD_COMPUTE_F64
	ComputeBF16 Compute = C.SPD_COMPUTE_BF16
	ComputeTF32 Compute = C.SPD_COMPUTE_TF32
)

// Status is a failure that cuBLAS reported.
type Status int

// Error names the status.
func (s Status) Error() string {
	if name, ok := map[Status]string{1: "CUBLAS_STATUS_NOT_INITIALIZED", 3: "CUBLAS_STATUS_ALLOC_FAILED", 7: "CUBLAS_STATUS_INVALID_VALUE", 8: "CUBLAS_STATUS_ARCH_MISMATCH",
		11: "CUBLAS_STATUS_MAPPING_ERROR", 13: "CUBLAS_STATUS_EXECUTION_FAILED", 14: "CUBLAS_STATUS_INTERNAL_ERROR", 15: "CUBLAS_STATUS_NOT_SUPPORTED"}[s]; ok {
		return name
	}
	return fmt.Sprintf("CUBLAS_STATUS %d", int(s))
}

func status(code C.int) error {
	if code == 0 {
		return nil
	}
	return Status(code)
}

var load = sync.OnceValue(func() error {
	own := C.CString(os.Getenv("SPDOPT_LIBCUBLAS"))
	defer C.free(unsafe.Pointer(own))
	const size = 256
	why := (*C.char)(C.calloc(size, 1))
	defer C.free(unsafe.Pointer(why))
	if C.spdBlasLoad(own, why, size) != 0 {
		return &MissingError{C.GoString(why)}
	}
	return nil
})

// MissingError says that there is no cuBLAS.
type MissingError struct{ Why string }

// Error says what to do.
func (e *MissingError) Error() string {
	return "libcublas.so.13, .12 or .11 cannot be loaded (" + e.Why + "); install the CUDA runtime libraries, or set SPDOPT_LIBCUBLAS to the file"
}

// Handle is a cuBLAS context of the current CUDA context.
type Handle struct {
	h       unsafe.Pointer
	version int
	record  *C.spdGemm
}

// Create returns a handle. It needs a current CUDA context.
func Create() (*Handle, error) {
	if err := load(); err != nil {
		return nil, err
	}
	h := &Handle{record: (*C.spdGemm)(C.calloc(1, C.sizeof_spdGemm))}
	var version C.int
	if err := status(C.spdBlasCreate(&h.h, &version)); err != nil {
		C.free(unsafe.Pointer(h.record))
		return nil, err
	}
	h.version = int(version)
	return h, nil
}

// Version is that of the library, such as 120400.
func (h *Handle) Version() int { return h.version }

// Destroy gives the handle back.
func (h *Handle) Destroy() error {
	C.free(unsafe.Pointer(h.record))
	return status(C.spdBlasDestroy(h.h))
}

// Stream makes the products that follow work on a stream (a CUstream) with a workspace of their own.
func (h *Handle) Stream(stream unsafe.Pointer, workspace uintptr, bytes int) error {
	return status(C.spdBlasStream(h.h, C.CUstream(stream), C.CUdeviceptr(workspace), C.size_t(bytes)))
}

// Operand is a batch of row-major matrices in device memory.
type Operand struct {
	At           uintptr
	Stride, Step int
}

// Product says what Gemm computes: Count times c = Alpha op(a) op(b) + Beta c, where c is Rows x Cols and the inner dimension is Inner.
type Product struct {
	TransA, TransB    bool
	Rows, Cols, Inner int
	Count             int
	Alpha, Beta       float64
	Numbers           uintptr // where Alpha and, 8 bytes later, Beta are on the device instead, in the type of the sums
	A, B, C           Operand
	Inputs, Result    Type
	Compute           Compute
}

// LimitError says that a size is beyond what this interface of cuBLAS takes.
type LimitError struct{ Size int }

// Error names the size.
func (e *LimitError) Error() string {
	return fmt.Sprintf("cuBLAS takes sizes below 2^31, not %d; work on fewer rows at a time", e.Size)
}

// Gemm enqueues products.
func (h *Handle) Gemm(p *Product) error {
	if most := max(p.Rows, p.Cols, p.Inner, p.Count, p.A.Stride, p.B.Stride, p.C.Stride); most > math.MaxInt32 {
		return &LimitError{most}
	}
	*h.record = C.spdGemm{
		ta: flag(p.TransA), tb: flag(p.TransB), rows: C.int(p.Rows), cols: C.int(p.Cols), inner: C.int(p.Inner), count: C.int(p.Count),
		alpha: C.double(p.Alpha), beta: C.double(p.Beta), numbers: C.CUdeviceptr(p.Numbers),
		a: C.CUdeviceptr(p.A.At), b: C.CUdeviceptr(p.B.At), c: C.CUdeviceptr(p.C.At),
		strideA: C.int(p.A.Stride), strideB: C.int(p.B.Stride), strideC: C.int(p.C.Stride),
		typeAB: C.int(p.Inputs), typeC: C.int(p.Result), compute: C.int(p.Compute),
		stepA: C.longlong(p.A.Step), stepB: C.longlong(p.B.Step), stepC: C.longlong(p.C.Step),
	}
	return status(C.spdBlasGemm(h.h, h.record))
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
