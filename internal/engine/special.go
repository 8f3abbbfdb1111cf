package engine

import (
	"math"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
)

// The scalar functions below are math's in float64. In float32 they are polynomials in float32 arithmetic with errors of a few units in the last place
// of 1, several times faster.

func isSingle[T dense.Float]() bool { return unsafe.Sizeof(T(0)) == 4 }

func exp[T dense.Float](x T) T {
	if isSingle[T]() {
		return T(exp32(float32(x)))
	}
	return T(math.Exp(float64(x)))
}

// exp32 is e^x by reduction to |r| <= log(2)/2 and the Taylor polynomial of degree 7.
func exp32(x float32) float32 {
	const (
		log2e  = 1.44269504
		ln2Hi  = 0.693359375
		ln2Lo  = -2.12194440e-4
		lowest = -87.3
		top    = 88.7
	)
	if !(x > lowest) {
		if x != x {
			return x
		}
		return 0
	}
	if x > top {
		return float32(math.Inf(1))
	}
	half := float32(0.5)
	if x < 0 {
		half = -0.5
	}
	n := int32(x*log2e + half)
	r := x - float32(n)*ln2Hi - float32(n)*ln2Lo
	e := 1 + r*(1+r*(0.5+r*(1.0/6+r*(1.0/24+r*(1.0/120+r*(1.0/720+r*(1.0/5040)))))))
	if n == 128 { // e is below 1 here
		return e * 2 * math.Float32frombits(254<<23)
	}
	return e * math.Float32frombits(uint32(n+127)<<23)
}

func tanh[T dense.Float](x T) T {
	if isSingle[T]() {
		return 1 - 2/(exp(2*x)+1)
	}
	return T(math.Tanh(float64(x)))
}

// Sigmoid returns 1/(1 + exp(-x)).
func Sigmoid[T dense.Float](x T) T {
	if x >= 0 {
		return 1 / (1 + exp(-x))
	}
	e := exp(x)
	return e / (1 + e)
}

// normal returns the standard normal distribution function and density at x. The float32 form is 7.1.26 of Abramowitz and Stegun.
func normal[T dense.Float](x T) (cdf, density T) {
	const perRoot2Pi = 0.39894228040143267793994605993438
	if !isSingle[T]() {
		return T(math.Erfc(-float64(x)/math.Sqrt2) / 2), T(perRoot2Pi * math.Exp(-float64(x)*float64(x)/2))
	}
	e := exp(-x * x / 2)
	t := 1 / (1 + 0.3275911*0.70710678118654752440*max(x, -x))
	tail := t * (0.254829592 + t*(-0.284496736+t*(1.421413741+t*(-1.453152027+t*1.061405429)))) * e / 2
	if x >= 0 {
		return 1 - tail, perRoot2Pi * e
	}
	return tail, perRoot2Pi * e
}

func log1p[T dense.Float](x T) T { return T(math.Log1p(float64(x))) }
