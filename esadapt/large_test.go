package esadapt

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// With 20,000 variables the strategies for large dimensions need memory in proportion to n lambda, not n^2, and make progress.
func TestLargeDimension(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	const n = 20000
	for _, name := range []string{"sep-cma", "snes", "vd-cma", "lm-ma-es"} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := make([]float64, n)
		for i := range start {
			start[i] = 1
		}
		s, err := NewStrategy(name, Setup{Mean: start, Sigma: 0.1, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, len(s.Ask()))
		first, best := 0.0, math.Inf(1)
		for g := range 15 {
			for i, x := range s.Ask() {
				values[i] = 0
				for _, v := range x {
					values[i] += v * v
				}
				best = min(best, values[i])
			}
			if g == 0 {
				first = best
			}
			if err := s.Tell(values); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
			t.Errorf("%s: %d MiB", name, used>>20)
		}
		if best > 0.999*first {
			t.Errorf("%s: best value %v after 15 generations, %v after the first", name, best, first)
		}
	}
}

// A model that does not fit into memory is refused with what does, and is not the default.
func TestModelsThatDoNotFit(t *testing.T) {
	for _, info := range Strategies() {
		_, err := NewStrategy(info.Name, Setup{Mean: make([]float64, 1<<17), Sigma: 1})
		if refused := err != nil; refused != (info.Squares > 0) {
			t.Errorf("%s: %v", info.Name, err)
		} else if refused && (!strings.Contains(err.Error(), "use sep-cma") || !strings.Contains(err.Error(), "GB")) {
			t.Errorf("%s: %v", info.Name, err)
		}
	}
	s, err := New(Options{Dim: 1 << 17})
	if err != nil || len(s.Ask()) == 0 || s.StrategyName() != "lm-ma-es" {
		t.Error(err)
	}
}
