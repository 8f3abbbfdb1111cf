package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestAdamNarrow: one step from a moment that bfloat16 holds is that of Adam, the moment is rounded after it, and pieces do not show.
func TestAdamNarrow(t *testing.T) {
	e := CPU[float32]()
	const n = 2*narrowPiece + 37
	r := rand.New(rand.NewPCG(3, 2))
	u := Adam{Update: Update{LR: 0.01, GradScale: 0.5, Decay: 0.1}, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, A: 1.1, B: 0.2, C: 1.3}
	w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range n {
		w[i], g[i], v[i] = float32(r.NormFloat64()), float32(r.NormFloat64()), r.Float32()
		m[i] = dense.Round(r.NormFloat64()).Float32()
	}
	narrow := make([]BFloat16, n)
	e.Narrow(m, narrow)
	w2, v2 := append([]float32(nil), w...), append([]float32(nil), v...)
	e.Adam(u, w, g, m, v)
	e.AdamNarrow(u, w2, g, narrow, v2)
	for i := range n {
		if w[i] != w2[i] || v[i] != v2[i] || narrow[i] != dense.Round(m[i]) {
			t.Fatalf("element %d: %v %v %v, want %v %v %v", i, w2[i], v2[i], narrow[i].Float32(), w[i], v[i], m[i])
		}
	}
}
