// Program following learns a covariance matrix from a stream of samples, one bounded-angle step a sample, and writes what it held on the way (learned.json)
// and the covariance that the samples come from (target.json), for the picture
//
//	go run ./examples/following
//	go run ./cmd/spdopt plot learned.json target.json --kind ellipses --svg following.svg
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

const (
	samples = 3000
	rate    = 0.002
	frames  = 24
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	target := mat.NewSymDense(2, []float64{5, 3.2, 3.2, 3})
	source, err := spectral.FromSym(target)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	learned, x := spectral.Identity(2, 0.2), make([]float64, 2)
	var path [][][]float64
	for k := range samples {
		if k%(samples/frames) == 0 {
			path = append(path, rows(learned))
		}
		source.Sample(rng, x)
		learned.Update(spectral.Increment{Decay: rate, Vectors: mat.NewDense(2, 1, x), Weights: []float64{rate}}, nil)
	}
	path = append(path, rows(learned))
	fmt.Printf("after %d samples: divergence %.3f from the covariance that they come from\n", samples, learned.KL(source))
	if err := write("learned.json", path); err != nil {
		return err
	}
	return write("target.json", rows(source))
}

// rows returns S as nested lists.
func rows(s *spectral.Factor) [][]float64 {
	var m mat.SymDense
	s.ToSym(&m)
	return [][]float64{{m.At(0, 0), m.At(0, 1)}, {m.At(1, 0), m.At(1, 1)}}
}

func write(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
