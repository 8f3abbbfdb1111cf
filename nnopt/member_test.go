package nnopt

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/golden"
)

type structureGolden struct {
	ProjectM    [][]float64 `json:"project_M"`
	ProjectN    [][]float64 `json:"project_N"`
	Product     [][]float64 `json:"matmul_struct"`
	TimesZ      [][]float64 `json:"matmul_dense"`
	TransposedZ [][]float64 `json:"rmatmat"`
	InnerI      [][]float64 `json:"from_inner_I"`
	InnerX      [][]float64 `json:"from_inner_X"`
	GramX       [][]float64 `json:"from_mat_inner_X"`
	MeanTrace   float64     `json:"average_trace"`
	Frobenius   float64     `json:"frobenius_norm"`
	Largest     float64     `json:"inf_norm"`
	Shifted     [][]float64 `json:"diag_add_-1.23"`
	Size        int         `json:"n_params"`
}

var goldenStructures = map[string]structured{
	"dense": {kind: StructureDense}, "diagonal": {kind: StructureDiagonal}, "block3diagonal": {StructureBlock, 3, 0},
	"hierarchical3_2": {StructureHierarchical, 3, 2}, "triltoeplitz": {kind: StructureLowerToeplitz}, "triutoeplitz": {kind: StructureUpperToeplitz},
	"trilbottomrightdiag": {kind: StructureLowerCorner}, "triltopleftdiag": {kind: StructureLowerDiagonal},
	"triubottomrightdiag": {kind: StructureUpperCorner}, "triutopleftdiag": {kind: StructureUpperDiagonal},
}

func newMember(s structured, n int) member[float64] {
	p := s.pattern(n)
	return member[float64]{p, make([]float64, p.size), newPanels[float64](p, 1)}
}

func (a member[T]) clone() member[T] {
	a.data = append([]T(nil), a.data...)
	return a
}

// whole returns the matrix in dense form.
func (a member[T]) whole() dense.Matrix[T] {
	m := dense.New[T](a.n, a.n)
	if a.toeplitz {
		a.spread()
	}
	for i := 0; i < a.n; i += panelRows {
		rows := min(panelRows, a.n-i)
		m.View(i, 0, rows, a.n).Copy(a.rowPanel(i, rows).At(0))
	}
	if a.toeplitz && !a.upper {
		t := dense.New[T](a.n, a.n)
		dense.Transpose(t, m)
		return t
	}
	return m
}

// projection returns the member nearest to a symmetric matrix, from its eigenvectors: addColumnGram of the rows of a square root of m + c I, less c I.
func projection(s structured, m [][]float64) member[float64] {
	n := len(m)
	a := newMember(s, n)
	const c = 100
	lower := dense.New[float64](n, n) // Cholesky factor of m + c I
	for i := range n {
		for j := range i + 1 {
			v := m[i][j]
			if i == j {
				v += c
			}
			v -= dense.Dot(lower.Row(i)[:j], lower.Row(j)[:j])
			if i == j {
				lower.Set(i, i, math.Sqrt(v))
			} else {
				lower.Set(i, j, v/lower.At(j, j))
			}
		}
	}
	a.addRowGram(1, engine.One(lower))
	a.addDiagonal(-c)
	return a
}

func wrap(rows [][]float64) dense.Matrix[float64] {
	return dense.Wrap(len(rows), len(rows[0]), flat(rows))
}

func TestStructuresGolden(t *testing.T) {
	var g struct {
		Structures map[string]structureGolden
		M, N, X, Z [][]float64
	}
	golden.Load(t, "singd_structures.json", &g)
	for name, s := range goldenStructures {
		t.Run(name, func(t *testing.T) {
			want, ok := g.Structures[name]
			if !ok {
				t.Fatal("not in the file")
			}
			m, n := projection(s, g.M), projection(s, g.N)
			within(t, "projection", m.whole().Data, flat(want.ProjectM), 1e-12)
			within(t, "projection", n.whole().Data, flat(want.ProjectN), 1e-12)
			if m.size != want.Size {
				t.Errorf("%d numbers, want %d", m.size, want.Size)
			}
			z, y := wrap(g.Z), dense.New[float64](7, 2)
			m.left(dense.NoTrans, engine.One(z), engine.One(y))
			within(t, "product", y.Data, flat(want.TimesZ), 1e-12)
			m.left(dense.Transposed, engine.One(z), engine.One(y))
			within(t, "transposed product", y.Data, flat(want.TransposedZ), 1e-12)
			p := m.clone()
			p.addProduct(nil, n)
			for i := range p.data {
				p.data[i] -= m.data[i]
			}
			within(t, "product of members", p.whole().Data, flat(want.Product), 1e-12)
			p = newMember(s, 7)
			p.addInner(1, m)
			within(t, "inner product", p.whole().Data, flat(want.InnerI), 1e-12)
			x := wrap(g.X)
			xt, k := dense.New[float64](4, 7), dense.New[float64](4, 7)
			dense.Transpose(xt, x)
			m.right(dense.NoTrans, engine.One(xt), engine.One(k))
			p = newMember(s, 7)
			p.addColumnGram(1, engine.One(k))
			within(t, "inner product with X", p.whole().Data, flat(want.InnerX), 1e-11)
			p = newMember(s, 7)
			p.addRowGram(1, engine.One(x))
			within(t, "Gram matrix", p.whole().Data, flat(want.GramX), 1e-12)
			p = m.clone()
			p.addDiagonal(-1.23)
			within(t, "shift", p.whole().Data, flat(want.Shifted), 1e-12)
			q := engine.NewReckoning(engine.CPU[float64](), nil, 1, 20)
			trace := m.meanTraces(q)
			frobenius, largest := m.norms(q)
			q.Run()
			within(t, "trace and norms", []float64{q.Value(trace, 0), q.Value(frobenius, 0), q.Value(largest, 0)}, []float64{want.MeanTrace, want.Frobenius, want.Largest}, 1e-12)
		})
	}
}

// TestStructuresAgainstDense compares every operation with dense arithmetic, for members that are not symmetric, in sizes below and above those of the
// parts and of a panel.
func TestStructuresAgainstDense(t *testing.T) {
	for _, kind := range Structures() {
		for _, n := range []int{1, 2, 5, 16, 70} {
			s := newStructured(kind, [2]int{3, 2})
			r := source(uint64(n))
			a, b := newMember(s, n), newMember(s, n)
			fill(r, a.data)
			fill(r, b.data)
			da, db := a.whole(), b.whole()
			x, y, want := dense.New[float64](n, 3), dense.New[float64](n, 3), dense.New[float64](n, 3)
			xt, yt, wantT := dense.New[float64](3, n), dense.New[float64](3, n), dense.New[float64](3, n)
			fill(r, x.Data)
			dense.Transpose(xt, x)
			for _, op := range []dense.Trans{dense.NoTrans, dense.Transposed} {
				a.left(op, engine.One(x), engine.One(y))
				dense.Gemm(op, dense.NoTrans, 1, da, x, 0, want)
				within(t, string(kind)+" left", y.Data, want.Data, 1e-12)
				a.right(op, engine.One(xt), engine.One(yt))
				dense.Gemm(dense.NoTrans, op, 1, xt, da, 0, wantT)
				within(t, string(kind)+" right", yt.Data, wantT.Data, 1e-12)
			}
			full := dense.New[float64](n, n)
			dense.Gemm(dense.Transposed, dense.NoTrans, 1, da, da, 0, full)
			p := newMember(s, n)
			p.addInner(1, a)
			nearest(t, kind, s, p, full)
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, x, x, 0, full)
			p, q := newMember(s, n), newMember(s, n)
			p.addRowGram(1, engine.One(x))
			nearest(t, kind, s, p, full)
			q.addColumnGram(1, engine.One(xt))
			within(t, string(kind)+" Gram matrices", q.data, p.data, 1e-12)
			full.Copy(da)
			dense.Gemm(dense.NoTrans, dense.NoTrans, -0.3, da, db, 1, full)
			p = a.clone()
			p.addProduct([]float64{-0.3}, b)
			within(t, string(kind)+" product", p.whole().Data, full.Data, 1e-12)
		}
	}
}

// nearest checks that no member has a symmetric part nearer to the symmetric m than p has: the difference is orthogonal to the symmetric parts of the
// class. The trace is that of m.
func nearest(t *testing.T, kind Structure, s structured, p member[float64], m dense.Matrix[float64]) {
	t.Helper()
	rest := m.Clone()
	w := p.whole()
	var trace float64
	for i := range m.Rows {
		trace += m.At(i, i) - w.At(i, i)
		for j := range m.Rows {
			rest.Set(i, j, m.At(i, j)-(w.At(i, j)+w.At(j, i))/2)
		}
	}
	within(t, string(kind)+" trace", []float64{trace}, []float64{0}, 1e-10)
	e := newMember(s, m.Rows)
	for k := range min(e.size, 200) {
		e.data[k] = 1
		v := e.whole()
		e.data[k] = 0
		within(t, string(kind)+" projection", []float64{dense.Dot(v.Data, rest.Data)}, []float64{0}, 1e-10)
	}
}
