package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Ellipses is a picture of 2 x 2 SPD matrices as the curves x^T S^-1 x = 1, one unit of both axes being equally long, a panel for each family beside
// the other.
type Ellipses struct {
	Title  string
	X, Y   string // what the axes are
	Groups []EllipseFamily
}

// EllipseFamily is a sequence of matrices; later ones are drawn darker, the last one thicker.
type EllipseFamily struct {
	Name   string
	Shapes [][3]float64 // S11, S12, S22 of SPD matrices
}

const ellipsePoints = 96

// SVG draws the ellipses as a file of its own; all panels show the same part of the plane.
func (e *Ellipses) SVG() string {
	var b strings.Builder
	width, height := curveRight+float64(len(e.Groups))*(cloudSide+curveRight), curveTop+cloudSide+panelGap
	begin(&b, width, height, curveRight, e.Title)
	reach := e.reach()
	for k := range e.Groups {
		e.panel(&b, &e.Groups[k], curveRight+float64(k)*(cloudSide+curveRight), reach)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (e *Ellipses) panel(b *strings.Builder, g *EllipseFamily, left, reach float64) {
	middleX, middleY := left+cloudSide/2, curveTop+cloudSide/2
	fmt.Fprintf(b, `<text x="%g" y="%g">%s</text>`, left, curveTop-6, html.EscapeString(g.Name))
	fmt.Fprintf(b, `<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#888"/>`, left, curveTop, cloudSide, cloudSide)
	fmt.Fprintf(b, `<path class="grid" d="M%g %gh%gM%g %gv%g" stroke="#ddd"/>`, left, middleY, cloudSide, middleX, curveTop, cloudSide)
	for k, s := range g.Shapes {
		share, thick := 1.0, 2.4
		if k+1 < len(g.Shapes) {
			share, thick = 0.25+0.6*float64(k)/float64(len(g.Shapes)-1), 1
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="%g"/>`, outline(s, middleX, middleY, cloudSide/2/reach), colour(share), thick)
	}
	fmt.Fprintf(b, `<text x="%g" y="%g" text-anchor="middle">%s across, %s up, each to %.3g</text>`,
		middleX, curveTop+cloudSide+17, html.EscapeString(e.X), html.EscapeString(e.Y), reach)
}

// outline is the closed path of L (cos t, sin t) around a point, S = L L^T.
func outline(s [3]float64, x, y, scale float64) string {
	a := math.Sqrt(s[0])
	l := s[1] / a
	c := math.Sqrt(max(s[2]-l*l, 0))
	var path strings.Builder
	for k := range ellipsePoints {
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / ellipsePoints)
		step := "L"
		if k == 0 {
			step = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", step, x+scale*a*cos, y-scale*(l*cos+c*sin))
	}
	return path.String() + "z"
}

// reach is a little more than the largest coordinate of all ellipses, the square root of the largest diagonal element.
func (e *Ellipses) reach() float64 {
	largest := 0.0
	for _, g := range e.Groups {
		for _, s := range g.Shapes {
			largest = max(largest, s[0], s[2])
		}
	}
	if largest == 0 {
		return 1
	}
	return 1.05 * math.Sqrt(largest)
}
