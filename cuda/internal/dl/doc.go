//go:build cuda

// Package dl stands between gorgonia.org/cu and the CUDA driver: the program links without a driver library, starts on machines that have none, and
// loads the driver when it is asked to. With the build tag cudalink it is linked to libcuda.so in the ordinary way instead.
package dl

import "sync"

// NoDriver is the code of Open when no driver library can be loaded.
const NoDriver = -1

// Watch, where it is set, is told of memory of the device that work will use which the driver has not been given, and with address 0 that the driver has been given
// all such work. The emulation sets it.
var Watch func(at uintptr, written bool)

var opened = sync.OnceValues(open)

// Open loads and initialises the driver, once. The code is NoDriver or a CUresult, 0 for success; why is the loader's message.
func Open() (code int, why string) { return opened() }
