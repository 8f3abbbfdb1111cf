package report

import (
	"math"
	"strings"
	"testing"
)

func TestScatterSVG(t *testing.T) {
	s := &Scatter{Title: "a < b", Groups: []Cloud{{Name: "one", Points: [][2]float64{{2, 0}, {0, -2}, {math.NaN(), 1}}}, {Name: "empty"}}}
	svg := s.SVG()
	wellFormed(t, svg)
	if strings.Contains(svg, "NaN") || strings.Count(svg, "<circle") != 2 || !strings.Contains(svg, "a &lt; b") {
		t.Errorf("points or title: %s", svg)
	}
	// the panel spans (-2.1, 2.1) from (20, 350) to (320, 50)
	for _, circle := range []string{`cx="312.9" cy="200.0"`, `cx="170.0" cy="342.9"`} {
		if !strings.Contains(svg, circle) {
			t.Errorf("no point at %s in %s", circle, svg)
		}
	}
	if empty := (&Scatter{}).SVG(); strings.Contains(empty, "NaN") || strings.Contains(empty, "Inf") {
		t.Errorf("nothing to draw: %s", empty)
	}
}
