//go:build cuda && cgo && linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/cuda/kernels"
	"github.com/spdopt/spdopt/nnopt"
)

// built is what the tests of other languages need: the emulated driver and the library.
var built = sync.OnceValues(func() (files [2]string, err error) {
	if files[0], err = emu.Build(kernels.Source, "../include", false); err != nil {
		return files, err
	}
	files[1] = filepath.Join(folder, "libspdopt.so")
	if out, err := exec.Command("go", "build", "-tags", "cuda", "-buildmode=c-shared", "-o", files[1], ".").CombinedOutput(); err != nil {
		return files, fmt.Errorf("%w\n%s", err, out)
	}
	return files, nil
})

var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "spdopt-cshared"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// libraries returns the emulated driver and the library.
func libraries(t *testing.T) (driver, lib string) {
	t.Helper()
	files, err := built()
	if errors.Is(err, emu.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return files[0], files[1]
}

// run runs a program on the emulated driver and returns what it printed.
func run(t *testing.T, cmd *exec.Cmd, env ...string) (string, error) {
	t.Helper()
	driver, lib := libraries(t)
	cmd.Env = append(os.Environ(), "SPDOPT_LIBCUDA="+driver, "SPDOPT_LIBCUBLAS="+driver, "SPDOPT_LIBRARY="+lib, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func python(t *testing.T) string {
	t.Helper()
	p, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	return p
}

// TestSymbols: the library exports its own names, and none of the driver's, which could take the place of PyTorch's.
func TestSymbols(t *testing.T) {
	_, lib := libraries(t)
	symbols, err := exec.Command("nm", "-D", "--defined-only", lib).Output()
	if err != nil {
		t.Skip(err)
	}
	if bytes.Contains(symbols, []byte(" cuInit\n")) || !bytes.Contains(symbols, []byte(" spd_step\n")) {
		t.Errorf("the library exports the driver's names, or not its own:\n%s", symbols)
	}
}

// TestLacking opens the library on machines that lack something.
func TestLacking(t *testing.T) {
	_, lib := libraries(t)
	for env, want := range map[string]string{
		"SPDOPT_LIBCUDA=/nonexistent/libcuda.so.1":      "install the NVIDIA driver",
		"SPDOPT_EMU_VERSION=11020":                      "(520) or newer",
		"SPDOPT_LIBCUBLAS=/nonexistent/libcublas.so.12": "install the CUDA runtime libraries",
		"SPDOPT_EMU_DEVICES=0":                          "CUDA_VISIBLE_DEVICES",
	} {
		out, err := run(t, exec.Command(python(t), "-c", "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); l.spd_error.restype = ctypes.c_char_p; print(l.spd_open(0), l.spd_error().decode())", lib), env)
		if err != nil || !strings.HasPrefix(out, "-1 ") || !strings.Contains(out, want) {
			t.Errorf("%s: %v, %s, want %q", env, err, out, want)
		}
	}
}

// TestPython runs the tests of the Python class with a stand-in for PyTorch, whose tensors are in memory that only the driver knows.
func TestPython(t *testing.T) {
	cmd := exec.Command(python(t), "-m", "unittest", "-v", "test_spdopt_torch")
	cmd.Dir = "../../python"
	if out, err := run(t, cmd); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPyTorch runs those with PyTorch itself, where a python3 has it.
func TestPyTorch(t *testing.T) {
	libraries(t)
	p := withTorch(t)
	file := filepath.Join(t.TempDir(), "trajectory.json")
	text, err := json.Marshal(trajectory(t))
	if err := errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p, "-m", "unittest", "-v", "test_with_torch")
	cmd.Dir = "../../python"
	if out, err := run(t, cmd, "SPDOPT_TRAJECTORY="+file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// withTorch returns a Python interpreter that has PyTorch.
func withTorch(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if p, err := exec.LookPath(name); err == nil && exec.Command(p, "-c", "import torch").Run() == nil {
			return p
		}
	}
	t.Skip("no python3 has PyTorch: the class is tested with a stand-in alone")
	return ""
}

// course is what optimizers of nnopt make of a parameter.
type course struct {
	Shape     []int       `json:"shape"`
	Start     []float64   `json:"start"`
	Gradients [][]float64 `json:"gradients"`
	Path      [][]float64 `json:"path"` // after each step
}

// trajectory takes steps of nnopt.Spectral for matrices and of nnopt.AdamW for vectors, in float64.
func trajectory(t *testing.T) []course {
	t.Helper()
	const steps = 5
	r := rand.New(rand.NewPCG(3, 4))
	settings := nnopt.Settings{LR: 0.05, Decay: 0.1}
	spectral, err1 := nnopt.NewSpectral[float64](nnopt.Spectral{Settings: settings, Drop: true})
	adam, err2 := nnopt.NewAdamW[float64](nnopt.AdamW{Settings: settings})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var all []course
	for _, shape := range [][]int{{24, 16}, {9}, {24, 16}, {6, 2, 4}, {24, 16}, {24, 16}, {24, 16}, {12, 20}, {12, 20}, {12, 20}} {
		all = append(all, course{Shape: shape})
	}
	var matrices, vectors []nnopt.Block[float64]
	var order []*nnopt.Block[float64]
	for k := range all {
		c := &all[k]
		b := nnopt.Block[float64]{Name: fmt.Sprint(k), Rows: 1, Cols: c.Shape[0]}
		if len(c.Shape) > 1 {
			b.Rows, b.Cols = c.Shape[0], c.Shape[1]*max(1, append(c.Shape, 1)[2])
		}
		size := b.Rows * b.Cols
		c.Start = normals(r, size)
		for range steps {
			g := normals(r, size)
			for i := range g {
				g[i] = float64(float32(g[i] * float64(1+i/b.Cols) / float64(1+i%b.Cols)))
			}
			c.Gradients = append(c.Gradients, g)
		}
		b.Value, b.Grad = slices.Clone(c.Start), make([]float64, size)
		if b.Rows == 1 {
			vectors = append(vectors, b)
		} else {
			matrices = append(matrices, b)
		}
		order = append(order, &b)
	}
	if err := errors.Join(spectral.Init(matrices), adam.Init(vectors)); err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		for k, b := range order {
			copy(b.Grad, all[k].Gradients[step])
		}
		_, err1 := spectral.Step(matrices, nnopt.StepInfo{LRScale: 1})
		_, err2 := adam.Step(vectors, nnopt.StepInfo{LRScale: 1})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for k, b := range order {
			all[k].Path = append(all[k].Path, slices.Clone(b.Value))
		}
	}
	return all
}

func normals(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64()))
	}
	return v
}

// TestHeader: the header is valid C and C++ on its own.
func TestHeader(t *testing.T) {
	compiler, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("no g++")
	}
	for _, language := range []string{"c", "c++"} {
		cmd := exec.Command(compiler, "-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-include", "spdopt.h", os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", language, err, out)
		}
	}
}

// TestExample compiles the example in C as its comment says and runs it.
func TestExample(t *testing.T) {
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	driver, lib := libraries(t)
	program := filepath.Join(t.TempDir(), "example")
	if out, err := exec.Command(compiler, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I.", "-I../include", "example/example.c", "-o", program, lib, driver,
		"-Wl,-rpath,"+filepath.Dir(lib)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := run(t, exec.Command(program))
	var start, end, straight, resumed float64
	if n, _ := fmt.Sscanf(out, "loss %f at the start\nloss %f after 99 steps\nloss %f after 119 steps, %f from the saved state", &start, &end, &straight, &resumed); err != nil || n != 4 {
		t.Fatalf("%v\n%s", err, out)
	}
	if !(end < 1e-3*start && straight < end && straight == resumed) {
		t.Errorf("the example does not descend, or does not go on from a saved state:\n%s", out)
	}
	out, err = run(t, exec.Command(program), "SPDOPT_EMU_DEVICES=0")
	if err == nil || !strings.Contains(out, "CUDA_VISIBLE_DEVICES") {
		t.Errorf("without a device: %v\n%s", err, out)
	}
}

// TestMisuse: wrong calls are errors with a text, and do not end the process.
func TestMisuse(t *testing.T) {
	cmd := exec.Command(python(t), "-m", "unittest", "-v", "test_library")
	cmd.Dir = "../../python"
	if out, err := run(t, cmd); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
