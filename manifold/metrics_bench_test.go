package manifold

import (
	"fmt"
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
)

// BenchmarkMetrics and BenchmarkSpaces time the operations of every metric and space, in a steady state.
func BenchmarkMetrics(b *testing.B) {
	for _, g := range Metrics() {
		benchmarkOperations(b, g.Name, g.New, 20, 100, 300)
	}
}

func BenchmarkSpaces(b *testing.B) {
	for _, s := range Spaces() {
		benchmarkOperations(b, s.Name, s.New, 20, 100)
	}
}

func benchmarkOperations(b *testing.B, name string, create func(int) (Manifold, error), sizes ...int) {
	for _, n := range sizes {
		m, err := create(n)
		if err != nil {
			b.Fatal(err)
		}
		rng := source(1)
		p, q := m.RandomPoint(rng), m.RandomPoint(rng)
		v, w := make([]float64, m.VectorLen()), make([]float64, m.VectorLen())
		m.(RandomTangenter).RandomTangent(v, p, rng)
		for _, op := range []struct {
			name string
			run  func() error
		}{
			{"retract", func() error { return m.Retract(q, p, v) }},
			{"exp", func() error { return m.(Exponential).Exp(q, p, v) }},
			{"log", func() error { return m.(Logarithm).Log(w, p, q) }},
			{"distance", func() error { _, err := m.(Distancer).Distance(p, q); return err }},
		} {
			b.Run(fmt.Sprintf("%s/n=%d/%s", name, n, op.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := op.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		if err := complete(m, q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAverages times every mean that is not that of a metric, of four matrices.
func BenchmarkAverages(b *testing.B) {
	for _, a := range Averages() {
		for _, n := range []int{5, 20, 100} {
			if n > 20 && (a.Name == "alm" || a.Name == "ale") {
				continue // minutes; four unrelated matrices of that size are not nearly diagonal in any coordinates
			}
			ms, _ := powerData(n, 4, 100)
			b.Run(fmt.Sprintf("%s/n=%d", a.Name, n), func(b *testing.B) {
				least := math.Inf(1)
				for b.Loop() {
					began, _ := cputime.Seconds()
					_, r, err := a.Mean(ms, nil, AverageOptions{})
					if err != nil {
						b.Fatal(err)
					}
					ended, _ := cputime.Seconds()
					least = min(least, ended-began)
					b.ReportMetric(float64(r.Iterations), "iterations")
				}
				b.ReportMetric(1e3*least, "cpu-ms")
			})
		}
	}
}
