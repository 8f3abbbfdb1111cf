package problem

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// productsName is the method of every problem on a device.
const productsName = "products"

// deviceMethod solves a problem in matrix products, in either precision.
type deviceMethod struct {
	run64 func(d *Data, o *Options, p *place[float64]) (*outcome, error)
	run32 func(d *Data, o *Options, p *place[float32]) (*outcome, error)
	// elements is about how many numbers the run keeps for n rows and count matrices or samples.
	elements func(n, count int) int
}

// OnDevice tells whether the problem runs with Options.Device other than the processor: in matrix products only, by the method "products", from the
// problem's own start, in the affine-invariant metric. Data checks, sums over n x n numbers and the writing of results stay on the processor.
func (p Problem) OnDevice() bool { return p.device != nil }

// DeviceError says that a problem has no way to do on a device what was asked for.
type DeviceError struct{ Problem, What string }

func (*DeviceError) aboutOptions() {}

// Error names the problems that have one.
func (e *DeviceError) Error() string {
	var able []string
	for _, p := range List() {
		if p.OnDevice() {
			able = append(able, p.Name)
		}
	}
	return fmt.Sprintf("%s: %s; use the processor (on a device run: %s)", e.Problem, e.What, strings.Join(able, ", "))
}

// CheckDevice returns a *DeviceError where Solve would refuse the options because of their Device.
func (p Problem) CheckDevice(o *Options) error {
	if o == nil {
		o = &Options{}
	}
	switch {
	case p.device == nil:
		return &DeviceError{p.Name, "has no way on a device: its cost is not in large matrix products"}
	case o.Method != "" && o.Method != productsName:
		return &DeviceError{p.Name, fmt.Sprintf("the method on a device is %s, not %s", productsName, o.Method)}
	case o.elsewhere() || o.Kappa > 1 || o.Metric == fisherName:
		return &DeviceError{p.Name, "only the affine-invariant metric (kappa 1) runs on a device"}
	case o.Start != nil:
		return &DeviceError{p.Name, "a run on a device has its own start"}
	case o.Solver.Restore != nil:
		return &ResumeError{p.Name, productsName}
	}
	return nil
}

func (p Problem) outcomeOnDevice(d *Data, o *Options) (c *outcome, err error) {
	if err := p.CheckDevice(o); err != nil {
		return nil, err
	}
	if !o.Single {
		e, err := engine.Open[float64](o.Device)
		if err != nil {
			return nil, err
		}
		return runProducts(p, d, o, e, p.device.run64)
	}
	e, err := engine.Open[float32](o.Device)
	if err != nil {
		return nil, err
	}
	return runProducts(p, d, o, e, p.device.run32)
}

// runProducts solves the problem on an engine.
func runProducts[T dense.Float](p Problem, d *Data, o *Options, e engine.Backend[T], run func(*Data, *Options, *place[T]) (*outcome, error)) (c *outcome, err error) {
	defer engine.Recover(&err)
	n, count := extent(d)
	at := &place[T]{Backend: e, arena: engine.NewArena(e)}
	defer runtime.KeepAlive(at.arena)
	if s, ok := e.(engine.Sized); ok {
		const GB = 1e9
		size := int(unsafe.Sizeof(T(0)))
		at.room = s.Memory() / 10 * 9 / size
		if need := p.device.elements(n, count); need > at.room {
			return nil, &engine.DeviceError{Name: e.Name(), Err: fmt.Errorf("solve %s needs about %.3g GB for n = %d, the device has %.3g GB; use float32, a larger one or the processor",
				p.Name, float64(need*size)/GB, n, float64(s.Memory())/GB)}
		}
	}
	own := *o
	s := &own.Solver
	if s.Tolerance == 0 && own.Single {
		s.Tolerance = 1e-4
	}
	if s.AbsoluteTolerance == 0 {
		s.AbsoluteTolerance = 64 * matfun.Eps[T]() * float64(n)
	}
	if s.Stop == nil {
		s.Stop = solve.Stagnation(30)
	}
	return run(d, &own, at)
}

// extent returns the number of columns and of matrices or samples.
func extent(d *Data) (n, count int) {
	if d.Samples != nil {
		count, n = d.Samples.Dims()
		return n, count
	}
	if len(d.Matrices) > 0 {
		n = d.Matrices[0].SymmetricDim()
	}
	return n, len(d.Matrices)
}

// place is where the products of a run are computed.
type place[T dense.Float] struct {
	engine.Backend[T]
	arena *engine.Arena[T]
	room  int // elements, 0 for no limit
}

// batch returns count zero matrices.
func (p *place[T]) batch(count, rows, cols int) engine.Batch[T] {
	return engine.Batch[T]{Count: count, Rows: rows, Cols: cols, Stride: cols, Step: rows * cols, Data: p.arena.Alloc(count * rows * cols)}
}

// load copies numbers into memory of the device.
func load[T dense.Float](dst []T, src []float64) {
	for i, v := range src {
		dst[i] = T(v)
	}
}

// matrices returns the data, which must be finite and of one size.
func (p *place[T]) matrices(d *Data) (engine.Batch[T], error) {
	if len(d.Matrices) == 0 {
		return engine.Batch[T]{}, &DataError{Err: errors.New("no matrices given")}
	}
	n := d.Matrices[0].SymmetricDim()
	all := p.batch(len(d.Matrices), n, n)
	for k, s := range d.Matrices {
		where := fmt.Sprintf("matrix %d", k)
		if s.SymmetricDim() != n {
			return all, &DataError{Where: where, Err: fmt.Errorf("has %d rows, but matrix 0 has %d", s.SymmetricDim(), n)}
		}
		a, err := completeFinite(s, where)
		if err != nil {
			return all, err
		}
		load(all.At(k).Data, a.Data)
	}
	return all, nil
}

// one views matrix k of a batch as a batch.
func one[T dense.Float](b engine.Batch[T], k int) engine.Batch[T] { return engine.One(b.At(k)) }

// dot returns the inner product of two batches of one matrix.
func (p *place[T]) dot(x, y engine.Batch[T]) (sum float64) {
	rows := make([]T, x.Rows)
	p.RowDots(x, y, rows)
	for _, v := range rows {
		sum += float64(v)
	}
	return sum
}

// symmetricOf brings a matrix back.
func symmetricOf[T dense.Float](b engine.Batch[T]) *mat.SymDense {
	m := dense.New[float64](b.Rows, b.Rows)
	for i := range b.Rows {
		for j, v := range b.At(0).Row(i) {
			m.Set(i, j, float64(v))
		}
	}
	return symmetric(m)
}

// dataFault turns the failure of a matrix function into an error about the data.
func dataFault(err error, where string) error {
	var e *matfun.Error
	if !errors.As(err, &e) {
		return err
	}
	if where == "" {
		where = fmt.Sprintf("matrix %d", e.Matrix)
	}
	return &DataError{Where: where, Err: err, Remedy: ridgeRemedy}
}

// moving is a point F F' on a device, as F and G = F^-1, and the next one.
type moving[T dense.Float] struct {
	w          *matfun.Work[T]
	f, g       engine.Batch[T]
	fNext      engine.Batch[T]
	gNext      engine.Batch[T]
	plus, less engine.Batch[T]
}

func newMoving[T dense.Float](p *place[T], n int) *moving[T] {
	m := &moving[T]{w: matfun.New(p.Backend, p.arena, 1, n)}
	for _, b := range []*engine.Batch[T]{&m.f, &m.g, &m.fNext, &m.gNext, &m.plus, &m.less} {
		*b = m.w.Take()
	}
	m.w.Identity(m.f)
	m.w.Identity(m.g)
	return m
}

// move sets the next point to F exp(t eta) F', the geodesic along eta: six products and those of the exponential. Two of them take G back to the inverse of F,
// so that rounding does not add up.
func (m *moving[T]) move(t float64, eta engine.Batch[T]) error {
	w := m.w
	step, r := w.Take(), w.Take()
	defer w.Give(step, r)
	w.Combine(0, T(t/2), eta, 0, eta, step)
	if err := w.Exp(step, m.plus, m.less); err != nil {
		return err
	}
	w.Product(m.f, m.plus, m.fNext)
	w.Product(m.less, m.g, step)
	w.Product(step, m.fNext, r)
	w.Combine(2, -1, r, 0, r, r)
	w.Product(r, step, m.gNext)
	return nil
}

// accept makes the next point the present one.
func (m *moving[T]) accept() {
	m.f, m.fNext = m.fNext, m.f
	m.g, m.gNext = m.gNext, m.g
}

// matrix returns F F'.
func (m *moving[T]) matrix() *mat.SymDense {
	m.w.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, m.f, m.f, 0, m.plus)
	return symmetricOf(m.plus)
}

// secant is the length of the next step along the new direction after a step of length t, where r is the inner product of the new and the old gradient
// relative to the square of the old one (Barzilai and Borwein, IMA J. Numer. Anal. 8 (1988) 141-148), within the bounds.
func secant(t, r, low, high float64) float64 {
	if !(r < 1) {
		return high
	}
	return min(max(t/(1-r), low), high)
}

// finishRun closes a run that kept no point.
func finishRun(mon *iteration.Monitor, certificate solve.Certificate, n, count int, x *mat.SymDense) *outcome {
	r := mon.Result(nil, 0)
	r.Certificate = certificate
	return &outcome{run: r, n: n, count: count, solution: x}
}
