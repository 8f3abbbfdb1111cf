package engine

import "github.com/spdopt/spdopt/internal/dense"

// Deferrer is implemented by backends that can work while the processor does something else.
type Deferrer interface {
	// Defer lets calls return before their work is done where all that they write lies in memory of the backend (Allocator). Until Wait such memory must
	// not be touched but by calls, nor may anything be written that a call reads from it; ordinary memory is free as soon as a call returns, and what a
	// call writes to it is there. Calls of Defer nest.
	Defer()
	// Bind is Defer, and of the work between two waits the device does everything or, after a failure, nothing, apart from failures after which it is of no use.
	Bind()
	// Wait returns when all work is done. It panics with DeviceError if some has failed.
	Wait()
	// Settle ends Defer or Bind. It waits where it ends the outermost of all, or of Bind.
	Settle()
}

// Doubled is implemented by backends of devices.
type Doubled interface {
	// Double returns the backend of the same device in float64. What is deferred, bound and waited for of one of the two is that of both.
	Double() Backend[float64]
}

// Double is that of a backend, the processor's where it has none.
func Double[T dense.Float](b Backend[T]) Backend[float64] {
	switch d := any(b).(type) {
	case Doubled:
		return d.Double()
	case Backend[float64]:
		return d
	}
	return CPU[float64]()
}

// Defer is that of a backend, nothing where it is no Deferrer; so are Bind, Wait and Settle.
func Defer[T dense.Float](b Backend[T]) {
	if d, ok := b.(Deferrer); ok {
		d.Defer()
	}
}

// Bind is that of a backend.
func Bind[T dense.Float](b Backend[T]) {
	if d, ok := b.(Deferrer); ok {
		d.Bind()
	}
}

// Wait waits for a backend.
func Wait[T dense.Float](b Backend[T]) {
	if d, ok := b.(Deferrer); ok {
		d.Wait()
	}
}

// Settle ends Defer or Bind, and waits where it was the outermost.
func Settle[T dense.Float](b Backend[T]) {
	if d, ok := b.(Deferrer); ok {
		d.Settle()
	}
}
