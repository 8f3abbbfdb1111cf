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
	func() {
		defer func() {
			if e, ours := recover().(Error); !ours || !strings.Contains(e.Error(), "Dense is a nil pointer") {
				t.Errorf("an increment that is a nil pointer: %v", e)
			}
		}()
		_ = Identity(2, 1).Update(Gradient(none, 0.1, 1), nil)
	}()
	var bad *DataError
	if _, err := FromEigen(nil, nil); !errors.As(err, &bad) {
		t.Errorf("eigenvectors: %v", err)
	}
	if err := Identity(2, 1).RankK(nil, nil); !errors.As(err, &bad) {
		t.Errorf("vectors: %v", err)
	}
	if _, err := KronOf(1, Identity(2, 1), nil); !errors.As(err, &bad) || bad.What != "Kronecker factor 1" {
		t.Errorf("Kronecker factors: %v", err)
	}
}
