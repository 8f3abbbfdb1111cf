package roots

import "math"

// rate turns a method's Work into time: GEMM-equivalents of time per unit of Work at the sizes of rateSizes, interpolated in log n. The
// shipped tables were measured on one thread of an AVX-512 processor for A^(-1/2), and A^-1 for cholesky, at condition 1e6 (BenchmarkMethods); being
// ratios to the product of the same size they carry over to other processors better than times would. They hold the overheads that the
// operation count does not know: at n = 8 everything costs tens of products.
type rate []float64

// rateSizes are the sizes of the shipped cost tables.
var rateSizes = [...]int{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096}

// at returns the rate for size n; a nil table is 1 everywhere.
func (r rate) at(n int) float64 {
	if r == nil {
		return 1
	}
	x := math.Log2(max(float64(n), 1)) - 3
	i := int(math.Floor(x))
	if i < 0 {
		return r[0]
	}
	if i >= len(r)-1 {
		return r[len(r)-1]
	}
	f := x - float64(i)
	return r[i]*(1-f) + r[i+1]*f
}

// Cost predicts the time of m for q in GEMM-equivalents, for a known condition number.
func (m *Method) Cost(q Query) float64 { return m.Work(q) * m.rate.at(q.N) }

// promise is the bound that a run for q will report: methods that do not see the eigenvalues allow for an error of the estimate of Cond.
func (m *Method) promise(q Query) float64 {
	if !m.exact {
		q.Cond *= condMargin
	}
	return m.Bound(q)
}

// condMargin is the factor by which an estimated condition number is raised in promises.
const condMargin = 2

// Choose returns the method that auto takes for q (whose Cond is known): the cheapest whose promise meets q.Tol, the most accurate where none
// does, and where q.Tol is 0 the cheapest of those that promise within a factor 4 of the best.
func Choose(q Query) *Method {
	best := math.Inf(1)
	for _, m := range registry() {
		if m.Can(q) {
			best = min(best, m.promise(q))
		}
	}
	limit := max(q.Tol, best)
	if q.Tol == 0 {
		limit = 4 * best
	}
	var pick *Method
	for _, m := range registry() {
		if m.Can(q) && m.promise(q) <= limit && (pick == nil || m.Cost(q) < pick.Cost(q)) {
			pick = m
		}
	}
	if pick == nil {
		return &eigenMethod
	}
	return pick
}
