package manifold

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// PowerOptions configures NewPowerEuclidean; the zero value is the default.
type PowerOptions struct {
	// Alpha is the power, from -2 to 2 and at least 1e-3 in magnitude; the default for 0 is 1/2. 1 is the Euclidean metric, -1 the Euclidean
	// metric of the inverses (whose mean is harmonic); for Alpha towards 0 the metric tends to LogEuclidean.
	Alpha float64
}

// Validate returns an error that names the first field that is out of range.
func (o PowerOptions) Validate() error {
	if o.Alpha != 0 && !(math.Abs(o.Alpha) >= 1e-3 && math.Abs(o.Alpha) <= 2) {
		return fmt.Errorf("manifold: Alpha is %v, want 1e-3 to 2 in magnitude (0 for the default, 1/2); for the limit 0 take the log-Euclidean metric", o.Alpha)
	}
	return nil
}

// PowerEuclidean is the manifold of n x n SPD matrices with the power-Euclidean metric: S -> S^alpha/alpha is an isometry into the symmetric
// matrices, so that the distance is ||A^alpha - B^alpha||_F/|alpha| and the mean of many is (mean A_k^alpha)^(1/alpha). Points are
// *EigenPoint; the coordinates of a tangent matrix U are the derivative of S^alpha/alpha in direction U. Flat, but not complete: a geodesic
// reaches the boundary of the cone in finite time, and a step beyond it is a *PointError that says so. Source: Dryden, Koloydenko and Zhou,
// Ann. Appl. Stat. 3 (2009) 1102-1123; Thanwerdas and Pennec, Differential Geom. Appl. 81 (2022).
type PowerEuclidean struct {
	flat
	alpha float64
}

var (
	_ Matrices        = (*PowerEuclidean)(nil)
	_ Exponential     = (*PowerEuclidean)(nil)
	_ Logarithm       = (*PowerEuclidean)(nil)
	_ Distancer       = (*PowerEuclidean)(nil)
	_ RandomTangenter = (*PowerEuclidean)(nil)
	_ Checker         = (*PowerEuclidean)(nil)
	_ FreeTransporter = (*PowerEuclidean)(nil)
)

var powerEuclidean = Metric{
	Name: "power-euclidean",
	What: "||A^a - B^a||/|a| with a = 1/2: flat but bounded by the cone, closed-form mean; accepts nearly singular matrices",
	New:  func(n int) (Manifold, error) { return NewPowerEuclidean(n, PowerOptions{}) },
}

var euclidean = Metric{
	Name: "euclidean",
	What: "||A - B||: flat but bounded by the cone; its mean is the arithmetic one",
	New:  func(n int) (Manifold, error) { return NewPowerEuclidean(n, PowerOptions{Alpha: 1}) },
}

var inverseEuclidean = Metric{
	Name: "inverse-euclidean",
	What: "||A^-1 - B^-1||: flat but bounded by the cone; its mean is the harmonic one",
	New:  func(n int) (Manifold, error) { return NewPowerEuclidean(n, PowerOptions{Alpha: -1}) },
}

// NewPowerEuclidean returns the power-Euclidean manifold of n x n SPD matrices.
func NewPowerEuclidean(n int, o PowerOptions) (*PowerEuclidean, error) {
	if n < 1 {
		return nil, fmt.Errorf("manifold: n is %d, want at least 1", n)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	alpha := o.Alpha
	if alpha == 0 {
		alpha = 0.5
	}
	return &PowerEuclidean{alpha: alpha, flat: flat{
		eigenMetric: eigenMetric{n: n, weight: func(a, b float64) float64 {
			r := (b - a) / a
			if r == 0 {
				return math.Pow(a, 1-alpha)
			}
			return math.Pow(a, 1-alpha) * r * alpha / math.Expm1(alpha*math.Log1p(r))
		}},
		chart: func(x float64) float64 { return math.Pow(x, alpha) / alpha },
		inverse: func(y float64) float64 {
			if !(alpha*y > 0) {
				return math.NaN()
			}
			return math.Pow(alpha*y, 1/alpha)
		},
		leaves: fmt.Sprintf("the step leaves the cone: S^a/a plus the step, a = %g, is no power of an SPD matrix; shorten the step", alpha),
	}}, nil
}

// Alpha returns the power.
func (m *PowerEuclidean) Alpha() float64 { return m.alpha }

// RandomPoint is Q diag(exp(z)) Q^T with standard normal z and a Haar-distributed orthogonal Q, scaled where necessary to keep a distance of 2
// from the boundary of the cone.
func (m *PowerEuclidean) RandomPoint(rng *rand.Rand) Point {
	p := m.flat.RandomPoint(rng).(*EigenPoint)
	nearest := p.d[0]
	if m.alpha < 0 {
		nearest = p.d[m.n-1]
	}
	if gap := 2 * math.Abs(m.alpha); math.Pow(nearest, m.alpha) < gap {
		c := math.Pow(gap, 1/m.alpha) / nearest
		for i := range p.d {
			p.d[i] *= c
		}
	}
	return p
}
