package influence_test

import (
	"bytes"
	"fmt"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/influence"
)

// What the sums of scores predict for two subsets: how much worse the query gets without the others.
func ExamplePredict() {
	scores := nnopt.MatrixOf(1, 4, []float64{0, 0.4, -0.8, 0.4})
	p, err := influence.Predict(scores, [][]int{{0, 1, 3}, {0, 2}})
	fmt.Printf("%.1f %v, most helpful %v\n", p.Data, err, influence.Top(scores.Row(0), 2))
	// Output: [-0.8 0.8] <nil>, most helpful [1 3]
}

// Retraining without the two most helpful examples; here the "network" is a sum, so that the change is that sum.
func ExampleWithoutTop() {
	effects := []float64{1, -2, 3, 0.5}
	removals, err := influence.WithoutTop(nnopt.MatrixOf(1, 4, effects), []int{1, 2}, []uint64{1, 2}, func(subset []int, _ uint64) ([]float64, error) {
		total := 2.5
		for _, i := range subset {
			total -= effects[i]
		}
		return []float64{total}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range removals {
		fmt.Printf("without %d: %+.1f\n", r.Removed, r.Change.Value)
	}
	// Output:
	// without 1: +3.0
	// without 2: +4.0
}

// How well one training run predicts another that differs by its seed alone.
func ExampleCeilingOf() {
	rank, err := influence.Spearman([]float64{1, 2, 3, 4}, []float64{10, 30, 20, 40})
	if err != nil {
		fmt.Println(err)
		return
	}
	measured := [][][]float64{{{1}, {10}}, {{2}, {30}}, {{3}, {20}}, {{4}, {40}}} // subset, seed, query
	c, err := influence.CeilingOf(measured)
	fmt.Printf("%.1f %.1f %v\n", rank, c.Pairs.Value, err)
	// Output: 0.8 0.8 <nil>
}

// Factors are collected once, kept, and used again.
func ExampleRead() {
	n, train, query := line()
	e, err := influence.New(n, train, influence.Options{Preconditioner: influence.KFAC, Damping: influence.Damping{Scale: influence.Absolute}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if err := e.Write(&file); err != nil {
		fmt.Println(err)
		return
	}
	again, err := influence.Read(n, &file)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := again.Pairwise(loss(query), influence.Side[float64]{Examples: train}, influence.ScoreOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f, one of %d preconditioners\n", s.Values.Data, len(influence.Preconditioners()))
	// Output: [0.00 0.40 -0.80 0.40], one of 4 preconditioners
}
