package dense

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// roundExactly is Round by exact arithmetic: the nearer of the two neighbours, or the even one.
func roundExactly(v float64) float32 {
	below := BFloat16(math.Float32bits(float32(math.Abs(v))) >> 16)
	for float64(below.Float32()) > math.Abs(v) {
		below--
	}
	above := below + 1
	low, high := big.NewFloat(float64(below.Float32())), new(big.Float).SetInf(false)
	high.SetFloat64(math.Ldexp(1, 128))
	if above < 0x7f80 {
		high.SetFloat64(float64(above.Float32()))
	}
	exact := big.NewFloat(math.Abs(v))
	down, up := new(big.Float).Sub(exact, low), new(big.Float).Sub(high, exact)
	out := below
	if c := down.Cmp(up); c > 0 || c == 0 && below&1 == 1 {
		out = above
	}
	return float32(math.Copysign(float64(out.Float32()), v))
}

func TestRound(t *testing.T) {
	for b := range uint32(1 << 16) { // every bfloat16 number is itself, from both types
		v := BFloat16(b).Float32()
		if v != v {
			if back := Round(v).Float32(); back == back {
				t.Fatalf("NaN %#x becomes %v", b, back)
			}
			continue
		}
		if Round(v) != BFloat16(b) || Round(float64(v)) != BFloat16(b) {
			t.Fatalf("%#x comes back as %#x and %#x", b, Round(v), Round(float64(v)))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	values := []float64{0x1.01p0, 0x1.03p0, 0x1.01p0 + 0x1p-40, 0x1.01p0 - 0x1p-40, 0x1.fep127, 0x1.ffp127, 0x1.ff0001p127, 0x1.feffp127, 0x1p-133, 0x1.8p-133, 0x1p-134, 0x1.0001p-134, 1e-300}
	for range 20000 {
		values = append(values, math.Ldexp(r.Float64()+1, r.IntN(290)-145))
		middle := BFloat16(r.IntN(0x7f00)) // halfway between two neighbours, and a little beside it
		half := float64(middle.Float32())/2 + float64((middle+1).Float32())/2
		values = append(values, half, math.Nextafter(half, 0), math.Nextafter(half, math.Inf(1)))
	}
	for _, v := range values {
		if v < 0x1p128 {
			for _, x := range []float64{v, -v} {
				if got, want := Round(x).Float32(), roundExactly(x); got != want {
					t.Fatalf("Round(%x) = %x, want %x", x, got, want)
				}
			}
		}
		f := float32(v)
		if got, want := Round(f), Round(float64(f)); got != want {
			t.Fatalf("Round(%x) is %#x in float32 and %#x in float64", f, got, want)
		}
	}
	if inf := Round(1e300).Float32(); !math.IsInf(float64(inf), 1) {
		t.Errorf("1e300 becomes %v", inf)
	}
}

// TestNarrow: Narrow and the kernel behind pairs are Round on every path, for every tail, and Widen goes back.
func TestNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	x := []float32{float32(math.NaN()), math.Float32frombits(0x7fffffff), math.Float32frombits(0xff800001), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, 1e-45, 0}
	for len(x) < 70 {
		x = append(x, math.Float32frombits(r.Uint32()))
	}
	onPaths(t, func() {
		for n := range len(x) + 1 {
			narrow, back, pairs := make([]BFloat16, n+1), make([]float32, n+1), make([]uint32, n+1)
			narrow[n], back[n], pairs[n] = 7, 7, 7
			other := x[len(x)-n:]
			Narrow(x[:n], narrow[:n])
			Widen(narrow[:n], back[:n])
			interleave(x[:n], other, pairs[:n])
			for i, v := range x[:n] {
				if narrow[i] != Round(v) || math.Float32bits(back[i]) != uint32(Round(v))<<16 || pairs[i] != uint32(Round(v))|uint32(Round(other[i]))<<16 {
					t.Fatalf("%v, %d: %x becomes %#x, %x and the pair %#x", active, n, v, narrow[i], back[i], pairs[i])
				}
			}
			if narrow[n] != 7 || back[n] != 7 || pairs[n] != 7 {
				t.Fatalf("%v: %d elements write beyond the end", active, n)
			}
		}
	})
}

// TestGemmRounded holds products of all small shapes and of some beyond a block to the documented error, and the elements of the pair kernel to the documented
// order of additions, bit for bit.
func TestGemmRounded(t *testing.T) {
	onPaths(t, func() {
		t.Run(fmt.Sprint(active, "/float32"), func(t *testing.T) { gemmRoundedShapes[float32](t, 0x1p-24) })
		t.Run(fmt.Sprint(active, "/float64"), func(t *testing.T) { gemmRoundedShapes[float64](t, 0x1p-53) })
	})
}

func gemmRoundedShapes[T Float](t *testing.T, e float64) {
	r := rand.New(rand.NewPCG(6, 2))
	shapes := [][3]int{{50, 49, 31}, {3, 200, 1030}, {67, 5, 2049}}
	for m := 1; m <= 10; m++ {
		for n := 1; n <= 20; n += 3 {
			for k := 1; k <= 5; k++ {
				shapes = append(shapes, [3]int{m, n, k})
			}
		}
	}
	gemmRoundedOf[T](t, r, shapes, e)
}

// gemmRoundedOf checks products of all kinds of operands, of rows, columns and an inner dimension each.
func gemmRoundedOf[T Float](t *testing.T, r *rand.Rand, shapes [][3]int, e float64) {
	for _, s := range shapes {
		m, n, k := s[0], s[1], s[2]
		for kind := range 4 {
			ta, tb := Trans(kind&1 == 1), Trans(kind&2 == 2)
			a, b := strided[T](r, m, k), strided[T](r, k, n)
			if ta {
				a = transposed(a)
			}
			if tb {
				b = transposed(b)
			}
			out := New[T](m+2, n+3)
			for i := range out.Data {
				out.Data[i] = canary
			}
			c := out.View(1, 2, m, n)
			alpha, beta := T(1), T(0)
			if k%2 == 1 {
				alpha, beta = 0.5, -2
			}
			GemmRounded(ta, tb, alpha, a, b, beta, c)
			checkRounded(t, ta, tb, alpha, a, b, beta, c, e)
			for i := range out.Rows {
				for j, v := range out.Row(i) {
					if (i < 1 || i > m || j < 2 || j >= n+2) && v != canary {
						t.Fatalf("%v: element (%d, %d) outside of c was written", s, i-1, j-2)
					}
				}
			}
		}
	}
}

// checkRounded checks c, which held canary before.
func checkRounded[T Float](t *testing.T, ta, tb Trans, alpha T, a, b Matrix[T], beta T, c Matrix[T], e float64) {
	t.Helper()
	const u = 0x1p-8
	k, _ := opDims(!ta, a)
	at := func(m Matrix[T], trans Trans, i, j int) T {
		if trans {
			i, j = j, i
		}
		return m.At(i, j)
	}
	for i := range c.Rows {
		for j := range c.Cols {
			var exact, size float64
			rounded := func(l int) (x, y T) { return T(Round(at(a, ta, i, l)).Float32()), T(Round(at(b, tb, l, j)).Float32()) }
			for l := range k {
				p := float64(at(a, ta, i, l)) * float64(at(b, tb, l, j))
				exact += p
				size += math.Abs(p)
			}
			got := float64(c.At(i, j))
			want := float64(alpha)*exact + float64(beta)*canary
			if limit := math.Abs(float64(alpha))*(2*u+u*u+float64(k)*e)*size + 4*e*math.Abs(want); !(math.Abs(got-want) <= limit) {
				t.Fatalf("%dx%d, k=%d, %v %v: element (%d, %d) is %v, want %v within %g", c.Rows, c.Cols, k, ta, tb, i, j, got, want, limit)
			}
			if !is32[T]() || !hasPairs() {
				continue
			}
			if order := pairChain(alpha, k, rounded, beta); T(got) != order {
				t.Fatalf("%dx%d, k=%d, %v %v: element (%d, %d) is %v, the documented order gives %v", c.Rows, c.Cols, k, ta, tb, i, j, got, order)
			}
		}
	}
}

// pairChain is the element that pairs of products give, on top of canary.
func pairChain[T Float](alpha T, k int, at func(l int) (x, y T), beta T) T {
	c, length := T(canary), 2*blockLength((k+1)/2)
	for l := 0; l < k; l += length {
		var s T
		end := min(l+length, k)
		for i := l; tilesPairs((k+1)/2) && i < end; i += 32 {
			var sums [2]T
			for j := i; j < min(i+32, end); j++ {
				x, y := at(j)
				sums[j%2] = fma(x, y, sums[j%2])
			}
			s += sums[0] + sums[1]
		}
		for i := l; !tilesPairs((k+1)/2) && i < end; i += 2 {
			if i+1 < k {
				x, y := at(i + 1)
				s = fma(x, y, s)
			}
			x, y := at(i)
			s = fma(x, y, s)
		}
		c = fold(l == 0, alpha, s, beta, c)
	}
	return c
}

// TestGemmRoundedThreads: any number of threads gives the same bits, and the triangle those of the whole.
func TestGemmRoundedThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	n, k := 420, 600
	if allocs.Race {
		n = 300
	}
	a := random[float32](r, n, k)
	whole, upper := New[float32](n, n), New[float32](n, n)
	withProcs(1, func() { GemmRounded(NoTrans, Transposed, 1, a, a, 0, whole) })
	for _, procs := range []int{1, 3} {
		withProcs(procs, func() { GemmRoundedUpper(NoTrans, Transposed, 1, a, a, 0, upper) })
		c := New[float32](n, n)
		withProcs(procs, func() { GemmRounded(NoTrans, Transposed, 1, a, a, 0, c) })
		for i := range n {
			for j := range n {
				if c.At(i, j) != whole.At(i, j) || j >= i && upper.At(i, j) != whole.At(i, j) {
					t.Fatalf("GOMAXPROCS %d: element (%d, %d) is %v, in the triangle %v, want %v", procs, i, j, c.At(i, j), upper.At(i, j), whole.At(i, j))
				}
			}
		}
	}
}

func TestGemmRoundedEdges(t *testing.T) {
	onPaths(t, func() {
		a, b, c := Wrap(1, 2, []float32{1, 2}), Wrap(2, 1, []float32{3, 4}), Wrap(1, 1, []float32{float32(math.NaN())})
		GemmRounded(NoTrans, NoTrans, 1, a, b, 0, c)
		if c.Data[0] != 11 {
			t.Errorf("%v: %v where c held NaN, want 11", active, c.Data[0])
		}
		GemmRounded(NoTrans, NoTrans, 0, a, b, 2, c)
		if c.Data[0] != 22 {
			t.Errorf("%v: %v for alpha = 0, want 22", active, c.Data[0])
		}
		refused(t, map[string]func(){fmt.Sprintf("%v: shapes that do not fit", active): func() { GemmRounded(NoTrans, NoTrans, 1, a, a, 0, c) }})
	})
}
