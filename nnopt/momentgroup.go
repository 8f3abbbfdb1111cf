package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

// momentGroup brings the eigenbases of moments of one size up to date on a device, as many together as its workspace holds. It does what
// momentFactor.refresh does for decompositions and orthogonal iterations, in float64 as well; the decompositions start from the bases in use.
type momentGroup[T Float] struct {
	e       engine.Backend[float64]
	arena   *engine.Arena[float64]
	n       int
	most    int // moments that can be due together
	tasks   []momentTask[T]
	a, v, w engine.Batch[float64] // moments, bases as rows, scratch
	m       engine.Batch[float64] // moments in the bases, where a tolerance wants them
	solver  *matfun.Eigen[float64]
	rows    *matfun.Orthonormal[float64]
	scales  []float64 // a number for each row, in ordinary memory, as lambda
	lambda  []float64
}

// momentTask is a factor that is due.
type momentTask[T Float] struct {
	f     *momentFactor[T]
	part  *shampooPart[T]
	scale float64 // of the moment
}

// groupElements bounds the elements of a group's moments.
const groupElements = 1 << 25

// grow makes room for so many moments, in equal parts where they are more than the bound allows.
func (g *momentGroup[T]) grow(most int, o *refreshing) {
	parts := (most*g.n*g.n + groupElements - 1) / groupElements
	count := (most + parts - 1) / max(parts, 1)
	if g.a.Count >= count {
		return
	}
	g.arena = engine.NewArena(g.e)
	for _, b := range []*engine.Batch[float64]{&g.a, &g.v, &g.w} {
		*b = g.batch(count)
	}
	g.scales, g.lambda = make([]float64, count*g.n), make([]float64, count*g.n)
	if o.tol > 0 {
		g.m = g.batch(count)
	}
	if o.qr {
		g.rows = matfun.NewOrthonormal(g.e, g.arena, count, g.n)
	} else {
		g.solver = matfun.NewEigen(g.e, g.arena, count, g.n)
	}
}

func (g *momentGroup[T]) batch(count int) engine.Batch[float64] {
	return engine.Batch[float64]{Count: count, Rows: g.n, Cols: g.n, Stride: g.n, Step: g.n * g.n, Data: g.arena.Alloc(count * g.n * g.n)}
}

// refresh does what is due. A batch that is not full repeats its last moment.
func (g *momentGroup[T]) refresh(r *shampooRule[T]) {
	o := r.refreshing()
	g.grow(len(g.tasks), &o)
	engine.Defer(g.e)
	defer engine.Settle(g.e)
	for from := 0; from < len(g.tasks); from += g.a.Count {
		tasks := g.tasks[from:min(from+g.a.Count, len(g.tasks))]
		finite := g.load(tasks, o.eps)
		if o.qr {
			g.iterate(tasks, finite, r, &o)
		} else {
			g.decompose(tasks, finite, r, &o)
		}
	}
	g.tasks = g.tasks[:0]
}

// load sets a to the moments, those that are not finite to zero, and v to the bases.
func (g *momentGroup[T]) load(tasks []momentTask[T], eps float64) (finite []bool) {
	finite = make([]bool, len(tasks))
	for k := range g.a.Count {
		t := &tasks[min(k, len(tasks)-1)]
		toDouble(g.e, t.f.l.Data, g.a.At(k).Data)
		toDouble(g.e, t.f.q.Data, g.w.At(k).Data)
		for i := range g.n {
			g.scales[k*g.n+i] = t.scale
		}
	}
	g.e.Transpose(g.w, g.v)
	g.e.Mirror(g.a)
	g.e.ScaleRows(g.scales, g.a, 0, g.a)
	g.e.Combine(eps, 1, g.a, 0, g.a, g.a)
	_, tops := g.measure(g.a)
	for k, top := range tops {
		bad := !(top < math.Inf(1))
		if bad {
			g.e.Blend(0, nil, 0, nil, g.a.At(k).Data)
		}
		if k < len(tasks) {
			finite[k] = !bad
		}
	}
	return finite
}

// decompose replaces the bases by those of decompositions, but for those that are good enough as they are.
func (g *momentGroup[T]) decompose(tasks []momentTask[T], finite []bool, r *shampooRule[T], o *refreshing) {
	kept := make([]bool, len(tasks))
	if o.tol > 0 {
		g.quotients()
		for k, rest := range g.rests(len(tasks)) {
			if kept[k] = finite[k] && rest <= o.tol; kept[k] {
				tasks[k].f.keep(g.lambda[k*g.n : (k+1)*g.n])
			}
		}
	}
	g.e.Transpose(g.v, g.w)
	_, err := g.solver.Solve(g.a, g.w, g.lambda, true)
	for k := range tasks {
		t := &tasks[k]
		ok := kept[k] || finite[k] && err == nil
		if ok && !kept[k] {
			fromDouble(g.e, g.w.At(k).Data, t.f.q.Data)
			t.f.keep(g.lambda[k*g.n : (k+1)*g.n])
		}
		t.part.refreshed(r, t.f, false, ok)
	}
}

// quotients sets w to (A Q)' and lambda to the diagonals of Q'A Q.
func (g *momentGroup[T]) quotients() {
	g.e.Gemm(dense.NoTrans, dense.NoTrans, 1, g.v, g.a, 0, g.w)
	g.e.RowDots(g.v, g.w, g.lambda)
}

// rests returns the norms of the off-diagonal parts of the first Q'A Q relative to the whole, after quotients.
func (g *momentGroup[T]) rests(count int) []float64 {
	g.e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, g.w, g.v, 0, g.m)
	rests, _ := g.measure(g.m)
	clear(g.scales)
	g.e.SetDiagonal(g.scales, g.m)
	left, _ := g.measure(g.m)
	for k, off := range left {
		if off > 0 {
			rests[k] = math.Sqrt(off / rests[k])
		} else {
			rests[k] = off
		}
	}
	return rests[:count]
}

// measure returns the sums of the squares, and the largest sizes, of the elements of matrices. It waits once.
func (g *momentGroup[T]) measure(b engine.Batch[float64]) (sums, tops []float64) {
	all := make([][]float64, b.Count)
	for k := range all {
		all[k] = b.At(k).Data
	}
	sums, tops = make([]float64, b.Count), make([]float64, b.Count)
	g.e.Measure(all, sums, tops)
	return sums, tops
}

// iterate makes orthogonal iterations, as momentFactor.iterate does.
func (g *momentGroup[T]) iterate(tasks []momentTask[T], finite []bool, r *shampooRule[T], o *refreshing) {
	g.quotients()
	for range o.most {
		going := make([]bool, len(tasks))
		if o.tol > 0 {
			for k, rest := range g.rests(len(tasks)) {
				going[k] = finite[k] && !(rest <= o.tol)
			}
		} else {
			copy(going, finite)
		}
		g.rows.Rows(g.w, g.v)
		some := false
		for k, goes := range going {
			if goes {
				some = true
				g.e.Copy(engine.One(g.w.At(k)), engine.One(g.v.At(k)))
			}
		}
		if !some {
			break
		}
		g.quotients()
	}
	for k := range tasks {
		t := &tasks[k]
		if !finite[k] {
			t.part.refreshed(r, t.f, false, false)
			continue
		}
		t.f.sort(g.lambda[k*g.n:(k+1)*g.n], o.ascending)
		order := make([]int32, g.n)
		for i, from := range t.f.perm {
			order[i] = int32(from)
		}
		sorted, q := engine.One(g.w.At(k)), engine.One(g.v.At(k))
		g.e.Gather(g.v.At(k), order, g.w.At(k))
		g.e.Transpose(sorted, q)
		fromDouble(g.e, q.Data, t.f.q.Data)
		t.part.refreshed(r, t.f, !o.ascending, true)
	}
}

// toDouble sets y to x where the engine computes.
func toDouble[T Float](e engine.Backend[float64], x []T, y []float64) {
	switch x := any(x).(type) {
	case []float32:
		e.FromSingle(x, y)
	case []float64:
		e.Blend(1, x, 0, nil, y)
	}
}

// fromDouble sets y to x, rounded to T.
func fromDouble[T Float](e engine.Backend[float64], x []float64, y []T) {
	switch y := any(y).(type) {
	case []float32:
		e.ToSingle(x, y)
	case []float64:
		e.Blend(1, x, 0, nil, y)
	}
}
