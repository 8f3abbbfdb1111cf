package curvature

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TestRiskRefuses: data and parameters that cannot be used are errors that name the batch and the number.
func TestRiskRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(m *model) []*net.Batch[float64]
		says  string
	}{
		"NaN input": {func(m *model) []*net.Batch[float64] {
			b := *m.batch
			b.X = b.X.Clone()
			b.X.Data[4] = math.NaN()
			return []*net.Batch[float64]{m.batch, &b}
		}, "batch 1: element 4 of the inputs is NaN"},
		"infinite parameter": {func(m *model) []*net.Batch[float64] {
			m.net.Blocks()[2].Value[1] = math.Inf(1)
			return []*net.Batch[float64]{m.batch}
		}, "parameters 2.weight: element 1 is +Inf"},
		"overflow": {func(m *model) []*net.Batch[float64] {
			for i := range m.net.Blocks()[2].Value {
				m.net.Blocks()[2].Value[i] = math.MaxFloat64
			}
			return []*net.Batch[float64]{m.batch}
		}, "the loss is"},
		"no batches": {func(*model) []*net.Batch[float64] { return nil }, "no batches"},
		"no examples": {func(m *model) []*net.Batch[float64] {
			return []*net.Batch[float64]{{X: m.batch.X, Target: m.batch.Target}}
		}, "no examples"},
		"no targets": {func(m *model) []*net.Batch[float64] {
			return []*net.Batch[float64]{{X: m.batch.X, N: 5}}
		}, "no targets"},
		"label": {func(m *model) []*net.Batch[float64] {
			b := *m.batch
			b.Target.Classes = []int32{0, 1, 7, 0, 1}
			return []*net.Batch[float64]{&b}
		}, "label 7"},
		"another architecture": {func(m *model) []*net.Batch[float64] {
			b := *m.batch
			b.X = randomMatrix(1, 5, 4)
			return []*net.Batch[float64]{&b}
		}, "does not fit the network"},
	} {
		m := models()[0]
		batches := c.spoil(&m)
		_, err := NewRisk(m.net, slices.Values(batches), RiskOptions{})
		var d *DataError
		if !errors.As(err, &d) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := models()[3]
	b := *m.batch
	b.Target.Values = b.Target.Values.Clone()
	b.Target.Values.Data[3] = math.NaN()
	var d *DataError
	if _, err := NewRisk(m.net, slices.Values([]*net.Batch[float64]{&b}), RiskOptions{}); !errors.As(err, &d) || !strings.Contains(err.Error(), "targets") {
		t.Errorf("NaN target: %v", err)
	}
}

// TestDeterminism: dropout and batch normalisation are refused in the mode of training, accepted in that of evaluation, and by request.
func TestDeterminism(t *testing.T) {
	for name, layer := range map[string]net.Layer[float64]{"dropout": net.NewDropout[float64](0.5, 1), "batch normalisation": net.NewBatchNorm[float64](4)} {
		n := net.New[float64](net.Chain(linear(1, 3, 4), layer, tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1)
		b := &net.Batch[float64]{N: 6, X: randomMatrix(11, 6, 3), Target: net.Target[float64]{Classes: classes(21, 6, 3)}}
		data := slices.Values([]*net.Batch[float64]{b})
		before := slices.Clone(runningAverages(n))
		var random *RandomError
		if _, err := NewRisk(n, data, RiskOptions{Training: true}); !errors.As(err, &random) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewRisk(n, data, RiskOptions{Training: true, AllowRandom: true}); err != nil {
			t.Errorf("%s by request: %v", name, err)
		}
		if !slices.Equal(before, runningAverages(n)) {
			t.Errorf("%s: the running averages moved", name)
		}
		r, err := NewRisk(n, data, RiskOptions{})
		if err != nil {
			t.Errorf("%s in evaluation: %v", name, err)
			continue
		}
		if c, err := Check(NewHessian(r), source(1)); err != nil || !c.Repeats || c.Adjoint > 1e-13 {
			t.Errorf("%s in evaluation: %+v, %v", name, c, err)
		}
		if n.Inference {
			t.Error("the network stays in the mode of evaluation")
		}
	}
}

func runningAverages(n *net.Net[float64]) (all []float64) {
	for _, a := range n.Arrays() {
		all = append(all, a.Value...)
	}
	return all
}

// TestCheckFinds: operators that are random, not linear, or have another transposed product are found out.
func TestCheckFinds(t *testing.T) {
	a := randomMatrix(1, 4, 4)
	calls := 0.0
	random := &symmetric{4, func(dst, x []float64) {
		calls++
		dense.Gemv(dense.NoTrans, calls, a, x, 0, dst)
	}}
	if c, err := Check(random, source(1)); err != nil || c.Repeats {
		t.Errorf("random: %+v, %v", c, err)
	}
	crooked := &symmetric{4, func(dst, x []float64) { dense.Gemv(dense.NoTrans, 1, a, x, 0, dst) }}
	if c, err := Check(crooked, source(1)); err != nil || c.Adjoint < 1e-3 {
		t.Errorf("not symmetric: %+v, %v", c, err)
	}
	bent := &symmetric{4, func(dst, x []float64) {
		for i, v := range x {
			dst[i] = v * v
		}
	}}
	if c, err := Check(bent, source(1)); err != nil || c.Linearity < 1e-3 {
		t.Errorf("not linear: %+v, %v", c, err)
	}
	var d *DataError
	if _, err := Check(Diagonal([]float64{1, math.NaN()}), source(1)); !errors.As(err, &d) {
		t.Errorf("NaN: %v", err)
	}
}

// TestSingularFactors: damping 0 on factors without full rank names the block; EKFAC likewise; a damped inverse exists.
func TestSingularFactors(t *testing.T) {
	m := models()[0]
	r := m.risk(t)
	k := mustKFAC(t, r, Settings{}) // cross-entropy: B of the last layer has the kernel (1, 1, 1)
	for _, kind := range []DampingKind{Exact, Plain, Pi} {
		var s *SingularError
		if _, err := k.Inverse(Damping{Kind: kind}); !errors.As(err, &s) || s.Block != "2.weight" || !strings.Contains(err.Error(), "damping") {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := k.Inverse(Damping{kind, 1e-3}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	e, err := CollectEKFAC(r, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var s *SingularError
	if _, err := e.Inverse(0); !errors.As(err, &s) {
		t.Errorf("EKFAC: %v", err)
	}
	var d *DataError
	for _, damping := range []Damping{{"round", 1}, {Exact, -1}, {Exact, math.NaN()}} {
		if _, err := k.Inverse(damping); !errors.As(err, &d) {
			t.Errorf("%v: %v", damping, err)
		}
	}
	for _, set := range []Settings{{Flavour: "type-3"}, {Sharing: "both"}, {Convention: "mine"}, {Samples: -1}, {Samples: 3}, {PerLayer: map[string]Sharing{"9.weight": Reduce}}} {
		if _, err := CollectKFAC(r, set); !errors.As(err, &d) {
			t.Errorf("%+v: %v", set, err)
		}
	}
	for name, f := range map[string]func() error{
		"EKFAC":    func() error { _, err := CollectEKFAC(r, Settings{Flavour: ForwardOnly}); return err },
		"KFOC":     func() error { _, err := CollectKFOC(r, Settings{Flavour: ForwardOnly}, KFOCOptions{}); return err },
		"diagonal": func() error { _, err := GGNDiagonal(r, Settings{Flavour: ForwardOnly}); return err },
		"samples":  func() error { _, err := NewMonteCarloGGN(r, 0, 1); return err },
	} {
		if err := f(); !errors.As(err, &d) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var c *ConvergenceError
	if best, err := CollectKFOC(r, Settings{}, KFOCOptions{MaxIterations: 1}); !errors.As(err, &c) || best == nil {
		t.Errorf("one iteration of KFOC: %v", err)
	}
}

// TestSingle: the operators of a float32 network agree with those of the same network in float64.
func TestSingle(t *testing.T) {
	build := func() (*net.Net[float32], *net.Net[float64]) {
		single := net.New[float32](net.Chain[float32](net.NewLinear[float32](source(1), 3, 4, net.LinearOptions{}), net.NewActivation[float32](net.Tanh),
			net.NewLinear[float32](source(2), 4, 3, net.LinearOptions{})), &net.CrossEntropy[float32]{}, 1)
		double := net.New[float64](net.Chain(linear(1, 3, 4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1)
		for k, b := range double.Blocks() {
			for i := range b.Value {
				b.Value[i] = float64(single.Blocks()[k].Value[i])
			}
		}
		return single, double
	}
	single, double := build()
	x := randomMatrix(3, 5, 3)
	narrowed := dense.New[float32](5, 3)
	narrow(narrowed.Data, x.Data)
	target := classes(4, 5, 3)
	a, err := NewRisk(single, slices.Values([]*net.Batch[float32]{{N: 5, X: narrowed, Target: net.Target[float32]{Classes: target}}}), RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewRisk(double, slices.Values([]*net.Batch[float64]{{N: 5, X: x, Target: net.Target[float64]{Classes: target}}}), RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "Hessian", Form(NewHessian(a)), Form(NewHessian(b)), 1e-5)
	matrixNear(t, "GGN", Form(NewGGN(a)), Form(NewGGN(b)), 1e-5)
	matrixNear(t, "Fisher", Form(NewEmpiricalFisher(a)), Form(NewEmpiricalFisher(b)), 1e-5)
	matrixNear(t, "Jacobian", Form(NewJacobian(a)), Form(NewJacobian(b)), 1e-5)
	ka, err := CollectKFAC(a, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "KFAC", Form(ka), Form(mustKFAC(t, b, Settings{})), 1e-5)
	best, err := CollectKFOC(a, Settings{}, KFOCOptions{})
	if err != nil {
		t.Fatal(err)
	}
	exact, err := CollectKFOC(b, Settings{}, KFOCOptions{})
	if err != nil {
		t.Fatal(err)
	}
	matrixNear(t, "KFOC", Form(best), Form(exact), 1e-4)
}
