package dense

import "math"

// PoleLanes is what the number of poles must be a multiple of in PoleSums.
const PoleLanes = 8

// PoleTotals are sums over the poles of a rational function at one point x_j = (d_j - origin) - tau: of z2/x, |z2/x|, z2/x^2 and z2/x^3.
type PoleTotals struct{ Sum, Abs, First, Second float64 }

// PoleSums evaluates the rational function sum z2_j/(d_j - lambda) and its derivatives at lambda = origin + tau. The number of poles must be
// a multiple of PoleLanes; fill up with z2 = 0 and d away from lambda.
func PoleSums(d, z2 []float64, origin, tau float64) PoleTotals {
	if len(d) != len(z2) || len(d)%PoleLanes != 0 {
		panic(Error("PoleSums: lengths differ or are no multiple of PoleLanes"))
	}
	if len(d) == 0 {
		return PoleTotals{}
	}
	return poleSums(d, z2, origin, tau)
}

// PoleQuotients replaces x by z/x and returns the sum of the squares of the quotients.
func PoleQuotients(z, x []float64) float64 {
	z = z[:len(x)]
	whole := len(x) / PoleLanes * PoleLanes
	var sum float64
	if whole > 0 {
		sum = poleQuotients(z[:whole], x[:whole])
	}
	for i := whole; i < len(x); i++ {
		q := z[i] / x[i]
		x[i] = q
		sum += float64(q * q)
	}
	return sum
}

// PoleWeights multiplies zh_i by the product over four rows l of rows[l][i]/(d_i - dj_l). The intermediate products of four must neither
// overflow nor underflow. Row l of rows starts at rows[l*stride].
func PoleWeights(zh, d, rows []float64, stride int, dj *[4]float64) {
	n := len(zh)
	d = d[:n]
	whole := n / PoleLanes * PoleLanes
	if whole > 0 {
		_ = rows[3*stride+whole-1]
		poleWeights(zh[:whole], d[:whole], rows, stride, dj)
	}
	poleWeightsPortable(zh[whole:], d[whole:], rows[whole:], stride, dj)
}

func poleSumsPortable(d, z2 []float64, origin, tau float64) PoleTotals {
	var p PoleTotals
	z2 = z2[:len(d)]
	for j, dj := range d {
		r := 1 / ((dj - origin) - tau)
		t := z2[j] * r
		p.Sum += t
		p.Abs += math.Abs(t)
		t *= r
		p.First += t
		p.Second += t * r
	}
	return p
}

func poleQuotientsPortable(z, x []float64) float64 {
	var sum float64
	z = z[:len(x)]
	for i, v := range x {
		q := z[i] / v
		x[i] = q
		sum += q * q
	}
	return sum
}

func poleWeightsPortable(zh, d, rows []float64, stride int, dj *[4]float64) {
	n := len(zh)
	if n == 0 {
		return
	}
	d = d[:n]
	r0, r1, r2, r3 := rows[:n], rows[stride:][:n], rows[2*stride:][:n], rows[3*stride:][:n]
	for i, di := range d {
		num := (r0[i] * r1[i]) * (r2[i] * r3[i])
		den := ((di - dj[0]) * (di - dj[1])) * ((di - dj[2]) * (di - dj[3]))
		zh[i] *= num / den
	}
}
