// Package demo is the worked example that ships with the program: the covariance matrices of ten handwritten digits, their Karcher mean, its
// inverse fourth root, and the distances between the digits, each held against an identity that it must satisfy.
package demo

import (
	"bytes"
	"math"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/roots"
	"github.com/spdopt/spdopt/testdata"
)

// Result is what the demo computed.
type Result struct {
	Seed      uint64
	Mean      *problem.Result
	Root      *mat.SymDense // Mean.Solution^(-1/4)
	RootWork  roots.Report
	Distances [][]float64 // affine-invariant, between the digits
	ToMean    []float64   // from each digit to the mean
	Checks    []selftest.Check
	Elapsed   time.Duration
}

// Passed reports whether every check passed.
func (r *Result) Passed() bool {
	for _, c := range r.Checks {
		if !c.Passed() {
			return false
		}
	}
	return true
}

// Extremes returns the nearest and the farthest pair of digits.
func (r *Result) Extremes() (near, far [2]int) {
	near, far = [2]int{0, 1}, [2]int{0, 1}
	for i := range r.Distances {
		for j := range i {
			if r.Distances[i][j] < r.Distances[near[0]][near[1]] {
				near = [2]int{j, i}
			}
			if r.Distances[i][j] > r.Distances[far[0]][far[1]] {
				far = [2]int{j, i}
			}
		}
	}
	return near, far
}

// Run computes the demo; seed draws the random congruence of one check. step is told what is done next.
func Run(seed uint64, step func(what string) error) (*Result, error) {
	began := time.Now()
	digits, err := load()
	if err != nil {
		return nil, err
	}
	r := &Result{Seed: seed}
	for _, s := range []struct {
		what string
		do   func([]mat.Symmetric) error
	}{
		{"mean of the digits", r.solveMean},
		{"inverse fourth root of the mean", r.takeRoot},
		{"distances between the digits", r.measure},
		{"checks", r.check},
	} {
		if err := step(s.what); err != nil {
			return nil, err
		}
		if err := s.do(digits); err != nil {
			return nil, err
		}
	}
	r.Elapsed = time.Since(began)
	return r, nil
}

func load() ([]mat.Symmetric, error) {
	src := matio.Source{Paths: []string{"-"}, Format: matio.NPY, Stdin: bytes.NewReader(testdata.DigitCovariances)}
	all, _, err := matio.ReadAll(src, matio.Check{Kind: matio.SPD})
	if err != nil {
		return nil, err
	}
	out := make([]mat.Symmetric, len(all))
	for k, m := range all {
		out[k] = mat.NewSymDense(m.Rows, m.Data)
	}
	return out, nil
}

func (r *Result) solveMean(digits []mat.Symmetric) (err error) {
	r.Mean, err = problem.Solve("mean", problem.Data{Matrices: digits}, nil)
	return err
}

func (r *Result) takeRoot([]mat.Symmetric) (err error) {
	r.Root = new(mat.SymDense)
	r.RootWork, err = roots.Pow(r.Root, r.Mean.Solution, -0.25, nil)
	return err
}

func (r *Result) measure(digits []mat.Symmetric) error {
	r.Distances = make([][]float64, len(digits))
	r.ToMean = make([]float64, len(digits))
	for i, a := range digits {
		r.Distances[i] = make([]float64, len(digits))
		for j, b := range digits[:i] {
			d, err := manifold.Distance(a, b)
			if err != nil {
				return err
			}
			r.Distances[i][j], r.Distances[j][i] = d, d
		}
		d, err := manifold.Distance(r.Mean.Solution, a)
		if err != nil {
			return err
		}
		r.ToMean[i] = d
	}
	return nil
}

func (r *Result) check(digits []mat.Symmetric) error {
	r.Checks = []selftest.Check{
		selftest.Measure("the mean converged (relative gradient)", 1e-8, func() (float64, error) { return r.Mean.RelativeGradient, nil }),
		selftest.Measure("the logarithms of the digits at the mean cancel", 1e-7, func() (float64, error) { return r.imbalance(digits) }),
		selftest.Measure("the mean of the inverses is the inverse of the mean", 1e-6, func() (float64, error) { return r.duality(digits) }),
		selftest.Measure("the mean is nearer to all digits than any digit is", 0, func() (float64, error) { return r.centrality(), nil }),
		selftest.Measure("R^4 M = I for the inverse fourth root R", 1e-10, func() (float64, error) { return selftest.RootResidual(r.Root, r.Mean.Solution), nil }),
		selftest.Measure("distances do not change under congruence", 1e-9, func() (float64, error) { return r.congruence(digits) }),
		selftest.Measure("distances satisfy the triangle inequality", 0, func() (float64, error) { return r.triangles(), nil }),
	}
	return nil
}

// imbalance returns the affine-invariant norm of the mean of Log_M(A_k), relative to the typical distance: the optimality condition of the
// mean, from another route than the solver's.
func (r *Result) imbalance(digits []mat.Symmetric) (float64, error) {
	m := r.Mean.Solution
	sum := mat.NewSymDense(m.SymmetricDim(), nil)
	square := 0.0
	for k, a := range digits {
		xi, err := manifold.Log(m, a)
		if err != nil {
			return 0, err
		}
		sum.AddSym(sum, xi)
		square += r.ToMean[k] * r.ToMean[k]
	}
	var c mat.Cholesky
	c.Factorize(m)
	var x mat.Dense
	if err := c.SolveTo(&x, sum); err != nil {
		return 0, err
	}
	x.Mul(&x, &x) // tr((M^-1 xi)^2) is the squared norm of xi at M
	return math.Sqrt(math.Max(mat.Trace(&x), 0)) / float64(len(digits)) / math.Sqrt(square/float64(len(digits))), nil
}

// duality returns the distance between the mean of the inverses, solved afresh, and the inverse of the mean.
func (r *Result) duality(digits []mat.Symmetric) (float64, error) {
	inverses := make([]mat.Symmetric, len(digits))
	for k, a := range digits {
		var inv mat.SymDense
		if _, err := roots.Inv(&inv, a, nil); err != nil {
			return 0, err
		}
		inverses[k] = &inv
	}
	dual, err := problem.Solve("mean", problem.Data{Matrices: inverses}, nil)
	if err != nil {
		return 0, err
	}
	var back mat.SymDense
	if _, err := roots.Inv(&back, dual.Solution, nil); err != nil {
		return 0, err
	}
	return manifold.Distance(&back, r.Mean.Solution)
}

// centrality returns by how much the sum of squared distances from the mean exceeds the smallest such sum from any digit; negative is right.
func (r *Result) centrality() float64 {
	best, mine := math.Inf(1), 0.0
	for i, row := range r.Distances {
		sum := 0.0
		for _, d := range row {
			sum += d * d
		}
		best = min(best, sum)
		mine += r.ToMean[i] * r.ToMean[i]
	}
	return mine - best
}

func (r *Result) congruence(digits []mat.Symmetric) (float64, error) {
	z := gallery.NewStream(r.Seed)
	n := digits[0].SymmetricDim()
	worst := 0.0
	for k := 0; k+1 < len(digits); k += 3 {
		e, err := selftest.CongruenceError(digits[k], digits[k+1], z.Normals(n, n))
		if err != nil {
			return 0, err
		}
		worst = max(worst, e)
	}
	return worst, nil
}

// triangles returns the largest d(i,j) - d(i,k) - d(k,j); negative is right.
func (r *Result) triangles() float64 {
	worst := math.Inf(-1)
	for i := range r.Distances {
		for j := range i {
			for k := range r.Distances {
				if k != i && k != j {
					worst = max(worst, r.Distances[i][j]-r.Distances[i][k]-r.Distances[k][j])
				}
			}
			worst = max(worst, r.Distances[i][j]-r.ToMean[i]-r.ToMean[j])
		}
	}
	return worst
}
