package laplace

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/nnopt/curvature"
)

// kronCurvature is H in Kronecker eigenbases.
type kronCurvature struct {
	blocks  []curvature.Factors
	spectra []curvature.Eigenblock
	damped  bool
	b, a    [][]float64 // eigenvalues of the factors of each block; of damped only
	places  []int       // of the parameters of the posterior among all parameters
	inverse []int       // place in the posterior of each parameter, or -1
}

// newKron takes over the eigenbases of blocks of factors, with eigenvalues that are to be divided by r, for networks of dim parameters.
func newKron(blocks []curvature.Factors, spectra []curvature.Eigenblock, dim int, r float64, damped bool, places []int) *kronCurvature {
	c := &kronCurvature{blocks: blocks, spectra: spectra, damped: damped, places: places, inverse: make([]int, dim)}
	for i := range c.inverse {
		c.inverse[i] = -1
	}
	for i, at := range places {
		c.inverse[at] = i
	}
	for i := range spectra {
		values := spectra[i].Values
		dense.Scale(1/r, values.Data, values.Data)
		if damped {
			b, a := factorValues(values, trace(blocks[i].B)/math.Sqrt(r), trace(blocks[i].A)/math.Sqrt(r))
			c.b, c.a = append(c.b, b), append(c.a, a)
		}
	}
	return c
}

func trace(m dense.Matrix[float64]) float64 { return kronecker.MeanTrace(m) * float64(m.Rows) }

// factorValues returns the b and a with values = b a^T and the given sums.
func factorValues(values dense.Matrix[float64], sumB, sumA float64) (b, a []float64) {
	b, a = make([]float64, values.Rows), make([]float64, values.Cols)
	for i := range values.Rows {
		for j, v := range values.Row(i) {
			b[i] += v
			a[j] += v
		}
	}
	if sumA > 0 && sumB > 0 {
		dense.Scale(1/sumA, b, b)
		dense.Scale(1/sumB, a, a)
	}
	return b, a
}

// start returns the place in the posterior of the first parameter of a block.
func (c *kronCurvature) start(f *curvature.Factors) int {
	if f.Weight.Rows > 0 {
		return c.inverse[f.Weight.Start]
	}
	return c.inverse[f.Bias.Start]
}

func (c *kronCurvature) at(s float64, prior []float64) (precision, error) {
	p := &kronPrecision{c: c, s: s}
	full := make([]float64, len(c.inverse))
	scatter(full, prior, c.places)
	for k := range c.blocks {
		f := &c.blocks[k]
		out, in := f.Dims()
		values, delta := dense.New[float64](out, in), prior[c.start(f)]
		f.Gather(full, values)
		for _, v := range values.Data {
			if v != delta {
				return nil, optionError("prior precision", "differs within the block %s; the structure kronecker needs one number for a block", f.Name())
			}
		}
		for i := range out {
			row := values.Row(i)
			for j, v := range c.spectra[k].Values.Row(i) {
				row[j] = s*v + delta
				if c.damped && f.Weight.Rows > 0 {
					b, a := c.parts(k, i, j, s, delta)
					row[j] = b * a
				}
				if !(row[j] > 0) {
					return nil, &SingularError{"an eigenvalue of " + f.Name(), row[j]}
				}
			}
		}
		p.values, p.delta = append(p.values, values), append(p.delta, delta)
	}
	return p, nil
}

// parts returns the damped factors of an eigenvalue.
func (c *kronCurvature) parts(k, i, j int, s, delta float64) (b, a float64) {
	return math.Sqrt(s)*c.b[k][i] + math.Sqrt(delta), math.Sqrt(s)*c.a[k][j] + math.Sqrt(delta)
}

// kronPrecision is P in the eigenbases; the root is the symmetric one.
type kronPrecision struct {
	c      *kronCurvature
	s      float64
	values []dense.Matrix[float64]
	delta  []float64
}

func (p *kronPrecision) logDet() (sum float64) {
	for _, m := range p.values {
		for _, v := range m.Data {
			sum += math.Log(v)
		}
	}
	return sum
}

func (p *kronPrecision) slopes(group []int, dst []float64) (scale float64) {
	for k, m := range p.values {
		f := &p.c.blocks[k]
		var prior float64
		for i := range m.Rows {
			for j, v := range m.Row(i) {
				if p.c.damped && f.Weight.Rows > 0 {
					b, a := p.c.parts(k, i, j, p.s, p.delta[k])
					prior += math.Sqrt(p.delta[k]) * (1/b + 1/a) / 2
					continue
				}
				prior += p.delta[k] / v
			}
		}
		p.share(f, prior, group, dst)
		scale += float64(m.Rows*m.Cols) - prior
	}
	return scale
}

// share adds the derivative of a block to its group, or in equal parts to the groups of its parameters.
func (p *kronPrecision) share(f *curvature.Factors, prior float64, group []int, dst []float64) {
	out, in := f.Dims()
	each := prior / float64(out*in)
	for _, b := range []curvature.Block{f.Weight, f.Bias} {
		for at := b.Start; at < b.End(); at++ {
			dst[group[p.c.inverse[at]]] += each
		}
	}
}

// apply replaces each row x by f(P) x.
func (p *kronPrecision) apply(rows dense.Matrix[float64], f func(v float64) float64) {
	full := make([]float64, len(p.c.inverse))
	spectra := make([]dense.Matrix[float64], len(p.values))
	work := [2][]float64{make([]float64, len(full)), make([]float64, len(full))}
	for k, m := range p.values {
		spectra[k] = dense.New[float64](m.Rows, m.Cols)
		for i, v := range m.Data {
			spectra[k].Data[i] = f(v)
		}
	}
	for i := range rows.Rows {
		row := rows.Row(i)
		scatter(full, row, p.c.places)
		for k, m := range spectra {
			block, s := &p.c.blocks[k], &p.c.spectra[k]
			v, w := dense.Wrap(m.Rows, m.Cols, work[0][:len(m.Data)]), dense.Wrap(m.Rows, m.Cols, work[1][:len(m.Data)])
			block.Gather(full, v)
			kronecker.Rotate(dense.Transposed, s.QB, s.QA, v, w)
			for j, x := range m.Data {
				v.Data[j] *= x
			}
			kronecker.Rotate(dense.NoTrans, s.QB, s.QA, v, w)
			block.Scatter(v, full)
		}
		gather(row, full, p.c.places)
	}
}

func (p *kronPrecision) mul(dst, x []float64) {
	copy(dst, x)
	p.apply(dense.Wrap(1, len(dst), dst), func(v float64) float64 { return v })
}

func (p *kronPrecision) whiten(rows dense.Matrix[float64]) {
	p.apply(rows, func(v float64) float64 { return 1 / math.Sqrt(v) })
}

func (p *kronPrecision) colour(rows dense.Matrix[float64]) { p.whiten(rows) }

func (p *kronPrecision) variances(dst []float64) {
	full := make([]float64, len(p.c.inverse))
	for k, m := range p.values {
		s := &p.c.spectra[k]
		b, a := squares(s.QB), squares(s.QA)
		v, w := dense.New[float64](m.Rows, m.Cols), dense.New[float64](m.Rows, m.Cols)
		reciprocals(m, v)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, b, v, 0, w)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, w, a, 0, v)
		p.c.blocks[k].Scatter(v, full)
	}
	gather(dst, full, p.c.places)
}

func squares(m dense.Matrix[float64]) dense.Matrix[float64] {
	s := m.Clone()
	for i, v := range s.Data {
		s.Data[i] = v * v
	}
	return s
}

func reciprocals(m, dst dense.Matrix[float64]) {
	for i, v := range m.Data {
		dst.Data[i] = 1 / v
	}
}

// scatter sets the elements of full at the places to x, gather x to them.
func scatter(full, x []float64, places []int) {
	for i, at := range places {
		full[at] = x[i]
	}
}

func gather(x, full []float64, places []int) {
	for i, at := range places {
		x[i] = full[at]
	}
}
