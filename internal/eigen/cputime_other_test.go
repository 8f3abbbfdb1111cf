//go:build !unix

package eigen

func cpuSeconds() (float64, bool) { return 0, false }
