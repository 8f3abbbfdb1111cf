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
	hessian                float64 // mean of (d/2) coth(d/2) over differences of points of [-L, L]
}

// newRationalLog fits the function for the half width L.
func newRationalLog(L float64, shifts int) *rationalLog {
	centres := make([]float64, 0, mostShifts)
	if shifts%2 == 1 {
		centres = append(centres, 0)
	}
	centres = append(centres, poleCentres(L, shifts, true)...)
	const points = 60
	terms := len(centres) + 1
	normal := dense.New[float64](terms, terms)
	rhs := dense.New[float64](terms, 1)
	var rows [points][]float64
	scale := math.Sinh(L)
	for i := range points {
		l := L * (float64(i) + 0.5) / points
		rows[i] = make([]float64, terms)
		row := rows[i]
		row[0] = math.Sinh(l) / scale
		for j, c := range centres {
			row[j+1] = pair(l, c)
		}
		dense.Ger(1, row, row, normal)
		for j, v := range row {
			rhs.Data[j] += v * l
		}
	}
	r := &rationalLog{spread: L, hessian: meanCurvature(L)}
	dense.Cholesky(normal)
	dense.SolveLower(dense.NoTrans, normal, rhs)
	dense.SolveLower(dense.Transposed, normal, rhs)
	r.sinh = rhs.Data[0] / scale
	for i, row := range rows {
		e := dense.Dot(row, rhs.Data) - L*(float64(i)+0.5)/points
		r.err += e * e / points
	}
	r.err = math.Sqrt(r.err)
	for j, c := range centres {
		b, s := rhs.Data[j+1], math.Exp(c)
		r.constant += 2 * b
		if c == 0 {
			r.shift, r.weight = append(r.shift, 1), append(r.weight, 4*b)
			continue
		}
		r.shift, r.weight = append(r.shift, s, 1/s), append(r.weight, 2*b*s, 2*b/s)
	}
	return r
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
