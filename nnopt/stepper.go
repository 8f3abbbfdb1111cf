package nnopt

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// rule is what distinguishes an optimizer: what it keeps for a block and how a step moves one.
type rule[T Float] interface {
	// slots describes the arrays that the rule keeps for a block; they start at zero.
	slots(b *Block[T]) []slotShape
	// start fills the fresh slots of a block where zero is not right.
	start(b *Block[T], slots []Slot[T])
	// begin is called once before the blocks of step t = 1, 2, ... move; lr is the learning rate without the factors of groups, batch the number of
	// examples behind the gradient or 0.
	begin(t int, lr float64, batch int)
	// mover returns what moves a block with these slots: the rule itself, or an object with workspace of its own.
	mover(b *Block[T], slots []Slot[T]) mover[T]
	// counters returns the numbers that the rule carries from step to step beside the slots.
	counters() []counter
}

// mover changes one block and its slots; it may run at the same time as those of other blocks. slots always is what rule.mover got.
type mover[T Float] interface {
	move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update)
}

// joining is implemented by rules that move some blocks together with another one. The mover of the block is then a jointMover, and the companion's own
// is not called.
type joining[T Float] interface {
	// companion returns the name of the block, of as many elements as the named one has rows, that moves along, or "".
	companion(name string) string
}

// jointMover changes two blocks at once.
type jointMover[T Float] interface {
	moveJoint(e engine.Backend[T], b, companion *Block[T], slots []Slot[T], u, v engine.Update)
}

// observing is implemented by rules that learn from the statistics of layers.
type observing[T Float] interface {
	setLayers(layers []Layer)
	// wants and observe are told the number of steps taken so far.
	wants(step int) Flavour
	observe(stats []Stats[T], step int) error
	// forget drops what was observed for a step that is not taken.
	forget()
}

// coupled is implemented by rules that move some blocks together: those whose movers are nil. They go before the others.
type coupled[T Float] interface {
	moveTogether(blocks []Block[T], updates []engine.Update)
}

// failing is implemented by movers, and rules that move blocks together, with factors: whether the last move left one of them as it was because its update
// failed. All work is done when it is asked.
type failing interface{ failures() bool }

// counting is implemented by movers that count moves on the processor, when they have been made.
type counting interface{ count() }

// staged is implemented by movers whose moves begin with what a device does for all blocks at once.
type staged[T Float] interface {
	// prepare does what comes before that. move then does the rest only.
	prepare(e engine.Backend[T], b *Block[T], u engine.Update)
}

// gathering is implemented by rules with such movers.
type gathering interface {
	// together does for all blocks what their prepare left to it.
	together()
}

type slotShape struct {
	name       string
	rows, cols int
}

// counter is a number of a rule that belongs to its state.
type counter struct {
	name  string
	value *float64
}

// like describes slots that have the shape of the block.
func like[T Float](b *Block[T], names ...string) (all []slotShape) {
	for _, n := range names {
		all = append(all, slotShape{n, b.Rows, b.Cols})
	}
	return all
}

// stepper is an Optimizer around a rule: it owns the state, checks what comes in, clips, and applies groups and weight decay.
type stepper[T Float] struct {
	name     string
	settings Settings
	rule     rule[T]
	backend  engine.Backend[T]
	arena    *engine.Arena[T]

	blocks   []tracked[T]
	step     int
	skips    int
	failures int // steps in which the update of a factor failed
	failing  int // the last of them in a row
	averaged bool
	counters []counter
	counted  []float64 // what they were before the running step

	hosted, kept [][]T // slots of a device's rule in ordinary memory, and what they were before the running step

	current []Block[T]  // of the running step
	mirrors *mirrors[T] // on a device, of rules that defer
	grads   [][]T
	sums    []float64 // of squares, and the largest sizes of elements
	tops    []float64
	scale   float64
	updates []engine.Update
	order   []int // blocks that move on their own, the most expensive first
	alone   int   // the first of them, which have all threads for themselves
	moves   dense.Parallel
}

// tracked is what a stepper knows about a block.
type tracked[T Float] struct {
	name       string
	rows, cols int
	own        blockSettings
	slots      []Slot[T]
	mover      mover[T]
	companion  int     // the block that moves along, or -1
	sum, top   float64 // of squares, and largest, of the current gradient
	clip       float64
}

var (
	_ Optimizer[float32]     = (*stepper[float32])(nil)
	_ StatsObserver[float32] = (*stepper[float32])(nil)
)

// newStepper returns an optimizer for a rule whose options are valid; settings.LR must be set.
func newStepper[T Float](name string, settings Settings, r rule[T]) (*stepper[T], error) {
	b, err := openFor(settings, r)
	if err != nil {
		return nil, err
	}
	s := &stepper[T]{name: name, settings: settings, rule: r, backend: b}
	s.moves.Task = s
	return s, nil
}

// Init implements Optimizer.
func (s *stepper[T]) Init(blocks []Block[T]) (err error) {
	defer engine.Recover(&err)
	s.blocks = nil
	if r, ok := s.rule.(renewed); ok {
		r.renew()
	}
	arena := engine.NewArena(s.backend)
	all := make([]tracked[T], len(blocks))
	seen := map[string]bool{}
	for k := range blocks {
		b := &blocks[k]
		if seen[b.Name] {
			return &BlockError{b.Name, "the name is used twice"}
		}
		seen[b.Name] = true
		if b.Rows < 1 || b.Cols < 1 {
			return &BlockError{b.Name, fmt.Sprintf("has no elements (%d x %d)", b.Rows, b.Cols)}
		}
		all[k] = tracked[T]{name: b.Name, rows: b.Rows, cols: b.Cols, own: s.settings.forBlock(b.Name)}
		if err := all[k].check(b); err != nil {
			return err
		}
	}
	if r, ok := s.rule.(allotting[T]); ok {
		r.allot(blocks, s.backend, arena)
	}
	for k := range blocks {
		b := &blocks[k]
		for _, shape := range s.rule.slots(b) {
			slot := Slot[T]{Block: b.Name, Name: shape.name, Rows: shape.rows, Cols: shape.cols}
			s.allocate(arena, &slot)
			all[k].slots = append(all[k].slots, slot)
		}
		s.rule.start(b, all[k].slots)
		all[k].mover = s.rule.mover(b, all[k].slots)
		if m, ok := all[k].mover.(placed[T]); ok {
			m.place(s.backend, arena)
		}
	}
	if g, ok := s.rule.(grounded[T]); ok {
		g.settle(s.backend, arena)
	}
	s.mirrors = nil
	if _, ok := s.rule.(deferring); ok && s.backend != engine.CPU[T]() {
		s.mirrors = newMirrors(s.backend, arena, blocks, func(k int) bool { return all[k].own.frozen })
	}
	s.keepHosted(all)
	arena.Reserve(needed(all))
	s.arena = arena
	s.counters = s.rule.counters()
	s.counted = make([]float64, len(s.counters))
	for _, c := range s.counters {
		*c.value = 0
	}
	order, err := s.arrange(all)
	if err != nil {
		return err
	}
	s.updates, s.grads = make([]engine.Update, len(all)), make([][]T, len(all))
	s.sums, s.tops = make([]float64, len(all)), make([]float64, len(all))
	s.blocks, s.order, s.step, s.skips, s.failures, s.failing, s.averaged = all, order, 0, 0, 0, 0, false
	return nil
}

// arrange finds the companions and returns the other blocks in the order of their cost.
func (s *stepper[T]) arrange(all []tracked[T]) (order []int, err error) {
	led := map[int]bool{}
	j, joins := s.rule.(joining[T])
	for k := range all {
		t := &all[k]
		t.companion = -1
		if !joins || j.companion(t.name) == "" {
			continue
		}
		name := j.companion(t.name)
		t.companion = slices.IndexFunc(all, func(c tracked[T]) bool { return c.name == name })
		if c := t.companion; c < 0 || all[c].rows*all[c].cols != t.rows {
			return nil, &BlockError{t.name, fmt.Sprintf("belongs to a layer with the bias %q, which is no block of %d elements", name, t.rows)}
		}
		led[t.companion] = true
	}
	for k := range all {
		if !led[k] {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[b].cost(), all[a].cost()) })
	return order, nil
}

// cost is what the products with factors of a block cost, up to a constant.
func (t *tracked[T]) cost() float64 { return float64(t.rows*t.cols) * float64(t.rows+t.cols) }

// check demands that b is the block that Init saw.
func (t *tracked[T]) check(b *Block[T]) error {
	if b.Name != t.name || b.Rows != t.rows || b.Cols != t.cols {
		return &BlockError{b.Name, fmt.Sprintf("is %d x %d where Init saw %q of %d x %d", b.Rows, b.Cols, t.name, t.rows, t.cols)}
	}
	if n := b.Len(); len(b.Value) != n || len(b.Grad) != n {
		return &BlockError{b.Name, fmt.Sprintf("needs %d elements, has %d values and %d gradients", n, len(b.Value), len(b.Grad))}
	}
	return nil
}

func (s *stepper[T]) checkAll(blocks []Block[T]) error {
	if s.blocks == nil {
		return errors.New("nnopt: Init has not been called")
	}
	if len(blocks) != len(s.blocks) {
		return fmt.Errorf("nnopt: %d blocks where Init saw %d", len(blocks), len(s.blocks))
	}
	for k := range blocks {
		if err := s.blocks[k].check(&blocks[k]); err != nil {
			return err
		}
	}
	return nil
}

// Step implements Optimizer.
func (s *stepper[T]) Step(blocks []Block[T], info StepInfo) (r Report, err error) {
	defer s.undo(&err, s.step)
	defer engine.Recover(&err)
	if err := s.checkAll(blocks); err != nil {
		return Report{}, err
	}
	if s.averaged {
		return Report{}, errors.New("nnopt: the blocks hold the averaged values; call Train before Step")
	}
	if err := notNegative("LRScale", info.LRScale); err != nil {
		return Report{}, err
	}
	if info.BatchSize < 0 {
		return Report{}, option("BatchSize", "must not be negative, not %d", info.BatchSize)
	}
	r = Report{Step: s.step, LR: s.settings.LR * info.LRScale, Skips: s.skips, Failures: s.failures}
	if s.failing > s.settings.tolerated() && s.settings.NonFinite != Skip {
		return r, &FactorError{s.step, s.failing}
	}
	if bad := s.measure(blocks, &r); bad >= 0 {
		s.forget()
		if s.settings.NonFinite != Skip {
			return r, s.gradientError(bad, &blocks[bad])
		}
		s.skips++
		r.Skips, r.Skipped = s.skips, true
		return r, nil
	}
	for i, c := range s.counters {
		s.counted[i] = *c.value
	}
	for i, kept := range s.kept {
		copy(kept, s.hosted[i])
	}
	s.step++
	r.Step = s.step
	s.current, s.scale = blocks, info.LRScale
	s.rule.begin(s.step, r.LR, info.BatchSize)
	s.moveDeferred()
	s.finish()
	s.current = nil
	r.Failures = s.failures
	return r, nil
}

// moveAll moves the blocks. Those that cost more than their share of the threads go first, one after another, and share out their products; the others
// run at the same time, the most expensive first. The bits do not depend on it. A device works on one call at a time: there all go one after another.
func (s *stepper[T]) moveAll() {
	if c, ok := s.rule.(coupled[T]); ok {
		c.moveTogether(s.current, s.allUpdates())
	}
	var rest float64
	for _, k := range s.order {
		rest += s.blocks[k].cost()
	}
	s.alone = 0
	for procs := float64(runtime.GOMAXPROCS(0)); s.alone < len(s.order); s.alone++ {
		c := s.blocks[s.order[s.alone]].cost()
		if c*procs <= rest && s.backend == engine.CPU[T]() {
			break
		}
		rest -= c
	}
	s.prepareAll()
	for i := range s.alone {
		s.moveBlock(s.order[i])
	}
	s.moves.Run(len(s.order) - s.alone)
}

// finish is called when the blocks have moved.
func (s *stepper[T]) finish() {
	f, ok := s.rule.(failing)
	failed := ok && f.failures()
	for k := range s.blocks {
		if s.blocks[k].own.frozen {
			continue
		}
		if m, ok := s.blocks[k].mover.(counting); ok {
			m.count()
		}
		if f, ok := s.blocks[k].mover.(failing); ok && f.failures() {
			failed = true
		}
	}
	if !failed {
		s.failing = 0
		return
	}
	s.failing++
	s.failures++
}

// prepareAll does on a device what it can do for all blocks at once.
func (s *stepper[T]) prepareAll() {
	g, ok := s.rule.(gathering)
	if !ok || s.backend == engine.CPU[T]() {
		return
	}
	for k := range s.blocks {
		if m, ok := s.blocks[k].mover.(staged[T]); ok && !s.blocks[k].own.frozen {
			m.prepare(s.backend, &s.current[k], s.update(k))
		}
	}
	g.together()
}

// measure computes norms and clipping factors, and returns the first block whose gradient cannot be used, or -1.
func (s *stepper[T]) measure(blocks []Block[T], r *Report) int {
	var total float64
	for k := range blocks {
		s.grads[k] = blocks[k].Grad
	}
	s.backend.Measure(s.grads, s.sums, s.tops)
	clear(s.grads)
	for k := range blocks {
		t := &s.blocks[k]
		t.sum, t.top = s.sums[k], s.tops[k]
		if !(t.top < math.Inf(1)) {
			return k
		}
		if math.IsInf(t.sum, 1) {
			t.sum = math.MaxFloat64 / float64(len(blocks))
		}
		total += t.sum
	}
	r.GradNorm = math.Sqrt(total)
	r.Clip = 1
	limit := largestGradient[T]()
	for k := range s.blocks {
		t := &s.blocks[k]
		t.clip = 1
		if c := s.settings.Clip.Norm; c > 0 && r.GradNorm > c {
			t.clip = c / r.GradNorm
		}
		if c, norm := s.settings.Clip.BlockNorm, math.Sqrt(t.sum)*t.clip; c > 0 && norm > c {
			t.clip *= c / norm
		}
		r.Clip = min(r.Clip, t.clip)
		if t.top*t.clip > limit {
			return k
		}
	}
	return -1
}

// largestGradient bounds what may enter a rule, so that squares and their products with a few factors stay finite.
func largestGradient[T Float]() float64 {
	if unsafe.Sizeof(T(0)) == 4 {
		return 1e18
	}
	return 1e150
}

func (s *stepper[T]) gradientError(k int, b *Block[T]) error {
	limit := largestGradient[T]()
	for i, v := range b.Grad {
		if a := math.Abs(float64(v)); !(a*s.blocks[k].clip <= limit) || a-a != 0 {
			return &GradientError{b.Name, i, float64(v), s.step}
		}
	}
	return &GradientError{b.Name, 0, s.blocks[k].top, s.step}
}

// RunPart moves one of the blocks of the running step that move at the same time.
func (s *stepper[T]) RunPart(i int) { s.moveBlock(s.order[s.alone+i]) }

func (s *stepper[T]) moveBlock(k int) {
	t := &s.blocks[k]
	if c := t.companion; c >= 0 && !(t.own.frozen && s.blocks[c].own.frozen) {
		t.mover.(jointMover[T]).moveJoint(s.backend, &s.current[k], &s.current[c], t.slots, s.update(k), s.update(c))
		return
	}
	if !t.own.frozen && t.mover != nil {
		t.mover.move(s.backend, &s.current[k], t.slots, s.update(k))
	}
}

// SetLayers implements StatsObserver.
func (s *stepper[T]) SetLayers(layers []Layer) {
	if r, ok := s.rule.(observing[T]); ok {
		r.setLayers(layers)
		s.blocks = nil
	}
}

// WantsStats implements StatsObserver.
func (s *stepper[T]) WantsStats() Flavour {
	if r, ok := s.rule.(observing[T]); ok {
		return r.wants(s.step)
	}
	return NoStats
}

// Observe implements StatsObserver.
func (s *stepper[T]) Observe(stats []Stats[T]) (err error) {
	r, ok := s.rule.(observing[T])
	if !ok {
		return nil
	}
	if s.blocks == nil {
		return errors.New("nnopt: Init has not been called")
	}
	defer func() {
		if err != nil {
			r.forget()
		}
	}()
	defer engine.Recover(&err)
	s.deferCalls()
	defer s.settleCalls()
	return r.observe(stats, s.step)
}

func (s *stepper[T]) forget() {
	if r, ok := s.rule.(observing[T]); ok {
		r.forget()
	}
}

// update returns what the last step that was not skipped does to block k beside the rule.
func (s *stepper[T]) update(k int) engine.Update {
	t := &s.blocks[k]
	peak := s.settings.LR * t.own.lrScale
	u := engine.Update{LR: peak * s.scale, GradScale: t.clip}
	if t.own.frozen {
		return engine.Update{GradScale: t.clip}
	}
	switch s.settings.DecayKind {
	case L2:
		u.L2 = t.own.decay
	case Corrected:
		u.Decay = t.own.decay * peak * s.scale * s.scale
	case Independent:
		u.Decay = t.own.decay * s.scale
	default:
		u.Decay = t.own.decay * peak * s.scale
	}
	return u
}
