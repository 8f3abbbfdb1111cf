package dense

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

var bundleSizes = []int{1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 31, 50, 100, 131}

// bundled returns a bundle of random matrices and the matrices themselves, complete. What they hold below the diagonal was NaN when they were set.
func bundled[T Float](rng *rand.Rand, n int) (*Bundle[T], []Matrix[T]) {
	b := NewBundle[T](n)
	var matrices []Matrix[T]
	for l := range Lanes[T]() {
		upper, full := definite[T](rng, n)
		b.Set(l, upper)
		matrices = append(matrices, full)
	}
	return b, matrices
}

// TestBundleInverse: every lane is inverted, also after shifts that differ from lane to lane, as Cholesky and substitution do it.
func TestBundleInverse(t *testing.T) {
	onPaths(t, func() {
		testBundleInverse[float64](t, 1e-13)
		testBundleInverse[float32](t, 1e-5)
	})
}

func testBundleInverse[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range bundleSizes {
		b, matrices := bundled[T](rng, n)
		_, x := definite[T](rng, n)
		tiles, shift := make([]T, TiledLength(n)), make([]T, Lanes[T]())
		PackTiles(tiles, x)
		for l := range shift {
			shift[l] = T(l) / 3
		}
		m, w := NewBundle[T](n), NewBundleWork[T](n)
		m.Shift(b, shift, tiles)
		if !m.InvertNegative(w) {
			t.Fatalf("%v %T n=%d: refused", active, tol, n)
		}
		for l, a := range matrices {
			Axpy(shift[l], x.Data, a.Data)
			want := New[T](n, n)
			want.Identity()
			Cholesky(a)
			SolveLower(NoTrans, a, want)
			SolveLower(Transposed, a, want)
			got := New[T](n, n)
			m.Get(l, got)
			Mirror(got)
			Scale(-1, got.Data, got.Data)
			if d := maxDifference(got, want); !(d < tol) {
				t.Errorf("%v %T n=%d lane %d: the inverse is off by %g", active, shift[0], n, l, d)
			}
			for i := range n {
				pivot, root := float64(w.Pivots[i*Lanes[T]()+l]), float64(a.At(i, i))
				if d := math.Abs(pivot - root*root); !(d < 10*tol) {
					t.Errorf("%v %T n=%d lane %d: pivot %d is %g, want %g", active, shift[0], n, l, i, pivot, root*root)
				}
			}
		}
	}
}

// TestBundleLanes: a matrix has the same inverse, to the bit, in whichever lane it stands and whatever the others are.
func TestBundleLanes(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(7, 8))
		const n = 21
		b, matrices := bundled[float64](rng, n)
		w := NewBundleWork[float64](n)
		b.InvertNegative(w)
		first, got := New[float64](n, n), New[float64](n, n)
		b.Get(0, first)
		for l := range Lanes[float64]() {
			c := NewBundle[float64](n)
			c.Set(l, matrices[0])
			if !c.InvertNegative(w) {
				t.Fatalf("%v lane %d: refused beside identities", active, l)
			}
			c.Get(l, got)
			if !slices.Equal(got.Data, first.Data) {
				t.Errorf("%v: other bits in lane %d", active, l)
			}
		}
	})
}

// TestBundleSetFour: four at once are what they are one by one, in either precision, and Traces their traces.
func TestBundleSetFour(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for _, n := range bundleSizes {
		var four [4]Matrix[float64]
		one, both := NewBundle[float32](n), NewBundle[float32](n)
		traces := make([]float32, Lanes[float32]())
		for l := range four {
			var full Matrix[float64]
			four[l], full = definite[float64](rng, n)
			single := New[float32](n, n)
			for i, v := range full.Data {
				single.Data[i] = float32(v)
			}
			one.Set(4+l, single)
		}
		SetFour(both, 4, four)
		if !slices.Equal(one.data, both.data) {
			t.Errorf("n=%d: other elements", n)
		}
		both.Traces(traces)
		for l, a := range four {
			var want float64
			for i := range n {
				want += a.At(i, i)
			}
			if got := float64(traces[4+l]); !(math.Abs(got-want) < 1e-6*want*float64(n)) || traces[l] != float32(n) {
				t.Errorf("n=%d lane %d: trace %v, want %v", n, 4+l, got, want)
			}
		}
	}
}

// TestBundleRefuses: a matrix that is not positive definite or not finite is noticed in any lane, wherever the fault stands, and does not touch the others.
func TestBundleRefuses(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(9, 10))
		for _, n := range []int{1, 7, 16, 33} {
			for _, bad := range []float64{-1, 0, math.NaN(), math.Inf(1)} {
				for _, at := range []int{0, n / 2, n - 1} {
					b, matrices := bundled[float64](rng, n)
					clean := NewBundle[float64](n)
					clean.Set(2, matrices[2])
					matrices[1].Set(at, at, bad)
					b.Set(1, matrices[1])
					w := NewBundleWork[float64](n)
					clean.InvertNegative(w)
					if b.InvertNegative(w) {
						t.Errorf("%v n=%d: took %v at %d", active, n, bad, at)
					}
					got, want := New[float64](n, n), New[float64](n, n)
					b.Get(2, got)
					clean.Get(2, want)
					if !slices.Equal(got.Data, want.Data) {
						t.Errorf("%v n=%d: %v at %d of one lane changes another", active, n, bad, at)
					}
				}
			}
		}
	})
}

// TestBundleSums: weighted sums over bundles and lanes are those of the matrices.
func TestBundleSums(t *testing.T) {
	onPaths(t, func() {
		testBundleSums[float64](t, 1e-14)
		testBundleSums[float32](t, 1e-5)
	})
}

func testBundleSums[T Float](t *testing.T, tol float64) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, n := range bundleSizes {
		acc, weight, want := NewBundle[T](n), make([]T, Lanes[T]()), New[T](n, n)
		acc.Zero()
		for range 2 {
			b, matrices := bundled[T](rng, n)
			for l, m := range matrices {
				weight[l] = T(rng.Float64())
				Axpy(weight[l], m.Data, want.Data)
			}
			acc.Add(weight, b)
		}
		tiles, got := make([]T, TiledLength(n)), New[T](n, n)
		for l := range weight {
			weight[l] = 1
		}
		acc.AddSum(tiles, weight)
		UnpackTiles(got, tiles)
		Mirror(got)
		if d := maxDifference(got, want); !(d < tol*float64(8*Lanes[T]())) {
			t.Errorf("%v %T n=%d: the sum is off by %g", active, weight[0], n, d)
		}
		b, matrices := bundled[T](rng, n)
		for l := range weight {
			weight[l] = T(l) - 1
			Axpy(weight[l], matrices[l].Data, want.Data)
		}
		b.AddSum(tiles, weight)
		UnpackTiles(got, tiles)
		Mirror(got)
		if d := maxDifference(got, want); !(d < tol*float64(16*Lanes[T]())) {
			t.Errorf("%v %T n=%d: the sum of lanes is off by %g", active, weight[0], n, d)
		}
		tiles = make([]T, len(tiles))
		InnerTiles(tiles, want)
		b.Inner(weight, tiles)
		squares := make([]T, len(weight))
		b.SquareBounds(squares)
		for l, m := range matrices {
			if square := float64(Dot(m.Data, m.Data)); !(float64(squares[l]) >= square*(1-tol) && float64(squares[l]) <= 2*square*(1+tol)) {
				t.Errorf("%v %T n=%d: %g bounds a square of %g", active, weight[0], n, squares[l], square)
			}
			if exact := float64(Dot(m.Data, want.Data)); !(math.Abs(float64(weight[l])-exact) < tol*float64(8*n)*math.Abs(exact)) {
				t.Errorf("%v %T n=%d: inner product %g, want %g", active, weight[0], n, weight[l], exact)
			}
		}
	}
}

func TestBundleAllocatesNothing(t *testing.T) {
	const n = 30
	b, matrices := bundled[float32](rand.New(rand.NewPCG(13, 14)), n)
	m, w, tiles, shift := NewBundle[float32](n), NewBundleWork[float32](n), make([]float32, TiledLength(n)), make([]float32, Lanes[float32]())
	if got := allocs.PerRun(5, func() {
		PackTiles(tiles, matrices[0])
		m.Shift(b, shift, tiles)
		m.InvertNegative(w)
		m.Add(shift, b)
		m.AddSum(tiles, shift)
		InnerTiles(tiles, matrices[1])
		m.Inner(shift, tiles)
		m.SquareBounds(shift)
		UnpackTiles(matrices[0], tiles)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestBundlePanics(t *testing.T) {
	b := NewBundle[float64](5)
	refused(t, map[string]func(){
		"no rows":                        func() { NewBundle[float64](0) },
		"a matrix of another size":       func() { b.Set(0, New[float64](4, 4)) },
		"four matrices without elements": func() { SetFour(b, 0, [4]Matrix[float64]{}) },
		"no traces":                      func() { b.Traces(nil) },
		"a place of another size":        func() { b.Get(0, New[float64](5, 6)) },
		"tiles that do not fit":          func() { PackTiles(make([]float64, 25), New[float64](5, 5)) },
		"a place for tiles":              func() { UnpackTiles(New[float64](5, 5), make([]float64, 25)) },
		"shifted: another size":          func() { b.Shift(NewBundle[float64](9), make([]float64, 4), make([]float64, TiledLength(5))) },
		"shifted: too few shifts":        func() { b.Shift(b, make([]float64, 3), make([]float64, TiledLength(5))) },
		"sum: another size":              func() { b.Add(make([]float64, 4), NewBundle[float64](9)) },
		"weighted sum: no place":         func() { b.AddSum(nil, make([]float64, 4)) },
		"inner products: no tiles":       func() { b.Inner(make([]float64, 4), nil) },
		"squares: no place":              func() { b.SquareBounds(nil) },
		"work of another size":           func() { b.InvertNegative(NewBundleWork[float64](9)) },
		"congruence: another triangle":   func() { b.Congruence(NewBundleTriangle[float64](9), NewBundlePair[float64](5)) },
		"congruence: another pair":       func() { b.Congruence(NewBundleTriangle[float64](5), NewBundlePair[float64](9)) },
		"a triangle of another size":     func() { NewBundleTriangle[float64](5).Set(New[float64](5, 4)) },
		"lanes of another size":          func() { SetLanes(b, 0, NewBundle[float32](9), []int{0}) },
	})
}
