package curvature

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/kronecker"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Flavour says which vectors at the outputs of a network define its curvature R sum_n J_n^T (sum_v v v^T) J_n.
type Flavour string

// The flavours.
const (
	Type2       Flavour = "type-2"       // the columns of a root of the Hessian of c: the Gauss-Newton matrix; as many pull-backs as outputs per example
	MonteCarlo  Flavour = "mc"           // gradients of c at targets drawn from the model, over the root of their number
	Empirical   Flavour = "empirical"    // the gradient of c at the target of the data
	ForwardOnly Flavour = "forward-only" // none: B = I
)

// Sharing says what the positions of an example (tokens, pixels) are to a weight matrix that all of them share (arXiv:2311.00636).
type Sharing string

// The kinds of sharing.
const (
	Expand Sharing = "expand" // every position is a datum of its own; exact in deep linear networks with a loss at every position
	Reduce Sharing = "reduce" // positions collapse before the factors are formed; exact in deep linear networks that pool before the loss
)

// Convention says which factor of B (x) A carries R and the numbers of examples N and positions S. The product is the same in all of them.
//
//	            expand                                      reduce
//	in-input    A = R sum x x^T,        B = 1/(N S) sum g g^T      A = R sum_n (sum_s x)(..)^T,   B = 1/N sum (mean_s g)(..)^T
//	in-output   A = 1/(N S) sum x x^T,  B = R sum g g^T            A = 1/N sum (mean_s x)(..)^T,  B = R sum_n (sum_s g)(..)^T
//	even        the geometric mean of both
type Convention string

// The conventions.
const (
	InInput  Convention = "in-input"  // the KFAC tutorial, arXiv:2507.05127
	InOutput Convention = "in-output" // arXiv:2311.00636 and curvlinops
	Even     Convention = "even"
)

// Settings say what a Collector collects. The zero value is type-2, expand, joint bias, R in A.
type Settings struct {
	Flavour      Flavour            // default Type2
	Samples      int                // vectors per output row of MonteCarlo; default 1
	Seed         uint64             // of MonteCarlo
	Sharing      Sharing            // default Expand
	PerLayer     map[string]Sharing // instead of Sharing, by the name of the weight block
	SeparateBias bool               // a factor of its own for the bias instead of the joint matrix [W b]
	Convention   Convention         // default InInput
	// Skip leaves out blocks that no layer with statistics owns alone (embeddings, the scales of normalisations). Without it they are an error.
	Skip bool
	// Only names the weight blocks that factors are collected of; default all. Several passes over the data, each for some of the layers, need the memory of
	// one pass's factors at a time, and their vectors are the same.
	Only []string
}

// Validate reports the first setting that has a value that it cannot have.
func (s *Settings) Validate() error {
	switch s.Flavour {
	case "", Type2, MonteCarlo, Empirical, ForwardOnly:
	default:
		return dataError("flavour", "must be type-2, mc, empirical or forward-only, not %q", s.Flavour)
	}
	if err := checkSharing("sharing", s.Sharing); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.PerLayer)) {
		if err := checkSharing("sharing of "+name, s.PerLayer[name]); err != nil {
			return err
		}
	}
	switch s.Convention {
	case "", InInput, InOutput, Even:
	default:
		return dataError("convention", "must be in-input, in-output or even, not %q", s.Convention)
	}
	if s.Samples > mostSamples {
		return dataError("samples", "must be at most %d, not %d", mostSamples, s.Samples)
	}
	if s.Samples < 0 || s.Samples > 1 && s.flavour() != MonteCarlo {
		return dataError("samples", "must be a positive number, and 1 unless the flavour is mc, not %d", s.Samples)
	}
	return nil
}

func checkSharing(what string, s Sharing) error {
	if s != "" && s != Expand && s != Reduce {
		return dataError(what, "must be expand or reduce, not %q", s)
	}
	return nil
}

func (s *Settings) flavour() Flavour {
	if s.Flavour == "" {
		return Type2
	}
	return s.Flavour
}

func (s *Settings) reduces(weight string) bool {
	if own := s.PerLayer[weight]; own != "" {
		return own == Reduce
	}
	return s.Sharing == Reduce
}

// SupportError lists the blocks whose layers have no statistics.
type SupportError struct{ Blocks []string }

// Error names the blocks and says what to do.
func (e *SupportError) Error() string {
	return fmt.Sprintf("curvature: no Kronecker factors for the blocks %q; set Settings.Skip to leave them out", e.Blocks)
}

// Collector adds up, layer by layer, the two streams of Kronecker-factored curvature over batches: inputs x, and vectors g that are pulled back to the
// outputs. Everything that reads from it (KFAC, EKFAC, KFOC, influence, Laplace) sees the same sums.
type Collector[T nnopt.Float] struct {
	net     *net.Net[T]
	curved  net.Curved[T]
	set     Settings
	layers  []*layerSums[T]
	index   map[string]int
	skipped []string
	layout  []Block

	examples int
	inverse  float64 // of R
	factor   float64
	draws    []*rand.Rand
	stats    []nnopt.Stats[T]
	uses     []stream[T]
	data     []T   // outputs and vectors
	averaged [][]T // inputs of grouped convolutions
	in, out  []T   // collapsed positions
	own      []T   // sums over positions by the layers themselves
	adding   bool  // for factors, in which a layer that reduces needs only sums over positions
}

// layerSums are the sums of one weight block; a and b are upper triangles.
type layerSums[T nnopt.Float] struct {
	weight, bias Block
	hasBias      bool
	reduce       bool
	positions    int // S, over all uses of the weights
	a, b         dense.Matrix[float64]
	outerA       kronecker.Outer[T]
	outerB       kronecker.Outer[T]
}

// stream is what one use of a layer saw: inputs, pulled-back vectors and positions.
type stream[T nnopt.Float] struct {
	x, g net.Matrix[T]
	reps int
	sums func(net.Matrix[T]) // nnopt.Stats.Sums, if it replaces x
}

// NewCollector returns an empty collector for a network. The errors are *DataError and *SupportError.
func NewCollector[T nnopt.Float](n *net.Net[T], s Settings) (*Collector[T], error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if n == nil {
		return nil, errNoNetwork
	}
	curved, ok := n.Loss.(net.Curved[T])
	if !ok {
		return nil, dataError("loss", "%T has no root of its Hessian (net.Curved)", n.Loss)
	}
	c := &Collector[T]{net: n, curved: curved, set: s, index: map[string]int{}, layout: Layout(n)}
	alone := map[string]bool{}
	for _, name := range n.Unobserved() {
		alone[name] = true
		c.skipped = append(c.skipped, name)
	}
	for _, l := range n.Layers() {
		if s.Only != nil && !slices.Contains(s.Only, l.Weight) {
			continue
		}
		if alone[l.Weight] {
			if l.Bias != "" && !alone[l.Bias] {
				alone[l.Bias] = true
				c.skipped = append(c.skipped, l.Bias)
			}
			continue
		}
		if _, known := c.index[l.Weight]; !known {
			c.index[l.Weight] = len(c.layers)
			c.layers = append(c.layers, c.newSums(l))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.PerLayer)) {
		if _, known := c.index[name]; !known {
			return nil, dataError("per-layer sharing", "there is no weight block %q with statistics", name)
		}
	}
	if err := c.complete(alone); err != nil {
		return nil, err
	}
	c.draws = drawStreams(s.Seed, max(1, s.Samples))
	return c, nil
}

// complete reports blocks that should have factors and have none; alone are those without statistics.
func (c *Collector[T]) complete(alone map[string]bool) error {
	if c.set.Only == nil {
		if len(c.skipped) > 0 && !c.set.Skip {
			return &SupportError{c.skipped}
		}
		return nil
	}
	c.skipped = nil
	for _, name := range c.set.Only {
		if _, known := c.index[name]; known {
			continue
		}
		if alone[name] {
			return &SupportError{[]string{name}}
		}
		return dataError("layer "+name, "the network has no such weight block with statistics")
	}
	return nil
}

func (c *Collector[T]) newSums(l nnopt.Layer) *layerSums[T] {
	s := &layerSums[T]{weight: c.layout[blockOf(c.layout, l.Weight)], hasBias: l.Bias != "", reduce: c.set.reduces(l.Weight)}
	if s.hasBias {
		s.bias = c.layout[blockOf(c.layout, l.Bias)]
	}
	in := s.weight.Cols
	if s.hasBias { // the last row holds what the bias needs, joint or not
		in++
	}
	s.a, s.b = dense.New[float64](in, in), dense.New[float64](s.weight.Rows, s.weight.Rows)
	return s
}
