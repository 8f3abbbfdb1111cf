// Package cputime measures benchmarks by the processor time of the process, which other load on a machine disturbs far less than the clock.
package cputime

import (
	"math"
	"testing"
)

// shortest is the processor time of the shortest batch of calls that counts, some ticks of the accounting.
const shortest = 5e-3

// Measure times b.N calls, after one that sizes workspaces, and adds the least processor time of a call, over batches of at least 5 ms, as the
// metric cpu-us/op. It adds nothing where processor time is not known.
func Measure(b *testing.B, call func()) {
	call()
	batch, least := 1, math.Inf(1)
	b.ResetTimer()
	for done := 0; done < b.N; {
		count := min(batch, b.N-done)
		start, known := Seconds()
		for range count {
			call()
		}
		end, _ := Seconds()
		done += count
		if spent := end - start; known && (spent > shortest || b.N == 1) {
			least = min(least, spent/float64(count))
		} else {
			batch *= 2
		}
	}
	if !math.IsInf(least, 1) {
		b.ReportMetric(1e6*least, "cpu-us/op")
	}
}
