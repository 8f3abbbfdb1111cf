package dense

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// randomQuads returns a product of random bytes, among them the extreme ones, for m rows, n columns and an inner dimension of k numbers.
func randomQuads(r *rand.Rand, m, n, k int) (q quadProduct, a, b [][]int) {
	q = quadProduct{k: (k + 3) / 4, n: n, start: make([]int32, n), rowScales: make([]float32, m), colScales: make([]float32, n)}
	q.a, q.b = make([]uint32, m*q.k), make([]uint32, n*q.k)
	number := func() int { return max(-127, min(127, r.IntN(400)-200)) }
	for i := range m {
		a = append(a, make([]int, k))
		q.rowScales[i] = r.Float32()
		for l := range 4 * q.k {
			v := r.IntN(256) // beyond k anything will do
			if l < k {
				a[i][l] = number()
				v = a[i][l] + quadZero
			}
			q.a[i*q.k+l/4] |= uint32(v) << (l % 4 * 8)
		}
	}
	for l := range k {
		b = append(b, make([]int, n))
		for j := range n {
			b[l][j] = number()
			q.start[j] -= int32(quadZero * b[l][j])
			from := j / quadPanel * quadPanel
			q.b[from*q.k+l/4*min(quadPanel, n-from)+j-from] |= uint32(uint8(b[l][j])) << (l % 4 * 8)
		}
	}
	for j := range n {
		q.colScales[j] = r.Float32()
	}
	return q, a, b
}

// TestQuadProduct compares products of bytes with sums of integers, for ranges of rows and columns and every use of the sums.
func TestQuadProduct(t *testing.T) {
	if !hasQuads() {
		t.Skip("no VPDPBUSD")
	}
	r := rand.New(rand.NewPCG(35, 2))
	for _, k := range []int{1, 2, 3, 4, 5, 8, 31, 100, 1001} {
		for _, m := range []int{1, 2, 7, 8, 9, 23} {
			for _, n := range []int{1, 7, 8, 9, 15, 16, 17, 31, 33, 40, 47, 48, 49, 56, 100, 104} {
				quadProducts(t, r, m, n, k)
			}
		}
	}
	quadProducts(t, r, 17, 111, 4*2000+1)
	for range 100 {
		quadProducts(t, r, 16+r.IntN(300), 16+r.IntN(120), 64+r.IntN(1200))
	}
}

func quadProducts(t *testing.T, r *rand.Rand, m, n, k int) {
	q, a, b := randomQuads(r, m, n, k)
	rows, cols := tile{r.IntN(m), 0}, tile{r.IntN(n), 0}
	rows.size, cols.size = 1+r.IntN(m-rows.from), 1+r.IntN(n-cols.from)
	for _, how := range []use{storePlain, addPlain, storeScaled, addScaled} {
		stride := cols.size + r.IntN(3)
		c := make([]float32, rows.size*stride)
		ints := unsafe.Slice((*int32)(unsafe.Pointer(&c[0])), len(c))
		for i := range c {
			if c[i] = 3; how == storePlain || how == addPlain {
				ints[i] = 3
			}
		}
		q.multiply(rows, cols, how, unsafe.Pointer(&c[0]), stride)
		for i := range rows.size {
			for j := range stride {
				got, want := float64(c[i*stride+j]), float64(3)
				if how == storePlain || how == addPlain {
					got = float64(ints[i*stride+j])
				}
				if j < cols.size {
					want = quadElement(&q, a, b, rows.from+i, cols.from+j, how)
				}
				if got != want {
					t.Fatalf("%dx%dx%d, rows %v, columns %v, use %d: element %d, %d is %g, want %g", m, k, n, rows, cols, how, i, j, got, want)
				}
			}
		}
	}
}

// quadElement returns an element of a product that has been 3.
func quadElement(q *quadProduct, a, b [][]int, i, j int, how use) float64 {
	sum := 0
	for l, x := range a[i] {
		sum += x * b[l][j]
	}
	scaled := float32(sum) * q.rowScales[i] * q.colScales[j]
	switch how {
	case storePlain:
		return float64(sum)
	case addPlain:
		return float64(sum + 3)
	case storeScaled:
		return float64(scaled)
	}
	return float64(scaled + 3)
}

// TestQuadsMost: the largest numbers in the longest rows.
func TestQuadsMost(t *testing.T) {
	if !hasQuads() {
		t.Skip("no VPDPBUSD")
	}
	q := quadProduct{k: quadsMost, n: 1, a: make([]uint32, quadsMost), b: make([]uint32, quadsMost), start: make([]int32, 1)}
	for i := range q.a {
		q.a[i], q.b[i] = 0xffffffff, 0x7f7f7f7f
		q.start[0] -= 4 * 127 * quadZero
	}
	var sum int32
	q.multiply(tile{0, 1}, tile{0, 1}, storePlain, unsafe.Pointer(&sum), 1)
	if want := 4 * quadsMost * 127 * 127; int(sum) != want {
		t.Errorf("%d, want %d", sum, want)
	}
}

func BenchmarkQuadProduct(b *testing.B) {
	if !hasQuads() {
		b.Skip("no VPDPBUSD")
	}
	r := rand.New(rand.NewPCG(36, 2))
	for _, n := range []int{50, 100, 200, 500, 1000} {
		q, _, _ := randomQuads(r, n, n, n)
		c := make([]float32, n*n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				for j := 0; j < n; j += 96 {
					q.multiply(tile{0, n}, tile{j, min(96, n-j)}, storeScaled, unsafe.Pointer(&c[j]), n)
				}
			}
			b.ReportMetric(2*float64(n*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gop/s")
		})
	}
}
