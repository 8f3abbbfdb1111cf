package problem

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// lowerBound is the smallest cost that the logarithms of the eigenvalues of the A and the B allow: each distance is at least that of the sorted ones (Bhatia and Congedo 2019).
func lowerBound(logs [][]float64) (sum float64) {
	m := len(logs) / 2
	for k, a := range logs[:m] {
		for i, l := range a {
			d := l - logs[m+k][i]
			sum += d * d
		}
	}
	return sum / float64(2*m)
}

// logSpectrum returns the logarithms of the eigenvalues of a matrix of which the upper triangle is given.
func (o *procrustesObjective) logSpectrum(s dense.Matrix[float64]) ([]float64, error) {
	own := o.team.spaces.Take()
	defer o.team.spaces.Give(own)
	own.need(o.n)
	w := make([]float64, o.n)
	own.t[0].Copy(s)
	if !eigen.SymValues(own.t[0], w) || !(w[0] > 0) {
		return nil, &manifold.PointError{What: "not positive definite to rounding", Min: w[0], Max: w[o.n-1]}
	}
	dense.Log(w, w)
	return w, nil
}

// together calls do for all indices, on several goroutines where that pays, and returns the error of the lowest.
func (o *procrustesObjective) together(count int, do func(i int) error) error {
	errs := make([]error, count)
	perform(&dense.Parallel{Task: dense.PartFunc(func(i int) { errs[i] = do(i) })}, count, o.team.serial)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// describe returns the lower bound and the Kullback mean of the A.
func (o *procrustesObjective) describe() (bound float64, mean dense.Matrix[float64], err error) {
	logs := make([][]float64, len(o.upper))
	err = o.together(len(logs)+1, func(i int) (err error) { // the longest part first
		if i == 0 {
			mean, err = kullback(o.a)
		} else {
			logs[i-1], err = o.logSpectrum(o.upper[i-1])
		}
		return err
	})
	if err == nil {
		bound = lowerBound(logs)
	}
	return bound, mean, err
}

// pairing is how the eigenvectors of a mean of the A and of the same mean of the B are matched: in order of the eigenvalues, with signs.
type pairing struct {
	qa, qb dense.Matrix[float64]
	a, b   []dense.Matrix[float64] // the matrices in these bases
	share  float64                 // of the absolute sum that the signs make positive
	cost   float64                 // 0 if it is not known
}

// rotation takes the basis of the A to that of the B.
func (p *pairing) rotation() *rotation {
	r := &rotation{r: dense.New[float64](p.qa.Rows, p.qa.Rows)}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, p.qb, p.qa, 0, r.r)
	return r
}

// pair matches the eigenvectors of two means, which it overwrites. The signs are those that align the matrices seen from the means: with
// A^ = E^-1/2 V' A V E^-1/2 for each A, V and E from the mean, and B^ the same, they make sum_ij s_i s_j C_ij large, C the sum of the A^ o B^ without the
// diagonal, all matrices scaled to equal traces.
func (o *procrustesObjective) pair(means [2]dense.Matrix[float64]) (*pairing, error) {
	p := &pairing{qa: means[0], qb: means[1]}
	values := [2][]float64{make([]float64, o.n), make([]float64, o.n)}
	err := o.together(len(means), func(i int) error {
		if e := values[i]; !eigen.Sym(means[i], e) || !(e[0] > 0) {
			return &manifold.PointError{What: "a mean is not positive definite to rounding", Min: e[0], Max: e[o.n-1]}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	weights := make([]float64, o.n)
	for i := range weights {
		weights[i] = 1
		for _, e := range values {
			weights[i] /= math.Sqrt(e[i])
		}
	}
	o.turnAll(p)
	c := o.team.scratch[0].t[0]
	c.Zero()
	for k, x := range p.a {
		y := p.b[k]
		scale := 1 / (x.Trace() * y.Trace())
		for i, w := range weights {
			row, xr, yr := c.Row(i), x.Row(i), y.Row(i)
			for j := range i {
				row[j] += scale * w * weights[j] * xr[j] * yr[j]
			}
		}
	}
	for i := range o.n {
		for j := range i {
			c.Set(j, i, c.At(i, j))
		}
	}
	var signs []float64
	signs, p.share = alignment(c)
	p.flip(signs)
	return p, nil
}

// turnAll sets the matrices in the bases of the pairing.
func (o *procrustesObjective) turnAll(p *pairing) {
	m := len(o.a)
	for range m {
		p.a, p.b = append(p.a, o.matrix(o.n, o.n)), append(p.b, o.matrix(o.n, o.n))
	}
	_ = o.together(2*m, func(i int) error {
		own := o.team.spaces.Take()
		defer o.team.spaces.Give(own)
		own.need(o.n)
		f, v, to := o.a[i%m], p.qa, p.a[i%m]
		if i >= m {
			f, v, to = o.b[i-m], p.qb, p.b[i-m]
		}
		dense.MulLower(dense.Transposed, view(f.F()), v, own.t[1])
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, own.t[1], own.t[1], 0, to)
		dense.Mirror(to)
		return nil
	})
}

// begin returns the pairing of eigenvectors to start from. Arithmetic means are tried first, of
// matrices scaled to equal traces: what is added to the matrices turns them least. Where the signs leave some of the absolute sum negative, harmonic means, which
// are steady against what is added to the inverses, and where neither is much better Kullback means compete with them; where they leave much, greedy searches from the best signs and
// from arbitrary ones follow.
func (o *procrustesObjective) begin() (*pairing, error) {
	best, err := o.pair(o.means(false))
	if err != nil || len(o.a) == 1 || best.share >= aligned && o.n > fewSigns {
		return best, err
	}
	if best.cost, err = o.Evaluate(best.rotation(), nil, nil); err != nil {
		return nil, err
	}
	arithmetic := best.cost
	harmonic, err := o.challenge(&best, o.means(true))
	if err != nil || max(arithmetic, harmonic) <= alike*min(arithmetic, harmonic) {
		if a, err := kullback(o.a); err == nil {
			if b, err := kullback(o.b); err == nil {
				o.challenge(&best, [2]dense.Matrix[float64]{a, b})
			}
		}
	}
	if best.share >= searched && o.n > fewSigns || best.share >= alignedFew && o.n > fewestSigns {
		return best, nil
	}
	return best, o.search(best)
}

// challenge replaces best by the pairing of other means where that costs less, and returns its cost; an error means that they are too ill-conditioned.
func (o *procrustesObjective) challenge(best **pairing, means [2]dense.Matrix[float64]) (float64, error) {
	other, err := o.pair(means)
	if err != nil {
		return 0, err
	}
	if other.cost, err = o.Evaluate(other.rotation(), nil, nil); err == nil && other.cost < (*best).cost {
		*best = other
	}
	return other.cost, err
}

// search looks for better signs of a pairing, from its own and from arbitrary ones.
func (o *procrustesObjective) search(p *pairing) error {
	found, other := p.qb.Clone(), p.qb.Clone()
	for j := range o.n {
		turn(other, j, math.Copysign(1, other.At(j, j)))
	}
	var err error
	if p.cost, err = o.searchSigns(p.qa, found); err != nil {
		return err
	}
	cost, err := o.searchSigns(p.qa, other)
	if err != nil {
		return err
	}
	if cost < p.cost {
		p.cost, found = cost, other
	}
	p.follow(found)
	return nil
}

// follow takes the signs of the vectors qb, which are those of the pairing but for that.
func (p *pairing) follow(qb dense.Matrix[float64]) {
	signs := make([]float64, qb.Cols)
	for i := range signs {
		signs[i] = 1
	}
	for i := range qb.Rows {
		for j, v := range qb.Row(i) {
			if v != p.qb.At(i, j) {
				signs[j] = -1
			}
		}
	}
	p.flip(signs)
}

// flip multiplies the vectors of the B by signs.
func (p *pairing) flip(signs []float64) {
	for j, s := range signs {
		turn(p.qb, j, s)
	}
	for _, y := range p.b {
		for i, s := range signs {
			dense.Multiply(y.Row(i), signs, y.Row(i))
			dense.Scale(s, y.Row(i), y.Row(i))
		}
	}
}

// means returns the arithmetic means of the A and of the B, or the harmonic ones, each matrix scaled to trace 1 (its inverse for the harmonic mean).
func (o *procrustesObjective) means(harmonic bool) (out [2]dense.Matrix[float64]) {
	for side, frames := range [][]*manifold.Frame{o.a, o.b} {
		m := o.matrix(o.n, o.n)
		m.Zero()
		for k, f := range frames {
			if harmonic {
				inv := view(f.Inverse())
				dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/dense.Dot(inv.Data, inv.Data), inv, inv, 1, m)
			} else {
				s := o.upper[side*len(o.a)+k]
				weight := 1 / s.Trace()
				for i := range o.n {
					dense.Axpy(weight, s.Row(i)[i:], m.Row(i)[i:])
				}
			}
		}
		if harmonic {
			dense.InvertUpper(m, o.team.scratch[0].work)
		}
		dense.Mirror(m)
		out[side] = m
	}
	return out
}

// kullback returns the Kullback mean of matrices, complete.
func kullback(frames []*manifold.Frame) (m dense.Matrix[float64], err error) {
	x, err := manifold.KullbackMeanOf(frames, nil)
	if err != nil {
		return m, err
	}
	m = dense.Wrap(x.SymmetricDim(), x.SymmetricDim(), x.RawSymmetric().Data)
	dense.Mirror(m)
	return m, nil
}

const (
	// aligned is the share of |C| that the signs must make positive to be taken without comparison, and searched that below which signs are searched for.
	aligned, searched = 0.99, 0.96
	// alike is the largest ratio of the costs of the arithmetic and the harmonic means with which Kullback means, which are between them, may cost less.
	alike = 2
	// leadingPowers is how many products find the signs of a leading eigenvector.
	leadingPowers = 20
	// Up to fewSigns signs are cheap to try: all means are compared, and alignedFew is the share below which signs are searched for. Up to fewestSigns
	// the share says too little, and they always are.
	alignedFew, fewSigns, fewestSigns = 0.999, 16, 5
)

// searchSigns turns the vectors qb one by one, as long as that lowers the cost of the rotation that takes qa to them, which it returns.
func (o *procrustesObjective) searchSigns(qa, qb dense.Matrix[float64]) (best float64, err error) {
	p := &rotation{r: dense.New[float64](o.n, o.n)}
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
	return best, nil
}

// turn multiplies column j by s.
func turn(q dense.Matrix[float64], j int, s float64) {
	for i := range q.Rows {
		q.Set(i, j, s*q.At(i, j))
	}
}

// alignment returns signs s for which s'C s is large, for a symmetric C, and s'C s over the sum of all |C_ij|: signs of the longest row if they make nearly all terms
// positive, otherwise those of the leading eigenvector (Singer, Appl. Comput. Harmon. Anal. 30 (2011)), and from there one by one the change that gains most.
func alignment(c dense.Matrix[float64]) (s []float64, share float64) {
	n, longest, length := c.Rows, 0, 0.0
	s = make([]float64, n)
	for i := range n {
		if v := dense.Dot(c.Row(i), c.Row(i)); v > length {
			longest, length = i, v
		}
	}
	for j, v := range c.Row(longest) {
		s[j] = math.Copysign(1, v)
	}
	if share = settleSigns(c, s); share >= alignedFew {
		return s, share
	}
	other := leading(c, s)
	for i, v := range other {
		other[i] = math.Copysign(1, v)
	}
	if better := settleSigns(c, other); better > share {
		return other, better
	}
	return s, share
}

// leading returns about the leading eigenvector of c, by powers of c + |c| from the vector s.
func leading(c dense.Matrix[float64], s []float64) []float64 {
	x, next := slices.Clone(s), make([]float64, len(s))
	shift := math.Sqrt(dense.Dot(c.Data, c.Data) / float64(c.Rows)) // about the size of an eigenvalue
	for range leadingPowers {
		copy(next, x)
		dense.Gemv(dense.NoTrans, 1, c, x, shift, next)
		dense.Scale(1/math.Sqrt(dense.Dot(next, next)), next, next)
		x, next = next, x
	}
	return x
}

// settleSigns changes signs one by one as long as that raises s'C s, and returns its share.
func settleSigns(c dense.Matrix[float64], s []float64) float64 {
	var all float64
	for _, v := range c.Data {
		all += math.Abs(v)
	}
	pull := make([]float64, len(s)) // C s
	dense.Gemv(dense.NoTrans, 1, c, s, 0, pull)
	for range len(s) * len(s) { // the bound is for rounding
		worst, least := 0, 0.0
		for i := range s {
			if v := s[i] * pull[i]; v < least {
				worst, least = i, v
			}
		}
		if least > -1e-14*all {
			break
		}
		s[worst] = -s[worst]
		dense.Axpy(2*s[worst], c.Row(worst), pull)
	}
	return dense.Dot(s, pull) / math.Max(all, math.SmallestNonzeroFloat64)
}
