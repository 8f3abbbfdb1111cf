//go:build cuda && cgo && linux

package devicetest

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
	"github.com/spdopt/spdopt/roots"
)

// small is a device that has no memory to speak of, so that what a run plans to take is named in its refusal.
type small[T dense.Float] struct{ engine.Backend[T] }

func (small[T]) Memory() int  { return 1 }
func (small[T]) Name() string { return smallName }

const smallName = "small"

// planData returns matrices near the identity, or samples, that fill pieces of the pool. Those of mean are so many that it cannot have all in one batch.
func planData(p problem.Problem) (d problem.Data) {
	n, count := 32, 4
	if p.Name == "mean" {
		n, count = 64, 24
	}
	if p.Takes&problem.Samples != 0 {
		x := gallery.Tyler(n, 10)
		d.Samples = mat.NewDense(4*n, n, x.Data[:4*n*n])
		return d
	}
	if len(solveData(p, 4).Matrices) == 1 {
		count = 1
	}
	for k := range count {
		m := covariance(n)
		m.ScaleSym(0.1, m)
		for i := range n {
			m.SetSym(i, i, m.At(i, i)+1+float64(k%3))
		}
		d.Matrices = append(d.Matrices, m)
	}
	return d
}

// plans are runs on a device, by what they compute.
func plans(t *testing.T) map[string]func(device string) error {
	t.Helper()
	all := map[string]func(string) error{}
	for _, p := range problem.List() {
		if p.OnDevice() {
			d := planData(p)
			for _, single := range []bool{false, true} {
				all[fmt.Sprintf("solve %s, single %v", p.Name, single)] = func(device string) error {
					_, err := p.Solve(d, &problem.Options{Device: device, Single: single, Solver: solve.Options{MaxIterations: 1}})
					return err
				}
			}
		}
	}
	for _, c := range []struct {
		method string
		q      roots.Query
	}{
		{"newton-schulz", roots.Query{Power: 0.5}}, {"newton", roots.Query{Power: -1.0 / 3}}, {"order3", roots.Query{Power: -0.25}}, {"polar-express", roots.Query{Power: 0.25}},
		{"series", roots.Query{Kind: roots.KindLog}}, {"series", roots.Query{Kind: roots.KindExp}}, {"jacobi", roots.Query{Power: math.Pi}},
	} {
		n := 32
		if c.method == "jacobi" {
			n = 96
		}
		o := func(device string) *roots.Options { return &roots.Options{Method: c.method, Device: device} }
		all[fmt.Sprintf("root %s %v", c.method, c.q)] = func(device string) error {
			var x mat.SymDense
			_, err := roots.Compute(&x, covariance(n), c.q, o(device))
			return err
		}
		all[fmt.Sprintf("root %s %v, single", c.method, c.q)] = func(device string) error {
			a, x := make([]float32, n*n), make([]float32, n*n)
			m := covariance(n)
			for i := range a {
				a[i] = float32(m.At(i/n, i%n))
			}
			_, err := roots.Compute32(x, a, n, c.q, o(device))
			return err
		}
	}
	for _, method := range []string{"newton-schulz", "polar-express"} {
		all["polar "+method] = func(device string) error {
			var u mat.Dense
			_, err := roots.Polar(&u, nil, mat.NewDense(64, 32, planData(problem.Problem{Takes: problem.Samples}).Samples.RawMatrix().Data[:64*32]), &roots.Options{Method: method, Device: device})
			return err
		}
	}
	return all
}

// planned returns the bytes that a run is refused for on the small device.
func planned(t *testing.T, run func(string) error) float64 {
	t.Helper()
	err := run(smallName)
	var failed *engine.DeviceError
	if !errors.As(err, &failed) {
		t.Fatalf("on a device without memory: %v", err)
	}
	_, rest, _ := strings.Cut(err.Error(), "needs about ")
	var need float64
	if _, err := fmt.Sscanf(rest, "%g GB", &need); err != nil {
		t.Fatalf("%v in %q", err, rest)
	}
	return 1e9 * need
}

// TestMemoryPlans: what a run is planned to take at most, when it is let through where that is nine tenths of the device's memory, is enough for what it
// takes, and for scatters not much more. Each run has a process of its own, whose pool of memory is empty.
func TestMemoryPlans(t *testing.T) {
	needEmulation(t)
	all := plans(t)
	if name := os.Getenv("SPDOPT_MEMORY_PLAN"); name != "" {
		_, err64 := engine.Open[float64]("cuda")
		_, err32 := engine.Open[float32]("cuda")
		if err := errors.Join(err64, err32); err != nil {
			t.Fatal(err)
		}
		before := emu.Used()
		if err := all[name]("cuda"); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("took %d bytes\n", emu.Peak()-before)
		return
	}
	engine.Register(engine.Device{Name: smallName, Float32: func(int) (engine.Backend[float32], error) { return small[float32]{engine.CPU[float32]()}, nil },
		Float64: func(int) (engine.Backend[float64], error) { return small[float64]{engine.CPU[float64]()}, nil }})
	for name, run := range all {
		t.Run(name, func(t *testing.T) {
			need := planned(t, run)
			cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryPlans$")
			cmd.Env = append(os.Environ(), "SPDOPT_MEMORY_PLAN="+name, fmt.Sprintf("SPDOPT_EMU_MEMORY=%.0f", 5<<20+need/0.9))
			out, err := cmd.CombinedOutput()
			var took int
			if n, _ := fmt.Sscanf(string(out), "took %d bytes", &took); err != nil || n != 1 {
				t.Fatalf("%v\n%s", err, out)
			}
			if float64(took) > need/0.9 {
				t.Errorf("%d bytes where %.0f are planned", took, need)
			}
			if slices.ContainsFunc([]string{"tyler", "student", "huber"}, func(p string) bool { return strings.HasPrefix(name, "solve "+p) }) && float64(took) < 0.9*need {
				t.Errorf("%d bytes only where %.0f are planned", took, need)
			}
		})
	}
}
