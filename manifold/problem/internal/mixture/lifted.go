package mixture

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Lifted is the negative mean log-likelihood of a Gaussian mixture over matrices S_c of order n + 1 and positive weights p_c, of which only the
// proportions pi matter and the sum is held at 1 by the term (log sum p)^2/2 (Hosseini and Sra, Math. Program. 181 (2020)): with y = (x, 1) the density of a component is that of y under N(0, S_c) times
// (2 pi e)^1/2, and at every maximum S_c = [Sigma + mm', m; m', 1]. With z = F_c^-1 y, responsibilities r_ic and R_c = sum_i r_ic/N the whitened
// differential is (R_c I - P_c)/2, P_c = sum_i r_ic z z'/N, in log p_c it is pi_c - R_c. With a_ic the derivative of the logarithm of the density
// times weight along a direction, and b_ic = r_ic (a_ic - sum_k r_ik a_ik), the Hessian is (eta P_c + P_c eta)/4 - sum_i b_ic (z z' - I)/(2N), and
// pi_c (t_c - sum_k pi_k t_k) - sum_i b_ic/N, apart from the term for the sum.
type Lifted struct {
	y        dense.Matrix[float64] // N x (n+1)
	k        int
	Manifold *manifold.Product
	offset   float64 // what the coordinates of the samples add to the cost
	parts    *manifold.Affine
	a        dense.Matrix[float64] // N x k scratch
	t        dense.Matrix[float64] // N x (n+1) scratch
	work     dense.Matrix[float64]
}

type liftedMemo struct {
	z    []dense.Matrix[float64]
	p    []dense.Matrix[float64]
	resp dense.Matrix[float64]
	pi   []float64
	sum  float64 // logarithm of the sum of p
}

func newLifted(x dense.Matrix[float64], k int) (*Lifted, error) {
	N, d := x.Rows, x.Cols+1
	l := &Lifted{y: dense.New[float64](N, d), k: k, a: dense.New[float64](N, k), t: dense.New[float64](N, d), work: dense.New[float64](d, d)}
	for i := range N {
		copy(l.y.Row(i), x.Row(i))
		l.y.Set(i, d-1, 1)
	}
	var err error
	if l.parts, err = manifold.NewAffine(d, manifold.AffineOptions{}); err != nil {
		return nil, err
	}
	weights, err := manifold.NewPositive(k)
	if err != nil {
		return nil, err
	}
	all := make([]manifold.Manifold, k+1)
	for c := range k {
		all[c] = l.parts
	}
	all[k] = weights
	l.Manifold, err = manifold.NewProduct(all, manifold.ProductOptions{})
	return l, err
}

// lift returns the point of a mixture.
func (l *Lifted) lift(g *Mixture) (*manifold.ProductPoint, error) {
	n, p, weights := g.y.Cols-1, &manifold.ProductPoint{}, make([]float64, len(g.parts))
	for c, part := range g.parts {
		weights[c] = part.share
		f := dense.New[float64](n+1, n+1) // rows in the order of y there: x, 1
		for i := range n {
			copy(f.Row(i), part.l.Row(i+1))
		}
		f.Set(n, 0, 1)
		s := dense.New[float64](n+1, n+1)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s)
		frame, err := manifold.NewFrame(mat.NewSymDense(n+1, s.Data))
		if err != nil {
			return nil, fmt.Errorf("component %d: %w", c, err)
		}
		p.Parts = append(p.Parts, frame)
	}
	w, err := manifold.NewPositivePoint(weights)
	p.Parts = append(p.Parts, w)
	return p, err
}

// Lower sets the mixture to the point: S stands for the Gaussian of mean m = S_1n/s, s = S_nn, and covariance S_11 - s m m', times
// s^-1/2 exp((1 - 1/s)/2).
func (l *Lifted) Lower(g *Mixture, p *manifold.ProductPoint) error {
	n := g.y.Cols - 1
	var sum float64
	for c := range l.k {
		s, to := p.Parts[c].(*manifold.Frame).Sym(), g.parts[c].l
		corner := s.At(n, n)
		to.Set(0, 0, 1)
		for i := range n {
			to.Set(i+1, 0, s.At(i, n)/corner)
			for j := range i + 1 {
				to.Set(i+1, j+1, s.At(i, j)-corner*to.At(i+1, 0)*to.At(j+1, 0))
			}
		}
		if dense.Cholesky(to.View(1, 1, n, n)) >= 0 {
			return fmt.Errorf("component %d collapsed: its covariance is not positive definite", c)
		}
		g.parts[c].share = p.Parts[l.k].(*manifold.PositivePoint).X[c] / math.Sqrt(corner) * math.Exp((1-1/corner)/2)
		g.parts[c].invert()
		sum += g.parts[c].share
	}
	for c := range g.parts {
		g.parts[c].share /= sum
	}
	return nil
}

// respond turns rows of logarithms of densities into responsibilities and returns the mean log-likelihood.
func respond(resp dense.Matrix[float64]) float64 {
	var total float64
	for i := range resp.Rows {
		row, top := resp.Row(i), math.Inf(-1)
		for _, l := range row {
			top = max(top, l)
		}
		var sum float64
		for c, l := range row {
			row[c] = math.Exp(l - top)
			sum += row[c]
		}
		dense.Scale(1/sum, row, row)
		total += top + math.Log(sum)
	}
	return total / float64(resp.Rows)
}

// GradientScale implements solve.Scaler: as for em.
func (l *Lifted) GradientScale(float64) float64 { return 1 }

// NewMemo implements solve.Memoizer.
func (l *Lifted) NewMemo() solve.Memo {
	m := &liftedMemo{resp: dense.New[float64](l.y.Rows, l.k), pi: make([]float64, l.k)}
	for range l.k {
		m.z = append(m.z, dense.New[float64](l.y.Rows, l.y.Cols))
		m.p = append(m.p, dense.New[float64](l.y.Cols, l.y.Cols))
	}
	return m
}

// Evaluate implements solve.Objective: one and a half products of the size of the samples for each component.
func (l *Lifted) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	q, m := p.(*manifold.ProductPoint), memo.(*liftedMemo)
	N, d := l.y.Rows, l.y.Cols
	var sum float64
	for c, x := range q.Parts[l.k].(*manifold.PositivePoint).X {
		m.pi[c] = x
		sum += x
	}
	dense.Scale(1/sum, m.pi, m.pi)
	for c := range l.k {
		f := q.Parts[c].(*manifold.Frame)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, l.y, dense.Of(f.Inverse().RawMatrix()), 0, m.z[c])
		constant := math.Log(m.pi[c]) - (float64(d-1)*math.Log(2*math.Pi)-1+f.LogDet())/2
		for i := range N {
			m.resp.Set(i, c, constant-dense.Dot(m.z[c].Row(i), m.z[c].Row(i))/2)
		}
	}
	m.sum = math.Log(sum)
	cost := m.sum*m.sum/2 - respond(m.resp) + l.offset
	if cost-cost != 0 {
		return math.Inf(1), nil
	}
	for c := range l.k {
		share := 0.0
		for i := range N {
			r := m.resp.At(i, c)
			share += r / float64(N)
			dense.Scale(math.Sqrt(r/float64(N)), m.z[c].Row(i), l.t.Row(i))
		}
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, l.t, l.t, 0, m.p[c])
		dense.Mirror(m.p[c])
		g := grad[c*d*d : (c+1)*d*d]
		dense.Scale(-0.5, m.p[c].Data, g)
		for i := range d {
			g[i*d+i] += share / 2
		}
		l.parts.FromWhitened(q.Parts[c].(*manifold.Frame), g)
		grad[l.k*d*d+c] = m.pi[c]*(1+m.sum) - share
	}
	return cost, nil
}

// HessianVec implements solve.Hessian: two products of the size of the samples for each component.
func (l *Lifted) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	q, m := p.(*manifold.ProductPoint), memo.(*liftedMemo)
	N, d := l.y.Rows, l.y.Cols
	weights := v[l.k*d*d:]
	mean := dense.Dot(m.pi, weights)
	for c := range l.k {
		eta := dense.Wrap(d, d, v[c*d*d:(c+1)*d*d])
		var trace float64
		for i := range d {
			trace += eta.At(i, i)
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.z[c], eta, 0, l.t)
		for i := range N {
			l.a.Set(i, c, weights[c]-mean+(dense.Dot(l.t.Row(i), m.z[c].Row(i))-trace)/2)
		}
	}
	for i := range N {
		row, r := l.a.Row(i), m.resp.Row(i)
		center := dense.Dot(row, r)
		for c := range row {
			row[c] = r[c] * (row[c] - center)
		}
	}
	for c := range l.k {
		out, eta := dense.Wrap(d, d, dst[c*d*d:(c+1)*d*d]), dense.Wrap(d, d, v[c*d*d:(c+1)*d*d])
		dense.SymmetricProduct(out, eta, m.p[c], l.work)
		dense.Scale(0.5, out.Data, out.Data)
		var sum float64
		for i := range N {
			b := l.a.At(i, c) / float64(N)
			sum += b
			dense.Scale(b, m.z[c].Row(i), l.t.Row(i))
		}
		dense.GemmUpper(dense.Transposed, dense.NoTrans, -0.5, m.z[c], l.t, 1, out)
		dense.Mirror(out)
		for i := range d {
			out.Set(i, i, out.At(i, i)+sum/2)
		}
		l.parts.FromWhitened(q.Parts[c].(*manifold.Frame), out.Data)
		dst[l.k*d*d+c] = m.pi[c]*((1+m.sum)*(weights[c]-mean)+mean) - sum
	}
	return nil
}

// Lifted returns the objective of the samples and its point at the mixture.
func (g *Mixture) Lifted() (*Lifted, *manifold.ProductPoint, error) {
	l, err := newLifted(g.y.View(0, 1, g.y.Rows, g.y.Cols-1), len(g.parts))
	if err != nil {
		return nil, nil, err
	}
	l.offset = g.pooled.LogDet() / 2
	p, err := l.lift(g)
	return l, p, err
}
