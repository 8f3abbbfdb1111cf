//go:build cuda && cgo && linux

package cuda

import (
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/engine"
)

// piece is the number of elements that a block of threads adds up.
const piece = 1 << 16

func pieces(n int) int { return (n + piece - 1) / piece }

// SumSquares implements engine.Rows.
func (b *backend[T]) SumSquares(g []T) (sum, largest float64) {
	b.one[0] = g
	var out [2]float64
	b.Measure(b.one[:], out[:1], out[1:])
	b.one[0] = nil
	return out[0], out[1]
}

// Measure implements engine.Rows. It waits once.
func (b *backend[T]) Measure(all [][]T, sums, largest []float64) {
	engine.MustHave("Measure", len(all), len(sums), len(largest))
	total := 0
	for _, g := range all {
		total += pieces(len(g))
	}
	b.Defer()
	defer b.Settle()
	results := b.found(2 * total)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(results)))
	for _, g := range all {
		if n := pieces(len(g)); n > 0 {
			b.measure(g, at, at+uintptr(8*n))
			at += uintptr(16 * n)
		}
	}
	b.Wait()
	for k, g := range all {
		n := pieces(len(g))
		sums[k], largest[k] = gathered(results[:n], results[n:2*n])
		results = results[2*n:]
	}
}

// measure enqueues the sums of the pieces of g.
func (b *backend[T]) measure(g []T, sums, tops uintptr) {
	b.c.begin()
	defer b.c.end()
	i := add(&b.c, g, false)
	b.c.commit()
	b.c.l.ptr(b.c.at(i)).int(len(g)).int(1).int(piece).ptr(sums).ptr(tops).rows("pieces", pieces(len(g)))
}

// found returns memory that the device writes n results to.
func (b *backend[T]) found(n int) []float64 {
	if n > len(b.results) {
		size := roundUp(8*max(n, 128)) / 8
		p, err := b.d.allocate(8 * size)
		if err != nil {
			panic(&engine.DeviceError{Name: b.Name(), Err: err})
		}
		if len(b.results) > 0 {
			b.d.giveBack(uintptr(unsafe.Pointer(unsafe.SliceData(b.results))))
		}
		b.results = unsafe.Slice((*float64)(p), size)
	}
	return b.results[:n]
}

// gathered adds up the results of pieces.
func gathered(sums, tops []float64) (sum, largest float64) {
	for i, v := range sums {
		sum += v
		if top := tops[i]; top > largest || math.IsNaN(top) {
			largest = top
		}
	}
	if math.IsNaN(largest) || math.IsNaN(sum) {
		return math.NaN(), math.NaN()
	}
	return sum, largest
}

// Unit implements engine.Rows. Nothing comes back to the processor.
func (b *backend[T]) Unit(x []T, count int, low float64) {
	each := engine.MustPart("Unit", len(x), count)
	n := pieces(each)
	b.c.begin()
	defer b.c.end()
	i := add(&b.c, x, true)
	b.c.commit()
	sums := b.c.temp(16 * n * count)
	if !b.c.ready() || n == 0 {
		return
	}
	tops := sums + uintptr(8*n*count)
	l, at, lines := b.c.l, b.c.at(i), min(count, mostGrid)
	l.ptr(at).int(each).int(count).int(piece).ptr(sums).ptr(tops).launch("pieces", n, lines, 1, rowThreads, 1)
	l.ptr(at).int(each).int(count).int(piece).ptr(tops).int(n).ptr(sums).launch("scaled_pieces", n, lines, 1, rowThreads, 1)
	l.ptr(at).int(each).int(count).int(piece).ptr(tops).ptr(sums).int(n).float64(low).launch("unit", n, lines, 1, rowThreads, 1)
}
