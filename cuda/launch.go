//go:build cuda && cgo && linux

package cuda

/*
#include <cuda.h>

enum { most_slots = 32 };

// A launch of gorgonia.org/cu writes Go pointers into memory of malloc that was never set; the write barrier of a collection takes what was there for a pointer.
static CUresult launch_slots(CUfunction f, unsigned x, unsigned y, unsigned z, unsigned columns, unsigned rows, CUstream stream, unsigned long long *slots, int n) {
	void *at[most_slots];
	for (int i = 0; i < n; i++) {
		at[i] = &slots[i];
	}
	return cuLaunchKernel(f, x, y, z, columns, rows, 1, 0, stream, at, 0);
}
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
)

// maxArgs is the largest number of parameters of a kernel.
const maxArgs = C.most_slots

// launcher enqueues kernels and products on one stream. The arguments of a launch are slots of eight bytes. The first failure is
// kept and ends all further work.
type launcher struct {
	blas   *blas.Handle
	stream cu.Stream
	module *module
	slots  [maxArgs]uint64
	count  int
	gemm   blas.Product
	err    error

	tape *tape                                // where work is written down instead of being enqueued, or nil
	kind uint64                               // of kernels there
	room func(n int) ([]byte, uintptr, error) // for numbers on the device, with tape; nil where all numbers stay the same
}

func newLauncher(handle *blas.Handle, stream cu.Stream, m *module) *launcher {
	return &launcher{blas: handle, stream: stream, module: m}
}

func (l *launcher) slot(v uint64) *launcher {
	l.slots[l.count] = v
	l.count++
	return l
}

func (l *launcher) ptr(v uintptr) *launcher     { return l.slot(uint64(v)) }
func (l *launcher) int(v int) *launcher         { return l.slot(uint64(v)) }
func (l *launcher) float32(v float64) *launcher { return l.slot(uint64(math.Float32bits(float32(v)))) }
func (l *launcher) float64(v float64) *launcher { return l.slot(math.Float64bits(v)) }
func (l *launcher) matrix(v view) *launcher     { return l.ptr(v.at).int(v.stride).int(v.step) }

// operand passes the address of an array that a kernel takes in either form: as bfloat16, or as the numbers of its module.
func (l *launcher) operand(at uintptr, narrow bool) *launcher {
	if narrow {
		return l.ptr(0).ptr(at)
	}
	return l.ptr(at).ptr(0)
}

// either passes matrices in the same way.
func (l *launcher) either(v view, narrow bool) *launcher {
	return l.operand(v.at, narrow).int(v.stride).int(v.step)
}

func (l *launcher) flag(v bool) *launcher {
	if v {
		return l.slot(1)
	}
	return l.slot(0)
}

// view is a batch of matrices in device memory, in elements.
type view struct {
	at           uintptr
	stride, step int
}

// launch enqueues the kernel with the arguments given since the last launch.
func (l *launcher) launch(name string, gridX, gridY, gridZ, blockX, blockY int) {
	n := l.count
	l.count = 0
	if l.err != nil || gridX == 0 || gridY == 0 || gridZ == 0 {
		return
	}
	number, err := l.module.number(name)
	if err != nil {
		l.err = err
		return
	}
	grid, block := [3]int{gridX, gridY, gridZ}, [2]int{blockX, blockY}
	if l.tape != nil {
		l.tape.addKernel(l.kind, number, grid, block, l.slots[:n])
		return
	}
	l.start(number, grid, block, n)
}

// Limits of a grid on every GPU: of its first dimension, and of the others. Kernels that walk over lines or layers of blocks take any number of them.
const mostGridX = 1<<31 - 1

var mostGrid = 1<<16 - 1 // a variable for tests

// start enqueues a kernel by its number, with the first n slots.
func (l *launcher) start(number int, grid [3]int, block [2]int, n int) {
	k := &l.module.kernels[number]
	if grid[0] > mostGridX || max(grid[1], grid[2]) > mostGrid {
		l.err = &Error{"kernel " + k.name, fmt.Sprintf("%d x %d x %d blocks are more than a launch can have", grid[0], grid[1], grid[2]), "work on fewer matrices or rows at a time"}
		return
	}
	code := C.launch_slots(*(*C.CUfunction)(unsafe.Pointer(&k.function)), C.uint(grid[0]), C.uint(grid[1]), C.uint(grid[2]), C.uint(block[0]), C.uint(block[1]),
		C.CUstream(unsafe.Pointer(l.stream.C())), (*C.ulonglong)(unsafe.Pointer(&l.slots[0])), C.int(n))
	if code != C.CUDA_SUCCESS {
		l.err = failure("kernel "+k.name, code)
	}
}

// Threads of a block, and the most blocks of a kernel that walks over all elements by itself.
const (
	elementThreads = 256
	rowThreads     = 128
	tileSize       = 32
	tileRows       = 8
	mostBlocks     = 4096
)

// each launches a kernel that walks over n elements.
func (l *launcher) each(name string, n int) {
	l.launch(name, min((n+elementThreads-1)/elementThreads, mostBlocks), 1, 1, elementThreads, 1)
}

// rows launches a kernel with a block for each of n vectors.
func (l *launcher) rows(name string, n int) { l.launch(name, n, 1, 1, rowThreads, 1) }

// lines launches a kernel that walks over n elements of each of count arrays; these are its last two arguments.
func (l *launcher) lines(name string, n, count int) {
	l.int(n).int(count).launch(name, min((n+elementThreads-1)/elementThreads, mostBlocks), min(count, mostGrid), 1, elementThreads, 1)
}

// tiles launches a kernel with a block of threads for each tile of count rows x cols matrices.
func (l *launcher) tiles(name string, rows, cols, count int) {
	l.launch(name, (cols+tileSize-1)/tileSize, min((rows+tileSize-1)/tileSize, mostGrid), min(count, mostGrid), tileSize, tileRows)
}

// product enqueues products of matrices.
func (l *launcher) product(p blas.Product) {
	if l.err != nil || p.Rows == 0 || p.Cols == 0 || p.Count == 0 {
		return
	}
	if l.tape == nil {
		l.gemm = p
		l.err = wrap("matrix product", l.blas.Gemm(&l.gemm))
		return
	}
	if l.room != nil && (!constant(p.Alpha) || !constant(p.Beta)) {
		var err error
		if p.Numbers, err = l.pair(p.Alpha, p.Beta, p.Compute); err != nil {
			l.err = err
			return
		}
		p.Alpha, p.Beta = 0, 0
	}
	l.tape.addProduct(&p)
}

// clear fills memory of the device with zero bytes.
func (l *launcher) clear(at uintptr, bytes int) {
	switch {
	case l.err != nil || bytes == 0:
	case l.tape != nil:
		l.tape.add(clearEntry, uint64(at), uint64(bytes))
	default:
		l.err = wrap("clearing memory", cu.MemsetD8Async(cu.DevicePtr(at), 0, int64(bytes), l.stream))
	}
}

// duplicate copies memory of the device.
func (l *launcher) duplicate(dst, src uintptr, bytes int) {
	switch {
	case l.err != nil || bytes == 0:
	case l.tape != nil:
		l.tape.add(duplicateEntry, uint64(dst), uint64(src), uint64(bytes))
	default:
		l.err = wrap("copying memory", cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), int64(bytes), l.stream))
	}
}

// constant says whether a factor is one that programs write, and not one that changes from step to step.
func constant(v float64) bool { return v == math.Trunc(v) && math.Abs(v) <= 2 || math.Abs(v) == 0.5 }

// pair puts the factors of products on the device.
func (l *launcher) pair(alpha, beta float64, compute blas.Compute) (uintptr, error) {
	room, at, err := l.room(16)
	if err != nil {
		return 0, err
	}
	if compute == blas.Compute64 {
		copy(room, bytesOf([]float64{alpha, beta}))
	} else {
		copy(room, bytesOf([]float32{float32(alpha), 0, float32(beta), 0}))
	}
	return at, nil
}

// bytesOf views numbers as bytes.
func bytesOf[E any](v []E) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(v[0])))
}
