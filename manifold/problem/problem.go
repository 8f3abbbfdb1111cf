package problem

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
	"github.com/spdopt/spdopt/spectral"
)

// Data is the input of a problem: matrices or samples, as the problem's Input says.
type Data struct {
	Matrices []mat.Symmetric // matrices of one size n, SPD unless the problem takes Indefinite ones; with rows and columns of NaN where it takes Missing ones
	Samples  *mat.Dense      // N x n, one sample a row
	Weights  []float64       // one nonnegative weight for each matrix; nil for equal weights; scaled to sum 1
	Labels   []int           // the class of each matrix or sample; a negative one is unknown
	Rows     int             // p, where every sample is a p x q matrix stored by rows (kron-mle)
}

// Options configures Solve; nil or the zero value is the default.
type Options struct {
	// Method is one of the problem's Methods; default the first.
	Method string
	// Kappa is the metric convention, 1 (default for 0) or 2; see manifold.AffineOptions.
	Kappa int
	// Metric is one of the problem's Metrics; default the affine-invariant one.
	Metric string
	// Retraction is used by the general solvers; DefaultStep is TriangularStep for tyler, student, huber, nearness, lyapunov and riccati, and RationalStep elsewhere.
	Retraction manifold.Retraction
	// Start is the first point of iterative methods; the default depends on the problem. By their method newton mean and median begin with a search in single precision
	// from it, where the data allow that, and count no iterations there. Problems without such methods refuse it, see Problem.TakesStart.
	Start mat.Symmetric
	// Normalization fixes the scale where the problem leaves it free (tyler, kron-mle); default TraceN.
	Normalization Normalization
	// Device is where the products are computed: "" or "cpu", or a device such as "cuda" or "cuda:1", for the problems that OnDevice names.
	Device string
	// Single computes in float32, on a device only; the default is float64. Solver.Tolerance is then 1e-4 unless it is given.
	Single bool
	Parameters
	// Solver bounds and observes the run.
	Solver solve.Options
}

// Normalization says how a scale that the cost does not determine is fixed.
type Normalization int

// The normalizations.
const (
	TraceN Normalization = iota // trace equal to n
	DetOne                      // determinant equal to 1
)

// Validate returns an error that names the first field that is out of range.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	if o.Normalization != TraceN && o.Normalization != DetOne {
		return fmt.Errorf("problem: unknown Normalization %d, want TraceN or DetOne", o.Normalization)
	}
	if err := (manifold.AffineOptions{Kappa: o.Kappa, Retraction: o.Retraction}).Validate(); err != nil {
		return err
	}
	if err := o.Parameters.Validate(); err != nil {
		return err
	}
	return o.Solver.Validate()
}

// Result is the outcome of Solve. The JSON names are those of "spdopt solve --json".
type Result struct {
	Problem          string  `json:"problem"`
	Method           string  `json:"method"`
	N                int     `json:"n"`     // rows of the solution
	Count            int     `json:"count"` // matrices or samples
	Converged        bool    `json:"converged"`
	Reason           string  `json:"reason"`
	Advice           string  `json:"advice,omitempty"` // what to try next if not converged
	Iterations       int     `json:"iterations"`
	Evaluations      int     `json:"evaluations"`
	HessianProducts  int     `json:"hessian_products"`
	Objective        float64 `json:"objective"`
	GradientNorm     float64 `json:"gradient_norm"`     // Riemannian, absolute
	RelativeGradient float64 `json:"relative_gradient"` // what Tolerance bounds, see solve.Status.RelativeGradient
	// Certificate is about the distance in the affine-invariant metric (with Kappa 2, or in the metric fisher-rao, about that divided by the root of 2); in the
	// Frobenius norm for nearest-correlation and nearest-spd, and of the moment matrices of the points for dopt and (with a last coordinate 1) mve; between the
	// centres and the means of their groups, in the metric of the options, for cluster and outliers.
	Certificate solve.Certificate `json:"certificate"`
	Seconds     float64           `json:"seconds"` // wall clock, data checks included
	Solution    *mat.SymDense     `json:"-"`
	Parts       []Part            `json:"-"` // what the problem finds besides: weights, further matrices, a multiplier
}

// Method is a way to solve one problem.
type Method struct {
	Name string
	What string
	run  func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error)
	// direct takes the place of run where the solution is no point of the manifold, or more than one.
	direct  func(d *Data, o *Options) (*outcome, error)
	resumes bool // the method is one run of a solver of package solve
}

// Takes says which data a problem reads, as a set of bits.
type Takes int

// The kinds of data.
const (
	Matrices   Takes = 1 << iota // Data.Matrices
	Samples                      // Data.Samples
	Weights                      // Data.Weights
	Labels                       // Data.Labels
	Indefinite                   // matrices need only be symmetric
	Missing                      // matrices may have rows and columns of NaN
)

// Problem is one entry of the registry.
type Problem struct {
	Name  string   // as used on the command line
	What  string   // one line
	Input string   // the files it takes, in words
	Takes Takes    // the fields of Data that it reads
	Uses  []string // the parameters that it reads besides, as flags of the command line: "rho", "normalize"
	Own   []Method
	// prepare checks the data and builds the objective; nil if every method is direct.
	prepare func(d *Data, m func(n int) (*manifold.Affine, error), o *Options) (instance, error)
	// geometric tells that every method works in the metric of the options, in which the answer is meant.
	geometric bool
	// triangular tells that general solvers keep triangular frames, in which evaluations are cheaper.
	triangular bool
	// device solves it in products on a device; nil if it has no such way.
	device *deviceMethod
}

// instance is a problem with its data.
type instance interface {
	solve.Objective
	solve.Hessian
	// size returns the rows of the solution and the number of matrices or samples.
	size() (n, count int)
	// start returns the default first point.
	start() *manifold.Frame
	// finish turns the final frame into the solution that is reported.
	finish(p *manifold.Frame, o *Options) *mat.SymDense
}

// recycler is an instance that hands its workspace on when it is done.
type recycler interface{ recycle() }

// TakesStart tells whether Options.Start has an effect: not on problems that every method solves directly.
func (p Problem) TakesStart() bool { return p.prepare != nil }

// checkStart refuses a start that is nil, or that no method would use; its size is checked with the data.
func (p Problem) checkStart(o *Options) error {
	switch {
	case o.Start == nil:
		return nil
	case absent.Matrix(o.Start):
		return &DataError{Where: "start", Err: errNil}
	case !p.TakesStart():
		return optionsf("%s takes no start; leave Options.Start nil", p.Name)
	}
	return nil
}

// startRows demands a start of n rows, if there is one.
func (o *Options) startRows(n int) error {
	if o.Start == nil || o.Start.SymmetricDim() == n {
		return nil
	}
	return &DataError{Where: "start", Err: fmt.Errorf("has %d rows, want %d", o.Start.SymmetricDim(), n)}
}

// TakesSampler tells whether the problem also runs by solve.BlackBox, as the method "cma", where Options.Solver.Sampler is set.
func (p Problem) TakesSampler() bool { return p.prepare != nil }

// Methods returns the names of the methods, the default first: the problem's own, then every solver of package solve. "cma" is not among them, see
// TakesSampler.
func (p Problem) Methods() []string {
	var names []string
	for _, m := range p.Own {
		names = append(names, m.Name)
	}
	if p.prepare == nil {
		return names
	}
	for _, s := range solve.Solvers() {
		names = append(names, s.Name)
	}
	return names
}

// UnknownError says that there is no problem or method of that name.
type UnknownError struct {
	Kind  string // "problem", "method" or "metric"
	Name  string
	Known []string
}

func (*UnknownError) aboutOptions() {}

// Error lists the known names.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown %s %q, want one of %s", e.Kind, e.Name, strings.Join(e.Known, ", "))
}

// OptionsError says that options do not go together.
type OptionsError struct{ What string }

func optionsf(format string, args ...any) error { return &OptionsError{fmt.Sprintf(format, args...)} }

func (*OptionsError) aboutOptions() {}

// Error says which, and what to do.
func (e *OptionsError) Error() string { return e.What }

// Solve runs the named problem on the data. An unknown name is an *UnknownError, unusable data a *DataError, options that do not go together are an
// *OptionsError. A run that did not converge is not an error: the Result says so, and why.
func Solve(name string, d Data, o *Options) (*Result, error) {
	p, err := ByName(name)
	if err != nil {
		return nil, err
	}
	return p.Solve(d, o)
}

// Solve runs the problem on the data; see the function Solve.
func (p Problem) Solve(d Data, o *Options) (*Result, error) {
	began := time.Now()
	if o == nil {
		o = &Options{}
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := cmp.Or(d.present(), p.checkStart(o)); err != nil {
		return nil, err
	}
	c, name, err := p.dispatch(&d, o)
	if err != nil {
		return nil, d.explain(err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s by %s: %w", p.Name, name, d.explain(err))
	}
	r := c.run
	return &Result{Problem: p.Name, Method: name, N: c.n, Count: c.count, Converged: r.Converged, Reason: r.Reason.Detail,
		Advice: r.Reason.Advice, Iterations: r.Iterations, Evaluations: r.Evaluations, HessianProducts: r.HessianProducts,
		Objective: r.Objective, GradientNorm: r.GradientNorm, RelativeGradient: r.RelativeGradient, Certificate: r.Certificate,
		Solution: c.solution, Parts: c.parts, Seconds: time.Since(began).Seconds()}, nil
}

// dispatch runs the method in the metric that the options ask for, and returns its name.
func (p Problem) dispatch(d *Data, o *Options) (*outcome, string, error) {
	if o.Device != "" && o.Device != "cpu" {
		c, err := p.outcomeOnDevice(d, o)
		return c, productsName, err
	}
	if o.Single {
		return nil, "", &DeviceError{p.Name, "single precision is for devices"}
	}
	if err := p.checkMetric(o); err != nil {
		return nil, "", err
	}
	method, err := p.method(o.Method)
	if err != nil {
		return nil, "", err
	}
	if o.Metric == fisherName {
		fisher := *o
		fisher.Kappa = 2
		o = &fisher
	}
	if o.Solver.Restore != nil && !p.Resumes(o) {
		return nil, "", &ResumeError{p.Name, method.Name}
	}
	if o.elsewhere() && !p.geometric {
		return p.outcomeElsewhere(d, o)
	}
	c, err := p.outcome(method, d, o)
	return c, method.Name, err
}

// outcome runs the method.
func (p Problem) outcome(method Method, d *Data, o *Options) (*outcome, error) {
	if method.direct != nil {
		return method.direct(d, o)
	}
	in, m, err := p.instance(d, o)
	if err != nil {
		return nil, err
	}
	c := &outcome{}
	c.n, c.count = in.size()
	if c.run, err = method.run(in, m, o); err != nil {
		return nil, fmt.Errorf("%s by %s: %w", p.Name, method.Name, err)
	}
	if v, ok := in.(verifier); ok {
		v.verify(in, c.run, &o.Solver)
	}
	c.finish(in, o)
	if r, ok := in.(recycler); ok {
		r.recycle()
	}
	return c, nil
}

// finish sets what is reported about the last point of the run.
func (c *outcome) finish(in instance, o *Options) {
	frame := c.run.Point.(*manifold.Frame)
	c.solution = in.finish(frame, o)
	if s, ok := in.(stretcher); ok {
		c.run.Certificate.Value *= s.stretch(c.solution, o)
	}
	if w, ok := in.(withParts); ok {
		c.parts = w.parts(frame, c.solution)
	}
}

func (p Problem) instance(d *Data, o *Options) (instance, *manifold.Affine, error) {
	var m *manifold.Affine
	in, err := p.prepare(d, func(n int) (_ *manifold.Affine, err error) {
		m, err = manifold.NewAffine(n, manifold.AffineOptions{Kappa: o.Kappa, Retraction: p.retraction(o)})
		return m, err
	}, o)
	if err != nil {
		return nil, nil, err
	}
	if h, ok := in.(historian); ok && kept(o) {
		h.forget()
	}
	n, _ := in.size()
	return in, m, o.startRows(n)
}

// retraction returns what the general solvers move by.
func (p Problem) retraction(o *Options) manifold.Retraction {
	if o.Retraction == manifold.DefaultStep && p.triangular {
		return manifold.TriangularStep
	}
	return o.Retraction
}

// kept tells whether the run writes states or goes on from one.
func kept(o *Options) bool { return o.Solver.Checkpoint != nil || o.Solver.Restore != nil }

// method finds the method of that name; empty means the default.
func (p Problem) method(name string) (Method, error) {
	for _, m := range p.Own {
		if name == "" || m.Name == name {
			return m, nil
		}
	}
	for _, s := range solve.Solvers() {
		if p.prepare != nil && (name == "" || s.Name == name) {
			return general(s), nil
		}
	}
	if name == sampled.Name && p.TakesSampler() {
		return sampled, nil
	}
	return Method{}, &UnknownError{Kind: "method", Name: name, Known: p.Methods()}
}

// general wraps a solver of package solve.
func general(s solve.Solver) Method {
	return Method{Name: s.Name, What: s.What, resumes: true, run: func(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
		first, err := firstPoint(in, o)
		if err != nil {
			return nil, err
		}
		if h, ok := in.(historian); ok && kept(o) {
			h.recall(first)
		}
		if o.Retraction == manifold.SweepStep {
			f, err := spectral.FromSym(first.Sym())
			if err != nil {
				return nil, err
			}
			first = manifold.SpectralFrame(f)
		}
		if q, ok := in.(*sandwich); ok && o.Retraction != manifold.SweepStep {
			if r, ok, err := q.generally(s, first, o.Solver); ok {
				return r, err
			}
		}
		return s.Run(m, in, first, &o.Solver)
	}}
}

func firstPoint(in instance, o *Options) (*manifold.Frame, error) {
	if o.Start == nil {
		return in.start(), nil
	}
	return o.startFrame()
}

// startFrame returns the start that is given.
func (o *Options) startFrame() (*manifold.Frame, error) {
	f, err := manifold.NewFrame(o.Start)
	if err != nil {
		return nil, &DataError{Where: "start", Err: err}
	}
	return f, nil
}
