package problem

import "github.com/spdopt/spdopt/internal/dense"

// whitening is the Cholesky factor L of the arithmetic mean of ill-conditioned data, and its inverse. Data about one centre are well-conditioned as they are seen from there, L^-1 A_k L^-T, so that
// single precision bears them.
type whitening struct{ lower, inverse dense.Matrix[float64] }

// mostCondition bounds the condition of data that are whitened without a look at their Cholesky factors first.
const mostCondition = 1e14

// whiten takes the data, as they are seen from their mean, for the search in single precision, and finds the mean of their inverses. False means that they are not fit for it from there, and
// are as they were unless mean is nil.
func (k *karcherObjective) whiten(keep bool) bool {
	if k.team == nil {
		return false
	}
	w := newWhitening(k.upper, k.weights)
	if w == nil || !w.suits(k.upper[0]) {
		return false
	}
	k.mean, k.arithmetic = nil, nil
	logs, mean := newReducedLogs(k.upper, k.team, nil), dense.New[float32](k.n, k.n)
	logs.seen = k.inverses32()
	logs.look(w.inverse)
	fit, ok := k.inverses32().harmonic(mean, k.weights, keep)
	own := w.spread()
	if !ok || !k.bears(fit) || !(own*float64(k.n*k.n)*fit.condition <= mostCondition) {
		return false
	}
	k.whitening, k.mean, k.spread = w, &mean, own
	return true
}

// newWhitening returns nil for data without a positive definite mean.
func newWhitening(data []dense.Matrix[float64], weights []float64) *whitening {
	n := data[0].Rows
	w := &whitening{lower: dense.New[float64](n, n)}
	for k, a := range data {
		for i := range n {
			dense.Axpy(weights[k], a.Row(i)[i:], w.lower.Row(i)[i:])
		}
	}
	if dense.CholeskyUpper(w.lower) >= 0 {
		return nil
	}
	w.inverse = w.lower.Clone()
	dense.InvertLower(w.inverse)
	return w
}

// suits tells whether single precision bears a matrix as it is seen from the mean.
func (w *whitening) suits(a dense.Matrix[float64]) bool {
	n := a.Rows
	seen, work := dense.New[float64](n, n), make([]float64, dense.InverseWork(n))
	full := a.Clone()
	dense.Mirror(full)
	dense.Congruence(w.inverse, full, seen, work)
	trace := seen.Trace() / float64(n)
	return dense.InvertUpper(seen, work) && trace*seen.Trace()/float64(n) <= worstSpread
}

// spread returns tr C/n tr C^-1/n of the mean C.
func (w *whitening) spread() float64 {
	n := float64(w.lower.Rows)
	return dense.Dot(w.lower.Data, w.lower.Data) / n * dense.Dot(w.inverse.Data, w.inverse.Data) / n
}

// back takes the symmetric x, as seen from the mean, to L x L'.
func (w *whitening) back(x dense.Matrix[float64]) { seenBy(w.lower, x) }

// look takes x to L^-1 x L^-T.
func (w *whitening) look(x dense.Matrix[float64]) { seenBy(w.inverse, x) }

// seenBy overwrites the symmetric x with L x L' for a lower triangular L.
func seenBy(lower, x dense.Matrix[float64]) {
	n := x.Rows
	c := dense.New[float64](n, n)
	dense.Congruence(lower, x, c, make([]float64, n*n))
	dense.Mirror(c)
	x.Copy(c)
}
