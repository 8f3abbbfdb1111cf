package nnopt

import "github.com/spdopt/spdopt/internal/engine"

// On a device a step of KFAC is found, and with an objective tried, before anything that lasts moves: averages and inverses wait beside the slots, and blocks that a
// trial has moved are put back.

// ahead implements foreseeing.
func (r *kfacRule[T]) ahead(blocks []Block[T], updates []engine.Update) {
	r.blocks, r.rejected, r.lent, r.trial = blocks, false, lentNothing, false
	if r.moves = r.foresee(blocks, updates); !r.moves || !r.judges() {
		return
	}
	r.keepAll(blocks, lentValues)
	before := r.loss()
	r.lent, r.trial = lentValues, true
	r.take(blocks, updates, r.next)
	r.rejected = r.judge(before, r.loss(), r.next.change)
	r.trial = false
	r.restoreAll(blocks, lentValues)
	for _, g := range r.groups {
		g.recall()
	}
}

// findBases finds those of the factors of all groups in step, where their inverses want bases.
func (r *kfacRule[T]) findBases(fresh bool) {
	var routines []func(pause func())
	for _, g := range r.groups {
		if g.layers[0].damped() {
			continue
		}
		for side := range g.full {
			routines = append(routines, func(pause func()) { g.basis(side, fresh, pause) })
		}
	}
	inStep(r.wait, routines)
}

// basis sets work and values to the eigenvectors of the factors: by decompositions, which begin with the bases in use unless they are fresh, or for InverseTracked by one
// sweep from those. When one decomposition fails none is of use.
func (g *kfacGroup[T]) basis(side int, fresh bool, pause func()) {
	e, q, first := g.at.wide.e, g.work[side], g.layers[0]
	if !fresh {
		toDouble(e, g.stored[kfacOutputInverse+side], q.Data)
	}
	ok := true
	if s := g.sweeps[side]; s != nil && !fresh {
		s.pause = pause
		e.Copy(q, s.b)
		s.restore()
		s.approach(g.full[side], &first.turning)
		e.Copy(s.b, q)
		s.pause()
		copy(g.values[side], s.d)
	} else {
		g.solvers[side].Pause = pause
		_, err := g.solvers[side].Solve(g.full[side], q, g.values[side], !fresh)
		ok = err == nil
	}
	for _, k := range g.layers {
		k.based[side] = ok
	}
}

// settleStep makes what ahead has found last.
func (r *kfacRule[T]) settleStep(blocks []Block[T], updates []engine.Update) {
	for _, g := range r.groups {
		g.settle()
	}
	switch {
	case r.rejected:
		r.stop()
	case r.moves:
		r.take(blocks, updates, r.next)
	}
}

// settle stores averages and inverses that are new.
func (g *kfacGroup[T]) settle() {
	for side, n := range g.sizes {
		if g.learned {
			g.at.e.Blend(1, g.grams[side].Data, 0, nil, g.stored[kfacOutput+side])
		}
		g.eachAdopted(func(at, count int) {
			fromDouble(g.at.wide.e, of(g.work[side].Data, n, at, count), of(g.stored[kfacOutputInverse+side], n, at, count))
		})
	}
}

// newest is where steps become the last ones, in a trial for a while.
func (g *kfacGroup[T]) newest() []T {
	if g.layers[0].rule.trial {
		return g.tried
	}
	return g.stored[kfacLast]
}

// takeBack implements returning.
func (r *kfacRule[T]) takeBack() {
	if r.lent != lentNothing {
		from := r.kept
		for i := range r.blocks {
			to := lentOf(r.lent, &r.blocks[i])
			copy(to, from)
			from = from[len(to):]
		}
	}
	for _, k := range r.moving {
		k.loaded = false
		if k.learned {
			k.examples = k.seen
		}
	}
}
