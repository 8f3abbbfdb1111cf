package roots

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/spectral"
)

// cayleyBasis is a random orthogonal matrix by fast products.
func cayleyBasis(seed uint64, n int) dense.Matrix[float64] {
	rng := newRand(seed)
	s, z := dense.New[float64](n, n), dense.New[float64](n, n)
	for i := range n {
		for j := range i {
			v := rng.NormFloat64()
			s.Set(i, j, v)
			s.Set(j, i, -v)
		}
	}
	dense.CayleyInverse(s, z, make([]float64, dense.CayleyWork(n)))
	polyIdentity(z, -1, 2, z, 0, z)
	return z
}

func benchSPD(n int, cond float64) (root dense.Matrix[float64], a *mat.SymDense) {
	root = cayleyBasis(3, n)
	d := geometric(n, 1, math.Sqrt(cond))
	scaleColumns(root, d)
	m := dense.New[float64](n, n)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, root, root, 0, m)
	return root, mat.NewSymDense(n, m.Data)
}

// BenchmarkGemm is the unit of the cost model.
func BenchmarkGemm(b *testing.B) {
	for _, n := range rateSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, y, z := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
			cputime.Measure(b, func() { dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, y, 0, z) })
		})
	}
}

// BenchmarkEigen is the decomposition that everything here is held against.
func BenchmarkEigen(b *testing.B) {
	for _, n := range []int{10, 32, 100, 316, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, s := benchSPD(n, 1e6)
			a := symmetric(s)
			q, w := a.Clone(), make([]float64, n)
			cputime.Measure(b, func() {
				q.Copy(a)
				eigen.Sym(q, w)
			})
		})
	}
}

// BenchmarkMethods forms A^p at condition 1e6 by every method that can, without the residual; the work in GEMM-equivalents beside it.
func BenchmarkMethods(b *testing.B) {
	for _, p := range []float64{-0.5, -0.25, -1, 0.37} {
		for _, m := range Methods() {
			for _, n := range rateSizes[:8] {
				if !m.Can(Query{Power: p}) {
					continue
				}
				b.Run(fmt.Sprintf("%g/%s/%d", p, m.Name, n), func(b *testing.B) {
					_, a := benchSPD(n, 1e6)
					x := mat.NewSymDense(n, nil)
					var rep Report
					cputime.Measure(b, func() {
						var err error
						if rep, err = Pow(x, a, p, &Options{Method: m.Name, NoResidual: true}); err != nil {
							b.Fatal(err)
						}
					})
					b.ReportMetric(rep.Work, "gemm/op")
				})
			}
		}
	}
}

// BenchmarkTracker is one step of a matrix that drifts by 1% in norm, followed and applied as A^(-1/4) to one vector, certified to the
// tolerance.
func BenchmarkTracker(b *testing.B) {
	for _, tol := range []float64{1e-6, 1e-3} {
		for _, c := range []struct {
			name string
			k    int
		}{{"rank16", 16}, {"dense", -1}} {
			for _, n := range []int{32, 100, 316, 1000} {
				for _, cond := range []float64{1e2, 1e4, 1e6} {
					b.Run(fmt.Sprintf("%g/%s/n=%d/cond=%.0g", tol, c.name, n, cond), func(b *testing.B) {
						benchTracker(b, n, c.k, cond, tol)
					})
				}
			}
		}
	}
}

// benchDrift precomputes steps of a drift in both forms.
func benchDrift(n, k, steps int, cond float64) (start *mat.SymDense, as []*mat.SymDense, us []spectral.Increment) {
	root, start := benchSPD(n, cond)
	if k < 0 {
		k = 2 * n
	}
	a := symmetric(start)
	rng := newRand(9)
	pool := make([]float64, 1<<18)
	for i := range pool {
		pool[i] = rng.NormFloat64() / math.Sqrt(float64(k))
	}
	g, v, inc := dense.New[float64](n, k), dense.New[float64](n, k), dense.New[float64](n, n)
	for range steps {
		for i := range n {
			copy(g.Row(i), pool[rng.IntN(len(pool)-k):])
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, root, g, 0, v)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, v, v, 0, inc)
		var size, change float64
		for i, w := range inc.Data {
			size += a.Data[i] * a.Data[i]
			change += (w - a.Data[i]) * (w - a.Data[i])
		}
		beta := 0.01 * math.Sqrt(size/change)
		for i, w := range inc.Data {
			a.Data[i] += beta * (w - a.Data[i])
		}
		u := mat.NewDense(n, k, nil)
		u.Scale(math.Sqrt(beta), mat.NewDense(n, k, v.Data))
		as = append(as, mat.NewSymDense(n, append([]float64(nil), a.Data...)))
		us = append(us, spectral.Increment{Decay: beta, Vectors: u})
	}
	return start, as, us
}

func benchTracker(b *testing.B, n, k int, cond, tol float64) {
	const steps = 24
	start, as, us := benchDrift(n, k, steps, cond)
	tr, err := NewTracker(n, &TrackerOptions{Tol: tol})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tr.Follow(start); err != nil {
		b.Fatal(err)
	}
	x, y := normal(newRand(1), n, 1), mat.NewDense(n, 1, nil)
	var sweeps, refreshed, count int
	var worst float64
	cputime.Measure(b, func() {
		// Back and forth along the path for whole matrices, the increments over and over, so that the drift goes on.
		i := count % (2 * steps)
		if i >= steps {
			i = 2*steps - 1 - i
		}
		var rep TrackReport
		if k > 0 {
			rep, err = tr.FollowUpdate(us[i])
		} else {
			rep, err = tr.Follow(as[i])
		}
		if err != nil {
			b.Fatal(err)
		}
		if rep.Refreshed {
			refreshed++
		}
		if rep, err = tr.ApplyPow(-0.25, y, x); err != nil {
			b.Fatal(err)
		}
		worst = max(worst, rep.Bound)
		sweeps += rep.Sweeps
		count++
	})
	b.ReportMetric(float64(sweeps)/float64(count), "sweeps/op")
	b.ReportMetric(float64(refreshed)/float64(count), "refreshes/op")
	b.ReportMetric(worst, "bound")
}

// BenchmarkReference times the methods on the matrices that bench/peers/bench_roots.py has written to the folder SPDOPT_ROOT_CASES and reports
// their forward errors against its extended-precision references. Files are little-endian float64: a_N_COND.f64 and x_N_COND_P.f64.
func BenchmarkReference(b *testing.B) {
	dir := os.Getenv("SPDOPT_ROOT_CASES")
	if dir == "" {
		b.Skip("SPDOPT_ROOT_CASES names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "x_*.f64"))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		f := strings.Split(strings.TrimSuffix(filepath.Base(file), ".f64"), "_")
		n, err := strconv.Atoi(f[1])
		p, err2 := strconv.ParseFloat(f[3], 64)
		if err != nil || err2 != nil {
			b.Fatal(err, err2)
		}
		a, want := readMatrix(b, filepath.Join(dir, "a_"+f[1]+"_"+f[2]+".f64"), n), readMatrix(b, file, n)
		for _, name := range []string{auto, "eigen", "cholesky", "cholesky-polar", "polar-express", "denman-beavers", "rational", "newton"} {
			if m, err := ByName(name); err == nil && !m.Can(Query{Power: p}) {
				continue
			}
			b.Run(fmt.Sprintf("n=%d/cond=%s/p=%g/%s", n, f[2], p, name), func(b *testing.B) {
				x := mat.NewSymDense(n, nil)
				var rep Report
				cputime.Measure(b, func() {
					if rep, err = Pow(x, a, p, &Options{Method: name, NoResidual: true}); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(relativeSym(x, want)/0x1p-52, "error-eps")
				b.ReportMetric(rep.Bound/0x1p-52, "bound-eps")
			})
		}
	}
}

func readMatrix(b *testing.B, file string, n int) *mat.SymDense {
	raw, err := os.ReadFile(file)
	if err != nil || len(raw) != 8*n*n {
		b.Fatalf("%s: %d bytes, %v", file, len(raw), err)
	}
	v := make([]float64, n*n)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return mat.NewSymDense(n, v)
}

// BenchmarkTracker32 is BenchmarkTracker in float32 to 1e-3, certified (in float64 where that needs it) and kept in float32.
func BenchmarkTracker32(b *testing.B) {
	for _, k := range []int{16, -1} {
		for _, n := range []int{100, 316, 1000} {
			for _, cond := range []float64{1e2, 1e4, 1e6} {
				for _, keep := range []bool{false, true} {
					if keep && cond > 1e4 && n > 100 {
						continue // refused: the smallest eigenvalue is not above the rounding of the largest
					}
					b.Run(fmt.Sprintf("rank=%d/n=%d/cond=%.0g/keep=%v", k, n, cond, keep), func(b *testing.B) {
						benchTracker32(b, n, k, cond, keep)
					})
				}
			}
		}
	}
}

func benchTracker32(b *testing.B, n, k int, cond float64, keep bool) {
	const steps = 24
	start, as, us := benchDrift(n, k, steps, cond)
	single := func(v []float64) []float32 {
		s := make([]float32, len(v))
		for i, f := range v {
			s[i] = float32(f)
		}
		return s
	}
	var a32, v32 [steps][]float32
	for i := range steps {
		a32[i], v32[i] = single(as[i].RawSymmetric().Data), single(us[i].Vectors.RawMatrix().Data)
	}
	tr, err := NewTracker32(n, &TrackerOptions{KeepSingle: keep})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tr.Follow(single(start.RawSymmetric().Data)); err != nil {
		b.Fatal(err)
	}
	x, y := single(normal(newRand(1), n, 1).RawMatrix().Data), make([]float32, n)
	var count, sweeps int
	var worst float64
	cputime.Measure(b, func() {
		i := count % (2 * steps)
		if i >= steps {
			i = 2*steps - 1 - i
		}
		if k > 0 {
			_, err = tr.FollowVectors(us[i].Decay, v32[i], k)
		} else {
			_, err = tr.Follow(a32[i])
		}
		if err != nil {
			b.Fatal(err)
		}
		rep, err := tr.ApplyPow(-0.25, y, x, 1)
		if err != nil {
			b.Fatal(err)
		}
		worst, sweeps = max(worst, rep.Bound), sweeps+rep.Sweeps
		count++
	})
	b.ReportMetric(float64(sweeps)/float64(count), "sweeps/op")
	b.ReportMetric(worst, "bound")
}

// BenchmarkTrackerWide is a step of a dense drift with A^(-1/4) wanted as a whole: formed with terms up to second order (form), or applied to the
// identity with terms up to first order (apply). The sweeps tell what the second-order term saves.
func BenchmarkTrackerWide(b *testing.B) {
	for _, n := range []int{100, 316} {
		for _, cond := range []float64{1e2, 1e6} {
			for _, mode := range []string{"form", "apply"} {
				b.Run(fmt.Sprintf("%s/n=%d/cond=%.0g", mode, n, cond), func(b *testing.B) {
					start, as, _ := benchDrift(n, -1, 24, cond)
					tr, err := NewTracker(n, nil)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := tr.Follow(start); err != nil {
						b.Fatal(err)
					}
					id, y, s := eye(n), mat.NewDense(n, n, nil), mat.NewSymDense(n, nil)
					var count, sweeps int
					cputime.Measure(b, func() {
						i := count % 48
						if i >= 24 {
							i = 47 - i
						}
						if _, err := tr.Follow(as[i]); err != nil {
							b.Fatal(err)
						}
						var rep TrackReport
						if mode == "form" {
							rep, err = tr.FormPow(-0.25, s)
						} else {
							rep, err = tr.ApplyPow(-0.25, y, id)
						}
						if err != nil {
							b.Fatal(err)
						}
						sweeps += rep.Sweeps
						count++
					})
					b.ReportMetric(float64(sweeps)/float64(count), "sweeps/op")
				})
			}
		}
	}
}
