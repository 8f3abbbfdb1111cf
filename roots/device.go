package roots

import "github.com/spdopt/spdopt/internal/engine"

// onDevice says whether the job runs elsewhere than on the processor.
func (j *job[T]) onDevice() bool { return j.e != engine.CPU[T]() }

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
