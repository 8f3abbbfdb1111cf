//go:build cuda && cgo && linux

package cuda

/*
#include <cuda.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/spdopt/spdopt/cuda/internal/blas"
)

const restart = "the context is lost; restart the program from a checkpoint"

// remedies say what to do about an error.
var remedies = map[string]string{
	"CUDA_ERROR_OUT_OF_MEMORY":                  "use a smaller batch or model, or another GPU; nothing was changed",
	"CUDA_ERROR_NO_DEVICE":                      "there is no GPU, or CUDA_VISIBLE_DEVICES hides it",
	"CUDA_ERROR_DEVICE_UNAVAILABLE":             "another process has the GPU for itself; end it, or use another GPU",
	"CUDA_ERROR_INVALID_PTX":                    "install a newer driver",
	"CUDA_ERROR_UNSUPPORTED_PTX_VERSION":        "install a newer driver",
	"CUDA_ERROR_JIT_COMPILER_NOT_FOUND":         "install the whole driver: libnvidia-ptxjitcompiler.so.1 is missing",
	"CUDA_ERROR_NO_BINARY_FOR_GPU":              "use another GPU, or the processor",
	"CUDA_ERROR_SYSTEM_NOT_READY":               "start the services of the driver, such as nvidia-fabricmanager on machines with NVSwitch",
	"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH":         "the driver's library and its kernel module differ: reboot",
	"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "take the compatibility libraries of a newer CUDA out of LD_LIBRARY_PATH; this GPU does not allow them",
	"CUDA_ERROR_INVALID_HANDLE":                 "pass a stream that has not been destroyed",
	"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED":     "call this outside of the recording of a graph",
	"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED":     "call this outside of the recording of a graph",
	"CUDA_ERROR_STREAM_CAPTURE_IMPLICIT":        "call this outside of the recording of a graph",
	"CUDA_ERROR_ECC_UNCORRECTABLE":              "the memory of the GPU is damaged; restart on another one from a checkpoint",
	"CUDA_ERROR_NVLINK_UNCORRECTABLE":           "a link between GPUs is damaged; restart on another one from a checkpoint",
	"CUDA_ERROR_CONTEXT_IS_DESTROYED":           "something reset the device; restart the program from a checkpoint",
	"CUDA_ERROR_LAUNCH_TIMEOUT":                 "the GPU also drives a display and was busy for too long; restart on another one from a checkpoint",
	"CUDA_ERROR_ILLEGAL_ADDRESS":                restart,
	"CUDA_ERROR_LAUNCH_FAILED":                  restart,
	"CUDA_ERROR_ASSERT":                         restart,
	"CUDA_ERROR_HARDWARE_STACK_ERROR":           restart,
	"CUDA_ERROR_ILLEGAL_INSTRUCTION":            restart,
	"CUDA_ERROR_MISALIGNED_ADDRESS":             restart,
	"CUDA_ERROR_INVALID_ADDRESS_SPACE":          restart,
	"CUDA_ERROR_INVALID_PC":                     restart,
	"CUBLAS_STATUS_NOT_INITIALIZED":             "the GPU has too little free memory, or cuBLAS is too old or too new for the driver",
	"CUBLAS_STATUS_ALLOC_FAILED":                "use a smaller batch or model, or another GPU; nothing was changed",
	"CUBLAS_STATUS_ARCH_MISMATCH":               "this cuBLAS has no products for the GPU; let SPDOPT_LIBCUBLAS name an older one (12 for compute capability 7.0)",
}

// fatal are the errors after which every call in the context fails.
var fatal = map[string]bool{
	"CUDA_ERROR_ILLEGAL_ADDRESS": true, "CUDA_ERROR_LAUNCH_FAILED": true, "CUDA_ERROR_ECC_UNCORRECTABLE": true, "CUDA_ERROR_ASSERT": true,
	"CUDA_ERROR_HARDWARE_STACK_ERROR": true, "CUDA_ERROR_ILLEGAL_INSTRUCTION": true, "CUDA_ERROR_MISALIGNED_ADDRESS": true,
	"CUDA_ERROR_CONTEXT_IS_DESTROYED": true, "CUDA_ERROR_LAUNCH_TIMEOUT": true, "CUDA_ERROR_NVLINK_UNCORRECTABLE": true,
	"CUDA_ERROR_INVALID_ADDRESS_SPACE": true, "CUDA_ERROR_INVALID_PC": true,
}

// failure is the error of a driver call, nil for success.
func failure(op string, code C.CUresult) error {
	if code == C.CUDA_SUCCESS {
		return nil
	}
	return named(op, code)
}

// codeOf is for tests, which have no types of C.
func codeOf(code int) C.CUresult { return C.CUresult(code) }

func named(op string, code C.CUresult) error {
	var text *C.char
	name := fmt.Sprintf("CUDA error %d", int(code))
	if C.cuGetErrorName(code, &text) == C.CUDA_SUCCESS {
		name = C.GoString(text)
	}
	return &Error{op, name, remedies[name]}
}

// wrap turns an error of gorgonia.org/cu or of cuBLAS into an Error.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return classify(op, err)
}

func classify(op string, err error) error {
	var own *Error
	var status blas.Status
	var missing *blas.MissingError
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &status):
		return &Error{op, status.Error(), remedies[status.Error()]}
	case errors.As(err, &missing):
		return &Error{op, missing.Error(), ""}
	}
	// gorgonia.org/cu returns the CUresult as an unexported integer type, possibly wrapped.
	for e := err; e != nil; e = errors.Unwrap(e) {
		if v := reflect.ValueOf(e); v.Kind() == reflect.Int {
			return failure(op, C.CUresult(v.Int()))
		}
	}
	return &Error{op, err.Error(), ""}
}
