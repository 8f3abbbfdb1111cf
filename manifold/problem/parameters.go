package problem

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Parameters are the numbers that single problems ask for; zero is the documented default of each.
type Parameters struct {
	// Rho is the penalty on the off-diagonal entries (glasso); default 0.1 times the largest off-diagonal covariance.
	Rho float64
	// Nu is the number of degrees of freedom (student); default 3.
	Nu float64
	// Quantile is the share of Gaussian samples that count in full (huber), at least 1e-6; default 0.9.
	Quantile float64
	// Floor is the smallest eigenvalue allowed, relative to the largest (nearest-spd, default 1e-8) or absolute (nearest-correlation, default 0).
	Floor float64
	// Power is the order of the mean in the metric power, from -1 to 1, or the power of the metric power-euclidean, of magnitude 1e-3 to 2; default 1/2.
	Power float64
	// Components is the number of mixture components (gmm), groups (cluster), axes (tangent by principal) or filters (csp); default 2, for csp 4.
	Components int
	// Gamma is the weight of the slacks against the distance from the identity (metric-learning by itml); default 1.
	Gamma float64
	// Pairs is the largest number of pairs of samples used (metric-learning by itml); default 10000. More are drawn from at random.
	Pairs int
	// Threshold is the score from which on a matrix is an outlier (outliers); default 3.
	Threshold float64
	// Seed starts the random choices (gmm, cluster, metric-learning by itml); default 0.
	Seed uint64
}

// Validate returns an error that names the first field that is out of range.
func (p *Parameters) Validate() error {
	finite := func(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }
	switch {
	case !finite(p.Rho):
		return fmt.Errorf("problem: Rho is %v, want a finite number >= 0", p.Rho)
	case !finite(p.Nu):
		return fmt.Errorf("problem: Nu is %v, want a finite number > 0 (0 for the default, 3)", p.Nu)
	case !(p.Quantile == 0 || p.Quantile >= 1e-6 && p.Quantile < 1):
		return fmt.Errorf("problem: Quantile is %v, want a number from 1e-6 up to 1 (0 for the default, 0.9)", p.Quantile)
	case !(p.Floor >= 0 && p.Floor < 1):
		return fmt.Errorf("problem: Floor is %v, want a number in [0, 1)", p.Floor)
	case !(math.Abs(p.Power) <= 2):
		return fmt.Errorf("problem: Power is %v, want a number from -2 to 2 (0 for the default, 0.5)", p.Power)
	case !finite(p.Gamma):
		return fmt.Errorf("problem: Gamma is %v, want a finite number > 0 (0 for the default, 1)", p.Gamma)
	case !finite(p.Threshold):
		return fmt.Errorf("problem: Threshold is %v, want a finite number > 0 (0 for the default, 3)", p.Threshold)
	case p.Pairs < 0:
		return fmt.Errorf("problem: Pairs is %d, want at least 1 (0 for the default, 10000)", p.Pairs)
	case p.Components < 0:
		return fmt.Errorf("problem: Components is %d, want at least 1 (0 for the default, 2)", p.Components)
	}
	return nil
}

// Part is something that a problem finds besides its solution: one matrix, or a list of them. Vectors are columns, numbers 1 x 1.
type Part struct {
	Name     string
	Matrices []*mat.Dense
}

// Part returns the first matrix of the part with the given name, or nil.
func (r *Result) Part(name string) *mat.Dense {
	for _, p := range r.Parts {
		if p.Name == name {
			return p.Matrices[0]
		}
	}
	return nil
}

func numberPart(name string, v float64) Part { return vectorPart(name, []float64{v}) }

func vectorPart(name string, v []float64) Part {
	return Part{Name: name, Matrices: []*mat.Dense{mat.NewDense(len(v), 1, append([]float64(nil), v...))}}
}

// outcome is what a method of a problem found.
type outcome struct {
	run      *solve.Result
	n, count int
	solution *mat.SymDense
	parts    []Part
}

// check refuses numbers that are not finite: the magnitudes of the data have left the range of float64 somewhere on the way.
func (c *outcome) check() error {
	r := c.run
	numbers := [][]float64{{r.Objective}, {r.GradientNorm}, {r.RelativeGradient}, {r.Certificate.Value}, c.solution.RawSymmetric().Data}
	names := []string{"objective", "gradient norm", "relative gradient", "certificate", "solution"}
	for _, p := range c.parts {
		for _, m := range p.Matrices {
			numbers, names = append(numbers, m.RawMatrix().Data), append(names, p.Name)
		}
	}
	for i, v := range numbers {
		if !allFinite(v) {
			return &DataError{Err: fmt.Errorf("the result is not finite (%s): the numbers overflow or underflow", names[i]), Remedy: scaleRemedy}
		}
	}
	return nil
}

func allFinite(v []float64) bool {
	for _, x := range v {
		if x-x != 0 {
			return false
		}
	}
	return true
}

// verifier is implemented by instances that know better than the gradient whether a run has reached the minimizer.
type verifier interface {
	verify(in instance, r *solve.Result, o *solve.Options)
}

// stretcher is implemented by instances whose finish fixes a scale on which the cost does not depend.
type stretcher interface {
	// stretch returns how many times as far from the minimizer as a point the solution may be.
	stretch(solution *mat.SymDense, o *Options) float64
}

// stretch is what a stretcher returns. To first order a difference eta of shapes, tr eta = 0, is c I away from one that keeps the trace of S = F F', where
// c = -tr(F'F eta)/tr S; Cauchy's inequality makes ||eta + c I|| at most n^1/2 ||S||_F/tr S times ||eta||.
func (n Normalization) stretch(s *mat.SymDense) float64 {
	if n != TraceN {
		return 1
	}
	return math.Sqrt(float64(s.SymmetricDim())) * mat.Norm(s, 2) / mat.Trace(s)
}

var _, _ verifier = (*knownMinimizer)(nil), (*barycenterObjective)(nil)

// withParts is implemented by instances that find more than the solution.
type withParts interface {
	parts(p *manifold.Frame, solution *mat.SymDense) []Part
}
