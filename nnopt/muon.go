package nnopt

import (
	"cmp"
	"math"

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
	o.LR, o.Momentum = cmp.Or(o.LR, 1e-3), cmp.Or(o.Momentum, 0.95)
	if o.Iterations == 0 {
		o.Iterations = 5
	}
	form := engine.Adam{Beta1: cmp.Or(o.Beta1, 0.9), Beta2: cmp.Or(o.Beta2, 0.999), Eps: cmp.Or(o.Eps, 1e-8)}
	return newStepper("muon", o.Settings, rule[T](&muonRule[T]{o: o, vectors: adamRule[T]{form: form}}))
}

type muonRule[T Float] struct {
	o       Muon
	vectors adamRule[T]
	groups  []*muonGroup[T]          // on a device
	placed  map[string]*muonBlock[T] // in them
	slotted slotPlaces[T]
}

func (r *muonRule[T]) start(*Block[T], []Slot[T]) {}
func (r *muonRule[T]) counters() []counter        { return nil }

func (r *muonRule[T]) begin(t int, lr float64, batch int) { r.vectors.begin(t, lr, batch) }

func (r *muonRule[T]) slots(b *Block[T]) []slotShape {
	if isVector(b) {
		return r.vectors.slots(b)
	}
	return like(b, "momentum")
}

func (r *muonRule[T]) mover(b *Block[T], slots []Slot[T]) mover[T] {
	if isVector(b) {
		return r.vectors.mover(b, slots)
	}
	if s := r.placed[b.Name]; s != nil {
		return s
	}
	s := r.newBlock(b)
	if r.o.forBlock(b.Name).frozen {
		return s
	}
	s.alone = r.newGroup(engine.CPU[T](), b)
	s.alone.momentum = slots[0].Data
	s.alone.add(s, b)
	shareWork(nil, s.alone.workspace(nil))
	return s
}

func (r *muonRule[T]) newBlock(b *Block[T]) *muonBlock[T] {
	scale := 1.0
	switch r.o.Scale {
	case "", MuonAdam:
		scale = 0.2 * math.Sqrt(float64(max(b.Rows, b.Cols)))
	case MuonSpectral:
		scale = math.Sqrt(max(1, float64(b.Rows)/float64(b.Cols)))
	}
	return &muonBlock[T]{scale: scale}
}

func isVector[T Float](b *Block[T]) bool { return b.Rows == 1 || b.Cols == 1 }

// muonBlock moves one matrix, on a device with its group.
type muonBlock[T Float] struct {
	scale float64
	alone *muonGroup[T] // on the processor, of this matrix
	staging[T]
}

func (s *muonBlock[T]) move(e engine.Backend[T], b *Block[T], _ []Slot[T], u engine.Update) {
	if g := s.alone; g != nil {
		s.prepare(e, b, u)
		g.load(false)
		g.orthogonalise()
		g.leave()
	}
}

func (*muonRule[T]) deferring() {}
