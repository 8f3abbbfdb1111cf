package dense

import (
	"sync"
	"unsafe"
)

// workspace holds the packing buffers of one running product, or its description while parts of it run elsewhere. Finished products hand
// theirs on, so that there are never more than products that ran at the same time, and none is allocated in the steady state.
type workspace struct {
	a, b   buffer
	task   productTask
	single triangularTask[float32]
	double triangularTask[float64]
	next   *workspace
}

var freeWorkspaces struct {
	sync.Mutex
	first *workspace
}

func takeWorkspace() *workspace {
	freeWorkspaces.Lock()
	w := freeWorkspaces.first
	if w != nil {
		freeWorkspaces.first, w.next = w.next, nil
	}
	freeWorkspaces.Unlock()
	if w == nil {
		w = new(workspace)
	}
	return w
}

func (w *workspace) release() {
	freeWorkspaces.Lock()
	w.next, freeWorkspaces.first = freeWorkspaces.first, w
	freeWorkspaces.Unlock()
}

// buffer is memory that starts at a cache line and grows when it must.
type buffer struct {
	data []float64
}

const cacheLine = 64

func (b *buffer) need(bytes int) unsafe.Pointer {
	if want := bytes/8 + 1 + cacheLine/8; len(b.data) < want {
		b.data = make([]float64, want+want/8)
	}
	p := unsafe.Pointer(unsafe.SliceData(b.data))
	if off := uintptr(p) % cacheLine; off != 0 {
		p = unsafe.Add(p, cacheLine-off)
	}
	return p
}

// elementsOf returns n elements of the buffer.
func elementsOf[T Float](b *buffer, n int) []T {
	return unsafe.Slice((*T)(b.need(n*int(unsafe.Sizeof(*new(T))))), n)
}
