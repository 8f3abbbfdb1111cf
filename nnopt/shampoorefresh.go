package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/engine"
)

// refresh brings the bases up to date when it is time. A factor whose moment is not finite or cannot be decomposed keeps the basis it has.
func (p *shampooPart[T]) refresh(r *shampooRule[T]) {
	for k, f := range p.moments {
		if p.due(r, k) {
			o := r.refreshing()
			o.exponent = p.exponent(r, k)
			if r.TraceScaling {
				f.traced = f.trace(p.e, p.figures)
				engine.Wait(p.e)
			}
			permuted, _, ok := f.refresh(p.scaleOf(r, f), &o)
			p.refreshed(r, f, permuted, ok)
		}
	}
}

// join leaves that to the groups.
func (p *shampooPart[T]) join(r *shampooRule[T], e engine.Backend[float64]) {
	for k, f := range p.moments {
		if p.due(r, k) {
			if r.TraceScaling {
				f.traced = f.trace(p.e, p.figures)
			}
			g := r.group(f.n, e)
			g.tasks = append(g.tasks, momentTask[T]{f: f, part: p})
		}
	}
}

func (p *shampooPart[T]) due(r *shampooRule[T], k int) bool {
	return r.refreshes(r.step) && (r.corrected || p.exponent(r, k) != 0)
}

// refreshed lets the second moments follow the order of a basis.
func (p *shampooPart[T]) refreshed(r *shampooRule[T], f *momentFactor[T], permuted, ok bool) {
	p.failed = p.failed || !ok
	if permuted && r.corrected {
		p.copyTo(p.z, p.second)
		p.permute(f.perm, f.mode)
		p.copyTo(p.second, p.z)
	}
}

// scaleOf returns what a moment is multiplied by for a refresh.
func (p *shampooPart[T]) scaleOf(r *shampooRule[T], f *momentFactor[T]) float64 {
	scale := 1 / r.correction(r.step)
	if r.TraceScaling {
		if trace := scale * p.figures.Value(f.traced); trace > 0 {
			scale /= math.Sqrt(trace)
		}
	}
	return scale
}

func (r *shampooRule[T]) refreshing() refreshing {
	return refreshing{qr: r.QR, most: r.Iterations, tol: r.Tol, ascending: r.LibraryOrder, eps: r.Eps, sweeps: r.Sweeps, roots: r.roots}
}

// group returns that of the moments of a size.
func (r *shampooRule[T]) group(n int, e engine.Backend[float64]) *momentGroup[T] {
	for _, g := range r.groups {
		if g.n == n {
			return g
		}
	}
	g := &momentGroup[T]{e: e, n: n}
	r.groups = append(r.groups, g)
	return g
}

// renew implements renewed.
func (r *shampooRule[T]) renew() { r.groups, r.placed = nil, nil }

// warm implements warmed: the groups get the memory that refreshes of all moments at once take.
func (r *shampooRule[T]) warm() {
	o := r.refreshing()
	for _, s := range r.placed {
		for k := range s.parts {
			for _, f := range s.parts[k].moments {
				if !f.iterates() {
					g := r.group(f.n, s.fine.e)
					g.most++
				}
			}
		}
	}
	for _, g := range r.groups {
		g.grow(g.most, &o)
	}
}

// together implements gathering.
func (r *shampooRule[T]) together() {
	waited := !r.TraceScaling
	for _, g := range r.groups {
		for i := range g.tasks {
			t := &g.tasks[i]
			if !waited {
				engine.Wait(t.part.e)
				waited = true
			}
			t.scale = t.part.scaleOf(r, t.f)
		}
		if len(g.tasks) > 0 {
			g.refresh(r)
		}
	}
}
