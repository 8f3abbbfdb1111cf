package net

import (
	"math"
	"math/rand/v2"
)

// Diffusion is the forward process of a denoising diffusion model (Ho et al., arXiv:2006.11239) with the cosine schedule of Nichol and Dhariwal
// (arXiv:2102.09672): at time t of Steps, x_t = a_t x + sqrt(1-a_t^2) noise. A network learns to predict the noise from x_t and t; its loss is the mean
// squared error of that.
type Diffusion struct {
	signal []float64 // a_t
}

// NewDiffusion returns a process of the given number of steps.
func NewDiffusion(steps int) *Diffusion {
	if steps < 1 {
		fail("diffusion with %d steps", steps)
	}
	level := func(t float64) float64 {
		return math.Pow(math.Cos((t/float64(steps)+0.008)/1.008*math.Pi/2), 2)
	}
	d := &Diffusion{signal: make([]float64, steps)}
	product := 1.0
	for t := range d.signal {
		product *= max(1-0.999, level(float64(t+1))/level(float64(t)))
		d.signal[t] = math.Sqrt(product)
	}
	return d
}

// Steps returns the number of steps.
func (d *Diffusion) Steps() int { return len(d.signal) }

// TimeFeatures is the number of columns that Corrupt puts behind those of the data.
const TimeFeatures = 8

// Corrupt draws a time and noise for each row of x, and sets the row of in, which has TimeFeatures columns more, to x_t and the features of t,
// and that of target to the noise.
func Corrupt[T Float](d *Diffusion, r *rand.Rand, x, in Matrix[T], target *Target[T]) {
	target.sized(x.Rows, x.Cols)
	for i := range x.Rows {
		t := r.IntN(d.Steps())
		a := T(d.signal[t])
		b := sqrt(1 - a*a)
		noise, row := target.Values.Row(i), in.Row(i)
		for j, v := range x.Row(i) {
			noise[j] = T(r.NormFloat64())
			row[j] = a*v + b*noise[j]
		}
		SetTime(d, t, row[x.Cols:])
	}
}

// Denoise fills x with samples: it starts from noise and goes back through all times with the posterior means and variances of Ho et al.,
// equations 6 and 7, for the original that the noise predicted for x_t implies, bounded to [-bound, bound]. predict gets the inputs of the
// network, which Denoise prepares in in (TimeFeatures columns more than x), and returns the noise.
func Denoise[T Float](d *Diffusion, r *rand.Rand, bound float64, in, x Matrix[T], predict func(in Matrix[T]) Matrix[T]) {
	for i := range x.Rows {
		for j := range x.Cols {
			x.Set(i, j, T(r.NormFloat64()))
		}
	}
	for t := d.Steps() - 1; t >= 0; t-- {
		for i := range x.Rows {
			row := in.Row(i)
			SetTime(d, t, row[copy(row, x.Row(i)):])
		}
		q, noise := d.posterior(t), predict(in)
		for i := range x.Rows {
			row := x.Row(i)
			for j, e := range noise.Row(i) {
				at := float64(row[j])
				original := max(-bound, min(bound, (at-q.noise*float64(e))/q.signal))
				row[j] = T(q.original*original + q.current*at + q.deviation*r.NormFloat64())
			}
		}
	}
}

// SetTime sets the TimeFeatures features of time t: sines and cosines of four frequencies.
func SetTime[T Float](d *Diffusion, t int, features []T) {
	at := float64(t+1) / float64(d.Steps())
	for k := range TimeFeatures / 2 {
		sin, cos := math.Sincos(math.Pi / 2 * at * float64(int(1)<<k))
		features[2*k], features[2*k+1] = T(sin), T(cos)
	}
}

// posterior is the distribution of x_(t-1) for given x_t = signal x_0 + noise e and x_0: normal around original x_0 + current x_t.
type posterior struct{ signal, noise, original, current, deviation float64 }

func (d *Diffusion) posterior(t int) posterior {
	level, before := d.signal[t]*d.signal[t], 1.0
	if t > 0 {
		before = d.signal[t-1] * d.signal[t-1]
	}
	keep := level / before
	return posterior{
		signal: d.signal[t], noise: math.Sqrt(1 - level),
		original:  math.Sqrt(before) * (1 - keep) / (1 - level),
		current:   math.Sqrt(keep) * (1 - before) / (1 - level),
		deviation: math.Sqrt((1 - keep) * (1 - before) / (1 - level)),
	}
}
