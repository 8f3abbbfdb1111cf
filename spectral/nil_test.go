package spectral

import (
	"errors"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestNilMatrices: a matrix that is nil, or a nil pointer, is an error.
func TestNilMatrices(t *testing.T) {
	for _, s := range []mat.Symmetric{nil, (*mat.SymDense)(nil)} {
		var bad *DataError
		if _, err := FromSym(s); !errors.As(err, &bad) || bad.Reason != "is nil" {
			t.Errorf("%T: %v", s, err)
		}
	}
	var none *mat.SymDense
	k := NewKron(1, 2, 3)
	for what, call := range map[string]func(){
		"Dense is a nil pointer": func() { _ = Identity(2, 1).Update(Gradient(none, 0.1, 1), nil) },
		"matrix 1 is nil":        func() { _ = k.Gradient(1, []mat.Symmetric{mat.NewSymDense(2, nil), none}, 0.1, 2, nil) },
	} {
		func() {
			defer func() {
				if e, ours := recover().(Error); !ours || !strings.Contains(e.Error(), what) {
					t.Errorf("want %q, got %v", what, e)
				}
			}()
			call()
		}()
	}
	var bad *DataError
	if _, err := FromEigen(nil, nil); !errors.As(err, &bad) {
		t.Errorf("eigenvectors: %v", err)
	}
	for _, rep := range []Report{Identity(2, 1).Follow(none, nil), NewEigenbasis(2).Follow(nil, nil)} {
		if !errors.As(rep.Err, &bad) {
			t.Errorf("a matrix to follow: %v", rep.Err)
		}
	}
	if err := Identity(2, 1).RankK(nil, nil); !errors.As(err, &bad) {
		t.Errorf("vectors: %v", err)
	}
	if _, err := KronOf(1, Identity(2, 1), nil); !errors.As(err, &bad) || bad.What != "Kronecker factor 1" {
		t.Errorf("Kronecker factors: %v", err)
	}
}
