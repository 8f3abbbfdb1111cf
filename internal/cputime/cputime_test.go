package cputime

import (
	"math"
	"testing"
)

func TestSecondsGrowWithWork(t *testing.T) {
	start, known := Seconds()
	if !known {
		t.Skip("processor time is not known here")
	}
	sum := 0.0
	for i := range 20_000_000 {
		sum += math.Sqrt(float64(i))
	}
	if end, _ := Seconds(); !(end > start) || math.IsNaN(sum) {
		t.Errorf("processor time went from %v to %v over twenty million square roots", start, end)
	}
}

func TestMeasureCallsAndReports(t *testing.T) {
	calls := 0
	r := testing.Benchmark(func(b *testing.B) {
		calls = 0
		Measure(b, func() { calls++ })
		if calls != b.N+1 {
			b.Fatalf("%d calls, want %d and one more", calls, b.N)
		}
	})
	if _, known := Seconds(); known && !(r.Extra["cpu-us/op"] > 0) {
		t.Errorf("reported %v over %d calls", r.Extra, r.N)
	}
}
