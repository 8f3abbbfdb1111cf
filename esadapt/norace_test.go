//go:build !race

package esadapt

const raceDetector = false
