package nnopt

import (
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// refresh brings the bases up to date when it is time, on the processor. A factor whose moment is not finite or cannot be decomposed keeps the basis it has.
func (p *shampooPart[T]) refresh(r *shampooRule[T]) {
	for k, f := range p.moments {
		if p.due(r, k) {
			o := r.refreshing(p, k)
			if r.TraceScaling {
				f.trace(p.e, p.figures, f.l)
			}
			permuted, _, ok := f.refresh(p.scaleOf(r, f, 0), &o)
			p.pieces[0].failed = p.pieces[0].failed || !ok
			if permuted {
				p.follow(r, f)
			}
		}
	}
}

func (p *shampooPart[T]) due(r *shampooRule[T], k int) bool {
	return r.refreshes(r.step) && (r.corrected || p.exponent(r, k) != 0)
}

// follow lets the second moments follow the order of new bases.
func (p *shampooPart[T]) follow(r *shampooRule[T], f *momentFactor[T]) {
	if r.corrected {
		p.copyTo(p.z, p.second)
		p.permute(f.perm, f.mode)
		p.copyTo(p.second, p.z)
	}
}

// scaleOf returns what a moment of tensor k is multiplied by for a refresh.
func (p *shampooPart[T]) scaleOf(r *shampooRule[T], f *momentFactor[T], k int) float64 {
	scale := 1 / r.correction(r.step)
	if r.TraceScaling {
		if trace := scale * p.figures.Value(f.traced, k); trace > 0 {
			scale /= math.Sqrt(trace)
		}
	}
	return scale
}

// refreshing says how the bases of factor k are brought up to date.
func (r *shampooRule[T]) refreshing(p *shampooPart[T], k int) refreshing {
	return refreshing{
		qr: r.QR, most: r.Iterations, tol: r.Tol, ascending: r.LibraryOrder, eps: r.Eps, sweeps: r.Sweeps, roots: r.roots, exponent: p.exponent(r, k),
	}
}

// powers sets fine to powers of the eigenvalues, shifted so that the smallest is at least eps; of a pseudo-inverse those of what is zero to rounding are 0.
func (f *momentFactor[T]) powers(e, eps float64, pseudo bool) {
	low, _ := eigenRange[T]()
	for at := 0; at < len(f.values); at += f.n {
		values, fine := f.values[at:at+f.n], f.fine[at:at+f.n]
		shift, floor := T(max(0, eps-float64(slices.Min(values)))), T(max(eps, low*low))
		if pseudo {
			shift, floor = 0, T(float64(f.n)*epsilon[T]())*slices.Max(values)
		}
		for i, v := range values {
			fine[i] = max(v+shift, floor)
		}
		dense.Pow(fine, fine, e)
		if !pseudo {
			continue
		}
		for i, v := range values {
			if v <= floor {
				fine[i] = 0
			}
		}
	}
}
