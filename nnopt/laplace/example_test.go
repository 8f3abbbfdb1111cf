package laplace_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/laplace"
	"github.com/spdopt/spdopt/nnopt/net"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func column(v ...float64) net.Matrix[float64] {
	return net.Matrix[float64]{Rows: len(v), Cols: 1, Stride: 1, Data: v}
}

func one(b *net.Batch[float64]) iter.Seq[*net.Batch[float64]] {
	return slices.Values([]*net.Batch[float64]{b})
}

// line is y = 2 x with squared errors, on four points that lie near it.
func line() (*net.Net[float64], *net.Batch[float64]) {
	n := net.New[float64](net.NewLinear[float64](rand.New(rand.NewPCG(1, 1)), 1, 1, net.LinearOptions{NoBias: true}), net.NewSquare[float64](false), 1)
	n.Blocks()[0].Value[0] = 2
	return n, &net.Batch[float64]{N: 4, X: column(-1, 0, 1, 2), Target: net.Target[float64]{Values: column(-2.1, 0.2, 1.9, 4)}}
}

// sides tells negative numbers from positive ones by two outputs.
func sides() (*net.Net[float64], *net.Batch[float64]) {
	n := net.New[float64](net.NewLinear[float64](rand.New(rand.NewPCG(1, 1)), 1, 2, net.LinearOptions{}), &net.CrossEntropy[float64]{}, 1)
	copy(n.Blocks()[0].Value, []float64{-1, 1})
	return n, &net.Batch[float64]{N: 4, X: column(-2, -1, 1, 2), Target: net.Target[float64]{Classes: []int32{0, 0, 1, 1}}}
}

func fitted(n *net.Net[float64], b *net.Batch[float64], o laplace.Options) *laplace.Posterior[float64] {
	p, err := laplace.Fit(n, one(b), o)
	check(err)
	return p
}

func ExampleFit() {
	n, b := line()
	p := fitted(n, b, laplace.Options{Structure: laplace.Full, Hyper: laplace.Hyper{Prior: []float64{4}, Noise: 0.5}})
	variance := make([]float64, p.Dim())
	p.Variances(variance)
	fmt.Printf("%.6f = %.6f\n", variance[0], 1/(6/0.25+4)) // sum of x^2 over the variance of the noise, plus the precision of the prior
	// Output: 0.035714 = 0.035714
}

func ExamplePosterior_Evidence() {
	n, b := line()
	e := fitted(n, b, laplace.Options{Hyper: laplace.Hyper{Noise: 0.2}}).Evidence()
	fmt.Printf("log evidence %.3f, log-likelihood %.3f, %.2f parameters determined\n", e.Value, e.LogLikelihood, e.Effective)
	// Output: log evidence -2.497, log-likelihood 2.012, 0.99 parameters determined
}

func ExamplePosterior_EvidenceAt() {
	n, b := line()
	p := fitted(n, b, laplace.Options{})
	for _, prior := range []float64{0.1, 1, 10} {
		e, err := p.EvidenceAt(laplace.Hyper{Prior: []float64{prior}})
		check(err)
		fmt.Printf("%.3f ", e.Value)
	}
	// Output: -5.961 -6.679 -23.941
}

func ExamplePosterior_TuneEvidence() {
	n, b := line()
	p := fitted(n, b, laplace.Options{})
	_, err := p.TuneEvidence(laplace.TuneOptions{Noise: true, Steps: 400})
	check(err)
	h := p.Hyper()
	fmt.Printf("prior precision %.3f, noise %.3f\n", h.Prior[0], h.Noise)
	// Output: prior precision 0.250, noise 0.141
}

func ExamplePosterior_TuneGrid() {
	n, b := sides()
	p := fitted(n, b, laplace.Options{})
	points, err := p.TuneGrid(one(b), laplace.GridOptions{From: 0.01, To: 100, Points: 5})
	check(err)
	for _, g := range points {
		fmt.Printf("%.3g: loss %.3f\n", g.Prior, g.Loss)
	}
	fmt.Println("best", p.Hyper().Prior)
	// Output:
	// 0.01: loss 0.531
	// 0.1: loss 0.312
	// 1: loss 0.132
	// 10: loss 0.080
	// 100: loss 0.073
	// best [100]
}

func ExamplePosterior_Predict() {
	n, b := line()
	p := fitted(n, b, laplace.Options{Structure: laplace.Full, Hyper: laplace.Hyper{Noise: 0.1}})
	f, err := p.Predict(&net.Batch[float64]{N: 2, X: column(1, 10)})
	check(err)
	v := f.Variances()
	fmt.Printf("%g with variance %.3f, %g with variance %.3f\n", f.Mean.At(0, 0), v.At(0, 0), f.Mean.At(1, 0), v.At(1, 0))
	// Output: 2 with variance 0.012, 20 with variance 0.176
}

func ExamplePrediction_Probabilities() {
	n, b := sides()
	f, err := fitted(n, b, laplace.Options{}).Predict(&net.Batch[float64]{N: 1, X: column(1.5)})
	check(err)
	for _, link := range []laplace.Link{laplace.Plugin, laplace.Probit, laplace.Bridge} {
		m, err := f.Probabilities(link, 0, nil)
		check(err)
		fmt.Printf("%s %.3f\n", link, m.Row(0))
	}
	// Output:
	// map [0.047 0.953]
	// probit [0.105 0.895]
	// bridge [0.047 0.953]
}

func ExamplePosterior_Sample() {
	n, b := line()
	p := fitted(n, b, laplace.Options{Hyper: laplace.Hyper{Noise: 1e-6}})
	draw := make([]float64, p.Dim())
	p.Sample(rand.New(rand.NewPCG(1, 2)), draw)
	fmt.Printf("%.3f\n", draw)
	// Output: [2.000]
}

func ExamplePosterior_PredictWeights() {
	n, b := sides()
	p := fitted(n, b, laplace.Options{})
	m, err := p.PredictWeights(&net.Batch[float64]{N: 1, X: column(1.5)}, 1000, rand.New(rand.NewPCG(1, 2)))
	check(err)
	fmt.Printf("%.2f\n", m.Row(0))
	// Output: [0.12 0.88]
}

func ExamplePosterior_Score() {
	n, b := sides()
	s, err := fitted(n, b, laplace.Options{}).Score(one(b), laplace.Scoring{})
	check(err)
	fmt.Printf("loss %.3f, accuracy %g\n", s.Loss, s.Accuracy)
	// Output: loss 0.132, accuracy 1
}

func ExamplePosterior_Update() {
	n, b := line()
	p := fitted(n, &net.Batch[float64]{N: 2, X: column(-1, 0), Target: net.Target[float64]{Values: column(-2.1, 0.2)}}, laplace.Options{})
	check(p.Update(one(&net.Batch[float64]{N: 2, X: column(1, 2), Target: net.Target[float64]{Values: column(1.9, 4)}})))
	fmt.Printf("%d examples, %.6f and %.6f\n", p.Examples(), p.Evidence().Value, fitted(n, b, laplace.Options{}).Evidence().Value)
	// Output: 4 examples, -6.678709 and -6.678709
}

func ExampleTrain() {
	n, b := line()
	n.Blocks()[0].Value[0] = 0
	t, err := laplace.Train(n, one(b), laplace.OnlineOptions[float64]{
		Optimizer: func() (nnopt.Optimizer[float64], error) {
			return nnopt.NewSGD[float64](nnopt.SGD{Settings: nnopt.Settings{LR: 0.1}})
		},
		Epochs: 200, LR: 0.05,
	})
	check(err)
	h := t.Posterior.Hyper()
	fmt.Printf("slope %.3f, prior precision %.2f, noise %.2f\n", n.Blocks()[0].Value[0], h.Prior[0], h.Noise)
	// Output: slope 1.998, prior precision 0.25, noise 0.14
}

func ExampleTrainBest() {
	_, b := line()
	fresh := func() *net.Net[float64] {
		n, _ := line()
		n.Blocks()[0].Value[0] = 0
		return n
	}
	n, _, all, err := laplace.TrainBest(fresh, one(b), [][]float64{{0.01}, {0.3}, {100}}, laplace.OnlineOptions[float64]{
		Options: laplace.Options{Hyper: laplace.Hyper{Noise: 0.14}},
		Optimizer: func() (nnopt.Optimizer[float64], error) {
			return nnopt.NewSGD[float64](nnopt.SGD{Settings: nnopt.Settings{LR: 0.1}})
		},
		Epochs: 200,
	})
	check(err)
	for _, c := range all {
		fmt.Printf("prior precision %g: log evidence %.2f\n", c.Prior[0], c.Evidence)
	}
	fmt.Printf("slope %.3f\n", n.Blocks()[0].Value[0])
	// Output:
	// prior precision 0.01: log evidence -2.53
	// prior precision 0.3: log evidence -1.41
	// prior precision 100: log evidence -148.80
	// slope 1.998
}

func ExampleStructures() {
	fmt.Println(laplace.Structures(), laplace.Links())
	// Output: [kronecker diagonal full] [probit bridge bridge-norm mc map]
}

// A posterior beside a trained network: prior and noise by the evidence, then predictions with their uncertainty.
func Example() {
	n, b := line()
	p := fitted(n, b, laplace.Options{Structure: laplace.Full})
	_, err := p.TuneEvidence(laplace.TuneOptions{Noise: true, Steps: 400})
	check(err)
	h := p.Hyper()
	fmt.Printf("noise %.2f\n", h.Noise)
	variance := make([]float64, p.Dim())
	p.Variances(variance)
	fmt.Printf("slope 2 +- %.2f\n", math.Sqrt(variance[0]))
	// Output:
	// noise 0.14
	// slope 2 +- 0.06
}
