package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

var triangularSizes = []int{1, 2, 3, 5, 8, 9, 11, 12, 16, 17, 20, 31, 32, 33, 50, 64, 100, 129, 200}

// lowerFactor returns a well-conditioned lower triangular matrix with NaN above the diagonal, which no kernel may read.
func lowerFactor[T Float](rng *rand.Rand, n int) Matrix[T] {
	l := random[T](rng, n, n)
	for i := range n {
		for j := range n {
			switch {
			case j > i:
				l.Set(i, j, T(math.NaN()))
			case j < i:
				l.Set(i, j, l.At(i, j)/T(n))
			default:
				l.Set(i, i, 1+T(rng.Float64()))
			}
		}
	}
	return l
}

func lowerOnly[T Float](l Matrix[T]) Matrix[T] {
	c := l.Clone()
	for i := range c.Rows {
		clear(c.Row(i)[i+1:])
	}
	return c
}

func maxDifference[T Float](a, b Matrix[T]) float64 {
	var d float64
	for i := range a.Rows {
		for j, v := range a.Row(i) {
			d = max(d, math.Abs(float64(v-b.At(i, j))))
		}
	}
	return d
}

func TestTriangular(t *testing.T) {
	onPaths(t, func() {
		testTriangular[float64](t, 1e-13)
		testTriangular[float32](t, 1e-4)
	})
}

func testTriangular[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range triangularSizes {
		cols := 1 + rng.IntN(40)
		l := lowerFactor[T](rng, n)
		full := lowerOnly(l)
		for _, tl := range []Trans{NoTrans, Transposed} {
			where := fmt.Sprintf("%v %T n=%d cols=%d transposed=%v", active, tol, n, cols, tl)
			b := random[T](rng, n, cols)
			x, back := b.Clone(), New[T](n, cols)
			SolveLower(tl, l, x)
			Gemm(tl, NoTrans, 1, full, x, 0, back)
			if d := maxDifference(back, b); !(d < tol) {
				t.Errorf("SolveLower %s: residual %g", where, d)
			}
			MulLower(tl, l, x, back)
			if d := maxDifference(back, b); !(d < tol) {
				t.Errorf("MulLower %s: differs by %g", where, d)
			}
			c := random[T](rng, cols, n)
			y, back2 := c.Clone(), New[T](cols, n)
			SolveLowerRight(tl, l, y)
			Gemm(NoTrans, tl, 1, y, full, 0, back2)
			if d := maxDifference(back2, c); !(d < tol) {
				t.Errorf("SolveLowerRight %s: residual %g", where, d)
			}
			MulLowerRight(tl, l, y, back2)
			if d := maxDifference(back2, c); !(d < tol) {
				t.Errorf("MulLowerRight %s: differs by %g", where, d)
			}
		}
		inv, id := l.Clone(), New[T](n, n)
		InvertLower(inv)
		for i := range n {
			for j := i + 1; j < n; j++ {
				if v := float64(inv.At(i, j)); !math.IsNaN(v) {
					t.Fatalf("%v n=%d: InvertLower wrote above the diagonal", active, n)
				}
			}
		}
		x, back := full.Clone(), New[T](n, n)
		SolveLowerTriangle(l, x)
		Gemm(NoTrans, NoTrans, 1, full, x, 0, back)
		if d := maxDifference(back, full); !(d < tol) {
			t.Errorf("%v n=%d: SolveLowerTriangle residual %g", active, n, d)
		}
		testTriangles(t, l, full, tol)
		Gemm(NoTrans, NoTrans, 1, full, lowerOnly(inv), 0, id)
		addScaledIdentity(id, -1)
		if d := maxDifference(id, New[T](n, n)); !(d < tol) {
			t.Errorf("%v n=%d: InvertLower residual %g", active, n, d)
		}
		testCholesky(t, full, tol)
	}
}

// testTriangles compares operations with two triangles, full being l with zeros above the diagonal, with those of any matrices.
func testTriangles[T Float](t *testing.T, l, full Matrix[T], tol float64) {
	n := l.Rows
	other, got, want := full.Clone(), New[T](n, n), New[T](n, n)
	Scale(0.7, other.Data, other.Data)
	other.Set(n-1, 0, 2)
	fill := func() {
		for i := range got.Data {
			got.Data[i] = T(math.NaN())
		}
	}
	fill()
	MulTriangles(full, other, got)
	Gemm(NoTrans, NoTrans, 1, full, other, 0, want)
	if d := maxDifference(got, want); !(d < tol) {
		t.Errorf("%v n=%d: MulTriangles differs by %g", active, n, d)
	}
	for _, tl := range []Trans{NoTrans, Transposed} {
		fill()
		TriangleGram(tl, full, got)
		MirrorLower(got)
		Gemm(tl, !tl, 1, full, full, 0, want)
		if d := maxDifference(got, want); !(d < tol) {
			t.Errorf("%v n=%d: TriangleGram, transposed %v, differs by %g", active, n, tl, d)
		}
		fill()
		symmetric, product := New[T](n, n), New[T](n, n)
		Gemm(NoTrans, Transposed, 1, other, other, 0, symmetric)
		if tl {
			Gemm(NoTrans, NoTrans, 1, symmetric, full, 0, product)
			Gemm(Transposed, NoTrans, 1, full, product, 0, want)
		} else {
			Gemm(NoTrans, NoTrans, 1, full, symmetric, 0, product)
			Gemm(NoTrans, Transposed, 1, product, full, 0, want)
		}
		MulLowerHalf(tl, full, product, got)
		MirrorLower(got)
		if d := maxDifference(got, want); !(d < 10*tol) {
			t.Errorf("%v n=%d: MulLowerHalf, transposed %v, differs by %g", active, n, tl, d)
		}
	}
	got.Copy(other)
	SolveLowerTriangleRight(l, got)
	Gemm(NoTrans, NoTrans, 1, got, full, 0, want)
	if d := maxDifference(want, other); !(d < tol) {
		t.Errorf("%v n=%d: SolveLowerTriangleRight residual %g", active, n, d)
	}
	if d := maxDifference(got, lowerOnly(got)); d != 0 {
		t.Errorf("%v n=%d: SolveLowerTriangleRight wrote above the diagonal", active, n)
	}
	Gemm(NoTrans, Transposed, 1, other, other, 0, want)
	got.Copy(want)
	SolveLower(Transposed, l, want)
	SolveLowerHalf(l, got)
	if d := maxDifference(lowerOnly(got), lowerOnly(want)); !(d < tol) {
		t.Errorf("%v n=%d: SolveLowerHalf differs by %g", active, n, d)
	}
}

func addScaledIdentity[T Float](a Matrix[T], s T) {
	for i := range a.Rows {
		a.Data[i*a.Stride+i] += s
	}
}

// Of the upper triangle alone Cholesky makes the same, and stops where it would.
func TestCholeskyUpper(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 5))
	for _, n := range triangularSizes {
		b, a := random[float64](rng, n, n), New[float64](n, n+3).View(0, 0, n, n)
		Gemm(NoTrans, Transposed, 1, b, b, 0, a)
		for i := range n {
			a.Set(i, i, a.At(i, i)+1)
		}
		for _, pivot := range []int{n, n / 2} {
			if pivot < n {
				a.Set(pivot, pivot, -1)
			}
			onPaths(t, func() {
				want, got := a.Clone(), a.Clone()
				for i := range n {
					for j := range i {
						want.Set(i, j, a.At(j, i))
						got.Set(i, j, math.NaN())
					}
				}
				if p, q := Cholesky(want), CholeskyUpper(got); p != q || q < 0 != (pivot == n) {
					t.Fatalf("%v, n = %d: Cholesky stops at %d, CholeskyUpper at %d", active, n, p, q)
				}
				if pivot == n && maxDifference(want, got) != 0 {
					t.Fatalf("%v, n = %d: CholeskyUpper differs", active, n)
				}
			})
		}
	}
}

func testCholesky[T Float](t *testing.T, l Matrix[T], tol float64) {
	n := l.Rows
	a := New[T](n, n)
	Gemm(NoTrans, Transposed, 1, l, l, 0, a)
	for i := range n {
		for j := i + 1; j < n; j++ {
			a.Set(i, j, T(math.NaN()))
		}
	}
	f := a.Clone()
	if bad := Cholesky(f); bad != -1 {
		t.Fatalf("%v n=%d: Cholesky stopped at %d", active, n, bad)
	}
	if d := maxDifference(f, l); !(d < 10*tol) {
		t.Errorf("%v n=%d: Cholesky differs by %g", active, n, d)
	}
	for _, at := range []int{0, n / 2, n - 1} {
		f.Copy(a)
		f.Set(at, at, -1)
		if bad := Cholesky(f); bad != at {
			t.Errorf("%v n=%d: pivot %d is negative, Cholesky returned %d", active, n, at, bad)
		}
		for _, pivot := range []float64{0, math.NaN(), math.Inf(1)} {
			f.Copy(a)
			f.Set(at, at, T(pivot))
			if bad := Cholesky(f); bad != at {
				t.Errorf("%v n=%d: pivot %d is %v, Cholesky returned %d", active, n, at, pivot, bad)
			}
		}
	}
}

func TestRotatedDiagonal(t *testing.T) {
	onPaths(t, func() {
		testRotatedDiagonal[float64](t, 1e-12)
		testRotatedDiagonal[float32](t, 1e-3)
	})
}

func testRotatedDiagonal[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(5, 4))
	for _, n := range triangularSizes {
		cols := 1 + rng.IntN(n)
		q, m := random[T](rng, n, cols), random[T](rng, n, n)
		full := lowerOnly(m)
		for i := range n {
			for j := range i {
				full.Set(j, i, full.At(i, j))
				m.Set(j, i, T(math.NaN()))
			}
		}
		d := make([]T, cols)
		RotatedDiagonal(q, m, d, make([]T, n*cols))
		mq := New[T](n, cols)
		Gemm(NoTrans, NoTrans, 1, full, q, 0, mq)
		for j := range d {
			var want float64
			for i := range n {
				want += float64(q.At(i, j)) * float64(mq.At(i, j))
			}
			if e := math.Abs(float64(d[j]) - want); !(e < tol*float64(n)) {
				t.Fatalf("%v n=%d: element %d is %v, want %v", active, n, j, d[j], want)
			}
		}
	}
}

// TestTriangleParts: every column or row is computed, whatever the last strip has.
func TestTriangleParts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	repeats := 10 // until helpers are awake
	if active == portable {
		repeats = 4 // which take as long
	}
	for n := 240; n < 274; n++ {
		l, b, want := New[float64](n, n), New[float64](n, n), New[float64](n, n)
		inverse, g := New[float64](n, n), New[float64](n, n)
		for i := range n {
			for j := range i {
				l.Set(i, j, float64((i+j)%3-1)/float64(n))
			}
			l.Set(i, i, 1+float64(i%5)/5)
		}
		for range repeats {
			b.Copy(l)
			SolveLowerTriangle(l, b)
		}
		want.Identity()
		for i, v := range b.Data {
			if math.Abs(v-want.Data[i]) > 1e-12 {
				t.Fatalf("order %d: L^-1 L has %v at (%d, %d)", n, v, i/n, i%n)
			}
		}
		inverse.Copy(l)
		InvertLower(inverse)
		for range repeats {
			MulTriangles(l, inverse, b)
		}
		if d := maxDifference(b, want); !(d < 1e-12) {
			t.Fatalf("order %d: L L^-1 differs from I by %v", n, d)
		}
		for range repeats {
			b.Copy(l)
			SolveLowerTriangleRight(l, b)
		}
		if d := maxDifference(b, want); !(d < 1e-12) {
			t.Fatalf("order %d: L L^-1 by substitution differs from I by %v", n, d)
		}
		Gemm(NoTrans, Transposed, 1, l, l, 0, g)
		want.Copy(g)
		SolveLower(Transposed, l, want)
		for range repeats {
			b.Copy(g)
			SolveLowerHalf(l, b)
		}
		if d := maxDifference(lowerOnly(b), lowerOnly(want)); !(d < 1e-12) {
			t.Fatalf("order %d: half a substitution differs by %v", n, d)
		}
		for _, tl := range []Trans{NoTrans, Transposed} {
			Gemm(tl, !tl, 1, l, l, 0, want)
			for range repeats {
				g.Zero()
				TriangleGram(tl, l, g)
			}
			MirrorLower(g)
			if d := maxDifference(g, want); !(d < 1e-12) {
				t.Fatalf("order %d: the Gram matrix, transposed %v, differs by %v", n, tl, d)
			}
		}
	}
}
