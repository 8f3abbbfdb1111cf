package nnopt

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// SINGD are the options of structured inverse-free natural gradient descent (Lin et al., arXiv:2312.05705). A layer with inputs a (1 appended for the
// bias) and gradients g at its outputs has factors K and C, from the identity, such that K K^T and C C^T are inverses of damped Kronecker factors of the
// empirical Fisher matrix. With U the mean of a a^T, F the sum over the terms of the loss of g g^T, tm the trace over the dimension and P the projection
// on the structure, every Interval steps
//
//	m_K <- Alpha1 m_K + (1-Alpha1)/2 [ tm(C^T F C) P(K^T U K) + Damping tm(C^T C) P(K^T K) - I ],  K <- K - Beta1/max(1, max |m_K|) K m_K,
//
// C likewise with the roles exchanged, and the step is a heavy ball on C C^T [G g] K K^T + Decay W. NewIKFAC leaves out the two mean traces. The
// optimizer is a StatsObserver; blocks of no layer get the heavy ball alone. Factors follow a first-order step: Plain, the published form, does
// without the bound and the factor 1-Alpha1, and fails where the first statistics are large.
type SINGD struct {
	Settings               // LR defaults to 0.001
	Momentum   float64     `json:"momentum,omitempty"`    // default 0.9
	NoMomentum bool        `json:"no_momentum,omitempty"` // Momentum 0
	Alpha1     float64     `json:"alpha1,omitempty"`      // momentum of the factors; default 0.5 for SINGD, 0 for IKFAC
	Beta1      float64     `json:"beta1,omitempty"`       // step of the factors; default 0.01
	Damping    float64     `json:"damping,omitempty"`     // default 0.001
	Interval   int         `json:"interval,omitempty"`    // default 10
	Input      Structure   `json:"input,omitempty"`       // of K, default dense
	Output     Structure   `json:"output,omitempty"`      // of C, default dense
	Sizes      [2]int      `json:"sizes,omitzero"`        // of blocks (default 30), or of the first and last part of hierarchical (default 15, 15)
	Reduce     bool        `json:"reduce,omitempty"`      // inputs averaged and gradients summed over the positions of an example; default: each position counts
	Average    LossAverage `json:"average,omitempty"`     // of the loss; default: as the statistics say. With sum the passes of a step add up, otherwise they are averaged
	Plain      bool        `json:"plain,omitempty"`       // steps of the factors without bound
}

// Validate reports the first option that has a value that it cannot have.
func (o *SINGD) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if o.NoMomentum && o.Momentum != 0 {
		return option("no_momentum", "contradicts momentum")
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"momentum", o.Momentum}, {"alpha1", o.Alpha1}, {"beta1", o.Beta1}} {
		if err := below(c.name, c.value); err != nil {
			return err
		}
	}
	if err := validateStructure("input", o.Input, o.Sizes); err != nil {
		return err
	}
	if err := validateStructure("output", o.Output, o.Sizes); err != nil {
		return err
	}
	if !slices.Contains([]LossAverage{"", AverageBatch, AveragePositions, AverageNone}, o.Average) {
		return option("average", "must be batch, positions or sum, not %q", o.Average)
	}
	if o.Interval < 0 {
		return option("interval", "must not be negative")
	}
	return notNegative("damping", o.Damping)
}

// NewSINGD returns structured inverse-free natural gradient descent. For a layer of m x n weights it keeps m n + 2 m^2 + 2 n^2 numbers, with diagonal
// factors m n + 2 m + 2 n.
func NewSINGD[T Float](o SINGD) (Optimizer[T], error) {
	o.Alpha1 = cmp.Or(o.Alpha1, 0.5)
	return newSINGD[T]("singd", o, false)
}

// NewIKFAC returns inverse-free KFAC: SINGD whose factors do not see each other, so that K K^T tends to the inverse of U + Damping I.
func NewIKFAC[T Float](o SINGD) (Optimizer[T], error) { return newSINGD[T]("ikfac", o, true) }

func newSINGD[T Float](name string, o SINGD, apart bool) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Momentum, o.Beta1 = cmp.Or(o.LR, 1e-3), cmp.Or(o.Momentum, 0.9), cmp.Or(o.Beta1, 0.01)
	o.Damping = cmp.Or(o.Damping, 1e-3)
	if o.Interval == 0 {
		o.Interval = 10
	}
	if o.NoMomentum {
		o.Momentum = 0
	}
	return newStepper(name, o.Settings, rule[T](&singdRule[T]{o: o, apart: apart}))
}

type singdRule[T Float] struct {
	o       SINGD
	apart   bool
	layers  []Layer
	moving  map[string]*singdLayer[T] // by the name of the weights
	groups  []*singdGroup[T]
	slotted slotPlaces[T] // on a device
	step    int

	arena          *engine.Arena[T]
	rows, products []T // of inputs or of gradients, and their products with a factor
}

func (r *singdRule[T]) counters() []counter        { return nil }
func (r *singdRule[T]) start(*Block[T], []Slot[T]) {}

func (r *singdRule[T]) begin(t int, _ float64, _ int) {
	r.step = t
	for _, g := range r.groups {
		for _, s := range g.layers {
			s.learned = false
		}
	}
}

func (r *singdRule[T]) setLayers(layers []Layer) {
	r.layers = slices.Clone(layers)
}

func (r *singdRule[T]) wants(step int) Flavour {
	if step%r.o.Interval != 0 {
		return NoStats
	}
	return EmpiricalStats
}

// layer returns the layer whose weights are called so, or nil.
func (r *singdRule[T]) layer(weight string) *Layer {
	for i := range r.layers {
		if r.layers[i].Weight == weight {
			return &r.layers[i]
		}
	}
	return nil
}

func (r *singdRule[T]) companion(name string) string {
	if l := r.layer(name); l != nil {
		return l.Bias
	}
	return ""
}

// isBias says whether the block moves with the weights of a layer.
func (r *singdRule[T]) isBias(name string) bool {
	return name != "" && slices.ContainsFunc(r.layers, func(l Layer) bool { return l.Bias == name })
}

// patterns returns those of K and C for weights of this size.
func (r *singdRule[T]) patterns(rows, cols int, bias bool) (in, out *pattern) {
	if bias {
		cols++
	}
	return newStructured(r.o.Input, r.o.Sizes).pattern(cols), newStructured(r.o.Output, r.o.Sizes).pattern(rows)
}

func (r *singdRule[T]) slots(b *Block[T]) []slotShape {
	if r.isBias(b.Name) {
		return nil
	}
	l := r.layer(b.Name)
	if l == nil {
		return like(b, "momentum")
	}
	in, out := r.patterns(b.Rows, b.Cols, l.Bias != "")
	return []slotShape{{"momentum", b.Rows, in.n}, in.slot("input"), in.slot("input motion"), out.slot("output"), out.slot("output motion")}
}

func (r *singdRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	l := r.layer(b.Name)
	if l == nil {
		return r
	}
	s := r.moving[b.Name]
	if s == nil {
		g := r.newGroup(b, l)
		s = g.add(l)
		g.settle(engine.CPU[T](), nil, [5][]T{slots[0].Data, slots[1].Data, slots[2].Data, slots[3].Data, slots[4].Data})
		shareWork(nil, g.workspace())
	}
	s.momentum = slots[0].Data
	return s
}

// move is the heavy ball of a block of no layer.
func (r *singdRule[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	if e != engine.CPU[T]() { // in another order of additions
		all := engine.Update{LR: u.LR, GradScale: u.GradScale, L2: u.L2 + inside(u)}
		e.Momentum(engine.Momentum{Update: all, Mu: r.o.Momentum}, b.Value, b.Grad, slots[0].Data)
		return
	}
	mu, decay, lr, scale, l2 := T(r.o.Momentum), T(inside(u)), T(u.LR), T(u.GradScale), T(u.L2)
	for i, m := range slots[0].Data {
		m = mu*m + (scale*b.Grad[i] + l2*b.Value[i]) + decay*b.Value[i]
		slots[0].Data[i] = m
		b.Value[i] -= lr * m
	}
}

// observe takes the statistics of a pass into those of the next step. Layers without a factor are none of its business.
func (r *singdRule[T]) observe(stats []Stats[T], step int) error {
	if r.wants(step) == NoStats {
		return nil
	}
	for i := range stats {
		s := r.moving[stats[i].Weight]
		if s == nil {
			continue
		}
		if err := s.check(&stats[i]); err != nil {
			return err
		}
		s.group.await(s.index, &stats[i])
	}
	for _, g := range r.groups {
		g.observe()
	}
	return nil
}

func (r *singdRule[T]) forget() {
	for _, s := range r.moving {
		s.examples = 0
	}
	for _, g := range r.groups {
		g.dismiss()
	}
}

// takeBack implements returning.
func (r *singdRule[T]) takeBack() {
	for _, s := range r.moving {
		if s.learned {
			s.examples = s.seen
		}
	}
}

// singdLayer moves the weights of a layer, and its bias.
type singdLayer[T Float] struct {
	rule     *singdRule[T]
	bias     bool
	momentum []T
	group    *singdGroup[T]
	index    int  // in the group
	examples int  // behind the targets of its factors
	learned  bool // in this step
	seen     int  // from so many examples

	w, b    int             // numbers of the blocks, on a device; b is -1 without a bias
	current singdRunning[T] // of the running step
}

// singdRunning is what a step moves: the weights and the bias, if there is one.
type singdRunning[T Float] struct {
	w, b *Block[T]
	u, v engine.Update
}

func (s *singdLayer[T]) failures() bool {
	return s.learned && s.group.figures.Value(s.group.fine, s.index) == 0
}

// width is the number of inputs.
func (s *singdLayer[T]) width() int {
	if s.bias {
		return s.group.in.k.n - 1
	}
	return s.group.in.k.n
}

// check demands that statistics are those of such a layer.
func (s *singdLayer[T]) check(stats *Stats[T]) error {
	in, out, rows, width := stats.In, stats.Out, s.group.out.k.n, s.width()
	if in.Cols != width || out.Cols != rows || in.Rows != out.Rows || in.Rows < 1 || stats.Reps < 1 || in.Rows%stats.Reps != 0 {
		return &BlockError{stats.Weight, fmt.Sprintf("has statistics of inputs %d x %d and outputs %d x %d, %d positions; the weights are %d x %d",
			in.Rows, in.Cols, out.Rows, out.Cols, stats.Reps, rows, width)}
	}
	return nil
}

func (s *singdLayer[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	s.moveJoint(e, b, nil, slots, u, engine.Update{})
}

// moveJoint moves the layer, unless moveTogether has done that.
func (s *singdLayer[T]) moveJoint(e engine.Backend[T], w, b *Block[T], _ []Slot[T], u, v engine.Update) {
	if e == engine.CPU[T]() {
		s.current = singdRunning[T]{w, b, u, v}
		s.group.step(e)
	}
}

// enter sets g to the gradients of the weights, beside them that of the bias; t is scratch.
func (s *singdLayer[T]) enter(e engine.Backend[T], g, t dense.Matrix[T]) {
	w, b := s.current.w, s.current.b
	if b == nil {
		enter(e, g.Data, w, s.current.u)
		return
	}
	weights, bias := dense.Wrap(w.Rows, w.Cols, t.Data[:w.Len()]), dense.Wrap(w.Rows, 1, t.Data[:w.Rows])
	enter(e, weights.Data, w, s.current.u)
	e.Copy(engine.One(weights), engine.One(g.View(0, 0, w.Rows, w.Cols)))
	enter(e, bias.Data, b, s.current.v)
	e.Copy(engine.One(bias), engine.One(g.View(0, w.Cols, w.Rows, 1)))
}

// leave moves the weights and the bias by the momentum, of the shape of t, which is scratch.
func (s *singdLayer[T]) leave(e engine.Backend[T], t dense.Matrix[T]) {
	w, b := s.current.w, s.current.b
	m := dense.Wrap(w.Rows, t.Cols, s.momentum)
	roll(e, m.View(0, 0, w.Rows, w.Cols), w.Value, s.current.u, t)
	if b != nil {
		roll(e, m.View(0, w.Cols, w.Rows, 1), b.Value, s.current.v, t)
	}
	s.current = singdRunning[T]{}
}

// roll sets m to m + decay p and p to p - LR m; t is scratch.
func roll[T Float](e engine.Backend[T], m dense.Matrix[T], p []T, u engine.Update, t dense.Matrix[T]) {
	packed, apart := m, m.Stride > m.Cols
	if apart {
		packed = dense.Wrap(m.Rows, m.Cols, t.Data[:m.Rows*m.Cols])
		e.Copy(engine.One(m), engine.One(packed))
	}
	e.Blend(1, packed.Data, T(inside(u)), p, packed.Data)
	if apart {
		e.Copy(engine.One(packed), engine.One(m))
	}
	e.Blend(1, p, -T(u.LR), packed.Data, p)
}

func (*singdRule[T]) deferring() {}
