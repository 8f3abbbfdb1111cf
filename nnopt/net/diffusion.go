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

// SetTime sets the TimeFeatures features of time t: sines and cosines of four frequencies.
func SetTime[T Float](d *Diffusion, t int, features []T) {
	at := float64(t+1) / float64(d.Steps())
	for k := range TimeFeatures / 2 {
		sin, cos := math.Sincos(math.Pi / 2 * at * float64(int(1)<<k))
		features[2*k], features[2*k+1] = T(sin), T(cos)
	}
}
