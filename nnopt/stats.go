package nnopt

// Stats is what one layer with a weight matrix saw in a pass: the streams that Kronecker-factored curvature is made of. With N examples and Reps
// positions in each (pixels, tokens; 1 for a plain layer) both matrices have N*Reps rows, the positions of an example next to each other.
// The gradient of the weights is Out^T In. The views are valid until the next pass.
type Stats[T Float] struct {
	Weight  string    // name of the block of the weights, Dout x Din
	Bias    string    // name of the block of the bias, 1 x Dout, or ""
	In, Out Matrix[T] // inputs, N*Reps x Din, and vectors pulled back to the outputs, N*Reps x Dout
	Reps    int
	// Sums, unless nil, sets dst, N x Din, to the sums of In over the positions of each example without reading In: a convolution adds up pixels, of which
	// In holds a copy for every element of its kernel.
	Sums  func(dst Matrix[T])
	Terms float64 // 1/R for the loss R sum c of the pass, what turns second moments of Out into R times those of c; 0 if the pass does not say
}

// LossAverage says what the loss of a pass is divided by, which decides how large the gradient of one term is.
type LossAverage string

// The averages; the empty one is what the statistics say (Stats.Terms), and AverageBatch where they say nothing.
const (
	AverageBatch     LossAverage = "batch"     // over examples
	AveragePositions LossAverage = "positions" // over examples and positions
	AverageNone      LossAverage = "sum"
)

// terms returns 1/R for the loss R sum c of the pass.
func (s *Stats[T]) terms(a LossAverage) float64 {
	switch {
	case a == AverageNone:
		return 1
	case a == AveragePositions:
		return float64(s.In.Rows)
	case a == "" && s.Terms > 0:
		return s.Terms
	}
	return float64(s.In.Rows / s.Reps)
}

// Layer names the blocks of a layer with a weight matrix; Bias may be "".
type Layer struct {
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
}

// Flavour says which vectors at the outputs of a network the statistics of a pass belong to.
type Flavour string

// The flavours. In both the loss is the one that is trained, with its mean or sum over the examples of the pass.
const (
	NoStats        Flavour = ""          // none are wanted
	EmpiricalStats Flavour = "empirical" // gradient of the loss at the targets of the batch: the pass that gives the gradients
	SampledStats   Flavour = "sampled"   // gradient of the loss at targets drawn from the model, one draw for each row of the outputs
)

// StatsObserver is implemented by optimizers that can learn from what the layers saw, beside the gradients (SINGD, KFAC). The training loop calls
//
//	SetLayers once, before Init;
//	WantsStats before the passes of every step;
//	Observe after each pass of a step (several when gradients are accumulated) unless WantsStats returned NoStats; then Step.
//
// What a pass of n examples reports weighs n when several are averaged. Blocks that belong to no layer are moved without statistics. A wanted Observe
// that does not come leaves what was learned as it is.
type StatsObserver[T Float] interface {
	SetLayers(layers []Layer)
	WantsStats() Flavour
	Observe(stats []Stats[T]) error
}
