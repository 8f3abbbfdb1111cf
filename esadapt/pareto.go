package esadapt

import (
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// Pareto searches for the trade-offs between several objectives: MO-CMA-ES, a population of elitist (1+1)-CMA-ES whose survivors are chosen by
// dominance and then by their share of the hypervolume; Igel, Hansen, Roth: "Covariance matrix adaptation for multi-objective optimization" (Evolutionary
// Computation 2007), with success judged by selection. It is an ask/tell object like Search; the options for bounds, fixed variables, scaling, integers (rounded),
// start region, seed and budget apply. PopSize is the number of points kept, 0 means 20.
type Pareto struct {
	opt         Options
	objectives  int
	space       *space
	random      *stream
	parents     []individual
	children    []individual
	points      [][]float64 // of the children, in the variables of the objective
	asked       bool
	left        int // children of this generation within the budget
	generation  int
	evaluations int
	stop        []Reason
	archived    []TradeOff
}

// TradeOff is an evaluated point with its objective values.
type TradeOff struct{ X, F []float64 }

// individual is a point with its own search distribution.
type individual struct {
	u       []float64
	f       []float64
	x       []float64
	z       []float64 // whitened step from its parent
	y       []float64
	sigma   float64
	success float64
	path    []float64
	shape   *choleskyModel
}

// NewPareto checks the options and prepares a search for the given number of objectives, 2 or more.
func NewPareto(objectives int, o Options) (*Pareto, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if objectives < 2 || objectives > 8 {
		return nil, fmt.Errorf("esadapt: %d objectives: there must be 2 to 8; use New for one", objectives)
	}
	if o.Constraints > 0 || o.Noise || o.Surrogate || o.Target != nil {
		return nil, fmt.Errorf("esadapt: Constraints, Noise, Surrogate and Target do not apply to several objectives")
	}
	p := &Pareto{opt: o, objectives: objectives, space: newSpace(&o), random: newStream(o.Seed, 0)}
	size := o.PopSize
	if size == 0 {
		size = 20
	}
	for i := range size {
		parent, child := p.newIndividual(), p.newIndividual()
		p.space.start(parent.u, i == 0, p.random.at(i, drawRestart))
		p.parents, p.children = append(p.parents, parent), append(p.children, child)
	}
	return p, nil
}

func (p *Pareto) newIndividual() individual {
	m := p.space.m
	return individual{
		u: make([]float64, m), f: make([]float64, p.objectives), x: make([]float64, p.space.n), z: make([]float64, m), y: make([]float64, m),
		sigma: min(p.space.sigma0, outOfRange), success: targetSuccess, path: make([]float64, m), shape: newCholeskyModel(m),
	}
}

func (i *individual) copy(from *individual) {
	copy(i.u, from.u)
	copy(i.f, from.f)
	copy(i.x, from.x)
	copy(i.z, from.z)
	copy(i.y, from.y)
	copy(i.path, from.path)
	i.sigma, i.success = from.sigma, from.success
	i.shape.copy(from.shape)
}

// Ask returns the points of the next generation: first the starts, then one child of every point kept. The rows stay valid until Tell.
func (p *Pareto) Ask() [][]float64 {
	if p.stop != nil {
		return nil
	}
	if !p.asked {
		p.asked = true
		p.points = p.points[:0]
		random := p.random.at(p.generation, 0)
		ones := slices.Repeat([]float64{1}, p.space.m)
		for k := range p.parents {
			c := &p.children[k]
			c.copy(&p.parents[k])
			if p.generation > 0 {
				fillNormal(c.z, random)
				c.step()
				for j := range c.u {
					c.u[j] = atMost(c.u[j] + c.sigma*c.y[j])
				}
			}
			p.space.toX(c.x, c.u, ones)
			p.points = append(p.points, c.x)
		}
		p.left = len(p.points)
		if b := p.opt.MaxEvaluations; b > 0 {
			p.left = min(p.left, b-p.evaluations)
		}
	}
	return p.points[:p.left]
}

// Tell takes one list of objective values for each row of Ask; NaN as any of them means that the evaluation failed. An error changes nothing.
func (p *Pareto) Tell(f [][]float64) error {
	switch {
	case p.stop != nil:
		return ErrFinished
	case !p.asked:
		return fmt.Errorf("esadapt: Tell without Ask")
	case len(f) != p.left:
		return fmt.Errorf("esadapt: values of %d points for %d candidates", len(f), p.left)
	}
	for k, v := range f {
		if len(v) != p.objectives {
			return fmt.Errorf("esadapt: candidate %d has %d objective values, want %d", k, len(v), p.objectives)
		}
		for _, x := range v {
			if math.IsInf(x, -1) {
				return fmt.Errorf("esadapt: an objective of candidate %d is -Inf", k)
			}
		}
	}
	for k := range p.children {
		worst := k >= p.left || slices.ContainsFunc(f[k], math.IsNaN)
		for i := range p.objectives {
			p.children[k].f[i] = math.Inf(1)
			if !worst {
				p.children[k].f[i] = f[k][i]
			}
		}
		if !worst {
			p.remember(&p.children[k])
		}
	}
	p.evaluations += p.left
	if p.generation == 0 {
		for k := range p.parents {
			p.parents[k].copy(&p.children[k])
		}
	} else {
		p.survive()
	}
	p.asked = false
	p.generation++
	if b := p.opt.MaxEvaluations; b > 0 && p.evaluations >= b {
		p.stop = []Reason{because(BudgetUsed, "")}
	} else if g := p.opt.Tuning.Tolerances.MaxGenerations; g > 0 && float64(p.generation) >= g {
		p.stop = []Reason{because(GenerationsUsed, fmt.Sprintf("%d generations", p.generation))}
	}
	return nil
}

// survive keeps the better half of parents and children, and adapts the distributions of both.
func (p *Pareto) survive() {
	mu := len(p.parents)
	all := make([]*individual, 0, 2*mu)
	for k := range p.parents {
		all = append(all, &p.parents[k])
	}
	for k := range p.children {
		all = append(all, &p.children[k])
	}
	order := p.order(all)
	place := make([]int, 2*mu)
	for r, k := range order {
		place[k] = r
	}
	for k := range p.parents {
		s := 0.0
		if place[mu+k] < place[k] {
			s = 1
		}
		p.parents[k].judge(s)
		p.children[k].judge(s)
		if place[mu+k] < mu {
			p.children[k].learn()
		}
	}
	next := make([]individual, 0, mu)
	for _, k := range order[:mu] {
		next = append(next, *all[k])
	}
	spare := make([]individual, 0, mu)
	for _, k := range order[mu:] {
		spare = append(spare, *all[k])
	}
	p.parents, p.children = next, spare
}

// order returns the indices of all by front, then by contribution to the hypervolume, the least contributor of a front removed first.
func (p *Pareto) order(all []*individual) []int {
	f := make([][]float64, len(all))
	for i, a := range all {
		f[i] = a.f
	}
	rank := make([]int, len(all))
	fronts(f, rank)
	var out []int
	for layer := 0; len(out) < len(all); layer++ {
		var members []int
		for i, r := range rank {
			if r == layer {
				members = append(members, i)
			}
		}
		if len(out) >= len(p.parents) { // none of them survives
			out = append(out, members...)
			continue
		}
		tail := make([]int, 0, len(members))
		for len(members) > 1 && len(out)+len(members) > len(p.parents) {
			worst := leastContributor(f, members)
			tail = append(tail, members[worst])
			members = slices.Delete(members, worst, worst+1)
		}
		slices.Reverse(tail)
		out = append(append(out, members...), tail...)
	}
	return out
}

func leastContributor(f [][]float64, members []int) int {
	front, c := make([][]float64, len(members)), make([]float64, len(members))
	for k, i := range members {
		front[k] = f[i]
	}
	contributions(front, c)
	worst := len(c) - 1
	for k := len(c) - 1; k >= 0; k-- {
		if c[k] < c[worst] {
			worst = k
		}
	}
	return worst
}

// step sets y to a step of the distribution. A shape that left the range of numbers, as on objectives without bound, begins anew.
func (i *individual) step() {
	if i.shape.colorOne(i.y, i.z); !finite(i.y...) {
		i.forget()
		copy(i.y, i.z)
	}
}

// forget makes the shape that of the start.
func (i *individual) forget() {
	i.shape.identity()
	clear(i.path)
}

// judge updates success rate and step size.
func (i *individual) judge(success float64) {
	const rate = 1.0 / 12
	d := 1 + float64(len(i.u))/2
	i.success += rate * (success - i.success)
	i.sigma = min(outOfRange, i.sigma*math.Exp((i.success-targetSuccess)/(1-targetSuccess)/d))
}

// learn adapts the covariance to the step that led here.
func (i *individual) learn() {
	n := float64(len(i.u))
	cC, rate := 2/(n+2), 2/(n*n+6)
	keep := 1 - rate
	scale := math.Sqrt(cC * (2 - cC))
	if i.success >= highSuccess {
		scale = 0
		keep += rate * cC * (2 - cC)
	}
	for j, y := range i.y {
		i.path[j] = (1-cC)*i.path[j] + scale*y
	}
	w := make([]float64, len(i.path))
	if i.shape.whitenOne(w, i.path); !finite(dense.Dot(w, w)) {
		i.forget()
		return
	}
	i.shape.rankOne(keep, rate, w)
}

// remember keeps a child if nothing kept dominates it.
func (p *Pareto) remember(c *individual) {
	for _, t := range p.archived {
		if dominates(t.F, c.f) || slices.Equal(t.F, c.f) {
			return
		}
	}
	p.archived = slices.DeleteFunc(p.archived, func(t TradeOff) bool { return dominates(c.f, t.F) })
	p.archived = append(p.archived, TradeOff{slices.Clone(c.x), slices.Clone(c.f)})
}

// Front returns all points told that no other point told dominates, ordered by their objectives.
func (p *Pareto) Front() []TradeOff {
	out := slices.Clone(p.archived)
	slices.SortFunc(out, func(a, b TradeOff) int { return slices.Compare(a.F, b.F) })
	return out
}

// Stop returns why the search has ended, nothing while it goes on. Without MaxEvaluations or Tolerances.MaxGenerations it never ends by itself.
func (p *Pareto) Stop() []Reason { return p.stop }

// Evaluations returns how many points were told.
func (p *Pareto) Evaluations() int { return p.evaluations }

// Generations returns the number of complete generations.
func (p *Pareto) Generations() int { return p.generation }

// paretoFormat opens every saved multi-objective search.
const paretoFormat = "spdopt pareto 1"

// MarshalBinary saves the search between Tell and Ask; candidates already asked are sampled again, the same, after RestorePareto.
func (p *Pareto) MarshalBinary() ([]byte, error) {
	a := &archive{}
	a.tag(paretoFormat)
	p.opt.archive(a)
	a.int(&p.objectives)
	p.archive(a)
	sum := checksum(a.buf)
	a.word(&sum)
	return a.buf, a.err
}

// RestorePareto makes a search from what MarshalBinary returned.
func RestorePareto(data []byte) (*Pareto, error) {
	a, err := openState(data)
	if err != nil {
		return nil, err
	}
	a.tag(paretoFormat)
	var o Options
	objectives := 0
	o.archive(a)
	a.int(&objectives)
	if a.err != nil {
		return nil, a.err
	}
	if n := o.dim(); n > len(data)/8 || !plausible(o.PopSize, n, len(data)) {
		return nil, fmt.Errorf("%w: %d variables, population %d do not fit %d bytes", errState, n, o.PopSize, len(data))
	}
	p, err := NewPareto(objectives, o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	p.archive(a)
	return p, a.end()
}

func (p *Pareto) archive(a *archive) {
	a.int(&p.generation)
	a.int(&p.evaluations)
	archiveReasons(a, &p.stop)
	for k := range p.parents {
		p.parents[k].archive(a)
	}
	n := a.length(len(p.archived), 16)
	if a.reading {
		p.archived = make([]TradeOff, n)
	}
	for i := range p.archived {
		a.floats(&p.archived[i].X)
		a.floats(&p.archived[i].F)
	}
}

func (i *individual) archive(a *archive) {
	for _, v := range [][]float64{i.u, i.f, i.x, i.z, i.y, i.path} {
		a.fixed(v)
	}
	a.float(&i.sigma)
	a.float(&i.success)
	i.shape.archive(a)
}
