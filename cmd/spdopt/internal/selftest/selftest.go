// Package selftest checks on the user's machine, in a few seconds, that the parts of spdopt give right results there. Every check compares a
// number that measures an error with the limit that it must stay under.
package selftest

import (
	"bytes"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/roots"
)

// Check is the outcome of one check.
type Check struct {
	Name  string
	Value float64 // the measured error
	Limit float64
	Err   error // why there is no value
}

// Passed reports whether the check was made and stayed under its limit.
func (c Check) Passed() bool { return c.Err == nil && c.Value <= c.Limit }

// Measure makes a check of what f measures.
func Measure(name string, limit float64, f func() (float64, error)) Check {
	v, err := f()
	if err == nil && math.IsNaN(v) {
		err = fmt.Errorf("not a number")
	}
	return Check{Name: name, Value: v, Limit: limit, Err: err}
}

// Run makes all checks.
func Run() []Check {
	return []Check{
		Measure("the dense kernels asked for are in use", 0, kernels),
		Measure("product of matrices against a plain loop", 1e-14, product),
		Measure("eigenvalues of the second-difference matrix", 1e-13, laplacian),
		Measure("inverse fourth root: R^4 A = I", 1e-11, root),
		Measure("mean of matrices whose mean is known", 1e-7, mean),
		Measure("distances do not change under congruence", 1e-11, congruence),
		Measure("a stack survives writing and reading", 0, roundTrip),
	}
}

func kernels() (float64, error) {
	_, err := dense.Path()
	return 0, err
}

// product multiplies matrices of awkward sizes and returns the largest error relative to the sum of the magnitudes of the terms.
func product() (float64, error) {
	s := gallery.NewStream(1)
	worst := 0.0
	for _, n := range []int{3, 17, 64, 131} {
		a, b, c := s.Normals(n+2, n), s.Normals(n, n+1), dense.New[float64](n+2, n+1)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, b, 0, c)
		for i := range c.Rows {
			for j := range c.Cols {
				sum, size := 0.0, 0.0
				for k := range n {
					t := a.At(i, k) * b.At(k, j)
					sum, size = sum+t, size+math.Abs(t)
				}
				worst = max(worst, math.Abs(c.At(i, j)-sum)/size)
			}
		}
	}
	return worst, nil
}

func laplacian() (float64, error) {
	a, want := gallery.Laplacian(100)
	got := make([]float64, 100)
	if !eigen.SymValues(a, got) {
		return 0, fmt.Errorf("the eigenvalue iteration did not converge")
	}
	worst := 0.0
	for i := range got {
		worst = max(worst, math.Abs(got[i]-want[i])/want[99])
	}
	return worst, nil
}

func symmetric(m dense.Matrix[float64]) *mat.SymDense { return mat.NewSymDense(m.Rows, m.Data) }

func root() (float64, error) {
	a := symmetric(gallery.SPD(2, 60, 1e3))
	var r mat.SymDense
	if _, err := roots.Pow(&r, a, -0.25, nil); err != nil {
		return 0, err
	}
	return RootResidual(&r, a), nil
}

// RootResidual returns ||R^4 A - I||_F / sqrt(n), which is zero for R = A^(-1/4).
func RootResidual(r, a mat.Symmetric) float64 {
	var p mat.Dense
	p.Mul(r, r)
	p.Mul(&p, &p)
	p.Mul(&p, a)
	n, _ := p.Dims()
	for i := range n {
		p.Set(i, i, p.At(i, i)-1)
	}
	return mat.Norm(&p, 2) / math.Sqrt(float64(n))
}

func mean() (float64, error) {
	d, want := knownMean()
	r, err := problem.Solve("mean", d, nil)
	if err != nil {
		return 0, err
	}
	return manifold.Distance(r.Solution, want)
}

// knownMean returns matrices and their mean.
func knownMean() (d problem.Data, want *mat.SymDense) {
	a, m := gallery.KarcherPair(3, 20, 4, 1e3)
	for _, m := range a {
		d.Matrices = append(d.Matrices, symmetric(m))
	}
	return d, symmetric(m)
}

func congruence() (float64, error) {
	a, b := symmetric(gallery.SPD(4, 30, 1e2)), symmetric(gallery.SPD(5, 30, 1e2))
	return CongruenceError(a, b, gallery.NewStream(6).Normals(30, 30))
}

// CongruenceError returns the relative difference between the affine-invariant distance of a and b and that of W a W^T and W b W^T, where
// W = I + z/(2 sqrt(n)) is well conditioned for a matrix z of standard normal numbers.
func CongruenceError(a, b mat.Symmetric, z dense.Matrix[float64]) (float64, error) {
	n := z.Rows
	w := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			w.Set(i, j, z.At(i, j)/(2*math.Sqrt(float64(n))))
		}
		w.Set(i, i, w.At(i, i)+1)
	}
	before, err := manifold.Distance(a, b)
	if err != nil {
		return 0, err
	}
	after, err := manifold.Distance(congruent(w, a), congruent(w, b))
	return math.Abs(after-before) / before, err
}

// congruent returns w s w^T.
func congruent(w *mat.Dense, s mat.Symmetric) *mat.SymDense {
	var p mat.Dense
	p.Mul(w, s)
	p.Mul(&p, w.T())
	n := s.SymmetricDim()
	out := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			out.SetSym(i, j, (p.At(i, j)+p.At(j, i))/2)
		}
	}
	return out
}

// roundTrip returns the number of elements that differ after a stack was written in npy format and read again.
func roundTrip() (float64, error) {
	var text bytes.Buffer
	w, err := matio.Create(matio.Target{Path: "-", Format: matio.NPY, Stack: true, Stdout: &text})
	if err != nil {
		return 0, err
	}
	stack := gallery.KarcherScatter(7, 5, 3, 10)
	for _, m := range stack {
		if err := w.Add("", m); err != nil {
			return 0, err
		}
	}
	if err := w.Commit(); err != nil {
		return 0, err
	}
	again, _, err := matio.Load(matio.Source{Paths: []string{"-"}, Stdin: &text})
	if err != nil {
		return 0, err
	}
	if len(again) != len(stack) {
		return 0, fmt.Errorf("%d matrices became %d", len(stack), len(again))
	}
	differ := 0.0
	for k, m := range stack {
		for i, v := range m.Data {
			if again[k].Data[i] != v {
				differ++
			}
		}
	}
	return differ, nil
}
