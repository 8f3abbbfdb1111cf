package dense

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// formSums is what RoundedForms and SingleForms have in common.
type formSums interface {
	Set(first int, w Matrix[float32])
	Apply(scale float32, y, out Matrix[float32])
	Forms(y Matrix[float32], q []float32)
	Moment(scale float32, q []float32, out Matrix[float32])
}

func formPartsOf(f formSums) *formParts {
	if f, ok := f.(*SingleForms); ok {
		return f.parts
	}
	return f.(*RoundedForms).parts
}

// TestFormsAcrossWorkers: sums and forms have the same bits for any number of threads, for parts of one block and of several, and scratch is made once for each thread.
func TestFormsAcrossWorkers(t *testing.T) {
	onPaths(t, func() {
		r := rand.New(rand.NewPCG(35, 2))
		for _, size := range [][2]int{{53, 2900}, {20, 2*mostFormParts*formPoints + 77}} {
			n, count := size[0], size[1]
			w, y, weights := random[float32](r, n, count), dominated(r, n), random[float32](r, 1, count).Data
			var sums []formSums
			if f := NewRoundedForms(n, count); f != nil {
				sums = append(sums, f)
			}
			if f := NewSingleForms(n, count); f != nil {
				sums = append(sums, f)
			}
			for _, f := range sums {
				f.Set(0, w)
				var want [][]float32
				for _, procs := range []int{1, 2, 4} {
					out, moment, q := New[float32](n, n), New[float32](n, n), make([]float32, count)
					withProcs(procs, func() {
						all := func() {
							f.Apply(0.5, y, out)
							f.Forms(y, q)
							f.Moment(2, weights, moment)
						}
						all()
						all()
						if made := len(formPartsOf(f).shared.spaces.idle); made > procs {
							t.Errorf("%T on %v, GOMAXPROCS=%d: scratch for %d threads", f, active, procs, made)
						}
					})
					got := [][]float32{out.Data, q, moment.Data}
					if procs == 1 {
						want = got
					} else if !slices.EqualFunc(got, want, slices.Equal) {
						t.Errorf("%T on %v, %d points of %d numbers, GOMAXPROCS=%d: other bits", f, active, count, n, procs)
					}
				}
			}
		}
	})
}
