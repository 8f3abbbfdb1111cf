package golden

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestFlat(t *testing.T) {
	values, shape := Flat(t, json.RawMessage(`[[[1,2],[3,4]],[[5,6],[7,8]],[[9,10],[11,12]]]`))
	if !slices.Equal(shape, []int{3, 2, 2}) || !slices.Equal(values, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) {
		t.Errorf("%v of shape %v", values, shape)
	}
}

func TestChannelsLast(t *testing.T) {
	if got := ChannelsLast([]float64{1, 2, 3, 10, 20, 30}, 1, 2); !slices.Equal(got, []float64{1, 10, 2, 20, 3, 30}) {
		t.Errorf("%v", got)
	}
}

func TestLoad(t *testing.T) {
	var cases []json.RawMessage
	if Load(t, "spectral.json", &cases); len(cases) != 27 {
		t.Errorf("%d cases, want 27", len(cases))
	}
}
