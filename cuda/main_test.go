//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/cuda/kernels"
)

// TestMain puts the emulated driver in place of the real one, unless SPDOPT_LIBCUDA says otherwise: with the value "system" the tests run on the GPU.
func TestMain(m *testing.M) {
	flag.Parse()
	switch os.Getenv("SPDOPT_LIBCUDA") {
	case "system":
		os.Unsetenv("SPDOPT_LIBCUDA")
	case "":
		lib, err := emu.Build(kernels.Source, "include")
		if errors.Is(err, emu.ErrNoCompiler) {
			lib, err = "/nonexistent", nil
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Setenv("SPDOPT_LIBCUDA", lib)
		os.Setenv("SPDOPT_LIBCUBLAS", lib)
	}
	os.Exit(m.Run())
}

// device returns the device of the tests, which are skipped where there is none.
func device(t testing.TB) *Device {
	t.Helper()
	if os.Getenv("SPDOPT_LIBCUDA") == "/nonexistent" {
		t.Skip("neither a GPU nor a C++ compiler for the emulation")
	}
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// emulated skips tests that steer the emulation.
func emulated(t *testing.T) {
	t.Helper()
	if os.Getenv("SPDOPT_LIBCUDA") == "" {
		t.Skip("not on the emulated driver")
	}
}
