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
		o := &maskedObjective{n: n, terms: terms, weights: w, work: dense.New[float64](n, n)}
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
}

// maskedMemo is what an evaluation leaves of each term.
type maskedMemo struct{ views []*maskedView }

// maskedView is a term seen from a point.
type maskedView struct {
	g, q, y  dense.Matrix[float64] // G, Q and Y
	t, u     dense.Matrix[float64] // scratch of the shapes of Y and Z
	spectrum *spectrum
	table    *curvature[float64]
	worker   *worker
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
		m.views = append(m.views, &maskedView{g: dense.New[float64](k, k), q: dense.New[float64](k, o.n), y: dense.New[float64](k, o.n),
			t: dense.New[float64](k, o.n), u: dense.New[float64](k, k), spectrum: newSpectrum(k), table: newCurvature[float64](k),
			worker: newTeam(k, 1).workers[0]})
	}
	return m
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
		if err := v.look(&t, f); err != nil {
			return math.Inf(1), fmt.Errorf("matrix %d: %w", k, err)
		}
		sum += o.weights[k] * v.spectrum.squares()
		l := v.worker.acc
		l.Zero()
		v.spectrum.addLog(-o.weights[k], v.worker)
		dense.Mirror(l)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, l, v.q, 0, v.t)
		dense.GemmUpper(dense.Transposed, dense.NoTrans, 1, v.q, v.t, 1, out)
	}
	dense.Mirror(out)
	return sum / (2 * o.m.Kappa()), nil
}

// look sets G, Q, the spectrum of G^-1 A G^-T and Y at the frame f.
func (v *maskedView) look(t *maskedTerm, f dense.Matrix[float64]) error {
	for i, r := range t.known {
		copy(v.q.Row(i), f.Row(r))
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v.q, v.q, 0, v.g)
	dense.Mirror(v.g)
	if dense.Cholesky(v.g) >= 0 {
		return &manifold.PointError{What: "the part of the iterate that the matrix knows is not positive definite to rounding"}
	}
	for i := range v.g.Rows {
		clear(v.g.Row(i)[i+1:])
	}
	dense.SolveLower(dense.NoTrans, v.g, v.q)
	inv, transposed := v.g, v.u
	dense.InvertLower(inv)
	dense.Transpose(transposed, inv)
	v.spectrum.known = false
	if err := v.spectrum.locate(inv, transposed, view(t.frame.F()), math.Sqrt(exactAccuracy), v.worker); err != nil {
		return err
	}
	v.table.set(v.spectrum, 1, squaredDistance)
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, v.spectrum.basis, v.q, 0, v.y)
	return nil
}

// HessianVec implements solve.Hessian: four products for each matrix.
func (o *maskedObjective) HessianVec(dst []float64, _ manifold.Point, eta []float64, memo solve.Memo) error {
	e := dense.Wrap(o.n, o.n, eta)
	o.work.Zero()
	for k, v := range memo.(*maskedMemo).views {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, v.y, e, 0, v.t)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, v.t, v.y, 0, v.u)
		dense.Mirror(v.u)
		for i, l := range v.spectrum.logs {
			dense.Scale(-o.weights[k]*l, v.t.Row(i), v.t.Row(i))
			row := v.u.Row(i)
			for j := range row {
				row[j] *= o.weights[k] * (v.table.table.At(min(i, j), max(i, j)) + l)
			}
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, v.u, v.y, 1, v.t)
		dense.Gemm(dense.Transposed, dense.NoTrans, 0.5, v.y, v.t, 1, o.work)
	}
	addTransposed(dense.Wrap(o.n, o.n, dst), o.work)
	return nil
}
