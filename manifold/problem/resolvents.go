package problem

import (
	"runtime"
	"slices"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

// resolvents computes sums of inverses (A_k + s X)^-1 over matrices A_k and shifts s, several inverses at a time (dense.Bundle): those of as many matrices as a
// bundle holds with one shift, or of fewer with several shifts. The inverses are shared out to a fixed number of parts, whose sums are added in
// order: the same bits for every GOMAXPROCS. Scratch space belongs to the threads.
type resolvents[T dense.Float] struct {
	n       int
	groups  []*resolventGroup[T]
	parts   []*resolventPart[T]
	stride  int                    // so many parts share the shifts of a group
	step    int                    // the same in the present call: 1 if a part must see all shifts
	scratch []*resolventScratch[T] // one for each thread so far
	serial  bool
	x       []T // as tiles
	lanes   int
	total   []T
	double  []float64
	// of the present call
	shifts  []float64
	sums    []resolventSum
	weights []float64 // of the matrices
	bounds  [2]float64
	signs   []float64                                         // if not nil, of all pivots of A_k + shift_j X, and no inverses
	inspect func(p *resolventPart[T], s *resolventScratch[T]) // if not nil, is shown the negatives of all inverses
	// visit, if not nil, is called in the next sum when acc has the sums of a part with equal weights of the matrices, and gives them their weights.
	visit func(p *resolventPart[T], s *resolventScratch[T]) bool
}

// resolventGroup is some of the data in one bundle: matrix first + i in the lanes i, i + count, ...
type resolventGroup[T dense.Float] struct {
	first, count, slots int
	data                *dense.Bundle[T]
}

type resolventPart[T dense.Float] struct {
	group  *resolventGroup[T]
	from   int // its first shift
	sums   [2][]T
	acc    [2]*dense.Bundle[T] // of each matrix, for visit
	spread float64             // of harmonic
	failed bool
}

type resolventScratch[T dense.Float] struct {
	m             *dense.Bundle[T]
	work          *dense.BundleWork[T]
	shift, weight []T
	t             [3]dense.Matrix[T] // of reweigh
}

// resolventSum is one sum over the shifts, whose weights it holds; it goes to dst.
type resolventSum struct {
	weight []float64
	dst    dense.Matrix[float64]
}

// newResolvents takes the upper triangles of the data.
func newResolvents[T dense.Float](data []dense.Matrix[float64]) *resolvents[T] {
	n, count, lanes := data[0].Rows, len(data), dense.Lanes[T]()
	r := &resolvents[T]{n: n, stride: 1, serial: count*n*n*n < serialLimit, lanes: lanes, x: make([]T, dense.TiledLength(n)),
		total: make([]T, dense.TiledLength(n)), double: make([]float64, dense.TiledLength(n))}
	for first := 0; first < count; first += lanes {
		g := &resolventGroup[T]{first: first, count: min(lanes, count-first), data: dense.NewBundle[T](n)}
		g.slots = lanes / g.count
		g.fill(data)
		r.groups = append(r.groups, g)
	}
	if 2*len(r.groups) <= teamParts {
		r.stride = 2
	}
	for _, g := range r.groups {
		for from := range r.stride {
			r.parts = append(r.parts, &resolventPart[T]{group: g, from: from})
		}
	}
	return r
}

// fill sets the matrices of the lanes.
func (g *resolventGroup[T]) fill(data []dense.Matrix[float64]) {
	const four = 4
	for lane := 0; lane < dense.Lanes[T](); lane += four {
		var m [four]dense.Matrix[float64]
		for i := range m {
			m[i] = data[g.first+(lane+i)%g.count] // lanes without shifts have a weight of 0
		}
		dense.SetFour(g.data, lane, m)
	}
}

// sum sets the dst of each of the sums to sum_k weights_k sum_j weight_j (A_k + shift_j X)^-1, complete. False means that a matrix is not positive definite
// to rounding.
func (r *resolvents[T]) sum(x dense.Matrix[T], shifts, weights []float64, sums ...resolventSum) bool {
	r.weights, r.sums, r.signs = weights, append(r.sums[:0], sums...), nil
	ok := r.share(x, shifts)
	if r.visit = nil; !ok {
		return false
	}
	for i, s := range sums {
		r.collect(i, s.dst)
	}
	return true
}

// sumTo is sum with one sum, in the precision of the inverses.
func (r *resolvents[T]) sumTo(dst, x dense.Matrix[T], shifts, weights, weight []float64) bool {
	r.weights, r.sums, r.signs = weights, append(r.sums[:0], resolventSum{weight: weight}), nil
	ok := r.share(x, shifts)
	if r.visit = nil; !ok {
		return false
	}
	r.add(0)
	dense.UnpackTiles(dst, r.total)
	dense.Mirror(dst)
	return true
}

// harmonic sets dst to sum_k weights_k A_k^-1 and returns the largest tr A/n tr A^-1/n. False means that a matrix is not positive definite to rounding.
func (r *resolvents[T]) harmonic(dst dense.Matrix[T], weights []float64) (spread float64, ok bool) {
	r.inspect = func(p *resolventPart[T], s *resolventScratch[T]) {
		s.m.Traces(s.weight)
		p.group.data.Traces(s.shift)
		n := float64(r.n)
		for i, t := range s.shift {
			p.spread = max(p.spread, -float64(t)/n*float64(s.weight[i])/n)
		}
	}
	ok = r.sumTo(dst, dense.New[T](r.n, r.n), []float64{0}, weights, []float64{1})
	r.inspect = nil
	for _, p := range r.parts {
		spread = max(spread, p.spread)
	}
	return spread, ok
}

// mean sets dst to sum_k weights_k A_k.
func (r *resolvents[T]) mean(dst dense.Matrix[T], weights []float64) {
	clear(r.total)
	lanes := make([]T, r.lanes)
	for _, g := range r.groups {
		clear(lanes)
		for i := range g.count {
			lanes[i] = T(weights[g.first+i])
		}
		g.data.AddSum(r.total, lanes)
	}
	dense.UnpackTiles(dst, r.total)
	dense.Mirror(dst)
}

// inner sets dst to the inner products of the data with the symmetric x.
func (r *resolvents[T]) inner(dst []float64, x dense.Matrix[T]) {
	dense.InnerTiles(r.x, x)
	lanes := make([]T, r.lanes)
	for _, g := range r.groups {
		g.data.Inner(lanes, r.x)
		for i := range g.count {
			dst[g.first+i] = float64(lanes[i])
		}
	}
}

// definite tells whether all data are positive definite.
func (r *resolvents[T]) definite() bool {
	r.sums, r.signs = r.sums[:0], upAndDown[:1]
	return r.share(dense.New[T](r.n, r.n), []float64{0})
}

// between tells whether low X < A_k < high X for all k.
func (r *resolvents[T]) between(x dense.Matrix[T], low, high float64) bool {
	r.bounds = [2]float64{-low, -high}
	r.sums, r.signs = r.sums[:0], upAndDown[:]
	return r.share(x, r.bounds[:])
}

var upAndDown = [2]float64{1, -1}

// collect adds up what the parts have.
func (r *resolvents[T]) collect(i int, dst dense.Matrix[float64]) {
	r.add(i)
	for j, v := range r.total {
		r.double[j] = float64(v)
	}
	dense.UnpackTiles(dst, r.double)
	dense.Mirror(dst)
}

// add sets total to sum i of all parts.
func (r *resolvents[T]) add(i int) {
	clear(r.total)
	for _, p := range r.parts {
		dense.Axpy(1, p.sums[i], r.total)
	}
}

// share does all parts, on several goroutines where that pays.
func (r *resolvents[T]) share(x dense.Matrix[T], shifts []float64) bool {
	dense.PackTiles(r.x, x)
	if r.shifts, r.step = shifts, r.stride; r.visit != nil {
		r.step = 1
	}
	threads := min(runtime.GOMAXPROCS(0), len(r.parts))
	if r.serial {
		threads = 1
	}
	for len(r.scratch) < threads {
		r.scratch = append(r.scratch, &resolventScratch[T]{m: dense.NewBundle[T](r.n), work: dense.NewBundleWork[T](r.n),
			shift: make([]T, r.lanes), weight: make([]T, r.lanes)})
	}
	if threads == 1 {
		r.some(0, 1)
	} else {
		r.together(threads)
	}
	return !slices.ContainsFunc(r.parts, func(p *resolventPart[T]) bool { return p.failed })
}

func (r *resolvents[T]) together(threads int) {
	var wait sync.WaitGroup
	for t := range threads {
		wait.Go(func() { r.some(t, threads) })
	}
	wait.Wait()
}

// some does the parts thread, thread + threads, ...
func (r *resolvents[T]) some(thread, threads int) {
	for i := thread; i < len(r.parts); i += threads {
		p := r.parts[i]
		p.failed = !r.part(p, r.scratch[thread])
	}
}

// part adds up the inverses of one part.
func (r *resolvents[T]) part(p *resolventPart[T], s *resolventScratch[T]) bool {
	g := p.group
	if p.clear(r); p.from >= r.step {
		return true
	}
	for j := p.from; j < len(r.shifts); j += r.step * g.slots {
		r.fill(s.shift, g, j, func(int, j int) float64 { return r.shifts[j] })
		s.m.Shift(g.data, s.shift, r.x)
		if r.signs != nil {
			if !r.signed(g, j, s) {
				return false
			}
			continue
		}
		if !s.m.InvertNegative(s.work) {
			return false
		}
		if r.inspect != nil {
			r.inspect(p, s)
		}
		for i, sum := range r.sums {
			if !r.fill(s.weight, g, j, func(k, j int) float64 { return -r.weights[k] * sum.weight[j] }) {
				continue
			}
			if r.visit != nil {
				p.acc[i].Add(s.weight, s.m)
			} else {
				s.m.AddSum(p.sums[i], s.weight)
			}
		}
	}
	return r.signs != nil || r.visit == nil || r.visit(p, s)
}

// clear sets what the part adds up to zero.
func (p *resolventPart[T]) clear(r *resolvents[T]) {
	for i := range r.sums {
		if p.sums[i] == nil {
			p.sums[i] = make([]T, len(r.x))
		}
		clear(p.sums[i])
		if r.visit == nil {
			continue
		}
		if p.acc[i] == nil {
			p.acc[i] = dense.NewBundle[T](r.n)
		}
		p.acc[i].Zero()
	}
}

// signed tells whether the pivots of the matrices in s.m have the signs of the shifts from j on.
func (r *resolvents[T]) signed(g *resolventGroup[T], j int, s *resolventScratch[T]) bool {
	s.m.Eliminate(s.work)
	r.fill(s.weight, g, j, func(_, j int) float64 { return r.signs[j] })
	for i, pivot := range s.work.Pivots[:r.n*r.lanes] {
		if sign := s.weight[i%r.lanes]; sign != 0 && !(sign*pivot > 0) {
			return false
		}
	}
	return true
}

// fill sets the values of the lanes for the matrices k and the shifts from j on, and tells whether one is not 0; lanes without have 0.
func (r *resolvents[T]) fill(dst []T, g *resolventGroup[T], j int, value func(k, j int) float64) (some bool) {
	clear(dst)
	for s := range g.slots {
		at := j + s*r.step
		if at >= len(r.shifts) {
			break
		}
		for i := range g.count {
			v := T(value(g.first+i, at))
			dst[s*g.count+i] = v
			some = some || v != 0
		}
	}
	return some
}

// reweigh gives the sums of a part the weights that weigh returns for each matrix k, given S_k = sum_j weight_j (A_k + shift_j X)^-1 and the square of the
// distance, tr (constant I - S_k X)^2. Matrices of weight 0 are left out; false from weigh fails the part.
func (r *resolvents[T]) reweigh(p *resolventPart[T], w *resolventScratch[T], x dense.Matrix[T], constant T,
	weigh func(k int, sum dense.Matrix[T], square float64) (weight float64, ok bool)) bool {
	g := p.group
	for i := range w.t {
		if w.t[i].Rows == 0 {
			w.t[i] = dense.New[T](r.n, r.n)
		}
	}
	sum, log, transposed := w.t[0], w.t[1], w.t[2]
	clear(w.weight)
	for i := range g.count {
		p.acc[0].Get(i, sum)
		for slot := 1; slot < g.slots; slot++ {
			p.acc[0].Get(slot*g.count+i, log)
			dense.Axpy(1, log.Data, sum.Data)
		}
		dense.Mirror(sum)
		dense.Gemm(dense.NoTrans, dense.NoTrans, -1, sum, x, 0, log)
		for j := range r.n {
			log.Set(j, j, log.At(j, j)+constant)
		}
		dense.Transpose(transposed, log)
		weight, ok := weigh(g.first+i, sum, float64(dense.Dot(log.Data, transposed.Data)))
		if !ok {
			return false
		}
		for slot := range g.slots {
			w.weight[slot*g.count+i] = T(weight)
		}
	}
	for i := range r.sums {
		p.acc[i].AddSum(p.sums[i], w.weight)
	}
	return true
}
