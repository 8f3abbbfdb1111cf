package influence

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TestRefuses: every network, data and option that cannot be used is an error of its kind that says what is wrong.
func TestRefuses(t *testing.T) {
	all := models()
	mlp, transformer := &all[0], &all[len(all)-1]
	good := mlp.batches[0]
	with := func(change func(b *net.Batch[float64])) Examples[float64] {
		b := *good
		b.X, b.Target.Classes = good.X.Clone(), append([]int32(nil), good.Target.Classes...)
		change(&b)
		return Fixed(&b)
	}
	nan := with(func(b *net.Batch[float64]) { b.X.Data[4] = math.NaN() })
	wide := with(func(b *net.Batch[float64]) { b.X = random(1, good.N, 5) })
	label := with(func(b *net.Batch[float64]) { b.Target.Classes[1] = 3 })
	e := mlp.estimator(t, Options{})
	pair := func(q, s Side[float64]) func() error {
		return func() error { _, err := e.Pairwise(q, s, ScoreOptions{}); return err }
	}
	made := func(m *model, data Examples[float64], o Options) func() error {
		return func() error { _, err := New(m.net, data, o); return err }
	}
	train, queries := Side[float64]{Examples: mlp.train()}, lossOf(mlp.queries())
	broken := MeasurementFunc[float64](func(_ *net.Net[float64], _ *net.Batch[float64], _ Matrix[float64], values []float64, u Matrix[float64]) error {
		for i := range u.Data {
			u.Data[i] = math.Inf(1)
		}
		return nil
	})
	var data *DataError
	var singular *curvature.SingularError
	var support *curvature.SupportError
	for name, c := range map[string]struct {
		f    func() error
		kind any
		says string
	}{
		"no data":              {made(mlp, Fixed[float64](), Options{}), &data, "none"},
		"not finite":           {made(mlp, nan, Options{}), &data, "NaN"},
		"inputs":               {made(mlp, wide, Options{}), &data, "does not fit"},
		"label":                {made(mlp, label, Options{}), &data, "label 3"},
		"preconditioner":       {made(mlp, mlp.train(), Options{Preconditioner: "best"}), &data, "ekfac"},
		"damping":              {made(mlp, mlp.train(), Options{Damping: Damping{Value: -1}}), &data, "negative"},
		"scale":                {made(mlp, mlp.train(), Options{Damping: Damping{Scale: "large"}}), &data, "weighted"},
		"module count":         {made(mlp, mlp.train(), Options{ModuleCount: -1}), &data, "negative"},
		"only":                 {made(mlp, mlp.train(), Options{Curvature: curvature.Settings{Only: []string{"0.weight"}}}), &data, "Modules"},
		"total":                {made(mlp, mlp.train(), Options{Total: -1}), &data, "negative"},
		"bias":                 {made(mlp, mlp.train(), Options{Curvature: curvature.Settings{SeparateBias: true}}), &data, "bias"},
		"module":               {made(mlp, mlp.train(), Options{Modules: []string{"9.weight"}}), &data, "9.weight"},
		"no modules":           {made(mlp, mlp.train(), Options{Modules: []string{}}), &data, "none"},
		"singular KFAC":        {made(mlp, mlp.train(), Options{Preconditioner: KFAC, Damping: Damping{Scale: Absolute}}), &singular, "raise the damping"},
		"singular EKFAC":       {made(mlp, mlp.train(), Options{Damping: Damping{Scale: Absolute}}), &singular, "raise the damping"},
		"layers":               {made(transformer, transformer.train(), Options{}), &support, "Skip"},
		"layers, no curvature": {made(transformer, transformer.train(), Options{Preconditioner: Identity}), &support, "Skip"},
		"query not finite":     {pair(lossOf(nan), train), &data, "NaN"},
		"query label":          {pair(lossOf(label), train), &data, "label 3"},
		"query inputs":         {pair(lossOf(wide), train), &data, "does not fit"},
		"training not finite":  {pair(queries, Side[float64]{Examples: nan}), &data, "NaN"},
		"no queries":           {pair(Side[float64]{}, train), &data, "none"},
		"no training":          {pair(queries, Side[float64]{}), &data, "none"},
		"measurement":          {pair(Side[float64]{mlp.queries(), broken}, train), &data, "Inf"},
		"margin of values": {func() error {
			_, err := Values(all[1].net, Side[float64]{all[1].queries(), Margin[float64]{}})
			return err
		}, &data, "class"},
		"bits": {func() error {
			_, err := e.Gradients(queries, GradientOptions{Compression: Compression{Bits: 4}})
			return err
		}, &data, "8"},
		"rank": {func() error {
			_, err := e.Gradients(queries, GradientOptions{Compression: Compression{Rank: -1}})
			return err
		}, &data, "negative"},
		"partition": {func() error {
			_, err := e.Pairwise(queries, train, ScoreOptions{QueryBatches: -1})
			return err
		}, &data, "negative"},
		"TRAK without damping": {func() error { _, err := TRAK(mlp.net, queries, train, TRAKOptions[float64]{}); return err }, &singular, "raise the damping"},
		"TRAK damping": {func() error {
			_, err := TRAK(mlp.net, queries, train, TRAKOptions[float64]{Damping: math.Inf(1)})
			return err
		}, &data, "damping"},
		"TRAK without a network":   {func() error { _, err := TRAK(nil, queries, train, TRAKOptions[float64]{}); return err }, &data, "net.New"},
		"values without a network": {func() error { _, err := Values(nil, queries); return err }, &data, "net.New"},
		"no batch":                 {pair(lossOf(Fixed[float64](nil)), train), &data, "batch 0"},
		"no gradients":             {func() error { _, err := e.Score(nil, train, false); return err }, &data, "none"},
		"no gradients of tokens":   {func() error { _, err := e.PerToken(nil, train); return err }, &data, "none"},
		"draws": {func() error {
			b := mlp.batches
			_, err := e.Self(Side[float64]{Examples: Examples[float64]{Count: 1, Draws: 2, Batch: func(_, d int) *net.Batch[float64] { return b[d] }}}, false)
			return err
		}, &data, "draw"},
	} {
		err := c.f()
		if err == nil || !errors.As(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %T %v", name, err, err)
		}
	}
}

// TestParametersNotFinite: a network that is not a model any more is refused.
func TestParametersNotFinite(t *testing.T) {
	m := models()[0]
	m.net.Blocks()[0].Value[2] = math.NaN()
	if _, err := New(m.net, m.train(), Options{Preconditioner: Identity}); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Error(err)
	}
}

// TestRandomNetworks: dropout does not enter, as scores are those of evaluation; the mode of the network is as before.
func TestRandomNetworks(t *testing.T) {
	build := func(rate float64) (*net.Net[float64], Examples[float64]) {
		n := net.New[float64](net.Chain(linear(1, 3, 4), net.NewDropout[float64](rate, 1), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1)
		return n, Fixed(&net.Batch[float64]{N: 5, X: random(3, 5, 3), Target: net.Target[float64]{Classes: classes(4, 5, 3)}})
	}
	var all []Matrix[float64]
	for _, rate := range []float64{0, 0.5} {
		n, data := build(rate)
		e, err := New(n, data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pairwise(t, e, lossOf(data), Side[float64]{Examples: data}, ScoreOptions{}).Values)
		if n.Inference {
			t.Error("the network stays in the mode of evaluation")
		}
	}
	nearMatrix(t, "with dropout", all[1], all[0], 0)
}

// TestBatchNorm: batch normalisation counts by its running averages, so that scores do not depend on the company of an example.
func TestBatchNorm(t *testing.T) {
	n := net.New[float64](net.Chain(linear(1, 3, 4), net.NewBatchNorm[float64](4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1)
	b := &net.Batch[float64]{N: 6, X: random(3, 6, 3), Target: net.Target[float64]{Classes: classes(4, 6, 3)}}
	n.Gradient(b) // moves the running averages
	var parts []*net.Batch[float64]
	for _, cut := range [][2]int{{0, 1}, {1, 4}, {4, 6}} {
		parts = append(parts, &net.Batch[float64]{N: cut[1] - cut[0], X: b.X.View(cut[0], 0, cut[1]-cut[0], 3), Target: targetPart(&b.Target, cut[0], cut[1])})
	}
	var all []Matrix[float64]
	for _, data := range []Examples[float64]{Fixed(b), Fixed(parts...)} {
		e, err := New(n, data, Options{Curvature: curvature.Settings{Skip: true}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pairwise(t, e, lossOf(data), Side[float64]{Examples: data}, ScoreOptions{}).Values)
	}
	nearMatrix(t, "cut", all[1], all[0], 1e-10)
}

// drifting is a layer whose outputs are others in every pass, in evaluation too.
type drifting struct {
	net.Layer[float64]
	passes float64
}

func (d *drifting) Forward(p *net.Pass[float64], x net.Dual[float64]) net.Dual[float64] {
	d.passes++
	y := d.Layer.Forward(p, x)
	dense.Scale(d.passes, y.V.Data, y.V.Data)
	return y
}

// TestRefusesRandomNetworks: a network that is random in evaluation has no influence functions.
func TestRefusesRandomNetworks(t *testing.T) {
	n := net.New[float64](net.Chain(linear(1, 3, 4), &drifting{Layer: tanh()}, linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1)
	data := Fixed(&net.Batch[float64]{N: 5, X: random(3, 5, 3), Target: net.Target[float64]{Classes: classes(4, 5, 3)}})
	var refused *curvature.RandomError
	if _, err := New(n, data, Options{}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "the same batch") {
		t.Errorf("%v", err)
	}
}

// TestFloat32: scores of the same network in single precision agree to its accuracy.
func TestFloat32(t *testing.T) {
	narrow := func(m Matrix[float64]) net.Matrix[float32] { return converted[float32](m) }
	x, labels := random(3, 9, 3), classes(4, 9, 3)
	wide := net.New[float64](net.Chain(linear(1, 3, 4), tanh(), linear(2, 4, 3)), &net.CrossEntropy[float64]{}, 1)
	single := net.New[float32](net.Chain[float32](net.NewLinear[float32](source(1), 3, 4, net.LinearOptions{}), net.NewActivation[float32](net.Tanh),
		net.NewLinear[float32](source(1), 4, 3, net.LinearOptions{})), &net.CrossEntropy[float32]{}, 1)
	for k, b := range wide.Blocks() {
		copy(single.Blocks()[k].Value, narrow(dense.Wrap(1, b.Len(), b.Value)).Data)
	}
	data := Fixed(&net.Batch[float64]{N: 9, X: x, Target: net.Target[float64]{Classes: labels}})
	data32 := Fixed(&net.Batch[float32]{N: 9, X: narrow(x), Target: net.Target[float32]{Classes: labels}})
	e, err := New(wide, data, Options{Preconditioner: KFAC})
	if err != nil {
		t.Fatal(err)
	}
	e32, err := New(single, data32, Options{Preconditioner: KFAC})
	if err != nil {
		t.Fatal(err)
	}
	s32, err := e32.Pairwise(Side[float32]{Examples: data32, Measurement: &LossMeasurement[float32]{}}, Side[float32]{Examples: data32}, ScoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nearMatrix(t, "single precision", s32.Values, pairwise(t, e, lossOf(data), Side[float64]{Examples: data}, ScoreOptions{}).Values, 1e-4)
}
