package esadapt_test

import (
	"fmt"

	"github.com/spdopt/spdopt/esadapt"
)

// A search with evaluations under way, kept and gone on with; what was under way is handed out again.
func ExampleRestoreAsync() {
	a, err := esadapt.NewAsync(esadapt.Options{X0: []float64{2, 3}, Seed: 1}, 4)
	if err != nil {
		panic(err)
	}
	running := a.Take(4)
	if err := a.Report(esadapt.Evaluation{ID: running[0].ID, F: 1}); err != nil {
		panic(err)
	}
	state, err := a.MarshalBinary()
	if err != nil {
		panic(err)
	}
	again, err := esadapt.RestoreAsync(state)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(again.Pending()), again.Pending()[0].ID == running[1].ID)
	// Output: 3 true
}

// A search with two objectives, kept between two generations.
func ExampleRestorePareto() {
	p, err := esadapt.NewPareto(2, esadapt.Options{X0: []float64{1, 1}, Seed: 1})
	if err != nil {
		panic(err)
	}
	var f [][]float64
	for _, x := range p.Ask() {
		f = append(f, []float64{x[0] * x[0], (x[1] - 1) * (x[1] - 1)})
	}
	if err := p.Tell(f); err != nil {
		panic(err)
	}
	state, err := p.MarshalBinary()
	if err != nil {
		panic(err)
	}
	again, err := esadapt.RestorePareto(state)
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Ask()[0][0] == again.Ask()[0][0])
	// Output: true
}
