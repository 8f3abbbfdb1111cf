//go:build cuda && cgo && linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/cuda/kernels"
)

// TestPython builds the library, opens it on machines that lack something, and runs the tests of the Python binding on the emulated driver.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	driver, err := emu.Build(kernels.Source, "../include")
	if errors.Is(err, emu.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(t.TempDir(), "libspdopt.so")
	if out, err := exec.Command("go", "build", "-tags", "cuda", "-buildmode=c-shared", "-o", lib, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := exec.Command("nm", "-D", "--defined-only", lib).Output()
	if err == nil && (bytes.Contains(symbols, []byte(" cuInit\n")) || !bytes.Contains(symbols, []byte(" spd_step\n"))) {
		t.Errorf("the library exports the driver's names, or not its own:\n%s", symbols)
	}
	for env, want := range map[string]string{
		"SPDOPT_LIBCUDA=/nonexistent/libcuda.so.1":      "install the NVIDIA driver",
		"SPDOPT_EMU_VERSION=11020":                      "(520) or newer",
		"SPDOPT_LIBCUBLAS=/nonexistent/libcublas.so.12": "install the CUDA runtime libraries",
		"SPDOPT_EMU_DEVICES=0":                          "CUDA_VISIBLE_DEVICES",
	} {
		cmd := exec.Command(python, "-c", "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); l.spd_error.restype = ctypes.c_char_p; print(l.spd_open(0), l.spd_error().decode())", lib)
		cmd.Env = append(os.Environ(), "SPDOPT_LIBCUDA="+driver, "SPDOPT_LIBCUBLAS="+driver, env)
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("-1 ")) || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s: %v, %s, want %q", env, err, out, want)
		}
	}
	cmd := exec.Command(python, "-m", "unittest", "-v", "test_spdopt_torch")
	cmd.Dir = "../../python"
	cmd.Env = append(os.Environ(), "SPDOPT_LIBCUDA="+driver, "SPDOPT_LIBCUBLAS="+driver, "SPDOPT_LIBRARY="+lib, "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
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
