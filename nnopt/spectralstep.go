package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// blockFactor is the factor of a dimension: block-diagonal, one block unless the dimension is cut.
type blockFactor[T Float] struct {
	mode    int
	d, fine []T // eigenvalues of all blocks, and powers of them
	blocks  []*eigenFactor[T]
}

// spectralBlock moves one block of parameters. On a device only blocks with a diagonal S move so, the others in a spectralGroup.
type spectralBlock[T Float] struct {
	rule *spectralRule[T]
	turn int // step within an interval at which the bases rotate
	productModes[T]
	factors  []*blockFactor[T]
	g        []T               // the rotated gradient multiplied by powers of factors
	momentum []T               // in the coordinates of the bases
	narrow   []engine.BFloat16 // where the momentum is stored, if it is so
	totals   []T
	second   []T     // of a diagonal S
	others   float64 // the product of the sizes of dimensions without a factor
	failed   bool
}

// mover wraps the slots of a block.
func (r *spectralRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	if p := r.allotted[b.Name]; p != nil {
		return p
	}
	dims, cuts := r.tensor(b)
	p := &spectralBlock[T]{
		rule: r, productModes: newProductModes[T](dims, 1), momentum: slots[0].Data, narrow: slots[0].narrow, totals: slots[1].Data, others: 1,
	}
	rest := slots[2:]
	for i, sizes := range cuts {
		if sizes == nil {
			p.others *= float64(dims[i])
			continue
		}
		count := len(sizes)
		m := &blockFactor[T]{mode: i, d: rest[count].Data, fine: make([]T, dims[i])}
		from := 0
		for k, n := range sizes {
			var coupling Slot[T]
			if r.keepsCoupling() {
				coupling = rest[count+1+k]
			}
			f := newEigenFactor(rest[k].Data, m.d[from:from+n], coupling.Data)
			f.at, f.narrow, f.lasts = p.slab(i, from, n), coupling.narrow, coupling.Data != nil
			m.blocks = append(m.blocks, f)
			from += n
		}
		p.factors = append(p.factors, m)
		if rest = rest[count+1:]; r.keepsCoupling() {
			rest = rest[count:]
		}
	}
	if len(p.factors) == 0 {
		p.second = rest[0].Data
	}
	r.include(b.Len(), p)
	if r.o.Spread {
		p.turn = r.turnOf(b.Name)
	}
	return p
}

// turnOf returns the step within an interval at which the bases of a block rotate: blocks take turns in the order in which they were seen first.
func (r *spectralRule[T]) turnOf(name string) int {
	n, ok := r.turns[name]
	if !ok {
		n = len(r.turns)
		r.turns[name] = n
	}
	return n % r.o.Interval
}

func (p *spectralBlock[T]) failures() bool { return p.failed }

func (p *spectralBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	r := p.rule
	w := r.take()
	p.bind(w, b.Len())
	p.load(e)
	g := b.Grad
	if u.GradScale != 1 || u.L2 != 0 {
		g = w.in[:b.Len()]
		enter(e, g, b, u)
	}
	p.failed = false
	correction := 1 / (1 - math.Pow(r.o.Momentum, float64(r.step)))
	if p.second != nil {
		p.diagonal(g)
		leave(e, b, u, correction, p.z)
	} else {
		p.observe(g)
		if u.LR != 0 || u.Decay != 0 {
			p.advance(b.Value, 1-u.Decay, -u.LR*correction)
		}
	}
	p.store(e)
	r.put(w)
}

// enter sets g to the gradient that a rule sees.
func enter[T Float](e engine.Backend[T], g []T, b *Block[T], u engine.Update) {
	e.Blend(T(u.GradScale), b.Grad, T(u.L2), b.Value, g)
}

// leave moves the parameters: W <- (1 - Decay) W - LR c d.
func leave[T Float](e engine.Backend[T], b *Block[T], u engine.Update, c float64, d []T) {
	if u.LR == 0 && u.Decay == 0 {
		return
	}
	e.Blend(T(1-u.Decay), b.Value, -T(u.LR*c), d, b.Value)
}

// average sets m to keep m + (1-keep) g.
func average[T Float](e engine.Backend[T], keep T, m, g []T) { e.Blend(keep, m, 1-keep, g, m) }

// weight returns the length of the update number n: Beta2, and more at first, when S is the mean of what there was, as the bias correction of a moving
// average has it.
func (r *spectralRule[T]) weight(n float64) float64 {
	if r.o.Gamma != 1 {
		return r.o.Beta2
	}
	return r.o.Beta2 / (1 - math.Pow(1-r.o.Beta2, n))
}

// count implements counting.
func (p *spectralBlock[T]) count() {
	if p.second != nil {
		p.totals[totalUpdates]++
	}
}

// diagonal takes in the gradient g of a block without factors and sets z to its step.
func (p *spectralBlock[T]) diagonal(g []T) {
	r := p.rule
	average(p.e, T(r.o.Momentum), p.momentum, g)
	beta := r.weight(float64(p.totals[totalUpdates]) + 1)
	p.e.AddSquares(T(1-beta*r.o.Gamma), T(beta*r.batch), T(beta*r.o.Damping), g, p.second)
	p.e.Power(p.second, -1/r.o.Root, p.t)
	p.e.Multiply(p.t, p.momentum, 0, p.z)
}

// observe takes the gradient g into the momentum and the factors. It is rotated once, for both: the momentum is kept in the coordinates of the bases.
func (p *spectralBlock[T]) observe(g []T) {
	r := p.rule
	for k, m := range p.factors {
		if k > 0 {
			g = p.z
		}
		for _, f := range m.blocks {
			p.multiplyInto(dense.Transposed, engine.One(f.b), &f.at, 1, g, 0, p.t)
		}
		p.z, p.t = p.t, p.z
	}
	learns, form := p.totals[totalAlpha] != 0 || p.begin(), 0.0
	if learns {
		form = p.measure()
		p.failed = !(form < math.MaxFloat64)
	}
	if p.failed {
		p.e.Blend(0, nil, 0, nil, p.z)
	}
	average(p.e, T(r.o.Momentum), p.momentum, p.z)
	if learns && !p.failed {
		p.learn(form)
	}
}

// advance sets w to keep w + c S^(-1/Root) m, the momentum m from the coordinates of the bases.
func (p *spectralBlock[T]) advance(w []T, keep, c float64) {
	r, from := p.rule, p.momentum
	if alpha := float64(p.totals[totalAlpha]); alpha != 0 {
		e := -1 / r.o.Root
		c *= math.Pow(alpha, e)
		if r.o.Statistics == ShampooStatistics {
			e /= float64(len(p.factors))
		}
		for _, m := range p.factors {
			dense.Pow(m.fine, m.d, e)
			p.scale(m.fine, m.mode, from, p.z)
			from = p.z
		}
	}
	for k, m := range p.factors {
		to, alpha, beta := p.t, 1.0, 0.0
		if k == len(p.factors)-1 {
			to, alpha, beta = w, c, keep
		}
		for _, f := range m.blocks {
			p.multiplyInto(dense.NoTrans, engine.One(f.b), &f.at, T(alpha), from, T(beta), to)
		}
		p.z, p.t, from = p.t, p.z, to
	}
}

// begin starts S at the mean square of the first gradient that is not zero, and says whether there was one.
func (p *spectralBlock[T]) begin() bool {
	r := p.rule
	mean := r.batch * p.squares() / float64(len(p.z))
	if !(mean > 0) {
		return false
	}
	mean = bounded[T](mean + r.o.Damping)
	p.totals[totalAlpha] = T(mean)
	if r.o.Statistics != ShampooStatistics {
		return true
	}
	p.totals[totalAlpha] = 1
	for _, m := range p.factors {
		for i := range m.d {
			m.d[i] = T(mean)
		}
	}
	return true
}

// bounded returns a scale within what products with eigenvalues allow.
func bounded[T Float](alpha float64) float64 {
	low, high := eigenRange[T]()
	return min(max(alpha, low*low), high*high)
}

// largestSurprise returns how many times the mean of S the square of a gradient may be; larger ones are shortened to it.
func largestSurprise[T Float]() float64 {
	_, high := eigenRange[T]()
	return math.Pow(high, 0.8)
}

// measure returns the sum of the squares of the rotated gradient in z, relative to the factors where the statistics are, and shortens a gradient that S could
// not take in. It is infinite or NaN where the gradient is beyond the range of T. For KLStatistics it leaves in g what the first factor learns from.
func (p *spectralBlock[T]) measure() float64 {
	r := p.rule
	usual, form := float64(p.totals[totalAlpha]), 0.0
	if r.o.Statistics == ShampooStatistics {
		usual = 0
		for _, m := range p.factors {
			for _, f := range m.blocks {
				usual = max(usual, f.mean())
			}
		}
		form = r.batch * p.squares()
	} else {
		for _, m := range p.factors {
			dense.Pow(m.fine, m.d, -0.5)
		}
		p.relative(0, p.g)
		form = r.batch * p.form(p.factors[0])
	}
	if limit := largestSurprise[T]() * usual * float64(len(p.z)); form > limit && !math.IsInf(form, 1) {
		c := T(math.Sqrt(limit / form))
		p.e.Blend(c, p.z, 0, nil, p.z)
		if r.o.Statistics != ShampooStatistics {
			p.e.Blend(c, p.g, 0, nil, p.g)
		}
		form = limit
	}
	return form
}

// relative sets x, which may be z, to z multiplied by the inverse roots of all factors but number without.
func (p *spectralBlock[T]) relative(without int, x []T) {
	from := p.z
	for k, m := range p.factors {
		if k != without {
			p.scale(m.fine, m.mode, from, x)
			from = x
		}
	}
	if len(p.factors) == 1 && &x[0] != &from[0] {
		p.copyTo(x, from)
	}
}

// form returns the sum of the squares of g divided by the factor m, also where it is beyond the range of T.
func (p *spectralBlock[T]) form(m *blockFactor[T]) (sum float64) {
	_, right := p.split(m.mode)
	for i := range len(p.g) / right {
		row := p.g[i*right : (i+1)*right]
		sum += float64(dense.Dot(row, row)) / float64(m.d[i%len(m.d)])
	}
	if low, _ := eigenRange[T](); sum > low && !math.IsInf(sum, 1) {
		return sum
	}
	sum = 0
	for i := range len(p.g) / right {
		for _, v := range p.g[i*right : (i+1)*right] {
			sum += float64(v) * float64(v) / float64(m.d[i%len(m.d)])
		}
	}
	return sum
}

// learn takes the rotated gradient in z, which measure has seen, into the factors, and turns them at the end of an interval. It leaves z undefined.
func (p *spectralBlock[T]) learn(form float64) {
	r := p.rule
	for _, m := range p.factors {
		for _, f := range m.blocks {
			f.e.SetDiagonal(f.d, engine.One(f.m))
		}
	}
	beta := r.weight(float64(p.totals[totalUpdates]) + 2)
	rate := 0.0
	if r.o.Statistics == ShampooStatistics {
		p.averages(beta)
	} else {
		rate = p.likelihood(beta, form)
	}
	p.totals[totalUpdates]++
	p.settle((r.step-p.turn)%r.o.Interval == 0 || p.totals[totalUpdates] <= T(r.o.Interval))
	if r.o.Statistics == ShampooStatistics {
		return
	}
	alpha := float64(p.totals[totalAlpha])
	for _, m := range p.factors {
		scale := m.normalise()
		if r.turning.published {
			alpha *= math.Exp(scale)
		}
	}
	if r.turning.published || rate <= -1 {
		alpha *= math.Exp(min(max(rate, -1), 1))
	} else {
		alpha *= 1 + rate
	}
	p.totals[totalAlpha] = T(bounded[T](alpha))
}

// restoreEvery is the number of rotations between two looks at the defect of the bases.
const restoreEvery = 16

// settle makes the increments of the factors part of them, by rotations where they are due, which take the momentum along.
func (p *spectralBlock[T]) settle(due bool) {
	r := p.rule
	work := p.z
	p.z = p.momentum
	for _, m := range p.factors {
		for _, f := range m.blocks {
			if !due {
				f.stay(&r.turning)
				continue
			}
			f.follow(&r.turning, &p.productModes)
			if (r.step-p.turn)/r.o.Interval%restoreEvery == 0 {
				f.restore()
			}
		}
	}
	p.z = work
}

// averages makes the increments of the plain statistics: M <- (1 - beta Gamma) M + beta (n/size Z Z^T + Damping I).
func (p *spectralBlock[T]) averages(beta float64) {
	r := p.rule
	for _, m := range p.factors {
		c := beta * r.batch * float64(len(m.d)) / float64(len(p.z))
		for _, f := range m.blocks {
			f.decay(T(1 - beta*r.o.Gamma))
			p.gramUpper(T(c), p.z, &f.at, engine.One(f.m))
			f.addRidge(beta * r.o.Damping)
		}
	}
}

// likelihood makes the increments of the KL divergence to every factor, from the old state of the others, and returns that of log alpha. form is the
// sum of the squares of the gradient relative to the factors.
func (p *spectralBlock[T]) likelihood(beta, form float64) float64 {
	r, size, alpha := p.rule, float64(len(p.z)), float64(p.totals[totalAlpha])
	trace := r.o.Damping * p.others
	for _, m := range p.factors {
		trace *= m.inverseTrace()
	}
	for k, m := range p.factors {
		x := p.g
		if k == len(p.factors)-1 && k > 0 {
			x = p.z
		}
		if k > 0 {
			p.relative(k, x)
		}
		c := beta * float64(len(m.d)) / (size * alpha)
		ridge := c * trace / m.inverseTrace()
		for _, f := range m.blocks {
			p.gramUpper(T(c*r.batch), x, &f.at, engine.One(f.m))
			f.addRidge(ridge)
		}
		if r.turning.published {
			m.centre()
		}
	}
	return beta * ((form+trace)/(alpha*size) - r.o.Gamma)
}

// inverseTrace returns the trace of the inverse of the factor.
func (m *blockFactor[T]) inverseTrace() float64 {
	var s float64
	for _, v := range m.d {
		s += 1 / float64(v)
	}
	return s
}

// normalise divides the factor by the geometric mean of its eigenvalues, whose logarithm it returns.
func (m *blockFactor[T]) normalise() float64 {
	dense.Log(m.fine, m.d)
	var mean float64
	for _, v := range m.fine {
		mean += float64(v)
	}
	mean /= float64(len(m.d))
	low, high := eigenRange[T]()
	c := math.Exp(-mean)
	for i, v := range m.d {
		m.d[i] = T(min(max(c*float64(v), low), high))
	}
	for _, f := range m.blocks {
		f.decay(T(c))
		f.e.SetDiagonal(f.d, engine.One(f.m))
	}
	return mean
}

// centre takes the mean of the relative increments of the eigenvalues out of them, which keeps the determinant under the exponential rule.
func (m *blockFactor[T]) centre() {
	var mean float64
	for _, f := range m.blocks {
		for _, v := range f.x {
			mean += float64(v)
		}
	}
	mean /= float64(len(m.d))
	for _, f := range m.blocks {
		for i, di := range f.d {
			f.x[i] -= T(mean)
			f.next[i] -= di * T(mean)
		}
		f.e.SetDiagonal(f.next, engine.One(f.m))
	}
}

func (p *spectralBlock[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	p.rule.memory = a
	p.e = engine.Fast(e)
	if p.rule.o.Products == ProductsBFloat16 {
		p.e = engine.RoundedCPU[T]()
	}
	for _, m := range p.factors {
		for _, f := range m.blocks {
			f.fast = p.e
		}
	}
}
