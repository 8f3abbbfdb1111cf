package roots

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

// smallest size at which auto looks at the condition number; below, a decomposition costs less than the look.
const autoLook = 80

// refusal says what a method lacks for the query, and which methods can do it.
func (j *job[T]) refusal(m *Method) error {
	reason := "cannot do " + j.describe()
	applied, started := j.Query, j.Query
	applied.Columns, started.Start = max(1, j.Columns), true
	switch {
	case m.Can(applied):
		reason = "applies " + j.describe() + " to vectors and does not form it"
	case m.Can(started):
		reason = "needs a basis to start from (Options.Start)"
	}
	var able []string
	for _, other := range Methods() {
		if other.Can(j.Query) {
			able = append(able, other.Name)
		}
	}
	return &MethodError{m.Name, reason + "; use " + strings.Join(able, ", ")}
}

// easyCond is the condition number at which the other methods must beat the decomposition to be worth a look at the matrix.
const easyCond = 1e4

// choose returns the method to run, having estimated the spectrum where that is needed.
func (j *job[T]) choose(o *Options) (*Method, error) {
	if j.hi == 0 {
		j.Cond = math.Inf(1)
		return &eigenMethod, nil
	}
	if j.onDevice() {
		return j.chooseOnDevice(o.Method)
	}
	if o.Method != "" && o.Method != auto {
		m, err := ByName(o.Method)
		if err != nil {
			return nil, err
		}
		if !m.Can(j.Query) {
			return nil, j.refusal(m)
		}
		if m == &eigenMethod || m == &refinedMethod || m == &choleskyMethod && j.Power == -1 && j.Columns == 0 {
			return m, nil
		}
		return m, j.survey()
	}
	if j.cutoff > 0 || j.Kind == KindExp {
		return &eigenMethod, nil
	}
	if j.Power == -1 && j.Columns == 0 {
		return j.inverting(), nil
	}
	if j.N < autoLook && j.needsPositive() {
		return j.decomposing(), nil
	}
	easy := j.Query
	easy.Cond, easy.Top = easyCond, 1
	pick := Choose(easy)
	switch {
	case !j.needsPositive():
		if pick != &choleskyMethod {
			return &eigenMethod, nil
		}
		return pick, j.survey()
	case pick.exact:
		// Work grows with the condition number for every method but the decomposition: what loses when it is easy need not be asked about.
		return j.decomposing(), nil
	}
	if err := j.survey(); err != nil {
		var e *NotPositiveDefiniteError
		if errors.As(err, &e) && j.allowsZero() {
			return &eigenMethod, nil
		}
		return nil, err
	}
	return Choose(j.Query), nil
}

// inverting returns the Cholesky inverse, which promises what the decomposition does for less and goes on to the correction where that is above the
// tolerance, or the correction at once where the best is wanted.
func (j *job[T]) inverting() *Method {
	j.adaptive = refinedMethod.Can(j.Query)
	if j.adaptive && j.Tol == 0 {
		return &refinedMethod
	}
	return &choleskyMethod
}

// decomposing returns the decomposition, which goes on to the correction where its own bound turns out to be above the tolerance, or the
// correction at once where the best is wanted.
func (j *job[T]) decomposing() *Method {
	j.adaptive = refinedMethod.Can(j.Query)
	if j.adaptive && j.Tol == 0 {
		return &refinedMethod
	}
	return &eigenMethod
}

// survey estimates the extreme eigenvalues of a positive-definite job, or names the smallest eigenvalue of one that is not.
func (j *job[T]) survey() error {
	if !j.needsPositive() {
		j.lo = -j.hi
		j.Top = largest(j.a)
		return nil
	}
	l := dense.New[float64](j.N, j.N)
	convert(l, j.a)
	top := largest(l)
	ok := dense.Cholesky(l) < 0
	j.count(float64(j.N*j.N*j.N) / 6)
	if ok {
		j.chol = l
		j.lo = smallest(l)
		ok = j.lo > math.Sqrt(float64(j.N))*0x1p-53*top
	}
	if !ok {
		return j.refuse()
	}
	j.hi = min(j.hi, 1.1*top)
	j.Top, j.Cond = top, top/j.lo
	return nil
}

// refuse names the smallest eigenvalue of a matrix whose Cholesky factorization failed.
func (j *job[T]) refuse() error {
	a, w := dense.New[float64](j.N, j.N), make([]float64, j.N)
	convert(a, j.a)
	if !eigen.SymValues(a, w) {
		return &MethodError{"eigen", "the decomposition did not converge"}
	}
	return j.notPositive(w, math.Sqrt(float64(j.N))*0x1p-53*w[j.N-1])
}

// describe names what was asked for.
func (j *job[T]) describe() string {
	s := j.Kind.String()
	if j.Kind == KindPow {
		s = fmt.Sprintf("power %g", j.Power)
	}
	if j.cutoff > 0 {
		s += " with a cut-off"
	}
	if j.Columns > 0 {
		s += " applied to vectors"
	}
	return s
}
