package problem

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var maskedMean = Problem{
	Name:  "masked-mean",
	What:  "Karcher mean of matrices that lack variables: minimize 1/2 sum w_k dist^2(X_k, A_k), X_k the part of X that A_k knows; a local minimum",
	Input: "SPD matrices whose missing variables are rows and columns of NaN, optional weights; every pair of variables is known together once",
	Takes: Matrices | Weights | Missing,
	Own: []Method{{
		Name: "newton",
		What: "trust-region Newton with exact Hessian products",
		run:  general(solve.Solver{Run: solve.Trust}).run, resumes: true,
	}, {
		Name: "completion",
		What: "completes every matrix as a Gaussian of covariance X would be, and steps towards the Karcher mean of these; linear convergence, as a cross-check",
		run: func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
			relax := newRelaxation(1, m.VectorLen())
			return drive(in, m, o, func(next, p *manifold.Frame, grad []float64, _ float64, _ solve.Memo) error {
				return m.Retract(next, p, relax.next(grad))
			})
		},
	}},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		terms, err := maskedTerms(d.Matrices)
		if err != nil {
			return nil, err
		}
		w, err := normalizedWeights(d.Weights, len(terms))
		if err != nil {
			return nil, err
		}
		n := d.Matrices[0].SymmetricDim()
		if err := everyPairKnown(terms, w, n); err != nil {
			return nil, err
		}
		o := &maskedObjective{n: n, terms: terms, weights: w, spaces: map[int]*maskedSpace{}}
		o.work = o.matrix(n, n)
		if o.from, err = completedMean(terms, w, n); err != nil {
			return nil, err
		}
		o.m, err = m(n)
		return o, err
	},
}

// maskedTerm is a matrix A of which the rows and columns known are given.
type maskedTerm struct {
	known []int
	part  *mat.SymDense
	frame *manifold.Frame // of part
}

// maskedObjective is 1/2 sum w_k dist^2(E_k' X E_k, A_k), E_k the columns of I that matrix k knows. With E' F = G Q, Q Q' = I, and L = log(G^-1 A G^-T) the
// whitened differential is -sum w_k Q' L Q: that of the mean of the matrices completed to F [Q' exp(L) Q + I - Q' Q] F', which are the matrices nearest to X
// among those with the part A. In the eigenbasis of L, with Y = B' Q, logarithms l and K as for the mean, the Hessian product is
// sum w_k [Y'(K o Z) Y - (M eta P + P eta M)/2], Z = Y eta Y', M = Y' diag(l) Y, P = I - Y' Y. The last part makes the cost not convex: where a part of
// X is to grow, the convexity of that part along geodesics works against it. The problem is that of Yger, Chevallier, Barthelemy and Sra, Proc. Mach. Learn.
// Res. 129 (ACML 2020) 417-432.
type maskedObjective struct {
	m       *manifold.Affine
	n       int
	terms   []maskedTerm
	weights []float64
	from    *manifold.Frame
	work    dense.Matrix[float64]
	spaces  map[int]*maskedSpace // by the number of known variables
	lender
}

// maskedMemo is what an evaluation leaves of each term.
type maskedMemo struct{ views []*maskedView }

// maskedView is a term seen from a point.
type maskedView struct {
	y     dense.Matrix[float64]
	logs  []float64
	table dense.Matrix[float64] // w (K + l), l along the rows
	space *maskedSpace
}

// maskedSpace is what terms with as many known variables work in, one after the other.
type maskedSpace struct {
	g, q, t, u dense.Matrix[float64]
	spectrum   *spectrum
	worker     *worker
}

// maskedTerms finds the missing variables and checks the rest.
func maskedTerms(ms []mat.Symmetric) ([]maskedTerm, error) {
	if len(ms) == 0 {
		return nil, &DataError{Err: errors.New("no matrices given")}
	}
	n := ms[0].SymmetricDim()
	terms := make([]maskedTerm, len(ms))
	for k, a := range ms {
		where := fmt.Sprintf("matrix %d", k)
		if a.SymmetricDim() != n {
			return nil, &DataError{Where: where, Err: fmt.Errorf("has %d rows, but matrix 0 has %d", a.SymmetricDim(), n)}
		}
		t := &terms[k]
		for i := range n {
			if !math.IsNaN(a.At(i, i)) {
				t.known = append(t.known, i)
				continue
			}
			for j := range n {
				if !math.IsNaN(a.At(i, j)) {
					return nil, &DataError{Where: where, Err: fmt.Errorf("the diagonal entry %d is NaN, but entry (%d,%d) is %v", i, i, j, a.At(i, j)),
						Remedy: "a missing variable has a row and a column of NaN"}
				}
			}
		}
		if len(t.known) == 0 {
			return nil, &DataError{Where: where, Err: errors.New("knows no variable"), Remedy: "remove it"}
		}
		t.part = partOf(a, t.known)
		var err error
		if t.frame, err = manifold.NewFrame(t.part); err != nil {
			return nil, &DataError{Where: where, Err: err, Remedy: ridgeRemedy}
		}
	}
	return terms, nil
}

// partOf returns the rows and columns known.
func partOf(a mat.Symmetric, known []int) *mat.SymDense {
	out := mat.NewSymDense(len(known), nil)
	for i, r := range known {
		for j, c := range known[i:] {
			out.SetSym(i, i+j, a.At(r, c))
		}
	}
	return out
}

// everyPairKnown refuses data that leave a covariance free: the cost does not depend on it.
func everyPairKnown(terms []maskedTerm, weights []float64, n int) error {
	seen := make([]bool, n*n)
	for k, t := range terms {
		for _, i := range t.known {
			for _, j := range t.known {
				seen[i*n+j] = seen[i*n+j] || weights[k] > 0
			}
		}
	}
	for i := range n {
		if !seen[i*n+i] {
			return &DataError{count: true, Err: fmt.Errorf("no matrix knows variable %d", i), Remedy: "remove the variable, or add a matrix that knows it"}
		}
		for j := range i {
			if !seen[i*n+j] {
				return &DataError{count: true, Err: fmt.Errorf("no matrix knows variables %d and %d together, so that their covariance is not determined", j, i),
					Remedy: "add a matrix that knows both, or remove one of them"}
			}
		}
	}
	return nil
}

// completedMean returns the default start: each matrix is completed with the geometric means of the variances on the diagonal, and these are averaged.
func completedMean(terms []maskedTerm, weights []float64, n int) (*manifold.Frame, error) {
	logs, total := make([]float64, n), make([]float64, n)
	for k, t := range terms {
		for i, r := range t.known {
			logs[r] += weights[k] * math.Log(t.part.At(i, i))
			total[r] += weights[k]
		}
	}
	var all []mat.Symmetric
	for _, t := range terms {
		whole := mat.NewSymDense(n, nil)
		for i := range n {
			whole.SetSym(i, i, math.Exp(logs[i]/total[i]))
		}
		for i, r := range t.known {
			for j, c := range t.known {
				whole.SetSym(r, c, t.part.At(i, j))
			}
		}
		all = append(all, whole)
	}
	x, err := manifold.KullbackMean(all, weights)
	if err != nil {
		return nil, &DataError{Err: err, Remedy: "the matrices differ too much in scale: rescale the variables"}
	}
	return manifold.NewFrame(x)
}

func (o *maskedObjective) size() (int, int) { return o.n, len(o.terms) }

func (o *maskedObjective) start() *manifold.Frame { return o.from }

func (o *maskedObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense { return p.Sym() }

// GradientScale implements solve.Scaler: the root mean square distance of the matrices from the parts of the point, and 0.01 more, since parts of one matrix
// have distance zero, up to rounding, in the end.
func (o *maskedObjective) GradientScale(cost float64) float64 { return math.Sqrt(2*cost) + 0.01 }

// NewMemo implements solve.Memoizer.
func (o *maskedObjective) NewMemo() solve.Memo {
	m := &maskedMemo{}
	for _, t := range o.terms {
		k := len(t.known)
		m.views = append(m.views, &maskedView{y: o.matrix(k, o.n), logs: o.vector(k), table: o.matrix(k, k), space: o.space(k)})
	}
	return m
}

// space returns the space of terms with k known variables.
func (o *maskedObjective) space(k int) *maskedSpace {
	s := o.spaces[k]
	if s == nil {
		s = &maskedSpace{g: o.matrix(k, k), q: o.matrix(k, o.n), t: o.matrix(k, o.n), u: o.matrix(k, k), spectrum: newSpectrum(k),
			worker: newTeam(k, 1).workers[0]}
		o.spaces[k] = s
	}
	return s
}

// Evaluate implements solve.Objective: for each matrix an eigendecomposition of its size and about six products.
func (o *maskedObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	if err := o.m.Complete(p); err != nil {
		return math.Inf(1), err
	}
	f, sum := view(p.(*manifold.Frame).F()), 0.0
	clear(grad)
	out := dense.Wrap(o.n, o.n, grad)
	for k, t := range o.terms {
		v := memo.(*maskedMemo).views[k]
		if err := v.look(&t, f, o.weights[k]); err != nil {
			return math.Inf(1), fmt.Errorf("matrix %d: %w", k, err)
		}
		s := v.space
		sum += o.weights[k] * s.spectrum.squares()
		s.spectrum.logTimes(-o.weights[k], v.y, s.t, s.worker)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, v.y, s.t, 1, out)
	}
	dense.Mirror(out)
	return sum / (2 * o.m.Kappa()), nil
}

// look sets the spectrum of G^-1 A G^-T at the frame f and, with Q = G^-1 E' F, Y and the table.
func (v *maskedView) look(t *maskedTerm, f dense.Matrix[float64], weight float64) error {
	s := v.space
	for i, r := range t.known {
		copy(s.q.Row(i), f.Row(r))
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s.q, s.q, 0, s.g)
	if dense.CholeskyUpper(s.g) >= 0 {
		return &manifold.PointError{What: "the part of the iterate that the matrix knows is not positive definite to rounding"}
	}
	inv, transposed := s.g, s.u
	dense.InvertLower(inv)
	dense.Transpose(transposed, inv)
	s.spectrum.known = false
	if err := s.spectrum.locate(inv, transposed, view(t.frame.F()), math.Sqrt(exactAccuracy), s.worker); err != nil {
		return err
	}
	copy(v.logs, s.spectrum.logs)
	v.fillTable(s.spectrum, weight)
	dense.MulLower(dense.Transposed, inv, s.spectrum.basis, transposed)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, transposed, s.q, 0, v.y)
	return nil
}

func (v *maskedView) fillTable(s *spectrum, weight float64) {
	for i, l := range s.logs {
		row, ri, qi := v.table.Row(i), s.roots[i], s.inverse[i]
		row[i] = weight * (1 + l)
		for j := i + 1; j < len(row); j++ {
			a, b := ri*s.inverse[j], s.roots[j]*qi
			k := 0.5 * (a + b) * sinhQuotient(l-s.logs[j], a-b)
			row[j] = weight * (k + l)
			v.table.Set(j, i, weight*(k+s.logs[j]))
		}
	}
}

// HessianVec implements solve.Hessian: four products for each matrix.
func (o *maskedObjective) HessianVec(dst []float64, _ manifold.Point, eta []float64, memo solve.Memo) error {
	e := dense.Wrap(o.n, o.n, eta)
	o.work.Zero()
	for k, v := range memo.(*maskedMemo).views {
		t, u := v.space.t, v.space.u
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, v.y, e, 0, t)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, t, v.y, 0, u)
		dense.Mirror(u)
		for i, l := range v.logs {
			dense.Scale(-o.weights[k]*l, t.Row(i), t.Row(i))
			row := u.Row(i)
			for j, w := range v.table.Row(i) {
				row[j] *= w
			}
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, u, v.y, 1, t)
		dense.Gemm(dense.Transposed, dense.NoTrans, 0.5, v.y, t, 1, o.work)
	}
	addTransposed(dense.Wrap(o.n, o.n, dst), o.work)
	return nil
}
