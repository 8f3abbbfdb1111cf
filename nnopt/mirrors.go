package nnopt

import "github.com/spdopt/spdopt/internal/engine"

// mirrors are places in the memory of a device for blocks that lie in ordinary memory: a call that writes to that does so before it returns, and a step that fails
// later would have moved some blocks.
type mirrors[T Float] struct {
	e      engine.Backend[T]
	arena  *engine.Arena[T]
	still  func(k int) bool
	places [][]T // nil where a block never needed one
	blocks []Block[T]
}

// newMirrors makes places for the blocks that need one now, but for those that do not move.
func newMirrors[T Float](e engine.Backend[T], a *engine.Arena[T], blocks []Block[T], still func(k int) bool) *mirrors[T] {
	m := &mirrors[T]{e: e, arena: a, still: still, places: make([][]T, len(blocks)), blocks: make([]Block[T], len(blocks))}
	for k := range blocks {
		if !still(k) && !engine.Owns(e, blocks[k].Value) {
			m.places[k] = a.Alloc(blocks[k].Len())
		}
	}
	return m
}

// reflect returns the blocks with their values in memory of the device. A nil m returns them as they are.
func (m *mirrors[T]) reflect(blocks []Block[T]) []Block[T] {
	if m == nil {
		return blocks
	}
	copy(m.blocks, blocks)
	for k := range m.blocks {
		b := &m.blocks[k]
		if m.still(k) || engine.Owns(m.e, b.Value) {
			continue
		}
		if m.places[k] == nil {
			m.places[k] = m.arena.Alloc(b.Len())
		}
		b.Value = m.places[k]
	}
	return m.blocks
}

// mirrored says whether block k is not where it was given.
func (m *mirrors[T]) mirrored(blocks []Block[T], k int) bool {
	return m != nil && &m.blocks[k].Value[0] != &blocks[k].Value[0]
}

// load copies the values to the places.
func (m *mirrors[T]) load(blocks []Block[T]) {
	for k := range blocks {
		if m.mirrored(blocks, k) {
			m.e.Blend(1, blocks[k].Value, 0, nil, m.blocks[k].Value)
		}
	}
}

// store copies them back when the step is done.
func (m *mirrors[T]) store(blocks []Block[T]) {
	for k := range blocks {
		if m.mirrored(blocks, k) {
			copy(blocks[k].Value, m.blocks[k].Value)
		}
	}
	if m != nil {
		clear(m.blocks)
	}
}
