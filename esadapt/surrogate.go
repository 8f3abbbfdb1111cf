package esadapt

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// surrogate spends evaluations on a part of each generation only: a linear or quadratic model of f ranks the candidates, the most promising are evaluated,
// and as soon as the model orders the evaluated ones as the objective does, the rest takes its values from the model; Hansen: "A global surrogate assisted
// CMA-ES" (GECCO 2019), with the constants of the author's implementation.
type surrogate struct {
	n     int
	u     [][]float64 // evaluated points, oldest first, in the strategy's coordinates
	f     []float64
	coef  []float64
	kind  modelKind
	unit  float64     // typical length of the whitened points that the model was made from
	white [][]float64 // scratch: the points in whitened coordinates
}

// modelKind is the complexity of the model.
type modelKind int

const (
	noModel modelKind = iota
	linearModel
	diagonalQuadratic
	fullQuadratic
)

// Constants of the method.
const (
	tauEnough      = 0.85 // Kendall's tau between model and truth at which the rest is not evaluated
	dataPerFreedom = 1.1  // evaluated points per parameter before a more complex model is used
	dataKept       = 2.0  // evaluated points kept per parameter of the full quadratic model
	dataTrusted    = 0.75 // share of them, the best, that the model is made from
	largestFit     = 2000 // parameters
)

// whitener is implemented by strategies that can express a point in the coordinates in which their distribution is N(0, I).
type whitener interface{ whiten(z, u []float64) }

func newSurrogate(n int) *surrogate { return &surrogate{n: n} }

// freedom is the number of parameters of a model.
func (m *surrogate) freedom(k modelKind) int {
	switch k {
	case linearModel:
		return m.n + 1
	case diagonalQuadratic:
		return 2*m.n + 1
	case fullQuadratic:
		return m.n*(m.n+3)/2 + 1
	}
	return 0
}

// largest is the most complex model that may ever be used.
func (m *surrogate) largest() modelKind {
	if m.freedom(fullQuadratic) > largestFit {
		return diagonalQuadratic
	}
	return fullQuadratic
}

// begin holds all candidates of a new generation back but the first ones to evaluate.
func (m *surrogate) begin(s *Search) {
	for i := range s.tasks {
		s.tasks[i].held = true
	}
	m.fit(s)
	lambda := float64(len(s.tasks))
	m.release(s, int(1+max(0.02*lambda, 4/dataTrusted-float64(len(m.f)))))
}

// release lets the candidates that the model likes best be evaluated, until count of them are or have been.
func (m *surrogate) release(s *Search, count int) {
	rows := s.strat.Ask()
	var order []ranked
	out := 0
	for i := range s.tasks {
		if s.tasks[i].held {
			order = append(order, ranked{m.value(s, rows[i]), i})
		} else {
			out++
		}
	}
	slices.SortFunc(order, byValue)
	for _, r := range order[:max(0, min(count-out, len(order)))] {
		s.tasks[r.i].held = false
	}
}

// more takes the new values in and says whether further candidates must be evaluated.
func (m *surrogate) more(s *Search) bool {
	rows := s.strat.Ask()
	evaluated := 0
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.told {
			evaluated++
			if !t.added && !t.failed {
				m.add(rows[i], t.f)
			}
			t.added = true
		}
	}
	m.fit(s)
	if evaluated == len(s.tasks) || m.agreement(s, evaluated) >= tauEnough {
		return false
	}
	m.release(s, int(math.Ceil(1.5*float64(evaluated)))+1)
	return true
}

func (m *surrogate) add(u []float64, f float64) {
	if !finite(f) {
		return
	}
	m.u, m.f = append(m.u, slices.Clone(u)), append(m.f, f)
	if limit := int(dataKept * float64(m.freedom(m.largest()))); len(m.f) > limit {
		m.u, m.f = slices.Delete(m.u, 0, len(m.u)-limit), slices.Delete(m.f, 0, len(m.f)-limit)
	}
}

// agreement is Kendall's tau between the model and the latest values.
func (m *surrogate) agreement(s *Search, evaluated int) float64 {
	if m.kind == noModel {
		return -1
	}
	n := min(len(m.f), int(max(15, min(1.2*float64(evaluated), 0.75*float64(len(s.tasks))))))
	if n < 2 {
		return -1
	}
	at := len(m.f) - n
	model := make([]float64, n)
	for k := range model {
		model[k] = m.value(s, m.u[at+k])
	}
	return kendall(model, m.f[at:])
}

// kendall is the rank correlation tau of two lists without regard to ties.
func kendall(a, b []float64) float64 {
	var sum float64
	for i := range a {
		for j := range i {
			sum += sign(a[i]-a[j]) * sign(b[i]-b[j])
		}
	}
	return 2 * sum / float64(len(a)*(len(a)-1))
}

// fit makes the most complex model that the data permit, by weighted least squares on the better points.
func (m *surrogate) fit(s *Search) {
	m.kind = noModel
	for k := m.largest(); k > noModel; k-- {
		if dataTrusted*float64(len(m.f)) >= dataPerFreedom*float64(m.freedom(k)) && m.solve(s, k) {
			m.kind = k
			return
		}
	}
}

func (m *surrogate) solve(s *Search, k modelKind) bool {
	order := make([]ranked, len(m.f))
	for i, f := range m.f {
		order[i] = ranked{f, i}
	}
	slices.SortFunc(order, byValue)
	rows := min(len(order), max(int(dataTrusted*float64(len(order))), int(math.Ceil(dataPerFreedom*float64(m.freedom(k))))))
	order = order[:rows]
	m.white = m.white[:0]
	var squares float64
	for _, r := range order {
		z := make([]float64, m.n)
		s.strat.(whitener).whiten(z, m.u[r.i])
		for _, v := range z {
			squares += v * v
		}
		m.white = append(m.white, z)
	}
	m.unit = math.Sqrt(squares / float64(rows*m.n))
	if !(m.unit > 0) || !finite(m.unit) {
		return false
	}
	cols := m.freedom(k)
	a, b := mat.NewDense(rows, cols, nil), mat.NewVecDense(rows, nil)
	best := order[0].f
	for i, r := range order {
		w := math.Sqrt(20 - 19*float64(i)/float64(max(1, rows-1)))
		row := a.RawRowView(i)
		m.features(row, m.white[i], k)
		for j := range row {
			row[j] *= w
		}
		b.SetVec(i, w*(r.f-best))
	}
	var qr mat.QR
	qr.Factorize(a)
	x := mat.NewVecDense(cols, nil)
	if err := qr.SolveVecTo(x, false, b); err != nil && !finite(x.RawVector().Data...) {
		return false
	}
	m.coef = append(m.coef[:0], x.RawVector().Data...)
	return finite(m.coef...)
}

// features sets row to 1, z, and the products of z that the model has, for the whitened point z in typical units.
func (m *surrogate) features(row, z []float64, k modelKind) {
	row[0] = 1
	for j, v := range z {
		row[1+j] = v / m.unit
	}
	if k == linearModel {
		return
	}
	at := 1 + m.n
	for i := range m.n {
		last := i + 1
		if k == fullQuadratic {
			last = m.n
		}
		for j := i; j < last; j++ {
			row[at] = row[1+i] * row[1+j]
			at++
		}
	}
}

// value is the model at u, up to a constant; 0 without a model.
func (m *surrogate) value(s *Search, u []float64) float64 {
	if m.kind == noModel {
		return 0
	}
	z, row := make([]float64, m.n), make([]float64, len(m.coef))
	s.strat.(whitener).whiten(z, u)
	m.features(row, z, m.kind)
	var v float64
	for j, c := range m.coef {
		v += c * row[j]
	}
	return v
}

// complete fills in the fitness of a generation that was not evaluated as a whole: the values of the model for all, shifted so that the best one is the best
// true value.
func (m *surrogate) complete(s *Search, rows [][]float64) {
	held, low, modelLow := false, math.Inf(1), math.Inf(1)
	for i := range s.tasks {
		held = held || s.tasks[i].held
		if s.tasks[i].told {
			low = min(low, s.tasks[i].f)
		}
	}
	if !held {
		return
	}
	for i := range rows {
		s.fitness[i] = m.value(s, rows[i])
		modelLow = min(modelLow, s.fitness[i])
	}
	if !finite(low) {
		return
	}
	for i := range s.fitness {
		s.fitness[i] += low - modelLow
	}
}

func (m *surrogate) archive(a *archive) {
	a.floats(&m.f)
	n := a.length(len(m.u), 8)
	m.u = resize(m.u, n)
	for i := range m.u {
		a.floats(&m.u[i])
		if a.err == nil && len(m.u[i]) != m.n {
			a.fail("a point of the model has %d coordinates, here there are %d", len(m.u[i]), m.n)
		}
	}
	if a.err == nil && len(m.u) != len(m.f) {
		a.fail("%d points and %d values of the model", len(m.u), len(m.f))
	}
}
