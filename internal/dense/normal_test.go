package dense

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// Known answers of the authors' own implementation (Random123, kat_vectors).
func TestThreefry(t *testing.T) {
	ones := ^uint64(0)
	for _, c := range []struct{ ctr, key, want [2]uint64 }{
		{[2]uint64{0, 0}, [2]uint64{0, 0}, [2]uint64{0xc2b6e3a8c2c69865, 0x6f81ed42f350084d}},
		{[2]uint64{ones, ones}, [2]uint64{ones, ones}, [2]uint64{0xe02cb7c4d95d277a, 0xd06633d0893b8b68}},
		{[2]uint64{0x243f6a8885a308d3, 0x13198a2e03707344}, [2]uint64{0xa4093822299f31d0, 0x082efa98ec4e6c89},
			[2]uint64{0x263c7d30bb0f0af1, 0x56be8361d3311526}},
	} {
		if a, b := threefry(c.ctr[0], c.ctr[1], c.key); [2]uint64{a, b} != c.want {
			t.Errorf("threefry(%x, %x) = %x %x, want %x", c.ctr, c.key, a, b, c.want)
		}
	}
}

// Every path gives the same bits, and so does every way to cut a stream.
func TestFillNormalBits(t *testing.T) {
	key := [2]uint64{42, 7}
	const n = 1000
	var want []float64
	onPaths(t, func() {
		whole, whole32 := make([]float64, n), make([]float32, n)
		FillNormal(whole, key, 0)
		FillNormal(whole32, key, 0)
		if want == nil {
			want = whole
		}
		for i, v := range whole {
			if v != want[i] || whole32[i] != float32(v) {
				t.Fatalf("%v: number %d is %v and %v, want %v", active, i, v, whole32[i], want[i])
			}
		}
		for start := range 40 {
			for _, length := range []int{0, 1, 2, 15, 16, 17, 40, 100} {
				part := make([]float64, length)
				FillNormal(part, key, uint64(start))
				for i, v := range part {
					if v != want[start+i] {
						t.Fatalf("%v: start %d length %d: number %d differs", active, start, length, i)
					}
				}
			}
		}
	})
}

// The same points on the circle as package math would give.
func TestBoxMuller(t *testing.T) {
	for i := range uint64(1000) {
		a, b := threefry(i, 1, [2]uint64{1, 2})
		x, y := boxMuller(a, b)
		u := 2 - math.Float64frombits(a>>12|0x3ff0000000000000)
		r := math.Sqrt(-2 * math.Log(u))
		angle := (math.Float64frombits(b>>12|0x3ff0000000000000) - 1.5) * math.Pi / 2
		c, s := math.Cos(angle), math.Sin(angle)
		if b&2 != 0 {
			c = -c
		}
		if b&1 != 0 {
			c, s = s, c
		}
		if math.Abs(x-r*c) > 2e-15*(1+r) || math.Abs(y-r*s) > 2e-15*(1+r) {
			t.Fatalf("block %d: (%v, %v), want (%v, %v)", i, x, y, r*c, r*s)
		}
	}
}

func TestNormalDistribution(t *testing.T) {
	const n = 1 << 20
	x := make([]float64, n)
	for _, key := range [][2]uint64{{1, 0}, {0, 1}, {0xdeadbeef, 3}} {
		FillNormal(x, key, 0)
		var m [7]float64
		var lag, pair float64
		tails := [3]float64{}
		for i, v := range x {
			p := 1.0
			for k := 1; k <= 6; k++ {
				p *= v
				m[k] += p
			}
			if i >= 16 {
				lag += v * x[i-16]
			}
			if i%16 < 8 {
				pair += v * x[i+8]
			}
			for k, at := range []float64{2, 3, 4} {
				if math.Abs(v) > at {
					tails[k]++
				}
			}
		}
		within := func(name string, got, want, sd float64) {
			t.Helper()
			if z := (got - want) / sd; math.Abs(z) > 4.5 {
				t.Errorf("key %v: %s is %g, want %g (%.1f standard errors)", key, name, got, want, z)
			}
		}
		root := math.Sqrt(n)
		// Var(x^k) = E x^2k - (E x^k)^2.
		for k, want := range map[int]float64{1: 0, 2: 1, 3: 0, 4: 3, 5: 0, 6: 15} {
			moments := map[int]float64{1: 1, 2: 2, 3: 15, 4: 96, 5: 945, 6: 10170}
			within("moment", m[k]/n, want, math.Sqrt(moments[k])/root)
		}
		within("correlation with the number 16 before", lag/n, 0, 1/root)
		within("correlation in a block", pair/(n/2), 0, math.Sqrt2/root)
		for k, at := range []float64{2, 3, 4} {
			p := math.Erfc(at / math.Sqrt2)
			within("tail", tails[k], n*p, math.Sqrt(n*p))
		}
		y := append([]float64(nil), x[:1<<16]...)
		sort.Float64s(y)
		var d float64
		for i, v := range y {
			f := 0.5 * math.Erfc(-v/math.Sqrt2)
			d = math.Max(d, math.Max(math.Abs(f-float64(i)/float64(len(y))), math.Abs(float64(i+1)/float64(len(y))-f)))
		}
		if ks := d * math.Sqrt(float64(len(y))); ks > 2.2 { // probability 1e-4
			t.Errorf("key %v: Kolmogorov-Smirnov statistic %g", key, ks)
		}
	}
}

func BenchmarkFillNormal(b *testing.B) {
	const n = 4096
	x, y := make([]float64, n), make([]float32, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name string
		f    func(start uint64)
	}{
		{"f64", func(s uint64) { FillNormal(x, [2]uint64{1, 2}, s) }}, {"f32", func(s uint64) { FillNormal(y, [2]uint64{1, 2}, s) }},
		{"Go/f64", func(uint64) {
			for i := range x {
				x[i] = rng.NormFloat64()
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			start := uint64(0)
			best := bestSeconds(b, 40*n, func() {
				c.f(start)
				start += n
			})
			b.ReportMetric(1e9*best/n, "best-cpu-ns/elem")
		})
	}
}
