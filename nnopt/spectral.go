package nnopt

import (
	"fmt"
	"math"
	"slices"

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

// Spectral are the options of the spectral-factorised preconditioner (Lin et al., arXiv:2502.06268). For a weight matrix the second moment of the
// gradient is S = alpha C (x) K, C = B diag(d) B^T with determinant 1 and K likewise, and a step is W <- (1 - lr Decay) W - lr S^(-1/Root) m with the
// moving average m of the gradient. S moves by steps of length Beta2 on the manifold: a rotation by bounded angles and Rayleigh quotients, in matrix
// products only. Vectors have one full matrix; tensors (Shaping.Tensors) one factor for each dimension.
//
// Root 1 is the root-free (natural-gradient) step: it takes StepInfo.BatchSize times the outer product of the mean gradient as statistics and
// wants a smaller learning rate.
type Spectral struct {
	Settings               // LR defaults to 0.003
	Shaping     Shaping    `json:"shaping,omitzero"`
	Statistics  Statistics `json:"statistics,omitempty"`   // default KLStatistics
	Root        float64    `json:"root,omitempty"`         // any positive number, default 2
	Momentum    float64    `json:"momentum,omitempty"`     // default 0.9, with bias correction
	NoMomentum  bool       `json:"no_momentum,omitempty"`  //
	Beta2       float64    `json:"beta2,omitempty"`        // weight of the newest gradient in S; default 0.02
	Gamma       float64    `json:"gamma,omitempty"`        // decay of S in units of Beta2; default 1, the moving average
	Sum         bool       `json:"sum,omitempty"`          // Gamma 0: S is a sum
	Damping     float64    `json:"damping,omitempty"`      // added to the second moments; default 1e-16, and 1e-4 for Root 1
	Interval    int        `json:"interval,omitempty"`     // steps between rotations, whose statistics are folded into one; default 1
	Tol         float64    `json:"tol,omitempty"`          // > 0: sweep until the coupling max |M_ij|/sqrt(M_ii M_jj) is at most Tol, 0 to MaxSweeps times
	MaxSweeps   int        `json:"max_sweeps,omitempty"`   // default 1, with Tol 4
	Published   bool       `json:"published,omitempty"`    // first-order angles and exponential eigenvalues as published
	MaxNorm     float64    `json:"max_norm,omitempty"`     // bound on the norm of a rotation's generator; default 0.7
	DiagVectors bool       `json:"diag_vectors,omitempty"` // a diagonal S for vectors
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
	if o.Interval < 0 || o.MaxSweeps < 0 {
		return option("interval and max_sweeps", "must not be negative")
	}
	if err := below("momentum", o.Momentum); err != nil {
		return err
	}
	if orDefault(o.Beta2, 0.02)*orDefault(o.Gamma, 1) > 1 {
		return option("gamma", "times beta2 must be at most 1")
	}
	return below("beta2", o.Beta2)
}

// NewSpectral returns the spectral-factorised preconditioner. For an m x n matrix it keeps m n + m^2 + n^2 numbers, with Interval > 1
// m^2 + n^2 more.
func NewSpectral[T Float](o Spectral) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Root, o.Beta2 = orDefault(o.LR, 3e-3), orDefault(o.Root, 2), orDefault(o.Beta2, 0.02)
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
	r := &spectralRule[T]{o: o, turning: turning{o.Published, orDefault(o.MaxNorm, 0.7), o.Tol, o.MaxSweeps}}
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
			if r.o.Interval > 1 {
				all = append(all, slotShape{fmt.Sprintf("statistics%d.%d", k, i), n, n})
			}
		}
	}
	return all
}

// The slot "totals" of a piece.
const (
	totalAlpha   = iota // 0 until there was a gradient
	totalForm           // sum of the quadratic forms since the last update
	totalUpdates        // updates so far
	totalLength
)

func (r *spectralRule[T]) start(_ *Block[T], slots []Slot[T]) { startBases(slots) }

// parts returns the preconditioners of the pieces of a block around its slots.
func (r *spectralRule[T]) parts(b *Block[T], slots []Slot[T]) (all []spectralPart[T]) {
	rest := slots[1:]
	take := func() []T {
		data := rest[0].Data
		rest = rest[1:]
		return data
	}
	for _, p := range r.o.Shaping.pieces(b.Name, b.Rows, b.Cols) {
		part := spectralPart[T]{piece: p, totals: take()}
		part.e, part.dims, part.z, part.t = engine.CPU[T](), p.dims, make([]T, p.size()), make([]T, p.size())
		if r.diagonal(&p) {
			part.second = take()
		}
		for i := range p.dims {
			if part.second != nil || p.excluded[i] {
				continue
			}
			basis, values, statistics := take(), take(), []T(nil)
			if r.o.Interval > 1 {
				statistics = take()
			}
			part.factors = append(part.factors, newEigenFactor(i, basis, values, statistics))
		}
		all = append(all, part)
	}
	return all
}

func (r *spectralRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	return &spectralBlock[T]{r, slots[0].Data, make([]T, b.Len()), make([]T, b.Len()), r.parts(b, slots)}
}

// spectralBlock moves one block.
type spectralBlock[T Float] struct {
	rule     *spectralRule[T]
	momentum []T
	g, out   []T
	parts    []spectralPart[T]
}

func (s *spectralBlock[T]) move(_ engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	enter(s.g, b, u)
	o := &s.rule.o
	average(T(o.Momentum), s.momentum, s.g)
	for k := range s.parts {
		p := &s.parts[k]
		if p.second != nil {
			p.diagonal(s)
			continue
		}
		gather(&p.piece, p.z, s.g)
		p.learn(s.rule)
		gather(&p.piece, p.z, s.momentum)
		p.precondition(s.rule)
		scatter(&p.piece, s.out, p.z)
	}
	leave(b, u, 1/(1-math.Pow(o.Momentum, float64(s.rule.step))), s.out)
}

// enter sets g to the gradient that a rule sees.
func enter[T Float](g []T, b *Block[T], u engine.Update) {
	scale, l2 := T(u.GradScale), T(u.L2)
	for i, v := range b.Grad {
		g[i] = scale*v + l2*b.Value[i]
	}
}

// leave moves the parameters: W <- (1 - Decay) W - LR c d.
func leave[T Float](b *Block[T], u engine.Update, c float64, d []T) {
	if u.LR == 0 && u.Decay == 0 {
		return
	}
	keep, step := T(1-u.Decay), T(u.LR*c)
	for i, v := range d {
		b.Value[i] = keep*b.Value[i] - step*v
	}
}

// average sets m to keep m + (1-keep) g.
func average[T Float](keep T, m, g []T) {
	for i, v := range g {
		m[i] = keep*m[i] + (1-keep)*v
	}
}

// spectralPart is the preconditioner of one piece.
type spectralPart[T Float] struct {
	piece piece
	productModes[T]
	totals []T
	second []T // of a diagonal one
}

// weight returns the length of the update after so many others: Beta2 over the steps of an interval, and more at first, when S is the mean of what
// there was, as the bias correction of a moving average has it.
func (r *spectralRule[T]) weight(updates float64, interval int) float64 {
	keep := math.Pow(1-r.o.Beta2, float64(interval))
	if r.o.Gamma != 1 {
		return 1 - keep
	}
	return (1 - keep) / (1 - math.Pow(keep, updates))
}

// diagonal is the step of a piece without factors.
func (p *spectralPart[T]) diagonal(s *spectralBlock[T]) {
	r := s.rule
	gather(&p.piece, p.z, s.g)
	p.totals[totalUpdates]++
	beta := r.weight(float64(p.totals[totalUpdates]), 1)
	keep, take, add := T(1-beta*r.o.Gamma), T(beta*r.batch), T(beta*r.o.Damping)
	for i, v := range p.z {
		p.second[i] = keep*p.second[i] + (take*v*v + add)
	}
	dense.Pow(p.t, p.second, -1/r.o.Root)
	gather(&p.piece, p.z, s.momentum)
	for i, v := range p.t {
		p.z[i] *= v
	}
	scatter(&p.piece, s.out, p.z)
}

// learn takes the gradient in z into the statistics, and at the end of an interval into the factors.
func (p *spectralPart[T]) learn(r *spectralRule[T]) {
	size := float64(len(p.z))
	kl := r.o.Statistics != ShampooStatistics
	if p.totals[totalAlpha] == 0 && !p.begin(r, kl) {
		return
	}
	p.rotate(dense.Transposed)
	if kl {
		p.scale(-0.5)
		p.totals[totalForm] += T(r.batch) * dense.Dot(p.z, p.z)
	}
	for _, f := range p.factors {
		if r.o.Interval == 1 {
			f.h.Zero()
		}
		c := r.batch / float64(r.o.Interval)
		if !kl {
			c *= float64(f.n) / size
		}
		p.gram(T(c), f.mode, f.h)
	}
	if r.step%r.o.Interval != 0 {
		return
	}
	p.totals[totalUpdates]++
	p.update(r, kl, r.weight(float64(p.totals[totalUpdates])+1, r.o.Interval))
	p.totals[totalForm] = 0
	for _, f := range p.factors {
		f.h.Zero()
		if r.step/r.o.Interval%restoreEvery == 0 {
			f.restore()
		}
	}
}

// restoreEvery is the number of updates between two looks at the defect of the bases.
const restoreEvery = 16

// begin starts S at the mean square of the first gradient that is not zero, and says whether there was one.
func (p *spectralPart[T]) begin(r *spectralRule[T], kl bool) bool {
	mean := r.batch * float64(dense.Dot(p.z, p.z)) / float64(len(p.z))
	if !(mean > 0) || math.IsInf(mean, 1) {
		return false
	}
	mean = p.bounded(mean + r.o.Damping)
	p.totals[totalAlpha] = T(mean)
	if !kl {
		p.totals[totalAlpha] = 1
		for _, f := range p.factors {
			for i := range f.d {
				f.d[i] = T(mean)
			}
		}
	}
	return true
}

func (p *spectralPart[T]) bounded(alpha float64) float64 {
	low, high := eigenRange[T]()
	return min(max(alpha, low*low), high*high)
}

// update moves the factors by the statistics of an interval. Statistics that are not finite leave everything as it was.
func (p *spectralPart[T]) update(r *spectralRule[T], kl bool, beta float64) {
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
	rate := beta * ((float64(p.totals[totalForm])/float64(r.o.Interval)+trace)/(alpha*size) - r.o.Gamma)
	for _, f := range p.factors {
		if kl {
			c := beta * float64(f.n) / (size * alpha)
			f.klTarget(c, c*trace/f.inverseTrace(), r.turning.published)
		} else {
			f.averageTarget(1-beta*r.o.Gamma, beta, beta*r.o.Damping)
		}
		if !f.finite() {
			return
		}
	}
	if math.IsNaN(rate) || math.IsInf(rate, 0) {
		return
	}
	for _, f := range p.factors {
		f.follow(&r.turning)
		if kl {
			scale := f.normalise()
			if r.turning.published {
				alpha *= math.Exp(scale)
			}
		}
	}
	if !kl {
		return
	}
	if r.turning.published || rate <= -1 {
		alpha *= math.Exp(min(max(rate, -1), 1))
	} else {
		alpha *= 1 + rate
	}
	p.totals[totalAlpha] = T(p.bounded(alpha))
}

// klTarget sets m to diag(d) + c D^(1/2) h D^(1/2) + ridge I and x to the relative increments of its diagonal. For the exponential rule the mean of x is
// taken out of both, which keeps the determinant.
func (f *eigenFactor[T]) klTarget(c, ridge float64, centred bool) {
	dense.Sqrt(f.s, f.d)
	var mean float64
	for i, si := range f.s {
		row, from := f.m.Row(i), f.h.Row(i)
		for j := i; j < f.n; j++ {
			row[j] = T(c) * (from[j] * (si * f.s[j]))
		}
		row[i] += T(ridge)
		f.x[i] = row[i] / f.d[i]
		mean += float64(f.x[i])
	}
	if mean /= float64(f.n); !centred {
		mean = 0
	}
	for i, di := range f.d {
		f.x[i] -= T(mean)
		f.m.Data[i*f.n+i] += di * T(1-mean)
	}
}

// averageTarget sets m to keep diag(d) + beta h + ridge I and x to the relative increments of its diagonal.
func (f *eigenFactor[T]) averageTarget(keep, beta, ridge float64) {
	for i, di := range f.d {
		row, from := f.m.Row(i), f.h.Row(i)
		for j := i; j < f.n; j++ {
			row[j] = T(beta) * from[j]
		}
		row[i] += T(keep)*di + T(ridge)
		f.x[i] = row[i]/di - 1
	}
}

// precondition multiplies z by S^(-1/Root).
func (p *spectralPart[T]) precondition(r *spectralRule[T]) {
	e := -1 / r.o.Root
	alpha := float64(p.totals[totalAlpha])
	if alpha == 0 {
		return
	}
	p.rotate(dense.Transposed)
	if r.o.Statistics == ShampooStatistics {
		p.scale(e / float64(len(p.factors)))
	} else {
		p.scale(e)
	}
	p.rotate(dense.NoTrans)
	dense.Scale(T(math.Pow(alpha, e)), p.z, p.z)
}
