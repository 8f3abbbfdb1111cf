//go:build !unix

package dense

func cpuSeconds() float64 { return 0 }
