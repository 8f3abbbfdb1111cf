package esadapt

import (
	"strings"
	"testing"
)

// TestTellWithoutAsk: values that nobody asked for are an error.
func TestTellWithoutAsk(t *testing.T) {
	s, err := New(Options{Dim: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range [][]float64{nil, {1}} {
		if err := s.Tell(f); err == nil || !strings.Contains(err.Error(), "Tell without Ask") {
			t.Errorf("%v: %v", f, err)
		}
	}
	for _, name := range Strategies() {
		strategy, err := NewStrategy(name.Name, Setup{Mean: make([]float64, 8), Sigma: 1})
		if err != nil {
			t.Errorf("%s: %v", name.Name, err)
			continue
		}
		if err := strategy.Tell(nil); err == nil {
			t.Errorf("%s took values of no candidates", name.Name)
		}
	}
}
