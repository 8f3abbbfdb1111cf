package gonumblas

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

type element interface{ float32 | float64 }

// calls is the part of a BLAS that is replaced, for one element type.
type calls[T element] struct {
	gemm func(tA, tB blas.Transpose, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int)
	syrk func(ul blas.Uplo, t blas.Transpose, n, k int, alpha T, a []T, lda int, beta T, c []T, ldc int)
	syr2 func(ul blas.Uplo, t blas.Transpose, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int)
	symm func(s blas.Side, ul blas.Uplo, m, n int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int)
	trmm func(s blas.Side, ul blas.Uplo, tA blas.Transpose, d blas.Diag, m, n int, alpha T, a []T, lda int, b []T, ldb int)
	trsm func(s blas.Side, ul blas.Uplo, tA blas.Transpose, d blas.Diag, m, n int, alpha T, a []T, lda int, b []T, ldb int)
	gemv func(tA blas.Transpose, m, n int, alpha T, a []T, lda int, x []T, incX int, beta T, y []T, incY int)
	ger  func(m, n int, alpha T, x []T, incX int, y []T, incY int, a []T, lda int)
}

func calls64(b blas.Float64) calls[float64] {
	return calls[float64]{b.Dgemm, b.Dsyrk, b.Dsyr2k, b.Dsymm, b.Dtrmm, b.Dtrsm, b.Dgemv, b.Dger}
}

func calls32(b blas.Float32) calls[float32] {
	return calls[float32]{b.Sgemm, b.Ssyrk, b.Ssyr2k, b.Ssymm, b.Strmm, b.Strsm, b.Sgemv, b.Sger}
}

func TestAgainstGonum(t *testing.T) {
	t.Run("float64", func(t *testing.T) {
		compare(t, calls64(Implementation{}), calls64(gonum.Implementation{}), 1e-13)
	})
	t.Run("float32", func(t *testing.T) {
		compare(t, calls32(Implementation{}), calls32(gonum.Implementation{}), 1e-4)
	})
}

var (
	sides  = []blas.Side{blas.Left, blas.Right}
	uplos  = []blas.Uplo{blas.Upper, blas.Lower}
	transs = []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans}
	diags  = []blas.Diag{blas.Unit, blas.NonUnit}
)

// trial draws the arguments of one comparison and checks its outcome.
type trial[T element] struct {
	*testing.T
	rng *rand.Rand
	tol float64
}

func (r trial[T]) matrix(rows, cols int) (data []T, stride int) {
	stride = max(1, cols) + r.rng.IntN(3)
	data = make([]T, rows*stride+2)
	for i := range data {
		data[i] = T(r.rng.NormFloat64())
	}
	return data, stride
}

// triangular returns a well-conditioned one; the rest of the memory is NaN, which must not be read.
func (r trial[T]) triangular(n int, ul blas.Uplo, d blas.Diag) (data []T, stride int) {
	data, stride = r.matrix(n, n)
	for i := range n {
		for j := range stride {
			switch {
			case j == i && d == blas.NonUnit:
				data[i*stride+j] = T(1 + r.rng.Float64())
			case j < n && (j < i && ul == blas.Lower || j > i && ul == blas.Upper):
				data[i*stride+j] /= T(n)
			default:
				data[i*stride+j] = T(math.NaN())
			}
		}
	}
	return data, stride
}

func (r trial[T]) scalar() T { return []T{0, 1, -1, 0.7}[r.rng.IntN(4)] }

func (r trial[T]) same(what string, got, want []T) {
	r.Helper()
	for i, w := range want {
		if g := got[i]; g != w && !(math.Abs(float64(g-w)) <= r.tol*(1+math.Abs(float64(w)))*100) {
			if math.IsNaN(float64(g)) && math.IsNaN(float64(w)) {
				continue
			}
			r.Fatalf("%s: element %d is %v, gonum has %v", what, i, g, w)
		}
	}
}

func compare[T element](t *testing.T, ours, theirs calls[T], tol float64) {
	const seed = 31
	r := trial[T]{t, rand.New(rand.NewPCG(seed, 1)), tol}
	sizes := []int{0, 1, 2, 3, 7, 16, 33, 50, 70}
	size := func() int { return sizes[r.rng.IntN(len(sizes))] }
	for round := range 40 {
		m, n, k := size(), size(), size()
		where := fmt.Sprintf("round %d (seed %d), m=%d n=%d k=%d", round, seed, m, n, k)
		compareProducts(r, ours, theirs, where, m, n, k)
		compareTriangular(r, ours, theirs, where, m, n)
		for _, tA := range transs {
			a, lda := r.matrix(m, n)
			x, y := make([]T, 2*70), make([]T, 2*70)
			for i := range x {
				x[i], y[i] = T(r.rng.NormFloat64()), T(r.rng.NormFloat64())
			}
			inc := 1 + r.rng.IntN(2)
			alpha, beta, y2 := r.scalar(), r.scalar(), append([]T(nil), y...)
			length := m
			if tA != blas.NoTrans {
				length = n
			}
			mine := y
			if inc != 1 { // left to gonum
				mine = y[:length]
			}
			ours.gemv(tA, m, n, alpha, a, lda, x, inc, beta, mine, 1)
			// gonum v0.17.0 clears all of y, not only its first elements, in Sgemv with a transposed A and beta = 0.
			theirs.gemv(tA, m, n, alpha, a, lda, x, inc, beta, y2[:length], 1)
			r.same("gemv "+where, y, y2)
			a2 := append([]T(nil), a...)
			ours.ger(m, n, alpha, x, inc, y, 1, a, lda)
			theirs.ger(m, n, alpha, x, inc, y2, 1, a2, lda)
			r.same("ger "+where, a, a2)
		}
	}
}

func compareProducts[T element](r trial[T], ours, theirs calls[T], where string, m, n, k int) {
	shape := func(t blas.Transpose, rows, cols int) ([]T, int) {
		if t != blas.NoTrans {
			rows, cols = cols, rows
		}
		return r.matrix(rows, cols)
	}
	for _, tA := range transs {
		for _, tB := range transs {
			a, lda := shape(tA, m, k)
			b, ldb := shape(tB, k, n)
			c, ldc := r.matrix(m, n)
			c2, alpha, beta := append([]T(nil), c...), r.scalar(), r.scalar()
			ours.gemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			theirs.gemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c2, ldc)
			r.same("gemm "+where, c, c2)
		}
		for _, ul := range uplos {
			a, lda := shape(tA, n, k)
			b, ldb := shape(tA, n, k)
			c, ldc := r.matrix(n, n)
			c2, alpha, beta := append([]T(nil), c...), r.scalar(), r.scalar()
			ours.syrk(ul, tA, n, k, alpha, a, lda, beta, c, ldc)
			theirs.syrk(ul, tA, n, k, alpha, a, lda, beta, c2, ldc)
			r.same("syrk "+where, c, c2)
			ours.syr2(ul, tA, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			theirs.syr2(ul, tA, n, k, alpha, a, lda, b, ldb, beta, c2, ldc)
			r.same("syr2k "+where, c, c2)
		}
	}
	for _, side := range sides {
		for _, ul := range uplos {
			order := m
			if side == blas.Right {
				order = n
			}
			a, lda := r.triangular(order, ul, blas.NonUnit)
			b, ldb := r.matrix(m, n)
			c, ldc := r.matrix(m, n)
			c2, alpha, beta := append([]T(nil), c...), r.scalar(), r.scalar()
			ours.symm(side, ul, m, n, alpha, a, lda, b, ldb, beta, c, ldc)
			theirs.symm(side, ul, m, n, alpha, a, lda, b, ldb, beta, c2, ldc)
			r.same("symm "+where, c, c2)
		}
	}
}

func compareTriangular[T element](r trial[T], ours, theirs calls[T], where string, m, n int) {
	for _, side := range sides {
		for _, ul := range uplos {
			for _, tA := range transs {
				for _, d := range diags {
					order := m
					if side == blas.Right {
						order = n
					}
					a, lda := r.triangular(order, ul, d)
					b, ldb := r.matrix(m, n)
					b2, alpha := append([]T(nil), b...), r.scalar()
					what := fmt.Sprintf("side %c uplo %c trans %c diag %c, %s", side, ul, tA, d, where)
					ours.trmm(side, ul, tA, d, m, n, alpha, a, lda, b, ldb)
					theirs.trmm(side, ul, tA, d, m, n, alpha, a, lda, b2, ldb)
					r.same("trmm "+what, b, b2)
					ours.trsm(side, ul, tA, d, m, n, alpha, a, lda, b, ldb)
					theirs.trsm(side, ul, tA, d, m, n, alpha, a, lda, b2, ldb)
					r.same("trsm "+what, b, b2)
				}
			}
		}
	}
}

// What gonum refuses, we refuse with its words.
func TestBadArguments(t *testing.T) {
	x := make([]float64, 16)
	for name, call := range map[string]func(blas.Float64){
		"gemm flag":   func(b blas.Float64) { b.Dgemm('x', blas.NoTrans, 2, 2, 2, 1, x, 2, x, 2, 0, x, 2) },
		"gemm stride": func(b blas.Float64) { b.Dgemm(blas.NoTrans, blas.NoTrans, 2, 2, 3, 1, x, 2, x, 2, 0, x, 2) },
		"gemm short":  func(b blas.Float64) { b.Dgemm(blas.NoTrans, blas.NoTrans, 5, 5, 5, 1, x, 5, x, 5, 0, x, 5) },
		"syrk size":   func(b blas.Float64) { b.Dsyrk(blas.Upper, blas.NoTrans, -1, 2, 1, x, 2, 0, x, 2) },
		"trsm side":   func(b blas.Float64) { b.Dtrsm('x', blas.Upper, blas.NoTrans, blas.Unit, 2, 2, 1, x, 2, x, 2) },
		"trmm diag":   func(b blas.Float64) { b.Dtrmm(blas.Left, blas.Upper, blas.NoTrans, 'x', 2, 2, 1, x, 2, x, 2) },
		"gemv short":  func(b blas.Float64) { b.Dgemv(blas.NoTrans, 4, 4, 1, x, 4, x[:3], 1, 0, x, 1) },
		"ger zero":    func(b blas.Float64) { b.Dger(2, 2, 1, x, 0, x, 1, x, 2) },
	} {
		if ours, theirs := panicOf(call, Implementation{}), panicOf(call, gonum.Implementation{}); ours != theirs || ours == nil {
			t.Errorf("%s: panics with %v, gonum with %v", name, ours, theirs)
		}
	}
}

func panicOf(call func(blas.Float64), b blas.Float64) (p any) {
	defer func() { p = recover() }()
	call(b)
	return nil
}

func TestNoAllocations(t *testing.T) {
	const n = 60
	r := trial[float64]{t, rand.New(rand.NewPCG(1, 1)), 0}
	a, lda := r.triangular(n, blas.Upper, blas.NonUnit)
	b, ldb := r.matrix(n, n)
	c, ldc := r.matrix(n, n)
	var i blas.Float64 = Implementation{}
	if got := allocs.PerRun(20, func() {
		i.Dgemm(blas.Trans, blas.Trans, n, n, n, 1, b, ldb, b, ldb, 0, c, ldc)
		i.Dsyrk(blas.Lower, blas.Trans, n, n, 1, b, ldb, 0, c, ldc)
		i.Dtrsm(blas.Right, blas.Upper, blas.Trans, blas.Unit, n, n, 1, a, lda, c, ldc)
		i.Dtrmm(blas.Left, blas.Upper, blas.NoTrans, blas.NonUnit, n, n, 1, a, lda, c, ldc)
		i.Dgemv(blas.NoTrans, n, n, 1, b, ldb, c, 1, 0, c[n:], 1)
	}); got != 0 {
		t.Errorf("%v allocations per run", got)
	}
}

func BenchmarkDgemm(b *testing.B) {
	for _, n := range []int{16, 64, 256, 1024} {
		x, y := make([]float64, n*n), make([]float64, n*n)
		for i := range x {
			x[i] = rand.NormFloat64()
		}
		for name, impl := range map[string]blas.Float64{"spdopt": Implementation{}, "gonum": gonum.Implementation{}} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					impl.Dgemm(blas.NoTrans, blas.NoTrans, n, n, n, 1, x, n, x, n, 0, y, n)
				}
			})
		}
	}
}

// TestNotANumber: alpha = 0 reads no operand, and a zero does not hide what it is multiplied with.
func TestNotANumber(t *testing.T) {
	nan := math.NaN()
	for _, ta := range []blas.Transpose{blas.NoTrans, blas.Trans} {
		c := []float64{1, 2, 3, 4}
		Implementation{}.Dgemm(ta, ta, 2, 2, 2, 0, []float64{nan, 1, 1, nan}, 2, []float64{nan, nan, nan, nan}, 2, 2, c, 2)
		if !slices.Equal(c, []float64{2, 4, 6, 8}) {
			t.Errorf("alpha = 0: %v", c)
		}
		Implementation{}.Dgemm(ta, ta, 2, 2, 2, 1, make([]float64, 4), 2, []float64{nan, nan, nan, nan}, 2, 0, c, 2)
		if !slices.ContainsFunc(c, math.IsNaN) {
			t.Errorf("0 times NaN: %v", c)
		}
	}
}
