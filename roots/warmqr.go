package roots

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

var warmQRMethod = Method{
	Name:   "warm-qr",
	Title:  "orthogonal iteration from Options.Start, a slow smoother: linear convergence by the ratios of neighbouring eigenvalues",
	Source: "Golub and Van Loan, Matrix Computations, 8.2.4; used by eigenvalue-corrected Shampoo; CholeskyQR2, Yamamoto and others (2015)",
	Can: func(q Query) bool {
		return q.Start && q.Kind != KindPolar && q.needsPositive() && !q.Cutoff
	},
	Work: func(q Query) float64 {
		// Some 40 steps of 1.5 + 1 + 2 products bring a basis with a few percent of off-diagonal part to rounding where the spectrum is spread.
		return 40 * 4.5
	},
	exact: true,
	Bound: eigenBound,
	rate:  rate{80, 40, 14, 5, 2.5, 2.0, 1.7, 1.5, 1.4, 1.3},
	run64: runWarmQR[float64],
	run32: runWarmQR[float32],
}

// runWarmQR iterates B <- qr(A B) with the columns of B in descending order of their Rayleigh quotients. A B = B M, and M is near diagonal,
// so that M D^-1 is near I and its QR factors come from Cholesky factorizations of its Gram matrix, twice for orthogonality.
func runWarmQR[T dense.Float](j *job[T]) error {
	n := j.N
	if j.start.Data == nil {
		return &MethodError{"warm-qr", "needs Options.Start"}
	}
	t, err := newTracker[float64](n, nil)
	if err != nil {
		return err
	}
	t.b.Copy(j.start)
	if t.defect() > 1e-8 {
		return &MethodError{"warm-qr", "Options.Start is not orthogonal"}
	}
	t.orthogonalise()
	a := dense.New[float64](n, n)
	convert(a, j.a)
	floor := 4 * math.Sqrt(float64(n)) * 0x1p-53
	if j.Tol > 0 {
		floor = max(floor, j.Tol/(4*j.sensitivity()*math.Sqrt(float64(n))))
	}
	limit := j.iterationLimit(300)
	best, stalled := math.Inf(1), 0
	for it := 0; ; it++ {
		t.project(a)
		j.rep.Work += 1.5
		t.certify(nil)
		if t.theta <= 0 && it == 0 && t.tau > jump {
			return &MethodError{"warm-qr", "Options.Start is too far from the eigenbasis; use method eigen"}
		}
		if t.tau < 0.99*best {
			best, stalled = t.tau, 0
		} else {
			stalled++
		}
		j.rep.Iterations = it
		if t.tau <= floor || it == limit || stalled >= 5 {
			break
		}
		if !j.qrStep(t) {
			return &MethodError{"warm-qr", "Options.Start is too far from the eigenbasis; use method eigen"}
		}
	}
	j.rep.Reason = "converged"
	if t.tau > floor {
		j.rep.Reason = "stagnated"
	}
	w, order := sortedSpectrum(t.d)
	if w[0] <= 0 {
		return j.refuse()
	}
	q := dense.New[float64](n, n)
	permuteColumns(q, t.b, order)
	j.trunc += t.tau * j.sensitivityAt(w)
	return j.fromSpectrum(q, w)
}

// qrStep replaces the basis by the orthogonal factor of A B, columns in descending order, and reports whether the factorization worked.
func (j *job[T]) qrStep(t *tracker[float64]) bool {
	_, order := sortedSpectrum(t.d)
	slices.Reverse(order)
	permuteColumns(t.w1, t.b, order)
	t.b, t.w1 = t.w1, t.b
	// w2 = (P^T M P) D^-1, the coordinates of A B D^-1 in the basis B.
	for i, r := range order {
		src, dst := t.m.Row(r), t.w2.Row(i)
		for c, k := range order {
			dst[c] = src[k] / t.d[k]
		}
	}
	for range 2 {
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, t.w2, t.w2, 0, t.w1)
		dense.Mirror(t.w1)
		if dense.Cholesky(t.w1) >= 0 {
			return false
		}
		// W R^-1 with R = L^T.
		dense.SolveLowerRight(dense.Transposed, t.w1, t.w2)
		j.rep.Work += 0.5 + 1./6 + 0.5
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.b, t.w2, 0, t.w1)
	t.b, t.w1 = t.w1, t.b
	j.rep.Work++
	return true
}

// permuteColumns sets column c of dst to column order[c] of src.
func permuteColumns(dst, src dense.Matrix[float64], order []int) {
	for i := range dst.Rows {
		d, s := dst.Row(i), src.Row(i)
		for c, k := range order {
			d[c] = s[k]
		}
	}
}
