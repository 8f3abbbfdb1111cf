//go:build !unix

package cputime

// Seconds returns the processor time of this process and whether it is known.
func Seconds() (seconds float64, known bool) { return 0, false }
