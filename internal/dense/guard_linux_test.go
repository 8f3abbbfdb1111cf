package dense

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns n elements that end, or start, where memory ends: whoever touches what is beyond them faults.
func guarded[T Float](t *testing.T, n int, atEnd bool) []T {
	page := os.Getpagesize()
	size := int(unsafe.Sizeof(*new(T)))
	inside := (n*size + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, inside+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(all) })
	for _, guard := range [][]byte{all[:page], all[page+inside:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	from := page
	if atEnd {
		from = page + inside - n*size
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&all[from])), n)
}

// No kernel reads or writes beyond the elements that it is given, wherever they lie.
func TestNothingBeyond(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	onPaths(t, func() {
		for _, atEnd := range []bool{true, false} {
			nothingBeyond[float64](t, atEnd)
			nothingBeyond[float32](t, atEnd)
		}
	})
}

func nothingBeyond[T Float](t *testing.T, atEnd bool) {
	const most = 52
	rng := rand.New(rand.NewPCG(25, 9))
	fill := func(n int) []T {
		x := guarded[T](t, n, atEnd)
		for i := range x {
			x[i] = T(1 + rng.Float64())
		}
		return x
	}
	take := func(x []T, n int) []T {
		if atEnd {
			return x[len(x)-n:]
		}
		return x[:n]
	}
	big := [3][]T{fill(most * most), fill(most * most), fill(most * most)}
	small := [5][]T{fill(most), fill(most), fill(most), fill(most), fill(most)}
	for n := 1; n <= most; n++ {
		m, k := 1+rng.IntN(most), 1+rng.IntN(most)
		v := func(i int) []T { return take(small[i], n) }
		whole := func(i, rows, cols int) Matrix[T] { return Wrap(rows, cols, take(big[i], rows*cols)) }
		for name, f := range map[string]func(){
			"Gemm NN":     func() { Gemm(NoTrans, NoTrans, 1, whole(0, m, k), whole(1, k, n), 0, whole(2, m, n)) },
			"Gemm TN":     func() { Gemm(Transposed, NoTrans, 0.5, whole(0, k, m), whole(1, k, n), 0.5, whole(2, m, n)) },
			"Gemm NT":     func() { Gemm(NoTrans, Transposed, 0.5, whole(0, m, k), whole(1, n, k), 0, whole(2, m, n)) },
			"Gemm TT":     func() { Gemm(Transposed, Transposed, 1, whole(0, k, m), whole(1, n, k), 1, whole(2, m, n)) },
			"GemmUpper":   func() { GemmUpper(NoTrans, NoTrans, 1, whole(0, n, k), whole(1, k, n), 1, whole(2, n, n)) },
			"GemmLower":   func() { GemmLower(NoTrans, NoTrans, 1, whole(0, n, k), whole(1, k, n), 1, whole(2, n, n)) },
			"GemmRounded": func() { GemmRounded(NoTrans, Transposed, 1, whole(0, m, k), whole(1, n, k), 1, whole(2, m, n)) },
			"RoundedSandwiches": func() {
				x, single := any(whole(0, n, n)).(Matrix[float32])
				if s := NewRoundedSandwiches(n, 2); single && s != nil {
					s.Set(1, x, x)
					s.Sum(1, x, any(whole(1, n, n)).(Matrix[float32]))
				}
			},
			"Transpose":       func() { Transpose(whole(1, m, n), whole(0, n, m)) },
			"Gemv":            func() { Gemv(NoTrans, 1, whole(0, m, n), v(0), 1, take(small[1], m)) },
			"Gemv transposed": func() { Gemv(Transposed, 1, whole(0, m, n), take(small[1], m), 1, v(0)) },
			"vectors": func() {
				Scale(1, v(0), v(1))
				Blend(0.5, v(0), 0.5, v(1), v(2))
				Multiply(v(0), v(1), v(2))
				Sqrt(v(3), v(0))
				WeightedSquares(v(0), v(1))
				NormBound(Wrap(1, n, v(0)))
			},
			"elementary": func() {
				Exp(v(3), v(0))
				Log(v(3), v(0))
				Pow(v(3), v(0), 0.3)
				FillNormal(v(4), [2]uint64{1, 2}, uint64(m))
			},
			"generators": func() {
				BoundedAngle(v(0), v(1), v(2), whole(0, n, n), whole(1, n, n))
				FirstOrderAngle(v(0), v(1), whole(0, n, n), whole(1, n, n))
			},
			"RotatedDiagonal": func() { RotatedDiagonal(whole(0, n, n), whole(1, n, n), v(0), take(big[2], n*n)) },
			"triangular": func() {
				SolveLower(NoTrans, whole(0, n, n), whole(1, n, k))
				SolveLower(Transposed, whole(0, n, n), whole(1, n, k))
				SolveLowerTriangle(whole(0, n, n), whole(1, n, n))
				SolveLowerTriangleRight(whole(0, n, n), whole(1, n, n))
				SolveLowerHalf(whole(0, n, n), whole(1, n, n))
				MulTriangles(whole(0, n, n), whole(1, n, n), whole(2, n, n))
				TriangleGram(NoTrans, whole(0, n, n), whole(2, n, n))
				TriangleGram(Transposed, whole(0, n, n), whole(2, n, n))
				MirrorLower(whole(2, n, n))
				Cholesky(whole(2, n, n))
				InvertLower(whole(2, n, n))
			},
			"eigen": func() {
				if x, ok := any(v(0)).([]float64); ok {
					a, y, z := any(whole(0, n, n)).(Matrix[float64]), any(v(1)).([]float64), any(v(2)).([]float64)
					Symv(a, x, y)
					RankTwoSymv(a, x, z, x, y)
					RotateRows(a, x[:n-1], z[:n-1])
					PoleQuotients(x, z)
				}
			},
		} {
			within(t, fmt.Sprintf("%v %T at end %v: %s m=%d n=%d k=%d", active, big[0][0], atEnd, name, m, n, k), f)
		}
	}
}

// within runs f and reports a fault.
func within(t *testing.T, what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: %v", what, p)
		}
	}()
	f()
}
