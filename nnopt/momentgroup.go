package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
)

// momentGroup brings the eigenbases, or the roots, of moments of one size up to date on a device, as many together as its workspace holds. It does what
// momentFactor.refresh does, in float64 as well; the decompositions start from the bases in use.
type momentGroup[T Float] struct {
	e        engine.Backend[float64]
	arena    *engine.Arena[float64]
	n        int
	o        refreshing
	tasks    []momentTask[T]
	a, v, w  engine.Batch[float64] // moments, bases as rows, scratch
	m        engine.Batch[float64] // moments in the bases, where a tolerance wants them
	solver   *matfun.Eigen[float64]
	rows     *matfun.Orthonormal[float64]
	roots    *coupledRoots
	sweeps   *sweeps
	scales   []float64 // a number for each row, in ordinary memory
	values   []float64 // the same
	lambda   []float64 // the same, on the device
	measures tallied   // there
	pause    func()    // waits for what is read
}

// momentTask is a moment of the group: that of tensor k of a factor.
type momentTask[T Float] struct {
	f    *momentFactor[T]
	part *shampooPart[T]
	k    int
}

func (t *momentTask[T]) done() *refreshed { return &t.f.found.outcome[t.k] }

// group returns that of the moments of factor k of a part.
func (w *shampooAway[T]) group(r *shampooRule[T], p *shampooPart[T], k int) *momentGroup[T] {
	o, n := r.refreshing(p, k), p.moments[k].n
	for _, g := range w.groups {
		if g.n == n && (!r.formed() || g.o.exponent == o.exponent) {
			return g
		}
	}
	g := &momentGroup[T]{e: w.fine.e, arena: w.fine.arena, n: n, o: o}
	w.groups = append(w.groups, g)
	return g
}

// add adds the moments of factor k of a part.
func (g *momentGroup[T]) add(p *shampooPart[T], k int) {
	for i := range p.pieces {
		g.tasks = append(g.tasks, momentTask[T]{p.moments[k], p, i})
	}
}

// settle takes the memory for all moments, in equal parts where they are more than the bound allows.
func (g *momentGroup[T]) settle() {
	most := len(g.tasks)
	parts := max(1, (most*g.n*g.n+wideElements-1)/wideElements)
	count := (most + parts - 1) / parts
	square := func() engine.Batch[float64] { return squares(g.arena.Alloc(count*g.n*g.n), count, g.n) }
	g.a, g.w = square(), square()
	g.scales, g.values, g.lambda, g.measures = make([]float64, count*g.n), make([]float64, count*g.n), g.arena.Alloc(count*g.n), newTallied(g.arena, count)
	pause := func() { g.pause() }
	switch o := &g.o; {
	case o.roots == RootNewton || o.roots == RootSeries:
		g.roots = newCoupledRoots(g.e, g.arena, count, g.n)
		g.roots.pause = pause
		return
	case o.sweeps:
		g.sweeps = newSweeps(g.e, g.arena, count, g.n)
		g.sweeps.pause = pause
		return
	case o.qr:
		g.rows = matfun.NewOrthonormal(g.e, g.arena, count, g.n)
	default:
		g.solver = matfun.NewEigen(g.e, g.arena, count, g.n)
		g.solver.Pause = pause
	}
	g.v = square()
	if g.o.tol > 0 {
		g.m = square()
	}
}

// refresh finds bases for the moments that lie where it leaves the bases. A batch that is not full repeats its last moment.
func (g *momentGroup[T]) refresh(r *shampooRule[T], pause func()) {
	g.pause = pause
	if r.TraceScaling {
		pause()
	}
	for from := 0; from < len(g.tasks); from += g.a.Count {
		tasks := g.tasks[from:min(from+g.a.Count, len(g.tasks))]
		g.load(tasks, r)
		switch o := &g.o; {
		case g.roots != nil:
			g.form(tasks, o)
		case g.sweeps != nil:
			g.sweep(tasks, o)
		case o.qr:
			g.iterate(tasks, o)
		default:
			g.decompose(tasks, o)
		}
	}
}

// runs calls do for the stretches of tasks that are tensors of one factor, one after the other: count of them, from task at on.
func runs[T Float](tasks []momentTask[T], do func(at, count int)) {
	for at := 0; at < len(tasks); {
		count := 1
		for at+count < len(tasks) && tasks[at+count].f == tasks[at].f && tasks[at+count].k == tasks[at].k+count {
			count++
		}
		do(at, count)
		at += count
	}
}

// of is the matrices of tensors k, k+1, ... of a factor.
func of[E any](x []E, n, k, count int) []E { return x[k*n*n : (k+count)*n*n] }

// load sets a to the moments, those that are not finite to zero, and w to the bases.
func (g *momentGroup[T]) load(tasks []momentTask[T], r *shampooRule[T]) {
	in := func(at, count int, t *momentTask[T]) {
		toDouble(g.e, of(t.f.found.bases.Data, g.n, t.k, count), of(g.a.Data, g.n, at, count))
		if g.roots == nil {
			toDouble(g.e, of(t.f.q.Data, g.n, t.k, count), of(g.w.Data, g.n, at, count))
		}
	}
	runs(tasks, func(at, count int) { in(at, count, &tasks[at]) })
	last := &tasks[len(tasks)-1]
	for k := range g.a.Count {
		t := last
		if k < len(tasks) {
			t = &tasks[k]
		} else {
			in(k, 1, t)
		}
		scale := t.part.scaleOf(r, t.f, t.k)
		for i := range g.n {
			g.scales[k*g.n+i] = scale
		}
	}
	g.e.Mirror(g.a)
	g.e.ScaleRows(g.scales, g.a, 0, g.a)
	g.e.Combine(g.o.eps, 1, g.a, 0, g.a, g.a)
	g.measure(g.a)
	g.pause()
	for k := range g.a.Count {
		finite := g.measures.tops[k] < math.Inf(1)
		if !finite {
			g.e.Blend(0, nil, 0, nil, g.a.At(k).Data)
		}
		if k < len(tasks) {
			*tasks[k].done() = refreshed{ok: finite, moved: finite}
		}
	}
}

// measure tallies matrices.
func (g *momentGroup[T]) measure(b engine.Batch[float64]) {
	g.e.Tally(b.Data, b.Count, g.measures.all)
}

// deliver leaves matrices where they are found.
func (g *momentGroup[T]) deliver(tasks []momentTask[T], from engine.Batch[float64]) {
	runs(tasks, func(at, count int) {
		t := &tasks[at]
		fromDouble(g.e, of(from.Data, g.n, at, count), of(t.f.found.bases.Data, g.n, t.k, count))
	})
}

// keep takes eigenvalues over.
func (g *momentGroup[T]) keep(t *momentTask[T], at int, values []float64) {
	copy(t.f.lambda[t.k*g.n:(t.k+1)*g.n], values[at*g.n:(at+1)*g.n])
}

// form makes roots.
func (g *momentGroup[T]) form(tasks []momentTask[T], o *refreshing) {
	ok := make([]bool, g.a.Count)
	g.roots.find(g.a, o, ok)
	g.deliver(tasks, g.roots.roots)
	for k := range tasks {
		done := tasks[k].done()
		done.ok = done.ok && ok[k]
		done.moved = done.ok
	}
}

// sweep turns bases by the sweeps of the spectral core.
func (g *momentGroup[T]) sweep(tasks []momentTask[T], o *refreshing) {
	s := g.sweeps
	g.e.Copy(g.w, s.b)
	s.restore()
	s.approach(g.a, o.turning())
	g.deliver(tasks, s.b)
	g.pause()
	for k := range tasks {
		g.keep(&tasks[k], k, s.d)
	}
}

// decompose finds the bases by decompositions, but for those that are good enough as they are.
func (g *momentGroup[T]) decompose(tasks []momentTask[T], o *refreshing) {
	good := make([]bool, len(tasks))
	if o.tol > 0 {
		g.e.Transpose(g.w, g.v)
		g.quotients()
		for k, rest := range g.rests(len(tasks)) {
			if good[k] = tasks[k].done().ok && rest <= o.tol; good[k] {
				g.keep(&tasks[k], k, g.lambda)
			}
		}
		g.e.Transpose(g.v, g.w)
	}
	_, err := g.solver.Solve(g.a, g.w, g.values, true)
	if err == nil {
		g.deliver(tasks, g.w)
	}
	for k := range tasks {
		done := tasks[k].done()
		switch {
		case good[k]:
			done.moved = false
		case err != nil:
			*done = refreshed{}
		case done.ok:
			g.keep(&tasks[k], k, g.values)
		}
	}
}

// quotients sets w to (A Q)' and lambda to the diagonals of Q'A Q.
func (g *momentGroup[T]) quotients() {
	g.e.Gemm(dense.NoTrans, dense.NoTrans, 1, g.v, g.a, 0, g.w)
	g.e.RowDots(g.v, g.w, g.lambda)
}

// rests returns the norms of the off-diagonal parts of the first Q'A Q relative to the whole, after quotients. It waits twice.
func (g *momentGroup[T]) rests(count int) []float64 {
	g.e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, g.w, g.v, 0, g.m)
	g.measure(g.m)
	g.pause()
	rests := make([]float64, count)
	for k := range rests {
		rests[k] = g.measures.squares[k]
	}
	clear(g.scales)
	g.e.SetDiagonal(g.scales, g.m)
	g.measure(g.m)
	g.pause()
	for k := range rests {
		if off := g.measures.squares[k]; off > 0 {
			rests[k] = math.Sqrt(off / rests[k])
		} else {
			rests[k] = off
		}
	}
	return rests
}

// iterate makes orthogonal iterations, as momentFactor.iterate does.
func (g *momentGroup[T]) iterate(tasks []momentTask[T], o *refreshing) {
	g.e.Transpose(g.w, g.v)
	g.quotients()
	for range o.most {
		going := make([]bool, len(tasks))
		for k := range going {
			going[k] = tasks[k].done().ok
		}
		if o.tol > 0 {
			for k, rest := range g.rests(len(tasks)) {
				going[k] = going[k] && !(rest <= o.tol)
			}
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
	g.pause()
	order := make([]int32, g.a.Count*g.n)
	for i := range order {
		order[i] = int32(i)
	}
	for k := range tasks {
		t := &tasks[k]
		own := t.f.perm[t.k*g.n : (t.k+1)*g.n]
		if !t.done().ok {
			for i := range own {
				own[i] = i
			}
			continue
		}
		sortQuotients(g.lambda[k*g.n:(k+1)*g.n], t.f.lambda[t.k*g.n:(t.k+1)*g.n], own, o.ascending)
		for i, from := range own {
			order[k*g.n+i] = int32(k*g.n + from)
		}
		t.done().ordered = !o.ascending
	}
	tall := func(b engine.Batch[float64]) dense.Matrix[float64] { return dense.Wrap(b.Count*g.n, g.n, b.Data) }
	g.e.Gather(tall(g.v), order, tall(g.w))
	g.e.Transpose(g.w, g.v)
	g.deliver(tasks, g.v)
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
