package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// rationalSquare approximates the square of the logarithm on [e^-L, e^L] by an even function of l = log x with the poles of a rationalLog,
//
//	log^2 x ~ cosh (x + 1/x)/2 + constant + sum_j weight_j/(x + shift_j),
//
// a combination of cosh l and of tanh((l+c)/2) - tanh((l-c)/2), less their values at l = 0, of least squared error relative to l: traces of shifted inverses, which cost
// nothing once these are known, give distances, near ones too. Its error is about that of the logarithm with one shift or two less.
type rationalSquare struct {
	cosh, constant float64
	weight         []float64
}

// newRationalSquare fits the function for the interval and the shifts of a rationalLog.
func newRationalSquare(log *rationalLog) *rationalSquare {
	const points, most = 32, mostShifts/2 + 1
	var sums [most * most]float64
	var right [most]float64
	centres := log.centres[len(log.shift)%2:] // that of the shift 1 has no even part
	terms, L := len(centres)+1, log.spread
	scale := math.Cosh(L)
	for i := range points {
		l := L * (float64(i) + 0.5) / points
		y := math.Tanh(l / 2)
		var row [most]float64
		row[0] = (math.Cosh(l) - 1) / (scale * l)
		for j := range terms - 1 {
			t := math.Tanh(centres[j] / 2)
			row[j+1] = 2 * t * ((1-y*y)/(1-t*t*y*y) - 1) / l
		}
		for j, v := range row[:terms] {
			right[j] += v * l
			for k, w := range row[:j+1] {
				sums[j*terms+k] += v * w
			}
		}
	}
	normal, b := dense.Wrap(terms, terms, sums[:terms*terms]), dense.Wrap(terms, 1, right[:terms])
	dense.Cholesky(normal)
	dense.SolveLower(dense.NoTrans, normal, b)
	dense.SolveLower(dense.Transposed, normal, b)
	r := &rationalSquare{cosh: right[0] / scale, constant: -right[0] / scale, weight: make([]float64, len(log.shift))}
	for j, b := range right[1:terms] {
		s := math.Exp(centres[j])
		weight := r.weight[len(log.shift)%2+2*j:]
		weight[0], weight[1] = 2*b*s, -2*b/s
		r.constant -= 2 * b * math.Tanh(centres[j]/2)
	}
	return r
}
