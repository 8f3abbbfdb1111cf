package nnopt

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/safetensors"
)

// State is everything that an optimizer carries from step to step.
type State[T Float] struct {
	Optimizer string
	Step      int
	Skips     int
	Failures  int       // steps in which the update of a factor failed
	Failing   int       // the last of them in a row
	Averaged  bool      // the blocks hold the averaged values (Averager.Eval)
	Counters  []Counter // numbers that belong to no block
	Slots     []Slot[T] // arrays that belong to a block
}

// Counter is a named number of a state.
type Counter struct {
	Name  string
	Value float64
}

// Slot is an array that an optimizer keeps for a block.
type Slot[T Float] struct {
	Block, Name string
	Rows, Cols  int
	Data        []T

	narrow []engine.BFloat16 // the elements, in an optimizer that stores them so; Data is nil there
}

// State implements Optimizer.
func (s *stepper[T]) State() State[T] {
	st := State[T]{Optimizer: s.name, Step: s.step, Skips: s.skips, Failures: s.failures, Failing: s.failing, Averaged: s.averaged}
	for _, c := range s.rule.counters() {
		st.Counters = append(st.Counters, Counter{c.name, *c.value})
	}
	for _, t := range s.blocks {
		for _, slot := range t.slots {
			st.Slots = append(st.Slots, s.copyOf(slot))
		}
	}
	return st
}

// copyOf returns a slot with its own elements, in T.
func (s *stepper[T]) copyOf(slot Slot[T]) Slot[T] {
	if slot.narrow == nil {
		slot.Data = append([]T(nil), slot.Data...)
		return slot
	}
	slot.Data = make([]T, len(slot.narrow))
	s.backend.Widen(slot.narrow, slot.Data)
	slot.narrow = nil
	return slot
}

// SetState implements Optimizer.
func (s *stepper[T]) SetState(st State[T]) error {
	if s.blocks == nil {
		return errors.New("nnopt: Init has not been called")
	}
	if st.Optimizer != s.name {
		return fmt.Errorf("nnopt: state of optimizer %q, not of %q", st.Optimizer, s.name)
	}
	counters := s.rule.counters()
	if len(st.Counters) != len(counters) {
		return fmt.Errorf("nnopt: state with %d counters, not %d", len(st.Counters), len(counters))
	}
	for i, c := range counters {
		if st.Counters[i].Name != c.name {
			return fmt.Errorf("nnopt: state has counter %q where %q belongs", st.Counters[i].Name, c.name)
		}
	}
	var own []*Slot[T]
	for k := range s.blocks {
		for j := range s.blocks[k].slots {
			own = append(own, &s.blocks[k].slots[j])
		}
	}
	if len(own) != len(st.Slots) {
		return fmt.Errorf("nnopt: state with %d slots, not %d; it belongs to another model or other options", len(st.Slots), len(own))
	}
	for i, slot := range st.Slots {
		o := own[i]
		if slot.Block != o.Block || slot.Name != o.Name || slot.Rows != o.Rows || slot.Cols != o.Cols || len(slot.Data) != o.Rows*o.Cols {
			return &BlockError{slot.Block, fmt.Sprintf("state has slot %q of %d x %d where slot %q of block %q, %d x %d, belongs", slot.Name, slot.Rows, slot.Cols,
				o.Name, o.Block, o.Rows, o.Cols)}
		}
	}
	for i, slot := range st.Slots {
		if own[i].narrow != nil {
			s.backend.Narrow(slot.Data, own[i].narrow)
			continue
		}
		copy(own[i].Data, slot.Data)
	}
	for i, c := range counters {
		*c.value = st.Counters[i].Value
	}
	s.step, s.skips, s.failures, s.failing, s.averaged = st.Step, st.Skips, st.Failures, st.Failing, st.Averaged
	s.forget()
	return nil
}

// stateFormat is the version of the written form of a state.
const stateFormat = "2"

// MarshalBinary returns the state as a safetensors file: the slots are tensors called "block/slot", the rest is metadata. The round trip is exact.
func (s State[T]) MarshalBinary() ([]byte, error) {
	f := &safetensors.File{Metadata: map[string]string{
		"format": stateFormat, "optimizer": s.Optimizer, "step": strconv.Itoa(s.Step), "skips": strconv.Itoa(s.Skips),
		"failures": strconv.Itoa(s.Failures), "failing": strconv.Itoa(s.Failing),
		"averaged": strconv.FormatBool(s.Averaged), "slots": strconv.Itoa(len(s.Slots)), "counters": strconv.Itoa(len(s.Counters)),
	}}
	for i, c := range s.Counters {
		f.Metadata[fmt.Sprintf("counter.%d", i)] = strconv.FormatFloat(c.Value, 'g', -1, 64) + " " + c.Name
	}
	for i, slot := range s.Slots {
		f.Metadata[fmt.Sprintf("slot.%d.block", i)] = slot.Block
		f.Metadata[fmt.Sprintf("slot.%d.name", i)] = slot.Name
		t := safetensors.Tensor{Name: slot.Block + "/" + slot.Name, Shape: []int{slot.Rows, slot.Cols}}
		switch data := any(slot.Data).(type) {
		case []float32:
			t.F32 = data
		case []float64:
			t.F64 = data
		}
		f.Tensors = append(f.Tensors, t)
	}
	var b bytes.Buffer
	err := safetensors.Write(&b, f)
	return b.Bytes(), err
}

// UnmarshalBinary reads what MarshalBinary wrote. The errors say what is wrong with the data.
func (s *State[T]) UnmarshalBinary(data []byte) error {
	f, err := safetensors.Read(data)
	if err != nil {
		return err
	}
	m := metadata{text: f.Metadata}
	if v := f.Metadata["format"]; v != stateFormat {
		return fmt.Errorf("state of format %q; this version reads format %s", v, stateFormat)
	}
	*s = State[T]{Optimizer: f.Metadata["optimizer"], Step: m.number("step"), Skips: m.number("skips"), Failures: m.number("failures"), Failing: m.number("failing"), Averaged: f.Metadata["averaged"] == "true"}
	for i := range m.number("counters") {
		var c Counter
		if _, err := fmt.Sscanf(f.Metadata[fmt.Sprintf("counter.%d", i)], "%g %s", &c.Value, &c.Name); err != nil {
			return fmt.Errorf("counter %d: %w", i, err)
		}
		s.Counters = append(s.Counters, c)
	}
	slots := m.number("slots")
	if m.err != nil {
		return m.err
	}
	if slots != len(f.Tensors) {
		return fmt.Errorf("%d slots are announced, %d are there", slots, len(f.Tensors))
	}
	for i := range slots {
		slot := Slot[T]{Block: f.Metadata[fmt.Sprintf("slot.%d.block", i)], Name: f.Metadata[fmt.Sprintf("slot.%d.name", i)]}
		t := f.Tensor(slot.Block + "/" + slot.Name)
		if t == nil || len(t.Shape) != 2 {
			return fmt.Errorf("slot %q of block %q is missing or no matrix", slot.Name, slot.Block)
		}
		slot.Rows, slot.Cols = t.Shape[0], t.Shape[1]
		if slot.Data = tensorData[T](t); slot.Data == nil {
			return fmt.Errorf("slot %q of block %q has another element type", slot.Name, slot.Block)
		}
		s.Slots = append(s.Slots, slot)
	}
	return nil
}

// tensorData returns the elements of t, or nil when they are of another type than T.
func tensorData[T Float](t *safetensors.Tensor) []T {
	if data, ok := any(t.F32).([]T); ok {
		return data
	}
	data, _ := any(t.F64).([]T)
	return data
}

// metadata reads numbers and remembers the first failure.
type metadata struct {
	text map[string]string
	err  error
}

func (m *metadata) number(key string) int {
	v, err := strconv.Atoi(m.text[key])
	if err == nil && (v < 0 || v > 1<<40) {
		err = strconv.ErrRange
	}
	if err != nil {
		if m.err == nil {
			m.err = fmt.Errorf("metadata %q: %w", key, err)
		}
		return 0
	}
	return v
}
