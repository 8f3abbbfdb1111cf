package report

import (
	"math"
	"strings"
	"testing"
)

func TestRasterSVG(t *testing.T) {
	identity := func(i, j int) float64 {
		if i == j {
			return 1
		}
		return 0
	}
	r := &Raster{Title: "a < b", Panels: []RasterPanel{
		{Name: "small", Rows: 3, Cols: 3, At: identity},
		{Name: "large", Rows: 500, Cols: 200, At: func(i, j int) float64 { return math.Pow(10, -float64(i)/50) }},
		{Name: "broken", Rows: 2, Cols: 2, At: func(i, j int) float64 { return math.NaN() }},
	}}
	svg := r.SVG()
	wellFormed(t, svg)
	if strings.Contains(svg, "NaN") || !strings.Contains(svg, "a &lt; b") {
		t.Error("the title is not escaped, or a number is not finite")
	}
	// the diagonal of the small matrix, the top of the large one, and the legend
	if dark := colour(1); !strings.Contains(svg, `<path d="M0 0h1v1h-1zM1 1h1v1h-1zM2 2h1v1h-1z" fill="`+dark+`"/>`) || strings.Count(svg, dark) != 3 {
		t.Errorf("the largest elements are not where they belong: %s", svg)
	}
	if len(svg) > 10000 {
		t.Errorf("%d bytes: rows of one colour are not one", len(svg))
	}
}
