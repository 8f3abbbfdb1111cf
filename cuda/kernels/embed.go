//go:build cuda

// Package kernels holds the compiled kernels of spd.cu: PTX that the driver translates for any GPU from compute capability 7.0 on, and binaries for
// capability 9.0. Command gen makes them.
package kernels

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
)

//go:embed *.gz
var images embed.FS

// Oldest is the least compute capability, times ten, that there are kernels for.
const Oldest = 70

// Image returns the kernels for an element type, "float" or "double", and a compute capability times ten: a binary for exactly that capability, or
// else the newest PTX that is not newer. A zero byte follows PTX, as the driver wants it.
func Image(element string, capability int) ([]byte, error) {
	name := "compute_70.ptx"
	switch {
	case capability == 90:
		name = "sm_90.cubin"
	case capability >= 80:
		name = "compute_80.ptx"
	case capability < Oldest:
		return nil, fmt.Errorf("no kernels for compute capability %d.%d; at least %d.%d is needed", capability/10, capability%10, Oldest/10, Oldest%10)
	}
	packed, err := images.ReadFile("spd." + element + "." + name + ".gz")
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	image, err := io.ReadAll(z)
	return append(image, 0), err
}
