package report

import (
	"fmt"
	"html"
	"strings"
)

// Scatter is a picture of points in the plane, one unit of both axes being equally long, a panel for each cloud beside the other.
type Scatter struct {
	Title  string
	Groups []Cloud
}

// Cloud is a set of points (x, y); points that are not finite are left out.
type Cloud struct {
	Name   string
	Points [][2]float64
}

const cloudSide = 300.0

// SVG draws the points as a file of its own; all panels show the same part of the plane.
func (s *Scatter) SVG() string {
	var b strings.Builder
	width, height := curveRight+float64(len(s.Groups))*(cloudSide+curveRight), curveTop+cloudSide+curveRight
	begin(&b, width, height, curveRight, s.Title)
	reach := s.reach()
	for k, g := range s.Groups {
		left := curveRight + float64(k)*(cloudSide+curveRight)
		fmt.Fprintf(&b, `<text x="%g" y="%g">%s</text>`, left, curveTop-6, html.EscapeString(g.Name))
		fmt.Fprintf(&b, `<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#888"/><g fill="%s" fill-opacity="0.6">`,
			left, curveTop, cloudSide, cloudSide, curveColours[k%len(curveColours)])
		for _, p := range g.Points {
			if isFinite(p[0]) && isFinite(p[1]) {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="1.5"/>`, left+cloudSide*(1+p[0]/reach)/2, curveTop+cloudSide*(1-p[1]/reach)/2)
			}
		}
		b.WriteString("</g>")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// reach is a little more than the largest coordinate.
func (s *Scatter) reach() float64 {
	reach := 0.0
	for _, g := range s.Groups {
		for _, p := range g.Points {
			for _, v := range p {
				if isFinite(v) {
					reach = max(reach, v, -v)
				}
			}
		}
	}
	if reach == 0 {
		return 1
	}
	return 1.05 * reach
}
