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
