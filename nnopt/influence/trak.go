package influence

import (
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TRAKOptions are the options of TRAK.
type TRAKOptions[T nnopt.Float] struct {
	Features int // of the random projection; default 512
	Seed     uint64
	Damping  float64 // added to the Gram matrix of the features, times its mean eigenvalue; default 0
	// Output is the function of the model whose gradients are the features; default Margin, for networks with classes. For others the loss itself is usual.
	Output Measurement[T]
	// Skip leaves out the blocks of layers without statistics instead of refusing them.
	Skip bool
}

// TRAK returns scores by the baseline of Park et al. (arXiv:2303.14186, equation 17, for one model): gradients are projected by a random matrix P with
// elements +-1/sqrt(Features), and
//
//	score(q, i) = (P m_q')^T (Phi^T Phi)^-1 (P l_i'),  Phi = rows P f_i'
//
// with f the model output of the training examples, m_q the measurement of a query and l_i the loss of a training example, which for cross-entropy and
// Margin is -(1-p_i) f_i'. The sign is that of Pairwise. TRAK over several models is the mean of the scores of each.
func TRAK[T nnopt.Float](n *net.Net[T], queries, train Side[T], o TRAKOptions[T]) (*Scores, error) {
	if o.Features == 0 {
		o.Features = 512
	}
	if o.Features < 1 || !(o.Damping >= 0) || math.IsInf(o.Damping, 1) {
		return nil, dataError("TRAK", "%d features with damping %v", o.Features, o.Damping)
	}
	if o.Output == nil {
		o.Output = Margin[T]{}
	}
	if train.Measurement == nil {
		train.Measurement = &LossMeasurement[T]{}
	}
	if queries.Measurement == nil {
		queries.Measurement = &LossMeasurement[T]{}
	}
	e, err := plain(n, o.Skip)
	if err != nil {
		return nil, err
	}
	var parts [3]Matrix[float64]
	for k, s := range []Side[T]{{train.Examples, o.Output}, train, queries} {
		if parts[k], err = e.projected(&s, o.Features, o.Seed); err != nil {
			return nil, err
		}
	}
	phi, losses, measured := parts[0], parts[1], parts[2]
	gram := dense.New[float64](o.Features, o.Features)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, phi, phi, 0, gram)
	var trace float64
	for i := range gram.Rows {
		trace += gram.At(i, i)
	}
	top := 0.0
	for i := range gram.Rows {
		gram.Set(i, i, gram.At(i, i)+o.Damping*trace/float64(gram.Rows))
		top = max(top, gram.At(i, i))
	}
	if singular(gram, top) {
		return nil, &curvature.SingularError{Block: "features of TRAK", Damping: o.Damping}
	}
	solveRows(gram, measured)
	out := &Scores{Values: dense.New[float64](measured.Rows, losses.Rows)}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, measured, losses, 0, out.Values)
	return out, nil
}

// plain returns an estimator without curvature.
func plain[T nnopt.Float](n *net.Net[T], skip bool) (*Estimator[T], error) {
	blocks, skipped, err := modulesOf(n, skip)
	if err != nil {
		return nil, err
	}
	e := &Estimator[T]{net: n, kind: Identity, skipped: skipped, weight: 1}
	for _, f := range blocks {
		e.modules = append(e.modules, module[T]{Factors: f, scale: ones[T](f.Dims())})
	}
	return e, nil
}

// projected returns the projections of the gradients of a side, a row for each example.
func (e *Estimator[T]) projected(s *Side[T], features int, seed uint64) (Matrix[float64], error) {
	var data []float64
	if err := s.Examples.Validate(); err != nil {
		return Matrix[float64]{}, err
	}
	for i := range s.Examples.Count {
		grads, err := e.gradients(s, i)
		if err != nil {
			return Matrix[float64]{}, err
		}
		sums := dense.New[T](grads[0].Rows, features)
		for k, g := range grads {
			project(g, sums, seed, k)
		}
		for _, v := range sums.Data {
			data = append(data, float64(v))
		}
	}
	if k := notFinite(data); k >= 0 {
		return Matrix[float64]{}, dataError("projected gradient", "of example %d is not finite", k/features)
	}
	return dense.Wrap(len(data)/features, features, data), nil
}

// strip is the number of parameters whose rows of the projection are drawn at a time.
const strip = 512

// project adds the projections of the rows of g, the gradients of module k, to the rows of sums.
func project[T nnopt.Float](g, sums Matrix[T], seed uint64, k int) {
	var key [32]byte
	for i := range 8 {
		key[i], key[8+i] = byte(seed>>(8*i)), byte(k>>(8*i))
	}
	r := rand.NewChaCha8(key)
	features := sums.Cols
	p := dense.New[T](min(strip, g.Cols), features)
	one := T(1 / math.Sqrt(float64(features)))
	for from := 0; from < g.Cols; from += strip {
		n := min(strip, g.Cols-from)
		var bits uint64
		for i := range n * features {
			if i%64 == 0 {
				bits = r.Uint64()
			}
			p.Data[i] = one
			if bits&1 != 0 {
				p.Data[i] = -one
			}
			bits >>= 1
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, g.View(0, from, g.Rows, n), p.View(0, 0, n, features), 1, sums)
	}
}

// singular replaces a symmetric matrix with elements of the given size by its Cholesky factor, and reports whether it is singular to working precision.
func singular(a Matrix[float64], top float64) bool {
	if dense.Cholesky(a) >= 0 {
		return true
	}
	for i := range a.Rows {
		if d := a.At(i, i); !(d*d > top*float64(a.Rows)*0x1p-52) {
			return true
		}
	}
	return false
}

// solveRows replaces the rows of x by L^-T L^-1 x.
func solveRows(l, x Matrix[float64]) {
	for q := range x.Rows {
		row := x.Row(q)
		for i := range row {
			row[i] = (row[i] - dense.Dot(l.Row(i)[:i], row[:i])) / l.At(i, i)
		}
		for i := len(row) - 1; i >= 0; i-- {
			row[i] /= l.At(i, i)
			dense.Axpy(-row[i], l.Row(i)[:i], row[:i])
		}
	}
}
