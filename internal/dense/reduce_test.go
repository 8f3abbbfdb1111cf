package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

const testLanes = 4

// laneVectors returns count vectors of lanes.
func laneVectors(rng *rand.Rand, count int) []float64 {
	v := make([]float64, count*testLanes)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

// near tells whether all elements are the same to rounding.
func near(got, want []float64) error {
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= 1e-13*float64(len(want))*(1+math.Abs(w))) {
			return fmt.Errorf("element %d is %v, want %v", i, got[i], w)
		}
	}
	return nil
}

// laneOf returns the matrix of a lane, complete.
func laneOf(b *Bundle[float64], lane int) Matrix[float64] {
	m := New[float64](b.n, b.n)
	b.Get(lane, m)
	Mirror(m)
	return m
}

// component returns the elements of one lane from the row on, where vectors start with the row first.
func component(v []float64, lane, first, n int) []float64 {
	out := make([]float64, n)
	for i := first; i < n; i++ {
		out[i] = v[(i-first)*testLanes+lane]
	}
	return out
}

// TestBundleRankTwoSymv: the update and the product are those of each matrix; rows before the first are left alone.
func TestBundleRankTwoSymv(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(31, 32))
		for _, n := range bundleSizes {
			for _, first := range []int{0, tileRows(n) / 2, tileRows(n) - 1} {
				b, _ := bundled[float64](rng, n)
				start := first * tileSide
				v, w, x := laneVectors(rng, b.Rows()-start), laneVectors(rng, b.Rows()-start), laneVectors(rng, b.Rows()-start)
				clear(x[(n-start)*testLanes:])
				y := make([]float64, len(x))
				var before [testLanes]Matrix[float64]
				for l := range before {
					before[l] = laneOf(b, l)
				}
				BundleRankTwoSymv(b, first, v, w, x, y)
				for l, want := range before {
					vl, wl, xl := component(v, l, start, n), component(w, l, start, n), component(x, l, start, n)
					Ger(-1, vl, wl, want)
					Ger(-1, wl, vl, want)
					if err := near(laneOf(b, l).Data, want.Data); err != nil {
						t.Fatalf("%v n=%d first=%d lane %d: matrix: %v", active, n, first, l, err)
					}
					product := make([]float64, n)
					Gemv(NoTrans, 1, want, xl, 0, product)
					if err := near(component(y, l, start, n)[start:], product[start:]); err != nil {
						t.Fatalf("%v n=%d first=%d lane %d: product: %v", active, n, first, l, err)
					}
				}
			}
		}
	})
}

// TestBundleRow: a row less the pair, from its diagonal on.
func TestBundleRow(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(33, 34))
		for _, n := range bundleSizes {
			b, _ := bundled[float64](rng, n)
			for _, i := range []int{0, n / 2, n - 1} {
				start := i / tileSide * tileSide
				v, w := laneVectors(rng, b.Rows()-start), laneVectors(rng, b.Rows()-start)
				dst := make([]float64, len(v))
				BundleRow(b, i, v, w, dst)
				for l := range testLanes {
					m, vl, wl := laneOf(b, l), component(v, l, start, n), component(w, l, start, n)
					want := make([]float64, n)
					for j := i; j < n; j++ {
						want[j] = m.At(i, j) - vl[i]*wl[j] - wl[i]*vl[j]
					}
					if err := near(component(dst, l, start, n)[i:], want[i:]); err != nil {
						t.Fatalf("%v n=%d row %d lane %d: %v", active, n, i, l, err)
					}
				}
			}
		}
	})
}

// TestBundleGrow: every path does what the definition says.
func TestBundleGrow(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(35, 36))
		for _, n := range bundleSizes {
			for _, terms := range []int{1, 3, 9} {
				for _, i := range []int{0, n / 2, n - 1} {
					testBundleGrow(t, rng, n, terms, i)
				}
			}
		}
	})
}

func testBundleGrow(t *testing.T, rng *rand.Rand, n, terms, i int) {
	b, _ := bundled[float64](rng, n)
	start := i / tileSide * tileSide
	rows := b.Rows() - start
	v, next, ratio, own := laneVectors(rng, rows), laneVectors(rng, rows), laneVectors(rng, terms), laneVectors(rng, terms)
	g := &Growth{First: laneVectors(rng, b.Rows()*terms), T: laneVectors(rng, terms), H: laneVectors(rng, terms)}
	tau := [4]float64{1.5, 0, -1, 2}
	clear(v[:(i-start+1)*testLanes]) // reflectors start below
	clear(g.First[start*terms*testLanes:][:(i-start+1)*terms*testLanes])
	first := append([]float64(nil), g.First...)
	for c := range rows {
		for k := range terms * testLanes {
			at := (start+c)*terms*testLanes + k
			first[at] = ratio[k] * (first[at] - g.T[k]*v[c*testLanes+k%testLanes])
		}
	}
	copy(first[i*terms*testLanes:], own)
	h, row := make([]float64, terms*testLanes), make([]float64, rows*testLanes)
	for c := range rows {
		for k := range h {
			e := first[(start+c)*terms*testLanes+k]
			row[c*testLanes+k%testLanes] += e
			if start+c != i {
				h[k] += e * next[c*testLanes+k%testLanes]
			}
		}
	}
	turned := make([]float64, len(h))
	for k := range h {
		h[k] += own[k]
		turned[k] = tau[k%testLanes] * h[k]
	}
	BundleGrow(b, i, g, v, next, ratio, own, &tau)
	for name, pair := range map[string][2][]float64{"first rows": {g.First, first}, "H": {g.H, h}, "T": {g.T, turned}} {
		if err := near(pair[0], pair[1]); err != nil {
			t.Fatalf("%v n=%d terms=%d row %d: %s: %v", active, n, terms, i, name, err)
		}
	}
	for j := i; j < n; j++ {
		if err := near(b.Lanes(i, j), row[(j-start)*testLanes:][:testLanes]); err != nil {
			t.Fatalf("%v n=%d terms=%d: element %d, %d: %v", active, n, terms, i, j, err)
		}
	}
}

func TestLaneVectors(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(37, 38))
		for _, n := range []int{4, 8, 12, 52, 100} {
			x, y := laneVectors(rng, n), laneVectors(rng, n)
			a, b := [4]float64{1, -2, 0, 0.5}, [4]float64{0, 3, 1, -1}
			var got, want [4]float64
			blend, mixed := make([]float64, len(x)), make([]float64, len(x))
			for i, v := range x {
				want[i%4] += v * y[i]
				mixed[i] = a[i%4]*v + b[i%4]*y[i]
			}
			LaneDot(&got, x, y)
			LaneBlend(blend, &a, x, &b, y)
			if err := near(got[:], want[:]); err != nil {
				t.Errorf("%v n=%d: LaneDot: %v", active, n, err)
			}
			if err := near(blend, mixed); err != nil {
				t.Errorf("%v n=%d: LaneBlend: %v", active, n, err)
			}
		}
	})
}

// TestLaneInverses: the elements that the ratios and the diagonal describe are those of the inverses, also where couplings vanish.
func TestLaneInverses(t *testing.T) {
	onPaths(t, func() {
		rng := rand.New(rand.NewPCG(39, 40))
		for _, n := range []int{1, 2, 3, 10, 33} {
			d, e := laneVectors(rng, n), laneVectors(rng, n)
			for i := range d {
				d[i] = 4 + math.Abs(d[i])
				if i%7 == 3 {
					e[i] = 0
				}
			}
			clear(e[(n-1)*testLanes:])
			shift, weight := []float64{0.1, 2, 30}, []float64{1, -3, 0.5}
			terms := len(shift)
			ratio, diagonal := laneVectors(rng, n*terms), laneVectors(rng, (n+1)*terms)
			LaneInverses(ratio, diagonal, d, e, shift, weight)
			for l := range testLanes {
				for k, s := range shift {
					m := New[float64](n, n)
					for i := range n {
						m.Set(i, i, d[i*testLanes+l]+s)
						if i+1 < n {
							m.Set(i, i+1, e[i*testLanes+l])
						}
					}
					InvertUpper(m, make([]float64, InverseWork(n)))
					for j := range n {
						x := diagonal[(j*terms+k)*testLanes+l]
						for i := j; i >= 0; i-- {
							if i < j {
								x *= ratio[(i*terms+k)*testLanes+l]
							}
							if want := weight[k] * m.At(i, j); !(math.Abs(x-want) <= 1e-13*(1+math.Abs(want))) {
								t.Fatalf("%v n=%d shift %d lane %d: element %d, %d is %v, want %v", active, n, k, l, i, j, x, want)
							}
						}
					}
				}
			}
		}
	})
}

func TestAddTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for _, n := range bundleSizes {
		_, x := definite[float64](rng, n)
		_, y := definite[float64](rng, n)
		tiles := make([]float64, TiledLength(n))
		PackTiles(tiles, y)
		got := x.Clone()
		AddTiles(got, tiles)
		Mirror(got)
		Axpy(1, y.Data, x.Data)
		if d := maxDifference(got, x); d != 0 {
			t.Errorf("n=%d: off by %g", n, d)
		}
	}
}
