package run

import (
	"fmt"
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
)

// BenchmarkEvaluation is the cost of the journal for one evaluation: an ask with the point, and a tell that reaches the operating system.
func BenchmarkEvaluation(b *testing.B) {
	for _, dim := range []int{5, 20, 40, 200} {
		b.Run(fmt.Sprintf("dim=%d", dim), func(b *testing.B) {
			r := begin(b)
			x := make([]float64, dim)
			for i := range x {
				x[i] = math.Sin(float64(i + 1))
			}
			id := uint64(0)
			cputime.Measure(b, func() {
				id++
				if r.Ask(Asked{ID: id, Candidate: id, X: x}) != nil || r.Tell(Told{ID: id, F: x[0], Seconds: 0.01}) != nil {
					b.Fatal("cannot write")
				}
			})
		})
	}
}

// BenchmarkDurable is the cost of an evaluation that is forced to the disk, and BenchmarkCheckpoint that of a state of a megabyte.
func BenchmarkDurable(b *testing.B) {
	r := begin(b)
	r.o.Durable = true
	for b.Loop() {
		if r.Tell(Told{F: 1}) != nil {
			b.Fatal("cannot write")
		}
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	r := begin(b)
	data := make([]byte, 1<<20)
	for b.Loop() {
		if r.Checkpoint(State{Kind: "test", Data: data}) != nil {
			b.Fatal("cannot write")
		}
	}
}

// BenchmarkOpen is the cost of opening a run with 20,000 evaluations of 40 variables.
func BenchmarkOpen(b *testing.B) {
	r := begin(b)
	x := make([]float64, 40)
	for i := range x {
		x[i] = math.Sin(float64(i + 1))
	}
	for id := uint64(1); id <= 20000; id++ {
		if r.Ask(Asked{ID: id, X: x}) != nil || r.Tell(Told{ID: id, F: 1}) != nil {
			b.Fatal("cannot write")
		}
	}
	if r.Close() != nil {
		b.Fatal("cannot write")
	}
	cputime.Measure(b, func() {
		r, err := Open(r.Dir(), Options{})
		if err != nil || r.Close() != nil {
			b.Fatal("cannot open")
		}
	})
}
