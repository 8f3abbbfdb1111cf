package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
)

// PatternOptions configures CommonSpatialPatterns; the zero value is the default.
type PatternOptions struct {
	// Metric is a name of manifold.Metrics, that of the means of the classes; the default is euclidean, the usual one.
	Metric string
	// Count is the number of filters; default 4, at most all n.
	Count int
}

// Validate returns an error that names the first field that is out of range.
func (o PatternOptions) Validate() error {
	if o.Count < 0 {
		return fmt.Errorf("learn: Count is %d, want at least 1 (0 for the default, 4)", o.Count)
	}
	return nil
}

// Patterns are linear combinations of the variables, the filters, under which the mean covariances of all classes are diagonal together (of more than two
// classes as nearly as can be) and that of all data is I on the diagonal.
type Patterns struct {
	Classes  []int      // in increasing order
	Filters  *mat.Dense // k x n: a filter is a row
	Patterns *mat.Dense // n x k: column i is how much of filter i each variable shows, the matching columns of the inverse of all n filters
	Variance *mat.Dense // k x classes: variance of each class under each filter
	// Value orders the filters, the best first: of two classes the distance from 1/2 of the share of the first class in the sum of the variances, of more
	// the approximate mutual information with the class.
	Value []float64
}

// CommonSpatialPatterns finds the filters whose variances tell the classes of covariance matrices apart. Two classes: the generalised eigenvectors of the
// means (Ramoser, Muller-Gerking and Pfurtscheller, IEEE Trans. Rehabil. Eng. 8 (2000) 441-446). More: the joint diagonalizer of the means, ordered by mutual
// information (Grosse-Wentrup and Buss, IEEE Trans. Biomed. Eng. 55 (2008) 1991-2000, equation 16, classes equally likely). The logarithms of the variances of
// filtered data are the usual features.
func CommonSpatialPatterns(ms []mat.Symmetric, labels []int, o PatternOptions) (*Patterns, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c, err := newCloud(cmp.Or(o.Metric, "euclidean"), ms)
	if err != nil {
		return nil, err
	}
	if err := sameCount("labels", labels, ms); err != nil {
		return nil, err
	}
	classes, members := grouped(labels)
	p := &Patterns{Classes: classes}
	if len(p.Classes) < 2 {
		return nil, fmt.Errorf("learn: %d classes, want at least two", len(p.Classes))
	}
	var means []mat.Symmetric
	for _, l := range p.Classes {
		x, _, err := c.mean(members[l], nil)
		if err != nil {
			return nil, fmt.Errorf("learn: the mean of class %d: %w", l, err)
		}
		means = append(means, matrix(c.m, x))
	}
	b, err := diagonalizer(means)
	if err != nil {
		return nil, err
	}
	return p, p.choose(b, means, min(cmp.Or(o.Count, 4), c.n))
}

// diagonalizer returns B for which B M_k B^T are diagonal, or nearly so.
func diagonalizer(means []mat.Symmetric) (*mat.Dense, error) {
	if len(means) > 2 {
		b, err := manifold.JointDiagonalizer(means, nil, manifold.MeanOptions{})
		if err != nil {
			return nil, fmt.Errorf("learn: joint diagonalization: %w", err)
		}
		return b, nil
	}
	n := means[0].SymmetricDim()
	var sum mat.SymDense
	sum.AddSym(means[0], means[1])
	f, err := manifold.NewFrame(&sum)
	if err != nil {
		return nil, fmt.Errorf("learn: the sum of the class means: %w", err)
	}
	inv := dense.Of(f.Inverse().RawMatrix())
	whitened := congruent(inv, means[0])
	q, values := dense.Of(mat.DenseCopyOf(whitened).RawMatrix()), make([]float64, n)
	if !eigen.Sym(q, values) {
		return nil, &manifold.PointError{What: "the mean of the first class has a NaN or Inf entry"}
	}
	b := mat.NewDense(n, n, nil)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, q, inv, 0, dense.Of(b.RawMatrix()))
	return b, nil
}

// choose scales the rows of b so that the mean variance of the classes is 1 under each, and keeps the count best.
func (p *Patterns) choose(b *mat.Dense, means []mat.Symmetric, count int) error {
	n, _ := b.Dims()
	variance, value, order := mat.NewDense(n, len(means), nil), make([]float64, n), all(n)
	for i := range n {
		row := mat.NewVecDense(n, b.RawRowView(i))
		for k, s := range means {
			variance.Set(i, k, mat.Inner(row, s, row))
		}
		v := variance.RawRowView(i)
		scale := float64(len(means)) / mat.Sum(variance.RowView(i))
		dense.Scale(scale, v, v)
		dense.Scale(math.Sqrt(scale), b.RawRowView(i), b.RawRowView(i))
		orient(b.RawRowView(i))
		value[i] = worth(v)
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(value[j], value[i]) })
	var inverse mat.Dense
	if err := inverse.Inverse(b); err != nil {
		return fmt.Errorf("learn: the filters depend on each other to rounding: %w", err)
	}
	p.Filters, p.Patterns, p.Variance = mat.NewDense(count, n, nil), mat.NewDense(n, count, nil), mat.NewDense(count, len(means), nil)
	for i, k := range order[:count] {
		p.Filters.SetRow(i, b.RawRowView(k))
		p.Variance.SetRow(i, variance.RawRowView(k))
		p.Patterns.SetCol(i, mat.Col(nil, k, &inverse))
		p.Value = append(p.Value, value[k])
	}
	return nil
}

// worth says how well variances with mean 1 tell the classes apart.
func worth(v []float64) float64 {
	if len(v) == 2 {
		return math.Abs(v[0]/2 - 0.5)
	}
	var information, square float64
	for _, x := range v {
		information -= math.Log(x) / 2 / float64(len(v))
		square += (x*x - 1) / float64(len(v))
	}
	return information - 3.0/16*square*square
}

// Apply returns the covariances of the filtered data, W S W^T with k rows.
func (p *Patterns) Apply(ms []mat.Symmetric) ([]*mat.SymDense, error) {
	if err := present(ms); err != nil {
		return nil, err
	}
	_, n := p.Filters.Dims()
	out := make([]*mat.SymDense, len(ms))
	for i, s := range ms {
		if r := s.SymmetricDim(); r != n {
			return nil, fmt.Errorf("learn: matrix %d has %d rows, want %d", i, r, n)
		}
		out[i] = congruent(dense.Of(p.Filters.RawMatrix()), s)
	}
	return out, nil
}
