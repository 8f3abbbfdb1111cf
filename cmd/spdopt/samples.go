package main

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/manifold/problem"
)

// takesSamples tells whether the arrays that were read are samples: where a problem takes either, --as says it, or their shape.
func (f *solveFlags) takesSamples(p problem.Problem, all []matio.Matrix) bool {
	switch {
	case p.Takes&problem.Samples == 0:
		return false
	case p.Takes&problem.Matrices == 0:
		return true
	}
	return f.as == "samples" || f.as == "auto" && all[0].Rows != all[0].Cols
}

// samples puts the arrays one below the other into data, or for kron-mle each of a stack into one row, and returns the size of the solution.
func (f *solveFlags) samples(p problem.Problem, all []matio.Matrix, many bool, data *problem.Data) (n int, err error) {
	if f.jitter != 0 || f.nearestSPD {
		return 0, usagef("--jitter and --nearest-spd apply to matrices, but %s holds samples (use --as matrix)", all[0].File)
	}
	if slices.Contains(p.Uses, "rows") {
		data.Rows = f.rows
		if many && f.rows == 0 {
			data.Rows = all[0].Rows
			asVectors(all)
		}
	}
	m, err := matio.Join(all)
	if err != nil {
		return 0, err
	}
	if f.center {
		matio.Center(&m)
	}
	data.Samples = mat.NewDense(m.Rows, m.Cols, m.Data)
	if data.Rows > 0 {
		return data.Rows, nil
	}
	return m.Cols, nil
}

// noteSymmetric says how many samples were made of matrices that are symmetric, which those who give them may have meant as covariances.
func (f *solveFlags) noteSymmetric(a *app, d problem.Data) {
	if d.Samples == nil || d.Rows > 0 || f.as == "samples" {
		return
	}
	if count := symmetricBlocks(d.Samples); count > 0 {
		rows, n := d.Samples.Dims()
		what := "a symmetric matrix"
		if count > 1 {
			what = fmt.Sprintf("%d symmetric matrices", count)
		}
		a.note("the rows of %s of %d x %d are taken as %d samples", what, n, n, rows)
	}
}

// symmetricBlocks returns the number of square matrices below each other that make up x if all are symmetric with a positive diagonal, as covariances are,
// otherwise 0. A column of numbers is none.
func symmetricBlocks(x *mat.Dense) int {
	rows, n := x.Dims()
	if n < 2 || rows%n != 0 {
		return 0
	}
	for i := range rows {
		first := i - i%n
		if !(x.At(i, i%n) > 0) {
			return 0
		}
		for j := range i % n {
			u, v := x.At(i, j), x.At(first+j, i%n)
			if math.Abs(u-v) > matio.SymmetryTolerance*max(math.Abs(u), math.Abs(v)) {
				return 0
			}
		}
	}
	return rows / n
}
