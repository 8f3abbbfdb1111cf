package algoperf_test

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/spdopt/spdopt/nnopt/algoperf"
)

// A comparison in two halves, each in a form of its own, put together and scored by the rules of 2024.
func ExampleMerge() {
	w, err := algoperf.ByName("graph-sbm")
	if err != nil {
		panic(err)
	}
	half := func(name string) *algoperf.Log {
		e, err := algoperf.EntryByName(name)
		if err != nil {
			panic(err)
		}
		l, err := algoperf.Run(context.Background(), algoperf.Config{
			Entries: []algoperf.Entry{e}, Workloads: []algoperf.Workload{w}, Data: algoperf.OpenData(""), Trials: 1, Studies: 1,
		})
		if err != nil {
			panic(err)
		}
		return l
	}
	var lines, table bytes.Buffer
	if err := half("adamw").WriteJSON(&lines); err != nil {
		panic(err)
	}
	if err := half("muon").WriteCSV(&table); err != nil {
		panic(err)
	}
	first, _, err := algoperf.ReadJSON(&lines)
	if err != nil {
		panic(err)
	}
	second, err := algoperf.ReadCSV(&table)
	if err != nil {
		panic(err)
	}
	all, err := algoperf.Merge([]*algoperf.Log{first, second}, []string{"adamw.json", "muon.csv"})
	if err != nil {
		panic(err)
	}
	rules, err := algoperf.RulesByName("v0.5")
	if err != nil {
		panic(err)
	}
	s, err := rules.Compute(all.Tabulate(), "adamw")
	fmt.Println(len(all.Records), s.Rules.Name == algoperf.V05().Name, len(s.Rows), err)
	// Output: 2 true 2 <nil>
}

// The share of the workloads on which a submission is within a factor of the fastest.
func ExampleProfile() {
	ratios := []float64{1, 1.2, 3, 1}
	fmt.Println(algoperf.Profile(ratios, 1), algoperf.Profile(ratios, 1.5), algoperf.Profile(ratios, 4))
	// Output: 0.5 0.75 1
}

// Each base workload with one variant, which decides whether its result counts.
func ExampleDraw() {
	drawn := algoperf.Draw(algoperf.Workloads(), 1)
	fmt.Println(len(drawn), drawn[0].Name, drawn[1].Base)
	// Output: 14 mnist-mlp mnist-mlp
}

// Targets and costs that belong to the program, as files that can be edited and read back.
func ExampleStatedTargets() {
	targets, err := algoperf.StatedTargets()
	if err != nil {
		panic(err)
	}
	costs, err := algoperf.StatedCosts()
	if err != nil {
		panic(err)
	}
	var t, c bytes.Buffer
	if err := targets.WriteJSON(&t); err != nil {
		panic(err)
	}
	if err := costs.WriteJSON(&c); err != nil {
		panic(err)
	}
	again, err := algoperf.ReadTargets(&t)
	if err != nil {
		panic(err)
	}
	same, err := algoperf.ReadCosts(&c)
	fmt.Println(again.Workloads[0].Workload, again.Workloads[0].Target == targets.Workloads[0].Target, same.Step["mnist-mlp"] == costs.Step["mnist-mlp"], err)
	// Output: mnist-mlp true true <nil>
}

// The processor time of a step of Lion, as a ratio to AdamW's, gradient included.
func ExampleMeasureCosts() {
	lion, err := algoperf.EntryByName("lion")
	if err != nil {
		panic(err)
	}
	w, err := algoperf.ByName("graph-sbm")
	if err != nil {
		panic(err)
	}
	var c algoperf.Costs
	if err := algoperf.MeasureCosts(context.Background(), &c, []algoperf.Entry{lion}, []algoperf.Workload{w}, algoperf.OpenData(""), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Println(c.Ratio["lion"]["graph-sbm"] > 0)
	// Output: true
}
