//go:build race

package allocs

// Race tells whether the race detector is on: it empties pools at random, so that what refills them counts too, and makes all slow.
const Race = true
