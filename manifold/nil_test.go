package manifold

import (
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestNilMatrices: a matrix that is nil, or a nil pointer, is an error of every function that returns one.
func TestNilMatrices(t *testing.T) {
	one := mat.NewSymDense(2, []float64{1, 0, 0, 1})
	var none *mat.SymDense
	cost := func(Point) (float64, error) { return 0, nil }
	source := rand.New(rand.NewPCG(1, 2))
	one2 := func(_ *mat.SymDense, err error) error { return err }
	for name, call := range map[string]func() error{
		"distance":        func() error { _, err := Distance(one, none); return err },
		"log":             func() error { return one2(Log(nil, one)) },
		"exp":             func() error { return one2(Exp(none, one)) },
		"exp, tangent":    func() error { return one2(Exp(one, none)) },
		"geodesic":        func() error { return one2(Geodesic(none, none, 0.5)) },
		"transport":       func() error { return one2(Transport(one, one, nil)) },
		"check":           func() error { return CheckSPD(nil) },
		"frame":           func() error { _, err := NewFrame(none); return err },
		"frame in memory": func() error { _, err := NewFrameIn(nil, none); return err },
		"inverse":         func() error { _, err := FrameOfInverse(nil); return err },
		"inverse frame":   func() error { _, err := NewInverseFrame(none); return err },
		"eigen":           func() error { _, err := NewEigenPoint(none); return err },
		"cholesky":        func() error { _, err := NewCholeskyPoint(none); return err },
		"orthogonal":      func() error { _, err := NewOrthogonalPoint(nil); return err },
		"rows":            func() error { _, err := NewUnitRows((*mat.Dense)(nil)); return err },
		"bures":           func() error { _, err := NewGeneralizedBures(none, BuresOptions{}); return err },
		"correlation":     func() error { return one2(CorrelationOf(none)) },
		"kullback":        func() error { _, err := KullbackDivergence(one, nil); return err },
		"stein":           func() error { _, err := SteinDistance(nil, one); return err },
		"thompson":        func() error { _, err := ThompsonDistance(one, none); return err },
		"thompson path":   func() error { return one2(ThompsonGeodesic(one, none, 0.5)) },
		"kullback mean":   func() error { return one2(KullbackMean([]mat.Symmetric{none}, nil)) },
		"stein mean":      func() error { return one2(SteinMean([]mat.Symmetric{one, none}, nil, MeanOptions{})) },
		"thompson median": func() error { return one2(ThompsonMedian([]mat.Symmetric{one, nil}, nil, MeanOptions{})) },
		"power mean":      func() error { return one2(PowerMean([]mat.Symmetric{nil, one}, nil, 0.5, MeanOptions{})) },
		"ale":             func() error { return one2(ALEMean([]mat.Symmetric{one, none}, nil, MeanOptions{})) },
		"alm":             func() error { return one2(ALMMean([]mat.Symmetric{one, none}, MeanOptions{})) },
		"bmp":             func() error { return one2(BMPMean([]mat.Symmetric{none, one}, MeanOptions{})) },
		"cheap":           func() error { return one2(CheapMean([]mat.Symmetric{none, one}, nil, MeanOptions{})) },
		"mean of points": func() error {
			_, _, err := Mean(affine(2), []Point{IdentityFrame(2, 1), nil}, nil, MeanOptions{})
			return err
		},
		"product":  func() error { _, err := NewProduct([]Manifold{affine(2), nil}, ProductOptions{}); return err },
		"power":    func() error { _, err := NewPower(nil, 2); return err },
		"gradient": func() error { _, err := CheckGradient(affine(2), nil, cost, make([]float64, 4), source); return err },
		"no cost": func() error {
			_, err := CheckGradient(affine(2), IdentityFrame(2, 1), nil, make([]float64, 4), source)
			return err
		},
		"no product": func() error {
			_, err := CheckHessian(affine(2), IdentityFrame(2, 1), cost, make([]float64, 4), nil, source)
			return err
		},
		"retraction":   func() error { _, err := CheckRetraction(affine(2), nil, 1, source); return err },
		"of Kronecker": func() error { _, err := new(Kronecker).PointOfKron(nil); return err },
		"of frames":    func() error { return one2(KullbackMeanOf([]*Frame{nil}, nil)) },
		"diagonalizer": func() error { _, err := JointDiagonalizer([]mat.Symmetric{one, none}, nil, MeanOptions{}); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "is nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := make([]float64, 3)
	for want, call := range map[string]func() error{
		"2 x 3 matrix is not triangular and square": func() error { _, err := FrameOfInverse(mat.NewDense(2, 3, nil)); return err },
		"gradient has 3 elements":                   func() error { _, err := CheckGradient(affine(2), IdentityFrame(2, 1), cost, short, source); return err },
		"vectors of the manifold 4": func() error {
			_, err := CheckHessian(affine(2), IdentityFrame(2, 1), cost, short, func(_, _ []float64) error { return nil }, source)
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	for _, g := range Metrics() {
		for name, call := range map[string]func() error{
			"distance":  func() error { _, err := g.Distance(none, one); return err },
			"inner":     func() error { _, err := g.Inner(one, one, nil); return err },
			"log":       func() error { return one2(g.Log(one, none)) },
			"exp":       func() error { return one2(g.Exp(one, none)) },
			"geodesic":  func() error { return one2(g.Geodesic(nil, one, 0.5)) },
			"transport": func() error { return one2(g.Transport(one, one, none)) },
			"mean":      func() error { return one2(g.Mean([]mat.Symmetric{one, none}, nil)) },
			"median":    func() error { return one2(g.Median([]mat.Symmetric{nil}, nil)) },
		} {
			if err := call(); err == nil || !strings.Contains(err.Error(), "is nil") {
				t.Errorf("%s, %s: %v", g.Name, name, err)
			}
		}
	}
	for _, s := range Spaces() {
		m, err := s.New(2)
		if err != nil {
			continue
		}
		switch p := m.(type) {
		case Matrices:
			_, err = p.PointOf(none)
		case *Hermitian:
			_, err = p.PointOf(nil)
		default:
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "is nil") {
			t.Errorf("space %s: %v", s.Name, err)
		}
	}
}
