package laplace

import (
	"cmp"
	"iter"
	"math"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Candidate is what TrainBest found at one prior.
type Candidate struct {
	Prior    []float64
	Evidence float64 // at the end of training; NaN if the training failed
	Err      error   // of the training
}

// TrainBest trains a new network with each of the given prior precisions, which stay as they are, and returns the one whose evidence at the end of training
// is largest, with what became of all. Where Train moves the precisions along slopes that take the curvature for fixed, this compares evidences of trained
// networks, of which the curvature is that at their own parameters: for classification with few data it chooses better, at the price of as many trainings.
// A training that fails is a candidate without evidence; if all do, the error is that of the first.
func TrainBest[T nnopt.Float](make func() *net.Net[T], data iter.Seq[*net.Batch[T]], priors [][]float64, o OnlineOptions[T]) (*net.Net[T], *Trained[T], []Candidate, error) {
	if len(priors) == 0 {
		return nil, nil, nil, optionError("priors", "are none")
	}
	if make == nil {
		return nil, nil, nil, optionError("network", "has no function that makes it")
	}
	epochs := cmp.Or(o.Epochs, 300)
	o.FixPrior, o.FixNoise, o.Final, o.Scalar, o.BurnIn, o.Every = true, true, true, true, epochs-1, 1
	var all []Candidate
	var best *Trained[T]
	var kept *net.Net[T]
	for _, prior := range priors {
		n := make()
		o.Prior = prior
		t, err := Train(n, data, o)
		if err != nil {
			all = append(all, Candidate{prior, math.NaN(), err})
			continue
		}
		all = append(all, Candidate{prior, t.Evidence, nil})
		if best == nil || t.Evidence > best.Evidence {
			best, kept = t, n
		}
	}
	if best == nil {
		return nil, nil, all, all[0].Err
	}
	return kept, best, all, nil
}
