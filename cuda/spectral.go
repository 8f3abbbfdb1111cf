package cuda

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/engine"
)

// Precision says how products are made. Masters of bases, eigenvalues, momentum and parameters are float32 in all of them, and re-orthonormalisation, inverses
// and Rayleigh quotients never go below tf32.
type Precision = engine.Precision

// The precisions; the empty one is BF16 for Spectral.
const (
	BF16 = engine.BF16 // rotations, statistics, application and the turn of bases with inputs in bfloat16 and sums in float32
	TF32 = engine.TF32
	FP32 = engine.FP32
)

// SpectralOptions are the options of Spectral; the zero value is the default. They mean what those of nnopt.Spectral with Drop mean, or without it where Keep
// is set. All matrices are updated in each of the first Every steps; later a matrix's statistics come from the gradient of the step of its update alone, with
// the weight of all steps since the one before, where nnopt.Spectral learns in every step.
type SpectralOptions struct {
	Precision Precision
	Every     int     // steps between two updates of a matrix's factors, from the newest gradient; each step but the first ones updates its share of the matrices. Default 10
	Root      float64 // default 2
	Momentum  float64 // default 0.9
	Beta2     float64 // weight of a step in S; default 0.05
	Damping   float64 // default 1e-16
	Terms     int     // factors of the truncated Cayley map; default 4
	Exact     bool    // the exact Cayley map by recursive inversion: less arithmetic, many small kernels
	Keep      bool    // what a turn leaves off the diagonal stays in S: one product more for each factor of an update, and twice the memory for factors
	MaxNorm   float64 // of a rotation's generator; default 0.5, and 0.7 with Exact
	MaxDim    int     // parameters with a larger dimension, and vectors, take AdamW steps; default 8192
	AdamBeta1 float64 // default 0.9
	AdamBeta2 float64 // default 0.999
	AdamEps   float64 // default 1e-8
	NoGraphs  bool    // enqueue every kernel in every step instead of replaying recorded graphs
}

// Validate reports the first option that has a value that it cannot have.
func (o *SpectralOptions) Validate() error {
	switch o.Precision {
	case "", BF16, TF32, FP32:
	default:
		return fmt.Errorf("cuda: precision must be bf16, tf32 or fp32, not %q", o.Precision)
	}
	for _, c := range []struct {
		name  string
		value float64
		below bool
	}{{"root", o.Root, false}, {"damping", o.Damping, false}, {"max_norm", o.MaxNorm, false}, {"adam_eps", o.AdamEps, false},
		{"momentum", o.Momentum, true}, {"beta2", o.Beta2, true}, {"adam_beta1", o.AdamBeta1, true}, {"adam_beta2", o.AdamBeta2, true}} {
		if !(c.value >= 0) || math.IsInf(c.value, 1) || c.below && c.value >= 1 {
			return fmt.Errorf("cuda: %s cannot be %v", c.name, c.value)
		}
	}
	if o.Every < 0 || o.MaxDim < 0 || o.Terms < 0 || o.Terms == 1 {
		return fmt.Errorf("cuda: every and max_dim must not be negative, and terms at least 2")
	}
	if o.Exact && o.Terms != 0 {
		return fmt.Errorf("cuda: terms have no effect on the exact map")
	}
	return nil
}

func (o SpectralOptions) resolved() SpectralOptions {
	set := func(v *float64, standard float64) {
		if *v == 0 {
			*v = standard
		}
	}
	set(&o.Root, 2)
	set(&o.Momentum, 0.9)
	set(&o.Beta2, 0.05)
	set(&o.Damping, 1e-16)
	if o.Exact {
		set(&o.MaxNorm, 0.7)
	}
	set(&o.MaxNorm, 0.5)
	set(&o.AdamBeta1, 0.9)
	set(&o.AdamBeta2, 0.999)
	set(&o.AdamEps, 1e-8)
	if o.Precision == "" {
		o.Precision = BF16
	}
	if o.Terms == 0 {
		o.Terms = 4
	}
	if o.Every == 0 {
		o.Every = 10
	}
	if o.MaxDim == 0 {
		o.MaxDim = 8192
	}
	return o
}

// Shape is a parameter of Rows x Cols elements, row after row without gaps; a vector has Rows 1.
type Shape struct{ Rows, Cols int }

// Slot is an array of the state of a parameter: Rows x Cols float32 numbers, Offset numbers into the state.
type Slot struct {
	Param      int
	Name       string
	Rows, Cols int
	Offset     int
}

// group is the matrices of one shape; offsets are in numbers from the start of the state.
type group struct {
	m, n       int
	params     []int
	momentum   int
	basis, eig [2]int // left and right
	rest       [2]int // with Keep
	totals     int
}

// side returns the size of a side.
func (g *group) side(s int) int { return [2]int{g.m, g.n}[s] }

// plan is where everything lies.
type plan struct {
	o       SpectralOptions
	shapes  []Shape
	groups  []group
	plain   []int // parameters with AdamW
	starts  []int // of their moments, and the end
	moments [2]int
	state   int // numbers
	slots   []Slot
}

const totalsLength = 2

func newPlan(shapes []Shape, o SpectralOptions) (*plan, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := &plan{o: o.resolved(), shapes: shapes}
	index := map[Shape]int{}
	total := 0
	for k, s := range shapes {
		if s.Rows < 1 || s.Cols < 1 {
			return nil, fmt.Errorf("cuda: parameter %d has no elements (%d x %d)", k, s.Rows, s.Cols)
		}
		if min(s.Rows, s.Cols) == 1 || max(s.Rows, s.Cols) > p.o.MaxDim {
			p.plain, p.starts = append(p.plain, k), append(p.starts, total)
			total += s.Rows * s.Cols
			continue
		}
		g, ok := index[s]
		if !ok {
			g = len(p.groups)
			index[s] = g
			p.groups = append(p.groups, group{m: s.Rows, n: s.Cols})
		}
		p.groups[g].params = append(p.groups[g].params, k)
	}
	p.starts = append(p.starts, total)
	p.place(total)
	return p, nil
}

// place gives every array its offset. Arrays of a group stand next to each other, so that they are batches.
func (p *plan) place(plain int) {
	take := func(n int) int {
		at := p.state
		p.state += (n + 63) &^ 63
		return at
	}
	for i := range p.groups {
		g := &p.groups[i]
		count := len(g.params)
		g.momentum = take(count * g.m * g.n)
		for s := range 2 {
			g.basis[s], g.eig[s] = take(count*g.side(s)*g.side(s)), take(count*g.side(s))
			if p.o.Keep {
				g.rest[s] = take(count * g.side(s) * g.side(s))
			}
		}
		g.totals = take(count * totalsLength)
		for k, param := range g.params {
			add := func(name string, rows, cols, at int) {
				p.slots = append(p.slots, Slot{param, name, rows, cols, at + k*rows*cols})
			}
			add("momentum", g.m, g.n, g.momentum)
			add("left_basis", g.m, g.m, g.basis[0])
			add("left_values", 1, g.m, g.eig[0])
			add("right_basis", g.n, g.n, g.basis[1])
			add("right_values", 1, g.n, g.eig[1])
			add("totals", 1, totalsLength, g.totals)
			if p.o.Keep {
				add("left_rest", g.m, g.m, g.rest[0])
				add("right_rest", g.n, g.n, g.rest[1])
			}
		}
	}
	p.moments = [2]int{take(plain), take(plain)}
	for i, param := range p.plain {
		s := p.shapes[param]
		p.slots = append(p.slots, Slot{param, "first", s.Rows, s.Cols, p.moments[0] + p.starts[i]}, Slot{param, "second", s.Rows, s.Cols, p.moments[1] + p.starts[i]})
	}
}

// Layout returns the arrays of the state of Spectral for parameters of the given shapes, and the bytes of the whole.
func Layout(shapes []Shape, o SpectralOptions) (slots []Slot, bytes int, err error) {
	p, err := newPlan(shapes, o)
	if err != nil {
		return nil, 0, err
	}
	return p.slots, 4 * p.state, nil
}

// StepInfo is what a step is told.
type StepInfo struct {
	LR        float64
	Decay     float64 // parameters shrink by 1 - Decay LR
	GradScale float64 // factor on the gradients; 0 stands for 1
}
