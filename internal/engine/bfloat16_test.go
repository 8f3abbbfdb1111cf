package engine

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
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

// TestAdamNarrow: one step from a moment that bfloat16 holds is that of Adam, the moment is rounded after it, and pieces do not show.
func TestAdamNarrow(t *testing.T) {
	e := CPU[float32]()
	const n = 2*narrowPiece + 37
	r := rand.New(rand.NewPCG(3, 2))
	u := Adam{Update: Update{LR: 0.01, GradScale: 0.5, Decay: 0.1}, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, A: 1.1, B: 0.2, C: 1.3}
	w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range n {
		w[i], g[i], v[i] = float32(r.NormFloat64()), float32(r.NormFloat64()), r.Float32()
		m[i] = Round(r.NormFloat64()).Float32()
	}
	narrow := make([]BFloat16, n)
	e.Narrow(m, narrow)
	w2, v2 := append([]float32(nil), w...), append([]float32(nil), v...)
	e.Adam(u, w, g, m, v)
	e.AdamNarrow(u, w2, g, narrow, v2)
	for i := range n {
		if w[i] != w2[i] || v[i] != v2[i] || narrow[i] != Round(m[i]) {
			t.Fatalf("element %d: %v %v %v, want %v %v %v", i, w2[i], v2[i], narrow[i].Float32(), w[i], v[i], m[i])
		}
	}
}
