package manifold

import (
	"fmt"
	"testing"
)

// BenchmarkMetrics times the operations of every metric, in a steady state.
func BenchmarkMetrics(b *testing.B) {
	for _, g := range Metrics() {
		for _, n := range []int{20, 100, 300} {
			m, err := g.New(n)
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
				b.Run(fmt.Sprintf("%s/n=%d/%s", g.Name, n, op.name), func(b *testing.B) {
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
}
