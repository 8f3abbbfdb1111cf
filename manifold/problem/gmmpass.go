package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// mixtureBlock is the number of elements of a block of samples: what is made of it should stay in the caches.
const mixtureBlock = 1 << 14

// mixturePass is one pass of EM over the samples, in blocks.
type mixturePass[T dense.Float] struct {
	y        []dense.Matrix[T] // blocks of columns (1, x)
	count    int
	z        []dense.Matrix[T] // F^-1 y of a block, for every component
	t        dense.Matrix[T]
	resp     dense.Matrix[T] // components x block: logarithms of densities, then responsibilities
	top, sum []T
	ones     []T
	inv, r   []dense.Matrix[T]
	constant []T
}

// newMixturePass takes samples as rows.
func newMixturePass[T dense.Float](y dense.Matrix[float64], k int) *mixturePass[T] {
	d := y.Cols
	each := min(max(mixtureBlock/d, 64), y.Rows)
	p := &mixturePass[T]{count: y.Rows, t: dense.New[T](d, each), resp: dense.New[T](k, each), top: make([]T, each), sum: make([]T, each),
		ones: ones[T](d), constant: make([]T, k)}
	for first := 0; first < y.Rows; first += each {
		b := dense.New[T](d, min(each, y.Rows-first))
		for i := range b.Cols {
			for j, v := range y.Row(first + i) {
				b.Set(j, i, T(v))
			}
		}
		p.y = append(p.y, b)
	}
	for range k {
		p.z, p.inv, p.r = append(p.z, dense.New[T](d, each)), append(p.inv, dense.New[T](d, d)), append(p.r, dense.New[T](d, d))
	}
	return p
}

// run sets the R of the mixture and returns the mean log-likelihood of its samples. labels, if not nil, receives the component of each.
func (p *mixturePass[T]) run(g *mixture, labels []float64) float64 {
	d := p.t.Rows
	for c, part := range g.parts {
		g.one.Copy(part.l)
		dense.InvertLower(g.one)
		for i, v := range g.one.Data {
			p.inv[c].Data[i] = T(v)
		}
		constant := math.Log(part.share) + (1-float64(d-1)*math.Log(2*math.Pi)-g.pooled.LogDet())/2
		for i := range d {
			constant -= math.Log(part.l.At(i, i))
		}
		p.constant[c] = T(constant)
		p.r[c].Zero()
	}
	var total float64
	for b, y := range p.y {
		total += p.expect(y)
		if labels != nil {
			p.label(labels[b*p.t.Cols:][:y.Cols])
		}
		t := p.like(y, p.t)
		for c := range p.r {
			z := p.like(y, p.z[c])
			for j := range d {
				dense.Multiply(z.Row(j), p.resp.Row(c)[:y.Cols], t.Row(j))
			}
			dense.GemmUpper(dense.NoTrans, dense.Transposed, 1/T(p.count), z, t, 1, p.r[c])
		}
	}
	for c, r := range p.r {
		for i, v := range r.Data {
			g.r[c].Data[i] = float64(v)
		}
		dense.Mirror(g.r[c])
	}
	return total / float64(p.count)
}

// like returns the memory of m in the shape of y.
func (p *mixturePass[T]) like(y, m dense.Matrix[T]) dense.Matrix[T] {
	return dense.Wrap(y.Rows, y.Cols, m.Data[:len(y.Data)])
}

// expect sets z and the responsibilities of a block and returns the sum of its log-likelihoods.
func (p *mixturePass[T]) expect(y dense.Matrix[T]) float64 {
	top, sum, t := p.top[:y.Cols], p.sum[:y.Cols], p.like(y, p.t)
	for c, inv := range p.inv {
		z, resp := p.like(y, p.z[c]), p.resp.Row(c)[:y.Cols]
		dense.MulLower(dense.NoTrans, inv, y, z)
		dense.Multiply(z.Data, z.Data, t.Data)
		dense.Gemv(dense.Transposed, -0.5, t, p.ones, 0, resp)
		for i, v := range resp {
			v += p.constant[c]
			if resp[i] = v; c == 0 || v > top[i] {
				top[i] = v
			}
		}
	}
	clear(sum)
	for c := range p.inv {
		resp := p.resp.Row(c)[:y.Cols]
		dense.Axpy(-1, top, resp)
		dense.Exp(resp, resp)
		dense.Axpy(1, resp, sum)
	}
	var total float64
	for i, s := range sum {
		total += float64(top[i])
		top[i] = 1 / s
	}
	for c := range p.inv {
		resp := p.resp.Row(c)[:y.Cols]
		dense.Multiply(resp, top, resp)
	}
	dense.Log(sum, sum)
	for _, l := range sum {
		total += float64(l)
	}
	return total
}

// label names the component with the largest responsibility.
func (p *mixturePass[T]) label(labels []float64) {
	for i := range labels {
		best := 0
		for c := range p.resp.Rows {
			if p.resp.At(c, i) > p.resp.At(best, i) {
				best = c
			}
		}
		labels[i] = float64(best)
	}
}
