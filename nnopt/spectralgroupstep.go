package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// step moves the blocks of the group: see spectralBlock.move.
func (g *spectralGroup[T]) step() {
	all := len(g.names) * g.size
	g.load()
	z, t, x := g.work.z[:all], g.work.t[:all], g.work.g[:all]
	for k, b := range g.blocks {
		enter(g.e, z[k*g.size:(k+1)*g.size], b, g.updates[k])
	}
	z, t = g.rotate(dense.Transposed, z, t)
	turns := g.due()
	g.measure(z, t, x)
	mu := T(g.rule.o.Momentum)
	g.e.BlendEach(mu, 1-mu, g.rates.Of(engine.RateTake), z, g.momentum)
	g.learn(z, x)
	g.settle(turns, t)
	low, high := eigenRange[T]()
	for _, f := range g.factors {
		if !g.rates.Plain {
			g.e.Centre(f.d, low, high, g.rates.Of(engine.RateLearns), g.scales)
			if g.rates.Exponential {
				g.e.Lead(g.rates, g.scales)
			}
		}
		for _, run := range f.runs {
			if run.lasts {
				g.e.Rescale(g.blocksOf(f, run), g.scales, g.drops(run, turns))
			}
		}
	}
	g.advance(z, t)
	g.store()
}

// load fetches what is stored in bfloat16.
func (g *spectralGroup[T]) load() {
	if g.narrow == nil {
		return
	}
	g.e.Widen(g.narrow, g.momentum)
	for _, f := range g.factors {
		for _, run := range f.runs {
			if run.narrow != nil {
				g.e.Widen(run.narrow, run.m.Data)
			}
		}
	}
}

// store rounds it and puts it back.
func (g *spectralGroup[T]) store() {
	if g.narrow == nil {
		return
	}
	g.e.Narrow(g.momentum, g.narrow)
	for _, f := range g.factors {
		for _, run := range f.runs {
			if run.narrow != nil {
				g.e.Narrow(run.m.Data, run.narrow)
			}
		}
	}
}

// plain says whether the statistics are plain second moments.
func (r *spectralRule[T]) plain() bool { return r.o.Statistics == ShampooStatistics }

// repeats says whether the sweeps of a rotation are counted, or depend on what is left.
func (r *spectralRule[T]) repeats() bool { return r.turning.sweeps > 1 || r.turning.tol > 0 }

// drops says of which tensors, or blocks, what is off the diagonal is dropped in a step in which some turn.
func (g *spectralGroup[T]) drops(run *groupRun[T], turns bool) []float64 {
	switch {
	case !g.rule.turning.drop || !turns:
		return nil
	case g.rule.repeats():
		return run.swept
	}
	return g.rates.Of(engine.RateTurns)
}

// blocksOf describes the blocks of a run.
func (g *spectralGroup[T]) blocksOf(f *groupFactor[T], run *groupRun[T]) engine.FactorBlocks[T] {
	low, high := eigenRange[T]()
	return engine.FactorBlocks[T]{
		Tensors: len(g.names), Cuts: len(run.at), N: run.n, D: f.d[run.from:], Step: f.n, M: run.m, Low: low, High: high,
	}
}

// measure finds what the rotated gradients z, relative to the factors, make of them, and sets x to what the first factor learns from, or leaves that in z if it is
// the only one. It leaves t undefined.
func (g *spectralGroup[T]) measure(z, t, x []T) {
	r, count := g.rule, len(g.names)
	g.rates.Batch, g.rates.Beta2, g.rates.Gamma, g.rates.Damping, g.rates.Exponent = r.batch, r.o.Beta2, r.o.Gamma, r.o.Damping, -1/r.o.Root
	if r.plain() {
		g.e.Squares(z, g.rates.Squares)
		first := true
		for _, f := range g.factors {
			for _, run := range f.runs {
				g.e.Means(g.blocksOf(f, run), first, g.rates.Usual)
				first = false
			}
		}
		g.e.Rates(g.rates)
		for _, f := range g.factors {
			g.e.BlendEach(0, 1, g.rates.Of(engine.RateStart), f.d, f.d)
		}
		return
	}
	for k, f := range g.factors {
		g.e.Power(f.d, -0.5, f.fine)
		g.e.InverseSums(f.d, g.rates.Traces[k*count:(k+1)*count])
	}
	if len(g.factors) == 1 {
		x = z
	}
	g.relative(0, z, x)
	g.modes.scale(g.factors[0].fine, g.factors[0].mode, x, t)
	g.e.Squares(t, g.rates.Squares)
	g.e.Rates(g.rates)
}

// due fills in which blocks turn if they learn, and says whether there are some. It reads what the step before left.
func (g *spectralGroup[T]) due() (some bool) {
	r := g.rule
	for k := range g.rates.Due {
		g.rates.Due[k] = 0
		if (r.step-g.turn)%r.o.Interval == 0 || g.totals[totalLength*k+totalUpdates] < T(r.o.Interval) {
			g.rates.Due[k], some = 1, true
		}
	}
	return some
}

// relative sets x to z multiplied by the inverse roots of all factors but number without; with one factor that is z.
func (g *spectralGroup[T]) relative(without int, z, x []T) {
	for k, f := range g.factors {
		if k != without {
			g.modes.scale(f.fine, f.mode, z, x)
			z = x
		}
	}
}

// learn makes the targets of all factors, from the old state of the others. x holds what the first one learns from; z and x are undefined afterwards.
func (g *spectralGroup[T]) learn(z, x []T) {
	if len(g.factors) == 1 || g.rates.Plain {
		x = z
	}
	for k, f := range g.factors {
		if k > 0 && !g.rates.Plain {
			g.relative(k, z, x)
		}
		for _, run := range f.runs {
			if !run.lasts {
				g.e.Blend(0, nil, 0, nil, run.m.Data)
			}
			h := squares(g.work.h, run.m.Count, run.n)
			for c := range run.at {
				s := &run.at[c]
				for l := range s.count {
					part := g.modes.part(s, x, l)
					g.fast.Gemm(dense.Trans(s.columns), dense.Trans(!s.columns), 1, part, part, one[T](l > 0), cut(h, len(g.names), c))
				}
			}
			g.e.Target(g.blocksOf(f, run), h, g.rates.Of(engine.RateKeep), g.rates.Gram(k), g.rates.Ridge(k), g.rates.Of(engine.RateLearns), run.s, run.r, run.x, run.next)
		}
		if g.rates.Exponential && !g.rates.Plain {
			g.centre(f)
		}
	}
}

// centre takes the mean of the relative increments of the eigenvalues out of them, which keeps the determinant under the exponential rule.
func (g *spectralGroup[T]) centre(f *groupFactor[T]) {
	for i, run := range f.runs {
		g.e.AddUp(g.blocksOf(f, run), run.x, i == 0, g.sums)
	}
	for _, run := range f.runs {
		g.e.Lessen(g.blocksOf(f, run), g.sums, f.n, run.x, run.next)
	}
}

// settle makes the increments of the factors part of them, by rotations where some block is due, which take the momentum along.
func (g *spectralGroup[T]) settle(turns bool, t []T) {
	r := g.rule
	for _, f := range g.factors {
		for _, run := range f.runs {
			if turns {
				g.sweep(f, run, t)
				if (r.step-g.turn)/r.o.Interval%restoreEvery == 0 {
					g.restore(run)
				}
			}
			g.adopt(f, run)
		}
	}
}

// adopt moves the eigenvalues.
func (g *spectralGroup[T]) adopt(f *groupFactor[T], run *groupRun[T]) {
	next := run.next
	if g.rule.turning.published {
		next = g.work.zeros[:len(next)] // by the exponential rule
	}
	g.e.Adopt(g.blocksOf(f, run), next, run.x)
}

// sweep turns the bases of a run, as often as it takes: see eigenFactor.follow.
func (g *spectralGroup[T]) sweep(f *groupFactor[T], run *groupRun[T], t []T) {
	o, turns := &g.rule.turning, g.rates.Of(engine.RateTurns)
	if !g.rule.repeats() {
		g.rotateRun(run, turns, t)
		return
	}
	for sweep := range o.sweeps {
		live := run.live
		if sweep == 0 {
			live = run.swept
		} else { // from the eigenvalues as they are now
			g.adopt(f, run)
			h := squares(g.work.h, run.m.Count, run.n)
			g.e.Target(g.blocksOf(f, run), h, g.none, g.none, g.none, g.none, run.s, run.r, run.x, run.next)
			turns = run.swept
		}
		g.e.Coupled(run.m, o.tol, turns, live)
		g.rotateRun(run, live, t)
	}
}

// rotateRun turns the bases of a run towards the eigenvectors of their targets, by I where live is 0.
func (g *spectralGroup[T]) rotateRun(run *groupRun[T], live []float64, t []T) {
	e, all := g.e, run.b.Count
	gen, q, w := squares(g.work.gen, all, run.n), squares(g.work.q, all, run.n), squares(g.work.w, all, run.n)
	if g.rule.turning.published {
		e.FirstOrderAngle(run.s, run.r, run.m, gen)
	} else {
		e.BoundedAngle(run.s, run.r, run.x, run.m, gen)
	}
	e.NormBound(gen, run.bound)
	e.NormEstimate(gen, run.estimates)
	e.Shorten(gen, run.bound, run.estimates, g.rule.turning.maxNorm, live)
	e.Cayley(gen, 0, q)
	e.Combine(-1, 1, q, 0, q, q)
	e.Copy(run.b, gen)
	g.fast.Gemm(dense.NoTrans, dense.NoTrans, 1, gen, q, 1, run.b)
	for c := range run.at {
		for l := range run.at[c].count {
			e.Copy(g.modes.part(&run.at[c], g.momentum, l), g.modes.part(&run.at[c], t, l))
		}
	}
	g.multiply(dense.Transposed, run, q, t, 1, g.momentum)
	e.Mirror(run.m)
	if g.rule.turning.drop && !g.rule.repeats() {
		e.Combine(1, 1, q, 0, q, q)
		e.RotatedDiagonal(q, run.m, run.next)
		return
	}
	e.Copy(run.m, w)
	g.fast.Gemm(dense.NoTrans, dense.NoTrans, 1, run.m, q, 1, w)
	e.Copy(w, run.m)
	e.Gemm(dense.Transposed, dense.NoTrans, 1, q, w, 1, run.m)
	e.Diagonal(run.m, run.next)
}

// restore makes a Newton-Schulz step.
func (g *spectralGroup[T]) restore(run *groupRun[T]) {
	e, all := g.e, run.b.Count
	gen, q := squares(g.work.gen, all, run.n), squares(g.work.q, all, run.n)
	e.Gemm(dense.Transposed, dense.NoTrans, 1, run.b, run.b, 0, q)
	newtonSchulz(e, run.b, q, gen)
}

// advance moves the blocks by S^(-1/Root) m, the momentum m from the coordinates of the bases.
func (g *spectralGroup[T]) advance(z, t []T) {
	from, e := g.momentum, -1/g.rule.o.Root
	if g.rates.Plain {
		e /= float64(len(g.factors))
	}
	for k, f := range g.factors {
		if k == 0 {
			g.e.PowerEach(f.d, e, g.rates.Of(engine.RateLead), f.fine)
		} else {
			g.e.Power(f.d, e, f.fine)
		}
		g.modes.scale(f.fine, f.mode, from, z)
		from = z
	}
	z, _ = g.rotate(dense.NoTrans, z, t)
	correction := 1 / (1 - math.Pow(g.rule.o.Momentum, float64(g.rule.step)))
	for k, b := range g.blocks {
		leave(g.e, b, g.updates[k], correction, z[k*g.size:(k+1)*g.size])
		g.blocks[k] = nil
	}
}
