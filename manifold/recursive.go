package manifold

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

var almAverage = Average{
	Name: "alm",
	What: "Ando, Li and Mathias: each of m matrices is replaced by the mean of the others, over and over; at most 5 matrices, equal weights",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		return recursiveMean(ms, weights, o.MeanOptions, "ALM", 5, func(int) float64 { return 1 })
	},
}

var bmpAverage = Average{
	Name: "bmp",
	What: "Bini, Meini and Poloni: each of m matrices moves to the share (m-1)/m of the way to the mean of the others; at most 7 matrices, equal weights",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		return recursiveMean(ms, weights, o.MeanOptions, "BMP", 7, func(m int) float64 { return float64(m-1) / float64(m) })
	},
}

// ALMMean returns the geometric mean of Ando, Li and Mathias, Linear Algebra Appl. 385 (2004) 305-334: for two matrices the midpoint of their geodesic, for m
// the common limit when each is replaced by the mean of the m - 1 others. Invariant under permutation, equivariant under congruence and inversion, monotone.
// It converges linearly, with the rate 1/2 at every level of the recursion, so that more than 5 matrices are refused: BMPMean, CheapMean and Mean are
// geometric means too. Start is ignored.
func ALMMean(ms []mat.Symmetric, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := almAverage.Mean(ms, nil, AverageOptions{MeanOptions: o})
	return x, err
}

// BMPMean returns the geometric mean of Bini, Meini and Poloni, Math. Comp. 79 (2010) 437-452: as ALMMean, but each matrix moves along the geodesic to the mean
// of the others by (m-1)/m only. It has the same properties, is another mean for m > 2, and converges cubically; more than 7 matrices are refused. Start is
// ignored.
func BMPMean(ms []mat.Symmetric, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := bmpAverage.Mean(ms, nil, AverageOptions{MeanOptions: o})
	return x, err
}

// recursiveMean is ALMMean where share is 1 and BMPMean where share(m) is (m-1)/m.
func recursiveMean(ms []mat.Symmetric, weights []float64, o MeanOptions, name string, most int, share func(m int) float64) (*mat.SymDense, MeanReport, error) {
	frames, w, _, err := framesToAverage(ms, weights, &o)
	if err != nil {
		return nil, MeanReport{}, err
	}
	for k, v := range w {
		if math.Abs(v-w[0]) > 1e-12*w[0] {
			return nil, MeanReport{}, fmt.Errorf("manifold: the %s mean has no weights, but weight %d differs; give equal ones or take another mean", name, k)
		}
	}
	if len(ms) > most {
		return nil, MeanReport{}, fmt.Errorf("manifold: the recursion of the %s mean takes too long for %d matrices (at most %d); take the cheap or the affine-invariant mean",
			name, len(ms), most)
	}
	o = o.withDefaults()
	n := frames[0].Dim()
	r := &recursion{m: affine(n), share: share, o: o}
	if r.report.Spread, err = spreadAbout(frames[0], frames, w); err != nil {
		return nil, r.report, err
	}
	r.tolerance = max(o.Tolerance*r.report.Spread, 0x1p-48*float64(n))
	for m := range len(frames) + 1 {
		l := level{next: make([]*Frame, m), mean: IdentityFrame(n, 1)}
		for k := range m {
			l.here, l.next[k] = append(l.here, IdentityFrame(n, 1)), IdentityFrame(n, 1)
		}
		r.levels = append(r.levels, l)
	}
	x := IdentityFrame(n, 1)
	err = r.mean(x, frames)
	if err != nil {
		x = r.levels[len(frames)].here[0]
	}
	return lastIterate(x, err), r.report, err
}

// recursion computes means of m matrices from means of m - 1.
type recursion struct {
	m         *Affine
	share     func(m int) float64
	tolerance float64
	o         MeanOptions
	levels    []level
	report    MeanReport // of the top level
}

// level is the scratch space for m matrices.
type level struct {
	here, next []*Frame
	mean       *Frame
}

// mean sets dst to the mean of the points, which stay as they are. The points of a level contract to one; when they are within the tolerance of each other
// they are averaged along geodesics.
func (r *recursion) mean(dst *Frame, points []*Frame) error {
	switch len(points) {
	case 1:
		dst.CopyFrom(points[0])
		return nil
	case 2:
		return r.m.Between(dst, points[0], points[1], 0.5)
	}
	m := len(points)
	l := &r.levels[m]
	for k, p := range points {
		l.here[k].CopyFrom(p)
	}
	for k := 1; ; k++ {
		if err := r.contract(l, m); err != nil {
			return err
		}
		apart, err := r.diameter(l.here)
		if err != nil {
			return err
		}
		top := m == len(r.levels)-1
		if top {
			r.report.Iterations, r.report.Residual = k, apart
		}
		switch {
		case apart <= r.tolerance:
			return r.average(dst, l)
		case k == r.o.MaxIterations:
			return &ConvergenceError{Report: r.report, Limit: r.tolerance}
		case top:
			if err := r.o.over(r.report, r.tolerance); err != nil {
				return err
			}
		}
	}
}

// contract makes one step of the recursion at a level.
func (r *recursion) contract(l *level, m int) error {
	below := make([]*Frame, 0, m)
	for h := range m {
		below = append(append(below[:0], l.here[:h]...), l.here[h+1:]...)
		if err := r.mean(l.mean, below); err != nil {
			return err
		}
		if s := r.share(m); s == 1 {
			l.next[h].CopyFrom(l.mean)
		} else if err := r.m.Between(l.next[h], l.here[h], l.mean, s); err != nil {
			return err
		}
	}
	l.here, l.next = l.next, l.here
	return nil
}

// diameter returns the largest distance of neighbours on the circle of points.
func (r *recursion) diameter(points []*Frame) (float64, error) {
	var largest float64
	for k, p := range points {
		d, err := r.m.Distance(p, points[(k+1)%len(points)])
		if err != nil {
			return 0, err
		}
		largest = max(largest, d)
	}
	return largest, nil
}

// average sets dst to the inductive mean of points that are close to each other.
func (r *recursion) average(dst *Frame, l *level) error {
	dst.CopyFrom(l.here[0])
	for k, p := range l.here[1:] {
		if err := r.m.Between(l.mean, dst, p, 1/float64(k+2)); err != nil {
			return err
		}
		dst.CopyFrom(l.mean)
	}
	return nil
}
