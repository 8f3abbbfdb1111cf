package net

import (
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
)

// TestFeedRefusesBatches: batches that the network cannot take are errors of the loop, not its end, and the next batch is computed as if nothing had been.
func TestFeedRefusesBatches(t *testing.T) {
	opt, err := nnopt.NewAdamW[float64](nnopt.AdamW{Settings: nnopt.Settings{LR: 0.1}})
	if err != nil {
		t.Fatal(err)
	}
	n := New[float64](NewLinear[float64](rand.New(rand.NewPCG(1, 2)), 2, 3, LinearOptions{}), &CrossEntropy[float64]{}, 1)
	feed := NewFeed(n, opt)
	good := &Batch[float64]{X: dense.New[float64](3, 2), N: 3, Target: Target[float64]{Classes: []int32{0, -1, 2}}}
	want, err := feed.Gradient(good, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Batch[float64]{
		"nil":            nil,
		"too wide":       {X: dense.New[float64](3, 4), N: 3, Target: good.Target},
		"no such class":  {X: good.X, N: 3, Target: Target[float64]{Classes: []int32{0, 3, 2}}},
		"too few labels": {X: good.X, N: 3, Target: Target[float64]{Classes: []int32{0}}},
		"no labels":      {X: good.X, N: 3},
	} {
		loss, err := feed.Gradient(b, nil)
		if err == nil || loss != 0 {
			t.Errorf("%s: loss %v, error %v", name, loss, err)
		}
	}
	if again, err := feed.Gradient(good, nil); again != want || err != nil {
		t.Errorf("loss %v, error %v; before the refusals %v", again, err, want)
	}
}

// TestFeedOfCurvature: optimizers that want more than gradients say what they miss.
func TestFeedOfCurvature(t *testing.T) {
	b := &Batch[float64]{X: dense.New[float64](3, 2), N: 3, Target: Target[float64]{Classes: []int32{0, 1, 2}}}
	for _, name := range []string{"kfac", "ikfac", "singd"} {
		opt, err := nnopt.New[float64](name, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := New[float64](NewLinear[float64](rand.New(rand.NewPCG(1, 2)), 2, 3, LinearOptions{}), &CrossEntropy[float64]{}, 1)
		feed := NewFeed(n, opt)
		if err := opt.Init(n.Blocks()); err != nil {
			t.Fatal(err)
		}
		observer := opt.(nnopt.StatsObserver[float64])
		if _, err := feed.Gradient(b, nil); (err != nil) != (observer.WantsStats() == nnopt.SampledStats) {
			t.Errorf("%s, without a source of targets: %v", name, err)
		}
		if _, err := feed.Gradient(b, func() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := &objective[float64]{}
	for what, f := range map[string]func(){"Loss": func() { o.Loss() }, "CurvatureTo": func() { o.CurvatureTo(nil, nil) }} {
		if err := Guard(f); err == nil {
			t.Errorf("%s without a batch was taken", what)
		}
	}
}
