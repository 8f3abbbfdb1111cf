package mixture

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Rounding of what has changed since moments and forms were computed is noise in the gradient: with every responsibility off by the unit roundoff of its change, and so
// every product y y', the mean of them, whitened by a component, is off by that times its trace, in the norm. The search renews them where noise is more than renewalShare
// of the gradient, and computes no changes in a lower precision where those of one step would add changeShare.
const (
	renewalShare = 1. / 4
	changeShare  = 1. / 16
)

// roundoff is that of the changes of what is known in single and double precision: the unit roundoff of bfloat16, and of single precision with what its sums add.
var roundoff = [exact]float64{single: 0x1p-9, double: 0x1p-21}

// advance does what the step of EM does with the samples after a step, from what the responsibilities have changed by where a lower precision suffices for that.
func (s *planeSearch) advance() {
	dense.Blend(1, s.resp.Data, -1, s.trial.Data, s.trial.Data)
	change := dense.Dot(s.trial.Data, s.trial.Data)
	if s.low {
		s.change()
		s.drift += change
	} else {
		s.collect(s.used)
	}
	s.settle()
	s.low = s.used > rounded && s.used < exact && s.accurate(changeShare, change)
}

// change adds to the moments those of the changes of the responsibilities.
func (s *planeSearch) change() {
	for c := range s.planes {
		s.changes[c] = s.planes[c].trial
	}
	s.moments(s.used-1, s.trial, 0, s.count(), s.changes)
	for c, m := range s.changes {
		dense.Axpy(1, m.Data, s.r[c].Data)
	}
}

// accurate tells whether the noise of changes is at most the share of the gradient.
func (s *planeSearch) accurate(share, change float64) bool {
	if s.used == exact {
		return true
	}
	gradient, err := s.gradient()
	return err == nil && s.noise(change) <= share*gradient
}

// noise returns that of changes with the sum of squares over all responsibilities.
func (s *planeSearch) noise(change float64) float64 {
	var most float64
	for c := range s.planes {
		most = max(most, s.planes[c].e.Trace())
	}
	return roundoff[s.used] * most * math.Sqrt(change) / float64(s.y.Rows)
}

// alongEM is along for the step of EM. In the precision of changes what is added to forms is accurate enough, but slopes are not: those at the origin are made what the moments say.
func (s *planeSearch) alongEM() float64 {
	if !s.low {
		return s.along(&s.em)
	}
	s.differences(s.used-1, s.em.w, s.em.forms)
	last := len(s.em.w) - 1
	common := s.em.w[last].Data
	for c, w := range s.em.w[:last] {
		q := s.em.forms.Row(c)
		want := dense.Dot(s.r[c].Data, w.Data) - dense.Dot(s.r[c].Data, common)
		shift := (want - dense.Dot(s.resp.Row(c), q)/float64(len(q))) / s.counts[c]
		for i := range q {
			q[i] += shift
		}
	}
	return dense.Dot(common, s.totals[double].Data)
}
