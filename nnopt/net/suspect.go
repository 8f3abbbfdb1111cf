package net

import (
	"fmt"
	"strconv"
)

// Suspect says where numbers stop being finite for a batch: which block of parameters, or else the first layer whose outputs are not finite. It is "" if
// all are.
func (n *Net[T]) Suspect(b *Batch[T]) string {
	for _, block := range n.blocks {
		if !finite(block.Value) {
			return fmt.Sprintf("parameters %q", block.Name)
		}
	}
	if !finite(b.X.Data) {
		return "the inputs"
	}
	n.pass.N, n.pass.Step, n.pass.Train, n.pass.Tangent = b.N, b.Step, !n.Inference, false
	where, _ := n.suspect(n.Root, "", Dual[T]{V: b.X})
	return where
}

// suspect runs a layer, or one after the other the layers of a chain, and returns the first whose outputs are not finite.
func (n *Net[T]) suspect(l Layer[T], path string, x Dual[T]) (string, Dual[T]) {
	chain, ok := l.(*Sequential[T])
	if !ok {
		y := l.Forward(&n.pass, x)
		if finite(y.V.Data) {
			return "", y
		}
		return fmt.Sprintf("layer %s (%T)", path, l), y
	}
	for i, inner := range chain.Layers {
		p := strconv.Itoa(i)
		if path != "" {
			p = path + "." + p
		}
		var where string
		if where, x = n.suspect(inner, p, x); where != "" {
			return where, x
		}
	}
	return "", x
}

func finite[T Float](v []T) bool {
	for _, x := range v {
		if x-x != 0 {
			return false
		}
	}
	return true
}
