package esadapt

import (
	"syscall"
	"testing"
	"time"
)

// cpu returns the processor time of this process, which other load on the machine hardly changes.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timeCPU runs the loop of b and reports the processor time of one round.
func timeCPU(b *testing.B, run func()) {
	start, rounds := cpu(), 0
	for b.Loop() {
		run()
		rounds++
	}
	b.ReportMetric(float64(cpu()-start)/float64(rounds), "cpu-ns/op")
}
