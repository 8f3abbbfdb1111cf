package mixture

import "github.com/spdopt/spdopt/internal/dense"

// shareBlock is the number of samples in a part of what is shared among threads. It does not depend on their number, so that sums have the same bits for any.
const shareBlock = 1024

// sharing runs a function for every block of the samples, and adds up what the blocks come to in order.
type sharing struct {
	parts dense.RowParts
	count int
	block func(part, first, last int)
	sums  []sampleSums
}

// sampleSums are sums over samples.
type sampleSums struct {
	value    float64
	gradient [2]float64
	hessian  [3]float64
}

// newSharing returns a sharing for samples, with do called for those from the first up to, not including, the last.
func newSharing(count int, do func(first, last int) sampleSums) *sharing {
	p := &sharing{count: count, sums: make([]sampleSums, dense.PartsOf(count, shareBlock))}
	p.block = func(part, first, last int) { p.sums[part] = do(first, last) }
	return p
}

// run returns the sums over all samples.
func (p *sharing) run() (total sampleSums) {
	p.parts.Run(p.count, shareBlock, p.block)
	for _, t := range p.sums {
		total.value += t.value
		for i, v := range t.gradient {
			total.gradient[i] += v
		}
		for i, v := range t.hessian {
			total.hessian[i] += v
		}
	}
	return total
}

// weighBlock turns forms into responsibilities, for the logarithms of what densities have before exp(-y'Py/2), and sums the logarithms of likelihoods.
func (g *Mixture) weighBlock(first, last int) sampleSums {
	for c := range g.parts {
		w, scale := g.resp.Row(c)[first:last], g.scales[c]
		for i, q := range g.forms.Row(c)[first:last] {
			w[i] = scale - q/2
		}
	}
	return sampleSums{value: g.normalize(g.resp, first, last)}
}

// normalize turns logarithms of densities into responsibilities and returns the sum of the logarithms of likelihoods.
func (g *Mixture) normalize(w dense.Matrix[float64], first, last int) (total float64) {
	top, sum := g.top[first:last], g.sum[first:last]
	copy(top, w.Row(0)[first:last])
	for c := 1; c < w.Rows; c++ {
		for i, v := range w.Row(c)[first:last] {
			top[i] = max(top[i], v)
		}
	}
	clear(sum)
	for c := range w.Rows {
		row := w.Row(c)[first:last]
		dense.Axpy(-1, top, row)
		dense.Exp(row, row)
		dense.Axpy(1, row, sum)
	}
	for i, s := range sum {
		total += top[i]
		top[i] = 1 / s
	}
	for c := range w.Rows {
		row := w.Row(c)[first:last]
		dense.Multiply(row, top, row)
	}
	dense.Log(sum, sum)
	for _, l := range sum {
		total += l
	}
	return total
}

// weighBlock is that of the mixture, for the point under trial.
func (s *planeSearch) weighBlock(first, last int) sampleSums {
	t := s.point
	for c := range s.parts {
		w, em, before, scale := s.trial.Row(c)[first:last], s.em.forms.Row(c)[first:last], s.last.forms.Row(c)[first:last], s.scales[c]
		for i, q := range s.Mixture.forms.Row(c)[first:last] {
			w[i] = scale - (q+t[0]*em[i]+t[1]*before[i])/2
		}
	}
	return sampleSums{value: s.normalize(s.trial, first, last)}
}

// deriveBlock sums the derivatives of logarithms of likelihoods.
func (s *planeSearch) deriveBlock(first, last int) (t sampleSums) {
	x, y := s.top[first:last], s.sum[first:last] // means of the derivatives of logarithms of densities of a sample
	clear(x)
	clear(y)
	for c := range s.parts {
		r, em, before := s.trial.Row(c)[first:last], s.em.forms.Row(c)[first:last], s.last.forms.Row(c)[first:last]
		slope, curvature := s.planes[c].slope, s.planes[c].curvature
		a, b := s.em.share[c]+slope[0]/2, s.last.share[c]+slope[1]/2
		count := dense.Dot(r, s.ones[first:last])
		dense.Axpy(a, r, x)
		dense.Axpy(b, r, y)
		sums := [3]float64{count * a * a, count * a * b, count * b * b}
		if c < len(s.parts)-1 || s.used == exact { // otherwise forms are less those of the last component
			w := s.weighted[first:last]
			dense.Multiply(r, em, w)
			dense.Axpy(-0.5, w, x)
			mean := dense.Dot(w, s.ones[first:last])
			sums[0] += dense.Dot(w, em)/4 - a*mean
			sums[1] += dense.Dot(w, before)/4 - b*mean/2
			dense.Multiply(r, before, w)
			dense.Axpy(-0.5, w, y)
			mean = dense.Dot(w, s.ones[first:last])
			sums[1] -= a * mean / 2
			sums[2] += dense.Dot(w, before)/4 - b*mean
		}
		for j, v := range sums {
			t.hessian[j] += v + count*curvature[j]/2
		}
	}
	t.gradient = [2]float64{dense.Dot(x, s.ones[first:last]), dense.Dot(y, s.ones[first:last])}
	t.hessian[0] -= dense.Dot(x, x)
	t.hessian[1] -= dense.Dot(x, y)
	t.hessian[2] -= dense.Dot(y, y)
	return t
}
