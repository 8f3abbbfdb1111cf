package curvature

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// KFOCOptions say when the iteration for the best Kronecker product ends.
type KFOCOptions struct {
	Tol           float64 // largest relative change of A between iterations; default 1e-10 (1e-5 for float32 networks)
	MaxIterations int     // passes over the data per factor; default 500
}

// CollectKFOC returns for every block the Kronecker product B (x) A that is closest to it in the Frobenius norm (Van Loan and Pitsianis 1993): the top
// singular pair of the rearranged block, by the iteration B <- R sum P A P^T, A <- R sum P^T B P with the per-example gradient matrices P of the
// flavour. Every half iteration is a pass over the data. Sharing and Convention of the settings do not matter. The factors have equal norms. A
// *ConvergenceError says that MaxIterations was not enough; the result is returned all the same.
func CollectKFOC[T nnopt.Float](r *Risk[T], s Settings, o KFOCOptions) (*KFAC, error) {
	if s.flavour() == ForwardOnly {
		return nil, dataError("flavour", "forward-only has no gradients to fit")
	}
	if o.MaxIterations < 0 || !(o.Tol >= 0) {
		return nil, dataError("best Kronecker product", "neither %d iterations nor the tolerance %v may be negative", o.MaxIterations, o.Tol)
	}
	if o.Tol == 0 {
		o.Tol = 1e-10
		if _, single := any(T(0)).(float32); single {
			o.Tol = 1e-5
		}
	}
	if o.MaxIterations == 0 {
		o.MaxIterations = 500
	}
	k, err := CollectKFAC(r, s)
	if err != nil {
		return nil, err
	}
	defer r.enter()()
	var change float64
	for range o.MaxIterations {
		for i := range k.Blocks {
			unit(k.Blocks[i].A)
		}
		before := cloneInputs(k)
		if err := r.refit(k, s, false); err != nil {
			return nil, err
		}
		if err := r.refit(k, s, true); err != nil {
			return nil, err
		}
		change = 0
		for i := range k.Blocks {
			change = max(change, distance(k.Blocks[i].A, before[i]))
		}
		if change <= o.Tol {
			break
		}
	}
	for i := range k.Blocks {
		balance(&k.Blocks[i])
	}
	if change > o.Tol {
		return k, &ConvergenceError{"best Kronecker product", change, o.Tol, o.MaxIterations}
	}
	return k, nil
}

func cloneInputs(k *KFAC) (all []dense.Matrix[float64]) {
	for _, f := range k.Blocks {
		all = append(all, f.A.Clone())
	}
	return all
}

// unit scales m to norm 1, or sets it to the identity if it is zero.
func unit(m dense.Matrix[float64]) {
	n := norm(m.Data)
	if n == 0 {
		m.Identity()
		n = math.Sqrt(float64(m.Rows))
	}
	dense.Scale(1/n, m.Data, m.Data)
}

// distance returns the norm of the difference of m over its norm and the unit matrix u.
func distance(m, u dense.Matrix[float64]) float64 {
	n := norm(m.Data)
	if n == 0 {
		return 0
	}
	var sum float64
	for i, v := range m.Data {
		d := v/n - u.Data[i]
		sum += d * d
	}
	return math.Sqrt(sum)
}

// balance spreads the norm of the product evenly over the factors. A comes out of the last half iteration, as R sum P^T B P with the norm of B squared.
func balance(f *Factors) {
	a, b := norm(f.A.Data), norm(f.B.Data)
	if a == 0 || b == 0 {
		f.A.Zero()
		f.B.Zero()
		return
	}
	size := math.Sqrt(a / b) // root of the singular value
	dense.Scale(size/a, f.A.Data, f.A.Data)
	dense.Scale(size/b, f.B.Data, f.B.Data)
}

// refit replaces B, or A with inputs, of every block by its half of the iteration.
func (r *Risk[T]) refit(k *KFAC, s Settings, inputs bool) error {
	c, err := NewCollector(r.Net, s)
	if err != nil {
		return err
	}
	fits := map[*layerSums[T]][]*fit[T]{}
	for _, l := range c.layers {
		for i := range k.Blocks {
			f := &k.Blocks[i]
			if f.Weight.Name == l.weight.Name || l.hasBias && f.Bias.Name == l.bias.Name {
				fits[l] = append(fits[l], newFit[T](f, inputs))
			}
		}
	}
	for b := range r.Data {
		c.streams(b, func(l *layerSums[T], uses []stream[T], _ bool) {
			for _, own := range fits[l] {
				own.add(uses, b.N)
			}
		})
	}
	for _, all := range fits {
		for _, own := range all {
			own.finish(r.factor)
		}
	}
	return nil
}

// fit adds up P A P^T for B, or P^T B P for A, over per-example gradients P.
type fit[T nnopt.Float] struct {
	f             *Factors
	inputs        bool
	p             dense.Matrix[float64]
	fixed, w, sum dense.Matrix[float64]
}

func newFit[T nnopt.Float](f *Factors, inputs bool) *fit[T] {
	out, in := f.Dims()
	t := &fit[T]{f: f, inputs: inputs, p: dense.New[float64](out, in), w: dense.New[float64](out, in)}
	t.fixed, t.sum = f.A, dense.New[float64](out, out)
	if inputs {
		t.fixed, t.sum = f.B, dense.New[float64](in, in)
	}
	return t
}

func (t *fit[T]) add(uses []stream[T], n int) {
	for i := range n {
		t.p.Zero()
		for _, u := range uses {
			for s := i * u.reps; s < (i+1)*u.reps; s++ {
				t.outer(u, s)
			}
		}
		if t.inputs {
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.fixed, t.p, 0, t.w)
			dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, t.p, t.w, 1, t.sum)
		} else {
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.p, t.fixed, 0, t.w)
			dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t.w, t.p, 1, t.sum)
		}
	}
}

// outer adds g x1^T of row s to p.
func (t *fit[T]) outer(u stream[T], s int) {
	x := u.x.Row(s)[:t.f.Weight.Cols]
	for i, g := range u.g.Row(s) {
		if g == 0 {
			continue
		}
		row := t.p.Row(i)
		for j, v := range x {
			row[j] += float64(g) * float64(v)
		}
		if t.f.Bias.Cols > 0 {
			row[len(row)-1] += float64(g)
		}
	}
}

func (t *fit[T]) finish(factor float64) {
	dense.Mirror(t.sum)
	dense.Scale(factor, t.sum.Data, t.sum.Data)
	if t.inputs {
		t.f.A = t.sum
	} else {
		t.f.B = t.sum
	}
}
