package problem

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestStrangeDataNeverPanics: every problem answers data that is tiny, huge, constant, of one row or empty with an error or with finite numbers.
func TestStrangeDataNeverPanics(t *testing.T) {
	scaledBy := func(c float64, n int) []mat.Symmetric {
		var out []mat.Symmetric
		for k := range 4 {
			var s mat.SymDense
			s.ScaleSym(c, symmetric(gallery.SPD(uint64(k), n, 10)))
			out = append(out, &s)
		}
		return out
	}
	samples := func(c float64, N, n int) *mat.Dense {
		x := dataOf(gallery.NewStream(5).Normals(N, n))
		x.Scale(c, x)
		return x
	}
	labels := func(n int) []int {
		l := make([]int, n)
		for i := range l {
			l[i] = i % 2
		}
		return l
	}
	var all []Data
	for _, c := range []float64{1, 1e-200, 1e200, 1e-100, 1e100, 0, math.Inf(1)} {
		for _, count := range []int{1, 2, 4} {
			all = append(all, Data{Matrices: scaledBy(c, 3)[:count], Labels: labels(count)}, Data{Matrices: scaledBy(c, 1)[:count], Labels: labels(count)})
		}
		for _, N := range []int{1, 2, 3, 30} {
			for _, n := range []int{1, 2} {
				all = append(all, Data{Samples: samples(c, N, n), Labels: labels(N), Rows: 1})
			}
		}
	}
	all = append(all, Data{Samples: &mat.Dense{}}, Data{Matrices: []mat.Symmetric{&mat.SymDense{}}}, Data{Samples: mat.NewDense(20, 3, ones[float64](60)), Rows: 3})
	for _, p := range List() {
		for _, method := range p.Methods() {
			for k, d := range all {
				o := &Options{Method: method}
				o.Solver.MaxIterations = 30
				func() {
					defer func() {
						if r := recover(); r != nil {
							t.Errorf("%s by %s panics on data %d: %v", p.Name, method, k, r)
						}
					}()
					r, err := p.Solve(d, o)
					if err != nil {
						return
					}
					if bad := notFinite(r); bad != "" {
						t.Errorf("%s by %s on data %d: %s", p.Name, method, k, bad)
					}
				}()
			}
		}
	}
}

func notFinite(r *Result) string {
	for _, v := range r.Solution.RawSymmetric().Data {
		if v-v != 0 {
			return fmt.Sprintf("the solution holds %v", v)
		}
	}
	for _, p := range r.Parts {
		for _, m := range p.Matrices {
			for _, v := range m.RawMatrix().Data {
				if v-v != 0 {
					return fmt.Sprintf("%s holds %v", p.Name, v)
				}
			}
		}
	}
	if r.GradientNorm-r.GradientNorm != 0 {
		return fmt.Sprintf("the gradient norm is %v", r.GradientNorm)
	}
	return ""
}

// TestFewSamples: with fewer samples than dimensions, and with columns that depend on one another, every problem that takes samples says what is
// missing and what to use, or does not need more.
func TestFewSamples(t *testing.T) {
	few := dataOf(gallery.NewStream(5).Normals(4, 7))
	dependent := dataOf(gallery.NewStream(6).Normals(60, 4))
	for i := range 60 {
		dependent.Set(i, 3, dependent.At(i, 2))
	}
	enough := map[string]bool{"glasso": true, "shrinkage": true}
	covariances := map[string]bool{"logdet": true, "tyler": true, "student": true, "huber": true, "gmm": true}
	for _, p := range List() {
		if p.Takes&Samples == 0 {
			continue
		}
		for what, x := range map[string]*mat.Dense{"few": few, "dependent": dependent} {
			N, _ := x.Dims()
			d := Data{Samples: x, Rows: 1, Labels: make([]int, N)}
			for i := range N / 2 {
				d.Labels[i] = 1
			}
			r, err := p.Solve(d, nil)
			if enough[p.Name] {
				if err != nil || !r.Converged {
					t.Errorf("%s with %s: %+v %v", p.Name, what, r, err)
				}
				continue
			}
			var de *DataError
			if !errors.As(err, &de) || de.Remedy == "" {
				t.Errorf("%s with %s: %v", p.Name, what, err)
				continue
			}
			if covariances[p.Name] && !strings.Contains(de.Remedy, "solve shrinkage") {
				t.Errorf("%s with %s does not name the estimator to use: %v", p.Name, what, err)
			}
		}
		if p.Name == "metric-learning" {
			r, err := p.Solve(Data{Samples: few, Labels: []int{0, 0, 1, 1}}, &Options{Method: "itml"})
			if err != nil || !r.Converged {
				t.Errorf("itml with few samples: %+v %v", r, err)
			}
		}
	}
}
