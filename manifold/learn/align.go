package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// AlignOptions configures Align; the zero value is the default.
type AlignOptions struct {
	// Metric is a name of manifold.Metrics, that of the means and of the dispersions; the default is affine-invariant, for which alone the mean of recentred
	// matrices is I exactly.
	Metric string
	// Scale also makes the dispersion of every domain, the mean square distance from I, equal to 1. Of affine-invariant data only.
	Scale bool
}

// Validate returns an error where Scale is asked for in a metric that does not have it.
func (o AlignOptions) Validate() error {
	if o.Scale && o.Metric != "" && o.Metric != affineName {
		return fmt.Errorf("learn: Scale needs the affine-invariant metric, not %s", o.Metric)
	}
	return nil
}

// Alignment moves the matrices of each domain (a session, a subject, a device) to a common centre: X becomes (M^-1/2 X M^-1/2)^s with the mean M of its
// domain and s = 1, or the root of one over the dispersion of the domain. Recentred domains have mean I and can share one classifier. Source: Zanini, Congedo,
// Jutten, Said and Berthoumieu, IEEE Trans. Biomed. Eng. 65 (2018) 1107-1116; scaling: Rodrigues, Jutten and Congedo, IEEE Trans. Biomed. Eng. 66 (2019)
// 2390-2401. The third step of the latter, a rotation that matches the means of classes, is the problem "procrustes" of package problem.
type Alignment struct {
	Domains    []int           // in increasing order
	Means      []*mat.SymDense // of the domains
	Dispersion []float64       // mean square distance from the mean of each domain
	whiten     []*TangentSpace // affine-invariant, at the means
	identity   *TangentSpace   // at I, where the data are scaled; nil without
}

// Align finds the alignment of SPD matrices, domains[i] being that of matrix i. A single mean for each domain, and one distance for each matrix.
func Align(ms []mat.Symmetric, domains []int, o AlignOptions) (*Alignment, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c, err := newCloud(o.Metric, ms)
	if err != nil {
		return nil, err
	}
	if err := sameCount("domains", domains, ms); err != nil {
		return nil, err
	}
	own, members := grouped(domains)
	a := &Alignment{Domains: own}
	if o.Scale {
		if a.identity, err = NewTangentSpace(manifold.IdentityFrame(c.n, 1).Sym(), TangentOptions{}); err != nil {
			return nil, err
		}
	}
	for _, d := range a.Domains {
		if err := a.add(c, members[d]); err != nil {
			return nil, fmt.Errorf("learn: domain %d: %w", d, err)
		}
	}
	return a, nil
}

// add finds the mean and the dispersion of a domain.
func (a *Alignment) add(c *cloud, members []int) error {
	p, _, err := c.mean(members, nil)
	if err != nil {
		return err
	}
	var square float64
	for _, i := range members {
		d, err := c.m.Distance(p, c.points[i])
		if err != nil {
			return err
		}
		square += d * d / float64(len(members))
	}
	if a.identity != nil && math.Sqrt(square) <= rounding(c.m, p) {
		return errors.New("all matrices are equal: their dispersion is 0, and cannot be scaled to 1; align without Scale (method center)")
	}
	mean := matrix(c.m, p)
	t, err := NewTangentSpace(mean, TangentOptions{})
	if err != nil {
		return err
	}
	a.Means, a.Dispersion, a.whiten = append(a.Means, mean), append(a.Dispersion, square), append(a.whiten, t)
	return nil
}

// Apply returns the aligned matrices; a domain that Align has not seen is an error. Two products for each matrix, or a logarithm and an
// exponential with Scale.
func (a *Alignment) Apply(ms []mat.Symmetric, domains []int) (out []*mat.SymDense, err error) {
	if err := sameCount("domains", domains, ms); err != nil {
		return nil, err
	}
	out = make([]*mat.SymDense, len(ms))
	for i, s := range ms {
		k, known := slices.BinarySearch(a.Domains, domains[i])
		if !known {
			return nil, fmt.Errorf("learn: matrix %d: domain %d is not one of %v", i, domains[i], a.Domains)
		}
		if out[i], err = a.move(k, s); err != nil {
			return nil, fmt.Errorf("learn: matrix %d: %w", i, err)
		}
	}
	return out, nil
}

// move aligns a matrix of domain number k.
func (a *Alignment) move(k int, s mat.Symmetric) (*mat.SymDense, error) {
	t := a.whiten[k]
	if absent.Matrix(s) {
		return nil, errors.New("is nil")
	}
	if r := s.SymmetricDim(); r != t.n {
		return nil, fmt.Errorf("has %d rows, want %d", r, t.n)
	}
	if a.identity == nil {
		if err := manifold.CheckSPD(s); err != nil {
			return nil, err
		}
		return congruent(dense.Of(t.at.(*manifold.Frame).Inverse().RawMatrix()), s), nil
	}
	x, err := t.Vectors([]mat.Symmetric{s})
	if err != nil {
		return nil, err
	}
	x.Scale(1/math.Sqrt(a.Dispersion[k]), x)
	moved, err := a.identity.Matrices(x)
	if err != nil {
		return nil, err
	}
	return moved[0], nil
}

// congruent returns w s w^T.
func congruent(w dense.Matrix[float64], s mat.Symmetric) *mat.SymDense {
	n := s.SymmetricDim()
	a, t, out := dense.Of(manifold.DenseOf(s).RawMatrix()), dense.New[float64](w.Rows, n), dense.New[float64](w.Rows, w.Rows)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, w, a, 0, t)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, t, w, 0, out)
	for i := range out.Rows {
		for j := range i {
			v := (out.At(i, j) + out.At(j, i)) / 2
			out.Set(i, j, v)
			out.Set(j, i, v)
		}
	}
	return mat.NewSymDense(out.Rows, out.Data)
}
