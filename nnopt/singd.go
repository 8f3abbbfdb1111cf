package nnopt

import (
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
	o.Alpha1 = orDefault(o.Alpha1, 0.5)
	return newSINGD[T]("singd", o, false)
}

// NewIKFAC returns inverse-free KFAC: SINGD whose factors do not see each other, so that K K^T tends to the inverse of U + Damping I.
func NewIKFAC[T Float](o SINGD) (Optimizer[T], error) { return newSINGD[T]("ikfac", o, true) }

func newSINGD[T Float](name string, o SINGD, apart bool) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Momentum, o.Beta1 = orDefault(o.LR, 1e-3), orDefault(o.Momentum, 0.9), orDefault(o.Beta1, 0.01)
	o.Damping = orDefault(o.Damping, 1e-3)
	if o.Interval == 0 {
		o.Interval = 10
	}
	if o.NoMomentum {
		o.Momentum = 0
	}
	return newStepper(name, o.Settings, rule[T](&singdRule[T]{o: o, apart: apart}))
}

type singdRule[T Float] struct {
	o      SINGD
	apart  bool
	layers []Layer
	moving map[string]*singdLayer[T] // by the name of the weights
	step   int
}

func (r *singdRule[T]) counters() []counter           { return nil }
func (r *singdRule[T]) begin(t int, _ float64, _ int) { r.step = t }
func (r *singdRule[T]) start(*Block[T], []Slot[T])    {}

func (r *singdRule[T]) setLayers(layers []Layer) {
	r.layers, r.moving = slices.Clone(layers), map[string]*singdLayer[T]{}
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

func (r *singdRule[T]) patterns(b *Block[T], l *Layer) (in, out *pattern) {
	width := b.Cols
	if l.Bias != "" {
		width++
	}
	return newStructured(r.o.Input, r.o.Sizes).pattern(width), newStructured(r.o.Output, r.o.Sizes).pattern(b.Rows)
}

func (r *singdRule[T]) slots(b *Block[T]) []slotShape {
	if r.isBias(b.Name) {
		return nil
	}
	l := r.layer(b.Name)
	if l == nil {
		return like(b, "momentum")
	}
	in, out := r.patterns(b, l)
	return []slotShape{{"momentum", b.Rows, in.n}, in.slot("input"), in.slot("input motion"), out.slot("output"), out.slot("output motion")}
}

func (r *singdRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	l := r.layer(b.Name)
	if l == nil {
		return r
	}
	in, out := r.patterns(b, l)
	s := &singdLayer[T]{
		rule: r, bias: l.Bias != "", momentum: slots[0].Data,
		in: newMovingFactor(1, in, slots[1].Data, slots[2].Data), out: newMovingFactor(0, out, slots[3].Data, slots[4].Data),
		g: dense.New[T](b.Rows, in.n), t: dense.New[T](b.Rows, in.n), figures: engine.NewReckoning[T](engine.CPU[T](), nil, singdFigures),
	}
	r.moving[b.Name] = s
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
		if err := s.observe(&stats[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *singdRule[T]) forget() {
	for _, s := range r.moving {
		s.examples = 0
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
	in, out  movingFactor[T] // K and C; h holds K^T U K and C^T F C, times the number of examples
	examples int             // behind h
	figures  *engine.Reckoning[T]
	learned  bool          // in this step
	seen     int           // from so many examples
	fine     engine.Figure // whether that went through

	g, t  dense.Matrix[T] // Dout x Din, the bias as last column
	arena *engine.Arena[T]
	a, b  []T // rows of inputs, or of gradients, and their products with a factor
}

// singdFigures is how many registers a layer has.
const singdFigures = 32 + 2*movingFigures

func (s *singdLayer[T]) failures() bool { return s.learned && s.figures.Value(s.fine) == 0 }

func (s *singdLayer[T]) observe(stats *Stats[T]) error {
	width := s.in.k.n
	if s.bias {
		width--
	}
	in, out := stats.In, stats.Out
	if in.Cols != width || out.Cols != s.out.k.n || in.Rows != out.Rows || in.Rows < 1 || stats.Reps < 1 || in.Rows%stats.Reps != 0 {
		return &BlockError{stats.Weight, fmt.Sprintf("has statistics of inputs %d x %d and outputs %d x %d, %d positions; the weights are %d x %d",
			in.Rows, in.Cols, out.Rows, out.Cols, stats.Reps, s.out.k.n, width)}
	}
	n := in.Rows / stats.Reps
	if s.examples == 0 {
		s.in.clearTarget()
		s.out.clearTarget()
	}
	s.examples += n
	reps := 1
	if s.rule.o.Reduce {
		reps = stats.Reps
	}
	x := s.load(in, reps, 1/T(reps), s.in.k.n)
	if s.bias {
		s.in.k.panel.e.AddRow([]T{1}, 0, engine.One(x.View(0, width, x.Rows, 1)))
	}
	s.take(&s.in, x, float64(n)/float64(x.Rows))
	weight := stats.terms(s.rule.o.Average)
	if s.rule.o.Average != AverageNone {
		weight *= float64(n)
	}
	s.take(&s.out, s.load(out, reps, 1, s.out.k.n), weight)
	return nil
}

// load returns scale times the sums of each reps rows of x, in rows of width cols.
func (s *singdLayer[T]) load(x dense.Matrix[T], reps int, scale T, cols int) dense.Matrix[T] {
	rows := x.Rows / reps
	if need := rows * max(cols, x.Cols); cap(s.a) < need {
		s.a, s.b = s.arena.Alloc(need), s.arena.Alloc(need)
	}
	s.a, s.b = s.a[:rows*cols], s.b[:rows*cols]
	e, y := s.in.k.panel.e, dense.Wrap(rows, cols, s.a)
	if reps > 1 {
		sums := dense.Wrap(rows, x.Cols, s.b[:rows*x.Cols])
		e.Reduce(engine.Pool{Weight: float64(scale)}, x, nil, sums)
		x = sums
	}
	e.Copy(engine.One(x), engine.One(y.View(0, 0, rows, x.Cols)))
	return y
}

// take adds c times the projection of F^T x^T x F to h.
func (s *singdLayer[T]) take(f *movingFactor[T], x dense.Matrix[T], c float64) {
	y := dense.Wrap(x.Rows, x.Cols, s.b)
	f.k.right(dense.NoTrans, x, y)
	f.h.addColumnGram(T(c), y)
}

// learn moves the factors by what was observed. Statistics that are not finite leave them as they are.
func (s *singdLayer[T]) learn() {
	o := &s.rule.o
	share := 1 / T(s.examples)
	s.seen, s.examples = s.examples, 0
	e := s.in.k.panel.e
	e.Blend(share, s.in.h.data, 0, nil, s.in.h.data)
	if o.Average != AverageNone {
		e.Blend(share, s.out.h.data, 0, nil, s.out.h.data)
	}
	q := s.figures
	q.Begin()
	s.in.formInner(q)
	s.out.formInner(q)
	factors := [...]*movingFactor[T]{&s.in, &s.out}
	for i, f := range factors {
		f.ridge = q.Number(o.Damping / 2)
		if !s.rule.apart {
			f.ridge = q.Over(q.Times(q.Number(o.Damping), factors[1-i].trace), q.Number(2))
		}
	}
	if !s.rule.apart {
		in, out := s.in.h.meanTrace(q), s.out.h.meanTrace(q)
		q.Run()
		e.BlendBy(q.Register(out), s.in.h.data, nil, nil, s.in.h.data)
		e.BlendBy(q.Register(in), s.out.h.data, nil, nil, s.out.h.data)
	}
	q.Run()
	ok := q.Number(1)
	for _, f := range factors {
		e.Blend(0.5, f.h.data, 0, nil, f.h.data)
		ok = q.Times(ok, f.target(q))
	}
	latest := 1.0
	if !o.Plain {
		latest -= o.Alpha1
	}
	keep, take := q.Pick(ok, q.Number(o.Alpha1), q.Number(1)), q.Pick(ok, q.Number(latest), q.Number(0))
	q.Run()
	s.fine = ok
	for _, f := range factors {
		f.follow(q, keep, take)
		norm, top := f.m.norms(q)
		step := q.Number(o.Beta1)
		if !o.Plain {
			step = q.Over(step, q.Most(q.Number(1), top))
		}
		s.fine = q.Times(s.fine, f.shorten(q, step, norm, ok))
	}
	q.Run()
	for _, f := range factors {
		f.move(q)
	}
}

func (s *singdLayer[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	s.moveJoint(e, b, nil, slots, u, engine.Update{})
}

func (s *singdLayer[T]) moveJoint(e engine.Backend[T], w, b *Block[T], _ []Slot[T], u, v engine.Update) {
	if s.learned = s.examples > 0; s.learned {
		s.learn()
	}
	s.enter(e, w, b, u, v)
	s.in.k.right(dense.NoTrans, s.g, s.t)
	s.in.k.right(dense.Transposed, s.t, s.g)
	s.out.k.left(dense.Transposed, s.g, s.t)
	s.out.k.left(dense.NoTrans, s.t, s.g)
	s.leave(e, w, b, u, v)
}

// enter sets g to the gradients of the weights, beside them that of the bias.
func (s *singdLayer[T]) enter(e engine.Backend[T], w, b *Block[T], u, v engine.Update) {
	weights, bias := dense.Wrap(w.Rows, w.Cols, s.t.Data[:w.Len()]), dense.Wrap(w.Rows, 1, s.t.Data[:w.Rows])
	enter(e, weights.Data, w, u)
	e.Copy(engine.One(weights), engine.One(s.g.View(0, 0, w.Rows, w.Cols)))
	if b != nil {
		enter(e, bias.Data, b, v)
		e.Copy(engine.One(bias), engine.One(s.g.View(0, w.Cols, w.Rows, 1)))
	}
}

// leave moves the weights and the bias by the heavy ball on the direction in g.
func (s *singdLayer[T]) leave(e engine.Backend[T], w, b *Block[T], u, v engine.Update) {
	e.Blend(T(s.rule.o.Momentum), s.momentum, 1, s.g.Data, s.momentum)
	m := dense.Wrap(w.Rows, s.g.Cols, s.momentum)
	s.roll(e, m.View(0, 0, w.Rows, w.Cols), w.Value, u)
	if b != nil {
		s.roll(e, m.View(0, w.Cols, w.Rows, 1), b.Value, v)
	}
}

// roll sets m to m + decay p and p to p - LR m.
func (s *singdLayer[T]) roll(e engine.Backend[T], m dense.Matrix[T], p []T, u engine.Update) {
	packed := dense.Wrap(m.Rows, m.Cols, s.t.Data[:m.Rows*m.Cols])
	e.Copy(engine.One(m), engine.One(packed))
	e.Blend(1, packed.Data, T(inside(u)), p, packed.Data)
	e.Copy(engine.One(packed), engine.One(m))
	e.Blend(1, p, -T(u.LR), packed.Data, p)
}

func (*singdRule[T]) deferring() {}

func (s *singdLayer[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	s.arena, s.a, s.b = a, nil, nil
	s.g.Data, s.t.Data = a.Alloc(len(s.g.Data)), a.Alloc(len(s.t.Data))
	s.in.place(e, a)
	s.out.place(e, a)
	s.figures = engine.NewReckoning(e, a, singdFigures)
}
