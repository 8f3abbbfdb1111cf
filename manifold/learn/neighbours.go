package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// NeighbourOptions configures NewNeighbours; the zero value is the default.
type NeighbourOptions struct {
	// Metric is a name of manifold.Metrics; the default is affine-invariant.
	Metric string
	// Count is the number of neighbours that vote; default 5, at most all examples.
	Count int
}

// Validate returns an error that names the first field that is out of range.
func (o NeighbourOptions) Validate() error {
	if o.Count < 0 {
		return fmt.Errorf("learn: Count is %d, want at least 1 (0 for the default, 5)", o.Count)
	}
	return nil
}

// Neighbours classifies an SPD matrix by the vote of the nearest examples.
type Neighbours struct {
	m      geometry
	points []manifold.Point
	labels []int
	count  int
}

// NewNeighbours keeps the examples with their classes.
func NewNeighbours(ms []mat.Symmetric, labels []int, o NeighbourOptions) (*Neighbours, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c, err := newCloud(o.Metric, ms)
	if err != nil {
		return nil, err
	}
	if err := sameCount("labels", labels, ms); err != nil {
		return nil, err
	}
	return &Neighbours{m: c.m, points: c.points, labels: slices.Clone(labels), count: min(cmp.Or(o.Count, 5), len(ms))}, nil
}

// Classify returns the class that most of the neighbours of each matrix have; of classes with equal votes the one whose neighbours have the least sum of
// distances. The second result is the share of the votes that it got. A distance for each example and matrix.
func (b *Neighbours) Classify(ms []mat.Symmetric) (labels []int, shares []float64, err error) {
	points, err := pointsOf(b.m, ms)
	if err != nil {
		return nil, nil, err
	}
	d, order := make([]float64, len(b.points)), make([]int, len(b.points))
	labels, shares = make([]int, len(ms)), make([]float64, len(ms))
	for i, p := range points {
		if err := distances(d, b.m, p, b.points); err != nil {
			return nil, nil, err
		}
		for k := range order {
			order[k] = k
		}
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(d[x], d[y]) })
		labels[i], shares[i] = b.vote(order[:b.count], d)
	}
	return labels, shares, nil
}

func (b *Neighbours) vote(near []int, d []float64) (label int, share float64) {
	most, sum := 0, math.Inf(1)
	for _, k := range near {
		count, total := 0, 0.0
		for _, j := range near {
			if b.labels[j] == b.labels[k] {
				count++
				total += d[j]
			}
		}
		if count > most || count == most && total < sum {
			most, sum, label = count, total, b.labels[k]
		}
	}
	return label, float64(most) / float64(len(near))
}
