package report

import (
	"encoding/xml"
	"io"
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
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(svg, "NaN") || !strings.Contains(svg, "a &lt; b") {
		t.Error("the title is not escaped, or a number is not finite")
	}
	dark := colour(1)
	if n := strings.Count(svg, `fill="`+dark+`"`); n < 4 {
		t.Errorf("%d rectangles of the largest colour; the diagonal alone has 3", n)
	}
	if n := strings.Count(svg, "<rect"); n > 400 {
		t.Errorf("%d rectangles: rows of one colour are not one", n)
	}
}
