// Package allocs counts a call's heap allocations in tests.
package allocs

import (
	"math"
	"testing"
)

const tries = 5

// PerRun returns the allocations of one call of f: the least of up to five averages over runs calls each. The runtime
// allocates too, now and then and in any goroutine (waiting lists of channels after a garbage collection, the race
// detector's pools), which one average counts and the least of several doesn't; what f allocates is in every one.
func PerRun(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for i := 1; i < tries && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

// samples is how many averages of each call Growth compares under the race detector: of calls that allocate alike, all of one exceed all of the other
// once in 10^8 times.
const samples = 15

// Growth returns by how many allocations a call of longer exceeds one of shorter. With the race detector on, which empties pools at random, it is by how
// many the least of several averages of longer exceeds the greatest of as many of shorter.
func Growth(runs int, shorter, longer func()) float64 {
	if !Race {
		return PerRun(runs, longer) - PerRun(runs, shorter)
	}
	least, greatest := math.Inf(1), 0.0
	for i := 0; i < samples && least > greatest; i++ {
		least = min(least, testing.AllocsPerRun(runs, longer))
		greatest = max(greatest, testing.AllocsPerRun(runs, shorter))
	}
	return least - greatest
}
