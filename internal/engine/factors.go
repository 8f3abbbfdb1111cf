package engine

import (
	"fmt"
	"math"
	"unsafe"

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
	// Target adds gram_k h and, to the diagonals, ridge_k to diag(d) + m above the diagonal, for the tensors k that learn. s, r and x become sqrt(d), 1/sqrt(d)
	// and the relative increments of the diagonals over d, next the diagonals.
	Target(f FactorBlocks[T], h Batch[T], gram, ridge, learns []float64, s, r, x, next []T)
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
	// Rescale multiplies m above the diagonal by scales_k, or unless drops is nil by 0 where drops_k is not 0, and sets its diagonal to d.
	Rescale(f FactorBlocks[T], scales, drops []float64)
}

// FactorBlocks are the blocks n x n of a diagonal stretch of a block-diagonal factor, for several tensors.
type FactorBlocks[T dense.Float] struct {
	Tensors, Cuts, N int
	D                []T      // eigenvalues: those of block c of tensor k begin at k Step + c N
	Step             int      //
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
	Surprise     float64   // how many times the mean of S the square of a gradient may be
	Due          []float64 // for each tensor not 0 where bases may turn

	Squares []float64 // of the gradients relative to the factors
	Traces  []float64 // of the inverses of the factors, the tensors of one factor after those of the other
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
	MustHave("Rates", n*factors, len(r.Traces))
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
	form := r.Batch * r.Squares[k]
	if mean := form / r.Size; totals[0] == 0 && mean > 0 {
		totals[0] = T(min(max(mean+r.Damping, r.Low), r.High))
	}
	alpha, take := float64(totals[0]), 1.0
	if limit := r.Surprise * alpha * r.Size; alpha != 0 && form > limit && !math.IsInf(form, 1) {
		take, form = math.Sqrt(limit/form), limit
	}
	fails := alpha != 0 && !(form < math.MaxFloat64)
	learns := alpha != 0 && !fails
	if fails {
		take = 0
	}
	rate, gram, ridge := 0.0, 0.0, 0.0
	if learns {
		beta := r.Beta2
		if r.Gamma == 1 {
			beta /= 1 - math.Pow(1-r.Beta2, float64(totals[1])+2)
		}
		trace := r.Damping * r.Others
		for f := range r.Sizes {
			trace *= r.Traces[f*len(r.Squares)+k]
		}
		rate = beta * ((form+trace)/(alpha*r.Size) - r.Gamma)
		gram, ridge = beta/(r.Size*alpha)*r.Batch*take*take, beta/(r.Size*alpha)*trace
		totals[1]++
		if rate <= -1 {
			alpha *= math.Exp(-1)
		} else {
			alpha *= 1 + rate
		}
		totals[0] = T(min(max(alpha, r.Low), r.High))
	}
	for f, n := range r.Sizes {
		r.Gram(f)[k], r.Ridge(f)[k] = gram*float64(n), ridge*float64(n)/r.Traces[f*len(r.Squares)+k]
	}
	lead := 1.0
	if totals[0] != 0 {
		lead = math.Pow(float64(totals[0]), r.Exponent)
	}
	for kind, v := range [RateKinds]float64{take, truth(learns), truth(learns && r.Due[k] != 0), lead, truth(fails)} {
		r.Of(kind)[k] = v
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Target implements Factors.
func (*cpu[T]) Target(f FactorBlocks[T], h Batch[T], gram, ridge, learns []float64, s, r, x, next []T) {
	f.Must("Target", len(s), len(r), len(x), len(next))
	f.M.MustMatch("Target", &h)
	MustHave("Target", f.Tensors, len(gram), len(ridge), len(learns))
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

func coupled[T dense.Float](m dense.Matrix[T], tol float64) bool {
	top := 0.0
	for i := range m.Rows {
		top = max(top, math.Abs(float64(m.At(i, i))))
	}
	noise := 4 * 0x1p-52 * top
	if unsafe.Sizeof(T(0)) == 4 {
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
		if drops != nil && drops[k%f.Tensors] != 0 {
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
