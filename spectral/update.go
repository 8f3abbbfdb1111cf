package spectral

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Update moves S towards the target of t by bounded-angle sweeps: one by default, or as many as Tol asks for. One sweep is first-order exact
// in the increment; B stays orthogonal and d positive whatever the increment. A nil o is the default.
//
// Cost in products of n x n matrices, n large: a dense increment about 4.3; k vectors about 2.2 + 2.6 k/n, without ever forming B^T T B by
// full products; each further sweep about 4.2. In steady state (same shapes) nothing is allocated, except by PreRotate. For a single vector
// RankOne is exact and costs half as much, but changes the order of the eigenpairs.
//
// Method: the spectral-factorised step of arXiv:2502.06268 with the angle, norm bound and eigenvalue rule of Step.
func (f *Factor) Update(t Increment, o *Step) Report {
	t.check(f.n)
	step := o.resolve(0, 1)
	if f.n == 0 {
		return Report{Scaling: 1}
	}
	f.ready()
	vec := f.load(&t, &step)
	top, norm, err := f.target(&t)
	if err != nil {
		return Report{Scaling: 1, Defect: f.defect, Err: err}
	}
	if step.PreRotate && f.preRotate() {
		vec = nil
	}
	return f.sweep(&t, &step, vec, top, norm)
}

// load sets the upper triangle of m to the increment in the eigenbasis, without Decay and Ridge, and returns its low-rank form if it has no
// dense part and one is worth having.
func (f *Factor) load(t *Increment, step *Step) *lowRank {
	vectors, keep := t.Vectors != nil || t.rows.Rows > 0, 0.0
	switch {
	case t.Dense != nil:
		f.loadDense(t)
		keep = 1
	case !vectors:
		f.m.Zero()
	}
	if !vectors {
		return nil
	}
	vec := f.loadVectors(t)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, vec.scaled, vec.rows, keep, f.m)
	if t.Dense != nil || 2*vec.rows.Rows > f.n || step.MaxSweeps > 1 {
		return nil
	}
	f.vec = vec
	return &f.vec
}

func (f *Factor) loadDense(t *Increment) {
	w := t.DenseWeight
	if w == 0 {
		w = 1
	}
	if t.InBasis {
		symmetricTo(f.m, t.Dense, w)
	} else {
		symmetricTo(f.scratch(), t.Dense, 1)
		f.project(w)
	}
	if t.Congruent {
		f.congruent()
	}
}

// congruent multiplies the upper triangle of m by d on both sides.
func (f *Factor) congruent() {
	for i, di := range f.d {
		row := f.m.Row(i)
		for j := i; j < f.n; j++ {
			row[j] *= di * f.d[j]
		}
	}
}

// loadVectors computes B^T V as rows, and the rows times their weights.
func (f *Factor) loadVectors(t *Increment) lowRank {
	v, op, n, k := t.vectors(), dense.NoTrans, f.n, t.rows.Rows
	if t.Vectors != nil {
		op, k = dense.Transposed, v.Cols
	}
	buf := f.lowWork(3 * n * k)
	vec := lowRank{rows: dense.Wrap(k, n, buf), scaled: dense.Wrap(k, n, buf[n*k:]), turned: dense.Wrap(k, n, buf[2*n*k:]), w: t.Weights}
	if t.InBasis {
		for i := range n {
			for l, x := range v.Row(i) {
				vec.rows.Data[l*n+i] = x
			}
		}
	} else {
		dense.Gemm(op, dense.NoTrans, 1, v, f.b, 0, vec.rows)
	}
	for l := range k {
		row, scaled, w := vec.rows.Row(l), vec.scaled.Row(l), vec.weight(l)
		if t.Congruent {
			for i, di := range f.d {
				row[i] *= di
			}
		}
		dense.Scale(w, row, scaled)
	}
	return vec
}

// target turns the increment in m into the target M: x becomes (M_ii - d_i)/d_i, the diagonal of m becomes M_ii. It returns max |M_ii| and
// ||M||_F^2 in units of its square, or the reason why the target cannot be used.
func (f *Factor) target(t *Increment) (top, norm float64, err error) {
	for i, di := range f.d {
		f.x[i] = (f.m.At(i, i)+t.Ridge)/di - t.Decay
		m := di*(1-t.Decay) + t.Ridge + f.m.At(i, i)
		f.m.Set(i, i, m)
		top = max(top, math.Abs(m))
	}
	top = max(top, smallest)
	norm = squaredNorm(f.m, 1/top)
	if norm-norm != 0 || top > largest {
		if t.finite() {
			return 0, 0, ErrRange
		}
		return 0, 0, ErrNotFinite
	}
	for i, v := range f.x {
		f.x[i] = min(max(v, -1e100), 1e100)
	}
	return top, norm, nil
}

// squaredNorm returns ||c m||_F^2 of the symmetric m from its upper triangle.
func squaredNorm(m dense.Matrix[float64], c float64) float64 {
	if sum := rowNorms(m); sum > 0x1p-900 && sum < 0x1p1000 {
		return sum * c * c
	}
	var sum float64
	for i := range m.Rows {
		row := m.Row(i)[i:]
		d := c * row[0]
		sum += d * d
		for _, v := range row[1:] {
			v *= c
			sum += 2 * v * v
		}
	}
	return sum
}

// rowNorms is squaredNorm with c = 1 where nothing over- or underflows.
func rowNorms(m dense.Matrix[float64]) (sum float64) {
	for i := range m.Rows {
		row := m.Row(i)[i:]
		sum += row[0]*row[0] + 2*dense.Dot(row[1:], row[1:])
	}
	return sum
}

// sweep turns the basis towards the eigenbasis of the target in m and moves d, as often as the options say. top and norm come from target.
func (f *Factor) sweep(t *Increment, step *Step, vec *lowRank, top, norm float64) Report {
	rep := Report{Scaling: 1}
	before := f.turns
	for {
		if step.Tol > 0 {
			rep.Coupling = coupling(f.m, f.s)
			rep.Converged = rep.Coupling <= step.Tol
			if rep.Converged && rep.Sweeps == 0 {
				f.diagonal()
				f.settle(step, &rep)
			}
			if rep.Converged || rep.Sweeps == step.MaxSweeps {
				rep.Residual = offDiagonal(f.m)
				break
			}
		}
		clip(f.x, step.MaxExponent)
		f.generator(step.Rotation, f.d)
		rep.Scaling = min(rep.Scaling, f.bound(step))
		f.turn(step.Factors, f.norm)
		rep.Sweeps++
		if step.Tol == 0 && rep.Sweeps == step.MaxSweeps {
			if vec != nil {
				f.rotatedLowRank(t, vec)
			} else {
				dense.Mirror(f.m)
				f.rotatedDiagonal(f.next)
			}
			rep.Residual = residual(f.next, top, norm)
			f.settle(step, &rep)
			break
		}
		dense.Mirror(f.m)
		f.advance()
		f.diagonal()
		f.settle(step, &rep)
		for i, di := range f.d {
			f.x[i] = f.m.At(i, i)/di - 1
		}
	}
	rep.Reorthogonalized = f.monitor(before)
	rep.Defect = f.defect
	return rep
}

// diagonal sets next to the diagonal of m.
func (f *Factor) diagonal() {
	for i := range f.next {
		f.next[i] = f.m.At(i, i)
	}
}

// rotatedLowRank sets next to the diagonal of q^T (diag((1-decay) d + ridge) + rows^T diag(w) rows) q, in O(n^2) and one product with the rows.
func (f *Factor) rotatedLowRank(t *Increment, vec *lowRank) {
	for k, dk := range f.d {
		f.s[k] = (1-t.Decay)*dk + t.Ridge
	}
	clear(f.next)
	f.rotatedWeights(f.s, f.next)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, vec.rows, f.q, 0, vec.turned)
	for l := range vec.rows.Rows {
		w := vec.weight(l)
		for i, v := range vec.turned.Row(l) {
			f.next[i] += w * v * v
		}
	}
}

// residual returns ||offdiag||_F/||.||_F of the target in the new basis from its norm, which rotations keep, and its new diagonal.
func residual(diag []float64, top, norm float64) float64 {
	var sum float64
	for _, v := range diag {
		v /= top
		sum += v * v
	}
	if !(norm > sum) {
		return 0
	}
	return math.Sqrt((norm - sum) / norm)
}

// settle moves d by the rule of step, with the rotated diagonal in next and the clipped relative increments in x.
func (f *Factor) settle(step *Step, rep *Report) {
	limit := step.MaxExponent
	if step.Eigenvalues == RotatedDiagonal && limit > 1 {
		limit = 1
	}
	for i, v := range f.next {
		if step.Eigenvalues == Exponential || !(v > 0) {
			if step.Eigenvalues == RotatedDiagonal {
				rep.Guarded++
			}
			v = f.d[i] * math.Exp(min(max(f.x[i], -limit), limit))
		}
		if !(v >= smallest && v <= largest) {
			rep.Guarded++
			v = min(max(v, smallest), largest)
		}
		f.d[i] = v
	}
}

func clip(x []float64, limit float64) {
	for i, v := range x {
		x[i] = min(max(v, -limit), limit)
	}
}
