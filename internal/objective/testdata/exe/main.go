//go:build wasip1

// A program for "minimize --wasm": the sum of squares, one evaluation a run. Built with GOOS=wasip1 GOARCH=wasm go build -o sphere.wasm .
package main

import (
	"encoding/json"
	"os"
)

func main() {
	var m struct{ X []float64 }
	if err := json.NewDecoder(os.Stdin).Decode(&m); err != nil {
		panic(err)
	}
	if m.X[0] < 0 {
		if _, err := os.ReadDir("/"); err != nil {
			println("no files")
			os.Exit(1)
		}
	}
	var s float64
	for _, v := range m.X {
		s += v * v
	}
	json.NewEncoder(os.Stdout).Encode(map[string]float64{"f": s})
}
