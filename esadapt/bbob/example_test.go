package bbob_test

import (
	"fmt"

	"github.com/spdopt/spdopt/esadapt/bbob"
)

func ExampleLookup() {
	d, err := bbob.Lookup("f15")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := d.New(5, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %s, f_opt = %.2f\n", f.ID, d.Title, f.FOpt)
	fmt.Printf("excess at the optimum: %.1e\n", f.Eval(f.XOpt)-f.FOpt)
	// Output:
	// f15: Rastrigin, f_opt = 1000.00
	// excess at the optimum: 0.0e+00
}

func ExampleSuite() {
	suite := bbob.Suite()
	last := suite[len(suite)-1]
	fmt.Println(len(suite), "functions, from", suite[0].Title, "to", last.Title)
	// Output: 24 functions, from sphere to Lunacek bi-Rastrigin
}

func ExampleNewMixed() {
	d, err := bbob.Lookup("f1")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := d.New(5, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := bbob.NewMixed(f, bbob.Arities(5))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("integers:", m.Integers, "up to", m.BoxUpper[:4])
	fmt.Println("optimum at", m.XOpt[:4], "worth", m.Eval(m.XOpt) == m.FOpt)
	// Output:
	// integers: [0 1 2 3] up to [1 3 7 15]
	// optimum at [1 1 3 12] worth true
}

func ExampleSuites() {
	for _, s := range bbob.Suites() {
		fmt.Printf("%s: %d functions\n", s.Name, len(s.Functions))
	}
	d, err := bbob.Lookup("c2")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := d.New(5, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	g := make([]float64, f.Constraints)
	f.Constrain(f.XOpt, g)
	fmt.Printf("%s: %d constraints, at the optimum %.3g\n", d.Title, f.Constraints, g[0])
	// Output:
	// bbob: 24 functions
	// bbob-noisy: 30 functions
	// bbob-constrained: 54 functions
	// bbob-mixint: 24 functions
	// bbob-largescale: 24 functions
	// sphere, 2 active constraints: 3 constraints, at the optimum 0
}

func ExampleNewMulti() {
	m, err := bbob.NewMulti("zdt1", 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	f := make([]float64, m.Objectives)
	m.Eval([]float64{0.25, 0, 0, 0}, f)
	fmt.Println(f)
	// Output:
	// [0.25 0.5]
}

func ExampleAll() {
	fmt.Println(bbob.All()[0].ID, bbob.MultiIDs()[0])
	// Output: f1 schaffer
}

// One instance of the sphere in five dimensions, along a line from its optimum.
func Example() {
	d, err := bbob.Lookup("f1")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := d.New(5, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := append([]float64(nil), f.XOpt...)
	for range 3 {
		x[0] += 0.5
		fmt.Printf("%.2f above the optimum\n", f.Eval(x)-f.FOpt)
	}
	// Output:
	// 0.25 above the optimum
	// 1.00 above the optimum
	// 2.25 above the optimum
}
