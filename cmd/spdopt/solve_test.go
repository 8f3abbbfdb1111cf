package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/problem"
)

type solved struct {
	Problem, Method  string
	N, Count         int
	Converged        bool
	RelativeGradient float64 `json:"relative_gradient"`
	Objective        float64
	Seed             *uint64
	Solution         [][]float64
	Out              string
}

func solveJSON(t *testing.T, args ...string) solved {
	t.Helper()
	var s solved
	decode(t, succeed(t, append([]string{"solve", "--json"}, args...)...), &s)
	return s
}

func TestSolveMeanKeepsTheJSONContract(t *testing.T) {
	a, want := pairOfFour(8)
	path := write(t, "stack.npy", a...)
	o := fields(t, succeed(t, "solve", "mean", "--data", path, "--json"), "problem", "method", "n", "count", "converged", "reason", "iterations",
		"evaluations", "objective", "gradient_norm", "relative_gradient", "certificate", "seconds", "solution")
	if o["problem"] != "mean" || o["n"] != 8.0 || o["count"] != 4.0 || o["converged"] != true {
		t.Errorf("%v", o)
	}
	c := o["certificate"].(map[string]any)
	if _, ok := c["kind"].(string); !ok {
		t.Errorf("certificate %v", c)
	}
	if _, ok := o["out"]; ok {
		t.Error("out is there without --out")
	}
	s := solveJSON(t, "mean", "--data", path)
	requireClose(t, "mean", flatten(s.Solution), want.Data, 1e-7)

	out := filepath.Join(t.TempDir(), "mean.npy")
	s = solveJSON(t, "mean", "--data", path, "--out", out, "--tol", "1e-10")
	if s.Out != out || s.Solution != nil || !(s.RelativeGradient <= 1e-10) {
		t.Errorf("%+v", s)
	}
	all, many := load(t, out)
	if many {
		t.Error("one result became a stack")
	}
	requireClose(t, "mean in the file", all[0].Data, want.Data, 1e-9)
}

func TestEveryMethodOfEveryProblemRuns(t *testing.T) {
	all := inputs(t)
	for _, p := range problem.List() {
		args, ok := all[p.Name]
		if !ok {
			t.Errorf("no input for %s", p.Name)
			continue
		}
		var first, itml []float64
		for _, method := range p.Methods() {
			s := solveJSON(t, append([]string{p.Name, "--method", method, "--require-converged", "--max-iterations", "20000"}, args...)...)
			if s.Method != method {
				t.Errorf("%s: method %q, asked for %q", p.Name, s.Method, method)
			}
			if first == nil {
				first = flatten(s.Solution)
			}
			want := first
			if strings.HasPrefix(method, "itml") { // another cost
				if itml == nil {
					itml = flatten(s.Solution)
				}
				want = itml
			}
			if p.Name != "shrinkage" { // its methods are different estimators
				requireClose(t, p.Name+" by "+method, flatten(s.Solution), want, 1e-5)
			}
		}
		if p.Name == "mean" {
			_, mean := pairOfFour(5)
			requireClose(t, "mean", first, mean.Data, 1e-6)
		}
	}
}

func TestFormsOfInputGiveTheSameMean(t *testing.T) {
	a, want := pairOfFour(4)
	stack := write(t, "stack.npy", a...)
	names := []string{"a.npy", "b.mtx", "c.csv", "d.json"}
	var paths []string
	for k, m := range a {
		paths = append(paths, write(t, names[k], m))
	}
	raw, err := os.ReadFile(stack)
	if err != nil {
		t.Fatal(err)
	}
	for what, o := range map[string]outcome{
		"one stack":       invoke("solve", "mean", "--json", "--data", stack),
		"listed files":    invoke("solve", "mean", "--json", "--data", paths[0], paths[1], paths[2], paths[3]),
		"repeated flag":   invoke("solve", "mean", "--json", "--data", paths[0], "--data", paths[1], "--data", paths[2], "--data", paths[3]),
		"only listed":     invoke("solve", "mean", "--json", paths[0], paths[1], paths[2], paths[3]),
		"archive":         invoke("solve", "mean", "--json", "--data", write(t, "stack.npz", a...)),
		"safetensors":     invoke("solve", "mean", "--json", "--data", write(t, "stack.safetensors", a...)),
		"JSON":            invoke("solve", "mean", "--json", "--data", write(t, "stack.json", a...)),
		"standard input":  invokeWith(context.Background(), string(raw), "solve", "mean", "--json", "--data", "-"),
		"unknown, format": invoke("solve", "mean", "--json", "--format", "csv", "--data", writeText(t, "x", "2 0\n0 3\n"), "--max-iterations", "5"),
	} {
		if o.code != exitDone {
			t.Errorf("%s: %s", what, o.stderr)
			continue
		}
		if what == "unknown, format" {
			continue
		}
		var s solved
		decode(t, o, &s)
		requireClose(t, what, flatten(s.Solution), want.Data, 1e-7)
	}
}

// TestMATLABStack: the matrices of a stack lie on the last axis.
func TestMATLABStack(t *testing.T) {
	for _, name := range []string{"", ":covariances"} {
		s := solveJSON(t, "mean", "--tol", "1e-11", "--data", "../../internal/matio/testdata/v5_definite.mat"+name)
		requireClose(t, "mean", flatten(s.Solution), []float64{4, 0, 0, 6}, 1e-9)
	}
}

func TestWeightsCountLikeRepetition(t *testing.T) {
	a, _ := pairOfFour(4)
	twice := solveJSON(t, "mean", "--tol", "1e-11", "--data", write(t, "x.npy", a[0], a[0], a[1]))
	list := solveJSON(t, "mean", "--tol", "1e-11", "--data", write(t, "x.npy", a[0], a[1]), "--weights", "2, 1")
	file := solveJSON(t, "mean", "--tol", "1e-11", "--data", write(t, "x.npy", a[0], a[1]), "--weights", writeText(t, "w.csv", "2\n1\n"))
	requireClose(t, "list of weights", flatten(list.Solution), flatten(twice.Solution), 1e-9)
	requireClose(t, "file of weights", flatten(file.Solution), flatten(list.Solution), 0)
}

func TestStartAndSeed(t *testing.T) {
	a, want := pairOfFour(4)
	path := write(t, "x.npy", a...)
	one := solveJSON(t, "mean", "--data", path, "--start", "random", "--seed", "5")
	two := solveJSON(t, "mean", "--data", path, "--start", "random", "--seed", "5")
	if one.Seed == nil || *one.Seed != 5 {
		t.Errorf("seed %v", one.Seed)
	}
	requireClose(t, "same seed", flatten(one.Solution), flatten(two.Solution), 0)
	free := solveJSON(t, "mean", "--data", path, "--start", "random")
	if free.Seed == nil {
		t.Fatal("the seed is not told")
	}
	requireClose(t, "random start", flatten(free.Solution), want.Data, 1e-6)
	start := solveJSON(t, "mean", "--data", path, "--start", write(t, "s.npy", a[2]))
	requireClose(t, "start from a file", flatten(start.Solution), want.Data, 1e-6)
	if start.Seed != nil {
		t.Error("a seed without randomness")
	}
}

func TestLogDetTakesSamplesAndMatrices(t *testing.T) {
	x := gallery.NewStream(8).Normals(40, 3)
	for i := range x.Data {
		x.Data[i] += 2
	}
	samples := write(t, "x.npy", x)
	second, centred := mat.NewSymDense(3, nil), mat.NewSymDense(3, nil)
	mean := make([]float64, 3)
	for i := range 40 {
		for j := range 3 {
			mean[j] += x.At(i, j) / 40
		}
	}
	for i := range 40 {
		row := x.Row(i)
		second.SymRankOne(second, 1.0/40, mat.NewVecDense(3, row))
		d := mat.NewVecDense(3, []float64{row[0] - mean[0], row[1] - mean[1], row[2] - mean[2]})
		centred.SymRankOne(centred, 1.0/40, d)
	}
	requireClose(t, "samples", flatten(solveJSON(t, "logdet", "--data", samples).Solution), full(second).Data, 1e-12)
	requireClose(t, "centred samples", flatten(solveJSON(t, "logdet", "--data", samples, "--center").Solution), full(centred).Data, 1e-12)
	c := gallery.LogDet(3, 10)
	cov := solveJSON(t, "logdet", "--data", write(t, "c.npy", c))
	if cov.Count != 1 {
		t.Errorf("count %d", cov.Count)
	}
	requireClose(t, "covariance", flatten(cov.Solution), c.Data, 1e-12)
	as := solveJSON(t, "logdet", "--data", write(t, "c.npy", c), "--as", "samples")
	var square mat.Dense
	square.Mul(gonumOf(c).T(), gonumOf(c))
	square.Scale(1.0/3, &square)
	requireClose(t, "a square array as samples", flatten(as.Solution), square.RawMatrix().Data, 1e-12)
}

// TestSymmetricSamplesAreNoted: whoever gives covariances where samples belong is told what became of them.
func TestSymmetricSamplesAreNoted(t *testing.T) {
	a, b := gallery.LogDet(3, 10), gallery.LogDet(3, 20)
	stack, x := write(t, "stack.npy", a, b), write(t, "x.npy", gallery.Tyler(3, 10))
	for _, c := range []struct {
		want string
		args []string
	}{
		{"the rows of 2 symmetric matrices of 3 x 3 are taken as 6 samples", []string{"mve", "--data", stack}},
		{"the rows of a symmetric matrix of 3 x 3 are taken as 3 samples", []string{"shrinkage", "--data", write(t, "a.npy", a)}},
		{"", []string{"mve", "--data", stack, "-q"}},
		{"", []string{"logdet", "--data", write(t, "b.npy", b), "--as", "samples"}},
		{"", []string{"mve", "--data", x}},
	} {
		o := succeed(t, append([]string{"solve"}, c.args...)...)
		if got := strings.TrimSpace(strings.TrimPrefix(o.stderr, "spdopt: ")); got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

// Tyler's matrix of the samples x W^T is W S W^T up to scale; the scale is fixed by trace or determinant.
func TestTylerIsEquivariantAndNormalized(t *testing.T) {
	x := gallery.Tyler(4, 10)
	w := dense.Wrap(4, 4, []float64{1, 2, 0, 0, 0, 1, 1, 0, 3, 0, 1, 0, 0, 0, 1, 1})
	y := dense.New[float64](x.Rows, 4)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, x, w, 0, y)
	s := solveJSON(t, "tyler", "--tol", "1e-11", "--data", write(t, "x.csv", x))
	moved := solveJSON(t, "tyler", "--tol", "1e-11", "--data", write(t, "y.csv", y))
	var want mat.Dense
	want.Mul(gonumOf(w), mat.NewDense(4, 4, flatten(s.Solution)))
	want.Mul(&want, gonumOf(w).T())
	want.Scale(4/mat.Trace(&want), &want)
	requireClose(t, "equivariance", flatten(moved.Solution), want.RawMatrix().Data, 1e-8)
	det := solveJSON(t, "tyler", "--data", write(t, "x.csv", x), "--normalize", "det")
	if d := mat.Det(mat.NewDense(4, 4, flatten(det.Solution))); d < 1-1e-9 || d > 1+1e-9 {
		t.Errorf("determinant %v", d)
	}
}

func TestRepairsFromTheCommandLine(t *testing.T) {
	bad := writeText(t, "bad.csv", "1,0\n0,-1e-9\n")
	s := solveJSON(t, "mean", "--data", bad, "--jitter", "1e-8")
	requireClose(t, "jitter", flatten(s.Solution), []float64{1 + 5e-9, 0, 0, 4e-9}, 1e-15)
	s = solveJSON(t, "mean", "--data", bad, "--nearest-spd")
	requireClose(t, "nearest", flatten(s.Solution), []float64{1, 0, 0, 1e-8}, 1e-15)
}

func TestNotConverged(t *testing.T) {
	a := gallery.KarcherScatter(1, 6, 4, 1e4)
	path, out := write(t, "x.npy", a...), filepath.Join(t.TempDir(), "out.npy")
	args := []string{"solve", "mean", "--data", path, "--method", "steepest", "--max-iterations", "1", "--out", out}
	o := succeed(t, args...)
	if !strings.Contains(o.stderr, "did not converge") || !strings.Contains(o.stdout, "no: ") {
		t.Errorf("%+v", o)
	}
	if o := succeed(t, append(args, "--quiet")...); o.stderr != "" {
		t.Errorf("not quiet: %q", o.stderr)
	}
	o = invoke(append(args, "--require-converged", "--json")...)
	if o.code != exitUnmet || !strings.HasPrefix(o.stderr, "spdopt: did not converge: ") {
		t.Errorf("%+v", o)
	}
	if f := fields(t, o, "converged"); f["converged"] != false {
		t.Errorf("converged is %v", f["converged"])
	}
	if _, err := os.Stat(out); err != nil {
		t.Error(err)
	}
}

func TestInterruptedRunsWriteNothing(t *testing.T) {
	a, _ := pairOfFour(6)
	path, out := write(t, "x.npy", a...), filepath.Join(t.TempDir(), "out.npy")
	for code, s := range map[int]syscall.Signal{130: syscall.SIGINT, 143: syscall.SIGTERM} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(interrupted{s})
		for _, args := range [][]string{
			{"solve", "mean", "--data", path, "--out", out},
			{"solve", "mean", "--data", path, "--out", out, "--method", "lbfgs"},
			{"root", "inv", "--in", path, "--out", out},
			{"demo", "--out", filepath.Join(t.TempDir(), "demo")},
		} {
			o := invokeWith(ctx, "", args...)
			if o.code != code || !strings.Contains(o.stderr, "interrupted") || o.stdout != "" {
				t.Errorf("%q: %+v", args, o)
			}
		}
		entries, err := os.ReadDir(filepath.Dir(out))
		if err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	}
}

func TestHumanOutput(t *testing.T) {
	a, _ := pairOfFour(3)
	path := write(t, "x.npy", a...)
	o := succeed(t, "solve", "mean", "--data", path)
	for _, want := range []string{"mean of 4 matrices, n = 3", "yes: ", "distance to optimum", "not written (use --out FILE)"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in\n%s", want, o.stdout)
		}
	}
	if o.stderr != "" {
		t.Errorf("stderr %q", o.stderr)
	}
	raw := succeed(t, "solve", "mean", "--data", path, "--out", "-", "--format", "csv")
	if lines := strings.Split(strings.TrimSpace(raw.stdout), "\n"); len(lines) != 3 || strings.Count(lines[0], ",") != 2 {
		t.Errorf("not three rows of three: %q", raw.stdout)
	}
}
