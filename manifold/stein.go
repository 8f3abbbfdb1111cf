package manifold

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
)

var stein = Comparison{
	Name:     "stein",
	What:     "(log det (A+B)/2 - 1/2 log det AB)^1/2, unique mean by a fixed point; invariant under congruence and inversion",
	Distance: SteinDistance,
	Mean:     func(ms []mat.Symmetric, w []float64) (*mat.SymDense, error) { return SteinMean(ms, w, MeanOptions{}) },
	Median:   func(ms []mat.Symmetric, w []float64) (*mat.SymDense, error) { return SteinMedian(ms, w, MeanOptions{}) },
}

var steinAverage = Average{
	Name: "stein",
	What: "least sum of squared Stein distances (log-det mean): X^-1 = sum w_k ((X + A_k)/2)^-1",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		return steinMean(ms, weights, o.MeanOptions)
	},
}

// SteinDistance returns the square root of the Stein (symmetric log-det, S-) divergence log det (a+b)/2 - log det(ab)/2, which is a metric. It
// is evaluated as sum log cosh of the half log-eigenvalues of a^-1 b, so that close matrices lose no digits. Invariant under congruence and
// inversion. About 5 n^3 operations. Source: Sra, Proc. Amer. Math. Soc. 144 (2016) 2787-2797.
func SteinDistance(a, b mat.Symmetric) (float64, error) {
	_, p, q, err := pair(a, b)
	if err != nil {
		return 0, err
	}
	return steinOf(p, q)
}

func steinOf(p, q *Frame) (float64, error) {
	l, err := pencilValues(p, q)
	if err != nil {
		return 0, err
	}
	var s float64
	for _, x := range l {
		s += logCosh(math.Log(x) / 2)
	}
	return math.Sqrt(s), nil
}

// logCosh returns log cosh x without cancellation or overflow.
func logCosh(x float64) float64 {
	x = math.Abs(x)
	if x < 0.5 {
		h := math.Sinh(x / 2)
		return math.Log1p(2 * h * h)
	}
	return x + math.Log1p(math.Expm1(-2*x)/2)
}

func framesOf(ms []mat.Symmetric) ([]*Frame, error) {
	if k := absent.First(ms); k >= 0 {
		return nil, fmt.Errorf("manifold: matrix %d: %w", k, errNil)
	}
	frames := make([]*Frame, len(ms))
	if len(ms) == 0 {
		return frames, nil
	}
	n := ms[0].SymmetricDim()
	err := dense.Each(len(ms), operations(len(ms), n), func(k int) (err error) {
		if err := sameRows(ms[k], n); err != nil {
			return fmt.Errorf("matrix %d: %w", k, err)
		}
		if frames[k], err = NewFrame(ms[k]); err != nil {
			return fmt.Errorf("manifold: matrix %d: %w", k, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return frames, nil
}

// SteinMean returns the minimizer of sum w_k d(x, A_k)^2 for the Stein distance d, which is unique, by the fixed point
// x <- (sum w_k ((x + A_k)/2)^-1)^-1. nil weights are equal; Start must be nil or a *Frame. The iteration converges linearly from every start
// and ends when the affine-invariant length of its last move is below the tolerance. About 2 n^3 operations for each matrix and iteration. Source: Sra, Proc. Amer. Math. Soc. 144 (2016); Chebbi and Moakher, Linear Algebra Appl. 436 (2012).
func SteinMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := steinMean(ms, weights, o)
	return x, err
}

func steinMean(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, MeanReport, error) {
	s, err := newSteinIteration(ms, weights, o)
	if err != nil {
		return nil, MeanReport{}, err
	}
	r, err := s.run(false)
	return lastIterate(s.x, err), r, err
}

// SteinMedian returns the minimizer of sum w_k d(x, A_k) for the Stein distance d: the fixed point of SteinMean with weights w_k/d(x, A_k), from
// the mean. Every step lowers the sum. Distances below Tolerance times the mean distance count as that much, which moves the result by no more
// than that order where the median is a data point.
func SteinMedian(ms []mat.Symmetric, weights []float64, o MeanOptions) (*mat.SymDense, error) {
	s, err := newSteinIteration(ms, weights, o)
	if err != nil {
		return nil, err
	}
	for _, median := range []bool{false, true} {
		if _, err := s.run(median); err != nil {
			return nil, err
		}
	}
	return formed(s.x)
}

// steinIteration is the state of a mean or median under the Stein distance.
type steinIteration struct {
	frames []*Frame
	ms     []mat.Symmetric
	w, u   []float64 // weights of the data; of the next step
	x      *Frame
	o      MeanOptions
	sums   []dense.Matrix[float64] // of the parts of the data
	spaces dense.Spaces[mat.SymDense]
	apart  []float64 // distances
}

func newSteinIteration(ms []mat.Symmetric, weights []float64, o MeanOptions) (*steinIteration, error) {
	frames, w, heaviest, err := framesToAverage(ms, weights, &o)
	if err != nil {
		return nil, err
	}
	n := frames[0].Dim()
	s := &steinIteration{frames: frames, ms: ms, w: w, u: make([]float64, len(w)), x: frames[heaviest], o: o.withDefaults(), apart: make([]float64, len(w))}
	s.spaces.Make = func() *mat.SymDense { return mat.NewSymDense(n, nil) }
	for range min(len(ms), mostParts) {
		s.sums = append(s.sums, dense.New[float64](n, n))
	}
	if o.Start != nil {
		s.x = asFrame(o.Start, n)
	}
	return s, nil
}

func (s *steinIteration) run(median bool) (r MeanReport, err error) {
	for {
		if r.Iterations == 0 || median {
			if r.Spread, err = s.reweight(median); err != nil {
				return r, err
			}
		}
		next, err := s.step()
		if err != nil {
			return r, err
		}
		r.Iterations++
		if r.Residual, err = affine(next.Dim()).Distance(s.x, next); err != nil {
			return r, err
		}
		s.x = next
		limit := math.Max(s.o.Tolerance*r.Spread, 0x1p-48*float64(next.Dim()))
		if r.Residual <= limit {
			return r, nil
		}
		if err := s.o.over(r, limit); err != nil {
			return r, err
		}
	}
}

// reweight sets the weights of the next step and returns the root mean square distance of the data, or the mean distance for the median.
func (s *steinIteration) reweight(median bool) (float64, error) {
	copy(s.u, s.w)
	if err := apart(s.apart, s.x, s.frames, steinOf); err != nil {
		return 0, err
	}
	var mean, square float64
	for k, d := range s.apart {
		mean += s.w[k] * d
		square += s.w[k] * d * d
		if median {
			s.u[k] = d
		}
	}
	if !median || mean == 0 {
		return math.Sqrt(square), nil
	}
	var sum float64
	for k, d := range s.u {
		s.u[k] = s.w[k] / math.Max(d, s.o.Tolerance*mean)
		sum += s.u[k]
	}
	dense.Scale(1/sum, s.u, s.u)
	return mean, nil
}

// step returns (sum u_k ((x + A_k)/2)^-1)^-1.
func (s *steinIteration) step() (*Frame, error) {
	n, x := s.x.Dim(), s.x.Sym()
	err := dense.Each(len(s.sums), operations(len(s.ms), n), func(part int) error {
		one := s.spaces.Take()
		defer s.spaces.Give(one)
		beta := 0.0
		for k := part; k < len(s.ms); k += len(s.sums) {
			one.AddSym(x, s.ms[k])
			f, err := NewFrame(one)
			if err != nil {
				return fmt.Errorf("manifold: matrix %d: %w", k, err)
			}
			dense.GemmUpper(dense.Transposed, dense.NoTrans, 2*s.u[k], f.inverse(), f.inverse(), beta, s.sums[part])
			beta = 1
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f, err := NewFrame(mat.NewSymDense(n, total(s.sums).Data))
	if err != nil {
		return nil, err
	}
	f.Invert()
	return f, nil
}
