package problem

import "math"

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
	var fit fewSquares
	centres := log.centres[len(log.shift)%2:] // that of the shift 1 has no even part
	terms, L := len(centres)+1, log.spread
	scale := math.Cosh(L)
	squares := tanhSquares(centres)
	for i := range fitPoints {
		l := L * (float64(i) + 0.5) / fitPoints
		y := math.Tanh(l / 2)
		var row [fitTerms]float64
		row[0] = (math.Cosh(l) - 1) / (scale * l)
		for j, t := range squares { // less the value at 0, over 2 tanh(c/2)
			row[j+1] = -y * y * (1 - t) / ((1 - t*y*y) * l)
		}
		fit.add(row[:terms], l)
	}
	right := fit.solve(terms)
	r := &rationalSquare{cosh: right[0] / scale, constant: -right[0] / scale, weight: make([]float64, len(log.shift))}
	for j, b := range right[1:] {
		s, t := math.Exp(centres[j]), math.Tanh(centres[j]/2)
		weight := r.weight[len(log.shift)%2+2*j:]
		weight[0], weight[1] = b*s/t, -b/(s*t)
		r.constant -= b
	}
	return r
}
