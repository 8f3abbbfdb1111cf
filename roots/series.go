package roots

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

var seriesMethod = Method{
	Name:   "series",
	device: true,
	Title:  "logarithm by square roots and the series of the inverse of sinh, exponential by its series and squarings; products only, for devices",
	Source: "Higham, Functions of Matrices, 10.3 and 11.5",
	Can:    func(q Query) bool { return (q.Kind == KindLog || q.Kind == KindExp) && q.N > 0 },
	Work:   seriesWork,
	Bound: func(q Query) float64 {
		if q.Kind == KindExp {
			// Each squaring doubles the relative error of what was there.
			return q.rounding(16)
		}
		// An error of rounding size in the last of s roots counts 2^s times, which is about 8 log(cond).
		return q.rounding(16) * (8 + math.Log(max(q.Cond, 1)))
	},
	rate:  rate{26, 17, 5.3, 2.0, 1.5, 1.5, 1.2, 1.2, 1.2, 1.2},
	run64: runSeries[float64],
	run32: runSeries[float32],
}

func seriesWork(q Query) float64 {
	if q.Kind == KindExp {
		return 10 + math.Log2(2+max(q.Top, 0)) + applyWork(q, 1)
	}
	w, k := 8.0, max(q.Cond, 1)
	for size := math.Log(k) + 1; size > 0.125; size /= 2 {
		w += 3 * (math.Log(2*k)/math.Log(2.25) + 5)
		k = math.Sqrt(k)
	}
	return w + applyWork(q, 1)
}

func runSeries[T dense.Float](j *job[T]) error {
	w := matfun.New(j.e, j.arena, 1, j.N)
	a, x, y := w.Take(), w.Take(), w.Take()
	j.e.Copy(engine.One(j.a), a)
	var err error
	if j.Kind == KindLog {
		err = w.Log(a, x)
	} else {
		err = w.Exp(a, x, y)
		j.rep.LambdaMax, j.rep.LambdaMin = j.Top, -largest(negated(j.a))
	}
	var failed *matfun.Error
	if errors.As(err, &failed) {
		return &MethodError{j.rep.Method, failed.Error()}
	}
	j.count(seriesWork(j.Query) * float64(j.N) * float64(j.N) * float64(j.N))
	j.give(x.At(0))
	return err
}
