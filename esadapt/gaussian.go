package esadapt

import (
	"fmt"
	"math"
)

// gaussian is what all strategies with a normal search distribution share: sample, mean, step size, termination.
type gaussian struct {
	population
	mean  []float64
	sigma float64
	model spread
	path  []float64 // path of C for TolX, or nil
	end   *termination
	dead  string // why the distribution became unusable
}

// newGaussian fills in the population size and starts the parts; the caller sets model and path.
func newGaussian(s *Setup, lambda int) gaussian {
	n := len(s.Mean)
	return gaussian{
		population: newPopulation(n, lambda, s),
		mean:       append([]float64(nil), s.Mean...),
		sigma:      s.Sigma,
		end:        newTermination(n, lambda, s.Sigma, s.Tuning.Tolerances),
	}
}

// lambdaOr returns the population size asked for, the default if none was, and an error if it is too small.
func lambdaOr(s *Setup, name string, least int) (int, error) {
	lambda := s.Lambda
	if lambda == 0 {
		lambda = defaultLambda(len(s.Mean))
	}
	if lambda < least {
		return 0, fmt.Errorf("esadapt: %s needs a population of %d or more, got %d", name, least, lambda)
	}
	return lambda, nil
}

// sample implements Ask: color turns the whitened sample z into the steps y. Asking again gives the same rows.
func (d *gaussian) sample(color func()) [][]float64 {
	if !d.sampled {
		d.draw()
		color()
		d.place(d.mean, d.sigma)
		d.sampled = true
	}
	return d.rows
}

// colorEach sets the steps one by one.
func (d *gaussian) colorEach(c colorer) {
	for i := range d.lambda {
		c.colorOne(d.y.Row(i), d.z.Row(i))
	}
}

// recombine sets zw and yw to the weighted means of the best steps, one for each positive weight.
func (d *gaussian) recombine(w, zw, yw []float64) {
	clear(zw)
	clear(yw)
	for r, v := range w {
		if v > 0 {
			i := d.ranking[r].i
			z, y := d.z.Row(i)[:len(zw)], d.y.Row(i)[:len(zw)]
			for j := range zw {
				zw[j] += v * z[j]
				yw[j] += v * y[j]
			}
		}
	}
}

// follow sets p <- (1-c) p + sqrt(c (2-c) muEff) z.
func follow(p, z []float64, c, muEff float64) {
	s := math.Sqrt(c * (2 - c) * muEff)
	for j, v := range z {
		p[j] = (1-c)*p[j] + s*v
	}
}

// finish closes the generation whose ranking has been used.
func (d *gaussian) finish() {
	d.close()
	d.guard()
	d.end.record(d.ranking, d.shape())
}

// outOfRange is the size beyond which squares overflow.
const outOfRange = 1e150

// guard notices a mean or step size that left the range of numbers.
func (d *gaussian) guard() {
	if d.dead != "" {
		return
	}
	if !(d.sigma > 0) || d.sigma > outOfRange {
		d.dead = fmt.Sprintf("sigma became %v", d.sigma)
	}
	for j, m := range d.mean {
		if !(math.Abs(m) < outOfRange) {
			d.dead = fmt.Sprintf("coordinate %d of the mean became %v", j, m)
		}
	}
}

func (d *gaussian) shape() shape {
	return shape{generation: d.generation, mean: d.mean, sigma: d.sigma, cov: d.model, path: d.path}
}

// Stop implements Strategy.
func (d *gaussian) Stop() []Reason {
	if d.dead != "" {
		return []Reason{because(NotFinite, d.dead)}
	}
	return d.end.reasons(d.shape())
}

// Mean implements Distribution.
func (d *gaussian) Mean() []float64 { return d.mean }

// Sigma implements Distribution.
func (d *gaussian) Sigma() float64 { return d.sigma }

// Deviations implements Distribution.
func (d *gaussian) Deviations(dst []float64) { d.model.diagonal(dst, d.sigma) }

// SetMean implements Mover. A sample that was drawn around the old mean is drawn again.
func (d *gaussian) SetMean(x []float64) {
	copy(d.mean, x)
	d.sampled = false
}

// scaleSigma implements resizer.
func (d *gaussian) scaleSigma(factor float64) { d.sigma *= factor }

// archive covers the shared part; name and version guard against states of other strategies.
func (d *gaussian) archive(a *archive, name string) {
	a.tag(name)
	a.same("dimension", d.n)
	a.same("population size", d.lambda)
	a.int(&d.generation)
	a.fixed(d.mean)
	a.float(&d.sigma)
	a.string(&d.dead)
	d.end.archive(a)
	if a.reading {
		d.sampled = false
	}
}

// colorer maps one whitened vector to a step, y = A z.
type colorer interface{ colorOne(y, z []float64) }

// linear is a colorer that knows its inverse.
type linear interface {
	colorer
	whitenOne(z, y []float64) // z = A^-1 y
}

// inject puts x in place of candidate i, clipped.
func (d *gaussian) inject(l linear, i int, x []float64) {
	y, z := d.y.Row(i), d.z.Row(i)
	for j, m := range d.mean {
		y[j] = (x[j] - m) / d.sigma
	}
	l.whitenOne(z, y)
	shrink := clipForeign(z)
	for j := range z {
		z[j] *= shrink
		y[j] *= shrink
	}
	copy(d.x.Row(i), x)
}

// redraw samples candidate i anew.
func (d *gaussian) redraw(l colorer, i, attempt int) []float64 {
	d.random.again(d.z.Row(i), d.generation, i, attempt)
	l.colorOne(d.y.Row(i), d.z.Row(i))
	x, y := d.x.Row(i), d.y.Row(i)
	for j, m := range d.mean {
		x[j] = m + d.sigma*y[j]
	}
	return x
}
