//go:build !amd64 && !arm64

package dense

func bestPath() path { return portable }

func cpuFeatures() []string { return nil }
