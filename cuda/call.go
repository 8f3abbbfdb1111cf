//go:build cuda && cgo && linux

package cuda

import (
	"runtime"
	"slices"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/dl"
	"github.com/spdopt/spdopt/internal/engine"
)

// maxOperands is the largest number of arrays of a call.
const maxOperands = 12

// operand is an array that a call reads or writes.
type operand struct {
	at     uintptr // address in the memory of the host
	size   int     // bytes
	write  bool
	region int
	keep   unsafe.Pointer
}

// region is a stretch of host memory that operands lie in: arrays that overlap share one copy on the device.
type region struct {
	at, end  uintptr
	write    bool
	resident bool // the device reads and writes the memory itself
	device   uintptr
	staged   []byte // page-locked memory for what lies in ordinary memory
}

// room is what a region takes of the staging memory.
func (r *region) room() int { return (int(r.end-r.at) + 255) &^ 255 }

// call is one call of a backend: it brings operands to the device, and at its end results back.
type call struct {
	d        *Device
	l        *launcher
	operands [maxOperands]operand
	regions  [maxOperands]region
	n, m     int
	temps    []cu.DevicePtr
	err      error
	*backlog
}

// backlog is what backends that go together have asked for and the device has not been given: their calls are deferred, bound and waited for as those of one.
type backlog struct {
	tape  tape
	depth int   // of Defer and Bind
	bound int   // depth of the first Bind, or 0
	late  error // of work of earlier calls
}

// begin takes the device. Work that another backend has written down comes first.
func (c *call) begin() {
	err := c.d.acquire()
	if err != nil {
		panic(&engine.DeviceError{Name: c.d.name(), Err: err})
	}
	c.n, c.m, c.temps, c.l.count, c.err, c.l.err = 0, 0, c.temps[:0], 0, nil, nil
	if c.d.pending != c.backlog {
		c.d.flush()
		c.d.pending, c.d.pool.tape = c.backlog, &c.tape
	}
}

// add adds an array to the operands and returns its number.
func add[E any](c *call, x []E, write bool) int {
	o := &c.operands[c.n]
	*o = operand{}
	if len(x) > 0 {
		p := unsafe.Pointer(unsafe.SliceData(x))
		*o = operand{at: uintptr(p), size: len(x) * int(unsafe.Sizeof(x[0])), write: write, keep: p}
	}
	c.n++
	return c.n - 1
}

// commit brings the operands to the device. After it at says where they are.
func (c *call) commit() {
	for i := range c.operands[:c.n] {
		c.place(i)
	}
	total := 0
	for k := range c.regions[:c.m] {
		r := &c.regions[k]
		if r.resident = c.d.isResident(r.at, r.end); !r.resident {
			total += r.room()
		}
	}
	var staged []byte // of all at once: waiting between two would give them the same
	if c.err == nil && total > 0 {
		staged, c.err = c.d.staging.take(total, c.waits())
	}
	for k := range c.regions[:c.m] {
		r := &c.regions[k]
		if !r.resident && c.err == nil {
			r.staged, staged = staged[:r.end-r.at], staged[r.room():]
		}
		c.upload(r)
	}
	c.l.err = c.err
}

// place finds or makes the region of operand i. A new operand may join regions that were apart.
func (c *call) place(i int) {
	o := &c.operands[i]
	if o.size == 0 {
		o.region = -1
		return
	}
	own := region{at: o.at, end: o.at + uintptr(o.size), write: o.write}
	for k := 0; k < c.m; {
		r := c.regions[k]
		if own.at >= r.end || r.at >= own.end {
			k++
			continue
		}
		own = region{at: min(own.at, r.at), end: max(own.end, r.end), write: own.write || r.write}
		c.m--
		c.regions[k] = c.regions[c.m]
	}
	c.regions[c.m] = own
	c.m++
	for j := range c.operands[:i+1] {
		for k := range c.regions[:c.m] {
			if p := &c.operands[j]; p.size > 0 && p.at >= c.regions[k].at && p.at < c.regions[k].end {
				p.region = k
			}
		}
	}
}

// upload copies a region to the device through the staging memory, operand by operand: what lies between overlapping ones belongs to one of them.
func (c *call) upload(r *region) {
	if r.resident {
		r.device = r.at
		return
	}
	if r.device = c.temp(int(r.end - r.at)); c.err != nil {
		return
	}
	for _, o := range c.operands[:c.n] {
		if o.size > 0 && o.at >= r.at && o.at < r.end {
			copy(r.staged[o.at-r.at:], unsafe.Slice((*byte)(o.keep), o.size))
		}
	}
	c.tape.add(uploadEntry, uint64(r.device), uint64(uintptr(unsafe.Pointer(&r.staged[0]))), uint64(len(r.staged)))
}

// waits is how to wait for memory that is in use; nil while work is bound, which needs more memory then.
func (c *call) waits() func() error {
	if c.bound > 0 {
		return nil
	}
	return c.d.waiting
}

// room returns memory for numbers, and its address on the device.
func (c *call) room(bytes int) ([]byte, uintptr, error) { return c.d.numbers.take(bytes, c.waits()) }

// at returns the address of operand i on the device, 0 for an empty one.
func (c *call) at(i int) uintptr {
	o := &c.operands[i]
	if o.size == 0 {
		return 0
	}
	r := &c.regions[o.region]
	return r.device + (o.at - r.at)
}

// temp returns memory of the device that lasts until the end of the call.
func (c *call) temp(bytes int) uintptr {
	if c.err != nil {
		return 0
	}
	p, err := c.d.pool.take(bytes)
	if err != nil {
		c.err, c.l.err = err, err
		return 0
	}
	c.temps = append(c.temps, p)
	return uintptr(p)
}

// ready says whether the work of the call can be enqueued; if not, end reports why.
func (c *call) ready() bool { return c.err == nil }

// end gives the device free. It waits for results that go to ordinary memory, and always outside of Defer, and copies them there. It panics with
// engine.DeviceError if something failed; work that the device has not been given is forgotten then.
func (c *call) end() {
	if c.err == nil {
		c.err = c.l.err
	}
	waits := c.depth == 0
	c.tape.deferred = c.tape.deferred || !waits
	for k := range c.regions[:c.m] {
		if r := &c.regions[k]; r.write && !r.resident && c.err == nil {
			c.tape.add(downloadEntry, uint64(uintptr(unsafe.Pointer(&r.staged[0]))), uint64(r.device), uint64(len(r.staged)))
			waits = true
		}
	}
	switch {
	case c.err != nil:
		c.d.forget(c.backlog)
		_ = c.d.wait()
		c.late = nil
	case waits:
		c.settle()
	case len(c.tape.words) > mostWords && c.bound == 0:
		c.d.flush()
	}
	for _, o := range c.operands[:c.n] {
		if o.write && o.size > 0 && c.err == nil {
			if r := &c.regions[o.region]; !r.resident {
				copy(unsafe.Slice((*byte)(o.keep), o.size), r.staged[o.at-r.at:])
			}
		}
	}
	for _, p := range slices.Backward(c.temps) { // so that the same calls find the same memory again
		c.d.pool.put(p)
	}
	if dl.Watch != nil && c.tape.entries > 0 {
		for _, r := range c.regions[:c.m] {
			if r.resident {
				dl.Watch(r.at, r.write)
			}
		}
	}
	runtime.KeepAlive(c.operands)
	clear(c.operands[:c.n])
	c.finish()
}

// settle waits for all work; what failed of this backend's is in err.
func (c *call) settle() {
	err := c.d.wait()
	if c.err == nil {
		c.err = c.late
	}
	if c.late = nil; c.err == nil {
		c.err = err
	}
}

// finish gives the device free and panics with err.
func (c *call) finish() {
	err := c.err
	if err != nil {
		err = c.d.failed(err)
	}
	c.d.release()
	if err != nil {
		panic(&engine.DeviceError{Name: c.d.name(), Err: err})
	}
}

// Defer implements engine.Deferrer.
func (b *backend[T]) Defer() {
	b.d.mu.Lock()
	b.c.depth++
	b.d.mu.Unlock()
}

// Bind implements engine.Deferrer.
func (b *backend[T]) Bind() {
	b.d.mu.Lock()
	b.c.depth++
	if b.c.bound == 0 {
		b.c.bound = b.c.depth
	}
	b.d.mu.Unlock()
}

// Wait implements engine.Deferrer.
func (b *backend[T]) Wait() {
	b.c.begin()
	b.c.settle()
	if b.c.depth < b.c.bound {
		b.c.bound = 0
	}
	b.c.finish()
}

// Settle implements engine.Deferrer.
func (b *backend[T]) Settle() {
	b.d.mu.Lock()
	b.c.depth--
	ends := b.c.depth == 0 || b.c.depth < b.c.bound
	b.d.mu.Unlock()
	if ends {
		b.Wait()
	}
}

// resident memory is managed memory that Alloc gave out, sorted by address.
type resident struct{ at, end uintptr }

func (d *Device) isResident(at, end uintptr) bool {
	i, found := slices.BinarySearchFunc(d.residents, at, func(r resident, at uintptr) int {
		switch {
		case r.end <= at:
			return -1
		case r.at > at:
			return 1
		}
		return 0
	})
	return found && end <= d.residents[i].end
}

// allocate returns n bytes of managed memory, all zero.
func (d *Device) allocate(n int) (unsafe.Pointer, error) {
	leave, err := d.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if !d.shares {
		return nil, &Error{"allocating memory", "the processor cannot use memory of this device while it works, as under Windows and WSL",
			"use Linux, or cuda.Spectral, which needs none (python/, cuda/cshared)"}
	}
	p, err := cu.MemAllocManaged(int64(n), cu.AttachGlobal)
	if err != nil && d.pool.held > 0 {
		d.pool.trim()
		p, err = cu.MemAllocManaged(int64(n), cu.AttachGlobal)
	}
	if err != nil {
		return nil, d.failed(wrap("allocating memory", err))
	}
	if err = cu.MemsetD8Async(p, 0, int64(n), d.stream); err == nil {
		err = d.stream.Synchronize()
	}
	if err != nil {
		_ = cu.MemFree(p)
		return nil, d.failed(wrap("clearing memory", err))
	}
	r := resident{uintptr(p), uintptr(p) + uintptr(n)}
	i, _ := slices.BinarySearchFunc(d.residents, r.at, func(r resident, at uintptr) int {
		if r.at < at {
			return -1
		}
		return 1
	})
	d.residents = slices.Insert(d.residents, i, r)
	return foreign(uintptr(p)), nil
}

// foreign returns the pointer to memory that Go does not manage.
func foreign(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// giveBack takes memory back that allocate gave out. Work that has been written down may use it: the driver gets it when that is done.
func (d *Device) giveBack(at uintptr) {
	leave, err := d.enter()
	if err != nil {
		return
	}
	defer leave()
	d.residents = slices.DeleteFunc(d.residents, func(r resident) bool { return r.at == at })
	d.returned = append(d.returned, cu.DevicePtr(at))
	if d.pending == nil || d.pending.tape.entries == 0 {
		_ = d.wait() // a failure is told to the backend whose work it was
	}
}
