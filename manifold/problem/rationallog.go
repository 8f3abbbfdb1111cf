package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// rationalLog approximates the logarithm on [e^-L, e^L] by an odd function of log x,
//
//	log x ~ sinh (x - 1/x)/2 + constant - sum_j weight_j/(x + shift_j),
//
// a least-squares combination of sinh(l) and of tanh((l-c)/2) + tanh((l+c)/2), l = log x. The first, which the means of the data and of their inverses give for
// nothing, is worth more than a shift. The poles are those of a shiftedLog, but for the one at 1 of z that sinh has.
type rationalLog struct {
	spread, sinh, constant float64
	shift, weight          []float64
	err                    float64 // root mean square over l
	centres                []float64
	hessian                float64 // mean of (d/2) coth(d/2) over differences of points of [-L, L]
}

// newRationalLog fits the function for the half width L.
func newRationalLog(L float64, shifts int) *rationalLog {
	centres := make([]float64, 0, mostShifts)
	if shifts%2 == 1 {
		centres = append(centres, 0)
	}
	centres = append(centres, poleCentres(L, shifts, true)...)
	var rows [fitPoints][fitTerms]float64
	var fit fewSquares
	terms, scale := len(centres)+1, math.Sinh(L)
	squares := tanhSquares(centres)
	for i := range rows {
		l := L * (float64(i) + 0.5) / fitPoints
		row, y := &rows[i], math.Tanh(l/2)
		row[0] = math.Sinh(l) / scale
		for j, t := range squares {
			row[j+1] = 2 * y * (1 - t) / (1 - t*y*y)
		}
		fit.add(row[:terms], l)
	}
	r := &rationalLog{spread: L, centres: centres, hessian: meanCurvature(L)}
	right := fit.solve(terms)
	for i := range rows {
		e := dense.Dot(rows[i][:terms], right) - L*(float64(i)+0.5)/fitPoints
		r.err += e * e / fitPoints
	}
	r.err, r.sinh = math.Sqrt(r.err), right[0]/scale
	for j, c := range centres {
		b, s := right[j+1], math.Exp(c)
		r.constant += 2 * b
		if c == 0 {
			r.shift, r.weight = append(r.shift, 1), append(r.weight, 4*b)
			continue
		}
		r.shift, r.weight = append(r.shift, s, 1/s), append(r.weight, 2*b*s, 2*b/s)
	}
	return r
}

const (
	fitPoints = 32                   // of [0, L] where functions are fitted
	fitTerms  = (mostShifts+1)/2 + 1 // a function has at most
)

// fewSquares is a least-squares problem in few unknowns, of which row after row is added.
type fewSquares struct {
	normal [fitTerms][fitTerms]float64 // lower triangle
	right  [fitTerms]float64
}

func (f *fewSquares) add(row []float64, value float64) {
	for j, v := range row {
		f.right[j] += v * value
		for k, w := range row[:j+1] {
			f.normal[j][k] += v * w
		}
	}
}

// solve returns the unknowns.
func (f *fewSquares) solve(terms int) []float64 {
	normal := dense.New[float64](terms, terms)
	for j := range terms {
		copy(normal.Row(j), f.normal[j][:j+1])
	}
	b := dense.Wrap(terms, 1, f.right[:terms])
	dense.Cholesky(normal)
	dense.SolveLower(dense.NoTrans, normal, b)
	dense.SolveLower(dense.Transposed, normal, b)
	return b.Data
}

// tanhSquares returns tanh(c/2)^2 of the centres.
func tanhSquares(centres []float64) []float64 {
	out := make([]float64, len(centres))
	for j, c := range centres {
		t := math.Tanh(c / 2)
		out[j] = t * t
	}
	return out
}

// logWithin returns the function with the fewest shifts, but at least as many as given, whose error is at most err, or nil if mostShifts are too few.
func logWithin(L float64, shifts int, err float64) *rationalLog {
	for ; shifts <= mostShifts; shifts++ {
		if r := newRationalLog(L, shifts); r.err <= err {
			return r
		}
	}
	return nil
}

// more returns the number of shifts after that of r.
func (r *rationalLog) more() int {
	if r == nil {
		return 1
	}
	return len(r.shift) + 1
}

// meanCurvature averages (d/2) coth(d/2) over d = l - l' with l and l' uniform on [-L, L], whose density is (2L - d)/(2L^2) on [0, 2L].
func meanCurvature(L float64) float64 {
	const points = 50
	var sum float64
	for i := range points {
		d := 2 * L * (float64(i) + 0.5) / points
		sum += d / 2 / math.Tanh(d/2) * (2*L - d) / (L * points)
	}
	return sum
}
