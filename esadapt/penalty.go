package esadapt

import (
	"math"
	"slices"
)

// boundPenalty evaluates the nearest point of the box and adds sum gamma_i (x_i - nearest_i)^2/n, with weights that grow while the mean is
// outside; see BoundPenalty for the source, the constants are those of the first author's implementation.
type boundPenalty struct {
	space      *space
	gamma      []float64 // per coordinate; empty until the mean has been outside
	history    []float64 // interquartile ranges of f over the mean variance, newest first
	generation int       // of the run, from 1
	sorted     []float64
	sd         []float64
	lambda     int // population that muEff belongs to
	muEff      float64
}

func newBoundPenalty(sp *space) *boundPenalty {
	return &boundPenalty{space: sp, sd: make([]float64, sp.m)}
}

func (b *boundPenalty) reset() { b.gamma, b.history, b.generation = b.gamma[:0], b.history[:0], 0 }

// excess is how far coordinate j with value u is outside its bounds, in latent units.
func (b *boundPenalty) excess(j int, u float64) float64 {
	i := b.space.free[j]
	v := u * b.space.scale[i]
	return v - max(b.space.lower[i], min(b.space.upper[i], v))
}

// assess adds the penalties to the fitness of the generation.
func (b *boundPenalty) assess(s *Search, rows [][]float64) {
	b.learn(s)
	if len(b.gamma) == 0 {
		return
	}
	for k, u := range rows {
		var p float64
		for j, v := range u {
			e := b.excess(j, v)
			p += b.gamma[j] * e * e
		}
		s.fitness[k] += p / float64(len(u))
	}
}

// learn moves the weights by the values of this generation and the place of the mean.
func (b *boundPenalty) learn(s *Search) {
	d, ok := s.strat.(Distribution)
	if !ok {
		return
	}
	b.generation++
	d.Deviations(b.sd)
	var variance float64
	for j, v := range b.sd {
		b.sd[j] = v * b.space.scale[b.space.free[j]]
		variance += b.sd[j] * b.sd[j]
	}
	n := float64(len(b.sd))
	b.remember(s.fitness, variance/n, 20+3*len(b.sd)/len(s.fitness))
	if len(b.history) == 0 {
		return
	}
	b.sorted = append(b.sorted[:0], b.history...)
	slices.Sort(b.sorted)
	typical := b.sorted[len(b.sorted)/2]
	outside := false
	for j, m := range d.Mean() {
		outside = outside || b.excess(j, m) != 0
	}
	if outside && (len(b.gamma) == 0 || b.generation == 2) {
		b.gamma = resize(b.gamma, len(b.sd))
		for j := range b.gamma {
			b.gamma[j] = 2 * typical
		}
	}
	if b.lambda != len(s.fitness) {
		b.lambda = len(s.fitness)
		_, _, b.muEff, _ = rawWeights(b.lambda)
	}
	muEff := b.muEff
	damp := min(1, muEff/10/n)
	for j := range b.gamma {
		far := math.Abs(b.excess(j, d.Mean()[j]))/b.sd[j] - 3*max(1, math.Sqrt(n)/muEff)
		if far > 0 {
			b.gamma[j] *= math.Exp(damp * math.Tanh(far/3) / 2)
		}
		if b.gamma[j] > 5*typical {
			b.gamma[j] *= math.Exp(-damp / 3)
		}
	}
}

func (b *boundPenalty) remember(f []float64, variance float64, limit int) {
	b.sorted = append(b.sorted[:0], f...)
	slices.Sort(b.sorted)
	l := 1 + len(f)
	v := (b.sorted[min(3*l/4, len(f)-1)] - b.sorted[l/4]) / variance
	switch {
	case finite(v) && v > 0:
		b.history = slices.Insert(b.history, 0, v)
	case math.IsInf(v, 1) && len(b.history) > 1:
		b.history = slices.Insert(b.history, 0, slices.Max(b.history))
	}
	if len(b.history) > limit {
		b.history = b.history[:limit]
	}
}

func (b *boundPenalty) archive(a *archive) {
	a.floats(&b.gamma)
	if a.err == nil && len(b.gamma) != 0 && len(b.gamma) != len(b.sd) {
		a.fail("%d weights of %d bounds", len(b.gamma), len(b.sd))
	}
	a.floats(&b.history)
	a.int(&b.generation)
}
