package spectral

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// Kron is the SPD matrix S = alpha S_1 (x) S_2 (x) ... of dimension N = n_1 n_2 ..., each S_k = B_k diag(d_k) B_k^T kept as a Factor with
// determinant 1; the constraint takes away the scale that the factors could trade. Tensors are flat slices of length N in row-major order: for two
// factors C (m x m) and K (n x n) and an m x n matrix X, (C (x) K) vec X = vec(C X K^T).
//
// Source: arXiv:2502.06268 (Kronecker factors with determinant constraint, local coordinates).
type Kron struct {
	alpha float64
	parts []*Factor
	size  int // N

	z, t        []float64 // tensors in work
	tops, norms []float64 // per part: of the target, between its check and the sweep
}

// NewKron returns alpha times the identity of the given sizes. It panics unless there is a size, every size is positive and alpha is positive
// and finite.
func NewKron(alpha float64, sizes ...int) *Kron {
	parts := make([]*Factor, len(sizes))
	for i, n := range sizes {
		if n < 1 {
			mistake("NewKron: size %d is %d, need at least 1", i, n)
		}
		parts[i] = Identity(n, 1)
	}
	if len(sizes) == 0 || !(alpha >= smallest && alpha <= largest) {
		mistake("NewKron(%v, %d sizes): need alpha within [2^-1000, 2^1000] and at least one size", alpha, len(sizes))
	}
	return assemble(alpha, parts)
}

func assemble(alpha float64, parts []*Factor) *Kron {
	k := &Kron{alpha: alpha, parts: parts, size: 1, tops: make([]float64, len(parts)), norms: make([]float64, len(parts))}
	for _, f := range parts {
		k.size *= f.n
	}
	return k
}

// KronOf returns alpha times the Kronecker product of the factors, which are copied; their determinants go into alpha. It returns a *DataError if
// a factor is nil or empty or the scale leaves [2^-1000, 2^1000].
func KronOf(alpha float64, factors ...*Factor) (*Kron, error) {
	parts := make([]*Factor, len(factors))
	for i, f := range factors {
		if f == nil || f.n == 0 {
			return nil, &DataError{fmt.Sprintf("Kronecker factor %d", i), "is nil or has dimension 0"}
		}
		parts[i] = f.Clone()
	}
	if len(parts) == 0 {
		return nil, &DataError{"Kronecker product", "needs at least one factor"}
	}
	k := assemble(alpha, parts)
	for _, f := range parts {
		k.alpha *= math.Exp(f.normalise())
	}
	if !(k.alpha >= smallest && k.alpha <= largest) {
		return nil, &DataError{"Kronecker product", fmt.Sprintf("scale alpha = %v is not within [2^-1000, 2^1000]", k.alpha)}
	}
	return k, nil
}

// normalise divides d by its geometric mean, whose logarithm it returns.
func (f *Factor) normalise() float64 {
	mean := f.LogDet() / float64(f.n)
	if mean == 0 {
		return 0
	}
	c := math.Exp(-mean)
	for i, v := range f.d {
		f.d[i] = min(max(c*v, smallest), largest)
	}
	return mean
}

// Alpha returns the scale alpha.
func (k *Kron) Alpha() float64 { return k.alpha }

// Parts returns the number of factors.
func (k *Kron) Parts() int { return len(k.parts) }

// Part returns factor i; read only.
func (k *Kron) Part(i int) *Factor { return k.parts[i] }

// Dim returns N, the product of the sizes.
func (k *Kron) Dim() int { return k.size }

// Clone returns an independent copy of k, without its workspace.
func (k *Kron) Clone() *Kron {
	parts := make([]*Factor, len(k.parts))
	for i, f := range k.parts {
		parts[i] = f.Clone()
	}
	return assemble(k.alpha, parts)
}

// LogDet returns log det S, in O(sum n_k).
func (k *Kron) LogDet() float64 {
	s := float64(k.size) * math.Log(k.alpha)
	for _, f := range k.parts {
		s += float64(k.size/f.n) * f.LogDet()
	}
	return s
}

// Cond returns the 2-norm condition number of S.
func (k *Kron) Cond() float64 {
	c := 1.0
	for _, f := range k.parts {
		c *= f.Cond()
	}
	return c
}

// ToSym sets dst = S, formed, N x N: for small products. An empty dst is sized.
func (k *Kron) ToSym(dst *mat.SymDense) {
	out := destinationSym(dst, k.size, "Kron.ToSym")
	var prod mat.Dense
	prod.CloneFrom(mat.NewDense(1, 1, []float64{k.alpha}))
	for _, f := range k.parts {
		var s mat.SymDense
		f.ToSym(&s)
		var next mat.Dense
		next.Kronecker(&prod, &s)
		prod = next
	}
	out.Copy(dense.Of(prod.RawMatrix()))
}

func (k *Kron) checkTensor(v []float64, op string) {
	if len(v) != k.size {
		mistake("%s: tensor of length %d, need %d", op, len(v), k.size)
	}
}

func (k *Kron) ready() {
	if k.z == nil {
		k.z, k.t = make([]float64, k.size), make([]float64, k.size)
	}
}

// modes sets z to src with op(B_i) applied along every mode; src may be z. It swaps z and t as it goes.
func (k *Kron) modes(op dense.Trans, src []float64) {
	left := 1
	for _, f := range k.parts {
		right := k.size / (left * f.n)
		if right == 1 {
			// Rows times op(B)^T instead of L products with one column.
			dense.Gemm(dense.NoTrans, !op, 1, dense.Wrap(left, f.n, src), f.b, 0, dense.Wrap(left, f.n, k.t))
		} else {
			step := f.n * right
			for l := range left {
				dense.Gemm(op, dense.NoTrans, 1, f.b, dense.Wrap(f.n, right, src[l*step:]), 0, dense.Wrap(f.n, right, k.t[l*step:]))
			}
		}
		k.z, k.t = k.t, k.z
		src = k.z
		left *= f.n
	}
}

// scale multiplies z by the tensor product of the d_i^p.
func (k *Kron) scale(p float64) {
	left := 1
	for _, f := range k.parts {
		dp := f.lowWork(f.n)
		dense.Pow(dp, f.d, p)
		right := k.size / (left * f.n)
		for l := range left {
			for i, c := range dp {
				part := k.z[(l*f.n+i)*right : (l*f.n+i+1)*right]
				for j := range part {
					part[j] *= c
				}
			}
		}
		left *= f.n
	}
}

// Pow sets dst = S^p x for tensors of length N and any real p; dst may be x. p = -1/2 is the preconditioned step of root 2. Cost: two products
// along every mode, 4 N sum n_k flops.
func (k *Kron) Pow(p float64, dst, x []float64) {
	k.checkTensor(x, "Kron.Pow")
	k.checkTensor(dst, "Kron.Pow")
	k.ready()
	k.modes(dense.Transposed, x)
	k.scale(p)
	k.modes(dense.NoTrans, k.z)
	c := math.Pow(k.alpha, p)
	for i, v := range k.z {
		dst[i] = c * v
	}
}

// QuadraticForm returns x^T S^p x, in 2 N sum n_k flops.
func (k *Kron) QuadraticForm(p float64, x []float64) float64 {
	k.checkTensor(x, "Kron.QuadraticForm")
	k.ready()
	k.modes(dense.Transposed, x)
	k.scale(p / 2)
	return math.Pow(k.alpha, p) * dense.Dot(k.z, k.z)
}

// Sample writes a draw from N(0, S) to dst.
func (k *Kron) Sample(rng *rand.Rand, dst []float64) {
	k.checkTensor(dst, "Kron.Sample")
	k.ready()
	for i := range k.z {
		k.z[i] = rng.NormFloat64()
	}
	k.scale(0.5)
	k.modes(dense.NoTrans, k.z)
	c := math.Sqrt(k.alpha)
	for i, v := range k.z {
		dst[i] = c * v
	}
}

// LogDensity returns the logarithm of the density of N(0, S) at x.
func (k *Kron) LogDensity(x []float64) float64 {
	return -0.5 * (float64(k.size)*math.Log(2*math.Pi) + k.LogDet() + k.QuadraticForm(-1, x))
}

// KL returns KL(N(0, S) || N(0, G)) in nats for a product g of the same sizes, by one product per factor.
func (k *Kron) KL(g *Kron) float64 {
	if len(k.parts) != len(g.parts) {
		mistake("Kron.KL: %d and %d factors", len(k.parts), len(g.parts))
	}
	tr := k.alpha / g.alpha
	for i, f := range k.parts {
		tr *= f.traceRatio(g.parts[i])
	}
	return max(0, (tr-float64(k.size)+g.LogDet()-k.LogDet())/2)
}

// traceRatio returns tr(G^-1 S).
func (f *Factor) traceRatio(g *Factor) float64 {
	if g.n != f.n {
		mistake("Kron.KL: factor dimensions %d and %d", f.n, g.n)
	}
	f.ready()
	c := f.scratch()
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, g.b, f.b, 0, c)
	var s float64
	for i, gi := range g.d {
		for j, v := range c.Row(i) {
			s += v * v * (f.d[j] / gi)
		}
	}
	return s
}
