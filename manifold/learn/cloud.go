package learn

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/manifold"
)

// geometry is a manifold of SPD matrices with everything that this package needs.
type geometry interface {
	manifold.Matrices
	manifold.Exponential
	manifold.Logarithm
	manifold.Distancer
}

// affineName is the metric that an empty name stands for.
const affineName = "affine-invariant"

// newGeometry returns the manifold of n x n matrices with the named metric.
func newGeometry(metric string, n int) (geometry, error) {
	g, err := manifold.MetricByName(cmp.Or(metric, affineName))
	if err != nil {
		return nil, err
	}
	m, err := g.New(n)
	if err != nil {
		return nil, err
	}
	return m.(geometry), nil
}

// cloud is a set of SPD matrices of one size as points of a metric.
type cloud struct {
	m      geometry
	n      int
	points []manifold.Point
}

// present returns an error that names the first matrix that is nil.
func present(ms []mat.Symmetric) error {
	if k := absent.First(ms); k >= 0 {
		return fmt.Errorf("learn: matrix %d is nil", k)
	}
	return nil
}

func newCloud(metric string, ms []mat.Symmetric) (*cloud, error) {
	if len(ms) == 0 {
		return nil, errors.New("learn: no matrices given")
	}
	if err := present(ms); err != nil {
		return nil, err
	}
	c := &cloud{n: ms[0].SymmetricDim()}
	var err error
	if c.m, err = newGeometry(metric, c.n); err != nil {
		return nil, err
	}
	c.points, err = pointsOf(c.m, ms)
	return c, err
}

func pointsOf(m geometry, ms []mat.Symmetric) ([]manifold.Point, error) {
	points := make([]manifold.Point, len(ms))
	for i, s := range ms {
		var err error
		if points[i], err = m.PointOf(s); err != nil {
			return nil, fmt.Errorf("learn: matrix %d: %w", i, err)
		}
	}
	return points, nil
}

// meanRounding is the share of the spread of the data above which a mean that rounding ended is none.
const meanRounding = 1e-6

// mean returns the Frechet mean of the chosen points, starting from start, which may be nil, and the norm of the mean of the logarithms there.
func (c *cloud) mean(chosen []int, start manifold.Point) (manifold.Point, float64, error) {
	points := make([]manifold.Point, len(chosen))
	for i, k := range chosen {
		points[i] = c.points[k]
	}
	p, r, err := manifold.Mean(c.m, points, nil, manifold.MeanOptions{Start: start})
	var early *manifold.ConvergenceError
	if errors.As(err, &early) && r.Residual <= meanRounding*r.Spread {
		err = nil
		if m, ok := c.m.(manifold.Completer); ok {
			err = m.Complete(p)
		}
	}
	return p, r.Residual, err
}

// matrix returns the matrix of a point.
func matrix(m geometry, p manifold.Point) *mat.SymDense {
	var s mat.SymDense
	m.MatrixOf(&s, p)
	return &s
}

// blur is the share of the length of the tangent matrix S at S itself, a relative change by 1, below which a distance is taken for rounding.
const blur = 1e-12

// rounding returns the distance from p below which matrices count as equal to it.
func rounding(m geometry, p manifold.Point) float64 {
	v := make([]float64, m.VectorLen())
	m.Whiten(v, p, matrix(m, p))
	return blur * math.Sqrt(m.Inner(p, v, v))
}

// distances writes the distances of the points from p.
func distances(dst []float64, m geometry, p manifold.Point, points []manifold.Point) error {
	for i, q := range points {
		var err error
		if dst[i], err = m.Distance(p, q); err != nil {
			return fmt.Errorf("learn: matrix %d: %w", i, err)
		}
	}
	return nil
}

// all returns the numbers below n.
func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// sameCount demands a key (a label, a domain: what) for every matrix.
func sameCount(what string, keys []int, ms []mat.Symmetric) error {
	if len(keys) != len(ms) {
		return fmt.Errorf("learn: there are %d %s for %d matrices", len(keys), what, len(ms))
	}
	return nil
}

// grouped returns the different keys in increasing order, and the places of each.
func grouped(keys []int) (order []int, members map[int][]int) {
	members = map[int][]int{}
	for i, k := range keys {
		members[k] = append(members[k], i)
	}
	return slices.Sorted(maps.Keys(members)), members
}

// Distances returns the m x m matrix of the distances between SPD matrices in the named metric of manifold.Metrics; empty is affine-invariant. m(m-1)/2
// distances of about 5 n^3 operations for the affine-invariant one. Matrices that are not SPD or of different sizes are an error.
func Distances(ms []mat.Symmetric, metric string) (*mat.SymDense, error) {
	c, err := newCloud(metric, ms)
	if err != nil {
		return nil, err
	}
	d, row := mat.NewSymDense(len(ms), nil), make([]float64, len(ms))
	for i, p := range c.points {
		if err := distances(row[:i], c.m, p, c.points[:i]); err != nil {
			return nil, err
		}
		for j, v := range row[:i] {
			d.SetSym(i, j, v)
		}
	}
	return d, nil
}
