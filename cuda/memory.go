//go:build cuda && cgo && linux

package cuda

/*
#include <cuda.h>
*/
import "C"

import (
	"math/bits"
	"unsafe"

	"gorgonia.org/cu"
)

// pool keeps device memory for reuse, by size. A size is a power of two or three quarters of one, so that at most a third is unused, and above coarse a
// multiple of a sixteenth of it, so that plans of large matrices hold.
type pool struct {
	free map[int][]cu.DevicePtr
	used map[cu.DevicePtr]int
	held int          // bytes in free
	idle func() error // waits until no work uses memory that is free
}

const coarse = 64 << 20

// roundUp returns the size of the piece of memory for n bytes.
func roundUp(n int) int {
	if n > coarse {
		return (n + coarse/16 - 1) / (coarse / 16) * (coarse / 16)
	}
	n = max(n, 256)
	p := 1 << bits.Len(uint(n-1))
	if n <= p/4*3 {
		return p / 4 * 3
	}
	return p
}

// take returns memory of at least n bytes. When there is none it gives all that is free back to the driver and tries once more.
func (p *pool) take(n int) (cu.DevicePtr, error) {
	size := roundUp(n)
	if free := p.free[size]; len(free) > 0 {
		at := free[len(free)-1]
		p.free[size] = free[:len(free)-1]
		p.held -= size
		p.used[at] = size
		return at, nil
	}
	at, err := cu.MemAlloc(int64(size))
	if err != nil && p.held > 0 {
		p.trim()
		at, err = cu.MemAlloc(int64(size))
	}
	if err != nil {
		return 0, wrap("allocating memory", err)
	}
	if p.used == nil {
		p.used, p.free = map[cu.DevicePtr]int{}, map[int][]cu.DevicePtr{}
	}
	p.used[at] = size
	return at, nil
}

// put takes memory back.
func (p *pool) put(at cu.DevicePtr) {
	size := p.used[at]
	delete(p.used, at)
	p.free[size] = append(p.free[size], at)
	p.held += size
}

// trim gives the free memory back to the driver. Work that used it may not have run yet; if that fails, the backend whose work it was is told.
func (p *pool) trim() {
	_ = p.idle()
	for size, free := range p.free {
		for _, at := range free {
			_ = cu.MemFree(at)
		}
		delete(p.free, size)
	}
	p.held = 0
}

// leastStaging lets a few small arrays be under way at the same time.
const leastStaging = 1 << 20

// staging is page-locked memory of the host, through which ordinary memory is copied without the driver's own detour.
type staging struct {
	at   unsafe.Pointer
	size int
	used int // bytes that work under way may read or write
}

// take returns the offset of n bytes that nothing under way uses. Where there are none it waits first, by idle.
func (s *staging) take(n int, idle func() error) (int, error) {
	if s.used+n > s.size {
		if err := idle(); err != nil {
			return 0, err
		}
		if err := s.room(n); err != nil {
			return 0, err
		}
	}
	at := s.used
	s.used += n
	return at, nil
}

// room makes sure that there are n bytes. What was there before is lost; nothing may be under way from or to it.
func (s *staging) room(n int) error {
	if n <= s.size {
		return nil
	}
	if s.at != nil {
		_ = cu.MemFreeHost(s.at)
		s.at, s.size = nil, 0
	}
	size := roundUp(max(n, leastStaging))
	if err := failure("allocating page-locked memory", C.cuMemAllocHost((*unsafe.Pointer)(unsafe.Pointer(&s.at)), C.size_t(size))); err != nil {
		s.at = nil
		return err
	}
	s.size = size
	return nil
}

// bytes views n bytes from offset on.
func (s *staging) bytes(offset, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(s.at, offset)), n)
}
