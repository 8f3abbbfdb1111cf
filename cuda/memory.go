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
	free map[int][]spare
	used map[cu.DevicePtr]int
	held int          // bytes in free
	idle func() error // waits until no work that the device has been given uses memory that is free
	tape *tape        // the work that it has not been given
	turn uint64       // number of the tape
}

// spare is memory that nobody has, but that work of a tape may use.
type spare struct {
	at   cu.DevicePtr
	turn uint64 // in which it was given back
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
		at := free[len(free)-1].at
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
		p.used, p.free = map[cu.DevicePtr]int{}, map[int][]spare{}
	}
	p.used[at] = size
	return at, nil
}

// put takes memory back.
func (p *pool) put(at cu.DevicePtr) {
	size := p.used[at]
	delete(p.used, at)
	p.free[size] = append(p.free[size], spare{at, p.turn})
	p.held += size
}

// trim gives the free memory back to the driver, but for what work uses that the device has not been given: that stays as it is, and undone. A failure of work
// under way is told to the backend whose work it was.
func (p *pool) trim() {
	_ = p.idle()
	for size, free := range p.free {
		kept := free[:0]
		for _, f := range free {
			if p.tape.entries > 0 && f.turn == p.turn {
				kept = append(kept, f)
				continue
			}
			_ = cu.MemFree(f.at)
			p.held -= size
		}
		p.free[size] = kept
	}
}

// leastStaging lets a few small arrays be under way at the same time.
const leastStaging = 1 << 20

// staging is page-locked memory of the host, through which ordinary memory is copied without the driver's own detour.
type staging struct {
	parts []locked
	now   int // the part that is handed out
}

// locked is a piece of page-locked memory.
type locked struct {
	at   unsafe.Pointer
	size int
	used int // bytes that work under way may read or write
}

// take returns n bytes that nothing under way uses. Where there are none it waits by idle first, or without it takes more memory.
func (s *staging) take(n int, idle func() error) ([]byte, error) {
	if !s.find(n) {
		var err error
		if idle == nil {
			err = s.grow(n)
		} else if err = idle(); err == nil {
			err = s.room(n)
		}
		if err != nil {
			return nil, err
		}
	}
	part := &s.parts[s.now]
	part.used += n
	return unsafe.Slice((*byte)(unsafe.Add(part.at, part.used-n)), n), nil
}

// find goes on to a part with n bytes.
func (s *staging) find(n int) bool {
	for ; s.now < len(s.parts); s.now++ {
		if part := &s.parts[s.now]; part.used+n <= part.size {
			return true
		}
	}
	return false
}

// room makes sure that a part has n bytes. Nothing may be under way: parts that are too small are given back.
func (s *staging) room(n int) error {
	if s.reset(); s.find(n) {
		return nil
	}
	for _, part := range s.parts {
		_ = cu.MemFreeHost(part.at)
	}
	s.parts, s.now = s.parts[:0], 0
	return s.grow(n)
}

// grow adds a part with n bytes.
func (s *staging) grow(n int) error {
	part := locked{size: roundUp(max(n, leastStaging))}
	if err := failure("allocating page-locked memory", C.cuMemAllocHost((*unsafe.Pointer)(unsafe.Pointer(&part.at)), C.size_t(part.size))); err != nil {
		return err
	}
	s.parts = append(s.parts, part)
	s.now = len(s.parts) - 1
	return nil
}

// reset says that nothing is under way.
func (s *staging) reset() {
	s.now = 0
	for i := range s.parts {
		s.parts[i].used = 0
	}
}
