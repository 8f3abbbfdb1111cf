package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/solve"
	"github.com/spdopt/spdopt/roots"
)

var nearestSPD = Problem{
	Name:  "nearest-spd",
	What:  "nearest matrix in the Frobenius norm with eigenvalues of at least a floor (1e-8 times the largest unless given)",
	Input: "one symmetric matrix (n x n), definite or not",
	Takes: Matrices | Indefinite,
	Uses:  []string{"floor"},
	Own: []Method{{
		Name:   "eigen",
		What:   "raises the eigenvalues below the floor: one eigendecomposition",
		direct: nearestSPDEigen,
	}, {
		Name:   "polar",
		What:   "(A - cI + H)/2 + cI with the polar factor H of A - cI for the floor c (Higham, Linear Algebra Appl. 103 (1988)), as a cross-check",
		direct: nearestSPDPolar,
	}, {
		Name:   "trust",
		What:   "trust region on factors, X = floor I + V V', as a cross-check",
		direct: nearestSPDTrust, resumes: true,
	}},
	device: nearestSPDDevice,
}

// nearestFloor returns the matrix and the absolute floor.
func nearestFloor(d *Data, o *Options) (a dense.Matrix[float64], s *split, floor float64, err error) {
	if a, err = oneSymmetric(d, "solve them one at a time"); err != nil {
		return a, nil, 0, err
	}
	s = newSplit(a.Rows)
	if err = s.set(a); err != nil {
		return a, nil, 0, err
	}
	largest := s.values[a.Rows-1]
	if !(largest > 0) {
		return a, nil, 0, noPositiveEigenvalue(largest)
	}
	relative := o.Floor
	if relative == 0 {
		relative = 1e-8
	}
	return a, s, relative * largest, nil
}

func nearestSPDEigen(d *Data, o *Options) (*outcome, error) {
	a, s, floor, err := nearestFloor(d, o)
	if err != nil {
		return nil, err
	}
	defer s.recycle()
	x := a.Clone()
	below := 0
	for below < a.Rows && s.values[below] < floor {
		s.values[below] = floor - s.values[below]
		below++
	}
	s.add(x, 0, below, 1, 1)
	return nearestOutcome(a, x, floor, below, "one eigendecomposition"), nil
}

func nearestSPDPolar(d *Data, o *Options) (*outcome, error) {
	a, s, floor, err := nearestFloor(d, o)
	if err != nil {
		return nil, err
	}
	defer s.recycle()
	below := 0
	for below < a.Rows && s.values[below] < floor {
		below++
	}
	b := mat.DenseCopyOf(symmetric(a))
	for i := range a.Rows {
		b.Set(i, i, b.At(i, i)-floor)
	}
	var u mat.Dense
	var h mat.SymDense
	if _, err := roots.Polar(&u, &h, b, nil); err != nil {
		return nil, &DataError{Err: fmt.Errorf("the matrix less %.3g times the identity is singular to rounding, its polar factor is not found", floor), Remedy: "take the method eigen, or another floor"}
	}
	x := dense.New[float64](a.Rows, a.Rows)
	for i := range a.Rows {
		for j := range a.Rows {
			x.Set(i, j, (b.At(i, j)+h.At(i, j))/2)
		}
		x.Set(i, i, x.At(i, i)+floor)
	}
	return nearestOutcome(a, x, floor, below, "one polar decomposition"), nil
}

// nearestOutcome reports X, of which so many eigenvalues were below the floor.
func nearestOutcome(a, x dense.Matrix[float64], floor float64, below int, how string) *outcome {
	var square, product float64
	for i := range a.Rows {
		for j, v := range x.Row(i) {
			e := v - a.At(i, j)
			square += e * e
			product += e * v
		}
		product -= floor * (x.At(i, i) - a.At(i, i))
	}
	return nearestReport(symmetric(x), square, product, math.Sqrt(dense.Dot(a.Data, a.Data)), fmt.Sprintf("%s, %d eigenvalues raised to %.3g", how, below, floor))
}

// nearestReport reports X with ||X - A||^2, <X - A, X - floor I> and ||A||: the residual of the optimality conditions X - A >= 0, X >= floor, and that product
// 0, is the last one.
func nearestReport(x *mat.SymDense, square, product, norm float64, how string) *outcome {
	residual := math.Abs(product) / max(norm, math.SmallestNonzeroFloat64)
	r := &solve.Result{Converged: true, Objective: square / 2, GradientNorm: residual, Evaluations: 1,
		Reason:      solve.Reason{Name: "closed-form", Detail: how, Converged: true},
		Certificate: solve.Certificate{Kind: "closed-form", Value: residual}}
	return &outcome{run: r, n: x.SymmetricDim(), count: 1, solution: x, parts: []Part{numberPart("distance", math.Sqrt(square))}}
}
