package selftest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/engine/enginetest"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/train"
	"github.com/spdopt/spdopt/roots"
)

// Device checks that a device, by its name on the command line, gives what the processor gives. The error says that it cannot be used at all.
func Device(name string) ([]Check, error) {
	double, err := engine.Open[float64](name)
	if err != nil {
		return nil, err
	}
	single, err := engine.Open[float32](name)
	if err != nil {
		return nil, err
	}
	checks := append(operations(double, "float64", 1e-12, 1e-12), operations(single, "float32", 1e-4, 0.05)...)
	return append(checks,
		Measure("inverse fourth root in float64: R^4 A = I", 1e-11, func() (float64, error) { return rootOn(name) }),
		Measure("mean in float64, of matrices whose mean is known", 1e-7, func() (float64, error) { return meanOn(name) }),
		Measure("parameters after ten steps of spectral in float64", 1e-8, func() (float64, error) { return steps(name, "spectral") }),
		Measure("parameters after ten steps of muon in float64", 1e-8, func() (float64, error) { return steps(name, "muon") }),
		Measure("losses of a network in ten steps in float32", 1e-4, func() (float64, error) { return losses(name) }),
	), nil
}

// operations calls every operation of the engine on two shapes; those with numbers in bfloat16 are held against the limit narrow.
func operations[T dense.Float](b engine.Backend[T], name string, limit, narrow float64) []Check {
	var all []enginetest.Deviation
	var err error
	for _, shape := range [][2]int{{3, 7}, {2, 45}} {
		var more []enginetest.Deviation
		if more, err = deviations(b, shape[0], shape[1]); err != nil {
			break
		}
		all = append(all, more...)
	}
	if err != nil {
		return []Check{{Name: "calls in " + name, Limit: limit, Err: err}}
	}
	return []Check{worst("calls in "+name, limit, all, false), worst("calls in "+name+" and bfloat16", narrow, all, true)}
}

func deviations[T dense.Float](b engine.Backend[T], count, n int) (all []enginetest.Deviation, err error) {
	defer engine.Recover(&err)
	return enginetest.Deviations(b, 7, count, n), nil
}

// worst checks the largest deviation of those with or without bfloat16; its name says how many they are, and of which operation it is.
func worst(name string, limit float64, all []enginetest.Deviation, narrow bool) Check {
	count, most := 0, enginetest.Deviation{Largest: -1}
	for _, d := range all {
		if d.Narrow != narrow {
			continue
		}
		count++
		if d.Idle {
			return Check{Name: name, Limit: limit, Err: fmt.Errorf("%s writes nothing", d.Name)}
		}
		if !(d.Largest <= most.Largest) && !math.IsNaN(most.Largest) {
			most = d
		}
	}
	return Measure(fmt.Sprintf("%d %s, largest error of %s", count, name, most.Name), limit, func() (float64, error) { return most.Largest, nil })
}

func rootOn(device string) (float64, error) {
	a := symmetric(gallery.SPD(2, 60, 1e3))
	var r mat.SymDense
	if _, err := roots.Pow(&r, a, -0.25, &roots.Options{Device: device}); err != nil {
		return 0, err
	}
	return RootResidual(&r, a), nil
}

func meanOn(device string) (float64, error) {
	d, want := knownMean()
	r, err := problem.Solve("mean", d, &problem.Options{Device: device})
	if err != nil {
		return 0, err
	}
	return manifold.Distance(r.Solution, want)
}

// steps returns the largest difference between the parameters that an optimizer reaches on the device and on the processor, relative to the largest parameter.
func steps(device, optimizer string) (float64, error) {
	want, err := descend("cpu", optimizer)
	if err != nil {
		return 0, err
	}
	got, err := descend(device, optimizer)
	if err != nil {
		return 0, err
	}
	difference, size := 0.0, 0.0
	for i, v := range want {
		difference, size = max(difference, math.Abs(got[i]-v)), max(size, math.Abs(v))
	}
	return difference / size, nil
}

// descend takes ten steps on one matrix of parameters, along seeded gradients.
func descend(device, optimizer string) (w []float64, err error) {
	defer engine.Recover(&err)
	settings, err := json.Marshal(map[string]any{"lr": 0.01, "device": device})
	if err != nil {
		return nil, err
	}
	opt, err := nnopt.New[float64](optimizer, settings)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(3, 5))
	b := nnopt.Block[float64]{Name: "w", Rows: 9, Cols: 6, Value: make([]float64, 54), Grad: make([]float64, 54)}
	all := []nnopt.Block[float64]{b}
	for i := range b.Value {
		b.Value[i] = r.NormFloat64()
	}
	if err := opt.Init(all); err != nil {
		return nil, err
	}
	for range 10 {
		for i := range b.Grad {
			b.Grad[i] = r.NormFloat64() + b.Value[i]
		}
		if _, err := opt.Step(all, nnopt.StepInfo{LRScale: 1, BatchSize: 8}); err != nil {
			return nil, err
		}
	}
	return b.Value, nil
}

// losses returns the largest relative difference between the losses of a small network, trained on the device and on the processor.
func losses(device string) (float64, error) {
	want, err := trainedOn("cpu")
	if err != nil {
		return 0, err
	}
	got, err := trainedOn(device)
	if err != nil {
		return 0, err
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d losses of %d", len(got), len(want))
	}
	difference := 0.0
	for i, v := range want {
		difference = max(difference, math.Abs(got[i]-v)/math.Abs(v))
	}
	return difference, nil
}

func trainedOn(device string) (losses []float64, err error) {
	o := train.Options{Workload: "graph", Optimizer: "adamw", Steps: 10, Seed: 1, Device: device,
		Progress: func(_, _ int, loss float64) { losses = append(losses, loss) }}
	if device != "cpu" {
		o.Precision = nnopt.FP32
	}
	_, err = train.Run(o)
	return losses, err
}
