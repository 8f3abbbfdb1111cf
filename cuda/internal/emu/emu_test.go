//go:build cuda

package emu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/kernels"
)

const include = "../../include"

// built returns the emulation around kernels.
func built(t *testing.T, source []byte, checked bool) string {
	t.Helper()
	lib, err := Build(source, include, checked)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// linked compiles a program that uses the emulation.
func linked(t *testing.T, source, lib, program string) {
	t.Helper()
	if out, err := exec.Command("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"+include, source, lib, "-Wl,-rpath,"+filepath.Dir(lib), "-o", program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestRules: the stand-ins refuse what the driver and cuBLAS refuse; testdata/rules.cc has the rules.
func TestRules(t *testing.T) {
	lib := built(t, kernels.Source, false)
	folder := t.TempDir()
	program := filepath.Join(folder, "rules")
	args := []string{program}
	for _, capability := range []int{80, 90} {
		image, err := kernels.Image("float", capability)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, filepath.Base(t.Name())+string(rune('0'+capability/10)))
		if err := os.WriteFile(file, image[:len(image)-1], 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	linked(t, "testdata/rules.cc", lib, program)
	for _, end := range []string{"0", "1"} {
		if out, err := exec.Command(program, append(args[1:], end)...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestCareless: kernels that do what none may are found, for the reason, and those that may are not.
func TestCareless(t *testing.T) {
	source, err := os.ReadFile("testdata/careless.cu")
	if err != nil {
		t.Fatal(err)
	}
	lib, program := built(t, source, true), filepath.Join(t.TempDir(), "accesses")
	linked(t, "testdata/accesses.cc", lib, program)
	for _, c := range []struct{ kernel, result, reason string }{
		{"block_right", "CUDA_SUCCESS", ""}, {"warp_right", "CUDA_SUCCESS", ""},
		{"outside", "CUDA_ERROR_ILLEGAL_ADDRESS", "writes what is no memory of the device"}, {"host", "CUDA_ERROR_ILLEGAL_ADDRESS", "writes what is no memory of the device"},
		{"askew", "CUDA_ERROR_MISALIGNED_ADDRESS", "is not aligned"},
		{"two_threads", "CUDA_ERROR_ASSERT", "writes what another thread writes"}, {"two_blocks", "CUDA_ERROR_ASSERT", "writes what another thread writes"},
		{"other_block", "CUDA_ERROR_ASSERT", "reads what another thread writes"}, {"no_barrier", "CUDA_ERROR_ASSERT", "what another thread"},
		{"other_warp", "CUDA_ERROR_ASSERT", "what another thread"}, {"some_threads", "CUDA_ERROR_LAUNCH_FAILED", ""},
	} {
		out, err := exec.Command(program, c.kernel).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.result+"\n") || !strings.Contains(string(out), c.reason) {
			t.Errorf("%s: %v, want %s and %q:\n%s", c.kernel, err, c.result, c.reason, out)
		}
	}
}
