package problem

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/gallery"
)

// deviceData returns data for the problems that run on a device.
func deviceData(name string, n int) Data {
	switch name {
	case "mean", "barycenter":
		var d Data
		for _, m := range gallery.KarcherScatter(3, n, 4, 100) {
			d.Matrices = append(d.Matrices, symmetric(m))
		}
		d.Weights = []float64{1, 2, 0.5, 1}
		return d
	case "nearest-spd", "nearest-correlation":
		return Data{Matrices: []mat.Symmetric{indefinite(n)}}
	}
	x := gallery.Tyler(n, 10)
	return Data{Samples: mat.NewDense(x.Rows, x.Cols, x.Data)}
}

// onEngine runs the way on a device on an engine, so that the processor's own can be it.
func onEngine[T dense.Float](p Problem, d Data, o *Options, e engine.Backend[T], run func(*Data, *Options, *place[T]) (*outcome, error)) (*outcome, error) {
	return runProducts(p, &d, o, e, run)
}

// TestOnDevice: in products every problem ends where its own method does, in both precisions (stated tolerances: 1e-6 and 2e-3, relative).
func TestOnDevice(t *testing.T) {
	able := 0
	for _, p := range List() {
		if !p.OnDevice() {
			continue
		}
		able++
		t.Run(p.Name, func(t *testing.T) {
			d := deviceData(p.Name, 12)
			want := solved(t, p.Name, d, nil)
			double, err := onEngine(p, d, &Options{}, engine.CPU[float64](), p.device.run64)
			if err != nil {
				t.Fatal(err)
			}
			single, err := onEngine(p, d, &Options{Single: true}, engine.CPU[float32](), p.device.run32)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				got *outcome
				tol float64
			}{{double, 1e-6}, {single, 2e-3}} {
				if r := c.got.run; !r.Converged || r.Iterations > 100 {
					t.Errorf("%s after %d iterations: %+v", r.Reason.Name, r.Iterations, r.Reason)
				}
				if off := distanceRelative(c.got.solution, want.Solution); !(off <= c.tol) {
					t.Errorf("%g off, allowed %g; after %d iterations", off, c.tol, c.got.run.Iterations)
				}
				if off := math.Abs(c.got.run.Objective - want.Objective); !(off <= c.tol*(1+math.Abs(want.Objective))) {
					t.Errorf("objective %v, want %v", c.got.run.Objective, want.Objective)
				}
			}
		})
	}
	if able < 8 {
		t.Errorf("%d problems run on a device", able)
	}
}

// TestDeviceRefuses: what cannot run on a device is said before anything is computed, with what can.
func TestDeviceRefuses(t *testing.T) {
	x := gallery.Tyler(4, 10)
	samples := Data{Samples: mat.NewDense(x.Rows, x.Cols, x.Data)}
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"glasso", Options{Device: "cuda"}, "no way on a device"},
		{"tyler", Options{Device: "cuda", Method: "trust"}, "the method on a device is products"},
		{"tyler", Options{Device: "cuda", Metric: "bures-wasserstein"}, "affine-invariant"},
		{"tyler", Options{Device: "cuda", Start: identity(4)}, "its own start"},
		{"tyler", Options{Single: true}, "single precision is for devices"},
	} {
		var e *DeviceError
		if _, err := Solve(c.name, samples, &c.o); !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "mean") {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	var unknown *engine.UnknownError
	if _, err := Solve("tyler", samples, &Options{Device: "abacus"}); !errors.As(err, &unknown) {
		t.Errorf("unknown device: %v", err)
	}
}

// small is a device with little memory.
type small struct{ engine.Backend[float64] }

func (small) Memory() int  { return 100000 }
func (small) Name() string { return "small" }

// TestDeviceMemory: a run that does not fit is refused with the sizes; a mean whose matrices fit one at a time only goes through them so.
func TestDeviceMemory(t *testing.T) {
	p, err := ByName("mean")
	if err != nil {
		t.Fatal(err)
	}
	tight := small{engine.CPU[float64]()}
	_, err = onEngine(p, deviceData("mean", 60), &Options{}, tight, p.device.run64)
	var e *engine.DeviceError
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "GB for n = 60") {
		t.Errorf("too large: %v", err)
	}
	d := deviceData("mean", 16)
	got, err := onEngine(p, d, &Options{}, tight, p.device.run64)
	if err != nil {
		t.Fatal(err)
	}
	if off := distanceRelative(got.solution, solved(t, "mean", d, nil).Solution); off > 1e-6 {
		t.Errorf("one at a time: %g off", off)
	}
}

// TestDeviceBadData: data that has no answer is an error about the data, on a device too.
func TestDeviceBadData(t *testing.T) {
	line := mat.NewDense(6, 2, []float64{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6})
	indefinite := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	for _, c := range []struct {
		name string
		d    Data
	}{
		{"mean", Data{}}, {"mean", Data{Matrices: []mat.Symmetric{identity(2), indefinite}}}, {"barycenter", Data{Matrices: []mat.Symmetric{indefinite}}},
		{"mean", Data{Matrices: []mat.Symmetric{identity(2), identity(3)}}}, {"student", Data{Samples: line}}, {"tyler", Data{Samples: line}},
		{"logdet", Data{Samples: line}}, {"nearest-spd", Data{Matrices: []mat.Symmetric{mat.NewSymDense(1, []float64{-1})}}},
	} {
		p, err := ByName(c.name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = onEngine(p, c.d, &Options{}, engine.CPU[float64](), p.device.run64)
		var e *DataError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
