package dense

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// exactly returns a matrix of multiples of 1/1024 between 1 and 2, or with either sign below 2: numbers that are the same on every processor.
func exactly[T Float](rng *rand.Rand, rows, cols int, positive bool) Matrix[T] {
	m := New[T](rows, cols)
	for i := range m.Data {
		v := T(1024 + rng.IntN(1024))
		if !positive {
			v = T(rng.IntN(4096) - 2048)
		}
		m.Data[i] = v / 1024
	}
	return m
}

// kernelSum is a checksum of what the kernels with assembly on every path give for sizes up to n.
func kernelSum[T Float](most int) uint64 {
	sum := fnv.New64a()
	rng := rand.New(rand.NewPCG(26, 9))
	keep := func(x ...T) {
		for _, v := range x {
			_ = binary.Write(sum, binary.LittleEndian, math.Float64bits(float64(v)))
		}
	}
	for n := 1; n <= most; n += 1 + n/8 {
		m, k := 1+rng.IntN(most), 1+rng.IntN(9*most)
		a, b, c := exactly[T](rng, m, k, false), exactly[T](rng, k, n, false), exactly[T](rng, m, n, false)
		Gemm(NoTrans, NoTrans, 0.3, a, b, 0.7, c)
		keep(c.Data...)
		Gemm(Transposed, Transposed, 1, transposed(a), transposed(b), 0, c)
		keep(c.Data...)
		s, r, x := exactly[T](rng, 1, n, true).Data, exactly[T](rng, 1, n, true).Data, exactly[T](rng, 1, n, false).Data
		y := exactly[T](rng, 1, m, false).Data
		Gemv(NoTrans, 0.3, c, x, 0.7, y)
		keep(y...)
		Gemv(Transposed, 0.3, c, y, 0.7, x)
		keep(x...)
		Ger(0.3, y, x, c)
		Blend(0.3, s, 0.7, x, x)
		Multiply(r, x, x)
		Sqrt(s, r)
		keep(append(x, s...)...)
		plain, weighted := WeightedSquares(x, s)
		abs, squares := norms(x)
		keep(Dot(x, r), plain, weighted, abs, squares)
		t, out := exactly[T](rng, n, n, false), New[T](n, n)
		BoundedAngle(s, r, x, t, out)
		keep(out.Data...)
		FirstOrderAngle(s, r, t, out)
		keep(out.Data...)
		RotatedDiagonal(t, out, x, make([]T, n*n))
		keep(x...)
	}
	return sum.Sum64()
}

// eigenSum is a checksum of what the kernels of the eigenvalue solver give.
func eigenSum() uint64 {
	sum := fnv.New64a()
	rng := rand.New(rand.NewPCG(27, 9))
	for n := 1; n < 60; n++ {
		a := exactly[float64](rng, 4, n, false)
		v, w, x := exactly[float64](rng, 3, n+4, false), exactly[float64](rng, 1, n, false), exactly[float64](rng, 1, n+4, true)
		y, sums := w.Data, [4]float64{}
		symv4(a.Data, n, x.Data[4:], (*[4]float64)(x.Data), y, &sums)
		_ = binary.Write(sum, binary.LittleEndian, sums)
		rankTwoSymv4(a.Data, n, v.Row(0), v.Row(1), x.Data, y, &sums)
		RotateRows(a, []float64{0.6, 0.8, 0.28}, []float64{0.8, 0.6, 0.96})
		_ = binary.Write(sum, binary.LittleEndian, sums)
		_ = binary.Write(sum, binary.LittleEndian, y)
		_ = binary.Write(sum, binary.LittleEndian, a.Data)
	}
	d, z, rows := exactly[float64](rng, 1, 64, true).Data, exactly[float64](rng, 1, 64, true).Data, exactly[float64](rng, 4, 64, true)
	_ = binary.Write(sum, binary.LittleEndian, PoleSums(d, z, 3, 0.1))
	PoleWeights(z, d, rows.Data, 64, &[4]float64{3, 4, 5, 6})
	_ = binary.Write(sum, binary.LittleEndian, PoleQuotients(z, d))
	_ = binary.Write(sum, binary.LittleEndian, append(z, d...))
	return sum.Sum64()
}

// The assembly of all processors gives the same bits.
func TestBitsAcrossProcessors(t *testing.T) {
	onPaths(t, func() {
		if active == portable {
			return
		}
		for _, c := range []struct {
			what      string
			got, want uint64
		}{
			{"float64", kernelSum[float64](130), 0xc5a067135bfb7dc4},
			{"float32", kernelSum[float32](130), 0x40002c92944dfaf4},
			{"eigen", eigenSum(), 0x8b9630049541f80a},
		} {
			if c.got != c.want {
				t.Errorf("%v: checksum of %s is %#x, want %#x", active, c.what, c.got, c.want)
			}
		}
	})
}
