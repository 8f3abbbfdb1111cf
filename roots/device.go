package roots

import (
	"fmt"
	"unsafe"

	"github.com/spdopt/spdopt/internal/engine"
)

// onDevice says whether the job runs elsewhere than on the processor.
func (j *job[T]) onDevice() bool { return j.e != engine.CPU[T]() }

// deviceCopies is about how many matrices of the size of A the iterations keep.
const deviceCopies = 10

// hasRoom refuses a matrix whose iteration does not fit the memory of the device.
func (j *job[T]) hasRoom() error {
	s, ok := j.e.(engine.Sized)
	if !ok {
		return nil
	}
	need := float64(deviceCopies*j.N*j.N) * float64(unsafe.Sizeof(T(0)))
	if have := float64(s.Memory()); need > 0.9*have {
		return &engine.DeviceError{Name: j.e.Name(), Err: fmt.Errorf("a matrix of %d rows needs about %.3g GB, the device has %.3g GB; use float32, a larger one or the processor",
			j.N, need/1e9, have/1e9)}
	}
	return nil
}

// move brings the matrix to the memory of the device, where the results of products will be too.
func (j *job[T]) move() {
	if !j.onDevice() {
		return
	}
	j.arena = engine.NewArena(j.e)
	a := j.new(j.N, j.N)
	a.Copy(j.a)
	j.a = a
}

// chooseOnDevice returns the method to run on a device: the one that is named, or the one with the least work.
func (j *job[T]) chooseOnDevice(name string) (*Method, error) {
	if err := j.survey(); err != nil {
		return nil, err
	}
	var pick *Method
	for _, m := range registry() {
		if m.device && m.Can(j.Query) && (name == "" || name == auto || name == m.Name) && (pick == nil || m.Work(j.Query) < pick.Work(j.Query)) {
			pick = m
		}
	}
	if pick == nil {
		if name == "" {
			name = auto
		}
		return nil, &MethodError{name, "cannot do " + j.describe() + " on a device; newton-schulz, newton, order3 and polar-express do powers +-k/r up to r = 8, or use the processor"}
	}
	return pick, nil
}
