package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Raster is a picture of a large matrix: the logarithms of the sizes of its elements as colours, light for small. Matrices of more than 64 rows or columns
// are shown by the largest element in each of as many cells.
type Raster struct {
	Title  string
	Panels []RasterPanel
}

// RasterPanel is one matrix of a Raster.
type RasterPanel struct {
	Name       string
	Rows, Cols int
	At         func(i, j int) float64
}

const (
	rasterCells   = 64
	rasterSide    = 288.0
	rasterGap     = 40.0
	rasterTop     = 70.0
	rasterLegend  = 20.0 // height
	rasterShades  = 16
	rasterDecades = 5.0 // powers of ten below the largest element that the colours span
)

// SVG draws the matrices side by side as a file of its own.
func (r *Raster) SVG() string {
	var b strings.Builder
	width := rasterGap + float64(len(r.Panels))*(rasterSide+rasterGap)
	height := rasterTop + rasterSide + rasterGap + rasterLegend
	begin(&b, width, height, rasterGap, r.Title)
	for k := range r.Panels {
		r.Panels[k].draw(&b, rasterGap+float64(k)*(rasterSide+rasterGap))
	}
	legend(&b, rasterGap, rasterTop+rasterSide+rasterLegend)
	b.WriteString("</svg>\n")
	return b.String()
}

// legend says what the colours mean.
func legend(b *strings.Builder, left, top float64) {
	const width, height = 10.0, 12.0
	for k := range rasterShades {
		fmt.Fprintf(b, `<rect x="%g" y="%g" width="%g" height="%g" fill="%s"/>`, left+width*float64(k), top, width, height, colour(float64(k)/(rasterShades-1)))
	}
	fmt.Fprintf(b, `<text x="%g" y="%g">sizes of elements from 1e-%g of the largest of each matrix (and below) to it, by the logarithm; zero is white</text>`,
		left+width*rasterShades+10, top+height-2, rasterDecades)
}

func (p *RasterPanel) draw(b *strings.Builder, left float64) {
	rows, cols := min(p.Rows, rasterCells), min(p.Cols, rasterCells)
	values, top := p.cells(rows, cols)
	fmt.Fprintf(b, `<text x="%g" y="%g">%s (%d x %d), largest %.3g</text>`, left, rasterTop-12, html.EscapeString(p.Name), p.Rows, p.Cols, top)
	// runs of one colour in a row, all of a colour in one path, in units of a cell
	var shades [rasterShades + 1]strings.Builder
	for i := range rows {
		for j := 0; j < cols; {
			shade, from := rasterShade(values[i*cols+j], top), j
			for j++; j < cols && rasterShade(values[i*cols+j], top) == shade; j++ {
			}
			fmt.Fprintf(&shades[shade], "M%d %dh%dv1h-%dz", from, i, j-from, j-from)
		}
	}
	fmt.Fprintf(b, `<g transform="translate(%g %g) scale(%.4f)" shape-rendering="crispEdges">`, left, rasterTop, rasterSide/float64(max(rows, cols, 1)))
	for k := range shades {
		if shades[k].Len() > 0 && k > 0 {
			fmt.Fprintf(b, `<path d="%s" fill="%s"/>`, shades[k].String(), colour(float64(k-1)/(rasterShades-1)))
		}
	}
	b.WriteString("</g>")
}

// cells returns the largest size in each cell, and the largest of all.
func (p *RasterPanel) cells(rows, cols int) (values []float64, top float64) {
	values = make([]float64, rows*cols)
	for i := range p.Rows {
		for j := range p.Cols {
			v := math.Abs(p.At(i, j))
			if v-v != 0 {
				continue
			}
			at := i*rows/p.Rows*cols + j*cols/p.Cols
			values[at] = max(values[at], v)
			top = max(top, v)
		}
	}
	return values, top
}

// rasterShade returns 0 for zero, which stays white, and else one of rasterShades shades by the logarithm.
func rasterShade(v, top float64) int {
	if v == 0 || top == 0 {
		return 0
	}
	share := 1 + math.Log10(v/top)/rasterDecades
	return 1 + int(math.Round((rasterShades-1)*min(max(share, 0), 1)))
}
