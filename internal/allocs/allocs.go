// Package allocs counts a call's heap allocations in tests.
package allocs

import "testing"

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

// Growth returns by how many allocations a call of longer exceeds one of shorter. With the race detector on, which empties
// pools at random, it is the least of several measurements' differences: what longer allocates more is in each.
func Growth(runs int, shorter, longer func()) float64 {
	growth := PerRun(runs, longer) - PerRun(runs, shorter)
	for i := 1; Race && i < tries && growth > 0; i++ {
		growth = min(growth, PerRun(runs, longer)-PerRun(runs, shorter))
	}
	return growth
}
