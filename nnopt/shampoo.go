package nnopt

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// EShampoo are the options of eigenvalue-corrected Shampoo (Eschenhagen et al., arXiv:2506.03595; with QR it is SOAP, arXiv:2409.11321): with Q_k the
// eigenbases of the moments, V <- Beta2 V + (1-Beta2) (rotated G)^2 and W <- (1 - lr Decay) W - lr times the rotated average of the gradient divided by
// sqrt(V) + Eps, rotated back.
//
// After orthogonal iterations the basis is sorted by descending Rayleigh quotients and V follows. LibraryOrder sorts ascending and leaves V, as
// facebookresearch/optimizers does: the next iteration then starts from the wrong end, and V divides by what belonged to other columns.
type EShampoo struct {
	Settings // LR defaults to 0.001
	Factoring
}

// Validate reports the first option that has a value that it cannot have.
func (o *EShampoo) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	return o.Factoring.Validate()
}

// NewEShampoo returns eigenvalue-corrected Shampoo. For an m x n matrix it keeps 2 m n + 2 m^2 + 2 n^2 numbers.
func NewEShampoo[T Float](o EShampoo) (Optimizer[T], error) { return newEShampoo[T]("eshampoo", o) }

// NewSOAP returns eigenvalue-corrected Shampoo with QR set, one orthogonal iteration for a refresh.
func NewSOAP[T Float](o EShampoo) (Optimizer[T], error) {
	o.QR = true
	return newEShampoo[T]("soap", o)
}

func newEShampoo[T Float](name string, o EShampoo) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	o.LR = cmp.Or(o.LR, 1e-3)
	return newStepper(name, o.Settings, rule[T](&shampooRule[T]{Factoring: o.Factoring, settings: o.Settings, corrected: true}))
}

// Graft names the optimizer whose step length Shampoo takes over.
type Graft string

// The graftings; the empty one is GraftNone.
const (
	GraftNone    Graft = "none"
	GraftSGD     Graft = "sgd"
	GraftAdaGrad Graft = "adagrad"
	GraftRMSProp Graft = "rmsprop"
	GraftAdam    Graft = "adam"
)

// RootMethod says how Shampoo gets inverse roots.
type RootMethod string

// The methods; the empty one is RootEigen. The coupled iterations take products only and need an exponent 1/p, or q/p with q <= 8 for RootSeries, p <= 64.
const (
	RootEigen  RootMethod = "eigen"  // from the eigenbasis, which is kept: by decomposition, QR or Sweeps
	RootNewton RootMethod = "newton" // coupled Newton iteration
	RootSeries RootMethod = "series" // coupled iteration of third order
)

// Shampoo are the options of Shampoo (Gupta et al., arXiv:1802.09568; Shi et al., arXiv:2309.06497): the average of the gradient is multiplied by
// (L_k + Eps I)^(-e_k) along each dimension k, e_k = 1/(2 order) unless Exponents says otherwise. With a graft the result gets the length of
// another method's step, whose steps are also those before Start.
type Shampoo struct {
	Settings // LR defaults to 0.001
	Factoring
	Exponents  []float64  `json:"exponents,omitempty"`      // one for all dimensions, or one for each; 0 leaves a dimension out
	Graft      Graft      `json:"graft,omitempty"`          // default GraftAdam
	GraftBeta2 float64    `json:"graft_beta2,omitempty"`    // of rmsprop and adam; default 0.99 and 0.999
	GraftEps   float64    `json:"graft_eps,omitempty"`      // default 1e-10
	Roots      RootMethod `json:"roots,omitempty"`          // default RootEigen
	Pseudo     bool       `json:"pseudo_inverse,omitempty"` // eigenvalues of at most n times the distance from 1 to the next number, relative to the largest, are dropped; Eps is 0
	KL         bool       `json:"kl,omitempty"`             // KL-Shampoo: the moment of a dimension is that of the gradient preconditioned along the others
}

// Validate reports the first option that has a value that it cannot have.
func (o *Shampoo) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if err := o.Factoring.Validate(); err != nil {
		return err
	}
	if !slices.Contains([]Graft{"", GraftNone, GraftSGD, GraftAdaGrad, GraftRMSProp, GraftAdam}, o.Graft) {
		return option("graft", "must be none, sgd, adagrad, rmsprop or adam, not %q", o.Graft)
	}
	for _, e := range o.Exponents {
		if err := notNegative("exponents", e); err != nil {
			return err
		}
	}
	if err := o.validateRoots(); err != nil {
		return err
	}
	if err := below("graft_beta2", o.GraftBeta2); err != nil {
		return err
	}
	return notNegative("graft_eps", o.GraftEps)
}

func (o *Shampoo) validateRoots() error {
	most := 1
	switch o.Roots {
	case "", RootEigen:
		return nil
	case RootSeries:
		most = 8
	case RootNewton:
	default:
		return option("roots", "must be eigen, newton or series, not %q", o.Roots)
	}
	if o.QR || o.Sweeps || o.Pseudo {
		return option("roots", "%s keeps no eigenbasis for qr, sweeps and pseudo_inverse", o.Roots)
	}
	for _, e := range o.Exponents {
		if _, _, ok := fraction(e, most); !ok && e != 0 {
			return option("exponents", "%v is no 1/p (or q/p, q <= %d, p <= 64) that the roots %s can take", e, most, o.Roots)
		}
	}
	return nil
}

// NewShampoo returns Shampoo. For an m x n matrix it keeps m n + 2 m^2 + 2 n^2 + m + n numbers, with most graftings m n more.
func NewShampoo[T Float](o Shampoo) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	o.LR, o.GraftEps = cmp.Or(o.LR, 1e-3), cmp.Or(o.GraftEps, 1e-10)
	if o.Pseudo {
		o.Eps = 0
	}
	if o.Graft == "" {
		o.Graft = GraftAdam
	}
	switch o.Graft {
	case GraftAdaGrad:
		o.GraftBeta2 = 1
	case GraftAdam:
		o.GraftBeta2 = cmp.Or(o.GraftBeta2, 0.999)
	default:
		o.GraftBeta2 = cmp.Or(o.GraftBeta2, 0.99)
	}
	return newStepper("shampoo", o.Settings, rule[T](&shampooRule[T]{
		Factoring: o.Factoring, settings: o.Settings, exponents: o.Exponents, roots: o.Roots, pseudo: o.Pseudo, kl: o.KL, graft: o.Graft, graftBeta2: o.GraftBeta2, graftEps: o.GraftEps,
	}))
}

// shampooRule is EShampoo when corrected is set.
type shampooRule[T Float] struct {
	Factoring
	settings             Settings
	corrected            bool
	exponents            []float64
	roots                RootMethod
	pseudo               bool
	kl                   bool
	graft                Graft
	graftBeta2, graftEps float64

	step int
	away *shampooAway[T] // on a device
}

func (r *shampooRule[T]) counters() []counter { return nil }

func (r *shampooRule[T]) begin(t int, _ float64, _ int) { r.step = t }

// hasGraft says whether grafting keeps second moments.
func (r *shampooRule[T]) hasGraft() bool {
	return r.graft == GraftAdaGrad || r.graft == GraftRMSProp || r.graft == GraftAdam
}

// formed says whether the roots themselves are kept, not eigenbases.
func (r *shampooRule[T]) formed() bool { return r.roots == RootNewton || r.roots == RootSeries }

func (r *shampooRule[T]) slots(b *Block[T]) []slotShape {
	all := like(b, "momentum")
	if r.hasGraft() {
		all = append(all, like(b, "graft")...)
	}
	for k, p := range r.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		if r.corrected {
			all = append(all, slotShape{fmt.Sprintf("second%d", k), 1, p.size()})
		}
		for i, n := range p.dims {
			if p.excluded[i] {
				continue
			}
			all = append(all, slotShape{fmt.Sprintf("moment%d.%d", k, i), n, n})
			if r.formed() {
				all = append(all, slotShape{fmt.Sprintf("root%d.%d", k, i), n, n})
				continue
			}
			all = append(all, slotShape{fmt.Sprintf("basis%d.%d", k, i), n, n})
			if !r.corrected {
				all = append(all, slotShape{fmt.Sprintf("values%d.%d", k, i), 1, n})
			}
		}
	}
	return all
}

func (r *shampooRule[T]) start(_ *Block[T], slots []Slot[T]) { startBases(slots) }

// startBases sets the slots of bases to the identity and those of eigenvalues to 1.
func startBases[T Float](slots []Slot[T]) {
	for _, slot := range slots {
		switch {
		case strings.HasPrefix(slot.Name, "basis"), strings.HasPrefix(slot.Name, "root"):
			dense.Wrap(slot.Rows, slot.Cols, slot.Data).Identity()
		case strings.HasPrefix(slot.Name, "values"):
			for i := range slot.Data {
				slot.Data[i] = 1
			}
		}
	}
}

func (r *shampooRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	s, rest := r.away.block(b.Name), slots
	away := s != nil
	if !away {
		s = &shampooBlock[T]{rule: r, arrays: arrays[T]{g: make([]T, b.Len()), hat: make([]T, b.Len()), out: make([]T, b.Len())}}
	}
	take := func() []T {
		data := rest[0].Data
		rest = rest[1:]
		return data
	}
	s.momentum = take()
	if r.hasGraft() {
		s.graft = take()
	}
	if away {
		return s
	}
	for _, p := range r.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := newShampooPart[T](p.dims, p.excluded, 1)
		part.z, part.t = make([]T, p.size()), make([]T, p.size())
		if r.corrected {
			part.second = take()
		}
		for i, n := range p.dims {
			if !p.excluded[i] {
				part.moments = append(part.moments, r.moment(i, n, take))
			}
		}
		part.of = &s.arrays
		part.add(s, p, 0)
		part.reckon(part.e, nil)
	}
	return s
}

// moment makes the factor of dimension i from the next slots.
func (r *shampooRule[T]) moment(i, n int, take func() []T) *momentFactor[T] {
	l := take()
	if r.formed() {
		f := newMomentFactor(i, n, l, nil, nil)
		f.root, f.coupled = squares(take(), 1, n), newCoupledRoots(f.e, nil, 1, n)
		return f
	}
	q, values := take(), []T(nil)
	if !r.corrected {
		values = take()
	}
	f := newMomentFactor(i, n, l, q, values)
	if r.Sweeps {
		f.sweeper = newEigenFactor(make([]float64, n*n), make([]float64, n), make([]float64, n*n))
		f.sweeper.bind(newTurnWork[float64](nil, n, dense.CayleyWork(n)))
	}
	return f
}

// shampooBlock moves one block.
type shampooBlock[T Float] struct {
	rule *shampooRule[T]
	arrays[T]
	pieces     []shampooPlace[T]
	staging[T] // on a device
}

// shampooPlace is where a piece of a block is worked on: tensor k of a part.
type shampooPlace[T Float] struct {
	part *shampooPart[T]
	k    int
}

func (s *shampooBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	if s.rule.away == nil {
		enter(e, s.g, b, u)
		s.rule.observe(e, &s.arrays)
		for _, p := range s.pieces {
			p.part.observe(s.rule)
		}
		for _, p := range s.pieces {
			p.part.refresh(s.rule)
		}
		for _, p := range s.pieces {
			p.part.step(s.rule)
		}
	}
	leave(e, b, u, 1, s.out)
}

// observe takes gradients into the averages.
func (r *shampooRule[T]) observe(e engine.Backend[T], a *arrays[T]) {
	r.filter(e, a.hat, a.momentum, a.g)
	if a.graft != nil {
		w := T(1 - r.graftBeta2)
		if r.graftBeta2 == 1 {
			w = 1
		}
		e.AddSquares(T(r.graftBeta2), w, 0, a.g, a.graft)
	}
}

// filter sets hat to (Beta3 m + (1-Beta3) g)/(1 - Beta3 Beta1^(t-1)), with m before this step, and m to Beta1 m + (1-Beta1) g.
func (r *shampooRule[T]) filter(e engine.Backend[T], hat, m, g []T) {
	c := 1.0
	if !r.NoBiasCorrection {
		c = 1 - r.Beta3*math.Pow(r.Beta1, float64(r.step-1))
	}
	e.Blend(T(r.Beta3/c), m, T((1-r.Beta3)/c), g, hat)
	average(e, T(r.Beta1), m, g)
}

// shampooPart is the preconditioners of pieces of one shape: one piece on the processor, on a device all that have this shape.
type shampooPart[T Float] struct {
	productModes[T]
	excluded []bool
	of       *arrays[T] // with the blocks
	layout   layout
	pieces   []shampooPiece
	moments  []*momentFactor[T]
	second   []T // of the rotated gradients, EShampoo
	figures  *engine.Reckoning[T]

	accepted, keep engine.Figure // whether the moments can hold the gradients, and what they are multiplied by
}

// shampooPiece is a piece of a block, one of the tensors of a part.
type shampooPiece struct {
	piece
	failed bool
}

// newShampooPart returns the part of count pieces, on the processor, without memory.
func newShampooPart[T Float](dims []int, excluded []bool, count int) *shampooPart[T] {
	return &shampooPart[T]{productModes: newProductModes[T](dims, count), excluded: excluded}
}

// add adds a piece of a block that begins at an element of the arrays.
func (p *shampooPart[T]) add(s *shampooBlock[T], own piece, begin int) {
	s.pieces = append(s.pieces, shampooPlace[T]{p, len(p.pieces)})
	p.pieces = append(p.pieces, shampooPiece{piece: own})
	p.layout.add(&own, begin)
}

// reckon makes the registers of the part.
func (p *shampooPart[T]) reckon(e engine.Backend[T], a *engine.Arena[T]) {
	p.figures = engine.NewReckoning(e, a, len(p.pieces), 48+16*len(p.moments))
}

func (s *shampooBlock[T]) failures() bool {
	return slices.ContainsFunc(s.pieces, func(at shampooPlace[T]) bool {
		return at.part.pieces[at.k].failed || at.part.figures.Value(at.part.accepted, at.k) == 0
	})
}

// gather sets z to the pieces of an array of the blocks.
func (p *shampooPart[T]) gather(from []T) { gather(p.e, p.layout, p.size, p.z, from) }

// scatter copies z to the directions of the blocks.
func (p *shampooPart[T]) scatter() { scatter(p.e, p.layout, p.size, p.of.out, p.z) }

func (p *shampooPart[T]) step(r *shampooRule[T]) {
	if r.corrected {
		p.corrected(r)
		return
	}
	p.gather(p.of.hat)
	if r.graft == GraftNone {
		p.precondition(r, -1)
		p.scatter()
		return
	}
	p.graft(r)
	if r.step < r.Start {
		return
	}
	q := p.figures
	length := q.Root(p.squaresOf(q))
	p.gather(p.of.hat)
	p.precondition(r, -1)
	ratio := q.Over(length, q.Plus(q.Root(p.squaresOf(q)), q.Number(1e-16)))
	q.Run()
	multiplyBy(p.e, q.Register(ratio), p.z, p.count)
	p.scatter()
}

// accept finds whether the moments, which are sums with Beta2 1, can take the gradients in z in without leaving the range of T. Those that cannot become 0.
func (p *shampooPart[T]) accept(r *shampooRule[T]) {
	q := p.figures
	q.Begin()
	low, _ := eigenRange[T]()
	limit := q.Number(math.Pow(low, -2.6)) // 2.5e36 in float32
	room := limit
	for _, f := range p.moments {
		f.trace(p.e, q, f.l)
		room = q.Least(room, q.Minus(limit, f.traced))
	}
	p.accepted = q.Below(p.squaresOf(q), room)
	p.keep = q.Pick(p.accepted, q.Number(r.Beta2), q.Number(1))
	q.Run()
	p.leaveOut()
}

// leaveOut sets z to 0 where the gradient is not accepted.
func (p *shampooPart[T]) leaveOut() {
	multiplyBy(p.e, p.figures.Register(p.accepted), p.z, p.count)
}

// observe takes the gradients into the moments.
func (p *shampooPart[T]) observe(r *shampooRule[T]) {
	p.prepare(r)
	for k, f := range p.moments {
		p.learn(r, k, f.l)
	}
}

// prepare sets z to the gradients that are accepted.
func (p *shampooPart[T]) prepare(r *shampooRule[T]) {
	p.rewind()
	for k := range p.pieces {
		p.pieces[k].failed = false
	}
	p.gather(p.of.g)
	p.accept(r)
}

// learn sets l, which may be those of factor k, to its moments with the gradients, those in z but for what kl does to them.
func (p *shampooPart[T]) learn(r *shampooRule[T], k int, l engine.Batch[T]) {
	if r.kl {
		p.gather(p.of.g)
		p.precondition(r, k)
		p.leaveOut()
	}
	f := p.moments[k]
	p.e.BlendBy(p.figures.Register(p.keep), lines(f.l.Data, p.count), nil, engine.Batch[T]{}, lines(l.Data, p.count))
	p.gram(T(r.weight()), f.mode, l)
}

// corrected is the step of EShampoo.
func (p *shampooPart[T]) corrected(r *shampooRule[T]) {
	p.gather(p.of.g)
	p.leaveOut()
	for _, f := range p.moments {
		p.apply(dense.Transposed, f.q, f.mode)
	}
	multiplyBy(p.e, p.figures.Register(p.keep), p.second, p.count)
	p.e.AddSquares(1, T(r.weight()), 0, p.z, p.second)
	p.gather(p.of.hat)
	for _, f := range p.moments {
		p.apply(dense.Transposed, f.q, f.mode)
	}
	p.e.DivideRoot(p.second, r.correction(r.step), r.Eps, p.z)
	for _, f := range p.moments {
		p.apply(dense.NoTrans, f.q, f.mode)
	}
	p.scatter()
}

// exponent returns e_k of the k-th factor.
func (p *shampooPart[T]) exponent(r *shampooRule[T], k int) float64 {
	switch {
	case len(r.exponents) == 0:
		return 1 / float64(2*len(p.dims))
	case len(r.exponents) == 1:
		return r.exponents[0]
	case p.moments[k].mode < len(r.exponents):
		return r.exponents[p.moments[k].mode]
	}
	return 1 / float64(2*len(p.dims))
}

// precondition multiplies z by L^(-e) along every dimension but that of factor without.
func (p *shampooPart[T]) precondition(r *shampooRule[T], without int) {
	for k, f := range p.moments {
		e := p.exponent(r, k)
		if k == without || e == 0 {
			continue
		}
		if r.formed() {
			p.apply(dense.NoTrans, f.root, f.mode)
			continue
		}
		p.apply(dense.Transposed, f.q, f.mode)
		f.powers(-e, r.Eps, r.pseudo)
		p.multiply(f.fine, f.mode)
		p.apply(dense.NoTrans, f.q, f.mode)
	}
}

// graft leaves the direction of the method that lends its step length in z, and takes it to the output.
func (p *shampooPart[T]) graft(r *shampooRule[T]) {
	if r.hasGraft() {
		gather(p.e, p.layout, p.size, p.t, p.of.graft)
		correction := 1.0
		if r.graft == GraftAdam && !r.NoBiasCorrection {
			correction = 1 - math.Pow(r.graftBeta2, float64(r.step))
		}
		p.e.DivideRoot(p.t, correction, r.graftEps, p.z)
	}
	p.scatter()
}

func (*shampooRule[T]) deferring() {}

// onHost implements hosted: eigenvalues.
func (r *shampooRule[T]) onHost(slot string) bool { return strings.HasPrefix(slot, "values") }
