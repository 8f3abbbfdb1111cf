//go:build cuda

package emu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spdopt/spdopt/cuda/kernels"
)

// TestRules: the stand-ins refuse what the driver and cuBLAS refuse; testdata/rules.cc has the rules.
func TestRules(t *testing.T) {
	const include = "../../include"
	lib, err := Build(kernels.Source, include, false)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
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
	if out, err := exec.Command("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"+include, "testdata/rules.cc", lib, "-Wl,-rpath,"+filepath.Dir(lib), "-o", program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, end := range []string{"0", "1"} {
		if out, err := exec.Command(program, append(args[1:], end)...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
