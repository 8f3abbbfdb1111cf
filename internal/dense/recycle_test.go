package dense

import "testing"

// Vectors in use never share elements, and have the length that was asked for, whatever was given back before.
func TestRecycledVectors(t *testing.T) {
	for round := range 50 {
		var lent [][]float64
		for k := range 20 {
			n := 1 + (7*round+13*k)%40
			m := RecycledMatrix(1, n)
			if len(m.Data) != n {
				t.Fatalf("round %d: %d elements, want %d", round, len(m.Data), n)
			}
			for i := range m.Data {
				m.Data[i] = float64(k)
			}
			lent = append(lent, m.Data)
		}
		for k, v := range lent {
			for _, x := range v {
				if x != float64(k) {
					t.Fatalf("round %d: vector %d holds what was written to vector %v", round, k, x)
				}
			}
		}
		Recycle(lent...)
		Recycle(nil)
	}
}

// Singles are the memory of what they are made of.
func TestSingles(t *testing.T) {
	v := make([]float64, 3)
	s := Singles(v)
	if len(s) != 6 || len(Singles(nil)) != 0 {
		t.Fatalf("%d elements of 3", len(s))
	}
	for i := range s {
		s[i] = 1
	}
	for i, x := range v {
		if x == 0 {
			t.Errorf("element %d is untouched", i)
		}
	}
}
