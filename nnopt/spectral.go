package nnopt

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Statistics says what the factors of a preconditioner are made of.
type Statistics string

// The statistics; the empty one is KLStatistics.
const (
	// KLStatistics is the natural gradient of the KL divergence between Gaussians: a factor sees the gradient preconditioned by the others, and the
	// fixed point is the maximum-likelihood Kronecker covariance.
	KLStatistics Statistics = "kl"
	// ShampooStatistics are the plain second moments along each dimension; the power of a factor is then divided by the number of factors.
	ShampooStatistics Statistics = "shampoo"
)

// ProductPrecision says in which precision operands enter matrix products; sums are in that of the parameters.
type ProductPrecision string

// The precisions; the empty one is that of the parameters.
const ProductsBFloat16 ProductPrecision = "bfloat16" // operands are rounded to bfloat16, on the processor only

// Spectral are the options of the spectral-factorised preconditioner (Lin et al., arXiv:2502.06268). For a weight matrix the second moment of the
// gradient is S = alpha C (x) K with C = B M B^T of determinant 1, K likewise, where B is orthogonal and M near its diagonal d. A step is
// W <- (1 - lr Decay) W - lr S^(-1/Root) m, with d in the place of M and the moving average m of the gradient. S learns in every step, by the weight
// Beta2; every Interval steps, and in each of the first Interval ones, B is turned towards the eigenvectors by bounded angles, in matrix products only,
// and M along with it, so that nothing is lost: with ShampooStatistics B M B^T is the exact moving average. The published method drops what a rotation
// leaves off the diagonal (Drop, Published). The gradient is rotated once, for S and for m, which is kept in the coordinates of the bases. Vectors have
// one full matrix; tensors (Shaping.Tensors) one factor for each dimension.
//
// Root 1 is the root-free (natural-gradient) step: it takes StepInfo.BatchSize times the outer product of the mean gradient as statistics and
// wants a smaller learning rate.
type Spectral struct {
	Settings               // LR defaults to 0.006
	Shaping     Shaping    `json:"shaping,omitzero"`       // its MaxDim defaults to 256: factors of larger dimensions cost more time than they save steps on the workloads of bench/tuned
	Statistics  Statistics `json:"statistics,omitempty"`   // default KLStatistics
	Root        float64    `json:"root,omitempty"`         // any positive number, default 2
	Momentum    float64    `json:"momentum,omitempty"`     // default 0.9, with bias correction
	NoMomentum  bool       `json:"no_momentum,omitempty"`  //
	Beta2       float64    `json:"beta2,omitempty"`        // weight of the newest gradient in S; default 0.05
	Gamma       float64    `json:"gamma,omitempty"`        // decay of S in units of Beta2; default 1, the moving average
	Sum         bool       `json:"sum,omitempty"`          // Gamma 0: S is a sum
	Damping     float64    `json:"damping,omitempty"`      // added to the second moments; default 1e-16, and 1e-4 for Root 1
	Interval    int        `json:"interval,omitempty"`     // steps between rotations; default 1
	Spread      bool       `json:"spread,omitempty"`       // blocks take turns within an interval, so that steps cost the same
	Tol         float64    `json:"tol,omitempty"`          // > 0: sweep until the coupling max |M_ij|/sqrt(M_ii M_jj) is at most Tol, 0 to MaxSweeps times
	MaxSweeps   int        `json:"max_sweeps,omitempty"`   // default 1, with Tol 4
	Drop        bool       `json:"drop,omitempty"`         // what a rotation leaves off the diagonal is dropped; default: it stays in S
	Published   bool       `json:"published,omitempty"`    // first-order angles and exponential eigenvalues as published
	MaxNorm     float64    `json:"max_norm,omitempty"`     // bound on the norm of a rotation's generator; default 0.7
	DiagVectors bool       `json:"diag_vectors,omitempty"` // a diagonal S for vectors
	BFloat16    bool       `json:"bfloat16,omitempty"`     // momentum and what is off the diagonal are stored in bfloat16; bases and eigenvalues keep their precision

	// Products rounds the operands of the products with gradients, momentum and M; rotations of the bases and what keeps them orthogonal stay in the
	// precision of the parameters. On processors with AVX512_BF16 such products take half the time.
	Products ProductPrecision `json:"products,omitempty"`
}

// Validate reports the first option that has a value that it cannot have.
func (o *Spectral) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if err := o.Shaping.Validate(); err != nil {
		return err
	}
	if !slices.Contains([]Statistics{"", KLStatistics, ShampooStatistics}, o.Statistics) {
		return option("statistics", "must be kl or shampoo, not %q", o.Statistics)
	}
	for _, c := range []struct {
		name  string
		value float64
	}{{"root", o.Root}, {"gamma", o.Gamma}, {"damping", o.Damping}, {"tol", o.Tol}, {"max_norm", o.MaxNorm}} {
		if err := notNegative(c.name, c.value); err != nil {
			return err
		}
	}
	if o.NoMomentum && o.Momentum != 0 {
		return option("no_momentum", "contradicts momentum")
	}
	if o.Sum && o.Gamma != 0 {
		return option("sum", "contradicts gamma")
	}
	switch {
	case o.Products != "" && o.Products != ProductsBFloat16:
		return option("products", "must be bfloat16 or left out, not %q", o.Products)
	case o.Products != "" && o.Device != "" && o.Device != engine.CPU[float32]().Name():
		return option("products", "of bfloat16 are for the processor, not for the device %q", o.Device)
	}
	if o.Interval < 0 || o.MaxSweeps < 0 {
		return option("interval and max_sweeps", "must not be negative")
	}
	if err := below("momentum", o.Momentum); err != nil {
		return err
	}
	if orDefault(o.Beta2, 0.05)*orDefault(o.Gamma, 1) > 1 {
		return option("gamma", "times beta2 must be at most 1")
	}
	return below("beta2", o.Beta2)
}

// NewSpectral returns the spectral-factorised preconditioner. For an m x n matrix it keeps m n + 2 m^2 + 2 n^2 numbers; with Drop and Interval 1
// m^2 + n^2 less.
func NewSpectral[T Float](o Spectral) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Root, o.Beta2 = orDefault(o.LR, 6e-3), orDefault(o.Root, 2), orDefault(o.Beta2, 0.05)
	if o.Shaping.MaxDim == 0 {
		o.Shaping.MaxDim = 256
	}
	o.Gamma, o.Momentum, o.Interval = orDefault(o.Gamma, 1), orDefault(o.Momentum, 0.9), max(o.Interval, 1)
	if o.Sum {
		o.Gamma = 0
	}
	if o.NoMomentum {
		o.Momentum = 0
	}
	standard := 1e-16
	if o.Root == 1 {
		standard = 1e-4
	}
	o.Damping = orDefault(o.Damping, standard)
	r := &spectralRule[T]{
		o: o, turning: turning{o.Published, o.Published || o.Drop, orDefault(o.MaxNorm, 0.7), o.Tol, o.MaxSweeps}, free: make(chan *spectralWork[T], 256),
	}
	if r.turning.sweeps == 0 {
		r.turning.sweeps = 1
		if o.Tol > 0 {
			r.turning.sweeps = 4
		}
	}
	return newStepper("spectral", o.Settings, rule[T](r))
}

type spectralRule[T Float] struct {
	o       Spectral
	turning turning

	step  int
	batch float64 // factor on the statistics

	memory *engine.Arena[T] // of workspaces
	turns  map[string]int   // numbers of blocks, with Spread
	most   spectralSizes
	free   chan *spectralWork[T]
}

func (r *spectralRule[T]) counters() []counter { return nil }

func (r *spectralRule[T]) begin(t int, _ float64, batch int) {
	r.step, r.batch = t, 1
	if r.o.Root == 1 && batch > 0 {
		r.batch = float64(batch)
	}
}

// diagonal says whether a piece has no factor but a diagonal S.
func (r *spectralRule[T]) diagonal(p *piece) bool {
	return !slices.Contains(p.excluded, false) || len(p.dims) == 1 && (r.o.DiagVectors || p.dims[0] == 1)
}

func (r *spectralRule[T]) slots(b *Block[T]) []slotShape {
	all := like(b, "momentum")
	for k, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		all = append(all, slotShape{fmt.Sprintf("totals%d", k), 1, totalLength})
		if r.diagonal(&p) {
			all = append(all, slotShape{fmt.Sprintf("second%d", k), 1, p.size()})
			continue
		}
		for i, n := range p.dims {
			if p.excluded[i] {
				continue
			}
			all = append(all, slotShape{fmt.Sprintf("basis%d.%d", k, i), n, n}, slotShape{fmt.Sprintf("values%d.%d", k, i), 1, n})
			if r.keepsCoupling() {
				all = append(all, slotShape{fmt.Sprintf("coupling%d.%d", k, i), n, n})
			}
		}
	}
	return all
}

// The slot "totals" of a piece.
const (
	totalAlpha   = iota // 0 until there was a gradient
	totalUpdates        // updates so far
	totalLength
)

// keepsCoupling says whether what is off the diagonal lasts from step to step.
func (r *spectralRule[T]) keepsCoupling() bool {
	return !r.turning.drop || r.o.Interval > 1 || r.o.Tol > 0
}

func (r *spectralRule[T]) start(_ *Block[T], slots []Slot[T]) {
	startBases(slots)
	if !r.o.BFloat16 {
		return
	}
	for k := range slots {
		if k == 0 || strings.HasPrefix(slots[k].Name, "coupling") {
			slots[k].storeNarrow()
		}
	}
}

// parts returns the preconditioners of the pieces of a block around its slots.
func (r *spectralRule[T]) parts(b *Block[T], slots []Slot[T]) (all []spectralPart[T]) {
	momentum, narrow, rest := slots[0].Data, slots[0].narrow, slots[1:]
	take := func() []T {
		data := rest[0].Data
		rest = rest[1:]
		return data
	}
	for _, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := spectralPart[T]{piece: p, totals: take()}
		part.e, part.dims = engine.CPU[T](), p.dims
		if narrow != nil {
			part.narrow, narrow = narrow[:p.size()], narrow[p.size():]
		} else {
			part.momentum, momentum = momentum[:p.size()], momentum[p.size():]
		}
		if r.diagonal(&p) {
			part.second = take()
		}
		for i := range p.dims {
			if part.second != nil || p.excluded[i] {
				continue
			}
			basis, values, coupling := take(), take(), Slot[T]{}
			if r.keepsCoupling() {
				coupling, rest = rest[0], rest[1:]
			}
			f := newEigenFactor(i, basis, values, coupling.Data)
			f.narrow, f.lasts = coupling.narrow, coupling.Data != nil
			part.factors = append(part.factors, f)
		}
		all = append(all, part)
	}
	return all
}

func (r *spectralRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	parts := r.parts(b, slots)
	r.include(b.Len(), parts)
	s := &spectralBlock[T]{rule: r, parts: parts}
	if r.o.Spread {
		s.turn = r.turnOf(b.Name)
	}
	return s
}

// turnOf returns the step within an interval at which the bases of a block rotate: blocks take turns in the order in which they were seen first.
func (r *spectralRule[T]) turnOf(name string) int {
	n, ok := r.turns[name]
	if !ok {
		if r.turns == nil {
			r.turns = map[string]int{}
		}
		n = len(r.turns)
		r.turns[name] = n
	}
	return n % r.o.Interval
}

// spectralBlock moves one block.
type spectralBlock[T Float] struct {
	rule   *spectralRule[T]
	turn   int // step within an interval at which the bases rotate
	g, out []T
	parts  []spectralPart[T]
}

func (s *spectralBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	o, w := &s.rule.o, s.rule.take()
	s.g, s.out = w.in[:b.Len()], w.out[:b.Len()]
	enter(e, s.g, b, u)
	for k := range s.parts {
		p := &s.parts[k]
		p.failed = false
		p.bind(w)
		p.load(e)
		if p.second != nil {
			p.diagonal(s)
		} else {
			p.step(s)
		}
		p.store(e)
	}
	leave(e, b, u, 1/(1-math.Pow(o.Momentum, float64(s.rule.step))), s.out)
	s.rule.put(w)
}

// enter sets g to the gradient that a rule sees.
func enter[T Float](e engine.Backend[T], g []T, b *Block[T], u engine.Update) {
	e.Blend(T(u.GradScale), b.Grad, T(u.L2), b.Value, g)
}

// leave moves the parameters: W <- (1 - Decay) W - LR c d.
func leave[T Float](e engine.Backend[T], b *Block[T], u engine.Update, c float64, d []T) {
	if u.LR == 0 && u.Decay == 0 {
		return
	}
	e.Blend(T(1-u.Decay), b.Value, -T(u.LR*c), d, b.Value)
}

// average sets m to keep m + (1-keep) g.
func average[T Float](e engine.Backend[T], keep T, m, g []T) { e.Blend(keep, m, 1-keep, g, m) }

// spectralPart is the preconditioner of one piece.
type spectralPart[T Float] struct {
	piece piece
	productModes[T]
	g        []T               // the rotated gradient
	momentum []T               // in the coordinates of the bases
	narrow   []engine.BFloat16 // where the momentum is stored, if it is so
	totals   []T
	second   []T // of a diagonal one
	failed   bool
}

func (s *spectralBlock[T]) failures() bool {
	return slices.ContainsFunc(s.parts, func(p spectralPart[T]) bool { return p.failed })
}

// weight returns the length of the update number n: Beta2, and more at first, when S is the mean of what there was, as the bias correction of a moving
// average has it.
func (r *spectralRule[T]) weight(n float64) float64 {
	if r.o.Gamma != 1 {
		return r.o.Beta2
	}
	return r.o.Beta2 / (1 - math.Pow(1-r.o.Beta2, n))
}

// diagonal is the step of a piece without factors.
func (p *spectralPart[T]) diagonal(s *spectralBlock[T]) {
	r := s.rule
	gather(p.e, &p.piece, p.z, s.g)
	average(p.e, T(r.o.Momentum), p.momentum, p.z)
	p.totals[totalUpdates]++
	beta := r.weight(float64(p.totals[totalUpdates]))
	p.e.AddSquares(T(1-beta*r.o.Gamma), T(beta*r.batch), T(beta*r.o.Damping), p.z, p.second)
	p.e.Power(p.second, -1/r.o.Root, p.t)
	p.e.Multiply(p.t, p.momentum, 0, p.z)
	scatter(p.e, &p.piece, s.out, p.z)
}

// step is that of a piece with factors. The gradient is rotated once, for the statistics and for the momentum, which is kept in the coordinates of the
// bases.
func (p *spectralPart[T]) step(s *spectralBlock[T]) {
	r := s.rule
	gather(p.e, &p.piece, p.z, s.g)
	p.rotate(dense.Transposed)
	learns, form := p.totals[totalAlpha] != 0 || p.begin(r), 0.0
	if learns {
		form = p.measure(r)
		p.failed = !(form < math.MaxFloat64)
	}
	if p.failed {
		p.e.Blend(0, nil, 0, nil, p.z)
	}
	average(p.e, T(r.o.Momentum), p.momentum, p.z)
	if learns && !p.failed {
		p.learn(r, form, r.step-s.turn)
	}
	p.copyTo(p.z, p.momentum)
	p.precondition(r)
	scatter(p.e, &p.piece, s.out, p.z)
}

// begin starts S at the mean square of the first gradient that is not zero, and says whether there was one.
func (p *spectralPart[T]) begin(r *spectralRule[T]) bool {
	mean := r.batch * p.squares() / float64(len(p.z))
	if !(mean > 0) {
		return false
	}
	mean = p.bounded(mean + r.o.Damping)
	p.totals[totalAlpha] = T(mean)
	if r.o.Statistics != ShampooStatistics {
		return true
	}
	p.totals[totalAlpha] = 1
	for _, f := range p.factors {
		for i := range f.d {
			f.d[i] = T(mean)
		}
	}
	return true
}

func (p *spectralPart[T]) bounded(alpha float64) float64 {
	low, high := eigenRange[T]()
	return min(max(alpha, low*low), high*high)
}

// squares returns the sum of the squares of z, also where it is beyond the range of T.
func (p *productModes[T]) squares() (sum float64) {
	if p.e != engine.CPU[T]() {
		sum, _ = p.e.SumSquares(p.z)
		return sum
	}
	low, _ := eigenRange[T]()
	if s := float64(dense.Dot(p.z, p.z)); s > low*low && !math.IsInf(s, 1) {
		return s
	}
	for _, v := range p.z {
		sum += float64(v) * float64(v)
	}
	return sum
}

// largestSurprise returns how many times the mean of S the square of a gradient may be; larger ones are shortened to it.
func largestSurprise[T Float]() float64 {
	_, high := eigenRange[T]()
	return math.Pow(high, 0.8)
}

// measure returns the mean of the squares of the rotated gradient in z, times the number of elements and relative to S where the statistics are, and
// shortens a gradient that S could not take in. It is infinite or NaN where the gradient is beyond the range of T.
func (p *spectralPart[T]) measure(r *spectralRule[T]) float64 {
	size := float64(len(p.z))
	usual := float64(p.totals[totalAlpha])
	if r.o.Statistics == ShampooStatistics {
		usual = 0
		for _, f := range p.factors {
			usual = max(usual, f.mean())
		}
	} else {
		p.copyTo(p.g, p.z)
		for _, f := range p.factors {
			dense.Pow(f.fine, f.d, -0.5)
			p.multiply(f.fine, f.mode)
		}
	}
	form := r.batch * p.squares()
	if r.o.Statistics != ShampooStatistics {
		p.g, p.z = p.z, p.g
	}
	if limit := largestSurprise[T]() * usual * size; form > limit && !math.IsInf(form, 1) {
		c := math.Sqrt(limit / form)
		p.e.Blend(T(c), p.z, 0, nil, p.z)
		form = limit
	}
	return form
}

// learn takes the rotated gradient in z, which measure has seen, into the factors, and turns them at the end of an interval, by step. It leaves z undefined.
func (p *spectralPart[T]) learn(r *spectralRule[T], form float64, step int) {
	for _, f := range p.factors {
		f.e.SetDiagonal(f.d, engine.One(f.m))
	}
	beta := r.weight(float64(p.totals[totalUpdates]) + 2)
	rate := 0.0
	if r.o.Statistics == ShampooStatistics {
		p.averages(r, beta)
	} else {
		rate = p.likelihood(r, beta, form)
	}
	p.totals[totalUpdates]++
	due := step%r.o.Interval == 0 || p.totals[totalUpdates] <= T(r.o.Interval)
	p.copyTo(p.z, p.momentum)
	for _, f := range p.factors {
		if due {
			f.follow(&r.turning, &p.productModes)
		} else {
			f.stay(&r.turning)
		}
		if due && step/r.o.Interval%restoreEvery == 0 {
			f.restore()
		}
	}
	if due {
		p.copyTo(p.momentum, p.z)
	}
	if r.o.Statistics == ShampooStatistics {
		return
	}
	alpha := float64(p.totals[totalAlpha])
	for _, f := range p.factors {
		scale := f.normalise()
		if r.turning.published {
			alpha *= math.Exp(scale)
		}
	}
	if r.turning.published || rate <= -1 {
		alpha *= math.Exp(min(max(rate, -1), 1))
	} else {
		alpha *= 1 + rate
	}
	p.totals[totalAlpha] = T(p.bounded(alpha))
}

// restoreEvery is the number of rotations between two looks at the defect of the bases.
const restoreEvery = 16

// averages makes the increments of the plain statistics: M <- (1 - beta Gamma) M + beta (n/size Z Z^T + Damping I).
func (p *spectralPart[T]) averages(r *spectralRule[T], beta float64) {
	size := float64(len(p.z))
	for _, f := range p.factors {
		f.decay(T(1 - beta*r.o.Gamma))
		p.gram(T(beta*r.batch*float64(f.n)/size), f.mode, f.m)
		f.addRidge(beta*r.o.Damping, false)
	}
}

// likelihood makes the increments of the KL divergence to every factor, from the old state of the others, and returns that of log alpha. form is the
// sum of the squares of the gradient relative to the factors.
func (p *spectralPart[T]) likelihood(r *spectralRule[T], beta, form float64) float64 {
	size, alpha := float64(len(p.z)), float64(p.totals[totalAlpha])
	trace := r.o.Damping
	for _, f := range p.factors {
		trace *= f.inverseTrace()
	}
	for i, n := range p.dims {
		if p.piece.excluded[i] {
			trace *= float64(n)
		}
	}
	p.g, p.z = p.z, p.g
	for _, f := range p.factors {
		p.copyTo(p.z, p.g)
		for _, other := range p.factors {
			if other != f {
				p.multiply(other.fine, other.mode)
			}
		}
		c := beta * float64(f.n) / (size * alpha)
		p.gram(T(c*r.batch), f.mode, f.m)
		f.addRidge(c*trace/f.inverseTrace(), r.turning.published)
	}
	return beta * ((form+trace)/(alpha*size) - r.o.Gamma)
}

// decay multiplies m.
func (f *eigenFactor[T]) decay(keep T) {
	if f.e != engine.CPU[T]() {
		f.e.Blend(keep, f.m.Data, 0, nil, f.m.Data)
		return
	}
	for i := range f.n {
		row := f.m.Row(i)[i:]
		dense.Scale(keep, row, row)
	}
}

// addRidge adds to the diagonal of m and sets x to the relative increments over d. For the exponential rule the mean of x is taken out of both, which keeps
// the determinant.
func (f *eigenFactor[T]) addRidge(ridge float64, centred bool) {
	var mean float64
	f.e.Diagonal(engine.One(f.m), f.next)
	for i, di := range f.d {
		f.next[i] += T(ridge)
		f.x[i] = (f.next[i] - di) / di
		mean += float64(f.x[i])
	}
	if mean /= float64(f.n); centred {
		for i, di := range f.d {
			f.x[i] -= T(mean)
			f.next[i] -= di * T(mean)
		}
	}
	f.e.SetDiagonal(f.next, engine.One(f.m))
}

func (f *eigenFactor[T]) mean() (mean float64) {
	for _, v := range f.d {
		mean += float64(v) / float64(f.n)
	}
	return mean
}

// precondition multiplies z, in the coordinates of the bases, by S^(-1/Root) and returns it to those of the block.
func (p *spectralPart[T]) precondition(r *spectralRule[T]) {
	if alpha := float64(p.totals[totalAlpha]); alpha != 0 {
		e := -1 / r.o.Root
		if r.o.Statistics == ShampooStatistics {
			p.scale(e / float64(len(p.factors)))
		} else {
			p.scale(e)
		}
		p.e.Blend(T(math.Pow(alpha, e)), p.z, 0, nil, p.z)
	}
	p.rotate(dense.NoTrans)
}
