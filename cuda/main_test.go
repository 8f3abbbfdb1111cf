//go:build cuda && cgo && linux

package cuda

import (
	"fmt"
	"os"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/cuda/kernels"
)

var present bool

// TestMain puts the emulated driver in place of the real one.
func TestMain(m *testing.M) {
	var err error
	if present, err = emu.Use(kernels.Source, "include"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// device returns the device of the tests, which are skipped where there is none.
func device(t testing.TB) *Device {
	t.Helper()
	if !present {
		t.Skip("neither a GPU nor a C++ compiler for the emulation")
	}
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// emulated skips tests that steer the emulation.
func emulated(t testing.TB) {
	t.Helper()
	if device(t); !emu.InUse() {
		t.Skip("not on the emulated driver")
	}
}
