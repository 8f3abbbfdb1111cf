package problem

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/solve"
)

// trial is a problem with direct methods on data, and how well its methods agree.
type trial struct {
	data    Data
	options Options
	agree   float64  // relative to the largest entry
	parts   []string // that must agree as well
}

// trials gives every problem with direct methods something to solve.
func trials(n int) map[string]trial {
	return map[string]trial{
		"nearest-correlation": {data: Data{Matrices: []mat.Symmetric{indefinite(n)}}, agree: 1e-6},
		"nearest-spd":         {data: Data{Matrices: []mat.Symmetric{indefinite(n)}}, agree: 1e-7},
		"glasso":              {data: Data{Samples: heavyTailed(n, 10)}, agree: 1e-6},
		"gmm":                 {data: Data{Samples: twoClouds(n)}, agree: 1e-12, parts: []string{"weights", "means", "covariances"}},
		"classify":            {data: Data{Matrices: scattered(n, 6, 10), Labels: []int{0, 0, 0, 1, 1, 1}}, agree: 1e-8, parts: []string{"labels", "means"}},
		"procrustes":          {data: turned(n, 3, 0.1), agree: 1e-6},
		"mve":                 {data: Data{Samples: heavyTailed(n, 10)}, agree: 1e-7},
		"dopt":                {data: Data{Samples: heavyTailed(n, 10)}, agree: 1e-7},
		"metric-learning":     {data: labelled(n), options: Options{Parameters: Parameters{Pairs: 40, Gamma: 0.5}}, agree: 1e-6},
		"shrinkage":           {data: Data{Samples: heavyTailed(n, 10)}, agree: math.Inf(1)},
		"tangent":             {data: Data{Matrices: scattered(n, 6, 10)}, agree: 1e-8, parts: []string{"vectors"}},
		"cluster":             {data: Data{Matrices: scattered(n, 6, 10)}},
		"outliers":            {data: Data{Matrices: scattered(n, 6, 10)}},
		"recenter":            {data: Data{Matrices: scattered(n, 6, 10), Labels: []int{0, 0, 0, 1, 1, 1}}, agree: 1e-7, parts: []string{"means", "dispersions"}},
		"csp":                 {data: Data{Matrices: scattered(n, 6, 10), Labels: []int{0, 0, 0, 1, 1, 1}}},
	}
}

// catalogueCases gives every problem of the catalogue that has a Riemannian solver data for the shared contract tests.
func catalogueCases(n int, kappa float64) map[string][]Data {
	return map[string][]Data{
		"student":         {{Samples: heavyTailed(n, kappa)}},
		"huber":           {{Samples: heavyTailed(n, kappa)}},
		"barycenter":      {{Matrices: scattered(n, 5, kappa)}, {Matrices: scattered(n, 3, kappa), Weights: []float64{1, 0.5, 3}}},
		"nearness":        {{Matrices: spdPair(n, 4)[:1]}, {Matrices: spdPair(n, 3)}},
		"lyapunov":        {{Matrices: spdPair(n, 3)}},
		"riccati":         {{Matrices: spdPair(n, kappa)}},
		"ellipsoid":       {{Samples: sphere(n, 30*n)}},
		"metric-learning": {labelled(n)},
		"kron-mle":        {{Samples: dataOf(gallery.NewStream(63).Normals(5*n, 3*n)), Rows: n}},
		"masked-mean":     {masked(n, 5, kappa), {Matrices: scattered(n, 3, kappa), Weights: []float64{1, 0.5, 3}}},
		"median":          {{Matrices: scattered(n, 5, kappa)}, {Matrices: scattered(n, 4, kappa), Weights: []float64{1, 1.2, 1.3, 1.1}}},
	}
}

// masked returns matrices that each lack one or two variables, with weights.
func masked(n, count int, kappa float64) Data {
	d := Data{Matrices: scattered(n, count, kappa)}
	for k := range d.Matrices {
		a := mat.NewSymDense(n, nil)
		a.CopySym(d.Matrices[k])
		for hidden := range 1 + k%2 {
			for j := range n {
				a.SetSym((k+2*hidden)%n, j, math.NaN())
			}
		}
		d.Matrices[k], d.Weights = a, append(d.Weights, 1+0.3*float64(k))
	}
	return d
}

// spdPair returns two SPD matrices of the given condition.
func spdPair(n int, kappa float64) []mat.Symmetric {
	return symmetrics([]dense.Matrix[float64]{gallery.SPD(61, n, kappa), gallery.SPD(62, n, kappa)})
}

// twoClouds returns 40 n samples of two Gaussians that overlap a little.
func twoClouds(n int) *mat.Dense {
	x := dataOf(gallery.NewStream(81).Normals(40*n, n))
	for i := range 10 * n {
		x.Set(i, 0, x.At(i, 0)+6)
		x.Set(i, 1, x.At(i, 1)*2)
	}
	return x
}

// labelled returns samples of three classes.
func labelled(n int) Data {
	x, labels := dataOf(gallery.NewStream(82).Normals(9*n, n)), make([]int, 9*n)
	for i := range labels {
		labels[i] = i % 3
		x.Set(i, 0, x.At(i, 0)+float64(3*labels[i]))
	}
	return Data{Samples: x, Labels: labels}
}

// sphere returns noisy points around the unit sphere.
func sphere(n, count int) *mat.Dense {
	s := gallery.NewStream(83)
	x := dataOf(s.Normals(count, n))
	for i := range count {
		row := x.RawRowView(i)
		dense.Scale((1+1e-3*s.Normal())/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	return x
}

// turned returns m matrices and their images under a rotation, each image changed a little.
func turned(n, m int, noise float64) Data {
	a := gallery.KarcherScatter(90, n, m, 10)
	q := gallery.Orthogonal(95, n)
	d := Data{Matrices: symmetrics(a)}
	for k := range a {
		work, b := dense.New[float64](n, n), dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, a[k], 0, work)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, work, q, 0, b)
		for i := range n {
			b.Set(i, i, b.At(i, i)*(1+noise*float64((i+k)%3)))
		}
		d.Matrices = append(d.Matrices, symmetric(b))
	}
	return d
}

// indefinite returns a symmetric matrix with unit diagonal and entries up to 1 that is not positive definite for n > 2.
func indefinite(n int) *mat.SymDense {
	s := gallery.NewStream(77)
	a := mat.NewSymDense(n, nil)
	for i := range n {
		a.SetSym(i, i, 1)
		for j := i + 1; j < n; j++ {
			a.SetSym(i, j, 2*s.Uniform()-1)
		}
	}
	return a
}

// distanceRelative returns the largest difference of two matrices over the largest entry of the second.
func distanceRelative(a, b mat.Matrix) float64 {
	var d mat.Dense
	d.Sub(a, b)
	return mat.Max(absolute(&d)) / mat.Max(absolute(b))
}

func absolute(a mat.Matrix) *mat.Dense {
	var d mat.Dense
	d.Apply(func(_, _ int, v float64) float64 { return math.Abs(v) }, a)
	return &d
}

func dataOf(x dense.Matrix[float64]) *mat.Dense { return mat.NewDense(x.Rows, x.Cols, x.Data) }

func iterative(method string) bool {
	return !slices.Contains([]string{"closed-form", "eigen", "polar", "oas", "ledoit-wolf", "rblw", "schaefer-strimmer", "gmml", "mdm", "tangent", "vectors",
		"principal", "potato", "center", "center-scale", "diagonalize"}, method)
}

// TestDirectMethods: each converges with its books in order, the methods of a problem agree, an iteration limit is honoured, and the result does
// not depend on the number of threads.
func TestDirectMethods(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	all := trials(8)
	for _, p := range List() {
		c, ok := all[p.Name]
		if p.prepare == nil && !ok {
			t.Errorf("no trial for %s", p.Name)
		}
		if !ok {
			continue
		}
		var first *Result
		for _, m := range p.Own {
			if m.direct == nil {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", p.Name, m.Name), func(t *testing.T) {
				o := c.options
				o.Method = m.Name
				o.Solver.Tolerance, o.Solver.MaxIterations = 1e-9, 100000
				r, err := p.Solve(c.data, &o)
				if err != nil {
					t.Fatal(err)
				}
				if !r.Converged || r.Reason == "" || r.Advice != "" || r.Problem != p.Name || r.Method != m.Name || r.N < 1 || r.Count < 1 ||
					r.Evaluations < 1 || r.Seconds <= 0 || r.Certificate.Kind == "" || r.Certificate.Value-r.Certificate.Value != 0 {
					t.Errorf("bookkeeping: %+v", r)
				}
				if first == nil {
					first = r
				}
				if d := distanceRelative(r.Solution, first.Solution); !(d <= c.agree) {
					t.Errorf("%g away from the solution by %s", d, first.Method)
				}
				for _, part := range c.parts {
					if d := distanceRelative(r.Part(part), first.Part(part)); !(d <= 1e-6) {
						t.Errorf("%s %g away from those by %s", part, d, first.Method)
					}
				}
				for _, threads := range []int{1, 4} {
					runtime.GOMAXPROCS(threads)
					again, err := p.Solve(c.data, &o)
					if err != nil || !slices.Equal(again.Solution.RawSymmetric().Data, r.Solution.RawSymmetric().Data) {
						t.Errorf("another result with %d threads (%v)", threads, err)
					}
				}
				if !iterative(m.Name) || p.Name == "classify" { // the latter counts the iterations of several means
					return
				}
				o.Solver = solve.Options{MaxIterations: 1, Tolerance: 1e-13}
				if r, err = p.Solve(c.data, &o); err != nil || r.Converged || r.Iterations > 1 || r.Advice == "" {
					t.Errorf("limit of one iteration: %+v %v", r, err)
				}
				calls := 0
				o.Solver = solve.Options{Tolerance: 1e-13, Callback: func(s *solve.Status) bool { calls++; return true }}
				if r, err = p.Solve(c.data, &o); err != nil || r.Converged || calls != 1 || r.Reason == "" {
					t.Errorf("a callback that stops, called %d times: %+v %v", calls, r, err)
				}
				o.Solver = solve.Options{Tolerance: 1e-13, MaxTime: 1}
				if r, err = p.Solve(c.data, &o); err != nil || r.Converged || r.Advice == "" {
					t.Errorf("limit of a nanosecond: %+v %v", r, err)
				}
			})
		}
	}
}
