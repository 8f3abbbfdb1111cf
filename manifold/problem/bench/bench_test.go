package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spdopt/spdopt/manifold/problem"
)

// TestEveryProblemIsMeasured: every entry of the registry has a recipe on which every method gives a result.
func TestEveryProblemIsMeasured(t *testing.T) {
	var want []string
	for _, p := range problem.List() {
		want = append(want, p.Name)
	}
	if got := Names(); !slices.Equal(got, want) || len(recipes) != len(want) {
		t.Errorf("recipes for %v (%d), want %v", got, len(recipes), want)
	}
	all, err := Run(context.Background(), Config{Sizes: []int{4}, Kappas: []float64{10}, All: true, Repeats: 1, MaxTime: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	methods := 0
	for _, p := range problem.List() {
		methods += len(p.Methods())
	}
	if len(all) != methods {
		t.Errorf("%d entries, want %d", len(all), methods)
	}
	for _, e := range all {
		slow := e.Method == "itml-projections" // linear, at a rate that may be close to 1
		if e.Error != "" || !e.Converged && !slow || !(e.CPU >= 0) || !(e.Wall > 0) || e.N != 4 || e.Kappa != 10 {
			t.Errorf("%+v", e)
		}
	}
}

func TestRunIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	seen := 0
	all, err := Run(ctx, Config{Sizes: []int{3}, Kappas: []float64{10}, Repeats: 1}, func(Entry) {
		if seen++; seen == 2 {
			cancel()
		}
	})
	if err != nil || len(all) != 2 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []Config{{Problems: []string{"nonsense"}}, {Sizes: []int{1}}, {Kappas: []float64{0.5}}, {Repeats: -1}} {
		if _, err := Run(context.Background(), c, nil); err == nil {
			t.Errorf("%+v ran", c)
		}
	}
}

func ExampleRun() {
	all, err := Run(context.Background(), Config{Problems: []string{"logdet", "riccati"}, Sizes: []int{5}, Kappas: []float64{100}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range all {
		fmt.Println(e.Problem, e.Method, e.N, e.Converged)
	}
	// Output:
	// logdet closed-form 5 true
	// riccati closed-form 5 true
}

func ExampleNames() {
	fmt.Println(Names()[0])
	// Output: mean
}
