//go:build cuda && cgo && linux

package cuda

/*
#include <cuda.h>
*/
import "C"

import (
	"hash/maphash"
	"math"
	"slices"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
	"github.com/spdopt/spdopt/cuda/internal/dl"
)

// tape is work for a stream that has not been given to the device: the words that describe it, one entry after the other. Tapes of the same words are the
// same work.
type tape struct {
	words    []uint64
	entries  int
	deferred bool // it holds work of calls that did not wait
}

// The kinds of entries, the first word of each.
const (
	kernelEntry  = iota + 1 // number of arguments above the kind, number of the kernel, grid, block, arguments
	doubleEntry             // the same, of a kernel of the module for float64
	productEntry            // fields of a blas.Product
	uploadEntry             // to, from, bytes
	downloadEntry
	duplicateEntry
	clearEntry // at, bytes
)

// mostWords is the length from which a tape is given to the device at once.
const mostWords = 1 << 14

func (t *tape) add(words ...uint64) {
	t.words = append(t.words, words...)
	t.entries++
}

func (t *tape) clear() { t.words, t.entries, t.deferred = t.words[:0], 0, false }

// addKernel writes a launch down.
func (t *tape) addKernel(kind uint64, number int, grid [3]int, block [2]int, args []uint64) {
	t.add(kind|uint64(len(args))<<8, uint64(number), uint64(grid[0]), uint64(grid[1]), uint64(grid[2]), uint64(block[0]), uint64(block[1]))
	t.words = append(t.words, args...)
}

// addProduct writes products down.
func (t *tape) addProduct(p *blas.Product) {
	t.add(productEntry, flagWord(p.TransA)|flagWord(p.TransB)<<1, uint64(p.Rows), uint64(p.Cols), uint64(p.Inner), uint64(p.Count),
		math.Float64bits(p.Alpha), math.Float64bits(p.Beta), uint64(p.Numbers),
		uint64(p.A.At), uint64(p.A.Stride), uint64(p.A.Step), uint64(p.B.At), uint64(p.B.Stride), uint64(p.B.Step), uint64(p.C.At), uint64(p.C.Stride), uint64(p.C.Step),
		uint64(p.Inputs), uint64(p.Result), uint64(p.Compute))
}

const productWords = 21

// productOf is the opposite of addProduct.
func productOf(w []uint64) blas.Product {
	operand := func(w []uint64) blas.Operand {
		return blas.Operand{At: uintptr(w[0]), Stride: int(w[1]), Step: int(w[2])}
	}
	return blas.Product{
		TransA: w[1]&1 != 0, TransB: w[1]&2 != 0, Rows: int(w[2]), Cols: int(w[3]), Inner: int(w[4]), Count: int(w[5]),
		Alpha: math.Float64frombits(w[6]), Beta: math.Float64frombits(w[7]), Numbers: uintptr(w[8]),
		A: operand(w[9:]), B: operand(w[12:]), C: operand(w[15:]),
		Inputs: blas.Type(w[18]), Result: blas.Type(w[19]), Compute: blas.Compute(w[20]),
	}
}

func flagWord(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// play gives the entries of a tape to the device by a launcher that is for this, one by one, until one fails.
func (d *Device) play(l *launcher, t *tape) (err error) {
	for w := t.words; len(w) > 0 && l.err == nil; {
		switch w[0] & 0xff {
		case kernelEntry, doubleEntry:
			n := int(w[0] >> 8)
			if l.module = d.single; w[0]&0xff == doubleEntry {
				l.module = d.double
			}
			copy(l.slots[:], w[7:7+n])
			l.start(int(w[1]), [3]int{int(w[2]), int(w[3]), int(w[4])}, [2]int{int(w[5]), int(w[6])}, n)
			w = w[7+n:]
		case productEntry:
			l.gemm = productOf(w)
			l.err = wrap("matrix product", l.blas.Gemm(&l.gemm))
			w = w[productWords:]
		case uploadEntry:
			l.err = wrap("copying to the device", cu.MemcpyHtoDAsync(cu.DevicePtr(w[1]), foreign(uintptr(w[2])), int64(w[3]), l.stream))
			w = w[4:]
		case downloadEntry:
			l.err = wrap("copying from the device", cu.MemcpyDtoHAsync(foreign(uintptr(w[1])), cu.DevicePtr(w[2]), int64(w[3]), l.stream))
			w = w[4:]
		case duplicateEntry:
			l.duplicate(uintptr(w[1]), uintptr(w[2]), int(w[3]))
			w = w[4:]
		case clearEntry:
			l.clear(uintptr(w[1]), int(w[2]))
			w = w[3:]
		}
	}
	err, l.err = l.err, nil
	return err
}

// recordings are graphs of tapes that came more than once.
type recordings struct {
	seed  maphash.Seed
	seen  map[uint64]bool // hashes of tapes that came once, or that cannot be recorded
	known map[uint64]*recording
	turn  int
}

type recording struct {
	words []uint64
	graph C.CUgraphExec
	used  int // turn of the last use
}

// Graphs are made of tapes of at least shortestGraph entries, mostGraphs at a time; the one that was not used for longest gives way.
const (
	shortestGraph = 4
	mostGraphs    = 256
	mostSeen      = 4096
)

func (r *recordings) hash(t *tape) uint64 {
	if r.known == nil {
		r.seed, r.seen, r.known = maphash.MakeSeed(), map[uint64]bool{}, map[uint64]*recording{}
	}
	return maphash.Bytes(r.seed, unsafe.Slice((*byte)(unsafe.Pointer(&t.words[0])), 8*len(t.words)))
}

// find returns the graph of a tape, or nil where it is to be played. It is recorded when the tape comes for the second time, at once if the work is bound: then a
// failure that playing it would meet as well comes back.
func (r *recordings) find(d *Device, t *tape, bound bool) (C.CUgraphExec, error) {
	if !t.deferred || t.entries < shortestGraph && (!bound || t.entries == 1) {
		return nil, nil
	}
	key := r.hash(t)
	r.turn++
	if g := r.known[key]; g != nil && slices.Equal(g.words, t.words) {
		g.used = r.turn
		return g.graph, nil
	}
	never, again := r.seen[key]
	if !again && len(r.seen) == mostSeen {
		clear(r.seen)
	}
	r.seen[key] = never
	if !again && !bound || never || r.known[key] != nil {
		return nil, nil
	}
	graph, refused, err := d.record(d.player, t)
	if err != nil {
		if refused && bound {
			return nil, err
		}
		r.seen[key] = true
		return nil, nil
	}
	if len(r.known) == mostGraphs {
		_ = d.stream.Synchronize() // it may be running
		r.forgetOldest()
	}
	r.known[key] = &recording{slices.Clone(t.words), graph, r.turn}
	return graph, nil
}

func (r *recordings) forgetOldest() {
	var oldest uint64
	least := math.MaxInt
	for key, g := range r.known {
		if g.used < least {
			oldest, least = key, g.used
		}
	}
	C.cuGraphExecDestroy(r.known[oldest].graph)
	delete(r.known, oldest)
}

// record makes the graph of a tape, on the stream of a launcher, which is not the default one. Nothing of it runs meanwhile. A failure is either that of the work, or for
// want of memory, or says that the tape cannot be recorded, only played.
func (d *Device) record(l *launcher, t *tape) (graph C.CUgraphExec, refused bool, err error) {
	stream := C.CUstream(unsafe.Pointer(l.stream.C()))
	code := C.cuStreamBeginCapture(stream, C.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
	if code == C.CUDA_SUCCESS {
		err = d.play(l, t)
		var made C.CUgraph
		code = C.cuStreamEndCapture(stream, &made)
		if err == nil && code == C.CUDA_SUCCESS {
			code = C.cuGraphInstantiateWithFlags(&graph, made, 0)
		}
		if made != nil {
			C.cuGraphDestroy(made)
		}
	}
	if err != nil {
		return nil, true, err
	}
	return graph, code == C.CUDA_ERROR_OUT_OF_MEMORY, failure("recording a graph", code)
}

// flush gives the device what the calls so far have written down. A failure is kept for the backends whose work it was.
func (d *Device) flush() {
	w := d.pending
	if w == nil || w.tape.entries == 0 {
		return
	}
	err := d.numbers.send(d.stream)
	d.busy = true
	if err == nil {
		var graph C.CUgraphExec
		switch graph, err = d.graphs.find(d, &w.tape, w.bound > 0); {
		case err != nil:
		case graph != nil:
			err = failure("launching a graph", C.cuGraphLaunch(graph, C.CUstream(unsafe.Pointer(d.stream.C()))))
		default:
			err = d.play(d.player, &w.tape)
		}
	}
	d.forget(w)
	if w.late == nil {
		w.late = err
	}
}

// forget empties the tape.
func (d *Device) forget(w *backlog) {
	w.tape.clear()
	d.pool.turn++
	if dl.Watch != nil {
		dl.Watch(0, false)
	}
}

// wait flushes and waits until the device has nothing to do. After it, staging memory and numbers start afresh.
func (d *Device) wait() error {
	d.flush()
	err := d.drain()
	d.busy = false
	d.staging.reset()
	d.numbers.reset()
	for _, at := range d.returned {
		_ = cu.MemFree(at)
	}
	d.returned = d.returned[:0]
	return err
}

// drain waits until the device has done what it has been given.
func (d *Device) drain() error {
	if !d.busy {
		return nil
	}
	return wrap("waiting for the device", d.stream.Synchronize())
}

// numbers is memory of the device for numbers that change from step to step, so that the work that reads them does not. They are collected in page-locked
// memory, and sent before the work is given to the device.
type numbers struct {
	parts []numbersPart
	now   int // the part that is handed out
}

// numbersPart is numbersBytes on the host and on the device, or as many as were once asked for in one piece.
type numbersPart struct {
	host       []byte
	device     cu.DevicePtr
	used, sent int
}

const numbersBytes = 64 << 10

// grow adds a part with room for so many bytes.
func (n *numbers) grow(bytes int) error {
	bytes = max(bytes, numbersBytes)
	var host staging
	room, err := host.take(bytes, nil)
	if err != nil {
		return err
	}
	device, err := cu.MemAlloc(int64(bytes))
	if err != nil {
		_ = cu.MemFreeHost(host.parts[0].at)
		return wrap("allocating memory for numbers", err)
	}
	n.parts = append(n.parts, numbersPart{host: room, device: device})
	n.now = len(n.parts) - 1
	return nil
}

// release gives all parts back; nothing may be under way.
func (n *numbers) release() {
	for _, p := range n.parts {
		_, _ = cu.MemFreeHost(unsafe.Pointer(&p.host[0])), cu.MemFree(p.device)
	}
	n.parts, n.now = nil, 0
}

func (n *numbers) reset() {
	n.now = 0
	for i := range n.parts {
		n.parts[i].used, n.parts[i].sent = 0, 0
	}
}

// take returns room for so many bytes on the host, and its address on the device. Where there is none it waits by idle, if there is that, and then takes more memory.
func (n *numbers) take(bytes int, idle func() error) ([]byte, uintptr, error) {
	bytes = (bytes + 7) &^ 7
	if !n.find(bytes) && idle != nil {
		if err := idle(); err != nil {
			return nil, 0, err
		}
	}
	if !n.find(bytes) {
		if err := n.grow(bytes); err != nil {
			return nil, 0, err
		}
	}
	p := &n.parts[n.now]
	at := p.used
	p.used += bytes
	return p.host[at:p.used], uintptr(p.device) + uintptr(at), nil
}

// find goes on to a part with so much room, if there is one.
func (n *numbers) find(bytes int) bool {
	for n.now < len(n.parts) && n.parts[n.now].used+bytes > len(n.parts[n.now].host) {
		n.now++
	}
	return n.now < len(n.parts)
}

// send enqueues the copy of the numbers that are new.
func (n *numbers) send(stream cu.Stream) error {
	for i := range n.parts {
		p := &n.parts[i]
		from, bytes := p.sent, p.used-p.sent
		if bytes == 0 {
			continue
		}
		p.sent = p.used
		if err := wrap("copying to the device", cu.MemcpyHtoDAsync(p.device+cu.DevicePtr(from), unsafe.Pointer(&p.host[from]), int64(bytes), stream)); err != nil {
			return err
		}
	}
	return nil
}
