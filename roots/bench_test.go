package roots

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/spectral"
)

// BenchmarkGemm is the unit of the cost model.
func BenchmarkGemm(b *testing.B) {
	for _, n := range rateSizes[:8] {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, y, z := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
			for b.Loop() {
				dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, y, 0, z)
			}
		})
	}
}

// BenchmarkEigen is the decomposition that everything here is held against.
func BenchmarkEigen(b *testing.B) {
	for _, n := range []int{10, 32, 100, 316, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := symmetric(randomSPD(newRand(1), n, 1, 1e6))
			q, w := a.Clone(), make([]float64, n)
			for b.Loop() {
				q.Copy(a)
				eigen.Sym(q, w)
			}
		})
	}
}

// BenchmarkMethods forms A^(-1/2) at condition 1e6 by every method that can, without the residual.
func BenchmarkMethods(b *testing.B) {
	for _, n := range []int{10, 100, 500} {
		a := withSpectrum(randomBasis(newRand(1), n), geometric(n, 1, 1e6))
		for _, m := range Methods() {
			if !m.Can(Query{Power: -0.5}) {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", m.Name, n), func(b *testing.B) {
				x := mat.NewSymDense(n, nil)
				for b.Loop() {
					if _, err := Pow(x, a, -0.5, &Options{Method: m.Name, NoResidual: true}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkTracker is one step of a matrix that drifts by 1% in norm, followed and applied as A^(-1/4) to one vector, certified to 1e-6.
func BenchmarkTracker(b *testing.B) {
	for _, c := range []struct {
		name string
		k    int
		tol  float64
	}{{"rank16", 16, 1e-6}, {"dense", -1, 1e-6}, {"rank16-1e-3", 16, 1e-3}, {"dense-1e-3", -1, 1e-3}} {
		for _, n := range []int{32, 100, 316, 1000} {
			for _, cond := range []float64{1e2, 1e6} {
				b.Run(fmt.Sprintf("%s/n=%d/cond=%.0g", c.name, n, cond), func(b *testing.B) {
					benchTracker(b, n, c.k, cond, c.tol)
				})
			}
		}
	}
}

func benchTracker(b *testing.B, n, k int, cond, tol float64) {
	rng := newRand(1)
	d := newDrift(rng, n, k, cond, 0.01)
	const steps = 24
	as, vs, betas := []*mat.SymDense{}, []*mat.Dense{}, []float64{}
	tr, err := NewTracker(n, &TrackerOptions{Tol: tol})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tr.Follow(d.a); err != nil {
		b.Fatal(err)
	}
	for range steps {
		d.step()
		a := mat.NewSymDense(n, nil)
		a.CopySym(d.a)
		v := mat.NewDense(n, d.k, nil)
		v.Copy(d.v)
		as, vs, betas = append(as, a), append(vs, v), append(betas, d.beta)
	}
	x, y := normal(rng, n, 1), mat.NewDense(n, 1, nil)
	var sweeps, refreshed, count int
	for b.Loop() {
		i := count % (2 * steps)
		if i >= steps {
			// Back along the same path, so that the drift goes on.
			i = 2*steps - 1 - i
		}
		var rep TrackReport
		if k > 0 {
			rep, err = tr.FollowUpdate(spectral.Increment{Decay: betas[i], Vectors: vs[i]})
		} else {
			rep, err = tr.Follow(as[i])
		}
		if err != nil {
			b.Fatal(err)
		}
		if rep.Refreshed {
			refreshed++
		}
		rep, err = tr.ApplyPow(-0.25, y, x)
		if err != nil {
			b.Fatal(err)
		}
		sweeps += rep.Sweeps
		count++
	}
	b.ReportMetric(float64(sweeps)/float64(count), "sweeps/op")
	b.ReportMetric(float64(refreshed)/float64(count), "refreshes/op")
}
