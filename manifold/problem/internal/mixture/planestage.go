package mixture

import (
	"errors"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// unknown is the precision of a planeSearch before its first step.
const unknown = stage(-1)

// precision is that of the stage, or a higher one where components are too small for that.
func (s *planeSearch) precision() stage {
	if s.coarse {
		return exact
	}
	least := 1.0
	for c := range s.planes {
		least = min(least, s.planes[c].least)
	}
	return s.needed(least)
}

// enter makes all that depends on the precision what it is in another one.
func (s *planeSearch) enter(p stage) {
	was := s.used
	s.used, s.low = p, false
	if was != unknown && was < exact && p < exact {
		s.last.base = s.along(&s.last)
		return
	}
	s.last.clear()
	for c := range s.parts {
		if was != unknown && was < exact {
			s.unframe(c)
		}
		s.frame(c)
	}
}

// expect does what the step of EM does with the samples, and returns their mean log-likelihood.
func (s *planeSearch) expect() float64 {
	if s.used == unknown {
		s.enter(s.Mixture.precision())
	}
	if p := s.precision(); p != s.used {
		s.enter(p)
	}
	value := s.respond()
	s.collect(s.used)
	s.settle()
	s.drift = 0
	return value
}

// respond sets forms and responsibilities and returns the mean log-likelihood.
func (s *planeSearch) respond() float64 {
	if s.used == exact {
		s.squares()
	} else {
		for c := range s.planes {
			s.points[c] = s.planes[c].e
		}
		s.base = s.differences(s.used, s.points, s.forms)
	}
	for c := range s.planes {
		s.scales[c] = s.scale(s.parts[c].share, s.planes[c].origin)
	}
	return s.weigh()
}

// along sets the forms of a direction, less what is the same for all components of a sample, and returns the mean of that. What rounding leaves is small beside the
// change, so that long steps do not enlarge it.
func (s *planeSearch) along(d *direction) float64 {
	if s.used == exact {
		s.whitenedChanges(d.w, d.forms)
		return 0
	}
	return s.differences(s.used, d.w, d.forms)
}

// settle sets the step of EM after the moments. Where moments do not tell the size of the next components, it is computed from whitened samples.
func (s *planeSearch) settle() {
	if !s.target() {
		s.coarse = true
		s.enter(exact)
		s.squares()
		s.collect(exact)
		s.target()
	}
}

// target sets the step of EM, and tells whether moments in the precision in use tell the size of its components.
func (s *planeSearch) target() bool {
	for c := range s.planes {
		i := &s.planes[c]
		if i.err = s.enough(c, s.counts[c]); i.err == nil {
			dense.Scale(1/s.counts[c], s.r[c].Data, i.v.Data)
		}
	}
	s.targeting.Run(targetParts * len(s.planes))
	s.shaping.Run(len(s.planes))
	resolved := true
	for c := range s.planes {
		i := &s.planes[c]
		if i.err == nil && !i.definite {
			i.err = collapsed(c)
		}
		resolved = resolved && (s.used == exact || i.ahead >= deviations[s.used])
	}
	return resolved
}

// targetParts is the number of products, or equal work, that an inverse needs for its target.
const targetParts = 3

// targetPart does one of them.
func (s *planeSearch) targetPart(part int) {
	i := &s.planes[part/targetParts]
	if i.err != nil {
		return
	}
	switch part % targetParts {
	case 0:
		i.target()
	case 1:
		i.multiply(s.used, i.last, i.tilt, 1)
	case 2:
		i.measure(s.used)
	}
}

// gradient returns that of the mixture.
func (s *planeSearch) gradient() (float64, error) {
	var square float64
	for c := range s.planes {
		i, count := &s.planes[c], s.counts[c]
		if i.err != nil {
			return 0, i.err
		}
		w := count - s.parts[c].share
		square += count*count*i.distance/4 + w*w
	}
	if math.IsNaN(square) {
		return 0, errors.New("the likelihood is not finite")
	}
	return math.Sqrt(square), nil
}

// finish makes the mixture, with its R, what the search has found.
func (s *planeSearch) finish() {
	if s.used == exact {
		return
	}
	for c := range s.parts {
		s.unframe(c)
	}
	s.whiten(s.r)
}
