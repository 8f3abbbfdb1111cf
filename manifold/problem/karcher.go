package problem

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

var mean = Problem{
	Name:  "mean",
	What:  "Karcher (Frechet) mean: minimize 1/2 sum w_k dist^2(X, A_k) in the affine-invariant metric",
	Input: "one or more SPD matrices (an m x n x n stack or several n x n files), optional weights",
	Own:   []Method{},
	prepare: func(d *Data, m func(int) (*manifold.Affine, error), _ *Options) (instance, error) {
		frames, err := factorMatrices(d.Matrices)
		if err != nil {
			return nil, err
		}
		w, err := normalizedWeights(d.Weights, len(frames))
		if err != nil {
			return nil, err
		}
		n := frames[0].Dim()
		k := &karcherObjective{weights: w, n: n, w1: dense.New[float64](n, n), w2: dense.New[float64](n, n)}
		for _, f := range frames {
			k.chol = append(k.chol, view(f.F()))
		}
		k.m, err = m(n)
		return k, err
	},
}

type karcherObjective struct {
	m       *manifold.Affine
	chol    []dense.Matrix[float64]
	weights []float64
	n       int
	w1, w2  dense.Matrix[float64]
}

type karcherMemo struct {
	basis []dense.Matrix[float64]
	logs  [][]float64
}

func (k *karcherObjective) size() (int, int)       { return k.n, len(k.chol) }
func (k *karcherObjective) start() *manifold.Frame { return manifold.IdentityFrame(k.n, 1) }
func (k *karcherObjective) finish(p *manifold.Frame, _ *Options) *mat.SymDense {
	return p.Sym()
}
func (k *karcherObjective) NewMemo() solve.Memo {
	m := &karcherMemo{}
	for range k.chol {
		m.basis = append(m.basis, dense.New[float64](k.n, k.n))
		m.logs = append(m.logs, make([]float64, k.n))
	}
	return m
}
func (k *karcherObjective) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*karcherMemo)
	g := dense.Wrap(k.n, k.n, grad)
	clear(grad)
	var cost float64
	for i, l := range k.chol {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, view(f.Inverse()), l, 0, k.w1)
		b := m.basis[i]
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, k.w1, k.w1, 0, b)
		dense.Mirror(b)
		eigen.Sym(b, m.logs[i])
		for j, v := range m.logs[i] {
			m.logs[i][j] = math.Log(v)
			cost += 0.5 * k.weights[i] * m.logs[i][j] * m.logs[i][j]
		}
		for r := range k.n {
			for j, v := range b.Row(r) {
				k.w1.Set(r, j, v*m.logs[i][j])
			}
		}
		dense.GemmUpper(dense.NoTrans, dense.Transposed, -k.weights[i], k.w1, b, 1, g)
	}
	dense.Mirror(g)
	return cost, nil
}
func (k *karcherObjective) HessianVec(dst []float64, p manifold.Point, v []float64, memo solve.Memo) error {
	m := memo.(*karcherMemo)
	g := dense.Wrap(k.n, k.n, dst)
	clear(dst)
	for i, b := range m.basis {
		l := m.logs[i]
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, b, dense.Wrap(k.n, k.n, v), 0, k.w1)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, k.w1, b, 0, k.w2)
		for r := range k.n {
			row := k.w2.Row(r)
			for j := range row {
				d := (l[r] - l[j]) / 2
				if math.Abs(d) > 1e-4 {
					row[j] *= d / math.Tanh(d)
				}
			}
		}
		dense.Gemm(dense.NoTrans, dense.NoTrans, k.weights[i], b, k.w2, 0, k.w1)
		dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, k.w1, b, 1, g)
	}
	dense.Mirror(g)
	return nil
}
