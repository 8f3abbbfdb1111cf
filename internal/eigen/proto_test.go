package eigen

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
)

func BenchmarkProto(b *testing.B) {
	for _, n := range []int{24, 50, 100, 200, 500, 1000} {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		a := gaussian(n, rng)
		for i := range n {
			a.Set(i, i, a.At(i, i)+float64(3*n))
		}
		u, c, l := a.Clone(), a.Clone(), a.Clone()
		dense.Cholesky(l)
		for i := range n {
			for j := i + 1; j < n; j++ {
				l.Set(i, j, 0)
			}
		}
		dense.InvertLower(l)
		var r reduction
		b.Run(fmt.Sprint("copy/", n), func(b *testing.B) {
			cputime.Measure(b, func() { u.Copy(a) })
		})
		b.Run(fmt.Sprint("prod/", n), func(b *testing.B) {
			cputime.Measure(b, func() { dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, a, 0, c) })
		})
		b.Run(fmt.Sprint("reduce/", n), func(b *testing.B) {
			cputime.Measure(b, func() { u.Copy(a); r.reduce(u) })
		})
		b.Run(fmt.Sprint("whiten/", n), func(b *testing.B) {
			cputime.Measure(b, func() {
				dense.MulLower(dense.NoTrans, l, a, c)
				dense.MulLowerRight(dense.Transposed, l, c, u)
			})
		})
		b.Run(fmt.Sprint("ql/", n), func(b *testing.B) {
			u.Copy(a)
			r.reduce(u)
			d, e := append([]float64(nil), r.d...), append([]float64(nil), r.e...)
			cputime.Measure(b, func() {
				copy(r.d, d)
				copy(r.e, e)
				t := tridiagonal{r.d[:n], r.e[:n-1]}
				t.values()
			})
		})
		b.Run(fmt.Sprint("back1/", n), func(b *testing.B) {
			var bt backTransform
			u.Copy(a)
			r.reduce(u)
			cputime.Measure(b, func() { c.Copy(a); bt.apply(u, r.tau, c) })
		})
	}
}

func TestProtoResolvents(t *testing.T) {
	for _, n := range []int{1, 2, 3, 9, 33, 34, 50, 100, 131} {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		a := gaussian(n, rng)
		for i := range n {
			a.Set(i, i, a.At(i, i)+float64(2*n))
		}
		shift, weight := []float64{.1, 1, 10}, []float64{1, -.3, 2}
		want := dense.New[float64](n, n)
		for j, s := range shift {
			b := a.Clone()
			for i := range n {
				b.Set(i, i, b.At(i, i)+s)
			}
			if !dense.InvertUpper(b, make([]float64, dense.InverseWork(n))) {
				t.Fatal("no")
			}
			dense.Axpy(weight[j], b.Data, want.Data)
		}
		var w Reducer

		w.Reduce(a)
		got := dense.New[float64](n, n)
		w.Resolvents(shift, weight, got)
		var worst float64
		for i := range n {
			for j := i; j < n; j++ {
				worst = max(worst, got.At(i, j)-want.At(i, j), want.At(i, j)-got.At(i, j))
			}
		}
		t.Log(n, worst)
		if worst > 1e-13 {
			t.Error(n)
		}
	}
}

func BenchmarkProtoSum(b *testing.B) {
	for _, n := range []int{24, 50, 100, 200, 500, 1000} {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		a := gaussian(n, rng)
		for i := range n {
			a.Set(i, i, a.At(i, i)+float64(3*n))
		}
		c := a.Clone()
		b.Run(fmt.Sprint("prod/", n), func(b *testing.B) {
			cputime.Measure(b, func() { dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, a, 0, c) })
		})
		var w Reducer

		w.Reduce(a.Clone())
		shift := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
		for _, rows := range []int{16} {
			b.Run(fmt.Sprint("sum/", n, "/", rows), func(b *testing.B) {

				cputime.Measure(b, func() { w.Resolvents(shift, shift, c) })
			})
		}
	}
}

func bundledOf(n int) (*Bundled, *dense.Bundle[float64], [4]dense.Matrix[float64]) {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	var ms [4]dense.Matrix[float64]
	for l := range ms {
		ms[l] = gaussian(n, rng)
		for i := range n {
			ms[l].Set(i, i, ms[l].At(i, i)+float64((2+l)*n))
		}
	}
	b := NewBundled(n)
	dense.SetFour(b.Data, 0, ms)
	return b, nil, ms
}

func TestProtoBundled(t *testing.T) {
	for _, n := range []int{1, 2, 3, 9, 33, 34, 50, 100, 131} {
		b, _, ms := bundledOf(n)
		shift, weight := []float64{.1, 1, 10}, []float64{1, -.3, 2}
		b.Reduce()
		b.Resolvents(shift, weight)
		for l, a := range ms {
			want, got := dense.New[float64](n, n), dense.New[float64](n, n)
			for j, s := range shift {
				b := a.Clone()
				for i := range n {
					b.Set(i, i, b.At(i, i)+s)
				}
				if !dense.InvertUpper(b, make([]float64, dense.InverseWork(n))) {
					t.Fatal("no")
				}
				dense.Axpy(weight[j], b.Data, want.Data)
			}
			b.Data.Get(l, got)
			var worst float64
			for i := range n {
				for j := i; j < n; j++ {
					worst = max(worst, got.At(i, j)-want.At(i, j), want.At(i, j)-got.At(i, j))
				}
			}
			t.Log(n, worst)
			if worst > 1e-13 {
				t.Error(n)
			}
		}
	}
}

func BenchmarkProtoBundled(b *testing.B) {
	for _, n := range []int{24, 50, 100, 200, 500, 1000} {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		a := gaussian(n, rng)
		c := a.Clone()
		b.Run(fmt.Sprint("prod/", n), func(b *testing.B) {
			cputime.Measure(b, func() { dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, a, 0, c) })
		})
		w, _, ms := bundledOf(n)
		shift := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
		b.Run(fmt.Sprint("set/", n), func(b *testing.B) {
			cputime.Measure(b, func() { dense.SetFour(w.Data, 0, ms) })
		})
		b.Run(fmt.Sprint("reduce/", n), func(b *testing.B) {
			cputime.Measure(b, func() { dense.SetFour(w.Data, 0, ms); w.Reduce() })
		})
		b.Run(fmt.Sprint("sum/", n), func(b *testing.B) {
			cputime.Measure(b, func() { w.Resolvents(shift, shift) })
		})
	}
}
