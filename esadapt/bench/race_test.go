//go:build race

package bench

// raceDetector says that the tests run under the race detector, which empties pools at random and slows everything ten times.
const raceDetector = true
