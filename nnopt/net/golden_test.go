package net

import (
	"encoding/json"
	"testing"
)

// flat returns the numbers of nested lists in their order, and the lengths of the lists.
func flat(t *testing.T, text json.RawMessage) (values []float64, shape []int) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		list, ok := v.([]any)
		if !ok {
			values = append(values, v.(float64))
			return
		}
		if depth == len(shape) {
			shape = append(shape, len(list))
		}
		for _, e := range list {
			walk(e, depth+1)
		}
	}
	walk(v, 0)
	return values, shape
}

// channelsLast turns images x channels x positions into images x positions x channels.
func channelsLast(v []float64, images, channels int) []float64 {
	positions := len(v) / images / channels
	out := make([]float64, len(v))
	for n := range images {
		for c := range channels {
			for s := range positions {
				out[(n*positions+s)*channels+c] = v[(n*channels+c)*positions+s]
			}
		}
	}
	return out
}
