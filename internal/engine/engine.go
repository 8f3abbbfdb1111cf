package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

// Batch is Count matrices of Rows x Cols in one slice: element (i, j) of matrix k is Data[k*Step+i*Stride+j]. Step 0 repeats one matrix, which
// only an operand that is read may do.
type Batch[T dense.Float] struct {
	Count, Rows, Cols int
	Stride, Step      int
	Data              []T
}

// At returns matrix k as a view.
func (b Batch[T]) At(k int) dense.Matrix[T] {
	m := dense.Matrix[T]{Rows: b.Rows, Cols: b.Cols, Stride: b.Stride}
	if b.Rows > 0 && b.Cols > 0 {
		first := k * b.Step
		m.Data = b.Data[first : first+(b.Rows-1)*b.Stride+b.Cols]
	}
	return m
}

// Update is what the fused updates of one block of parameters have in common: the gradient that enters a rule is GradScale g + L2 w, and the
// parameters become (1 - Decay) w - LR times the rule's direction.
type Update struct {
	LR        float64
	GradScale float64
	L2        float64
	Decay     float64
}

// Momentum is the heavy-ball rule m <- Mu m + g with direction m, or g + Mu m for Nesterov. Without Mu, m is not touched and may be nil.
type Momentum struct {
	Update
	Mu       float64
	Nesterov bool
}

// Adam is the rule m <- Beta1 m + (1-Beta1) g, v <- Beta2 v + (1-Beta2) g^2 with direction (A m + B g) / (sqrt(C v) + Eps).
type Adam struct {
	Update
	Beta1, Beta2, Eps float64
	A, B, C           float64
}

// ScheduleFree is the rule of Defazio et al., arXiv:2405.15682, with an Adam denominator: with y the parameters,
// d = LR (A m + B g)/(sqrt(C v) + Eps) + Decay times y (or x when DecayAverage is set), z <- z - d, x <- (1-Mix) x + Mix z,
// y <- z + Beta1 (x - z), where m averages g with Inner. m may be nil when A is 0.
type ScheduleFree struct {
	Update
	Beta1, Beta2, Inner, Eps float64
	A, B, C                  float64
	Mix                      float64
	DecayAverage             bool
}

// Backend computes on one device. All slices of a call have equal length unless said otherwise.
type Backend[T dense.Float] interface {
	// Name is the device's name on the command line.
	Name() string
	// Gemm sets c_k = alpha op(a_k) op(b_k) + beta c_k for every k. No two matrices of c may share memory.
	Gemm(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, c Batch[T])
	// SumSquares returns the sum of squares and the largest absolute value of g; a NaN makes both NaN.
	SumSquares(g []T) (sum, largest float64)
	// Momentum, Adam and ScheduleFree move the parameters w along the gradient g.
	Momentum(u Momentum, w, g, m []T)
	Adam(u Adam, w, g, m, v []T)
	ScheduleFree(u ScheduleFree, y, g, m, v, z, x []T)
}

// Device is what a device registers: its backend for both element types.
type Device struct {
	Name    string
	Float32 func() (Backend[float32], error)
	Float64 func() (Backend[float64], error)
}

var registry struct {
	sync.Mutex
	devices []Device
}

// Register adds a device; it is meant to be called from an init function of the device's package. A name that is taken panics.
func Register(d Device) {
	registry.Lock()
	defer registry.Unlock()
	if d.Name == cpuName || slices.ContainsFunc(registry.devices, func(other Device) bool { return other.Name == d.Name }) {
		panic(fmt.Sprintf("engine: device %q is registered twice", d.Name))
	}
	registry.devices = append(registry.devices, d)
}

// Devices returns the names that Open accepts.
func Devices() []string {
	registry.Lock()
	defer registry.Unlock()
	names := []string{cpuName}
	for _, d := range registry.devices {
		names = append(names, d.Name)
	}
	return names
}

// AbsentError says that a device is not there.
type AbsentError struct {
	Name  string
	Known []string
}

// Error names the devices that are there.
func (e *AbsentError) Error() string {
	return fmt.Sprintf("no device %q in this build; use %s", e.Name, strings.Join(e.Known, ", "))
}

// CPU returns the backend of the processor.
func CPU[T dense.Float]() Backend[T] { return cpu[T]{} }

// Open returns the backend of the named device; "" is the processor.
func Open[T dense.Float](name string) (Backend[T], error) {
	if name == "" || name == cpuName {
		return CPU[T](), nil
	}
	registry.Lock()
	i := slices.IndexFunc(registry.devices, func(d Device) bool { return d.Name == name })
	var d Device
	if i >= 0 {
		d = registry.devices[i]
	}
	registry.Unlock()
	if i < 0 {
		return nil, &AbsentError{name, Devices()}
	}
	var b any
	var err error
	if _, single := any(T(0)).(float32); single {
		b, err = d.Float32()
	} else {
		b, err = d.Float64()
	}
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return b.(Backend[T]), nil
}
