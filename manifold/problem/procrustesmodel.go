package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	// modelSpread bounds tr G/n tr G^-1/n for pairs that single precision bears.
	modelSpread = 1e4
	// innerForcing is the residual that a solve with the secant operator leaves within a Newton step, relative to its right side, and looseForcing that once a direction from such a solve has left more
	// than looseForcing of the residual: where the Hessian is nearly singular and the operator is not, better solves gain nothing.
	innerForcing, looseForcing = 0.2, 0.5
	// outerKept is how many directions of a Newton step the next one is conjugate to. Each comes from another rough inverse of the operator, so that one is not enough.
	outerKept = 3
	// roundedLeast is the dimension from which on products in bfloat16 are faster, and bytesLeast that from which on products in bytes are, tiledLeast where both are by tiles.
	roundedLeast, bytesLeast, tiledLeast = 26, 80, 250
	// roundedGain is how much a solve may make of a residual by products in bfloat16, before the residual is lost in their error and computed in single precision. A goal
	// above roundedGoal times it needs no such product. bytesGain and bytesGoal are the same for bytes.
	roundedGain, roundedGoal = 0.05, 0.03
	bytesGain, bytesGoal     = 0.06, 0.03
	// roundedDrift and bytesDrift times the root of tr G/n tr G^-1/n are about what a residual is wrong by once it has been carried along for long, relative to the last one computed.
	roundedDrift, bytesDrift = 0.004, 0.012
	// driftGain times the error of a residual last seen is too small a gain, or goal to be reached without another one, and an error above driftMost is that of an operator that is too wrong.
	driftGain, driftMost = 2, 0.4
	// driftSpread is how much larger than expected that error may be where it adds to a residual by squares, and driftShare the largest share of the goal at which it does: beyond, computing the residual
	// is cheaper than making it smaller.
	driftSpread, driftShare = 1.2, 0.85
	// innerProducts bounds the products of one such solve, and outerProducts those with the Hessian in a Newton step.
	innerProducts, outerProducts = 200, 50
)

// procrustesModel is the Hessian of the cost at a point, in single precision. With C = R A R', M = log(C B^-1) and the logarithmic mean G of B and C, M = (C - B) G^-1,
// the operator
//
//	U -> (1/m) sum (G U G^-1 + G^-1 U G) - 2 U
//
// takes two products for each pair, of bfloat16 numbers where the processor has such. It is to the Hessian what a secant is to a tangent: the same to first order in the logarithms, and off by a quarter at most for logarithms
// up to 7, where (B + C)/2 in place of G is off by five. Its diagonal preconditions it. Exact products, four for each pair, need the eigenvectors of the pencils.
type procrustesModel struct {
	n               int
	team            *team
	scale           []float64             // of G
	at              *modelFactors         // of the point
	images          dense.Matrix[float32] // of the present product, side by side
	diagonal        []float32             // the inverse of the operator's
	spread          float64               // the largest tr G/n tr G^-1/n
	u               dense.Matrix[float32] // of the present product
	sum, other      dense.Matrix[float32]
	coarse          coarseOperator // nil where the processor has none, and for pairs too near singular for it
	secant, tangent func(w *worker, k int) error
	bend            func(w *worker, k int) error

	last  *lastSolve // nil for solves that are not
	known float64    // the norm of the last residual without the error of rounded products
	drift float64    // the error of a residual that was carried along, relative to the last one computed, as last seen

	step, res, dir, hd, z, right []float32 // of a solve with the operator
	total, rest, answer          []float32 // of a Newton step
	outer                        [outerKept]outerDirection
	forcing                      float64 // of its inner solves
	decrease                     float64 // of the cost that the step promises
	bounded                      bool    // the radius ended the step; true before the first one
	products                     int
}

// outerDirection is one along which a Newton step has gone.
type outerDirection struct {
	course, image []float32
	curvature     float32
}

// modelFactors is what belongs to a point.
type modelFactors struct {
	g, inv     []dense.Matrix[float32] // G and its inverse
	inverses   dense.Matrix[float32]   // the inv, below each other
	d, logs    []dense.Matrix[float32] // C - B and M, nil until a curvature is needed
	tangents   []*tangentFactors       // nil until exact products are needed
	transposed dense.Matrix[float32]   // their F', below each other
}

// tangentFactors makes exact products for a pair: with X X' = G^-1, X diagonalising the pencil, F = X^-T, and Z = X' U F the Hessian is X (stretch o Z + mix o Z') F'.
type tangentFactors struct {
	x, f         dense.Matrix[float32] // f is F'
	stretch, mix dense.Matrix[float32]
	logs         []float64
	ready        bool // stretch and mix are
}

func newProcrustesModel(b []dense.Matrix[float64], t *team, l *lender) *procrustesModel {
	n := b[0].Rows
	m := &procrustesModel{n: n, team: t, images: l.single(n, len(b)*n), sum: l.single(n, n), other: l.single(n, n)}
	for _, v := range []*[]float32{&m.diagonal, &m.step, &m.res, &m.dir, &m.hd, &m.z, &m.right} {
		*v = l.single(n, n).Data
	}
	for _, b := range b {
		m.scale = append(m.scale, float64(n)/b.Trace())
	}
	m.secant, m.tangent, m.bend = m.secantTerm, m.tangentTerm, m.bendTerm
	m.bounded = true
	m.coarse = newCoarseOperator(n, len(b))
	return m
}

func newModelFactors(n, count int, l *lender) *modelFactors {
	m := &modelFactors{inverses: l.single(count*n, n)}
	for k := range count {
		m.g, m.inv = append(m.g, l.single(n, n)), append(m.inv, m.inverses.View(k*n, 0, n, n))
	}
	return m
}

// extendLast makes room for what last solves need.
func (m *modelFactors) extendLast(l *lender) {
	n := m.inverses.Cols
	for len(m.d) < len(m.g) {
		m.d, m.logs = append(m.d, l.single(n, n)), append(m.logs, l.single(n, n))
	}
}

// extend makes room for exact products.
func (m *modelFactors) extend() {
	n := m.inverses.Cols
	m.transposed = dense.New[float32](m.inverses.Rows, n)
	for k := range m.g {
		m.tangents = append(m.tangents, &tangentFactors{x: dense.New[float32](n, n), f: m.transposed.View(k*n, 0, n, n),
			stretch: dense.New[float32](n, n), mix: dense.New[float32](n, n), logs: make([]float64, n)})
	}
}

// invert sets G of pair k to the inverse of its inverse.
func (m *modelFactors) invert(w *worker, k int) error {
	m.g[k].Copy(m.inv[k])
	w.scratch.single.need(m.g[k].Rows)
	if !dense.InvertUpper(m.g[k], w.scratch.single.work) {
		return errOutside
	}
	dense.Mirror(m.g[k])
	return nil
}

// setTangent takes G, its inverse, X, F' and the logarithms, ascending.
func (m *modelFactors) setTangent(k int, scale float64, g, inverse, x, f dense.Matrix[float64], logs []float64) {
	narrowScaled(m.g[k].Data, scale, g.Data)
	narrowScaled(m.inv[k].Data, 1/scale, inverse.Data)
	t := m.tangents[k]
	narrowScaled(t.x.Data, 1/math.Sqrt(scale), x.Data)
	narrowScaled(t.f.Data, math.Sqrt(scale), f.Data)
	copy(t.logs, logs)
	t.ready = false
}

// prepare sets the inverse diagonal of the operator and tells whether single precision bears it.
func (m *procrustesModel) prepare() bool {
	n := m.n
	m.spread = 1
	clear(m.diagonal)
	up, down := m.z[:n], m.res[:n] // the diagonals of G and of its inverse
	for k, g := range m.at.g {
		inverse := m.at.inv[k]
		var traces [2]float64
		for i := range n {
			up[i], down[i] = g.At(i, i), inverse.At(i, i)
			traces[0], traces[1] = traces[0]+float64(up[i]), traces[1]+float64(down[i])
		}
		spread := traces[0] * traces[1] / float64(n*n)
		if !(spread <= modelSpread) {
			return false
		}
		m.spread = max(m.spread, spread)
		for i := range n {
			row, other, out := g.Row(i), inverse.Row(i), m.diagonal[i*n:][:n]
			for j, v := range row {
				out[j] += up[i]*down[j] + down[i]*up[j] - 2*v*other[j]
			}
		}
	}
	for i, v := range m.diagonal {
		m.diagonal[i] = 1 / max(v/float32(len(m.at.g))-2, 0.1)
	}
	return true
}

// newton sets step to an approximate Newton step for a gradient, whose residual is at most goal: by the operator alone, or if tangents are set with exact products, as the
// minimizer of the quadratic model within the radius (Steihaug).
func (m *procrustesModel) newton(grad []float64, goal, radius float64) {
	dense.ScaleSingle(1, grad, m.res)
	if m.at.tangents == nil {
		m.solve(goal)
		m.decrease = m.promise(grad)
		return
	}
	settled := !m.bounded // by the last step: on the way there, rough steps lead to other minima
	m.beginOuter(goal)
	for i := range outerProducts {
		d := &m.outer[i%outerKept]
		m.operate(d.course, m.tangent, m.at.transposed, d.image)
		slope, curvature := -float64(dense.Dot(d.course, m.rest)), float64(dense.Dot(d.course, d.image))
		ss, sd, dd := dense.Dot(m.total, m.total), dense.Dot(m.total, d.course), dense.Dot(d.course, d.course)
		length := slope / curvature
		edge := toBoundary(float64(ss), float64(sd), float64(dd), radius)
		if m.bounded = !(curvature > 0) || length >= edge; m.bounded {
			length = edge
		}
		m.decrease += length * (slope - length/2*curvature)
		dense.Axpy(float32(length), d.course, m.total)
		if m.bounded {
			break
		}
		d.curvature = float32(curvature)
		before := norm(m.rest)
		dense.Axpy(float32(length), d.image, m.rest)
		left := norm(m.rest)
		if left <= goal {
			break
		}
		if settled && left > looseForcing*before {
			m.forcing = looseForcing
		}
		m.precondition(goal)
		m.conjugate(i)
	}
	copy(m.step, m.total)
}

// beginOuter sets the first direction of a Newton step for the residual res.
func (m *procrustesModel) beginOuter(goal float64) {
	if m.total == nil {
		vectors := []*[]float32{&m.total, &m.rest, &m.answer}
		for i := range m.outer {
			vectors = append(vectors, &m.outer[i].course, &m.outer[i].image)
		}
		for _, v := range vectors {
			*v = make([]float32, m.n*m.n)
		}
	}
	clear(m.total)
	copy(m.rest, m.res)
	m.decrease, m.bounded, m.forcing = 0, false, innerForcing
	m.precondition(goal)
	dense.Scale(-1, m.answer, m.outer[0].course)
}

// conjugate sets the direction after number last from the answer, in the place of the oldest one.
func (m *procrustesModel) conjugate(last int) {
	next := &m.outer[(last+1)%outerKept]
	if last+1 < outerKept {
		dense.Scale(-1, m.answer, next.course)
	} else {
		dense.Blend(m.share(next), next.course, -1, m.answer, next.course)
	}
	for i := max(0, last+2-outerKept); i <= last; i++ {
		d := &m.outer[i%outerKept]
		dense.Axpy(m.share(d), d.course, next.course)
	}
}

// share is how much of a direction makes the answer conjugate to it.
func (m *procrustesModel) share(d *outerDirection) float32 {
	return dense.Dot(m.answer, d.image) / d.curvature
}

// promise is the decrease of the cost along a step that solves the equations of the quadratic model.
func (m *procrustesModel) promise(grad []float64) (sum float64) {
	for i, v := range m.step {
		sum -= grad[i] * float64(v) / 2
	}
	return sum
}

// toBoundary is the largest t for which s + t d is within the radius, for |s|^2, s'd and |d|^2.
func toBoundary(ss, sd, dd, radius float64) float64 {
	return (-sd + math.Sqrt(sd*sd+dd*(radius*radius-ss))) / dd
}

// precondition sets answer to the inverse of the operator times rest, roughly.
func (m *procrustesModel) precondition(goal float64) {
	copy(m.res, m.rest)
	m.solve(max(m.forcing*norm(m.rest), 0.5*goal))
	dense.Scale(-1, m.step, m.answer)
}

// use makes the factors those of the model.
func (m *procrustesModel) use(at *modelFactors) {
	m.at = at
	if m.coarse != nil {
		m.coarse.set(m)
	}
}

// solve sets step to minus the inverse of the operator times res, by conjugate gradients, so that the residual is at most goal. It returns false where they met a
// direction without curvature, or took too many steps.
func (m *procrustesModel) solve(goal float64) bool {
	copy(m.right, m.res)
	for !m.descend(goal) {
		if m.coarse == nil {
			return false
		}
		if m.coarse = m.coarse.finer(m.n, len(m.at.g)); m.coarse != nil { // too near singular for it
			m.coarse.set(m)
		}
		copy(m.res, m.right)
	}
	return true
}

// descend is solve at the present precision, which may also turn out to be too low.
func (m *procrustesModel) descend(goal float64) bool {
	clear(m.step)
	m.known, m.drift = norm(m.res), 0
	m.last.begin(m.known)
	dense.Multiply(m.res, m.diagonal, m.z)
	dense.Scale(-1, m.z, m.dir)
	for range innerProducts {
		m.apply(m.dir, m.hd)
		slope, curvature := m.slopes()
		if !(curvature > 0) {
			return false
		}
		left, turn := m.advance(-slope / curvature)
		enough := m.enough(goal)
		if enough == 0 && m.stale(goal, left) || left <= goal && m.last.lacksCurvature() {
			if goal = m.renew(goal); m.coarse != nil && !(m.drift <= driftMost) {
				return false
			}
			left, turn = m.advance(0)
			enough = goal
		}
		if left <= enough && !m.last.lacksCurvature() {
			return true
		}
		m.redirect(turn / curvature)
	}
	return false
}

// solvePiece is the number of elements of which those of all matrices of a solve stay in the caches from one pass to the next.
const solvePiece = 8192

// pieces calls do for ranges of elements.
func (m *procrustesModel) pieces(do func(from, to int)) {
	for i := 0; i < len(m.res); i += solvePiece {
		do(i, min(i+solvePiece, len(m.res)))
	}
}

// slopes returns the inner products of the direction with the residual and with its own image.
func (m *procrustesModel) slopes() (slope, curvature float64) {
	m.pieces(func(i, j int) {
		slope += float64(dense.Dot(m.dir[i:j], m.res[i:j]))
		curvature += float64(dense.Dot(m.dir[i:j], m.hd[i:j]))
	})
	return slope, curvature
}

// advance goes along the direction, and returns the norm of the residual there and the inner product of that, preconditioned, with the image of the direction.
func (m *procrustesModel) advance(length float64) (left, turn float64) {
	m.pieces(func(i, j int) {
		res, z := m.res[i:j], m.z[:j-i]
		dense.Axpy(float32(length), m.dir[i:j], m.step[i:j])
		dense.Axpy(float32(length), m.hd[i:j], res)
		left += float64(dense.Dot(res, res))
		dense.Multiply(res, m.diagonal[i:j], z)
		turn += float64(dense.Dot(z, m.hd[i:j]))
	})
	return math.Sqrt(left), turn
}

// redirect sets the direction to weight times it less the preconditioned residual.
func (m *procrustesModel) redirect(weight float64) {
	m.pieces(func(i, j int) {
		z, dir := m.z[:j-i], m.dir[i:j]
		dense.Multiply(m.res[i:j], m.diagonal[i:j], z)
		dense.Blend(float32(weight), dir, -1, z, dir)
	})
}

// enough returns how small a residual that has been carried along has to be for the true one to be at most goal, or 0 if it is to be computed before that can be told.
func (m *procrustesModel) enough(goal float64) float64 {
	if m.coarse == nil && m.last == nil {
		return goal
	}
	if _, lost := m.gains(); goal >= lost*m.known {
		return goal
	}
	lost := driftSpread * m.lastDrift() * m.known
	if m.last != nil || m.drift == 0 || lost > driftShare*goal {
		return 0
	}
	return math.Sqrt(goal*goal - lost*lost)
}

// stale tells whether a residual of norm left that is to be computed is not carried along any further.
func (m *procrustesModel) stale(goal, left float64) bool {
	gain, _ := m.gains()
	from := gain * m.known
	if start := curvatureFrom * goal; m.last.lacksCurvature() && from < 2*start {
		from = 0.75 * start
	}
	return left <= max(goal, from)
}

// gains returns what a solve may make of a residual before it is computed again, and the goal, relative to the residual, below which it has to be.
func (m *procrustesModel) gains() (gain, lost float64) {
	gain, lost = roundedGain, roundedGoal
	if m.coarse != nil {
		gain, lost, _ = m.coarse.errors()
	}
	if m.last != nil && !m.last.lacksCurvature() { // its error is part of what is stated
		lost = 2 * driftMargin * m.lastDrift()
	}
	return max(gain, driftGain*m.drift), max(lost, driftGain*m.drift)
}

// renew computes the residual of the step in single precision, for a last solve with the curvature, and returns the goal, which that may change.
func (m *procrustesModel) renew(goal float64) float64 {
	copy(m.z, m.res)
	m.applySingle(m.step, m.res)
	dense.Axpy(1, m.right, m.res)
	carried, l := m.known, m.last
	if l != nil && !l.lacksCurvature() {
		dense.Axpy(1, l.curvature, m.res)
	}
	m.known = norm(m.res)
	dense.Axpy(-1, m.res, m.z)
	m.drift = norm(m.z) / carried
	switch {
	case l == nil:
		return goal
	case l.lacksCurvature() && m.known > curvatureFrom*goal:
		return goal
	case l.lacksCurvature():
	case l.lateError() <= lateShare*goal:
		return l.within(m, goal)
	default:
		dense.Axpy(-1, l.curvature, m.res)
	}
	m.curve()
	dense.Axpy(1, l.curvature, m.res)
	m.known = norm(m.res)
	l.rest = m.known
	return l.within(m, goal)
}

// apply sets dst to the operator times u, rounded if the processor has products for that: with the symmetric W = G U - U G of each pair the operator is the
// mean of the W G^-1 - G^-1 W, where no 2 U cancels.
func (m *procrustesModel) apply(u, dst []float32) {
	if m.coarse == nil {
		m.applySingle(u, dst)
		return
	}
	m.products++
	m.coarse.Sum(1/float32(len(m.at.g)), dense.Wrap(m.n, m.n, u), dense.Wrap(m.n, m.n, dst))
}

// applySingle is apply in single precision.
func (m *procrustesModel) applySingle(u, dst []float32) {
	m.operate(u, m.secant, m.at.inverses, dst)
	dense.Axpy(-2, u, dst)
}

// operate sets dst to the skew part of the images of u, which term makes, times the factors.
func (m *procrustesModel) operate(u []float32, term func(w *worker, k int) error, factors dense.Matrix[float32], dst []float32) {
	m.products++
	m.u = dense.Wrap(m.n, m.n, u)
	m.team.evenly(term)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.images, factors, 0, m.sum)
	m.skew(dst)
}

// skew sets dst to the skew part of the mean of the images.
func (m *procrustesModel) skew(dst []float32) {
	weight := 1 / float32(len(m.at.g))
	dense.Transpose(m.other, m.sum)
	dense.Blend(weight, m.sum.Data, -weight, m.other.Data, dst)
}

func (m *procrustesModel) secantTerm(_ *worker, k int) error {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, m.at.g[k], m.u, 0, m.images.View(0, k*m.n, m.n, m.n))
	return nil
}

func (m *procrustesModel) tangentTerm(w *worker, k int) error {
	w.scratch.single.need(m.n)
	t, z, y := m.at.tangents[k], w.scratch.single.t[0], w.scratch.single.t[1]
	if !t.ready {
		t.complete()
	}
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, t.x, m.u, 0, y)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, y, t.f, 0, z)
	dense.Transpose(y, z)
	dense.Multiply(t.stretch.Data, z.Data, z.Data)
	dense.Multiply(t.mix.Data, y.Data, y.Data)
	dense.Axpy(1, y.Data, z.Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, t.x, z, 0, m.images.View(0, k*m.n, m.n, m.n))
	return nil
}

// complete sets the coefficients: with phi(d) = d/(1 - e^-d), d = l_i - l_j, stretch is phi(d) phi(l_j)/phi(l_i) and mix the symmetric phi(d) - d/2.
func (t *tangentFactors) complete() {
	t.ready = true
	n := len(t.logs)
	powers, own := make([]float64, n), make([]float64, n)
	dense.Exp(powers, t.logs)
	for i, l := range t.logs {
		own[i] = phi(l, 1/powers[i])
		t.stretch.Set(i, i, 1)
		t.mix.Set(i, i, 1)
		for j, b := range t.logs[:i] {
			d := l - b
			p := phi(d, powers[j]/powers[i])
			t.stretch.Set(i, j, float32(p*own[j]/own[i]))
			t.stretch.Set(j, i, float32((p-d)*own[i]/own[j]))
			t.mix.Set(i, j, float32(p-d/2))
			t.mix.Set(j, i, float32(p-d/2))
		}
	}
}

// phi is d/(1 - e^-d), e^-d given.
func phi(d, power float64) float64 {
	if math.Abs(d) < 1e-4 {
		return 1 + d/2 + d*d/12
	}
	return d / (1 - power)
}

func narrowScaled(dst []float32, scale float64, src []float64) {
	for i, v := range src {
		dst[i] = float32(scale * v)
	}
}
