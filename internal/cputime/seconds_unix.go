//go:build unix

package cputime

import "syscall"

// Seconds returns the processor time of this process, all threads, user and system, and whether it is known.
func Seconds() (seconds float64, known bool) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, true
}
