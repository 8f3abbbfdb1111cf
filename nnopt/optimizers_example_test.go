package nnopt_test

import (
	"fmt"

	"github.com/spdopt/spdopt/nnopt"
)

// firstSteps prints which elements of a 2 x 2 matrix moved against a fixed gradient in three steps.
func firstSteps(o nnopt.Optimizer[float64], err error) {
	if err != nil {
		panic(err)
	}
	w := []nnopt.Block[float64]{{Name: "w", Rows: 2, Cols: 2, Value: make([]float64, 4), Grad: []float64{2, -1, 1, 3}}}
	if err := o.Init(w); err != nil {
		panic(err)
	}
	for range 3 {
		if _, err := o.Step(w, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			panic(err)
		}
	}
	for i, v := range w[0].Value {
		if v*w[0].Grad[i] < 0 {
			fmt.Print("against ")
		} else {
			fmt.Printf("%.4f ", v)
		}
	}
	fmt.Println()
}

func ExampleNewSpectral() {
	firstSteps(nnopt.NewSpectral[float64](nnopt.Spectral{Interval: 2}))
	// Output: against against against against
}

func ExampleNewEShampoo() {
	firstSteps(nnopt.NewEShampoo[float64](nnopt.EShampoo{}))
	// Output: against against against against
}

func ExampleNewSOAP() {
	firstSteps(nnopt.NewSOAP[float64](nnopt.EShampoo{}))
	// Output: against against against against
}

func ExampleNewShampoo() {
	firstSteps(nnopt.NewShampoo[float64](nnopt.Shampoo{}))
	// Output: against against against against
}

func ExampleNewSIRFShampoo() {
	firstSteps(nnopt.NewSIRFShampoo[float64](nnopt.SIRFShampoo{}))
	// Output: against against against against
}

func ExampleNewMuon() {
	firstSteps(nnopt.NewMuon[float64](nnopt.Muon{}))
	// Output: against against against against
}

func ExampleNewLion() {
	firstSteps(nnopt.NewLion[float64](nnopt.Lion{}))
	// Output: against against against against
}

func ExampleNewSignDescent() {
	firstSteps(nnopt.NewSignDescent[float64](nnopt.SignDescent{}))
	// Output: against against against against
}

func ExampleNewRootFreeRMSProp() {
	firstSteps(nnopt.NewRootFreeRMSProp[float64](nnopt.RootFreeRMSProp{}))
	// Output: against against against against
}

func ExampleNewRootFreeAdamW() {
	firstSteps(nnopt.NewRootFreeAdamW[float64](nnopt.RootFreeAdamW{}))
	// Output: against against against against
}

func ExampleNewAveraged() {
	firstSteps(nnopt.NewAveraged[float64](nnopt.Averaged{Kind: nnopt.AverageGPA, Inner: "adamw"}))
	// Output: against against against against
}

func ExampleNewScheduleFreeSGD() {
	firstSteps(nnopt.NewScheduleFreeSGD[float64](nnopt.Averaged{}))
	// Output: against against against against
}
