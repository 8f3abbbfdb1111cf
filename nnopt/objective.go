package nnopt

// Objective is the loss of the batch of the running step as a function of the values of the blocks, for optimizers that ask for more than its gradient.
type Objective[T Float] interface {
	// Loss returns the loss at the current values.
	Loss() float64
	// CurvatureTo sets dst to the Gauss-Newton matrix of the loss at the current values times v; both hold the elements of all blocks, in their order.
	// It may overwrite the gradients of the blocks.
	CurvatureTo(dst, v []T)
}

// ObjectiveUser is implemented by optimizers that evaluate the loss themselves, to choose learning rates and damping and to take back steps. The training
// loop calls SetObjective once, before Init, with an objective that always is that of the batch whose gradients come next; nil takes it away. Steps
// then leave the gradients of the blocks unspecified.
type ObjectiveUser[T Float] interface {
	SetObjective(Objective[T])
}
