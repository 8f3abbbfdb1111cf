package problem

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// mixtureSamples are samples in coordinates x in which their mean is 0 and their covariance I, as rows y = (1, x).
type mixtureSamples struct {
	y      dense.Matrix[float64] // N x (n+1)
	mean   []float64
	pooled *manifold.Frame // triangular
}

func newMixtureSamples(x dense.Matrix[float64]) (*mixtureSamples, error) {
	N, n := x.Rows, x.Cols
	s := &mixtureSamples{y: dense.New[float64](N, n+1), mean: make([]float64, n)}
	for i := range N {
		dense.Axpy(1/float64(N), x.Row(i), s.mean)
	}
	for i := range N {
		dense.Axpy(-1, s.mean, x.Row(i))
		s.y.Set(i, 0, 1)
	}
	cov := dense.New[float64](n, n)
	dense.GemmUpper(dense.Transposed, dense.NoTrans, 1/float64(N), x, x, 0, cov)
	var err error
	if s.pooled, err = gramFrame(symmetric(cov), x); err != nil {
		return nil, err
	}
	dense.MulLowerRight(dense.Transposed, view(s.pooled.Inverse()), x, s.y.View(0, 1, N, n))
	return s, nil
}

// component is a share pi and the triangular factor [1 0; m L] of the lifted matrix S = [1 m'; m Sigma + m m'], Sigma = L L'.
type component struct {
	share float64
	l     dense.Matrix[float64]
}

// mixture is a Gaussian mixture on samples with, after expect, R = sum_i r_i z z'/N for every component: z = F^-1 y, F its factor, and r the
// responsibilities. The next component of EM has share R_00 and lifted matrix F R F'/R_00.
type mixture struct {
	*mixtureSamples
	parts     []component
	r         []dense.Matrix[float64]
	one, work dense.Matrix[float64] // scratch, (n+1) x (n+1)
	double    *mixturePass[float64]
	single    *mixturePass[float32]
	precise   bool // passes in double precision
}

func newMixture(s *mixtureSamples, k int) *mixture {
	d := s.y.Cols
	square := func() dense.Matrix[float64] { return dense.New[float64](d, d) }
	g := &mixture{mixtureSamples: s, one: square(), work: square(), double: newMixturePass[float64](s.y, k), single: newMixturePass[float32](s.y, k)}
	for range k {
		c := component{1 / float64(k), square()}
		c.l.Identity()
		g.parts, g.r = append(g.parts, c), append(g.r, square())
	}
	return g
}

// components returns a copy of the components.
func (g *mixture) components() []component {
	var out []component
	for _, p := range g.parts {
		out = append(out, component{p.share, p.l.Clone()})
	}
	return out
}

func copyComponents(to, from []component) {
	for c, p := range from {
		to[c].share = p.share
		to[c].l.Copy(p.l)
	}
}

// expect sets the R and returns the mean log-likelihood of the samples in the coordinates that they came in.
func (g *mixture) expect() float64 {
	if g.precise || !g.wide() {
		return g.double.run(g, nil)
	}
	return g.single.run(g, nil)
}

// maximize makes the step of EM from the R.
func (g *mixture) maximize() error {
	for c, r := range g.r {
		if err := g.update(c, r); err != nil {
			return err
		}
	}
	return nil
}

// update replaces component c by the one of share r_00 and lifted matrix F r F'/r_00, F its factor.
func (g *mixture) update(c int, r dense.Matrix[float64]) error {
	p := &g.parts[c]
	share := r.At(0, 0)
	if err := g.enough(c, share); err != nil {
		return err
	}
	dense.Scale(1/share, r.Data, g.one.Data)
	if dense.Cholesky(g.one) >= 0 {
		return fmt.Errorf("component %d collapsed: its covariance is not positive definite", c)
	}
	dense.MulLower(dense.NoTrans, p.l, g.one, g.work)
	p.l.Copy(g.work)
	p.share = share
	return g.spread(c)
}

// enough tells whether a component of that share has samples.
func (g *mixture) enough(c int, share float64) error {
	if !(share*float64(g.y.Rows) > float64(g.y.Cols-1)*1e-3) {
		return fmt.Errorf("component %d has lost its samples", c)
	}
	return nil
}

// leastDeviation is the smallest standard deviation of a component in any direction given the others, relative to that of all samples, and singleDeviation the
// one at which single precision still knows to a thousandth where in its component a sample lies.
const leastDeviation, singleDeviation = 1e-8, 1e-4

// wide tells whether the components are large enough for single precision.
func (g *mixture) wide() bool {
	for _, p := range g.parts {
		for i := range p.l.Rows {
			if p.l.At(i, i) < singleDeviation {
				return false
			}
		}
	}
	return true
}

// spread tells whether component c has a volume.
func (g *mixture) spread(c int) error {
	for i := range g.y.Cols {
		if v := g.parts[c].l.At(i, i); !(v > leastDeviation) {
			return fmt.Errorf("component %d collapsed: its spread in one direction is %.2g of that of the samples", c, v)
		}
	}
	return nil
}

// gradient returns the Riemannian gradient norm of the negative mean log-likelihood, in weights (as logarithms) and in lifted matrices
// S_c (Hosseini and Sra, Math. Program. 181 (2020)): the whitened one of S_c is (R_00 I - R)/2, and R_00 less the share that of the weight.
func (g *mixture) gradient() (float64, error) {
	var square float64
	for c, r := range g.r {
		count := r.At(0, 0)
		for i := range r.Rows {
			for j, v := range r.Row(i) {
				if i == j {
					v -= count
				}
				square += v * v / 4
			}
		}
		w := count - g.parts[c].share
		square += w * w
	}
	if math.IsNaN(square) {
		return 0, errors.New("the likelihood is not finite")
	}
	return math.Sqrt(square), nil
}

// outcome turns the components back into the coordinates of the samples.
func (g *mixture) outcome(r *solve.Result) *outcome {
	N, n, k := g.y.Rows, g.y.Cols-1, len(g.parts)
	labels, weights, means := make([]float64, N), make([]float64, k), mat.NewDense(k, n, nil)
	g.double.run(g, labels)
	covariances := Part{Name: "covariances"}
	for c, p := range g.parts {
		weights[c] = p.share
		f, s := dense.New[float64](n, n), dense.New[float64](n, n)
		dense.MulLower(dense.NoTrans, view(g.pooled.F()), p.l.View(1, 1, n, n), f)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, s)
		dense.Mirror(s)
		covariances.Matrices = append(covariances.Matrices, mat.NewDense(n, n, s.Data))
		m := make([]float64, n)
		for i := range m {
			m[i] = p.l.At(i+1, 0)
		}
		to := means.RawRowView(c)
		copy(to, g.mean)
		dense.Gemv(dense.NoTrans, 1, view(g.pooled.F()), m, 1, to)
	}
	return &outcome{run: r, n: n, count: N, solution: g.pooled.Sym(), parts: []Part{vectorPart("weights", weights),
		{Name: "means", Matrices: []*mat.Dense{means}}, covariances, vectorPart("labels", labels)}}
}
