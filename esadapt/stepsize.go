package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// sizeRule adapts sigma of a cma.
type sizeRule interface {
	prepare(c *cma) // may place special samples, before coloring
	update(c *cma)  // after the paths
	archive(a *archive)
}

func newSizeRule(k StepSize, c *cma) sizeRule {
	switch k {
	case TPA:
		return &twoPoint{shift: make([]float64, c.n)}
	case MSR:
		return &medianSuccess{last: make([]float64, c.lambda)}
	}
	return pathLength{}
}

// pathLength is cumulative step-size adaptation (tutorial, eq. 37).
type pathLength struct{}

func (pathLength) prepare(*cma)     {}
func (pathLength) archive(*archive) {}

func (pathLength) update(c *cma) {
	length, expected := math.Sqrt(dense.Dot(c.pSigma, c.pSigma)), c.chi
	if c.muted > 0 {
		length, expected = c.audiblePath()
	}
	c.sigma *= math.Exp(min(1, c.cSigma/c.dampSigma*(length/expected-1)))
}

// audiblePath is the length of the path without the coordinates that are muted, and its expectation.
func (c *cma) audiblePath() (length, expected float64) {
	copy(c.q, c.pSigma)
	c.cov.toAmbient(c.q)
	for j, quiet := range c.quiet {
		if !quiet {
			length += c.q[j] * c.q[j]
		}
	}
	return math.Sqrt(length), expectedNorm(c.n - c.muted)
}

// mute implements muter.
func (c *cma) mute(quiet []bool) {
	c.muted = 0
	copy(c.quiet, quiet)
	for _, q := range quiet {
		if q {
			c.muted++
		}
	}
	if c.muted == c.n {
		c.muted = 0
	}
}

// twoPoint is two-point step-size adaptation: candidates 0 and 1 are the mean plus and minus the last mean shift, scaled to a typical
// length; Hansen, Atamna, Auger: "How to assess step-size adaptation mechanisms in randomised search" (PPSN 2014), with the damping of the
// first author's implementation.
type twoPoint struct {
	shift []float64 // the last shift of the mean over sigma, ambient
	known bool
	s     float64
}

func (t *twoPoint) prepare(c *cma) {
	if !t.known {
		return
	}
	up, down := c.z.Row(0), c.z.Row(1)
	length := math.Sqrt(dense.Dot(up, up))
	c.cov.whitenOne(c.q, t.shift)
	norm := math.Sqrt(dense.Dot(c.q, c.q))
	if norm == 0 {
		return
	}
	for j, v := range c.q {
		up[j], down[j] = v*length/norm, -v*length/norm
	}
}

func (t *twoPoint) update(c *cma) {
	if t.known {
		var up, down int
		for r, k := range c.ranking {
			switch k.i {
			case 0:
				up = r
			case 1:
				down = r
			}
		}
		z := float64(down-up) / float64(c.lambda-1)
		t.s = 0.7*t.s + 0.3*sign(z)*math.Sqrt(math.Abs(z))
		c.sigma *= math.Exp(t.s / (0.7 + 2*math.Log(float64(c.n))))
	}
	copy(t.shift, c.yw)
	t.known = true
}

func (t *twoPoint) archive(a *archive) {
	a.fixed(t.shift)
	a.bool(&t.known)
	a.float(&t.s)
}

// medianSuccess is the median success rule; Ait ElHara, Auger, Hansen: "A median success rule for non-elitist evolution strategies" (2013).
type medianSuccess struct {
	last  []float64 // sorted values of the last generation
	known bool
	s     float64
}

func (m *medianSuccess) prepare(*cma) {}

func (m *medianSuccess) update(c *cma) {
	if m.known {
		at := 0.3 * float64(c.lambda)
		part := at - math.Floor(at)
		lo, hi := m.last[int(at)], m.last[int(math.Ceil(at))]
		below := -float64(c.lambda) / 2
		for _, k := range c.ranking {
			if k.f < lo {
				below += 1 - part
			}
			if k.f <= hi {
				below += part
			}
		}
		m.s = 0.7*m.s + 0.3*2/float64(c.lambda)*below
		c.sigma *= math.Exp(m.s / (2 - 2/max(2, float64(c.n))))
	}
	for r, k := range c.ranking {
		m.last[r] = k.f
	}
	m.known = true
}

func (m *medianSuccess) archive(a *archive) {
	a.fixed(m.last)
	a.bool(&m.known)
	a.float(&m.s)
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
