//go:build !race

package bbob

const raceDetector = false
