package curvature

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// RandomError says that a risk is not a function of the parameters alone, or not a sum over examples.
type RandomError struct{ Why string }

// Error says what to do.
func (e *RandomError) Error() string {
	return "curvature: " + e.Why + "; use the mode of evaluation (dropout off, batch normalisation by its running averages) or RiskOptions.AllowRandom"
}

// splitTolerance bounds the relative change of a loss when its batch is cut in two.
const splitTolerance = 1e-4

// deterministic evaluates the first batch again, with another step (which selects the masks of dropout), and in two halves.
func (r *Risk[T]) deterministic() error {
	for b := range r.Data {
		first, out := r.value(b)
		factor := r.Net.Loss.Factor(out, &b.Target)
		if again, _ := r.value(b); again != first {
			return &RandomError{fmt.Sprintf("the loss of the same batch is %g, then %g", first, again)}
		}
		later := *b
		later.Step++
		if other, _ := r.value(&later); other != first {
			return &RandomError{fmt.Sprintf("the loss changes with the step, from %g to %g (dropout is on)", first, other)}
		}
		if err := r.separable(b, first/factor); err != nil {
			return err
		}
		break
	}
	return nil
}

// separable compares the sum of the terms of a batch with those of its halves. Data that cannot be cut, such as a graph, pass.
func (r *Risk[T]) separable(b *net.Batch[T], whole float64) error {
	if b.N < 2 || b.X.Rows%b.N != 0 {
		return nil
	}
	var sum float64
	err := net.Guard(func() {
		for _, cut := range [][2]int{{0, b.N / 2}, {b.N / 2, b.N}} {
			half := r.part(b, cut[0], cut[1])
			out := r.Net.Linearize(&half)
			f := r.Net.Loss.Factor(out, &half.Target)
			if f-f == 0 { // infinite for a half without a row that counts
				sum += r.Net.Loss.Evaluate(net.Dual[T]{V: out}, &half.Target, net.Dual[T]{}) / f
			}
		}
	})
	if err == nil && math.Abs(sum-whole) > splitTolerance*(math.Abs(whole)+1e-12) {
		return &RandomError{fmt.Sprintf("the losses of two halves of a batch add up to %g, not to %g (batch normalisation couples its examples)", sum, whole)}
	}
	return nil
}

// part returns the examples [from, to) of a batch; it shares memory.
func (r *Risk[T]) part(b *net.Batch[T], from, to int) net.Batch[T] {
	rows := b.X.Rows / b.N
	p := *b
	p.N = to - from
	p.X = b.X.View(from*rows, 0, p.N*rows, b.X.Cols)
	p.Target = net.Target[T]{}
	if b.Target.Classes != nil {
		p.Target.Classes = b.Target.Classes[from*r.positions : to*r.positions]
	}
	if v := b.Target.Values; v.Data != nil {
		p.Target.Values = v.View(from*r.positions, 0, p.N*r.positions, v.Cols)
	}
	return p
}

// Checked is what Check found about an operator.
type Checked struct {
	Repeats   bool    // two products with the same vector have the same bits
	Adjoint   float64 // |<u, A v> - <A^T u, v>| over the norms of what is multiplied
	Linearity float64 // ||A (u + v) - A u - A v|| over ||A u|| + ||A v||
}

// Check makes products of an operator with random vectors: are they repeatable, linear, and is the transposed product the transposed one? It costs four
// products and a transposed one. A product that is not finite is a *DataError.
func Check(a Operator, r *rand.Rand) (Checked, error) {
	switch {
	case a == nil:
		return Checked{}, errNoOperator
	case r == nil:
		return Checked{}, errNoRandom
	}
	rows, cols := a.Dims()
	u, v, w := gaussian(r, cols), gaussian(r, cols), gaussian(r, rows)
	au, again, av, sum := make([]float64, rows), make([]float64, rows), make([]float64, rows), make([]float64, rows)
	a.MulTo(au, u)
	a.MulTo(again, u)
	a.MulTo(av, v)
	for i := range u {
		v[i] += u[i]
	}
	a.MulTo(sum, v)
	back := make([]float64, cols)
	a.MulTransTo(back, w)
	for _, p := range [][]float64{au, av, sum, back} {
		if k := notFinite(p); k >= 0 {
			return Checked{}, dataError("product", "element %d is %v", k, p[k])
		}
	}
	c := Checked{Repeats: equalBits(au, again)}
	left, right := dense.Dot(w, au), dense.Dot(back, u)
	if scale := norm(w)*norm(au) + norm(back)*norm(u); scale > 0 {
		c.Adjoint = math.Abs(left-right) / scale
	}
	scale := norm(au) + norm(av)
	for i := range sum {
		sum[i] -= au[i] + av[i]
	}
	if scale > 0 {
		c.Linearity = norm(sum) / scale
	}
	return c, nil
}

func equalBits[T nnopt.Float](a, b []T) bool {
	for i, x := range a {
		if math.Float64bits(float64(x)) != math.Float64bits(float64(b[i])) {
			return false
		}
	}
	return true
}

func norm(x []float64) float64 { return math.Sqrt(dense.Dot(x, x)) }

func gaussian(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}
