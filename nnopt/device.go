package nnopt

import (
	"errors"

	"github.com/spdopt/spdopt/internal/engine"
)

// placed is implemented by movers whose workspace can lie in the memory of a device, and that compute through its backend.
type placed[T Float] interface {
	place(e engine.Backend[T], a *engine.Arena[T])
}

// grounded is implemented by rules that move blocks together, with workspace of their own that can lie in the memory of a device.
type grounded[T Float] interface {
	settle(e engine.Backend[T], a *engine.Arena[T])
}

// renewed is implemented by rules that collect blocks while they are made ready: it is called before the first one.
type renewed interface{ renew() }

// coarse is implemented by rules whose products are in BF16 on a device unless Settings.Precision says otherwise.
type coarse interface{ coarse() }

// openFor returns the backend of a rule. Its products are for what decides and for what errors add up in; those that may be rounded are made by engine.Fast of it.
func openFor[T Float](s Settings, r rule[T]) (engine.Backend[T], error) {
	standard := TF32
	if _, ok := r.(coarse); ok {
		standard = BF16
	}
	b, err := engine.OpenRounded[T](s.Device, s.Precision, standard)
	var bad *engine.PrecisionError
	if errors.As(err, &bad) {
		return nil, option("precision", "of %s: %s", bad.Precision, bad.What)
	}
	return b, err
}

// deferring is implemented by rules whose movers and counters touch memory of a device through calls only, or after engine.Wait: on a device their calls
// return before the work is done, and work that repeats from step to step runs as graphs.
type deferring interface{ deferring() }

// deferCalls lets calls return before their work is done, where the rule can.
func (s *stepper[T]) deferCalls() {
	if _, ok := s.rule.(deferring); ok {
		engine.Defer(s.backend)
	}
}

// settleCalls waits for all work after deferCalls.
func (s *stepper[T]) settleCalls() {
	if _, ok := s.rule.(deferring); ok {
		engine.Settle(s.backend)
	}
}

// moveDeferred is moveAll. The blocks have moved when it returns, or after a failure of the device have not, unless the rule waits in between.
func (s *stepper[T]) moveDeferred() {
	if _, ok := s.rule.(deferring); !ok {
		s.moveAll()
		return
	}
	given, mirrors := s.current, s.mirrors
	look, _ := s.rule.(looking)
	looks := look != nil && look.looks()
	func() {
		engine.Defer(s.backend)
		defer engine.Settle(s.backend)
		if !looks {
			s.current = mirrors.reflect(given)
			mirrors.load(given)
		}
		if r, ok := s.rule.(foreseeing[T]); ok && s.backend != engine.CPU[T]() {
			r.ahead(s.current, s.allUpdates())
		}
		if looks {
			s.current = mirrors.reflect(given)
			mirrors.load(given)
		}
		engine.Bind(s.backend)
		defer engine.Settle(s.backend)
		s.moveAll()
	}()
	mirrors.store(given)
}

// allUpdates returns the updates of all blocks.
func (s *stepper[T]) allUpdates() []engine.Update {
	for k := range s.updates {
		s.updates[k] = s.update(k)
	}
	return s.updates
}

// foreseeing is implemented by rules that in some steps read what the device has found in between: on a device they get that ready before anything that lasts moves.
type foreseeing[T Float] interface {
	ahead(blocks []Block[T], updates []engine.Update)
}

// returning is implemented by rules with more than slots and counters to set back after a step that failed on a device.
type returning interface{ takeBack() }

// looking is implemented by rules that may let others look at the blocks while they get a step ready: those have to be where they are.
type looking interface{ looks() bool }

// undo sets the number of steps, the rule's counters and the slots that lie in ordinary memory back after a step that failed on the device, and has the rule do so with
// what else it keeps there.
func (s *stepper[T]) undo(err *error, step int) {
	if *err == nil || s.step == step {
		return
	}
	s.step = step
	for i, c := range s.counters {
		*c.value = s.counted[i]
	}
	for i, kept := range s.kept {
		copy(s.hosted[i], kept)
	}
	if r, ok := s.rule.(returning); ok && s.backend != engine.CPU[T]() {
		r.takeBack()
	}
}

// hosted is implemented by rules that compute with some of their slots on the processor: those stay in ordinary memory.
type hosted interface{ onHost(slot string) bool }

// keepHosted makes room for what those slots hold before a step.
func (s *stepper[T]) keepHosted(all []tracked[T]) {
	s.hosted, s.kept = nil, nil
	h, ok := s.rule.(hosted)
	if !ok || s.backend == engine.CPU[T]() {
		return
	}
	for _, t := range all {
		for _, slot := range t.slots {
			if h.onHost(slot.Name) && !engine.Owns(s.backend, slot.Data) {
				s.hosted, s.kept = append(s.hosted, slot.Data), append(s.kept, make([]T, len(slot.Data)))
			}
		}
	}
}

// narrowing is implemented by rules that store some of their slots in bfloat16.
type narrowing interface{ narrows(slot string) bool }

// allotting is implemented by rules that choose where slots lie on a device, next to those of other blocks.
type allotting[T Float] interface {
	// allot is told all blocks before the first slot is made.
	allot(blocks []Block[T], e engine.Backend[T], a *engine.Arena[T])
	// slot gives a slot its memory, if it has chosen it.
	slot(s *Slot[T]) bool
}

// allocate gives a slot its memory, zeros.
func (s *stepper[T]) allocate(a *engine.Arena[T], slot *Slot[T]) {
	if r, ok := s.rule.(allotting[T]); ok {
		if r.slot(slot) {
			return
		}
	}
	if h, ok := s.rule.(hosted); ok && h.onHost(slot.Name) {
		a = nil
	}
	if n, ok := s.rule.(narrowing); ok && n.narrows(slot.Name) {
		slot.narrow = a.BFloat16s(slot.Rows * slot.Cols)
	} else {
		slot.Data = a.Alloc(slot.Rows * slot.Cols)
	}
}

// needed is the number of elements that a call of a rule can have operands of: six arrays of the size of the largest one.
func needed[T Float](all []tracked[T]) (n int) {
	for _, t := range all {
		n = max(n, t.rows*t.cols)
		for _, s := range t.slots {
			n = max(n, s.Rows*s.Cols)
		}
	}
	return 6 * n
}

// wideGround is where refreshes compute, in float64.
type wideGround struct {
	e     engine.Backend[float64]
	arena *engine.Arena[float64]
}

// wide returns the ground of the device that e computes on.
func wide[T Float](e engine.Backend[T]) wideGround {
	if e == engine.CPU[T]() {
		return wideGround{engine.CPU[float64](), nil}
	}
	other := engine.Double(e)
	return wideGround{other, engine.NewArena(other)}
}
