// Program spd shows the toolkit from Go: it learns a covariance matrix from a stream of samples without ever decomposing it, compares it with the
// Gaussian maximum likelihood estimate, and takes the Karcher mean and the inverse square root.
//
//	go run ./examples/spd
package main

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/roots"
	"github.com/spdopt/spdopt/spectral"
)

const (
	n       = 6
	samples = 4000
	rate    = 0.002
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	data := mat.NewDense(samples, n, nil)
	learned := spectral.Identity(n, 1)
	for i := range samples {
		x := sample(rng)
		data.SetRow(i, x)
		report := learned.Update(spectral.Increment{Decay: rate, Vectors: mat.NewDense(n, 1, x), Weights: []float64{rate}}, nil)
		if report.Err != nil {
			return report.Err
		}
	}

	fit, err := problem.Solve("logdet", problem.Data{Samples: data}, nil)
	if err != nil {
		return err
	}
	stream := mat.NewSymDense(n, nil)
	learned.ToSym(stream)
	distance, err := manifold.Distance(stream, fit.Solution)
	if err != nil {
		return err
	}
	fmt.Printf("distance of the stream's matrix to the maximum likelihood estimate: %.2f\n", distance)

	mean, err := problem.Solve("mean", problem.Data{Matrices: []mat.Symmetric{stream, fit.Solution}}, nil)
	if err != nil {
		return err
	}
	fmt.Printf("their mean: %s, within %.0e of the true one\n", mean.Method, mean.Certificate.Value)

	whiten := mat.NewSymDense(n, nil)
	report, err := roots.Pow(whiten, mean.Solution, -0.5, nil)
	if err != nil {
		return err
	}
	fmt.Printf("its inverse square root: %s, relative residual %.0e\n", report.Method, report.Residual)
	return nil
}

// sample draws from a Gaussian whose standard deviations run from 1 to 1/n, with neighbours correlated.
func sample(rng *rand.Rand) []float64 {
	x := make([]float64, n)
	previous := rng.NormFloat64()
	for i := range x {
		previous = 0.6*previous + 0.8*rng.NormFloat64()
		x[i] = previous / math.Sqrt(float64(i+1))
	}
	return x
}
