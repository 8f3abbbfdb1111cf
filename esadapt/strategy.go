package esadapt

import (
	"encoding"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Strategy is an evolution strategy on R^n without bounds, constraints or budget: the inner ask/tell form.
//
// Ask samples the next generation; the rows belong to the strategy and stay valid until Tell. Asking twice gives the same rows. Tell takes
// one value per row, in order, lower is better; only the order of the values moves the distribution (some tolerances look at their size).
// NaN is an error and changes nothing. Stop lists what ended the run, nothing while it goes on. The binary form holds the whole state, which Ask does not
// change: a strategy made with the same Setup and unmarshalled continues with the same bits.
type Strategy interface {
	Ask() [][]float64
	Tell(f []float64) error
	Stop() []Reason
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Distribution is what strategies with a search distribution N(mean, sigma^2 C) tell about it.
type Distribution interface {
	Mean() []float64                     // a view
	Sigma() float64                      // the step size
	Deviations(dst []float64)            // standard deviations of the coordinates, sigma included
	AxisLengths(dst []float64) []float64 // square roots of the eigenvalues of C, in no particular order
	Mahalanobis(x []float64) float64     // |C^-1/2 (x - mean)|/sigma
}

// Injector is implemented by strategies that take a foreign point in place of candidate i, between Ask and Tell. Such a point counts as if
// it had been sampled, its distance from the mean clipped (Hansen: "Injecting external solutions into CMA-ES", 2011, eq. 4-6).
type Injector interface{ Inject(i int, x []float64) }

// Mover is implemented by strategies whose mean may be set from outside between Tell and Ask.
type Mover interface{ SetMean(x []float64) }

// Setup is what a strategy needs to start.
type Setup struct {
	Mean  []float64 // where the distribution starts
	Sigma float64   // standard deviation of every coordinate at the start, > 0
	// Lambda is the population size. 0 means the strategy's default, 4 + floor(3 ln n) for most.
	Lambda int
	Seed   uint64 // seed of the search
	Run    uint64 // number of the restart, part of the key of every random stream
	// Lower and Upper span the region of interest, for strategies that search one; nil means Mean plus minus 5 Sigma.
	Lower, Upper []float64
	// Closed says that nothing new can be found between two values of a coordinate, for strategies that search intervals: neighbouring integers, for instance.
	// nil means that there always is.
	Closed func(j int, a, b float64) bool
	Tuning Tuning
}

// Tuning holds the choices inside a strategy. The zero value is the default everywhere.
type Tuning struct {
	StepSize   StepSize   // CMA-ES: how sigma adapts
	NoActive   bool       // CMA-ES: leave out the negative weights
	LearnRate  bool       // CMA-ES: adapt the learning rates to the signal-to-noise ratio (LRA); costs evaluations on easy problems
	Batch      int        // generations whose increments are summed before the basis turns. 0 means as many as c1 + cmu permits
	Sweeps     int        // bounded-angle sweeps for each turn of the basis. 0 means 2
	Exact      bool       // turn the basis until it diagonalises C to 1e-14: the textbook algorithm, for study
	Tolerances Tolerances // when a run ends
}

// StepSize chooses the rule that adapts sigma in CMA-ES.
type StepSize int

// The step-size rules.
const (
	CSA StepSize = iota // cumulative step-size adaptation: length of the evolution path
	TPA                 // two-point adaptation: two samples along the last mean shift are compared
	MSR                 // median success rule: how many points beat a quantile of the last generation
)

// String returns the lower-case name.
func (s StepSize) String() string { return [...]string{"csa", "tpa", "msr"}[s] }

// StrategyInfo is one entry of the registry.
type StrategyInfo struct {
	Name    string
	Summary string
	Cost    string // per generation, and memory
	Source  string
	// ByValue says that more than the order of the values counts.
	ByValue bool
	Squares float64 // memory in multiples of n^2 numbers, 0 for less
	New     func(Setup) (Strategy, error)
}

// Strategies returns the registry, the default first.
func Strategies() []StrategyInfo {
	return slices.Clone(registry)
}

// NewStrategy makes the strategy of that name ("" is the default, "cma"). The error says what is wrong with name or setup.
func NewStrategy(name string, s Setup) (Strategy, error) {
	if name == "" {
		name = registry[0].Name
	}
	var names []string
	for _, r := range registry {
		if strings.EqualFold(r.Name, name) {
			if err := s.validate(); err != nil {
				return nil, err
			}
			if n := float64(len(s.Mean)); r.Squares*n*n > largestModel {
				return nil, fmt.Errorf("esadapt: %d variables are too many for %s, which keeps %g n^2 numbers, %.0f GB; use %s", len(s.Mean), r.Name, r.Squares, r.Squares*n*n*8/1e9,
					strings.Join(linearStrategies(), ", "))
			}
			return r.New(s)
		}
		names = append(names, r.Name)
	}
	return nil, fmt.Errorf("esadapt: no strategy %q; there are %s", name, strings.Join(names, ", "))
}

// largestModel bounds the numbers in the model of a strategy: 8 GiB.
const largestModel = 1 << 30

// linearStrategies returns the names of the strategies for any number of variables.
func linearStrategies() (names []string) {
	for _, r := range registry {
		if r.Squares == 0 {
			names = append(names, r.Name)
		}
	}
	return names
}

func (s *Setup) validate() error {
	if len(s.Mean) == 0 {
		return fmt.Errorf("esadapt: no variables: the start is empty")
	}
	for i, v := range s.Mean {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("esadapt: start: coordinate %d is %v", i, v)
		}
	}
	if !(s.Sigma > 0) || math.IsInf(s.Sigma, 0) {
		return fmt.Errorf("esadapt: sigma0 = %v: it must be a positive number, about a third of the region where the minimum is expected", s.Sigma)
	}
	for _, v := range [][]float64{s.Lower, s.Upper} {
		if v != nil && (len(v) != len(s.Mean) || !finite(v...)) {
			return fmt.Errorf("esadapt: the region of interest needs %d finite numbers, got %v", len(s.Mean), v)
		}
	}
	if s.Lambda < 0 {
		return fmt.Errorf("esadapt: population size %d is negative", s.Lambda)
	}
	return s.Tuning.validate()
}

func (t *Tuning) validate() error {
	switch {
	case t.StepSize < CSA || t.StepSize > MSR:
		return fmt.Errorf("esadapt: unknown step-size rule %d", int(t.StepSize))
	case t.Batch < 0 || t.Sweeps < 0:
		return fmt.Errorf("esadapt: Tuning.Batch %d, Sweeps %d: none may be negative", t.Batch, t.Sweeps)
	}
	return t.Tolerances.validate()
}

// defaultSize is 4 + 3 ln n, from which the default population is rounded down.
func defaultSize(n int) float64 { return 4 + 3*math.Log(float64(n)) }

func defaultLambda(n int) int { return int(defaultSize(n)) }
