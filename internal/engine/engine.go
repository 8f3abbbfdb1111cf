package engine

import (
	"fmt"
	"slices"
	"strconv"
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

// One views a matrix as a batch of one.
func One[T dense.Float](m dense.Matrix[T]) Batch[T] {
	return Batch[T]{Count: 1, Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
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

// row returns row i of all rows of the batch.
func (b *Batch[T]) row(i int) []T {
	return b.Data[i/b.Rows*b.Step+i%b.Rows*b.Stride:][:b.Cols]
}

// Error is what a call panics with when its sizes do not fit.
type Error string

// Error returns the message.
func (e Error) Error() string { return "engine: " + string(e) }

// MustMatch panics with Error unless the batches have the shape of b.
func (b *Batch[T]) MustMatch(op string, others ...*Batch[T]) {
	for _, o := range others {
		if o.Count != b.Count || o.Rows != b.Rows || o.Cols != b.Cols {
			panic(Error(fmt.Sprintf("%s: %d matrices of %d x %d and %d of %d x %d", op, b.Count, b.Rows, b.Cols, o.Count, o.Rows, o.Cols)))
		}
	}
}

// MustHave panics with Error unless all lengths are n.
func MustHave(op string, n int, have ...int) {
	for _, l := range have {
		if l != n {
			panic(Error(fmt.Sprintf("%s: %d elements where %d belong", op, l, n)))
		}
	}
}

// MustPart returns the length of each of count equal parts of n elements; it panics with Error when there are no such parts.
func MustPart(op string, n, count int) int {
	if count < 1 || n%count != 0 {
		panic(Error(fmt.Sprintf("%s: %d elements in %d equal parts", op, n, count)))
	}
	return n / count
}

// Device is what a kind of devices registers: the backends of its index-th one for both element types, and in words which one it is.
type Device struct {
	Name     string
	Float32  func(index int) (Backend[float32], error)
	Float64  func(index int) (Backend[float64], error)
	Describe func(index int) (string, error)
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

// UnknownError says that a text names no device.
type UnknownError struct {
	Name  string
	Known []string
}

// Error names the devices that are known.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("unknown device %q; use %s", e.Name, strings.Join(e.Known, ", "))
	if len(e.Known) > 1 {
		text += fmt.Sprintf("; of several the number follows a colon, as in %s:1", e.Known[1])
	}
	return text
}

// DeviceError says that a device is absent, cannot be used, or failed. Backends panic with it when a call fails on the device.
type DeviceError struct {
	Name string
	Err  error
}

// Error names the device and the cause.
func (e *DeviceError) Error() string { return "device " + e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DeviceError) Unwrap() error { return e.Err }

// Recover is deferred around calls of a backend: it turns the panic of a device that failed into *err.
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *DeviceError:
		*err = r
	default:
		panic(r)
	}
}

// Open returns the backend of the named device; "" is the processor. Of several devices of a kind the name says which one after a colon: "cuda:1".
func Open[T dense.Float](name string) (Backend[T], error) {
	if name == "" || name == cpuName {
		return CPU[T](), nil
	}
	d, index, err := find(name)
	if err != nil {
		return nil, err
	}
	var b any
	if isSingle[T]() {
		b, err = d.Float32(index)
	} else {
		b, err = d.Float64(index)
	}
	if err != nil {
		return nil, &DeviceError{name, err}
	}
	return b.(Backend[T]), nil
}

// Describe says which device a name that Open accepts stands for: product, memory, versions.
func Describe(name string) (string, error) {
	if name == "" || name == cpuName {
		return "the processor", nil
	}
	d, index, err := find(name)
	if err != nil {
		return "", err
	}
	text, err := d.Describe(index)
	if err != nil {
		return "", &DeviceError{name, err}
	}
	return text, nil
}

// find returns the kind of the named device and its index among those.
func find(name string) (d Device, index int, err error) {
	kind, number, more := strings.Cut(name, ":")
	if more {
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			return d, 0, &UnknownError{name, Devices()}
		}
		index = int(n)
	}
	registry.Lock()
	i := slices.IndexFunc(registry.devices, func(d Device) bool { return d.Name == kind })
	if i >= 0 {
		d = registry.devices[i]
	}
	registry.Unlock()
	if i < 0 {
		return d, 0, &UnknownError{name, Devices()}
	}
	return d, index, nil
}
