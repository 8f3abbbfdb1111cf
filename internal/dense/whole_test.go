package dense

import "testing"

// TestWhole: matrices that callers put together hold what their shape says, or not.
func TestWhole(t *testing.T) {
	for _, m := range []Matrix[float64]{{}, {Rows: 3}, {Rows: 2, Cols: 2, Stride: 3, Data: make([]float64, 5)}, New[float64](4, 1)} {
		if !Whole(m) {
			t.Errorf("%+v is not whole", m)
		}
	}
	for _, m := range []Matrix[float64]{{Rows: -1}, {Cols: -1, Stride: 1}, {Rows: 2, Cols: 2, Stride: 1, Data: make([]float64, 9)}, {Rows: 2, Cols: 2, Stride: 3, Data: make([]float64, 4)}} {
		if Whole(m) {
			t.Errorf("%+v is whole", m)
		}
	}
}
