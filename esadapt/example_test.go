package esadapt_test

import (
	"context"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/esadapt"
)

func rosenbrock(x []float64) float64 {
	f := 0.0
	for i := range len(x) - 1 {
		a, b := x[i+1]-x[i]*x[i], 1-x[i]
		f += 100*a*a + b*b
	}
	return f
}

func ExampleMinimize() {
	r, err := esadapt.Minimize(context.Background(), func(x []float64) (float64, error) {
		return rosenbrock(x), nil
	}, esadapt.Options{X0: []float64{-1, 2, 0, 0.5}, Sigma0: 0.5, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("f < 1e-12: %v at", r.Best.F < 1e-12)
	for _, v := range r.Best.X {
		fmt.Printf(" %.6f", v)
	}
	fmt.Println("\nconverged:", r.Reasons[0].Success)
	// Output:
	// f < 1e-12: true at 1.000000 1.000000 1.000000 1.000000
	// converged: true
}

func ExampleMinimizeConstrained() {
	// The point of the half plane x + y >= 1 that is nearest to the origin.
	r, err := esadapt.MinimizeConstrained(context.Background(), func(x, g []float64) (float64, error) {
		g[0] = 1 - x[0] - x[1]
		return x[0]*x[0] + x[1]*x[1], nil
	}, esadapt.Options{X0: []float64{3, -1}, Constraints: 1, Seed: 4, MaxEvaluations: 3000})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("(%.4f, %.4f), violation %g\n", r.Best.X[0], r.Best.X[1], r.Best.Violation)
	// Output:
	// (0.5000, 0.5000), violation 0
}

func ExampleSearch() {
	s, err := esadapt.New(esadapt.Options{Lower: []float64{0, 0, -10}, Upper: []float64{4, 4, 10}, Integers: []int{2}, Seed: 2, MaxEvaluations: 2000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for s.Stop() == nil {
		points := s.Ask()
		f := make([]float64, len(points))
		for i, x := range points {
			f[i] = math.Pow(x[0]-5, 2) + math.Pow(x[1]-1, 2) + math.Pow(x[2]+3.4, 2)
		}
		if err := s.Tell(f); err != nil {
			fmt.Println(err)
			return
		}
	}
	b := s.Best()
	fmt.Printf("f = %.4f at (%.3f, %.3f, %g)\n", b.F, b.X[0], b.X[1], b.X[2])
	// Output:
	// f = 1.1600 at (4.000, 1.000, -3)
}

func ExampleSearch_Report() {
	s, err := esadapt.New(esadapt.Options{Dim: 3, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	work := s.Take(3)
	for _, k := range []int{2, 0} { // results come in any order
		if err := s.Report(esadapt.Evaluation{ID: work[k].ID, F: rosenbrock(work[k].X)}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(len(s.Pending()), "evaluation is still out")
	// Output:
	// 1 evaluation is still out
}

func ExampleRestore() {
	s, err := esadapt.New(esadapt.Options{Dim: 2, Seed: 9})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Ask()
	state, err := s.MarshalBinary()
	if err != nil {
		fmt.Println(err)
		return
	}
	copied, err := esadapt.Restore(state)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(copied.Ask()[0][0] == s.Ask()[0][0])
	// Output:
	// true
}

func ExampleNewStrategy() {
	s, err := esadapt.NewStrategy("sep-cma", esadapt.Setup{Mean: []float64{2, 2, 2}, Sigma: 1, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for s.Stop() == nil {
		points := s.Ask()
		f := make([]float64, len(points))
		for i, x := range points {
			f[i] = x[0]*x[0] + 100*x[1]*x[1] + 1e4*x[2]*x[2]
		}
		if err := s.Tell(f); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(s.Stop()[0].Success)
	// Output:
	// true
}

func ExampleNewPareto() {
	p, err := esadapt.NewPareto(2, esadapt.Options{Lower: []float64{-3, -3}, Upper: []float64{3, 3}, Seed: 1, MaxEvaluations: 2000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for p.Stop() == nil {
		var f [][]float64
		for _, x := range p.Ask() {
			f = append(f, []float64{x[0]*x[0] + x[1]*x[1], math.Pow(x[0]-1, 2) + x[1]*x[1]})
		}
		if err := p.Tell(f); err != nil {
			fmt.Println(err)
			return
		}
	}
	var front [][]float64
	for _, t := range p.Front() {
		front = append(front, t.F)
	}
	fmt.Printf("hypervolume %.2f of 0.83\n", esadapt.Hypervolume(front, []float64{1, 1}))
	// Output:
	// hypervolume 0.83 of 0.83
}

func ExampleStrategies() {
	for _, s := range esadapt.Strategies() {
		fmt.Println(s.Name)
	}
	// Output:
	// cma
	// dd-cma
	// xnes
	// ma-es
	// 1+1-cma
	// sep-cma
	// snes
	// vd-cma
	// lm-ma-es
	// axis
}

func ExampleHypervolume() {
	fmt.Println(esadapt.Hypervolume([][]float64{{1, 3}, {2, 2}, {3, 1}}, []float64{4, 4}))
	// Output:
	// 6
}

func ExampleSearch_Stop() {
	s, err := esadapt.New(esadapt.Options{X0: []float64{1, 1}, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for s.Stop() == nil {
		if err := s.Tell(make([]float64, len(s.Ask()))); err != nil { // an objective that is 0 everywhere
			fmt.Println(err)
			return
		}
	}
	r := s.Stop()[0]
	fmt.Printf("%s, success %v: %s\n", r.Code, r.Success, r.Next)
	// Output:
	// flat-fitness, success false: f does not tell points apart here: use a larger sigma0 or a finer objective
}

func ExampleAsync() {
	target := 1e-6
	a, err := esadapt.NewAsync(esadapt.Options{X0: []float64{2, 3}, Seed: 1, Target: &target}, 20)
	if err != nil {
		fmt.Println(err)
		return
	}
	var running []esadapt.Candidate
	for a.Stop() == nil {
		running = append(running, a.Take(20)...) // up to 20 evaluations at once
		last := len(running) - 1                 // the one that ends first
		c := running[last]
		running = running[:last]
		if err := a.Report(esadapt.Evaluation{ID: c.ID, F: c.X[0]*c.X[0] + c.X[1]*c.X[1]}); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(a.Stop()[0].Code, a.Search().Best().F <= target)
	// Output:
	// target true
}

// Ask for points, evaluate them anywhere, tell their values.
func Example() {
	s, err := esadapt.New(esadapt.Options{X0: []float64{-1, 2, 0}, Sigma0: 0.5, Seed: 1, MaxEvaluations: 20000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for s.Stop() == nil {
		points := s.Ask()
		values := make([]float64, len(points))
		for i, x := range points {
			values[i] = rosenbrock(x)
		}
		if err := s.Tell(values); err != nil {
			fmt.Println(err)
			return
		}
	}
	best := s.Best()
	fmt.Printf("%.6f, below 1e-10: %v\n", best.X, best.F < 1e-10)
	// Output: [1.000000 1.000000 1.000000], below 1e-10: true
}
