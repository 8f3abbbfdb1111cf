//go:build wasip1

// A library for "minimize --wasm": the sum of squares. Built with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o sphere.wasm .
package main

import (
	"os"
	"unsafe"
)

var room []float64

//go:wasmexport alloc
func alloc(bytes int32) unsafe.Pointer {
	room = make([]float64, bytes/8)
	return unsafe.Pointer(&room[0])
}

//go:wasmexport evaluate
func evaluate(x unsafe.Pointer, n int32) float64 {
	point := unsafe.Slice((*float64)(x), n)
	if point[0] < 0 {
		escape()
	}
	var s float64
	for _, v := range point {
		s += v * v
	}
	return s
}

// escape tries what the sandbox forbids.
func escape() {
	if _, err := os.ReadDir("/"); err != nil {
		println("no files")
		os.Exit(1)
	}
}

func main() {}
