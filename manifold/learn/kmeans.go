package learn

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// KMeansOptions configures KMeans; all but Source have a default.
type KMeansOptions struct {
	// Metric is a name of manifold.Metrics; the default is affine-invariant.
	Metric string
	// Clusters is the number of groups; default 2.
	Clusters int
	// Restarts is the number of seedings, of which the best is kept; default 10.
	Restarts int
	// MaxIterations bounds the iterations of a restart; default 100.
	MaxIterations int
	// Source draws the seeds; required.
	Source *rand.ChaCha8
	// Stop is asked after every iteration with the inertia so far; true ends the run. Default none.
	Stop func(iterations int, inertia float64) bool
}

// Validate returns an error that names the first field that is out of range.
func (o KMeansOptions) Validate() error {
	switch {
	case o.Clusters < 0:
		return fmt.Errorf("learn: Clusters is %d, want at least 1 (0 for the default, 2)", o.Clusters)
	case o.Restarts < 0:
		return fmt.Errorf("learn: Restarts is %d, want at least 1 (0 for the default, 10)", o.Restarts)
	case o.MaxIterations < 0:
		return fmt.Errorf("learn: MaxIterations is %d, want at least 1 (0 for the default, 100)", o.MaxIterations)
	case o.Source == nil:
		return errors.New("learn: Source is nil, want a source of random numbers")
	}
	return nil
}

// Clusters is what KMeans found: every matrix belongs to the nearest centre, and if it has converged every centre is the mean of its matrices.
type Clusters struct {
	Centres    []*mat.SymDense
	Labels     []int   // of the matrices, from 0
	Inertia    float64 // sum of the squared distances of the matrices from their centres
	Residual   float64 // largest norm of the mean of the logarithms at a centre, which vanishes at the mean
	Iterations int     // of all restarts
	Converged  bool    // whether the best restart ended because no label changed
	Stopped    bool    // whether Stop ended the run
	m          geometry
	at         []manifold.Point
}

// KMeans groups SPD matrices by Lloyd's iteration on Frechet means, from seeds drawn far from each other (k-means++, Arthur and Vassilvitskii, SODA 2007;
// on SPD matrices Goh and Vidal, CVPR 2008). A local minimum of the sum of squared distances: the best of Restarts. Clusters are numbered by their first
// matrix. A cluster that loses its last matrix is seeded again with the matrix farthest from its centre. An iteration takes k distances for each matrix
// and k means.
func KMeans(ms []mat.Symmetric, o KMeansOptions) (*Clusters, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Clusters, o.Restarts, o.MaxIterations = cmp.Or(o.Clusters, 2), cmp.Or(o.Restarts, 10), cmp.Or(o.MaxIterations, 100)
	c, err := newCloud(o.Metric, ms)
	if err != nil {
		return nil, err
	}
	if o.Clusters > len(ms) {
		return nil, fmt.Errorf("learn: %d clusters for %d matrices; ask for fewer", o.Clusters, len(ms))
	}
	rng := rand.New(o.Source)
	l := &lloyd{cloud: c, o: &o, d: make([]float64, len(ms)), labels: make([]int, len(ms)), next: make([]int, len(ms))}
	var best *Clusters
	for range o.Restarts {
		if err := l.seed(rng); err != nil {
			return nil, err
		}
		found, err := l.run()
		if err != nil {
			return nil, err
		}
		if best == nil || found.Inertia < best.Inertia*(1-1e-12) {
			best = found
		}
		if best.Stopped = found.Stopped; best.Stopped {
			break
		}
	}
	best.Iterations = l.iterations
	best.sort()
	for _, p := range best.at {
		best.Centres = append(best.Centres, matrix(c.m, p))
	}
	return best, nil
}

// lloyd is the state of one restart.
type lloyd struct {
	*cloud
	o            *KMeansOptions
	centres      []manifold.Point
	d            []float64 // squared distance of each matrix from its centre
	labels, next []int
	residual     float64
	iterations   int
}

// seed draws the centres: each with a probability that grows with the squared distance from those before.
func (l *lloyd) seed(rng *rand.Rand) error {
	l.centres = l.centres[:0]
	pick := rng.IntN(len(l.points))
	for i := range l.d {
		l.d[i] = math.Inf(1)
	}
	for {
		l.centres = append(l.centres, l.points[pick].Clone())
		if len(l.centres) == l.o.Clusters {
			return nil
		}
		var sum float64
		for i, p := range l.points {
			d, err := l.m.Distance(l.points[pick], p)
			if err != nil {
				return fmt.Errorf("learn: matrix %d: %w", i, err)
			}
			l.d[i] = min(l.d[i], d*d)
			sum += l.d[i]
		}
		at := rng.Float64() * sum
		pick = 0
		for i, d := range l.d {
			if d > 0 {
				pick = i
			}
			if at -= d; at < 0 {
				break
			}
		}
	}
}

// run iterates until no label changes.
func (l *lloyd) run() (*Clusters, error) {
	out := &Clusters{m: l.m}
	if err := l.assign(l.labels); err != nil {
		return nil, err
	}
	for range l.o.MaxIterations {
		if err := l.update(); err != nil {
			return nil, err
		}
		if err := l.assign(l.next); err != nil {
			return nil, err
		}
		l.iterations++
		out.Inertia, out.Residual = 0, l.residual
		for _, d := range l.d {
			out.Inertia += d
		}
		out.Converged = slices.Equal(l.labels, l.next)
		l.labels, l.next = l.next, l.labels
		if l.o.Stop != nil && l.o.Stop(l.iterations, out.Inertia) {
			out.Stopped = true
		}
		if out.Converged || out.Stopped {
			break
		}
	}
	out.Labels = append([]int(nil), l.labels...)
	for _, p := range l.centres {
		out.at = append(out.at, p.Clone())
	}
	return out, nil
}

// assign writes the nearest centre of every matrix; the first of equally near ones.
func (l *lloyd) assign(labels []int) error {
	for i, p := range l.points {
		l.d[i] = math.Inf(1)
		for k, c := range l.centres {
			d, err := l.m.Distance(c, p)
			if err != nil {
				return fmt.Errorf("learn: matrix %d: %w", i, err)
			}
			if d*d < l.d[i] {
				l.d[i], labels[i] = d*d, k
			}
		}
	}
	return nil
}

// update moves every centre to the mean of its matrices.
func (l *lloyd) update() error {
	members := make([][]int, len(l.centres))
	l.residual = 0
	for i, k := range l.labels {
		members[k] = append(members[k], i)
	}
	for k, g := range members {
		if len(g) == 0 {
			far := 0
			for i, d := range l.d {
				if d > l.d[far] {
					far = i
				}
			}
			l.centres[k], l.d[far] = l.points[far].Clone(), 0
			continue
		}
		p, residual, err := l.mean(g, l.centres[k])
		if err != nil {
			return fmt.Errorf("learn: the mean of cluster %d: %w", k, err)
		}
		l.centres[k], l.residual = p, max(l.residual, residual)
	}
	return nil
}

// sort numbers the clusters by their first matrix; clusters without matrices come last.
func (c *Clusters) sort() {
	number := make([]int, len(c.at))
	for k := range number {
		number[k] = -1
	}
	var order []int
	for i, k := range c.Labels {
		if number[k] < 0 {
			number[k] = len(order)
			order = append(order, k)
		}
		c.Labels[i] = number[k]
	}
	for k := range c.at {
		if number[k] < 0 {
			order = append(order, k)
		}
	}
	at := make([]manifold.Point, len(order))
	for i, k := range order {
		at[i] = c.at[k]
	}
	c.at = at
}

// Assign returns the cluster of the centre that is nearest to each matrix.
func (c *Clusters) Assign(ms []mat.Symmetric) ([]int, error) {
	points, err := pointsOf(c.m, ms)
	if err != nil {
		return nil, err
	}
	l := &lloyd{cloud: &cloud{m: c.m, points: points}, centres: c.at, d: make([]float64, len(ms))}
	labels := make([]int, len(ms))
	return labels, l.assign(labels)
}
