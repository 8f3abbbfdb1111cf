package problem

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// logsAt returns the sums for the data seen from X = F F', and F^-1.
func logsAt(t *testing.T, d Data, weigh func(k int, distance float64) (float64, bool)) (*reducedLogs, dense.Matrix[float64]) {
	t.Helper()
	k := karcherOf(t, d)
	return newReducedLogs(k.upper, k.team, weigh), view(k.start().Inverse())
}

// TestReducedLogs: sums of logarithms, weights and distances are those of eigendecompositions, four matrices at a time and one at a time, for numbers of matrices that
// fours do not divide; what is below the diagonals of the data is not looked at.
func TestReducedLogs(t *testing.T) {
	for _, c := range []struct{ n, count int }{{24, 3}, {25, 4}, {26, 9}, {40, 6}} {
		ms := scattered(c.n, c.count, 50)
		distances, weights := make([]float64, c.count), make([]float64, c.count)
		for i := range weights {
			weights[i] = float64(i) // the first one does not count
		}
		r, inv := logsAt(t, Data{Matrices: ms}, func(k int, d float64) (float64, bool) {
			distances[k] = d
			return weights[k], true
		})
		for i := range r.data {
			r.data[i] = r.data[i].Clone()
			for row := range c.n {
				for col := range row {
					r.data[i].Set(row, col, math.NaN())
				}
			}
		}
		log := newShiftedLog(3.5, 11)
		for name, body := range map[string]func(w *worker, unit int) error{"four": r.four, "single": r.single} {
			if r.body = body; name == "single" {
				r.units = newTeam(c.n, c.count)
			} else {
				r.units = newTeam(c.n, c.count).ofBundles((c.count + sideBySide - 1) / sideBySide)
			}
			got := make([]float64, c.n*c.n)
			total, err := r.sum(inv, log, got)
			if err != nil || math.Abs(total-float64(c.count*(c.count-1)/2)) > 1e-12 {
				t.Fatalf("%s: %v, weights %v", name, err, total)
			}
			want := mat.NewDense(c.n, c.n, nil)
			for k, a := range ms {
				l := logSeen(a, inv)
				if d := mat.Norm(l, 2); math.Abs(distances[k]-d) > log.err*math.Sqrt(float64(c.n))+1e-12 {
					t.Errorf("%s, n = %d: distance %d is %v, want %v", name, c.n, k, distances[k], d)
				}
				l.Scale(-weights[k], l)
				want.Add(want, l)
			}
			for i := range c.n {
				want.Set(i, i, want.At(i, i)+total*log.constant)
			}
			if e := mat.Norm(difference(c.n, got, want.RawMatrix().Data), 2); e > total*(log.err*math.Sqrt(float64(c.n))+1e-12) {
				t.Errorf("%s, n = %d, %d matrices: the sum is off by %.3g", name, c.n, c.count, e)
			}
		}
	}
}

// logSeen returns log(F^-1 A F^-T).
func logSeen(a mat.Symmetric, inv dense.Matrix[float64]) *mat.Dense {
	n := inv.Rows
	f := mat.NewDense(n, n, inv.Data)
	var c, log mat.Dense
	c.Product(f, a, f.T())
	var e mat.EigenSym
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (c.At(i, j)+c.At(j, i))/2)
		}
	}
	e.Factorize(s, true)
	var q mat.Dense
	e.VectorsTo(&q)
	values := e.Values(nil)
	for i, v := range values {
		values[i] = math.Log(v)
	}
	log.Product(&q, mat.NewDiagDense(n, values), q.T())
	return &log
}

// TestReducedLogsRefuse: a spectrum beyond the interval, a matrix that is not positive definite and one that gets no weight are told, in every place.
func TestReducedLogsRefuse(t *testing.T) {
	ms := scattered(24, 6, 50)
	refused := -1
	r, inv := logsAt(t, Data{Matrices: ms}, func(k int, _ float64) (float64, bool) { return 1, k != refused })
	grad, wide := make([]float64, 24*24), newShiftedLog(4, 9)
	if _, err := r.sum(inv, wide, grad); err != nil {
		t.Fatal(err)
	}
	if _, err := r.sum(inv, newShiftedLog(0.5, 5), grad); !errors.Is(err, errOutside) {
		t.Errorf("a narrow interval: %v", err)
	}
	for k := range ms {
		refused = k
		if _, err := r.sum(inv, wide, grad); !errors.Is(err, errOutside) {
			t.Errorf("without weight %d: %v", k, err)
		}
		refused = -1
		kept := r.data[k]
		r.data[k] = kept.Clone()
		r.data[k].Set(5, 5, -r.data[k].At(5, 5))
		for name, body := range map[string]func(w *worker, unit int) error{"four": r.four, "single": r.single} {
			one := &reducedLogs{data: r.data, n: r.n, weigh: r.weigh, body: body, units: newTeam(24, len(ms))}
			if name == "four" {
				one.units = one.units.ofBundles(2)
			}
			if _, err := one.sum(inv, wide, grad); !errors.Is(err, errOutside) {
				t.Errorf("%s: matrix %d is not positive definite: %v", name, k, err)
			}
		}
		r.data[k] = kept
	}
}

// TestReducedLogsThreads: the same bits for any number of threads, four at a time and one at a time.
func TestReducedLogsThreads(t *testing.T) {
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	r, inv := logsAt(t, Data{Matrices: scattered(30, 21, 50)}, func(k int, _ float64) (float64, bool) { return float64(1 + k%3), true })
	log := newShiftedLog(3.5, 9)
	for _, single := range []bool{false, true} {
		var first []float64
		for _, procs := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(procs)
			if single {
				r.units, r.body = newTeam(30, 21), r.single
			}
			grad := make([]float64, 30*30)
			if _, err := r.sum(inv, log, grad); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = grad
			} else if !slices.Equal(first, grad) {
				t.Errorf("other bits on %d threads", procs)
			}
		}
	}
}

// TestShiftedMeanLarge: means of matrices that are reduced one at a time lie within their certificates.
func TestShiftedMeanLarge(t *testing.T) {
	d := Data{Matrices: scattered(largestFour+4, 3, 30)}
	got, want := solved(t, "mean", d, nil), solved(t, "mean", d, &Options{Method: "richardson"})
	if e, err := manifold.Distance(got.Solution, want.Solution); err != nil || e > got.Certificate.Value+want.Certificate.Value {
		t.Errorf("distance %v (%v), certified %v", e, err, got.Certificate)
	}
}
