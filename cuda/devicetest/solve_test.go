//go:build cuda && cgo && linux

package devicetest

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/problem"
)

// solveData returns data for the problems that run on a device.
func solveData(p problem.Problem, n int) problem.Data {
	var d problem.Data
	if p.Takes&problem.Samples != 0 {
		x := gallery.Tyler(n, 10)
		d.Samples = mat.NewDense(x.Rows, x.Cols, x.Data)
		return d
	}
	for _, m := range gallery.KarcherScatter(3, n, 3, 30) {
		if p.Takes&problem.Indefinite != 0 {
			for i := range n {
				m.Set(i, i, m.At(i, i)-0.5)
			}
			d.Matrices = nil
		}
		d.Matrices = append(d.Matrices, mat.NewSymDense(n, m.Data))
	}
	return d
}

// TestSolve: every problem that says so ends on the device where its own method ends on the processor. Stated tolerances: relative 1e-6 in float64,
// 2e-3 in float32.
func TestSolve(t *testing.T) {
	needDevice(t)
	able := 0
	for _, p := range problem.List() {
		if !p.OnDevice() {
			continue
		}
		able++
		t.Run(p.Name, func(t *testing.T) {
			d := solveData(p, 5)
			want, err := p.Solve(d, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				o   problem.Options
				tol float64
			}{{problem.Options{Device: "cuda"}, 1e-6}, {problem.Options{Device: second(), Single: true}, 2e-3}} {
				got, err := p.Solve(d, &c.o)
				if err != nil {
					t.Fatal(err)
				}
				if !got.Converged || got.Method != "products" {
					t.Errorf("%+v", got)
				}
				off, size := 0.0, 0.0
				for i := range got.N {
					for j := range got.N {
						v := want.Solution.At(i, j)
						off, size = math.Hypot(off, v-got.Solution.At(i, j)), math.Hypot(size, v)
					}
				}
				if !(off <= c.tol*size) {
					t.Errorf("%s: %v off, after %d iterations", c.o.Device, off/size, got.Iterations)
				}
			}
		})
	}
	if able < 8 {
		t.Errorf("%d problems run on a device", able)
	}
}

// TestSolveOutOfMemory: a run that finds too little memory, or whose device fails on the way, ends in an error that names the device and leaves it usable.
func TestSolveOutOfMemory(t *testing.T) {
	needDevice(t)
	if !emu.InUse() {
		t.Skip("not on the emulated driver")
	}
	p, err := problem.ByName("nearest-spd")
	if err != nil {
		t.Fatal(err)
	}
	d, o := solveData(p, 40), &problem.Options{Device: "cuda"}
	var failed *engine.DeviceError
	emu.Limit(1)
	_, err = p.Solve(d, o)
	emu.Limit(8 << 30)
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
		t.Errorf("without memory: %v", err)
	}
	emu.Fail("cuLaunchKernel", 20, 701)
	if _, err := p.Solve(d, o); !errors.As(err, &failed) || !strings.Contains(err.Error(), "kernel") {
		t.Errorf("a launch that fails: %v", err)
	}
	if _, err := p.Solve(d, o); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
