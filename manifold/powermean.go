package manifold

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

var powerAverage = Average{
	Name: "power",
	What: "power mean of an order from -1 (harmonic) to 1 (arithmetic), 1/2 unless given: X = sum w_k X #_p A_k; towards 0 the Karcher mean",
	Mean: func(ms []mat.Symmetric, weights []float64, o AverageOptions) (*mat.SymDense, MeanReport, error) {
		if o.Power == 0 {
			o.Power = 0.5
		}
		return powerMean(ms, weights, o.Power, o.MeanOptions)
	},
}

// PowerMean returns the power mean of order p in [-1, 1] of SPD matrices, the solution of X = sum w_k X #_p A_k with X #_p A the point at time p on
// the geodesic from X to A: 1 is the arithmetic, -1 the harmonic mean, and 0, the limit, the Karcher mean. It grows with p in the order of
// symmetric matrices. nil weights are equal; Start must be nil or a *Frame. In whitened coordinates the equation says that H = sum w_k (F^-1 A_k F^-T)^p is
// I; a step is F exp(log H/(2p)), exact where the matrices commute. It is shortened when the residual does not fall. One eigendecomposition for each matrix and
// iteration. Source: Lim and Palfia, J. Funct. Anal. 262 (2012) 1498-1514; Congedo, Barachant and Koopaei, IEEE Trans. Signal Process. 65 (2017)
// 2211-2220.
func PowerMean(ms []mat.Symmetric, weights []float64, p float64, o MeanOptions) (*mat.SymDense, error) {
	x, _, err := powerMean(ms, weights, p, o)
	return x, err
}

func powerMean(ms []mat.Symmetric, weights []float64, p float64, o MeanOptions) (*mat.SymDense, MeanReport, error) {
	var r MeanReport
	if !(p >= -1 && p <= 1) {
		return nil, r, fmt.Errorf("manifold: the order of the power mean is %v, want a number from -1 to 1", p)
	}
	frames, w, heaviest, err := framesToAverage(ms, weights, &o)
	if err != nil {
		return nil, r, err
	}
	n := frames[0].Dim()
	if p == 0 {
		points := make([]Point, len(frames))
		for k, f := range frames {
			points[k] = f
		}
		x, r, err := Mean(affine(n), points, weights, o)
		return lastIterate(x, err), r, err
	}
	s := &powerIteration{frames: frames, w: w, p: p, x: frames[heaviest]}
	for range min(len(frames), mostParts) {
		s.sums = append(s.sums, dense.New[float64](n, n))
	}
	s.h, s.squares = s.sums[0], make([]float64, len(s.sums))
	s.spaces.Make = func() *powerSpace {
		return &powerSpace{work: [2]dense.Matrix[float64]{dense.New[float64](n, n), dense.New[float64](n, n)}, values: make([]float64, n)}
	}
	if o.Start != nil {
		s.x = asFrame(o.Start, n)
	}
	r, err = s.run(o.withDefaults())
	return lastIterate(s.x, err), r, err
}

// powerIteration is the state of PowerMean.
type powerIteration struct {
	frames []*Frame
	w      []float64
	p      float64
	x      *Frame
	h      dense.Matrix[float64] // log H/p
	// of the parts of the data
	sums    []dense.Matrix[float64] // the first is h
	squares []float64
	spaces  dense.Spaces[powerSpace]
}

// powerSpace is the scratch space of a thread.
type powerSpace struct {
	work   [2]dense.Matrix[float64]
	values []float64
	solver eigen.Solver
}

func (s *powerIteration) run(o MeanOptions) (r MeanReport, err error) {
	m, next := affine(s.x.Dim()), IdentityFrame(s.x.Dim(), 1)
	s.x = s.x.Clone().(*Frame)
	last, length := math.Inf(1), 1.0
	for ; ; r.Iterations++ {
		if r.Spread, err = s.evaluate(); err != nil {
			return r, err
		}
		r.Residual = math.Sqrt(dense.Dot(s.h.Data, s.h.Data))
		limit := max(o.Tolerance*r.Spread, 0x1p-48*float64(s.x.Dim()))
		if r.Residual <= limit {
			return r, nil
		}
		if err := o.over(r, limit); err != nil {
			return r, err
		}
		if r.Residual > 0.9*last {
			length = max(length/2, 0x1p-10)
		}
		last = r.Residual
		dense.Scale(length, s.h.Data, s.h.Data)
		if err := m.Exp(next, s.x, s.h.Data); err != nil {
			return r, &ConvergenceError{Report: r, Limit: limit, Cause: err}
		}
		s.x, next = next, s.x
	}
}

// evaluate sets h = log H/p and returns the root mean square distance of the data.
func (s *powerIteration) evaluate() (float64, error) {
	if err := dense.Each(len(s.sums), operations(len(s.frames), s.x.Dim()), s.powers); err != nil {
		return 0, err
	}
	var square float64
	for _, v := range s.squares {
		square += v
	}
	dense.Mirror(total(s.sums))
	w := s.spaces.Take()
	defer s.spaces.Give(w)
	c := w.work[0]
	c.Copy(s.h)
	if err := w.decompose(c, "the mean of the powers"); err != nil {
		return 0, err
	}
	for i, v := range w.values {
		w.values[i] = math.Log(v) / s.p
	}
	w.compose(c, 0, s.h)
	dense.Mirror(s.h)
	return math.Sqrt(square), nil
}

// powers adds up the powers of a part of the data, seen from the iterate, and the squares of their distances.
func (s *powerIteration) powers(part int) error {
	w := s.spaces.Take()
	defer s.spaces.Give(w)
	s.squares[part] = 0
	beta := 0.0
	for k := part; k < len(s.frames); k += len(s.sums) {
		c := w.work[0]
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.x.inverse(), s.frames[k].matrix(), 0, w.work[1])
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w.work[1], w.work[1], 0, c)
		dense.Mirror(c)
		if err := w.decompose(c, fmt.Sprintf("matrix %d seen from the iterate", k)); err != nil {
			return err
		}
		for i, v := range w.values {
			l := math.Log(v)
			s.squares[part] += s.w[k] * l * l
			w.values[i] = s.w[k] * math.Exp(s.p*l)
		}
		w.compose(c, beta, s.sums[part])
		beta = 1
	}
	return nil
}

// decompose overwrites c with its eigenvectors; the eigenvalues must be positive.
func (w *powerSpace) decompose(c dense.Matrix[float64], what string) error {
	if !w.solver.Sym(c, w.values) || !(w.values[0] > 0) {
		return &PointError{What: what + " is not positive definite to rounding", Min: w.values[0], Max: w.values[len(w.values)-1]}
	}
	return nil
}

// compose adds q diag(values) q' to beta times the upper triangle of dst.
func (w *powerSpace) compose(q dense.Matrix[float64], beta float64, dst dense.Matrix[float64]) {
	for i := range q.Rows {
		row := w.work[1].Row(i)
		for j, v := range q.Row(i) {
			row[j] = v * w.values[j]
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, w.work[1], q, beta, dst)
}
