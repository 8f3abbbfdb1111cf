package nnopt

import (
	"cmp"
	"fmt"
	"math"
	"path"

	"github.com/spdopt/spdopt/internal/engine"
)

// DecayKind says how weight decay lambda enters a step. With learning rate lr = peak x scale the parameters shrink by the factor
//
//	decoupled    1 - lambda lr            (Loshchilov and Hutter, arXiv:1711.05101, as implemented by most libraries)
//	corrected    1 - lambda lr scale      (the strength follows the schedule once more)
//	independent  1 - lambda scale         (does not depend on the learning rate)
//
// and l2 adds lambda W to the gradient instead. The three coincide where lr = peak = 1.
type DecayKind string

// The kinds of weight decay; the empty kind is Decoupled.
const (
	Decoupled   DecayKind = "decoupled"
	Corrected   DecayKind = "corrected"
	Independent DecayKind = "independent"
	L2          DecayKind = "l2"
)

// Policy says what happens when a gradient is not finite, or so large that its square is not, and when updates of factors keep failing: a factor whose
// update fails stays as it was, and the parameters still move.
type Policy string

// The policies; the empty one is Stop.
const (
	Stop Policy = "stop" // Step returns a GradientError; after more than Tolerate failures in a row a FactorError
	Skip Policy = "skip" // the step is skipped and counted; failures are counted only
)

// Clip bounds gradients before anything else sees them. The zero value does nothing; of several bounds each is applied in the order of the fields.
type Clip struct {
	Norm      float64 `json:"norm,omitempty"`       // bound on the Euclidean norm of all gradients together
	BlockNorm float64 `json:"block_norm,omitempty"` // bound on the norm of each block
}

// Group changes settings for the blocks whose name matches; the first group that matches counts.
type Group struct {
	Match   string  `json:"match"`              // a pattern of path.Match such as "*.bias"; "*" stops at "/"
	LRScale float64 `json:"lr_scale,omitempty"` // factor on the learning rate, default 1
	Decay   float64 `json:"decay,omitempty"`    // weight decay instead of Settings.Decay
	NoDecay bool    `json:"no_decay,omitempty"` // no weight decay
	Freeze  bool    `json:"freeze,omitempty"`   // the parameters do not move
}

// Settings is what all optimizers share.
type Settings struct {
	LR        float64   `json:"lr,omitempty"`         // peak learning rate; each optimizer has its own default
	Decay     float64   `json:"decay,omitempty"`      // weight decay, default 0
	DecayKind DecayKind `json:"decay_kind,omitempty"` // default Decoupled
	Clip      Clip      `json:"clip,omitzero"`
	Groups    []Group   `json:"groups,omitempty"`
	NonFinite Policy    `json:"non_finite,omitempty"` // default Stop
	Tolerate  int       `json:"tolerate,omitempty"`   // steps in a row in which an update of a factor may fail, unless NonFinite is Skip; default 3, negative: none
	Device    string    `json:"device,omitempty"`     // default the processor
	// Precision is that of the products of float32 parameters on a device. The default is BF16 for Spectral and TF32 for all others, FP32 on devices without these.
	Precision Precision `json:"precision,omitempty"`
}

// Precision says how the operands of matrix products on a device are rounded. Parameters, gradients, momentum, factors and bases, and all sums, are float32
// whatever it is; what keeps bases orthogonal and what eigenvalues are read from is never below TF32, decompositions, roots and inverses are made in float64.
type Precision = engine.Precision

// The precisions.
const (
	FP32 = engine.FP32 // not at all
	TF32 = engine.TF32 // to 10 bits behind the leading one
	BF16 = engine.BF16 // to bfloat16: 7 bits
)

// Validate reports the first option that has a value that it cannot have.
func (s *Settings) Validate() error {
	for _, c := range []struct {
		name  string
		value float64
	}{{"lr", s.LR}, {"decay", s.Decay}, {"clip.norm", s.Clip.Norm}, {"clip.block_norm", s.Clip.BlockNorm}} {
		if err := notNegative(c.name, c.value); err != nil {
			return err
		}
	}
	switch s.DecayKind {
	case "", Decoupled, Corrected, Independent, L2:
	default:
		return option("decay_kind", "must be decoupled, corrected, independent or l2, not %q", s.DecayKind)
	}
	switch s.NonFinite {
	case "", Stop, Skip:
	default:
		return option("non_finite", "must be stop or skip, not %q", s.NonFinite)
	}
	if s.Precision.Validate() != nil {
		return option("precision", "must be fp32, tf32 or bf16, not %q", s.Precision)
	}
	for i, g := range s.Groups {
		name := fmt.Sprintf("groups[%d]", i)
		if _, err := path.Match(g.Match, ""); err != nil || g.Match == "" {
			return option(name+".match", "is not a pattern: %q", g.Match)
		}
		if err := notNegative(name+".lr_scale", g.LRScale); err != nil {
			return err
		}
		if err := notNegative(name+".decay", g.Decay); err != nil {
			return err
		}
	}
	return nil
}

func (s *Settings) tolerated() int {
	if s.Tolerate == 0 {
		return 3
	}
	return max(s.Tolerate, 0)
}

func notNegative(name string, v float64) error {
	if !(v >= 0) || math.IsInf(v, 1) {
		return option(name, "must be a finite number that is not negative, not %v", v)
	}
	return nil
}

// below demands 0 <= v < 1, where 0 stands for the default.
func below(name string, v float64) error {
	if !(v >= 0 && v < 1) {
		return option(name, "must be at least 0 and below 1, not %v", v)
	}
	return nil
}

// blockSettings is what Settings say about one block.
type blockSettings struct {
	lrScale, decay float64
	frozen         bool
}

func (s *Settings) forBlock(name string) blockSettings {
	b := blockSettings{lrScale: 1, decay: s.Decay}
	for _, g := range s.Groups {
		if ok, _ := path.Match(g.Match, name); !ok {
			continue
		}
		b.lrScale = cmp.Or(g.LRScale, 1)
		b.decay = cmp.Or(g.Decay, s.Decay)
		if g.NoDecay {
			b.decay = 0
		}
		b.frozen = g.Freeze
		break
	}
	return b
}
