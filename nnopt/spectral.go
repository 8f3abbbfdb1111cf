package nnopt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
const ProductsBFloat16 ProductPrecision = "bfloat16" // operands are rounded to bfloat16, on the processor only; a device has Settings.Precision

// Spectral are the options of the spectral-factorised preconditioner (Lin et al., arXiv:2502.06268). For a weight matrix the second moment of the
// gradient is S = alpha C (x) K with C = B M B^T of determinant 1, K likewise, where B is orthogonal and M near its diagonal d. A step is
// W <- (1 - lr Decay) W - lr S^(-1/Root) m, with d in the place of M and the moving average m of the gradient. S learns in every step, by the weight
// Beta2; every Interval steps, and in each of the first Interval ones, B is turned towards the eigenvectors by bounded angles, in matrix products only,
// and M along with it, so that nothing is lost: with ShampooStatistics B M B^T is the exact moving average. The published method drops what a rotation
// leaves off the diagonal (Drop, Published). The gradient is rotated once, for S and for m, which is kept in the coordinates of the bases. Vectors have
// one full matrix; tensors (Shaping.Tensors) one factor for each dimension. The factor of a dimension above Shaping.MaxDim is block-diagonal, of blocks of
// at most MaxDim: the projection of what follows from the gradient on such matrices is what it learns.
//
// Root 1 is the root-free (natural-gradient) step: it takes StepInfo.BatchSize times the outer product of the mean gradient as statistics and
// wants a smaller learning rate.
type Spectral struct {
	Settings               // LR defaults to 0.006
	Shaping     Shaping    `json:"shaping,omitzero"`       // its MaxDim defaults to 128: larger factors cost more time than they save steps on the workloads of bench/tuned
	Statistics  Statistics `json:"statistics,omitempty"`   // default KLStatistics
	Root        float64    `json:"root,omitempty"`         // any positive number, default 2
	Momentum    float64    `json:"momentum,omitempty"`     // default 0.9, with bias correction
	NoMomentum  bool       `json:"no_momentum,omitempty"`  // Momentum 0
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
		return option("products", "of bfloat16 are for the processor; on the device %q precision says how products are made", o.Device)
	}
	if o.Interval < 0 || o.MaxSweeps < 0 {
		return option("interval and max_sweeps", "must not be negative")
	}
	if err := below("momentum", o.Momentum); err != nil {
		return err
	}
	if cmp.Or(o.Beta2, 0.05)*cmp.Or(o.Gamma, 1) > 1 {
		return option("gamma", "times beta2 must be at most 1")
	}
	return below("beta2", o.Beta2)
}

// NewSpectral returns the spectral-factorised preconditioner. For an m x n matrix whose dimensions are not cut it keeps m n + 2 m^2 + 2 n^2 numbers, with
// Drop and Interval 1 m^2 + n^2 less; cut into a and b blocks m n + 2 m^2/a + 2 n^2/b. A step costs about 2 m n (m/a + n/b) multiplications, for the Gram
// matrices half as many, and a rotation m n (m/a + n/b) + 3.5 (m^3/a^2 + n^3/b^2).
func NewSpectral[T Float](o Spectral) (Optimizer[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.LR, o.Root, o.Beta2 = cmp.Or(o.LR, 6e-3), cmp.Or(o.Root, 2), cmp.Or(o.Beta2, 0.05)
	if o.Shaping.MaxDim == 0 {
		o.Shaping.MaxDim = 128
	}
	o.Gamma, o.Momentum, o.Interval = cmp.Or(o.Gamma, 1), cmp.Or(o.Momentum, 0.9), max(o.Interval, 1)
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
	o.Damping = cmp.Or(o.Damping, standard)
	r := &spectralRule[T]{
		o: o, turning: turning{o.Published, o.Published || o.Drop, cmp.Or(o.MaxNorm, 0.7), o.Tol, o.MaxSweeps}, free: make(chan *spectralWork[T], 256),
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

	groups   []*spectralGroup[T] // on a device
	allotted map[string]*groupPlace[T]
	places   slotPlaces[T]
}

func (r *spectralRule[T]) counters() []counter { return nil }

func (r *spectralRule[T]) begin(t int, _ float64, batch int) {
	r.step, r.batch = t, 1
	if r.o.Root == 1 && batch > 0 {
		r.batch = float64(batch)
	}
}

// tensor returns the tensor that a block is, and for each dimension the blocks of its factor: none for an excluded one, and for none of a diagonal S.
func (r *spectralRule[T]) tensor(b *Block[T]) (dims []int, cuts [][]int) {
	dims, excluded := r.o.Shaping.tensor(b.Name, b.Rows, b.Cols)
	cuts = make([][]int, len(dims))
	if len(dims) == 1 && (r.o.DiagVectors || dims[0] == 1) {
		return dims, cuts
	}
	for i, n := range dims {
		if !excluded[i] {
			cuts[i] = r.o.Shaping.cuts(n)
		}
	}
	return dims, cuts
}

// slots are the momentum, the totals, and "second0" for a diagonal S, or for each dimension with a factor the bases of its blocks, which have numbers if
// there are several, the eigenvalues and the couplings.
func (r *spectralRule[T]) slots(b *Block[T]) []slotShape {
	all := append(like(b, "momentum"), slotShape{"totals0", 1, totalLength})
	dims, cuts := r.tensor(b)
	for i, sizes := range cuts {
		if sizes == nil {
			continue
		}
		square := func(name string) {
			for k, n := range sizes {
				all = append(all, slotShape{squareName(name, i, k, len(sizes)), n, n})
			}
		}
		square("basis")
		all = append(all, slotShape{fmt.Sprintf("values0.%d", i), 1, dims[i]})
		if r.keepsCoupling() {
			square("coupling")
		}
	}
	if len(all) == 2 {
		all = append(all, slotShape{"second0", 1, b.Len()})
	}
	return all
}

// squareName is what a slot of block k, of so many, of the factor of a dimension is called.
func squareName(kind string, mode, k, blocks int) string {
	name := fmt.Sprintf("%s0.%d", kind, mode)
	if blocks > 1 {
		name += fmt.Sprintf(".%d", k)
	}
	return name
}

// The slot "totals0".
const (
	totalAlpha   = iota // 0 until there was a gradient
	totalUpdates        // updates so far
	totalLength
)

// keepsCoupling says whether what is off the diagonal lasts from step to step.
func (r *spectralRule[T]) keepsCoupling() bool {
	return !r.turning.drop || r.o.Interval > 1 || r.o.Tol > 0
}

func (r *spectralRule[T]) start(_ *Block[T], slots []Slot[T]) { startBases(slots) }

// narrows implements narrowing: the momentum, and what is off the diagonal.
func (r *spectralRule[T]) narrows(slot string) bool {
	return r.o.BFloat16 && (slot == "momentum" || strings.HasPrefix(slot, "coupling"))
}

func (*spectralRule[T]) deferring() {}

// coarse implements the interface: that bfloat16 is enough here was found by simulation (docs/gpu.md).
func (*spectralRule[T]) coarse() {}

// onHost implements hosted: eigenvalues and totals. Calls that read them get copies.
func (r *spectralRule[T]) onHost(slot string) bool {
	return strings.HasPrefix(slot, "values") || strings.HasPrefix(slot, "totals")
}
