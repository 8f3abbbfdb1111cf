package influence_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/influence"
	"github.com/spdopt/spdopt/nnopt/net"
)

// line is a network y = w x at w = 1, four training examples, and the query x = 2, y = 3, which a larger w would fit better.
func line() (*net.Net[float64], influence.Examples[float64], influence.Examples[float64]) {
	layer := net.NewLinear[float64](rand.New(rand.NewChaCha8([32]byte{})), 1, 1, net.LinearOptions{NoBias: true})
	layer.Weight.Value.V.Set(0, 0, 1)
	n := net.New[float64](layer, net.NewSquare[float64](false), 1)
	points := func(x, y []float64) influence.Examples[float64] {
		return influence.Fixed(&net.Batch[float64]{N: len(x), X: nnopt.MatrixOf(len(x), 1, x), Target: net.Target[float64]{Values: nnopt.MatrixOf(len(y), 1, y)}})
	}
	return n, points([]float64{1, 1, 2, 2}, []float64{1, 2, 1, 2.5}), points([]float64{2}, []float64{3})
}

func loss(e influence.Examples[float64]) influence.Side[float64] {
	return influence.Side[float64]{Examples: e, Measurement: &influence.LossMeasurement[float64]{}}
}

// Which training examples made a prediction: points above the line pull w up and help the query, whose loss would grow without them; the third harms it.
func Example() {
	n, train, query := line()
	e, err := influence.New(n, train, influence.Options{Damping: influence.Damping{Scale: influence.Absolute}})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := e.Pairwise(loss(query), influence.Side[float64]{Examples: train}, influence.ScoreOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f, most helpful %v\n", s.Values.Data, influence.Top(s.Values.Data, 2))
	// Output: [0.00 0.40 -0.80 0.40], most helpful [1 3]
}

func ExampleEstimator_Self() {
	n, train, _ := line()
	e, err := influence.New(n, train, influence.Options{Damping: influence.Damping{Scale: influence.Absolute}})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := e.Self(loss(train), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f\n", s.Values.Data)
	// Output: [0.00 0.80 3.20 0.80]
}

// Gradients of the queries are kept on disk with 8 bits for each element, and scored later.
func ExampleEstimator_Score() {
	n, train, query := line()
	e, err := influence.New(n, train, influence.Options{Preconditioner: influence.KFAC, Damping: influence.Damping{Scale: influence.Absolute}})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := e.Gradients(loss(query), influence.GradientOptions{Precondition: true, Compression: influence.Compression{Bits: 8}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if err := g.Write(&file); err != nil {
		fmt.Println(err)
		return
	}
	back, err := e.ReadGradients(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := e.Score(back, influence.Side[float64]{Examples: train}, false)
	fmt.Printf("%.2f %v\n", s.Values.Data, err)
	// Output: [0.00 0.40 -0.80 0.40] <nil>
}

// Scores that are the effects of leaving examples out have a linear datamodelling score of 1.
func ExampleLDS() {
	effects := nnopt.MatrixOf(1, 6, []float64{1, -2, 3, 0.5, -1, 2})
	subsets, err := influence.Subsets(6, 5, 0.5, rand.New(rand.NewChaCha8([32]byte{1})))
	if err != nil {
		fmt.Println(err)
		return
	}
	measured, err := influence.Measure(subsets, []uint64{1}, func(subset []int, _ uint64) ([]float64, error) {
		total := 3.5
		for _, i := range subset {
			total -= effects.At(0, i)
		}
		return []float64{total}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := influence.LDS(effects, subsets, measured)
	fmt.Printf("%.2f %v\n", r.Value, err)
	// Output: 1.00 <nil>
}

func ExampleTRAK() {
	n, train, query := line()
	s, err := influence.TRAK(n, loss(query), loss(train), influence.TRAKOptions[float64]{
		Features: 1, Output: influence.MeasurementFunc[float64](func(_ *net.Net[float64], _ *net.Batch[float64], out influence.Matrix[float64], values []float64, u influence.Matrix[float64]) error {
			for i := range out.Rows {
				values[i] = out.At(i, 0)
				u.Set(i, 0, 1)
			}
			return nil
		}),
	})
	fmt.Printf("%.2f %v\n", s.Values.Data, err)
	// Output: [0.00 0.80 -1.60 0.80] <nil>
}

// The exact change of a ridge regression when an example leaves it.
func ExampleRidge() {
	r, err := influence.NewRidge(nnopt.MatrixOf(4, 1, []float64{1, 1, 2, 2}), []float64{1, 2, 1, 2.5}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f, without the third %.2f\n", r.Theta, r.Without(2))
	// Output: [1.00], without the third [1.33]
}

func ExampleScales() {
	for _, s := range influence.Scales() {
		fmt.Println(s)
	}
	// Output:
	// weighted
	// module
	// absolute
}
