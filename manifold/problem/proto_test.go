package problem

import (
	"fmt"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
)

func BenchmarkProto(b *testing.B) {
	for _, p := range []string{"mean", "median"} {
		for _, n := range []int{50, 100, 200, 500, 1000} {
			count := 20
			if n > 200 {
				count = 4
			}
			d := Data{Matrices: scattered(n, count, 1e2)}
			b.Run(fmt.Sprint(p, "/", n), func(b *testing.B) {
				cputime.Measure(b, func() {
					if _, err := Solve(p, d, nil); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}
