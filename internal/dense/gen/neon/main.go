// Command neon writes the kernels for arm64. The library that writes those for amd64 knows no other processor; this is as much of one as they need.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	dir := flag.String("dir", ".", "where to write the files")
	flag.Parse()
	for _, f := range []struct {
		name string
		body func()
	}{
		{"gemm", both(elements.gemm)},
		{"pack", both(elements.transpose)},
		{"vector", both(elements.scale, elements.blend, elements.multiply, elements.axpyRows, elements.dotRows, elements.sqrt, elements.angles, elements.firstOrder,
			elements.norms, elements.weightedSquares, elements.rayleigh)},
		{"eigen", eigen},
		{"bundle", both(elements.bundleUpdate)},
	} {
		if err := write(*dir, f.name, f.body); err != nil {
			fmt.Fprintln(os.Stderr, "neon:", err)
			os.Exit(1)
		}
	}
}

// both returns a function that calls the given ones for both formats.
func both(bodies ...func(e elements)) func() {
	return func() {
		for _, body := range bodies {
			body(elements{double: true})
			body(elements{})
		}
	}
}
