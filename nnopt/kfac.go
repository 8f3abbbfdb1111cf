package nnopt

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// InverseKind says how KFAC inverts its damped factors.
type InverseKind string

// The kinds; the empty one is InversePi.
const (
	InversePi      InverseKind = "pi"      // (B + dB I)^-1 (x) (A + dA I)^-1, dA dB the damping, split by the mean eigenvalues
	InversePlain   InverseKind = "plain"   // (B + d I)^-1 (x) (A + d I)^-1
	InverseExact   InverseKind = "exact"   // (B (x) A + d I)^-1, by eigendecompositions
	InverseTracked InverseKind = "tracked" // the same in eigenbases that follow the factors by products only
)

// ModelKind says which curvature the quadratic model of KFAC has.
type ModelKind string

// The kinds; the empty one is ModelExact.
const (
	ModelExact   ModelKind = "exact"   // the Gauss-Newton matrix of an objective
	ModelFactors ModelKind = "factors" // the Kronecker factors
)

// KFAC are the options of natural gradient descent with Kronecker-factored curvature (Martens and Grosse, arXiv:1503.05671; periods, averages and damping as in kfac-jax, which also begins with ten steps of BurnIn). For a layer
// with inputs x (1 appended for the bias) and vectors g at its outputs it keeps averages A of x x^T and B of the curvature's g g^T, and moves along
//
//	Delta = inverse of (B (x) A + (damping + l2) I) times the gradient,    step = -a Delta + m (last step).
//
// With an Objective (ObjectiveUser) a and m minimise the quadratic model over the two directions, and damping follows the ratio of what the loss changed to
// what the model said, every AdaptEvery steps; LRScale then scales the step. The model has the exact Gauss-Newton matrix, two products a step, or with
// ModelFactors the factors themselves, which needs no objective. Without one, or with Fixed, a is the learning rate and m is Momentum. Blocks of no layer are moved by Adam with the learning rate FallbackScale LR. The optimizer is a StatsObserver.
type KFAC struct {
	Settings                   // LR defaults to 0.03
	Fixed          bool        `json:"fixed,omitempty"`           // learning rate and momentum of the options, no model
	Model          ModelKind   `json:"model,omitempty"`           // default exact
	Momentum       float64     `json:"momentum,omitempty"`        // of fixed steps; default 0.9
	FallbackScale  float64     `json:"fallback_scale,omitempty"`  // default 0.1
	Average        float64     `json:"average,omitempty"`         // of the factors over steps, with bias correction; default 0.95
	Interval       int         `json:"interval,omitempty"`        // steps between inverses; default 5
	BurnIn         int         `json:"burn_in,omitempty"`         // first steps that learn factors and move nothing of a layer; default none
	Damping        float64     `json:"damping,omitempty"`         // at the start; default 0.1
	FixedDamping   bool        `json:"fixed_damping,omitempty"`   // damping stays as it is
	AdaptEvery     int         `json:"adapt_every,omitempty"`     // default 5
	DampingDecay   float64     `json:"damping_decay,omitempty"`   // damping changes by the AdaptEvery-th power of it; default 0.95
	MinDamping     float64     `json:"min_damping,omitempty"`     // default 1e-8
	NormConstraint float64     `json:"norm_constraint,omitempty"` // c shortens steps to a^2 <Delta, gradient> <= c; default none
	Reject         bool        `json:"reject,omitempty"`          // take back a step after which the loss is larger, and raise the damping; needs an objective
	Inverse        InverseKind `json:"inverse,omitempty"`         // default pi
	Empirical      bool        `json:"empirical,omitempty"`       // statistics of the gradients instead of those at sampled targets
	Reduce         bool        `json:"reduce,omitempty"`          // positions of an example collapse before the factors are formed; default: each counts
	Loss           LossAverage `json:"loss,omitempty"`            // what the loss is averaged over; default: as the statistics say
}

// Validate reports the first option that has a value that it cannot have.
func (o *KFAC) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"momentum", o.Momentum}, {"average", o.Average}, {"damping_decay", o.DampingDecay}} {
		if err := below(c.name, c.value); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"fallback_scale", o.FallbackScale}, {"damping", o.Damping}, {"min_damping", o.MinDamping}, {"norm_constraint", o.NormConstraint},
		{"interval", float64(o.Interval)}, {"burn_in", float64(o.BurnIn)}, {"adapt_every", float64(o.AdaptEvery)}} {
		if err := notNegative(c.name, c.value); err != nil {
			return err
		}
	}
	if !slices.Contains([]InverseKind{"", InversePi, InversePlain, InverseExact, InverseTracked}, o.Inverse) {
		return option("inverse", "must be pi, plain, exact or tracked, not %q", o.Inverse)
	}
	if !slices.Contains([]ModelKind{"", ModelExact, ModelFactors}, o.Model) {
		return option("model", "must be exact or factors, not %q", o.Model)
	}
	if !slices.Contains([]LossAverage{"", AverageBatch, AveragePositions, AverageNone}, o.Loss) {
		return option("loss", "must be batch, positions or sum, not %q", o.Loss)
	}
	return nil
}

func (o KFAC) resolved() KFAC {
	whole := func(v, standard int) int {
		if v == 0 {
			return standard
		}
		return v
	}
	o.LR, o.Momentum, o.FallbackScale = cmp.Or(o.LR, 0.03), cmp.Or(o.Momentum, 0.9), cmp.Or(o.FallbackScale, 0.1)
	o.Average, o.Damping, o.DampingDecay = cmp.Or(o.Average, 0.95), cmp.Or(o.Damping, 0.1), cmp.Or(o.DampingDecay, 0.95)
	o.MinDamping = cmp.Or(o.MinDamping, 1e-8)
	o.Interval, o.AdaptEvery = whole(o.Interval, 5), whole(o.AdaptEvery, 5)
	if o.Inverse == "" {
		o.Inverse = InversePi
	}
	return o
}

// NewKFAC returns natural gradient descent with Kronecker-factored curvature. For a layer of m x n weights it keeps m n + 2 m^2 + 2 n^2 numbers.
func NewKFAC[T Float](o KFAC) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.resolved()
	r := &kfacRule[T]{o: o, at: newKFACGround[T](), adam: adamRule[T]{form: engine.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}}}
	s, err := newStepper("kfac", o.Settings, rule[T](r))
	if err != nil {
		return nil, err
	}
	return &kfac[T]{s, r}, nil
}

// kfac is a stepper that takes an objective.
type kfac[T Float] struct {
	*stepper[T]
	own *kfacRule[T]
}

// SetObjective implements ObjectiveUser.
func (k *kfac[T]) SetObjective(f Objective[T]) { k.own.objective = f }

// kfacRule moves all layers together.
type kfacRule[T Float] struct {
	o         KFAC
	objective Objective[T]
	layers    []Layer
	moving    []*kfacLayer[T]
	groups    []*kfacGroup[T]          // the same layers
	placed    map[string]*kfacGroup[T] // on a device, by the names of weights
	slotted   slotPlaces[T]
	adam      adamRule[T]
	at        kfacGround[T]

	t                      int
	lr                     float64
	damping, seen, inverse float64 // counters: damping (0 before the first step), observations, and whether there are inverses
	x, y, px, py           []T     // flat vectors for the products of the model
	kept                   []T     // gradients of the other blocks, and values for a step that may be taken back

	failed bool      // in the running step, as far as the processor knows
	taken  []float64 // whether the step is taken, nil where there is none
	next   kfacStep  // of the running step

	moves, rejected bool       // on a device: there is a step, it is to be taken back
	trial           bool       // it is being tried
	blocks          []Block[T] // of the running step
	lent            lending    // what an objective may have changed, of which kept holds a copy
}

func (r *kfacRule[T]) counters() []counter {
	return append(r.adam.counters(), counter{"damping", &r.damping}, counter{"observations", &r.seen}, counter{"inverses", &r.inverse})
}

func (r *kfacRule[T]) begin(t int, lr float64, batch int) {
	r.t, r.lr = t, lr
	if r.damping == 0 {
		r.damping = r.o.Damping
	}
	r.adam.begin(t, lr, batch)
}

func (r *kfacRule[T]) setLayers(layers []Layer) {
	r.layers = nil
	for _, l := range layers {
		if !slices.Contains(r.layers, l) {
			r.layers = append(r.layers, l)
		}
	}
}

func (r *kfacRule[T]) wants(int) Flavour {
	if r.o.Empirical {
		return EmpiricalStats
	}
	return SampledStats
}

// layer returns the layer whose weights or bias are called so, or nil.
func (r *kfacRule[T]) layer(name string) *Layer {
	for i := range r.layers {
		if l := &r.layers[i]; l.Weight == name || l.Bias == name && name != "" {
			return l
		}
	}
	return nil
}

func (r *kfacRule[T]) slots(b *Block[T]) []slotShape {
	l := r.layer(b.Name)
	if l == nil {
		return r.adam.slots(b)
	}
	if l.Bias == b.Name {
		return nil
	}
	sizes := r.sizes(b, l)
	all := storedShapes(sizes)
	if r.o.Inverse == InverseExact || r.o.Inverse == InverseTracked {
		all = append(all, slotShape{"output values", 1, sizes[0]}, slotShape{"input values", 1, sizes[1]})
	}
	return all
}

// sizes returns those of B and A of a layer with these weights.
func (r *kfacRule[T]) sizes(b *Block[T], l *Layer) [2]int {
	if l.Bias != "" {
		return [2]int{b.Rows, b.Cols + 1}
	}
	return [2]int{b.Rows, b.Cols}
}

// storedShapes describes the slots of a layer but for eigenvalues.
func storedShapes(sizes [2]int) []slotShape {
	out, in := sizes[0], sizes[1]
	return []slotShape{{"last step", out, in}, {"output", out, out}, {"input", in, in}, {"output inverse", out, out}, {"input inverse", in, in}}
}

func (r *kfacRule[T]) start(b *Block[T], slots []Slot[T]) {
	if r.layer(b.Name) == nil {
		r.adam.start(b, slots)
	}
}

// mover returns nil for the blocks of layers, which moveTogether moves.
func (r *kfacRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	l := r.layer(b.Name)
	if l == nil {
		return r
	}
	if l.Weight == b.Name {
		g := r.placed[b.Name]
		if g == nil { // on the processor
			g = r.newGroup(r.sizes(b, l))
			for i := range g.stored {
				g.stored[i] = slots[i].Data
			}
		}
		k := newKFACLayer(r, g, *l, slots)
		r.moving, g.layers = append(r.moving, k), append(g.layers, k)
	}
	return nil
}

// settle implements grounded.
func (r *kfacRule[T]) settle(engine.Backend[T], *engine.Arena[T]) {
	rows, all := 0, 0
	var needs [][]need[float64]
	for _, g := range r.groups {
		needs = append(needs, g.allocate())
		rows, all = max(rows, len(g.layers)*max(g.sizes[0], g.sizes[1])), max(all, g.sizes[0]*g.sizes[1])
	}
	shareWork(r.at.wide.arena, needs...)
	r.at.figures = engine.NewReckoning(r.at.wide.e, r.at.wide.arena, 1, 128+32*len(r.groups)+16*len(r.moving))
	if r.at.away() {
		r.x = nil
		r.at.rows = r.at.wide.arena.Alloc(rows)
		r.at.reserveOnes(all)
	}
}

// looks implements looking: an objective does.
func (r *kfacRule[T]) looks() bool { return r.objective != nil }

// onHost implements hosted: eigenvalues.
func (r *kfacRule[T]) onHost(slot string) bool { return strings.HasSuffix(slot, "values") }

// move moves a block of no layer.
func (r *kfacRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	u.LR *= r.o.FallbackScale
	u.Decay *= r.o.FallbackScale
	r.adam.move(e, b, slots, u)
}

// observe adds the statistics of a pass to those of the running step.
func (r *kfacRule[T]) observe(stats []Stats[T], _ int) error {
	for i := range stats {
		s := &stats[i]
		for _, k := range r.moving {
			if k.names.Weight != s.Weight {
				continue
			}
			if k.pending {
				k.group.multiply()
				k.group.absorb()
			}
			if err := k.observe(s, r.o.Reduce, s.terms(r.o.Loss)); err != nil {
				return err
			}
		}
	}
	for _, g := range r.groups {
		g.multiply()
	}
	for _, g := range r.groups { // the calls of one precision follow each other, so that there are few changes between the two
		g.absorb()
	}
	return nil
}

func (r *kfacRule[T]) forget() {
	for _, k := range r.moving {
		k.examples, k.pending, k.loaded, k.rows = 0, false, false, [2]dense.Matrix[T]{}
	}
}

func (*kfacRule[T]) deferring() {}
