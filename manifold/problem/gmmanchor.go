package problem

import "github.com/spdopt/spdopt/internal/dense"

// anchor holds responsibilities with their moments in double precision.
type anchor struct {
	resp dense.Matrix[float64]
	r    []dense.Matrix[float64]
}

func (a *anchor) set(g *mixture) {
	if a.r == nil {
		a.resp = dense.New[float64](g.resp.Rows, g.resp.Cols)
		for _, m := range g.r {
			a.r = append(a.r, dense.New[float64](m.Rows, m.Cols))
		}
	}
	a.resp.Copy(g.resp)
	for c, m := range g.r {
		a.r[c].Copy(m)
	}
}

// change sets the moments, and means of responsibilities, to those of the anchor and the change since.
func (s *planeSearch) change() {
	largest := s.count()
	dense.Blend(1, s.resp.Data, -1, s.anchor.resp.Data, s.trial.Data)
	s.moments(single, s.trial, 0, largest, s.r)
	for c, m := range s.anchor.r {
		dense.Axpy(1, m.Data, s.r[c].Data)
	}
}

// advance does what the step of EM does with the samples after a step. In double precision moments change by those of what the responsibilities have changed by since they
// were computed, so that single precision suffices.
func (s *planeSearch) advance() {
	if s.near {
		s.change()
	} else {
		s.collect(s.used)
	}
	s.settle()
	s.near = s.near && s.closeBy()
}

// alongEM is along for the step of EM. Close to a maximum single precision will do for what is added to forms, but not for slopes: those at the origin are made what the moments say.
func (s *planeSearch) alongEM() float64 {
	if !s.near {
		return s.along(&s.em)
	}
	s.differences(single, s.em.w, s.em.forms)
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

// nearGradient is the gradient norm from which on single precision will do for changes in double precision.
const nearGradient = 1e-4

// closeBy tells whether responsibilities with moments in double precision are close to those of a maximum.
func (s *planeSearch) closeBy() bool {
	gradient, err := s.gradient()
	return s.used == double && err == nil && gradient < nearGradient
}
