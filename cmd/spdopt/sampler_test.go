package main

import (
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestSolveByCMA: the evolution strategy finds what Newton's method finds, for every seed the same bits, and is listed.
func TestSolveByCMA(t *testing.T) {
	path := write(t, "stack.npy", gallery.KarcherScatter(1, 3, 4, 10)...)
	want := solveJSON(t, "mean", "--data", path)
	got := solveJSON(t, "mean", "--data", path, "--method", "cma", "--require-converged")
	requireClose(t, "mean by cma", flatten(got.Solution), flatten(want.Solution), 1e-5)
	if c := certificateOf(t, "mean", "--data", path, "--method", "cma"); c["bound"] != true || c["value"].(float64) > 1e-4 || c["kind"] != "strong-convexity" {
		t.Errorf("certificate %v", c)
	}
	again := solveJSON(t, "mean", "--data", path, "--method", "cma")
	other := solveJSON(t, "mean", "--data", path, "--method", "cma", "--seed", "3")
	if !slices.Equal(flatten(again.Solution), flatten(got.Solution)) || slices.Equal(flatten(other.Solution), flatten(got.Solution)) {
		t.Error("the result does not follow the seed")
	}
	for _, p := range problem.List() {
		if slices.Contains(methodNames(p), samplerMethod) != p.TakesSampler() {
			t.Errorf("methods of %s: %v", p.Name, methodNames(p))
		}
	}
}

// certificateOf solves and returns the certificate of the JSON.
func certificateOf(t *testing.T, args ...string) map[string]any {
	t.Helper()
	return fields(t, succeed(t, append([]string{"solve", "--json"}, args...)...), "certificate")["certificate"].(map[string]any)
}

// stopping makes a strategy a solve.SamplerStopper, as its comment shows.
type stopping struct{ esadapt.Strategy }

func (s stopping) Stopped() (solve.Reason, bool) {
	for _, r := range s.Stop() {
		return solve.Reason{Name: string(r.Code), Detail: r.Detail, Converged: r.Success, Advice: r.Next}, true
	}
	return solve.Reason{}, false
}

// squaredDistance is the cost of the squared distance to a matrix of 2 x 2, and the manifold.
func squaredDistance(t *testing.T) (*manifold.Affine, solve.Objective) {
	t.Helper()
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := manifold.NewFrame(mat.NewSymDense(2, gallery.SPD(1, 2, 5).Data))
	if err != nil {
		t.Fatal(err)
	}
	return m, solve.Cost(func(p manifold.Point) (float64, error) {
		d, err := m.Distance(p, target)
		return d * d, err
	})
}

// TestStrategiesSample: strategies without a search around them find the minimum of a cost on the manifold and stop.
func TestStrategiesSample(t *testing.T) {
	m, cost := squaredDistance(t)
	for _, name := range []string{"cma", "dd-cma", "xnes", "ma-es"} {
		r, err := solve.BlackBox(m, cost, manifold.IdentityFrame(2, 1), &solve.Options{Sampler: func(dim int) (solve.Sampler, error) {
			s, err := esadapt.NewStrategy(name, esadapt.Setup{Mean: make([]float64, dim), Sigma: 0.5, Seed: 1})
			return stopping{s}, err
		}})
		if err != nil || !r.Converged || r.Iterations > 1000 || r.Objective > 1e-9 {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

// TestSamplerResumes: the state of a run by an evolution strategy goes on to the bits of the run that was not interrupted.
func TestSamplerResumes(t *testing.T) {
	m, cost := squaredDistance(t)
	var states [][]byte
	run := func(from *solve.State) *solve.Result {
		r, err := solve.BlackBox(m, cost, manifold.IdentityFrame(2, 1), &solve.Options{Sampler: newSampler(7), Restore: from, Checkpoint: func(s *solve.State) error {
			b, err := s.MarshalBinary()
			states = append(states, b)
			return err
		}})
		if err != nil || !r.Converged {
			t.Fatalf("%+v %v", r, err)
		}
		return r
	}
	straight := run(nil)
	var half solve.State
	if err := half.UnmarshalBinary(states[len(states)/2]); err != nil {
		t.Fatal(err)
	}
	resumed := run(&half)
	if a, b := straight.Point.(*manifold.Frame).Sym(), resumed.Point.(*manifold.Frame).Sym(); !mat.Equal(a, b) || resumed.Iterations != straight.Iterations ||
		resumed.Evaluations != straight.Evaluations {
		t.Errorf("resumed %+v, straight %+v", resumed, straight)
	}
}

// TestSolveMetric: another geometry gives the same estimator, another distance another mean.
func TestSolveMetric(t *testing.T) {
	samples := write(t, "samples.npy", gallery.Tyler(4, 10))
	want := solveJSON(t, "tyler", "--data", samples)
	for _, metric := range []string{"log-euclidean", "bures-wasserstein"} {
		got := solveJSON(t, "tyler", "--data", samples, "--metric", metric, "--require-converged")
		requireClose(t, "tyler in "+metric, flatten(got.Solution), flatten(want.Solution), 1e-6)
	}
	a, _ := pairOfFour(3)
	path := write(t, "stack.npy", a...)
	affine, flat := solveJSON(t, "mean", "--data", path), solveJSON(t, "mean", "--data", path, "--metric", "log-cholesky")
	if flat.Method != "frechet" || slices.Equal(flatten(affine.Solution), flatten(flat.Solution)) {
		t.Errorf("%+v", flat)
	}
	if c := certificateOf(t, "mean", "--data", path, "--metric", "log-cholesky"); c["bound"] != true || c["value"].(float64) > 1e-12 {
		t.Errorf("certificate %v", c)
	}
	half := solveJSON(t, "mean", "--data", path, "--metric", "power")
	requireClose(t, "power mean", flatten(solveJSON(t, "mean", "--data", path, "--metric", "power", "--power", "0.5").Solution), flatten(half.Solution), 1e-12)
	harmonic := solveJSON(t, "mean", "--data", path, "--metric", "inverse-euclidean")
	requireClose(t, "harmonic mean", flatten(solveJSON(t, "mean", "--data", path, "--metric", "power", "--power", "-1").Solution), flatten(harmonic.Solution), 1e-7)
	if half.Method != "power" || slices.Equal(flatten(half.Solution), flatten(harmonic.Solution)) {
		t.Errorf("%+v", half)
	}
	for _, args := range [][]string{
		{"mean", "--metric", "log-eucledian"}, {"mve", "--metric", "log-euclidean"}, {"mean", "--metric", "stein", "--kappa", "2"},
		{"mean", "--power", "3"}, {"mean", "--power", "0.5"}, {"mean", "--metric", "power", "--power", "1.5"}, {"tyler", "--power", "0.5"},
	} {
		if o := invoke(append(append([]string{"solve"}, args...), "--data", path)...); o.code != exitUsage {
			t.Errorf("%v: code %d, %s", args, o.code, o.stderr)
		}
	}
}
