package nnopt

import (
	"bytes"
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
