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
		body func(e elements)
	}{
		{"gemm", elements.gemm},
	} {
		err := write(*dir, f.name, func() {
			f.body(elements{double: true})
			f.body(elements{})
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "neon:", err)
			os.Exit(1)
		}
	}
}
