package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Images is a picture of rows of small grey images, such as training examples beside the query that they help.
type Images struct {
	Title string
	Rows  []ImageRow
}

// ImageRow is one row of an Images.
type ImageRow struct {
	Name   string
	Images []Image
}

// Image is a grey image with a caption; At returns its brightness, 0 (black) to 1. Others are cut off there.
type Image struct {
	Caption       string
	Height, Width int
	At            func(i, j int) float64
}

const (
	imageSide   = 56.0
	imageGap    = 14.0
	imageLabel  = 150.0
	imageTop    = 46.0
	imageShades = 8
)

// SVG draws the images as a file of its own.
func (p *Images) SVG() string {
	columns := 0
	for _, r := range p.Rows {
		columns = max(columns, len(r.Images))
	}
	var b strings.Builder
	width := imageLabel + float64(columns)*(imageSide+imageGap) + imageGap
	height := imageTop + float64(len(p.Rows))*(imageSide+2*imageGap) + imageGap
	begin(&b, width, height, imageGap, p.Title)
	for i, r := range p.Rows {
		top := imageTop + float64(i)*(imageSide+2*imageGap)
		fmt.Fprintf(&b, `<text x="%g" y="%g">%s</text>`, imageGap, top+imageSide/2, html.EscapeString(r.Name))
		for j := range r.Images {
			r.Images[j].draw(&b, imageLabel+float64(j)*(imageSide+imageGap), top)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw paints runs of one shade in a row, all of a shade in one path.
func (m *Image) draw(b *strings.Builder, left, top float64) {
	var shades [imageShades]strings.Builder
	shade := func(i, j int) int {
		v := m.At(i, j)
		if v-v != 0 {
			return 0
		}
		return int(math.Round((imageShades - 1) * min(max(v, 0), 1)))
	}
	for i := range m.Height {
		for j := 0; j < m.Width; {
			k, from := shade(i, j), j
			for j++; j < m.Width && shade(i, j) == k; j++ {
			}
			fmt.Fprintf(&shades[k], "M%d %dh%dv1h-%dz", from, i, j-from, j-from)
		}
	}
	side := float64(max(m.Height, m.Width, 1))
	fmt.Fprintf(b, `<g transform="translate(%g %g) scale(%.4f)" shape-rendering="crispEdges"><path d="M0 0h%dv%dh-%dz"/>`, left, top, imageSide/side, m.Width, m.Height, m.Width)
	for k := 1; k < imageShades; k++ {
		if grey := 255 * k / (imageShades - 1); shades[k].Len() > 0 {
			fmt.Fprintf(b, `<path d="%s" fill="#%02x%02x%02x"/>`, shades[k].String(), grey, grey, grey)
		}
	}
	fmt.Fprintf(b, `</g><text x="%g" y="%g" font-size="10" text-anchor="middle">%s</text>`, left+imageSide/2, top+imageSide+11, html.EscapeString(m.Caption))
}
