package engine

import (
	"runtime"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
)

// Allocator is implemented by backends that compute faster on memory of their own. It can be used as any slice, between calls of the backend.
type Allocator[T dense.Float] interface {
	// Alloc returns n zeros. It panics with DeviceError when there is not enough memory.
	Alloc(n int) []T
	// Owns says whether memory is part of what Alloc returned.
	Owns(memory []T) bool
	// Free gives memory back.
	Free(memory []T)
	// Reserve makes sure that calls on up to n elements in all find the memory they need, as long as nothing else takes it. It panics with DeviceError
	// when that is not so.
	Reserve(n int)
}

// Owns says whether memory is that of a backend, which for those without memory of their own is any.
func Owns[T dense.Float](b Backend[T], memory []T) bool {
	a, ok := b.(Allocator[T])
	return !ok || a.Owns(memory)
}

// Sized is implemented by backends whose memory is limited.
type Sized interface {
	// Memory is how many bytes the device has in all.
	Memory() int
}

// Arena owns memory of a backend, until nobody holds the Arena any more: what computes with slices of it has to hold it, by runtime.KeepAlive to the end of a function.
type Arena[T dense.Float] struct {
	owner Allocator[T]
	held  *[][]T
}

// NewArena returns an arena on the backend's own memory, or on ordinary memory where it has none.
func NewArena[T dense.Float](b Backend[T]) *Arena[T] {
	owner, ok := b.(Allocator[T])
	if !ok {
		return &Arena[T]{}
	}
	a := &Arena[T]{owner, new([][]T)}
	runtime.AddCleanup(a, func(held *[][]T) {
		for _, m := range *held {
			owner.Free(m)
		}
	}, a.held)
	return a
}

// Reserve is that of the backend.
func (a *Arena[T]) Reserve(n int) {
	if a.owner != nil {
		a.owner.Reserve(n)
	}
}

// Ints is Alloc for integers of 32 bits.
func (a *Arena[T]) Ints(n int) []int32 {
	size := int(unsafe.Sizeof(T(0))) / 4
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(a.Alloc((n+size-1)/size)))), n)
}

// Doubles is Alloc for numbers of 64 bits.
func (a *Arena[T]) Doubles(n int) []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(a.Alloc(n*8/int(unsafe.Sizeof(T(0))))))), n)
}

// BFloat16s is Alloc for numbers of 16 bits.
func (a *Arena[T]) BFloat16s(n int) []BFloat16 {
	size := int(unsafe.Sizeof(T(0))) / 2
	return unsafe.Slice((*BFloat16)(unsafe.Pointer(unsafe.SliceData(a.Alloc((n+size-1)/size)))), n)
}

// Alloc returns n zeros that live as long as the arena, in ordinary memory for a nil arena.
func (a *Arena[T]) Alloc(n int) []T {
	if a == nil || a.owner == nil || n == 0 {
		return make([]T, n)
	}
	m := a.owner.Alloc(n)
	*a.held = append(*a.held, m)
	return m
}
