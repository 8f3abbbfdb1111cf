package nnopt

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
)

// Float is the set of element types of parameters: float32 and float64.
type Float = dense.Float

// Block is one array of parameters, a Rows x Cols matrix in row-major order (a vector has Rows 1), with the gradient of the loss. An optimizer
// changes Value and reads Grad.
type Block[T Float] struct {
	Name        string
	Rows, Cols  int
	Value, Grad []T
}

// Len returns the number of parameters.
func (b *Block[T]) Len() int { return b.Rows * b.Cols }

// StepInfo is what an optimizer is told about a step beside the gradients.
type StepInfo struct {
	// LRScale multiplies the learning rate in this step, usually Schedule.At(step); 1 is the learning rate itself. 0 moves no parameter, so it must be given.
	LRScale float64
	// BatchSize is the number of examples that the gradient is an average over; 0 is unknown. Rules that scale with it say so.
	BatchSize int
}

// Report says what a step did.
type Report struct {
	Step     int     // steps taken so far, this one included; a skipped step does not count
	LR       float64 // learning rate of the step, before the factors of groups
	GradNorm float64 // Euclidean norm of all gradients before clipping
	Clip     float64 // factor that clipping put on the gradients of the block that was shortened most; 1 is no clipping
	Skipped  bool    // the gradients were not finite and nothing was changed
	Skips    int     // steps skipped so far
	Failures int     // steps so far in which the update of a factor failed, so that the factor stayed as it was
}

// Optimizer moves blocks of parameters. The blocks of all calls must agree in number, order, names and shapes; their slices may move.
type Optimizer[T Float] interface {
	// Init forgets everything and prepares for the blocks. It changes no parameter.
	Init(blocks []Block[T]) error
	// Step moves the parameters once. After an error nothing has changed, neither parameters nor state.
	Step(blocks []Block[T], info StepInfo) (Report, error)
	// State returns a copy of everything that the next steps depend on, apart from the blocks.
	State() State[T]
	// SetState takes over a state of the same optimizer for the same blocks; it must follow Init.
	SetState(State[T]) error
}

// Averager is implemented by optimizers whose result is not the point at which gradients are taken.
type Averager[T Float] interface {
	// Eval exchanges the values of the blocks for the averaged ones, Train exchanges them back, bit for bit. Step fails in between.
	Eval(blocks []Block[T]) error
	Train(blocks []Block[T]) error
}

// BlockError says which block is unusable and why.
type BlockError struct {
	Block string
	What  string
}

// Error returns "block NAME: what".
func (e *BlockError) Error() string { return fmt.Sprintf("block %q: %s", e.Block, e.What) }

// GradientError says that a gradient cannot be used; the step changed nothing.
type GradientError struct {
	Block   string
	Element int
	Value   float64
	Step    int // steps taken before
}

// Error names the block, the element and the value.
func (e *GradientError) Error() string {
	return fmt.Sprintf("step %d: gradient of block %q is %v at element %d; lower the learning rate, clip the gradients, or set NonFinite to skip",
		e.Step+1, e.Block, e.Value, e.Element)
}

// FactorError says that the updates of factors failed in more steps in a row than is tolerated; the step changed nothing.
type FactorError struct {
	Step  int // steps taken before
	InRow int
}

// Error names the number of failures.
func (e *FactorError) Error() string {
	return fmt.Sprintf("step %d: the update of a factor failed in %d steps in a row; clip the gradients, lower the learning rate, raise Tolerate, or set NonFinite to skip",
		e.Step+1, e.InRow)
}

// OptionError says which option has a value that it cannot have.
type OptionError struct {
	Option string
	What   string
}

// Error returns "OPTION what".
func (e *OptionError) Error() string { return e.Option + " " + e.What }

func option(name, format string, args ...any) error {
	return &OptionError{name, fmt.Sprintf(format, args...)}
}

// Matrix is a row-major view of Rows x Cols elements: a struct of Rows, Cols, Stride and Data, row i of which starts at Data[i*Stride]. It has the methods
// At(i, j), Set(i, j, v), Row(i), View(i, j, rows, cols), Clone(), Copy(src), Zero() and Identity(). See MatrixOf.
type Matrix[T Float] = dense.Matrix[T]

// MatrixOf returns the matrix whose rows stand in data one after the other, and shares its memory. It panics where data has fewer than rows*cols elements.
func MatrixOf[T Float](rows, cols int, data []T) Matrix[T] { return dense.Wrap(rows, cols, data) }
