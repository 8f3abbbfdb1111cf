//go:build cuda && cgo && linux

package cuda

import (
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
)

// maxArgs is the largest number of parameters of a kernel.
const maxArgs = 32

// launcher enqueues kernels and products on one stream. The arguments of a launch are slots of eight bytes, which gorgonia.org/cu copies. The first failure is
// kept and ends all further work.
type launcher struct {
	blas   *blas.Handle
	stream cu.Stream
	module *module
	slots  [maxArgs]uint64
	args   [maxArgs]unsafe.Pointer
	count  int
	gemm   blas.Product
	err    error
}

func newLauncher(handle *blas.Handle, stream cu.Stream, m *module) *launcher {
	l := &launcher{blas: handle, stream: stream, module: m}
	for i := range l.args {
		l.args[i] = unsafe.Pointer(&l.slots[i])
	}
	return l
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
	err := l.module.function(name).Launch(gridX, gridY, gridZ, blockX, blockY, 1, 0, l.stream, l.args[:n])
	if err != nil {
		l.err = wrap("kernel "+name, err)
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

// lines launches a kernel that walks over n elements of each of count arrays.
func (l *launcher) lines(name string, n, count int) {
	l.launch(name, min((n+elementThreads-1)/elementThreads, mostBlocks), count, 1, elementThreads, 1)
}

// product enqueues products of matrices.
func (l *launcher) product(p blas.Product) {
	if l.err != nil || p.Rows == 0 || p.Cols == 0 || p.Count == 0 {
		return
	}
	l.gemm = p
	l.err = wrap("matrix product", l.blas.Gemm(&l.gemm))
}
