package engine

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Factors are what preconditioners with a Kronecker product of factors for each of several tensors compute beside products: sums, the numbers of a step, and
// eigenvalues, so that nothing of it comes back to the processor. Numbers for tensors lie one after the other.
type Factors[T dense.Float] interface {
	// Squares sets sums[k] to the sum of the squares of part k of as many equal parts of x.
	Squares(x []T, sums []float64)
	// InverseSums sets sums[k] to the sum of the inverses of part k of d.
	InverseSums(d []T, sums []float64)
	// Rates finds what a step of learning does.
	Rates(r Rates[T])
	// BlendEach sets part k of y to keep y + (take by_k) x; where by_k is 0, x plays no part.
	BlendEach(keep, take T, by []float64, x, y []T)
	// PowerEach sets part k of y to by_k x^e for positive x; y may be x.
	PowerEach(x []T, e float64, by []float64, y []T)
	// Means raises means[k] to the largest mean of the eigenvalues of a block of tensor k, or with first sets it to that.
	Means(f FactorBlocks[T], first bool, means []float64)
	// Target multiplies diag(d) + m above the diagonal by keep_k and adds gram_k h and, to the diagonals, ridge_k, for the tensors k that learn. s, r and x become
	// sqrt(d), 1/sqrt(d) and the relative increments of the diagonals over d, next the diagonals.
	Target(f FactorBlocks[T], h Batch[T], keep, gram, ridge, learns []float64, s, r, x, next []T)
	// AddUp adds the increments x of the blocks of tensor k to sums[k], or with first sets it to their sum.
	AddUp(f FactorBlocks[T], x []T, first bool, sums []float64)
	// Lessen takes sums_k/n from the increments x of tensor k, and what belongs to that from next and the diagonal of m.
	Lessen(f FactorBlocks[T], sums []float64, n int, x, next []T)
	// Lead divides alpha of the tensors that learn by scales_k, between r.Low and r.High, and finds RateLead anew.
	Lead(r Rates[T], scales []float64)
	// Shorten divides n_k by what its norm exceeds limit by, and clears it where live is 0. The norm is bounds_k, or where that exceeds limit the lesser of
	// bounds_k and estimates_k. Element k modulo len(live) of live belongs to n_k.
	Shorten(n Batch[T], bounds, estimates []float64, limit float64, live []float64)
	// Coupled sets live[k] to 1 where turns, of which element k modulo its length belongs to m_k, is not 0 and some |m_ij| above the diagonal of m_k exceeds
	// tol sqrt(|m_ii m_jj|) and what is rounding of the largest element of the diagonal; else to 0. NaN exceeds everything.
	Coupled(m Batch[T], tol float64, turns, live []float64)
	// Adopt sets d to next, or where that is not positive to d exp(x) for x within -1 and 1, between f.Low and f.High.
	Adopt(f FactorBlocks[T], next, x []T)
	// Centre divides the eigenvalues of the tensors that learn by their geometric mean, d being those of len(learns) factors, and sets scales to what they were
	// multiplied by, 1 for the others.
	Centre(d []T, low, high float64, learns, scales []float64)
	// Rescale multiplies m above the diagonal by scales_k, or unless drops is nil by 0 where element k modulo len(drops) of drops, k counting the matrices, is not 0,
	// and sets its diagonal to d.
	Rescale(f FactorBlocks[T], scales, drops []float64)
}

// FactorBlocks are the blocks n x n of a diagonal stretch of a block-diagonal factor, for several tensors.
type FactorBlocks[T dense.Float] struct {
	Tensors, Cuts, N int
	D                []T      // eigenvalues: those of block c of tensor k begin at k Step + c N
	Step             int      // from the eigenvalues of a tensor to those of the next
	M                Batch[T] // matrix c Tensors + k is block c of tensor k
	Low, High        float64  // bounds of eigenvalues
}

// Must panics with Error unless the sizes of f and of vectors of a number for each row of M fit.
func (f *FactorBlocks[T]) Must(op string, vectors ...int) {
	MustHave(op, f.Tensors*f.Cuts, f.M.Count)
	MustHave(op, f.N, f.M.Rows, f.M.Cols)
	MustHave(op, f.M.Count*f.N, vectors...)
	if need := (f.Tensors-1)*f.Step + f.Cuts*f.N; len(f.D) < need {
		panic(Error(fmt.Sprintf("%s: %d eigenvalues where %d belong", op, len(f.D), need)))
	}
}

// values returns the eigenvalues of matrix k of f.M.
func (f *FactorBlocks[T]) values(k int) []T {
	from := k%f.Tensors*f.Step + k/f.Tensors*f.N
	return f.D[from : from+f.N]
}

// Rates is what tensors of Size elements learn, each S = alpha (C_1 x C_2 x ...), from their gradients in the coordinates of the factors, for the natural gradient of the
// KL divergence (nnopt.Spectral): every factor moves by Gram times the Gram matrix of the gradient relative to the others, and by Ridge times the identity.
type Rates[T dense.Float] struct {
	Sizes        []int   // of the factors
	Size, Others float64 // elements of a tensor, and the product of the sizes of dimensions without factor
	Batch        float64 // factor on the squares of the gradients
	Beta2, Gamma float64
	Damping      float64
	Exponent     float64   // of alpha in a step
	Low, High    float64   // bounds of alpha
	Plain        bool      // S is the product of averages of plain second moments, alpha 1, and Usual stands in the place of Traces
	Exponential  bool      // alpha moves by the exponential of its rate
	Surprise     float64   // how many times the mean of S the square of a gradient may be
	Due          []float64 // for each tensor not 0 where bases may turn

	Squares []float64 // of the gradients relative to the factors
	Traces  []float64 // of the inverses of the factors, the tensors of one factor after those of the other
	Usual   []float64 // for each tensor the largest mean of the eigenvalues of a block, if Plain
	Totals  []T       // for each tensor alpha, which is 0 before the first gradient, and the number of updates
	Found   []float64 // RateNumbers for each tensor, kind after kind, and then Gram and Ridge for each factor
}

// The kinds of numbers that Rates finds for each tensor.
const (
	RateTake   = iota // factor on the gradient for the momentum: below 1 for one that is too large, 0 for one that is beyond all range
	RateLearns        // not 0 where S moves
	RateTurns         // not 0 where it does and is due
	RateLead          // alpha^Exponent
	RateFails         // not 0 where the gradient is beyond all range
	RateStart         // what eigenvalues are multiplied by before: other than 1 at the first gradient if Plain
	RateKeep          // what the factors keep of themselves
	RateKinds
)

// Of returns the numbers of a kind.
func (r *Rates[T]) Of(kind int) []float64 {
	n := len(r.Squares)
	return r.Found[kind*n : (kind+1)*n]
}

// Gram returns the factors on the Gram matrices of a factor, Ridge those on the identity.
func (r *Rates[T]) Gram(factor int) []float64 { return r.Of(RateKinds + factor) }

// Ridge is described with Gram.
func (r *Rates[T]) Ridge(factor int) []float64 { return r.Of(RateKinds + len(r.Sizes) + factor) }

// Must panics with Error unless the sizes fit.
func (r *Rates[T]) Must() {
	n, factors := len(r.Squares), len(r.Sizes)
	MustHave("Rates", n, len(r.Due))
	if r.Plain {
		MustHave("Rates", n, len(r.Usual))
	} else {
		MustHave("Rates", n*factors, len(r.Traces))
	}
	MustHave("Rates", 2*n, len(r.Totals))
	MustHave("Rates", n*(RateKinds+2*factors), len(r.Found))
}

// Squares implements Factors.
func (c *cpu[T]) Squares(x []T, sums []float64) {
	n := MustPart("Squares", len(x), len(sums))
	for k := range sums {
		sums[k], _ = c.SumSquares(x[k*n : (k+1)*n])
	}
}

// InverseSums implements Factors.
func (*cpu[T]) InverseSums(d []T, sums []float64) {
	n := MustPart("InverseSums", len(d), len(sums))
	for k := range sums {
		sums[k] = 0
		for _, v := range d[k*n : (k+1)*n] {
			sums[k] += 1 / float64(v)
		}
	}
}

// BlendEach implements Factors.
func (c *cpu[T]) BlendEach(keep, take T, by []float64, x, y []T) {
	MustHave("BlendEach", len(y), len(x))
	n := MustPart("BlendEach", len(y), len(by))
	for k, v := range by {
		from, end := k*n, (k+1)*n
		c.Blend(keep, y[from:end], take*T(v), x[from:end], y[from:end])
	}
}

// PowerEach implements Factors.
func (*cpu[T]) PowerEach(x []T, e float64, by []float64, y []T) {
	MustHave("PowerEach", len(y), len(x))
	n := MustPart("PowerEach", len(y), len(by))
	dense.Pow(y, x, e)
	for k, v := range by {
		part := y[k*n : (k+1)*n]
		dense.Scale(T(v), part, part)
	}
}

// Rates implements Factors.
func (*cpu[T]) Rates(r Rates[T]) {
	r.Must()
	for k := range r.Squares {
		r.find(k)
	}
}

// find is Rates for a tensor.
func (r *Rates[T]) find(k int) {
	totals := r.Totals[2*k : 2*k+2]
	form, start := r.Batch*r.Squares[k], 1.0
	if mean := form / r.Size; totals[0] == 0 && mean > 0 {
		totals[0] = T(min(max(mean+r.Damping, r.Low), r.High))
		if r.Plain {
			start, totals[0] = float64(totals[0]), 1
		}
	}
	alpha, take := float64(totals[0]), 1.0
	usual := alpha
	if r.Plain {
		usual = start * r.Usual[k]
	}
	if limit := r.Surprise * usual * r.Size; alpha != 0 && form > limit && !math.IsInf(form, 1) {
		take, form = math.Sqrt(limit/form), limit
	}
	fails := alpha != 0 && !(form < math.MaxFloat64)
	learns := alpha != 0 && !fails
	if fails {
		take = 0
	}
	gram, ridge, keep := 0.0, 0.0, 1.0
	if learns {
		beta := r.Beta2
		if r.Gamma == 1 {
			beta /= 1 - math.Pow(1-r.Beta2, float64(totals[1])+2)
		}
		totals[1]++
		gram = beta / (r.Size * alpha) * r.Batch * take * take
		if r.Plain {
			ridge, keep = beta*r.Damping, 1-beta*r.Gamma
		} else {
			trace := r.trace(k)
			ridge = beta / (r.Size * alpha) * trace
			totals[0] = T(min(max(r.moved(alpha, beta*((form+trace)/(alpha*r.Size)-r.Gamma)), r.Low), r.High))
		}
	}
	for f, n := range r.Sizes {
		r.Gram(f)[k], r.Ridge(f)[k] = gram*float64(n), ridge
		if !r.Plain {
			r.Ridge(f)[k] = ridge * float64(n) / r.Traces[f*len(r.Squares)+k]
		}
	}
	for kind, v := range [RateKinds]float64{take, truth(learns), truth(learns && r.Due[k] != 0), r.lead(k), truth(fails), start, keep} {
		r.Of(kind)[k] = v
	}
}

// trace is that of the inverse of S in units of 1/alpha, times the damping.
func (r *Rates[T]) trace(k int) float64 {
	trace := r.Damping * r.Others
	for f := range r.Sizes {
		trace *= r.Traces[f*len(r.Squares)+k]
	}
	return trace
}

// moved is alpha after a step at this rate.
func (r *Rates[T]) moved(alpha, rate float64) float64 {
	if r.Exponential || rate <= -1 {
		return alpha * math.Exp(min(max(rate, -1), 1))
	}
	return alpha * (1 + rate)
}

// lead is alpha^Exponent, 1 before the first gradient.
func (r *Rates[T]) lead(k int) float64 {
	if alpha := float64(r.Totals[2*k]); alpha != 0 {
		return math.Pow(alpha, r.Exponent)
	}
	return 1
}

// Lead implements Factors.
func (*cpu[T]) Lead(r Rates[T], scales []float64) {
	MustHave("Lead", len(r.Squares), len(scales))
	for k, c := range scales {
		if r.Of(RateLearns)[k] != 0 {
			r.Totals[2*k] = T(min(max(float64(r.Totals[2*k])/c, r.Low), r.High))
		}
		r.Of(RateLead)[k] = r.lead(k)
	}
}

// Means implements Factors.
func (*cpu[T]) Means(f FactorBlocks[T], first bool, means []float64) {
	f.Must("Means")
	MustHave("Means", f.Tensors, len(means))
	if first {
		clear(means)
	}
	for k := range f.M.Count {
		mean := 0.0
		for _, v := range f.values(k) {
			mean += float64(v) / float64(f.N)
		}
		means[k%f.Tensors] = max(means[k%f.Tensors], mean)
	}
}

// AddUp implements Factors.
func (*cpu[T]) AddUp(f FactorBlocks[T], x []T, first bool, sums []float64) {
	f.Must("AddUp", len(x))
	MustHave("AddUp", f.Tensors, len(sums))
	if first {
		clear(sums)
	}
	for k := range f.M.Count {
		for _, v := range x[k*f.N : (k+1)*f.N] {
			sums[k%f.Tensors] += float64(v)
		}
	}
}

// Lessen implements Factors.
func (*cpu[T]) Lessen(f FactorBlocks[T], sums []float64, n int, x, next []T) {
	f.Must("Lessen", len(x), len(next))
	MustHave("Lessen", f.Tensors, len(sums))
	for k := range f.M.Count {
		mean, m := T(sums[k%f.Tensors]/float64(n)), f.M.At(k)
		for i, v := range f.values(k) {
			at := k*f.N + i
			x[at] -= mean
			next[at] -= v * mean
			m.Set(i, i, next[at])
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Target implements Factors.
func (*cpu[T]) Target(f FactorBlocks[T], h Batch[T], keep, gram, ridge, learns []float64, s, r, x, next []T) {
	f.Must("Target", len(s), len(r), len(x), len(next))
	f.M.MustMatch("Target", &h)
	MustHave("Target", f.Tensors, len(keep), len(gram), len(ridge), len(learns))
	for k := range f.M.Count {
		d, m, own, tensor := f.values(k), f.M.At(k), h.At(k), k%f.Tensors
		c, live := T(gram[tensor]), learns[tensor] != 0
		for i, v := range d {
			at := k*f.N + i
			s[at], x[at], next[at] = T(math.Sqrt(float64(v))), 0, v
			r[at] = 1 / s[at]
			m.Set(i, i, v)
			if !live {
				continue
			}
			if share := T(keep[tensor]); share != 1 {
				row := m.Row(i)[i:]
				dense.Scale(share, row, row)
			}
			dense.Axpy(c, own.Row(i)[i:], m.Row(i)[i:])
			next[at] = m.At(i, i) + T(ridge[tensor])
			x[at] = (next[at] - v) / v
			m.Set(i, i, next[at])
		}
	}
}

// Shorten implements Factors.
func (*cpu[T]) Shorten(n Batch[T], bounds, estimates []float64, limit float64, live []float64) {
	MustHave("Shorten", n.Count, len(bounds), len(estimates))
	MustPart("Shorten", n.Count, len(live))
	for k := range n.Count {
		norm := bounds[k]
		if norm > limit {
			norm = min(norm, estimates[k])
		}
		c := T(1)
		if norm > limit {
			c = T(limit / norm)
		}
		if live[k%len(live)] == 0 {
			c = 0
		}
		for i := range n.Rows {
			row := n.At(k).Row(i)
			dense.Scale(c, row, row)
		}
	}
}

// Coupled implements Factors.
func (*cpu[T]) Coupled(m Batch[T], tol float64, turns, live []float64) {
	MustHave("Coupled", m.Rows, m.Cols)
	MustHave("Coupled", m.Count, len(live))
	MustPart("Coupled", m.Count, len(turns))
	for k := range live {
		live[k] = truth(turns[k%len(turns)] != 0 && coupled(m.At(k), tol))
	}
}

// coupled says of the symmetric m, whose upper triangle is read, what Coupled finds.
func coupled[T dense.Float](m dense.Matrix[T], tol float64) bool {
	top := 0.0
	for i := range m.Rows {
		top = max(top, math.Abs(float64(m.At(i, i))))
	}
	noise := 4 * 0x1p-52 * top
	if isSingle[T]() {
		noise = 4 * 0x1p-23 * top
	}
	for i := range m.Rows {
		for j := i + 1; j < m.Rows; j++ {
			v := math.Abs(float64(m.At(i, j)))
			if !(v <= noise) && !(v <= tol*math.Sqrt(math.Abs(float64(m.At(i, i))*float64(m.At(j, j))))) {
				return true
			}
		}
	}
	return false
}

// Adopt implements Factors.
func (*cpu[T]) Adopt(f FactorBlocks[T], next, x []T) {
	f.Must("Adopt", len(next), len(x))
	for k := range f.M.Count {
		d := f.values(k)
		for i, v := range next[k*f.N : (k+1)*f.N] {
			if !(v > 0) {
				v = T(float64(d[i]) * math.Exp(min(max(float64(x[k*f.N+i]), -1), 1)))
			}
			d[i] = T(min(max(float64(v), f.Low), f.High))
		}
	}
}

// Centre implements Factors.
func (*cpu[T]) Centre(d []T, low, high float64, learns, scales []float64) {
	n := MustPart("Centre", len(d), len(learns))
	MustHave("Centre", len(learns), len(scales))
	for k, live := range learns {
		scales[k] = 1
		if live == 0 {
			continue
		}
		part, mean := d[k*n:(k+1)*n], 0.0
		for _, v := range part {
			mean += math.Log(float64(v))
		}
		scales[k] = math.Exp(-mean / float64(n))
		for i, v := range part {
			part[i] = T(min(max(scales[k]*float64(v), low), high))
		}
	}
}

// Rescale implements Factors.
func (*cpu[T]) Rescale(f FactorBlocks[T], scales, drops []float64) {
	f.Must("Rescale")
	MustHave("Rescale", f.Tensors, len(scales))
	for k := range f.M.Count {
		c := T(scales[k%f.Tensors])
		if drops != nil && drops[k%len(drops)] != 0 {
			c = 0
		}
		m := f.M.At(k)
		for i, v := range f.values(k) {
			row := m.Row(i)[i:]
			dense.Scale(c, row, row)
			row[0] = v
		}
	}
}
