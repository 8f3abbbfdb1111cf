package report

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestEllipsesSVG(t *testing.T) {
	e := &Ellipses{Title: "a < b", X: "0", Y: "1", Groups: []EllipseFamily{{Name: "two", Shapes: [][3]float64{{1, 0, 1}, {4, 1, 2}}}, {Name: "none"}}}
	svg := e.SVG()
	wellFormed(t, svg)
	if strings.Contains(svg, "NaN") || strings.Count(svg, `stroke-width="1"`) != 1 || strings.Count(svg, `stroke-width="2.4"`) != 1 || !strings.Contains(svg, "a &lt; b") {
		t.Errorf("%s", svg)
	}
	if empty := (&Ellipses{}).SVG(); strings.Contains(empty, "NaN") || strings.Contains(empty, "Inf") {
		t.Errorf("nothing to draw: %s", empty)
	}
}

// TestOutlineLiesOnTheEllipse: every point of the path satisfies x^T S^-1 x = 1 to the rounding of the picture.
func TestOutlineLiesOnTheEllipse(t *testing.T) {
	s := [3]float64{4, 1, 2}
	const scale = 100
	for _, point := range strings.Split(strings.Trim(outline(s, 0, 0, scale), "Mz"), "L") {
		var x, y float64
		if _, err := fmt.Sscan(point, &x, &y); err != nil {
			t.Fatal(point, err)
		}
		x, y = x/scale, -y/scale
		if q := (s[2]*x*x - 2*s[1]*x*y + s[0]*y*y) / (s[0]*s[2] - s[1]*s[1]); math.Abs(q-1) > 0.002 {
			t.Errorf("(%g, %g): %g", x, y, q)
		}
	}
}
