package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var classify = Problem{
	Name:  "classify",
	What:  "classes of SPD matrices from labelled examples; matrices with a negative label are classified; the solution is the mean of the examples",
	Input: "SPD matrices (an m x n x n stack or several files) and a label for each",
	Takes: Matrices | Labels,
	Own: []Method{{
		Name:   "mdm",
		What:   "minimum distance to the class means in the affine-invariant metric (Barachant et al., IEEE Trans. Biomed. Eng. 59 (2012))",
		direct: classifyBy(minimumDistance, ""),
	}, {
		Name:   "tangent",
		What:   "linear discriminant, shrunk as by Ledoit and Wolf, on the logarithms at the mean of all examples (Barachant et al., 2013)",
		direct: classifyBy(tangentDiscriminant, ""),
	}, {
		Name:   "trust",
		What:   "as mdm, with the means by the general Riemannian trust region, as a cross-check",
		direct: classifyBy(minimumDistance, "trust"),
	}},
}

// classifier holds the examples. score, which a rule sets, is m x classes; the smallest of a row decides.
type classifier struct {
	frames  []*manifold.Frame
	m       *manifold.Affine
	names   []int
	members [][]int
	means   []*Result // of the classes
	mean    *Result   // of all examples
	score   *mat.Dense
	method  string // of the means
}

func classifyBy(rule func(c *classifier) error, method string) func(*Data, *Options) (*outcome, error) {
	return func(d *Data, o *Options) (*outcome, error) {
		c := &classifier{method: method}
		var err error
		if c.frames, err = factorMatrices(d.Matrices); err != nil {
			return nil, err
		}
		if c.names, c.members, err = classes(d.Labels, len(d.Matrices), "matrix"); err != nil {
			return nil, err
		}
		if c.m, err = manifold.NewAffine(c.frames[0].Dim(), manifold.AffineOptions{Kappa: o.Kappa}); err != nil {
			return nil, err
		}
		var examples []int
		for _, g := range c.members {
			r, err := c.meanOf(d, g, o)
			if err != nil {
				return nil, err
			}
			c.means = append(c.means, r)
			examples = append(examples, g...)
		}
		if c.mean, err = c.meanOf(d, examples, o); err != nil {
			return nil, err
		}
		c.score = mat.NewDense(len(c.frames), len(c.names), nil)
		if err := rule(c); err != nil {
			return nil, fmt.Errorf("classify: %w", err)
		}
		return c.outcome(d.Labels), nil
	}
}

func (c *classifier) meanOf(d *Data, members []int, o *Options) (*Result, error) {
	var some []mat.Symmetric
	for _, i := range members {
		some = append(some, d.Matrices[i])
	}
	options := Options{Method: c.method, Kappa: o.Kappa, Solver: o.Solver}
	options.Solver.Checkpoint = nil // there are several runs
	return mean.Solve(Data{Matrices: some}, &options)
}

func minimumDistance(c *classifier) error {
	for j, r := range c.means {
		p, err := manifold.NewFrame(r.Solution)
		if err != nil {
			return err
		}
		for i, f := range c.frames {
			v, err := c.m.Distance(p, f)
			if err != nil {
				return fmt.Errorf("matrix %d: %w", i, err)
			}
			c.score.Set(i, j, v)
		}
	}
	return nil
}

// tangentDiscriminant scores by 1/2 (v - m_c)' S^-1 (v - m_c) - log prior, v the upper triangle of the whitened logarithm with off-diagonal entries
// times sqrt 2, S the shrunk covariance within classes.
func tangentDiscriminant(c *classifier) error {
	p, err := manifold.NewFrame(c.mean.Solution)
	if err != nil {
		return err
	}
	n := p.Dim()
	features := dense.New[float64](len(c.frames), n*(n+1)/2)
	eta := make([]float64, n*n)
	for i, f := range c.frames {
		if err := c.m.Log(eta, p, f); err != nil {
			return fmt.Errorf("matrix %d: %w", i, err)
		}
		dense.PackSymmetric(dense.Wrap(n, n, eta), features.Row(i))
	}
	return c.discriminate(features)
}

func (c *classifier) discriminate(v dense.Matrix[float64]) error {
	var total int
	centers := dense.New[float64](len(c.names), v.Cols)
	for j, g := range c.members {
		for _, i := range g {
			dense.Axpy(1/float64(len(g)), v.Row(i), centers.Row(j))
		}
		total += len(g)
	}
	residuals, r := mat.NewDense(total, v.Cols, nil), 0
	for j, g := range c.members {
		for _, i := range g {
			row := residuals.RawRowView(r)
			copy(row, v.Row(i))
			dense.Axpy(-1, centers.Row(j), row)
			r++
		}
	}
	s, err := shrinkage.Solve(Data{Samples: residuals}, &Options{Method: "ledoit-wolf"})
	if err != nil {
		return fmt.Errorf("covariance within classes: %w", err)
	}
	f, err := manifold.NewFrame(s.Solution)
	if err != nil {
		return err
	}
	e, z := make([]float64, v.Cols), make([]float64, v.Cols)
	for i := range v.Rows {
		for j, g := range c.members {
			copy(e, v.Row(i))
			dense.Axpy(-1, centers.Row(j), e)
			dense.Gemv(dense.NoTrans, 1, view(f.Inverse()), e, 0, z)
			c.score.Set(i, j, dense.Dot(z, z)/2-math.Log(float64(len(g))/float64(total)))
		}
	}
	return nil
}

func (c *classifier) outcome(labels []int) *outcome {
	count := len(c.frames)
	found := make([]float64, count)
	right, examples := 0, 0
	for i := range count {
		best := 0
		for j := range c.names {
			if c.score.At(i, j) < c.score.At(i, best) {
				best = j
			}
		}
		found[i] = float64(c.names[best])
		if labels[i] >= 0 {
			examples++
			if labels[i] == c.names[best] {
				right++
			}
		}
	}
	r := &solve.Result{Converged: true, Objective: 1 - float64(right)/float64(examples), GradientNorm: c.mean.GradientNorm,
		RelativeGradient: c.mean.RelativeGradient, Certificate: c.mean.Certificate,
		Reason: solve.Reason{Name: "means", Detail: fmt.Sprintf("%d of %d examples classified as labelled", right, examples), Converged: true}}
	means, names := Part{Name: "means"}, make([]float64, len(c.names))
	for j, m := range append(c.means, c.mean) {
		r.Iterations += m.Iterations
		r.Evaluations += m.Evaluations
		r.HessianProducts += m.HessianProducts
		if r.Converged && !m.Converged {
			r.Converged = false
			r.Reason = solve.Reason{Name: "means", Detail: "a mean did not converge: " + m.Reason, Advice: m.Advice}
		}
		if j < len(names) {
			names[j] = float64(c.names[j])
			means.Matrices = append(means.Matrices, manifold.DenseOf(m.Solution))
		}
	}
	return &outcome{run: r, n: c.m.Dim(), count: count, solution: c.mean.Solution, parts: []Part{vectorPart("labels", found),
		vectorPart("classes", names), means, {Name: "scores", Matrices: []*mat.Dense{c.score}}}}
}
