// Program evidence chooses the prior of a network without validation data: it trains a small network on few digits with each of a grid of prior precisions,
// and once with precisions that move along the slopes of the evidence in training. Then it compares the accuracies, on digits that none of them saw, of the
// training with the most evidence, of the moved precisions and of the best of the grid.
//
//	go run ./examples/evidence
//	go run ./examples/evidence -data mnist/ -train 1000
package main

import (
	"flag"
	"fmt"
	"iter"
	"log"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/laplace"
	"github.com/spdopt/spdopt/nnopt/net"
)

func main() {
	folder := flag.String("data", "", "folder with IDX files of digits; the default is a generated set")
	examples := flag.Int("train", 300, "digits to train on")
	seed := flag.Uint64("seed", 1, "of the weights and the generated digits")
	flag.Parse()
	if err := run(*folder, *examples, *seed); err != nil {
		log.Fatal(err)
	}
}

const (
	validation = 2000
	batch      = 50
	epochs     = 60
)

func run(folder string, examples int, seed uint64) error {
	digits, err := read(folder, examples, seed)
	if err != nil {
		return err
	}
	if digits.N < examples+validation || examples < batch {
		return fmt.Errorf("%d digits are too few: %d validate and at least %d train", digits.N, validation, batch)
	}
	train := batches(digits.Part(0, examples))
	valid := batches(digits.Part(examples, examples+validation))
	best, most, chosen := 0.0, math.Inf(-1), 0.0
	for _, prior := range []float64{0.1, 1, 3, 5, 7, 10, 20, 50} {
		t, s, err := fit(digits, train, valid, seed, prior)
		if err != nil {
			return err
		}
		best = max(best, s.Accuracy)
		if t.Evidence > most {
			most, chosen = t.Evidence, s.Accuracy
		}
		fmt.Printf("prior precision %-6g  accuracy %.4f  loss %.4f  log evidence %.1f\n", prior, s.Accuracy, s.Loss, t.Evidence)
	}
	fmt.Printf("most evidence: accuracy %.4f; the best of the grid is %+.2f %% ahead\n", chosen, 100*(best-chosen))
	t, s, err := fit(digits, train, valid, seed, 0)
	if err != nil {
		return err
	}
	fmt.Printf("moved in training %.3g  accuracy %.4f  loss %.4f  log evidence %.1f\n", t.Posterior.Hyper().Prior, s.Accuracy, s.Loss, t.Evidence)
	fmt.Printf("the best of the grid is %+.2f %% ahead\n", 100*(best-s.Accuracy))
	return nil
}

func read(folder string, examples int, seed uint64) (*data.Images[float32], error) {
	if folder == "" {
		return data.Blobs[float32](examples+validation, rand.New(rand.NewPCG(seed, 1))), nil
	}
	images, labels, err := data.FindIDX(folder)
	if err != nil {
		return nil, err
	}
	return data.ReadIDX[float32](images, labels, 10)
}

func batches(s *data.Set[float32]) iter.Seq[*net.Batch[float32]] {
	var all []*net.Batch[float32]
	for from := 0; from < s.N; from += batch {
		p := s.Part(from, min(from+batch, s.N))
		all = append(all, &net.Batch[float32]{X: p.X, N: p.N, Target: net.Target[float32]{Classes: p.Classes}})
	}
	return slices.Values(all)
}

// fit trains a network with a prior that stays, or by evidence if it is 0, and scores it on the validation data without the uncertainty of the parameters.
func fit(digits *data.Images[float32], train, valid iter.Seq[*net.Batch[float32]], seed uint64, prior float64) (*laplace.Trained[float32], laplace.Score, error) {
	r := rand.New(rand.NewPCG(seed, 2))
	n := net.New[float32](net.Chain[float32](
		net.NewLinear[float32](r, digits.X.Cols, 64, net.LinearOptions{Gain: math.Sqrt2}), net.NewActivation[float32](net.ReLU),
		net.NewLinear[float32](r, 64, 10, net.LinearOptions{}),
	), &net.CrossEntropy[float32]{}, seed)
	o := laplace.OnlineOptions[float32]{
		Optimizer: func() (nnopt.Optimizer[float32], error) {
			return nnopt.NewAdamW[float32](nnopt.AdamW{Settings: nnopt.Settings{LR: 3e-3}})
		},
		Epochs: epochs, Every: 5, Final: true,
		LRScale: func(epoch int) float64 { return 1 - float64(epoch)/epochs },
	}
	if prior > 0 {
		o.Prior, o.FixPrior, o.BurnIn, o.Every = []float64{prior}, true, epochs-1, 1
	}
	t, err := laplace.Train(n, train, o)
	if err != nil {
		return nil, laplace.Score{}, err
	}
	s, err := t.Posterior.Score(valid, laplace.Scoring{Link: laplace.Plugin})
	return t, s, err
}
