package roots

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// onDevice says whether the job runs elsewhere than on the processor.
func (j *job[T]) onDevice() bool { return j.e != engine.CPU[T]() }

// deviceCopies is the most matrices of the size and type of A that a method and its check keep; the check is made in float64.
func (j *job[T]) deviceCopies() int {
	switch {
	case j.Kind == KindLog && j.Single:
		return 28
	case j.Kind == KindLog:
		return 20
	case j.Single:
		return 16
	}
	return 13
}

// hasRoom refuses a matrix of so many rows whose iteration does not fit the memory of the device.
func (j *job[T]) hasRoom(rows int) error {
	s, ok := j.e.(engine.Sized)
	if !ok {
		return nil
	}
	need := float64(j.deviceCopies()*rows*j.N) * float64(unsafe.Sizeof(T(0)))
	if have := float64(s.Memory()); need > 0.9*have {
		return &engine.DeviceError{Name: j.e.Name(), Err: fmt.Errorf("a matrix of %d rows needs about %.3g GB, the device has %.3g GB; use float32, a larger one or the processor",
			rows, need/1e9, have/1e9)}
	}
	return nil
}

// move brings the matrix to the memory of the device, where the results of products will be too.
func (j *job[T]) move() {
	if !j.onDevice() {
		return
	}
	j.arena = engine.NewArena(j.e)
	j.a = j.copyOf(j.a)
}

// copyOf returns a copy in the memory of the device.
func (j *job[T]) copyOf(a dense.Matrix[T]) dense.Matrix[T] {
	b := j.new(a.Rows, a.Cols)
	b.Copy(a)
	return b
}

// chooseOnDevice returns the method to run on a device: the one that is named, or the one with the least work. A decomposition needs no look at the
// spectrum first.
func (j *job[T]) chooseOnDevice(name string) (*Method, error) {
	named := name != "" && name != auto
	iterations := false
	for _, m := range registry() {
		if m.device && (!named || m.Name == name) && m.Can(j.Query) {
			iterations = iterations || !m.exact
			if named && m.exact {
				return m, nil
			}
		}
	}
	if !iterations {
		if named {
			return nil, &MethodError{name, "cannot do " + j.describe() + " on a device; jacobi does every function, newton-schulz, newton, order3 and polar-express powers " +
				"+-k/r up to r = 8, series log and exp, or use the processor"}
		}
		return &jacobiMethod, nil
	}
	if err := j.survey(); err != nil {
		var e *NotPositiveDefiniteError
		if !named && errors.As(err, &e) && j.allowsZero() {
			return &jacobiMethod, nil
		}
		return nil, err
	}
	var pick *Method
	for _, m := range registry() {
		if m.device && m.Can(j.Query) && (!named || name == m.Name) && (pick == nil || m.Work(j.Query) < pick.Work(j.Query)) {
			pick = m
		}
	}
	return pick, nil
}
