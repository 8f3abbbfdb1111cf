// Package cuda computes on NVIDIA GPUs: it is the backend of internal/engine for the device name "cuda" ("cuda:1" for the second GPU), which
// nnopt, its networks and roots compute on, and Spectral is the preconditioner of nnopt for parameters that live on a device, which cuda/cshared hands to
// other programs.
//
// It is built in with -tags cuda on Linux with cgo; the header that gorgonia.org/cu needs is our own:
//
//	CGO_CFLAGS="-O2 -g -I$(go list -f '{{.Dir}}' github.com/spdopt/spdopt/cuda)/include" go build -tags cuda ./...
//
// No NVIDIA package is needed to build. The program starts without a driver; Open loads libcuda.so.1 (SPDOPT_LIBCUDA names another file) and
// libcublas.so.13, .12 or .11 (SPDOPT_LIBCUBLAS). A driver of CUDA 11.8 or newer and a GPU of compute capability 7.0 or newer are needed.
//
// It was run on an H100 (docs/measured/gpu.md); the tests run it on an emulated driver (cuda/internal/emu).
package cuda

import (
	"errors"
	"fmt"
)

// ErrNotBuilt is what Open returns from a program that was built without the tag cuda.
var ErrNotBuilt = errors.New("cuda: not built in (go build -tags cuda)")

// Error is a failure of the driver or of cuBLAS.
type Error struct {
	Op     string // what was being done
	Name   string // name of the error, such as CUDA_ERROR_OUT_OF_MEMORY
	Remedy string // what to do about it; may be empty
}

// Error joins operation, name and remedy.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return fmt.Sprintf("cuda: %s: %s", e.Op, e.Name)
	}
	return fmt.Sprintf("cuda: %s: %s; %s", e.Op, e.Name, e.Remedy)
}

// Info describes a device.
type Info struct {
	Name       string
	Index      int
	Capability int // compute capability times ten
	Memory     int // bytes
	Driver     int // version of CUDA that the driver supports, such as 12040
	BLAS       int // version of cuBLAS, such as 120400
}

// String names the product, its memory and the versions in use.
func (i Info) String() string {
	return fmt.Sprintf("%s, compute capability %d.%d, %.3g GB, driver for CUDA %s, cuBLAS %d.%d", i.Name, i.Capability/10, i.Capability%10, float64(i.Memory)/1e9,
		version(i.Driver), i.BLAS/10000, i.BLAS%10000/100)
}

// version is a version of CUDA as it is written.
func version(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// OldestDriver is the least version of CUDA that a driver must support, that of the compiler of the kernels.
const OldestDriver = 11080
