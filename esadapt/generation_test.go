package esadapt

import (
	"fmt"
	"testing"

	"github.com/spdopt/spdopt/esadapt/bbob"
)

// generations returns a closure that makes one generation of CMA-ES on the sphere, whose cost is negligible.
func generations(b testing.TB, name string, n int, tuning Tuning) func() {
	d, err := bbob.Lookup("sphere")
	if err != nil {
		b.Fatal(err)
	}
	f, err := d.New(n, 1)
	if err != nil {
		b.Fatal(err)
	}
	tuning.Tolerances = Tolerances{X: -1, Fun: -1, FunHistory: -1, Stagnation: -1, XStagnation: -1, FlatFitness: -1, MaxGenerations: -1, NoRounding: true, Condition: -1, UpX: -1, UpSigma: -1}
	start := make([]float64, n)
	for i := range start {
		start[i] = 3
	}
	s, err := NewStrategy(name, Setup{Mean: start, Sigma: 1, Seed: 1, Tuning: tuning})
	if err != nil {
		b.Fatal(err)
	}
	values := make([]float64, len(s.Ask()))
	return func() {
		for i, x := range s.Ask() {
			values[i] = f.Eval(x)
		}
		if err := s.Tell(values); err != nil {
			b.Fatal(err)
		}
		if r := s.Stop(); r != nil {
			b.Fatal(r)
		}
	}
}

func BenchmarkGeneration(b *testing.B) {
	for _, name := range []string{"cma", "dd-cma", "sep-cma", "vd-cma", "lm-ma-es"} {
		for _, n := range []int{5, 10, 40, 100, 500, 1000} {
			b.Run(fmt.Sprintf("%s/n=%d", name, n), func(b *testing.B) {
				run := generations(b, name, n, Tuning{})
				run()
				b.ReportAllocs()
				timeCPU(b, run)
			})
		}
	}
}
