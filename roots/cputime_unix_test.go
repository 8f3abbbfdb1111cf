//go:build unix

package roots

import "syscall"

// cpuSeconds returns the processor time of this process, which repeats better than wall time on a shared machine.
func cpuSeconds() (float64, bool) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, true
}
