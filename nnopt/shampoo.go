package nnopt

import (
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
	o.LR = orDefault(o.LR, 1e-3)
	return newStepper(name, o.Settings, rule[T](&shampooRule[T]{Factoring: o.Factoring, corrected: true}))
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
	o.LR, o.GraftEps = orDefault(o.LR, 1e-3), orDefault(o.GraftEps, 1e-10)
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
		o.GraftBeta2 = orDefault(o.GraftBeta2, 0.999)
	default:
		o.GraftBeta2 = orDefault(o.GraftBeta2, 0.99)
	}
	return newStepper("shampoo", o.Settings, rule[T](&shampooRule[T]{
		Factoring: o.Factoring, exponents: o.Exponents, roots: o.Roots, pseudo: o.Pseudo, kl: o.KL, graft: o.Graft, graftBeta2: o.GraftBeta2, graftEps: o.GraftEps,
	}))
}

// shampooRule is EShampoo when corrected is set.
type shampooRule[T Float] struct {
	Factoring
	corrected            bool
	exponents            []float64
	roots                RootMethod
	pseudo               bool
	kl                   bool
	graft                Graft
	graftBeta2, graftEps float64

	step   int
	groups []*momentGroup[T]  // on a device
	placed []*shampooBlock[T] // there, since the last start
}

func (r *shampooRule[T]) counters() []counter { return nil }

// begin forgets what a step that failed on a device left to do.
func (r *shampooRule[T]) begin(t int, _ float64, _ int) {
	r.step = t
	for _, g := range r.groups {
		g.tasks = g.tasks[:0]
	}
}

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
	s := &shampooBlock[T]{rule: r, momentum: slots[0].Data, g: make([]T, b.Len()), hat: make([]T, b.Len()), out: make([]T, b.Len())}
	rest := slots[1:]
	take := func() []T {
		data := rest[0].Data
		rest = rest[1:]
		return data
	}
	if r.hasGraft() {
		s.graft = take()
	}
	for _, p := range r.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := shampooPart[T]{piece: p}
		part.e, part.dims, part.z, part.t = engine.CPU[T](), p.dims, make([]T, p.size()), make([]T, p.size())
		if r.corrected {
			part.second = take()
		}
		for i, n := range p.dims {
			if p.excluded[i] {
				continue
			}
			part.moments = append(part.moments, r.moment(i, n, take))
		}
		part.reckon(part.e, nil)
		s.parts = append(s.parts, part)
	}
	return s
}

// moment makes the factor of dimension i from the next slots.
func (r *shampooRule[T]) moment(i, n int, take func() []T) *momentFactor[T] {
	l := take()
	if r.formed() {
		f := newMomentFactor(i, n, l, make([]T, n*n), nil)
		f.root, f.coupled = dense.Wrap(n, n, take()), newCoupledRoot(n)
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
	rule            *shampooRule[T]
	momentum, graft []T
	g, hat, out     []T // gradient, its filtered form, direction
	parts           []shampooPart[T]
	fine            wideGround // of refreshes, on a device
	prepared        bool       // what comes before the preconditioning is done
}

func (s *shampooBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	if !s.prepared {
		s.observe(e, b, u)
		for k := range s.parts {
			s.parts[k].refresh(s.rule)
		}
	}
	s.prepared = false
	for k := range s.parts {
		s.parts[k].step(s)
	}
	leave(e, b, u, 1, s.out)
}

// observe takes the gradient into the averages and moments.
func (s *shampooBlock[T]) observe(e engine.Backend[T], b *Block[T], u engine.Update) {
	enter(e, s.g, b, u)
	s.rule.filter(e, s.hat, s.momentum, s.g)
	if s.graft != nil {
		w := T(1 - s.rule.graftBeta2)
		if s.rule.graftBeta2 == 1 {
			w = 1
		}
		e.AddSquares(T(s.rule.graftBeta2), w, 0, s.g, s.graft)
	}
	for k := range s.parts {
		p := &s.parts[k]
		p.rewind()
		p.failed = false
		gather(p.e, &p.piece, p.z, s.g)
		p.accept(s.rule)
		p.observe(s.rule, s.g)
	}
}

// prepare implements staged: what is due for decompositions joins the group of its size.
func (s *shampooBlock[T]) prepare(e engine.Backend[T], b *Block[T], u engine.Update) {
	s.observe(e, b, u)
	s.prepared = true
	for k := range s.parts {
		if p := &s.parts[k]; len(p.moments) > 0 && !p.moments[0].iterates() {
			p.join(s.rule, s.fine.e)
		} else {
			p.refresh(s.rule)
		}
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

// shampooPart is the preconditioner of one piece.
type shampooPart[T Float] struct {
	piece piece
	productModes[T]
	moments []*momentFactor[T]
	second  []T // of the rotated gradient, EShampoo
	failed  bool

	figures        *engine.Reckoning[T]
	accepted, keep engine.Figure // whether the moments can hold the gradient, and what they are multiplied by
}

// reckon makes the registers of the part.
func (p *shampooPart[T]) reckon(e engine.Backend[T], a *engine.Arena[T]) {
	p.figures = engine.NewReckoning(e, a, 48+16*len(p.moments))
}

func (s *shampooBlock[T]) failures() bool {
	return slices.ContainsFunc(s.parts, func(p shampooPart[T]) bool { return p.failed || p.figures.Value(p.accepted) == 0 })
}

func (p *shampooPart[T]) step(s *shampooBlock[T]) {
	r := s.rule
	if r.corrected {
		p.corrected(s)
		return
	}
	gather(p.e, &p.piece, p.z, s.hat)
	if r.graft != GraftNone {
		length := p.graft(s)
		if r.step < r.Start {
			return
		}
		gather(p.e, &p.piece, p.z, s.hat)
		p.precondition(r, -1)
		q := p.figures
		ratio := q.Over(length, q.Plus(p.length(q), q.Number(1e-16)))
		q.Run()
		p.e.BlendBy(q.Register(ratio), p.z, nil, nil, p.z)
	} else {
		p.precondition(r, -1)
	}
	scatter(p.e, &p.piece, s.out, p.z)
}

// accept finds whether the moments, which are sums with Beta2 1, can take the gradient in z in without leaving the range of T. If not it becomes 0.
func (p *shampooPart[T]) accept(r *shampooRule[T]) {
	q := p.figures
	q.Begin()
	low, _ := eigenRange[T]()
	limit := q.Number(math.Pow(low, -2.6)) // 2.5e36 in float32
	squares, room := p.squaresOf(q), limit
	for _, f := range p.moments {
		room = q.Least(room, q.Minus(limit, f.trace(p.e, q)))
	}
	p.accepted = q.Below(squares, room)
	p.keep = q.Pick(p.accepted, q.Number(r.Beta2), q.Number(1))
	q.Run()
	p.leaveOut()
}

// leaveOut sets z to 0 where the gradient is not accepted.
func (p *shampooPart[T]) leaveOut() { p.e.BlendBy(p.figures.Register(p.accepted), p.z, nil, nil, p.z) }

// observe takes the gradient, that in z but for what kl does to it, into the moments.
func (p *shampooPart[T]) observe(r *shampooRule[T], g []T) {
	for k, f := range p.moments {
		if r.kl {
			gather(p.e, &p.piece, p.z, g)
			p.precondition(r, k)
			p.leaveOut()
		}
		p.e.BlendBy(p.figures.Register(p.keep), f.l.Data, nil, nil, f.l.Data)
		p.gram(T(r.weight()), f.mode, f.l)
	}
}

// corrected is the step of EShampoo.
func (p *shampooPart[T]) corrected(s *shampooBlock[T]) {
	r := s.rule
	gather(p.e, &p.piece, p.z, s.g)
	p.leaveOut()
	for _, f := range p.moments {
		p.apply(dense.Transposed, f.q, f.mode)
	}
	p.e.BlendBy(p.figures.Register(p.keep), p.second, nil, nil, p.second)
	p.e.AddSquares(1, T(r.weight()), 0, p.z, p.second)
	gather(p.e, &p.piece, p.z, s.hat)
	for _, f := range p.moments {
		p.apply(dense.Transposed, f.q, f.mode)
	}
	p.e.DivideRoot(p.second, r.correction(r.step), r.Eps, p.z)
	for _, f := range p.moments {
		p.apply(dense.NoTrans, f.q, f.mode)
	}
	scatter(p.e, &p.piece, s.out, p.z)
}

// length finds the norm of z.
func (p *productModes[T]) length(q *engine.Reckoning[T]) engine.Figure { return q.Root(p.squaresOf(q)) }

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

// powers sets fine to powers of the eigenvalues, shifted so that the smallest is at least eps; of a pseudo-inverse those of what is zero to rounding are 0.
func (f *momentFactor[T]) powers(e, eps float64, pseudo bool) {
	low, _ := eigenRange[T]()
	shift, floor := T(max(0, eps-float64(slices.Min(f.values)))), T(max(eps, low*low))
	if pseudo {
		shift, floor = 0, T(float64(f.n)*epsilon[T]())*slices.Max(f.values)
	}
	for i, v := range f.values {
		f.fine[i] = max(v+shift, floor)
	}
	dense.Pow(f.fine, f.fine, e)
	if !pseudo {
		return
	}
	for i, v := range f.values {
		if v <= floor {
			f.fine[i] = 0
		}
	}
}

// graft writes the direction of the method that lends its step length to the output, and finds its norm over the piece.
func (p *shampooPart[T]) graft(s *shampooBlock[T]) engine.Figure {
	r := s.rule
	gather(p.e, &p.piece, p.z, s.hat)
	if s.graft != nil {
		gather(p.e, &p.piece, p.t, s.graft)
		correction := 1.0
		if r.graft == GraftAdam && !r.NoBiasCorrection {
			correction = 1 - math.Pow(r.graftBeta2, float64(r.step))
		}
		p.e.DivideRoot(p.t, correction, r.graftEps, p.z)
	}
	scatter(p.e, &p.piece, s.out, p.z)
	return p.length(p.figures)
}

func (*shampooRule[T]) deferring() {}

// onHost implements hosted: eigenvalues.
func (r *shampooRule[T]) onHost(slot string) bool { return strings.HasPrefix(slot, "values") }

func (s *shampooBlock[T]) place(e engine.Backend[T], a *engine.Arena[T]) {
	s.g, s.hat, s.out = a.Alloc(len(s.g)), a.Alloc(len(s.hat)), a.Alloc(len(s.out))
	s.fine = wide(e)
	if e != engine.CPU[T]() {
		s.rule.placed = append(s.rule.placed, s)
	}
	for k := range s.parts {
		s.parts[k].place(e, a)
		s.parts[k].reckon(e, a)
		for _, f := range s.parts[k].moments {
			f.diagonal = a.Alloc(f.n)
			f.place(s.fine.e, s.fine.arena)
		}
	}
}
