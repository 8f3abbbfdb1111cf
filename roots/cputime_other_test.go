//go:build !unix

package roots

func cpuSeconds() (float64, bool) { return 0, false }
