package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// lowerBound is the smallest cost that the eigenvalues allow: each distance is at least that of the sorted logarithms (Bhatia and Congedo 2019).
func (o *procrustesObjective) lowerBound() (float64, error) {
	var sum float64
	for k := range o.a {
		var logs [2][]float64
		for side, f := range []*manifold.Frame{o.a[k], o.b[k]} {
			w := make([]float64, o.n)
			if !eigen.SymValues(view(manifold.DenseOf(f.Sym())), w) || !(w[0] > 0) {
				return 0, &manifold.PointError{What: "not positive definite to rounding", Min: w[0], Max: w[len(w)-1]}
			}
			dense.Log(w, w)
			logs[side] = w
		}
		for i, l := range logs[0] {
			sum += (l - logs[1][i]) * (l - logs[1][i])
		}
	}
	return sum / float64(2*len(o.a)), nil
}

// eigenbasis returns the eigenvectors and eigenvalues of F F'.
func eigenbasis(f *manifold.Frame) (dense.Matrix[float64], []float64, error) {
	q, w := view(manifold.DenseOf(f.Sym())), make([]float64, f.Dim())
	if !eigen.Sym(q, w) || !(w[0] > 0) {
		return q, w, &manifold.PointError{What: "not positive definite to rounding", Min: w[0], Max: w[len(w)-1]}
	}
	return q, w, nil
}

// between returns the rotation that takes the eigenvectors of the mean of the A to those of the mean of the B, in order of the eigenvalues. Its signs
// are those that align the matrices seen from the means: with A^ = E^-1/2 V' A V E^-1/2 for each A, V and E from the mean, and B^ the same, they make
// sum_ij s_i s_j C_ij large, C the sum of the A^ o B^ without the diagonal. Where they leave much of it negative, greedy
// searches from these and from arbitrary signs follow.
func (o *procrustesObjective) between(a, b mat.Symmetric) (*rotation, error) {
	c := dense.New[float64](o.n, o.n)
	var q [2]dense.Matrix[float64]
	seen := [2][]dense.Matrix[float64]{}
	for side, mean := range []mat.Symmetric{a, b} {
		f, err := manifold.NewFrame(mean)
		if err != nil {
			return nil, err
		}
		var w []float64
		if q[side], w, err = eigenbasis(f); err != nil {
			return nil, err
		}
		seen[side] = whitenAll([][]*manifold.Frame{o.a, o.b}[side], q[side], w)
	}
	for k, x := range seen[0] {
		y := seen[1][k]
		for i := range o.n {
			for j := range i {
				v := c.At(i, j) + x.At(i, j)*y.At(i, j)
				c.Set(i, j, v)
				c.Set(j, i, v)
			}
		}
	}
	signs, share := alignment(c)
	qb := q[1].Clone()
	for j, s := range signs {
		turn(qb, j, s)
	}
	p := &rotation{dense.New[float64](o.n, o.n)}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, qb, q[0], 0, p.r)
	if len(o.a) == 1 || share >= aligned || o.n <= fewSigns && share >= alignedFew {
		return p, nil
	}
	other := &rotation{dense.New[float64](o.n, o.n)}
	cost, err := o.searchSigns(p, q[0], qb)
	if err != nil {
		return nil, err
	}
	if trial, err := o.searchSigns(other, q[0], q[1]); err != nil || trial < cost {
		return other, err
	}
	return p, nil
}

const (
	// aligned is the share of |C| that the signs must make positive to be taken without trial; alignedFew is that for up to fewSigns of them, which
	// are cheap to try.
	aligned, alignedFew, fewSigns = 0.96, 0.999, 16
)

// searchSigns turns the vectors qb one by one, as long as that lowers the cost, sets p to the rotation that takes qa to them and returns its cost.
func (o *procrustesObjective) searchSigns(p *rotation, qa, qb dense.Matrix[float64]) (best float64, err error) {
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, qb, qa, 0, p.r)
	if best, err = o.Evaluate(p, nil, nil); err != nil {
		return best, err
	}
	for improved := true; improved; {
		improved = false
		for j := range o.n {
			turn(qb, j, -1)
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, qb, qa, 0, p.r)
			cost, err := o.Evaluate(p, nil, nil)
			if err != nil {
				return best, err
			}
			if cost < best*(1-1e-9) {
				best, improved = cost, true
			} else {
				turn(qb, j, -1)
			}
		}
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, qb, qa, 0, p.r)
	return best, nil
}

// turn multiplies column j by s.
func turn(q dense.Matrix[float64], j int, s float64) {
	for i := range q.Rows {
		q.Set(i, j, s*q.At(i, j))
	}
}

// whitenAll returns E^-1/2 V' S V E^-1/2, S = F F', for all frames; only lower triangles count.
func whitenAll(frames []*manifold.Frame, v dense.Matrix[float64], e []float64) (out []dense.Matrix[float64]) {
	n := len(e)
	scaled, work := v.Clone(), dense.New[float64](n, n)
	for j, x := range e {
		for i := range n {
			scaled.Set(i, j, v.At(i, j)/math.Sqrt(x))
		}
	}
	for _, f := range frames {
		m := dense.New[float64](n, n)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, scaled, view(f.F()), 0, work)
		dense.GemmLower(dense.NoTrans, dense.Transposed, 1, work, work, 0, m)
		out = append(out, m)
	}
	return out
}

// alignment returns signs s for which s'C s is large: those of the leading eigenvector of the symmetric c, which are the best ones if those make
// every term positive (Singer, Appl. Comput. Harmon. Anal. 30 (2011)), and then one by one the change that gains most. It also returns s'C s over the sum
// of all |C_ij|.
func alignment(c dense.Matrix[float64]) (s []float64, share float64) {
	n := c.Rows
	q, w := c.Clone(), make([]float64, n)
	s = make([]float64, n)
	if !eigen.Sym(q, w) {
		q.Identity()
	}
	for i := range s {
		s[i] = math.Copysign(1, q.At(i, n-1))
	}
	pull := make([]float64, n) // C s
	dense.Gemv(dense.NoTrans, 1, c, s, 0, pull)
	for range n * n { // each change raises s'C s; the bound is for rounding
		worst, least := 0, 0.0
		for i := range s {
			if v := s[i] * pull[i]; v < least {
				worst, least = i, v
			}
		}
		if least > -1e-12*math.Abs(w[n-1]) {
			break
		}
		s[worst] = -s[worst]
		dense.Axpy(2*s[worst], c.Row(worst), pull)
	}
	var all float64
	for _, v := range c.Data {
		all += math.Abs(v)
	}
	return s, dense.Dot(s, pull) / math.Max(all, math.SmallestNonzeroFloat64)
}
