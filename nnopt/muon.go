package nnopt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// MuonScale says how long the steps of Muon are.
type MuonScale string

// The scales for an m x n matrix; the empty one is MuonAdam.
const (
	MuonAdam     MuonScale = "adam"     // 0.2 sqrt(max(m, n)): the length of AdamW's steps (arXiv:2502.16982)
	MuonSpectral MuonScale = "spectral" // sqrt(max(1, m/n))
	MuonPlain    MuonScale = "plain"    // 1
)

// Muon are the options of Muon (Jordan et al. 2024): the average of a matrix's gradient is made nearly orthogonal, its singular values brought to
// about 0.7 to 1.2, by Newton-Schulz iterations X <- a X + (b X X^T + c (X X^T)^2) X with (3.4445, -4.775, 2.0315). Vectors take the steps of AdamW.
type Muon struct {
	Settings             // LR defaults to 0.001
	Momentum   float64   `json:"momentum,omitempty"`   // moving average of the gradient; default 0.95
	Nesterov   bool      `json:"nesterov,omitempty"`   // average it with the gradient once more
	Iterations int       `json:"iterations,omitempty"` // default 5
	Exact      bool      `json:"exact,omitempty"`      // go on with X <- (3 X - X X^T X)/2 to the polar factor, 30 times at most
	Scale      MuonScale `json:"scale,omitempty"`      // default MuonAdam
	Beta1      float64   `json:"beta1,omitempty"`      // of vectors; default 0.9
	Beta2      float64   `json:"beta2,omitempty"`      // of vectors; default 0.999
	Eps        float64   `json:"eps,omitempty"`        // of vectors; default 1e-8
}

// Validate reports the first option that has a value that it cannot have.
func (o *Muon) Validate() error {
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if err := below("momentum", o.Momentum); err != nil {
		return err
	}
	if o.Iterations < 0 {
		return option("iterations", "must not be negative")
	}
	switch o.Scale {
	case "", MuonAdam, MuonSpectral, MuonPlain:
	default:
		return option("scale", "must be adam, spectral or plain, not %q", o.Scale)
	}
	return validateBetas(o.Beta1, o.Beta2, o.Eps)
}

// NewMuon returns Muon. It keeps one number per parameter of a matrix and two per parameter of a vector.
func NewMuon[T Float](o Muon) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Momentum = orDefault(o.LR, 1e-3), orDefault(o.Momentum, 0.95)
	if o.Iterations == 0 {
		o.Iterations = 5
	}
	form := engine.Adam{Beta1: orDefault(o.Beta1, 0.9), Beta2: orDefault(o.Beta2, 0.999), Eps: orDefault(o.Eps, 1e-8)}
	return newStepper("muon", o.Settings, rule[T](&muonRule[T]{o, adamRule[T]{form: form}}))
}

type muonRule[T Float] struct {
	o       Muon
	vectors adamRule[T]
}

func (r *muonRule[T]) start(*Block[T], []Slot[T]) {}
func (r *muonRule[T]) counters() []counter        { return nil }

func (r *muonRule[T]) begin(t int, lr float64, batch int) { r.vectors.begin(t, lr, batch) }

func (r *muonRule[T]) slots(b *Block[T]) []slotShape {
	if b.Rows == 1 || b.Cols == 1 {
		return r.vectors.slots(b)
	}
	return like(b, "momentum")
}

func (r *muonRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	if b.Rows == 1 || b.Cols == 1 {
		return r.vectors.mover(b, slots)
	}
	scale := 1.0
	switch r.o.Scale {
	case "", MuonAdam:
		scale = 0.2 * math.Sqrt(float64(max(b.Rows, b.Cols)))
	case MuonSpectral:
		scale = math.Sqrt(max(1, float64(b.Rows)/float64(b.Cols)))
	}
	k, n := min(b.Rows, b.Cols), max(b.Rows, b.Cols)
	return &muonBlock[T]{
		o: &r.o, scale: scale, out: dense.New[T](b.Rows, b.Cols), x: dense.New[T](k, n), next: dense.New[T](k, n), a: dense.New[T](k, k), p: dense.New[T](k, k),
	}
}

// muonBlock moves one matrix. x is the matrix, transposed if that has fewer rows.
type muonBlock[T Float] struct {
	o             *Muon
	scale         float64
	out           dense.Matrix[T]
	x, next, a, p dense.Matrix[T]
}

func (s *muonBlock[T]) move(e engine.Backend[T], b *Block[T], slots []Slot[T], u engine.Update) {
	m := slots[0].Data
	enter(e, s.out.Data, b, u)
	mu := T(s.o.Momentum)
	average(e, mu, m, s.out.Data)
	if s.o.Nesterov {
		e.Blend(mu, m, 1-mu, s.out.Data, s.out.Data)
	} else {
		e.Blend(1, m, 0, nil, s.out.Data)
	}
	wide := b.Rows <= b.Cols
	x, next := s.x, s.next
	if wide {
		e.Copy(engine.One(s.out), engine.One(s.x))
	} else {
		e.Transpose(engine.One(s.out), engine.One(s.x))
	}
	s.orthogonalise(e)
	if wide {
		e.Copy(engine.One(s.x), engine.One(s.out))
	} else {
		e.Transpose(engine.One(s.x), engine.One(s.out))
	}
	s.x, s.next = x, next // every step makes the same calls
	leave(e, b, u, s.scale, s.out.Data)
}

// orthogonalise makes x nearly orthogonal.
func (s *muonBlock[T]) orthogonalise(e engine.Backend[T]) {
	e.Unit(s.x.Data, 1e-8)
	const a, b, c = 3.4445, -4.775, 2.0315
	for range s.o.Iterations {
		e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, engine.One(s.x), engine.One(s.x), 0, engine.One(s.a))
		e.Copy(engine.One(s.a), engine.One(s.p))
		e.GemmSymmetric(dense.NoTrans, dense.NoTrans, c, engine.One(s.a), engine.One(s.a), b, engine.One(s.p))
		e.Copy(engine.One(s.x), engine.One(s.next))
		e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(s.p), engine.One(s.x), a, engine.One(s.next))
		s.x, s.next = s.next, s.x
	}
	if s.o.Exact {
		s.polish(e)
	}
}

// polish takes x, whose singular values are below sqrt 3, to its polar factor, until X X^T stops coming nearer to I.
func (s *muonBlock[T]) polish(e engine.Backend[T]) {
	var rest [1]float64
	last := math.Inf(1)
	for range 30 {
		e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, engine.One(s.x), engine.One(s.x), 0, engine.One(s.a))
		e.FromIdentity(engine.One(s.a), rest[:])
		if !(rest[0]*rest[0] < 0.9*last) {
			return
		}
		last = rest[0] * rest[0]
		e.Combine(1.5, -0.5, engine.One(s.a), 0, engine.One(s.a), engine.One(s.a))
		e.Gemm(dense.NoTrans, dense.NoTrans, 1, engine.One(s.a), engine.One(s.x), 0, engine.One(s.next))
		s.x, s.next = s.next, s.x
	}
}
