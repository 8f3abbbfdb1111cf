package problem

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/spdopt/spdopt/internal/dense"
)

// resolvents computes sums of inverses (A_k + s X)^-1 over matrices A_k and shifts s, several inverses at a time (dense.Bundle): those of as many matrices as a
// bundle holds with one shift, or of fewer with several shifts. The inverses are shared out to a fixed number of parts, whose sums are added in
// order: the same bits for every GOMAXPROCS. Scratch space belongs to the threads.
type resolvents[T dense.Float] struct {
	n        int
	groups   []*resolventGroup[T]
	parts    []*resolventPart[T]
	stride   int // so many parts share the rounds of a group
	spaces   dense.Spaces[resolventScratch[T]]
	serial   bool
	tasks    struct{ part dense.Parallel }
	lanes    int
	x, total []T // as tiles
	lane     []T // an element for each lane
	// bears tells whether matrices of that fitness are of use; where one is not, measuring ends. All are if it is nil.
	bears func(fitness) bool
	// of the present call
	shifts, coeff []float64
	weights       []float64 // of the matrices
	step          int       // stride, or 1 where a part must see all rounds
	keeping       bool      // the sums of each matrix, and traces
	others        []float64 // coefficients of these
	traces        []float64
	doubled       []T  // x for inner products
	measuring     bool // how fit the matrices are
	unfit         atomic.Bool
	// the matrices of all groups
	sets struct{ data, inverses, kept laneMatrices[T] }
}

// resolventGroup is some of the data in one bundle: matrix first + i in the lanes i, i + count, ...
type resolventGroup[T dense.Float] struct {
	first, count, slots int
	data                *dense.Bundle[T]
	negative            *dense.Bundle[T] // of the inverses, if they are kept
	kept                *dense.Bundle[T] // the sums of each matrix
}

type resolventPart[T dense.Float] struct {
	group   *resolventGroup[T]
	from    int // its first round
	sum     []T // as tiles
	failed  bool
	fitness fitness
}

const (
	resolventParts = 16 // at most, if there are not as many groups
	mostRounds     = 4  // of a group that are done at the same time
)

type resolventScratch[T dense.Float] struct {
	m             *dense.Bundle[T]
	work          *dense.BundleWork[T]
	shift, weight []T
}

// fitness tells how well single precision bears matrices: the largest tr A/n tr A^-1/n, and a bound of the largest condition.
type fitness struct{ spread, condition float64 }

// worse returns the worse of both.
func (f fitness) worse(g fitness) fitness {
	return fitness{max(f.spread, g.spread), max(f.condition, g.condition)}
}

// newResolvents takes the upper triangles of the data.
func newResolvents[T dense.Float](data []dense.Matrix[float64]) *resolvents[T] {
	n, count, lanes := data[0].Rows, len(data), dense.Lanes[T]()
	r := &resolvents[T]{n: n, stride: 1, serial: count*n*n*n < serialLimit, lanes: lanes, x: make([]T, dense.TiledLength(n)),
		total: make([]T, dense.TiledLength(n)), lane: make([]T, lanes)}
	for first := 0; first < count; first += lanes {
		g := &resolventGroup[T]{first: first, count: min(lanes, count-first), data: dense.NewBundle[T](n)}
		g.slots = lanes / g.count
		r.groups = append(r.groups, g)
	}
	for first := 0; first < count; first += sideBySide {
		r.set(first, data[first:min(count, first+sideBySide)])
	}
	r.stride = max(1, min(mostRounds, resolventParts/len(r.groups)))
	for _, g := range r.groups {
		for from := range r.stride {
			r.parts = append(r.parts, &resolventPart[T]{group: g, from: from, sum: make([]T, len(r.x))})
		}
	}
	r.tasks.part.Task = dense.PartFunc(r.part)
	r.spaces.Make = r.newScratch
	r.sets.data = laneMatrices[T]{r, func(g *resolventGroup[T]) *dense.Bundle[T] { return g.data }, false, 1}
	r.sets.inverses = laneMatrices[T]{r, func(g *resolventGroup[T]) *dense.Bundle[T] { return g.negative }, false, -1}
	r.sets.kept = laneMatrices[T]{r, func(g *resolventGroup[T]) *dense.Bundle[T] { return g.kept }, true, 1}
	return r
}

// set implements singleInverses. Lanes without a matrix of their own get one that is there, for a weight of 0.
func (r *resolvents[T]) set(first int, m []dense.Matrix[float64]) {
	g := r.groups[first/r.lanes]
	for lane := 0; lane < r.lanes; lane += sideBySide {
		if g.count > sideBySide && lane != first-g.first {
			continue
		}
		var four [sideBySide]dense.Matrix[float64]
		for i := range four {
			if g.count > sideBySide {
				four[i] = m[i%len(m)]
			} else {
				four[i] = m[(lane+i)%g.count]
			}
		}
		dense.SetFour(g.data, lane, four)
	}
}

// setLanes implements singleInverses.
func (r *resolvents[T]) setLanes(first int, b *dense.Bundle[float64]) {
	g := r.groups[first/r.lanes]
	from, count, all := 0, g.count, r.lanes
	if count > sideBySide {
		from, all = first-g.first, sideBySide
		count = min(sideBySide, g.count-from)
	}
	var lanes [8]int
	for i := range lanes[:all] {
		lanes[i] = i % count
	}
	dense.SetLanes(g.data, from, b, lanes[:all])
}

// sumTo implements singleInverses.
func (r *resolvents[T]) sumTo(dst, x dense.Matrix[T], shifts, weights, coeff []float64) bool {
	r.weights, r.keeping, r.step = weights, false, r.stride
	if !r.sums(x, shifts, coeff) {
		return false
	}
	clear(r.total)
	for _, p := range r.parts {
		if p.from < min(r.step, r.roundsOf(p.group, len(shifts))) {
			dense.Axpy(1, p.sum, r.total)
		}
	}
	dense.UnpackTiles(dst, r.total)
	dense.Mirror(dst)
	return true
}

// harmonic implements singleInverses.
func (r *resolvents[T]) harmonic(dst dense.Matrix[T], weights []float64, keep bool) (f fitness, ok bool) {
	for _, g := range r.groups {
		if keep && g.negative == nil {
			g.negative = dense.NewBundle[T](r.n)
		}
	}
	r.measuring = true
	r.unfit.Store(false)
	ok = r.sumTo(dst, dense.New[T](r.n, r.n), []float64{0}, weights, []float64{1})
	r.measuring = false
	for _, p := range r.parts {
		f = f.worse(p.fitness)
	}
	return f, ok
}

// keep implements singleInverses.
func (r *resolvents[T]) keep(x dense.Matrix[T], shifts, coeff, others, traces []float64) bool {
	if r.doubled == nil {
		r.doubled = make([]T, len(r.x))
		for _, g := range r.groups {
			g.kept = dense.NewBundle[T](r.n)
		}
	}
	dense.InnerTiles(r.doubled, x)
	clear(traces)
	r.keeping, r.step, r.others, r.traces = true, 1, others, traces
	return r.sums(x, shifts, coeff)
}

// sums does all parts, on several goroutines where that pays.
func (r *resolvents[T]) sums(x dense.Matrix[T], shifts, coeff []float64) bool {
	dense.PackTiles(r.x, x)
	r.shifts, r.coeff = shifts, coeff
	perform(&r.tasks.part, len(r.parts), r.serial)
	return !slices.ContainsFunc(r.parts, func(p *resolventPart[T]) bool { return p.failed })
}

func (r *resolvents[T]) newScratch() *resolventScratch[T] {
	return &resolventScratch[T]{m: dense.NewBundle[T](r.n), work: dense.NewBundleWork[T](r.n), shift: make([]T, r.lanes), weight: make([]T, r.lanes)}
}

// part adds up the inverses of one part.
func (r *resolvents[T]) part(i int) {
	p := r.parts[i]
	g, rounds := p.group, r.roundsOf(p.group, len(r.shifts))
	p.failed, p.fitness = r.measuring && r.unfit.Load(), fitness{}
	if p.failed || p.from >= min(r.step, rounds) {
		return
	}
	s := r.spaces.Take()
	defer r.spaces.Give(s)
	clear(p.sum)
	if r.keeping {
		g.kept.Zero()
	}
	m := s.m
	if r.measuring && g.negative != nil {
		m = g.negative
	}
	for round := p.from; round < rounds && !p.failed; round += r.step {
		p.failed = !r.round(p, round*g.slots, m, s)
	}
	if r.measuring && (p.failed || r.bears != nil && !r.bears(p.fitness)) {
		p.failed = true
		r.unfit.Store(true)
	}
}

// round adds the inverses for the shifts from j on, as many as a bundle holds.
func (r *resolvents[T]) round(p *resolventPart[T], j int, m *dense.Bundle[T], s *resolventScratch[T]) bool {
	g := p.group
	r.fill(s.shift, g, j, func(_, j int) float64 { return r.shifts[j] })
	m.Shift(g.data, s.shift, r.x)
	if !m.InvertNegative(s.work) {
		return false
	}
	if r.measuring {
		p.measure(float64(r.n), m, s)
	}
	if r.keeping {
		r.keepTerm(g, j, m, s)
		return true
	}
	r.fill(s.weight, g, j, func(k, j int) float64 { return -r.weights[k] * r.coeff[j] })
	m.AddSum(p.sum, s.weight)
	return true
}

// keepTerm adds the negative inverses in m, for the shifts from j on, to what is kept of a group and to traces.
func (r *resolvents[T]) keepTerm(g *resolventGroup[T], j int, m *dense.Bundle[T], s *resolventScratch[T]) {
	r.fill(s.weight, g, j, func(_, j int) float64 { return -r.coeff[j] })
	g.kept.Add(s.weight, m)
	m.Inner(s.shift, r.doubled)
	r.fill(s.weight, g, j, func(_, j int) float64 { return -r.others[j] })
	for l := range g.count * g.slots {
		r.traces[g.first+l%g.count] += float64(s.weight[l] * s.shift[l])
	}
}

// measure finds the fitness of the matrices whose negative inverses are given.
func (p *resolventPart[T]) measure(n float64, negative *dense.Bundle[T], s *resolventScratch[T]) {
	p.fitness = fitness{}
	negative.Traces(s.weight)
	p.group.data.Traces(s.shift)
	for i, t := range s.shift {
		p.fitness.spread = max(p.fitness.spread, -float64(t)/n*float64(s.weight[i])/n)
	}
	negative.SquareBounds(s.weight)
	p.group.data.SquareBounds(s.shift)
	for i, t := range s.shift {
		p.fitness.condition = max(p.fitness.condition, math.Sqrt(float64(t))*math.Sqrt(float64(s.weight[i])))
	}
}

// fill sets the values of the lanes for the matrices k and the shifts from j on; lanes without have 0.
func (r *resolvents[T]) fill(dst []T, g *resolventGroup[T], j int, value func(k, j int) float64) {
	clear(dst)
	for s := range g.slots {
		at := j + s
		if at >= len(r.shifts) {
			break
		}
		for i := range g.count {
			dst[s*g.count+i] = T(value(g.first+i, at))
		}
	}
}

// rounds implements singleInverses.
func (r *resolvents[T]) rounds(shifts int) (sum int) {
	for _, g := range r.groups {
		sum += r.roundsOf(g, shifts)
	}
	return sum
}

// roundsOf returns the number of inversions of a bundle that a group takes for that many shifts.
func (r *resolvents[T]) roundsOf(g *resolventGroup[T], shifts int) int {
	return dense.PartsOf(shifts, g.slots)
}

// data implements singleInverses.
func (r *resolvents[T]) data() symmetricMatrices[T] { return &r.sets.data }

// inverses implements singleInverses.
func (r *resolvents[T]) inverses() symmetricMatrices[T] { return &r.sets.inverses }

// kept implements singleInverses.
func (r *resolvents[T]) kept() symmetricMatrices[T] { return &r.sets.kept }

// laneMatrices are a matrix for each of the data, in a bundle of each group: the sum of the lanes where the group has the matrix, or the first of these.
type laneMatrices[T dense.Float] struct {
	r      *resolvents[T]
	bundle func(g *resolventGroup[T]) *dense.Bundle[T]
	all    bool // lanes
	sign   T
}

func (m *laneMatrices[T]) lanes(g *resolventGroup[T]) int {
	if m.all {
		return g.count * g.slots
	}
	return g.count
}

// sum implements symmetricMatrices.
func (m *laneMatrices[T]) sum(dst dense.Matrix[T], weights []float64) {
	r := m.r
	clear(r.total)
	for _, g := range r.groups {
		clear(r.lane)
		for l := range m.lanes(g) {
			r.lane[l] = m.sign * T(weights[g.first+l%g.count])
		}
		m.bundle(g).AddSum(r.total, r.lane)
	}
	dense.UnpackTiles(dst, r.total)
	dense.Mirror(dst)
}

// inner implements symmetricMatrices.
func (m *laneMatrices[T]) inner(dst []float64, x dense.Matrix[T]) {
	r := m.r
	dense.InnerTiles(r.x, x)
	clear(dst)
	for _, g := range r.groups {
		m.bundle(g).Inner(r.lane, r.x)
		for l := range m.lanes(g) {
			dst[g.first+l%g.count] += float64(m.sign * r.lane[l])
		}
	}
}
