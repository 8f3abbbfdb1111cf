package problem

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// logRule are nodes s_j in (0, 1) and positive weights w_j with which
//
//	log x ~ (x - 1) sum_j w_j/(1 + s_j (x - 1))
//
// is exact at x = 1 and where Chebyshev points of tanh(log(x)/4) lie, twice as many as nodes: the error is level over all |log x| up to the width of the rule, where Gauss's rule,
// the diagonal Pade approximant, has all of it at the ends.
type logRule struct {
	width          float64
	nodes, weights []float64
}

// ruleKey is a number of nodes and a width in steps of 1/widthSteps.
type ruleKey struct{ nodes, steps int }

const (
	widthSteps = 8
	// momentNodes are enough for the moments of a rule up to fitWidth and fitNodes.
	momentNodes = 96
)

// logRules has all that have been asked for.
var logRules = struct {
	sync.Mutex
	made map[ruleKey]*logRule
}{made: map[ruleKey]*logRule{}}

// ruleFor returns the rule of so many nodes for a width that is hardly larger than the given one.
func ruleFor(nodes int, width float64) *logRule {
	key := ruleKey{nodes, int(math.Ceil(width * widthSteps))}
	logRules.Lock()
	defer logRules.Unlock()
	r := logRules.made[key]
	if r == nil {
		r = newLogRule(nodes, float64(key.steps)/widthSteps)
		logRules.made[key] = r
	}
	return r
}

// newLogRule makes a rule as Gauss's rule for the weight 1/omega(s) of the integral of 1/(1 + s (x - 1)) over [0, 1], omega(s) the product of the 1 + s (x_i - 1) for the points
// x_i where it is exact (multipoint Pade approximation), by Lanczos' process.
func newLogRule(nodes int, width float64) *logRule {
	s, mass := make([]float64, momentNodes), make([]float64, momentNodes)
	quad.Legendre{}.FixedLocations(s, mass, 0, 1)
	excess := rulePoints(nodes, width)
	for i, at := range s {
		mass[i] /= omega(excess, at)
	}
	total := dense.Sum(mass)
	jacobi, values := dense.New[float64](nodes, nodes), make([]float64, nodes)
	before, now := make([]float64, momentNodes), make([]float64, momentNodes)
	for i, m := range mass {
		now[i] = math.Sqrt(m / total)
	}
	for k := range nodes {
		for i, v := range now {
			jacobi.Set(k, k, jacobi.At(k, k)+s[i]*v*v)
		}
		var last float64
		if k > 0 {
			last = jacobi.At(k, k-1)
		}
		for i, v := range now {
			before[i] = (s[i]-jacobi.At(k, k))*v - last*before[i]
		}
		if k+1 < nodes {
			next := norm(before)
			jacobi.Set(k, k+1, next)
			jacobi.Set(k+1, k, next)
			dense.Scale(1/next, before, before)
		}
		before, now = now, before
	}
	if !eigen.Sym(jacobi, values) {
		panic("problem: no quadrature for logarithms")
	}
	r := &logRule{width: width, nodes: values, weights: make([]float64, nodes)}
	for j, at := range values {
		r.weights[j] = total * jacobi.At(0, j) * jacobi.At(0, j) * omega(excess, at)
	}
	return r
}

// rulePoints returns x_i - 1 for the points.
func rulePoints(nodes int, width float64) []float64 {
	out, reach := make([]float64, 2*nodes), math.Tanh(width/4)
	for i := range out {
		out[i] = math.Expm1(4 * math.Atanh(reach*math.Cos(float64(2*i+1)*math.Pi/float64(4*nodes))))
	}
	return out
}

func omega(excess []float64, s float64) float64 {
	product := 1.0
	for _, e := range excess {
		product *= 1 + s*e
	}
	return product
}

// ruleError bounds the error of a rule: with t = tanh(width/4), where the logarithm is analytic in the unit disc, that of the best rational functions of its degree behaves like a power of the
// modulus t/(1 + sqrt(1 - t^4)), to first order, of the ring between [-t, t] and the circle.
func ruleError(nodes int, width float64) float64 {
	t := math.Tanh(width / 4)
	return 4 * width * math.Pow(t/(1+math.Sqrt(1-t*t*t*t)), float64(2*nodes))
}
