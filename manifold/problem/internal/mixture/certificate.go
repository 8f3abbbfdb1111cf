package mixture

import (
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// certificate estimates the distance of the mixture, which has its R, from a maximum of the likelihood, in lifted matrices and logarithms of weights, by the length
// of the Newton step, to single precision. It also returns the number of Hessian products.
func (g *Mixture) certificate() (solve.Certificate, int) {
	m, p, err := g.space()
	if err != nil {
		return solve.Certificate{Kind: "none"}, 0
	}
	defer func(s stage) { g.stage = s }(g.stage)
	g.stage = single
	i := newInformation(g)
	return solve.Certify(m, i, p, i.gradient(), nil)
}

// space returns the manifold of lifted matrices and weights, in which tangent vectors do not depend on the point, and a point of it.
func (g *Mixture) space() (*manifold.Product, *manifold.ProductPoint, error) {
	d, k := g.y.Cols, len(g.parts)
	lifted, err := manifold.NewAffine(d, manifold.AffineOptions{})
	if err != nil {
		return nil, nil, err
	}
	weights, err := manifold.NewPositive(k)
	if err != nil {
		return nil, nil, err
	}
	one, err := manifold.NewPositivePoint(slices.Repeat([]float64{1}, k))
	if err != nil {
		return nil, nil, err
	}
	var all []manifold.Manifold
	p := &manifold.ProductPoint{}
	for range k {
		all, p.Parts = append(all, lifted), append(p.Parts, manifold.IdentityFrame(d, 1))
	}
	p.Parts = append(p.Parts, one)
	m, err := manifold.NewProduct(append(all, weights), manifold.ProductOptions{})
	return m, p, err
}

// information is the Hessian of the negative mean log-likelihood at a mixture, that of Lifted, from passes over the samples in the precision of the
// stage. A vector holds the whitened changes of the lifted matrices and those of the logarithms of weights.
type information struct {
	*Mixture
	b      dense.Matrix[float64] // components x samples
	m      []dense.Matrix[float64]
	square dense.Matrix[float64]
}

func newInformation(g *Mixture) *information {
	d := g.y.Cols
	i := &information{Mixture: g, b: dense.New[float64](len(g.parts), g.y.Rows), square: dense.New[float64](d, d)}
	for range g.parts {
		i.m = append(i.m, dense.New[float64](d, d))
	}
	return i
}

// split returns the matrices and the logarithms of weights of a vector.
func (i *information) split(v []float64) (matrices []dense.Matrix[float64], logs []float64) {
	d := i.y.Cols
	for range i.parts {
		matrices, v = append(matrices, dense.Wrap(d, d, v[:d*d])), v[d*d:]
	}
	return matrices, v
}

// gradient returns the gradient: (p I - R)/2 for the mean responsibility p, and the share less p.
func (i *information) gradient() []float64 {
	v := make([]float64, len(i.parts)*(i.y.Cols*i.y.Cols+1))
	matrices, logs := i.split(v)
	for c, m := range matrices {
		dense.Scale(-0.5, i.r[c].Data, m.Data)
		m.AddDiagonal(i.counts[c] / 2)
		logs[c] = i.parts[c].share - i.counts[c]
	}
	return v
}

// Evaluate implements solve.Objective at the mixture, whatever the point.
func (i *information) Evaluate(_ manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	value := i.expect()
	if grad != nil {
		copy(grad, i.gradient())
	}
	return -value, nil
}

// HessianVec implements solve.Hessian.
func (i *information) HessianVec(dst []float64, _ manifold.Point, v []float64, _ solve.Memo) error {
	w, logs := i.split(v)
	out, outLogs := i.split(dst)
	p := i.precision()
	i.changes(p, w, i.b)
	for c, t := range logs {
		b, constant := i.b.Row(c), t-w[c].Trace()/2
		for s, q := range b {
			b[s] = constant + q/2
		}
	}
	i.center()
	if i.moments(p, i.b, 0, 0, i.m); p < exact {
		i.whiten(i.m)
	}
	for c := range w {
		share := dense.Sum(i.b.Row(c)) / float64(i.y.Rows)
		dense.SymmetricProduct(out[c], w[c], i.r[c], i.square)
		dense.Axpy(-1, i.m[c].Data, out[c].Data)
		out[c].AddDiagonal(share)
		dense.Scale(0.5, out[c].Data, out[c].Data)
		outLogs[c] = i.parts[c].share*logs[c] - share
	}
	return nil
}

// center turns derivatives a of the logarithms of weighted densities into those of the responsibilities, r (a - sum r a).
func (i *information) center() {
	mean := i.top
	clear(mean)
	for c := range i.parts {
		r := i.resp.Row(c)
		for s, a := range i.b.Row(c) {
			mean[s] += r[s] * a
		}
	}
	for c := range i.parts {
		r, b := i.resp.Row(c), i.b.Row(c)
		for s, a := range b {
			b[s] = r[s] * (a - mean[s])
		}
	}
}

// Precondition implements solve.Preconditioner by the information that the samples would have if their components were known.
func (i *information) Precondition(dst []float64, _ manifold.Point, v []float64, _ solve.Memo) error {
	from, logs := i.split(v)
	to, toLogs := i.split(dst)
	for c, share := range i.counts {
		dense.Scale(2/share, from[c].Data, to[c].Data)
		toLogs[c] = logs[c] / share
	}
	return nil
}
