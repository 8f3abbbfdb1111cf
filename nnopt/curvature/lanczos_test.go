package curvature

import "testing"

// TestLanczosBeyondMemory: more steps than there is memory for are an error before any product.
func TestLanczosBeyondMemory(t *testing.T) {
	if _, err := lanczos(nil, make([]float64, 4), mostSteps+1); err == nil {
		t.Error("no error of Lanczos")
	}
	if _, err := newKrylov(nil, []float64{1}, mostSteps+1); err == nil {
		t.Error("no error of a basis of many vectors")
	}
	if _, err := newKrylov(nil, make([]float64, 1<<20), 1<<11); err == nil {
		t.Error("no error of a basis of long vectors")
	}
}
