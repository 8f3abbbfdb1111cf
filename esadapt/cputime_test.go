package esadapt

import (
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
)

// timeCPU runs the loop of b and reports the processor time of one round, on average, so that rounds which turn the basis count.
func timeCPU(b *testing.B, run func()) {
	start, known := cputime.Seconds()
	rounds := 0
	for b.Loop() {
		run()
		rounds++
	}
	if end, _ := cputime.Seconds(); known {
		b.ReportMetric(1e9*(end-start)/float64(rounds), "cpu-ns/op")
	}
}
