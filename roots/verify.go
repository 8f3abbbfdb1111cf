package roots

import (
	"cmp"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Verification compares a result with the same function computed on another road.
type Verification struct {
	// Road is the method that the reference comes from, or what was done in words.
	Road string
	// Difference is ||X - R||_F / ||R||_F for the reference R, and Promise the bound on the relative error of R itself.
	Difference, Promise float64
}

// Holds reports whether the result is within bound of the exact one as far as the reference can tell.
func (v *Verification) Holds(bound float64) bool { return v.Difference <= bound+v.Promise }

// Verify recomputes the function that rep names by the most accurate method which shares no computation with the one that made x, and compares. a is
// the matrix and o the options that Compute was called with. It costs what that method costs. A pseudo-inverse (Options.Cutoff) has no second
// road and is a MethodError.
func Verify(x, a mat.Symmetric, rep Report, o *Options) (Verification, error) {
	if err := cmp.Or(present("x", x), present("a", a)); err != nil {
		return Verification{}, err
	}
	n := a.SymmetricDim()
	if x.SymmetricDim() != n {
		mistake("Verify: x is %d x %[1]d, a %d x %[2]d", x.SymmetricDim(), n)
	}
	if o == nil {
		o = &Options{}
	}
	if o.Cutoff > 0 {
		return Verification{}, &MethodError{rep.Method, "has no second road with a cut-off"}
	}
	if n == 0 {
		return Verification{Road: rep.Method}, nil
	}
	q := Query{Kind: rep.Kind, Power: rep.Power, N: n, Cond: rep.Cond(), Top: rep.LambdaMax}
	for _, m := range otherRoads(q, rep.Method) {
		var r mat.SymDense
		ref, err := Compute(&r, a, q, &Options{Method: m.Name, Ridge: rep.Ridge, NoResidual: true})
		if err != nil {
			var outside *RangeError
			if errors.As(err, &outside) {
				return Verification{}, err
			}
			continue
		}
		return Verification{m.Name, relative(symmetric(x), symmetric(&r)), ref.Bound}, nil
	}
	return verifyPower(symmetric(x), symmetric(a), q, rep)
}

// otherRoads lists the methods that can answer q and share no computation with the one called ran, the best promise first.
func otherRoads(q Query, ran string) (roads []*Method) {
	used, err := ByName(ran)
	if err != nil {
		return nil
	}
	best := math.Inf(1)
	for _, m := range registry() {
		if m == used || m.exact && used.exact || !m.Can(q) {
			continue
		}
		if b := m.promise(q); b < best || len(roads) == 0 {
			best = b
			roads = append([]*Method{m}, roads...)
		} else {
			roads = append(roads, m)
		}
	}
	return roads
}

// verifyPower compares with powers by squaring, which no registered method does. Of a semi-definite matrix and 0 < p < 1 it measures the defining
// equation X^(1/p) = A, whose residual bounds the error.
func verifyPower(x, a dense.Matrix[float64], q Query, rep Report) (Verification, error) {
	p := q.Power
	if q.Kind > KindInv || p <= 0 && p >= -1 {
		return Verification{}, &MethodError{rep.Method, "has no second road for " + q.Kind.String() + " of this matrix"}
	}
	j := &job[float64]{e: engine.CPU[float64](), Query: q, a: a, x: x, rep: &Report{}}
	j.shift = j.prepare(&Options{Ridge: rep.Ridge})
	c := checker{n: q.N, a: j.a, e: engine.CPU[float64]()}
	if math.Abs(p) <= 1 {
		j.shift = -j.shift
		j.unscalePower()
		c.x = j.x
		noise := 16 * math.Sqrt(float64(q.N)) * j.eps()
		r := c.inverseImage(func(l float64) float64 { return math.Pow(max(l, 0), 1/p) })
		size := max(frobenius(j.x), math.SmallestNonzeroFloat64)
		forward := func(r float64) float64 { return monotoneError(p, q.N, r*frobenius(j.a)) / size }
		return Verification{"the equation X^(1/p) = A", forward(r), forward(noise)}, nil
	}
	road, y := c.otherPower(p, j.hi, rep.Method)
	j.x, j.offset = y.m, y.e
	j.unscalePower()
	return Verification{road, relative(x, j.x), q.rounding(32)}, nil
}

// VerifyPolar recomputes the polar factor U of a by the other of the two iterations and compares.
func VerifyPolar(u, a mat.Matrix, rep Report) (Verification, error) {
	other := polarExpressMethod.Name
	if rep.Method == other {
		other = newtonSchulzMethod.Name
	}
	if err := cmp.Or(present("u", u), present("a", a)); err != nil {
		return Verification{}, err
	}
	m, n := u.Dims()
	if rows, cols := a.Dims(); rows != m || cols != n {
		mistake("VerifyPolar: u is %d x %d, a %d x %d", m, n, rows, cols)
	}
	var r mat.Dense
	ref, err := Polar(&r, nil, a, &Options{Method: other})
	if err != nil {
		return Verification{}, err
	}
	if n == 0 {
		return Verification{Road: other}, nil
	}
	d := dense.New[float64](m, n)
	for i := range m {
		for k := range n {
			d.Set(i, k, u.At(i, k))
		}
	}
	return Verification{other, relative(d, dense.Of(r.RawMatrix())), ref.Bound}, nil
}
