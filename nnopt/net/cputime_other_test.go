//go:build !unix

package net

func cpuSeconds() (float64, bool) { return 0, false }
