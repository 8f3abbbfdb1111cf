//go:build cuda

// Package emu builds the emulated driver that the tests of this module run on where there is no GPU, and steers it. The library stands in for
// libcuda.so.1 and for cuBLAS.
package emu

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static void *find(const char *lib, const char *name) {
	void *h = dlopen(lib, RTLD_NOW | RTLD_NOLOAD);
	return h == NULL ? NULL : dlsym(h, name);
}
static void fail(void *f, const char *name, int call, int code) { ((void (*)(const char *, int, int))f)(name, call, code); }
static int calls(void *f, const char *name) { return ((int (*)(const char *))f)(name); }
static void order(void *f, int backwards) { ((void (*)(int))f)(backwards); }
static void limit(void *f, size_t bytes) { ((void (*)(size_t))f)(bytes); }
static void claim(void *f, uintptr_t at, int written) { ((void (*)(uintptr_t, int))f)(at, written); }
static size_t used(void *f) { return ((size_t (*)(void))f)(); }
*/
import "C"

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/spdopt/spdopt/cuda/internal/dl"
)

//go:embed src
var sources embed.FS

// ErrNoCompiler says that there is no C++ compiler; tests that need the emulation are skipped then.
var ErrNoCompiler = errors.New("emu: no g++")

// Build compiles the emulation around a kernel source, the text of spd.cu, with the header in folder include, and returns the library. It is kept in the
// system's folder for temporary files and made once. Checked makes it look at every access of the kernels, which takes twice the time.
func Build(kernels []byte, include string, checked bool) (string, error) {
	compiler, err := exec.LookPath("g++")
	if err != nil {
		return "", ErrNoCompiler
	}
	names, err := fs.Glob(sources, "src/*")
	if err != nil {
		return "", err
	}
	header, err := os.ReadFile(filepath.Join(include, "cuda.h"))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	hash.Write(kernels)
	hash.Write(header)
	for _, name := range names {
		text, err := sources.ReadFile(name)
		if err != nil {
			return "", err
		}
		hash.Write(text)
	}
	kind := "emu"
	if checked {
		kind = "checked"
	}
	lib := filepath.Join(os.TempDir(), fmt.Sprintf("spdopt-%s-%x.so", kind, hash.Sum(nil)[:8]))
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	return lib, compile(compiler, names, kernels, include, checked, lib)
}

// compile makes the library lib of the files. Where accesses are looked at, the kernels are compiled as for ThreadSanitizer, whose hooks checks.cc has.
func compile(compiler string, names []string, kernels []byte, include string, checked bool, lib string) error {
	dir, err := os.MkdirTemp("", "spdopt-emu")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := map[string][]byte{"spd.cu": kernels}
	for _, name := range names {
		if files[filepath.Base(name)], err = sources.ReadFile(name); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	run := func(args ...string) error {
		if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("emu: %w\n%s", err, out)
		}
		return nil
	}
	made := filepath.Join(dir, "lib.so")
	link := []string{"-shared", "-Wl,-z,defs", "-o", made}
	var compiling sync.WaitGroup
	failed := make([]error, len(names))
	for i, name := range names {
		if filepath.Ext(name) != ".cc" {
			continue
		}
		source := filepath.Join(dir, filepath.Base(name))
		args := []string{"-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-I" + include, "-c", source, "-o", source + ".o"}
		if checked && filepath.Base(name) == "kernels.cc" {
			args = append(args, "-fsanitize=thread", "-DSPD_CHECKED")
		}
		link = append(link, source+".o")
		compiling.Go(func() { failed[i] = run(args...) })
	}
	compiling.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := run(append(link, "-ldl")...); err != nil {
		return err
	}
	return replace(made, lib)
}

// replace puts a copy of the file made where lib is, at once.
func replace(made, lib string) error {
	temporary, err := os.CreateTemp(filepath.Dir(lib), "spdopt-emu")
	if err != nil {
		return err
	}
	defer temporary.Close()
	built, err := os.ReadFile(made)
	if err != nil {
		return err
	}
	if _, err := temporary.Write(built); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), lib)
}

// Use puts the emulated driver in place of the real one for this process, which must not have opened a device yet, unless SPDOPT_LIBCUDA says
// otherwise: "system" is the driver of the machine. It says whether there is a device; where there is neither a GPU nor a compiler there is none.
func Use(kernels []byte, include string) (bool, error) {
	switch os.Getenv("SPDOPT_LIBCUDA") {
	case "system":
		return true, os.Unsetenv("SPDOPT_LIBCUDA")
	case "":
		lib, err := Build(kernels, include, false)
		if errors.Is(err, ErrNoCompiler) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		dl.Watch = claim
		return true, errors.Join(os.Setenv("SPDOPT_LIBCUDA", lib), os.Setenv("SPDOPT_LIBCUBLAS", lib))
	}
	dl.Watch = claim
	return true, nil
}

// InUse says whether the emulated driver has been put in place.
func InUse() bool { return os.Getenv("SPDOPT_LIBCUDA") != "" }

func function(name string) unsafe.Pointer {
	lib, symbol := C.CString(os.Getenv("SPDOPT_LIBCUDA")), C.CString(name)
	defer C.free(unsafe.Pointer(lib))
	defer C.free(unsafe.Pointer(symbol))
	f := C.find(lib, symbol)
	if f == nil {
		panic("emu: the emulated driver is not in use")
	}
	return f
}

// Fail makes the call-th call from now of an entry point (its name without a version) return a code, once.
func Fail(name string, call, code int) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	C.fail(function("spdEmuFail"), text, C.int(call), C.int(code))
}

// Calls returns how often an entry point has been called, and for "products bf16", tf32, fp32 or fp64 how many batches of such products have been computed, those of graphs included.
func Calls(name string) int {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return int(C.calls(function("spdEmuCalls"), text))
}

// Order makes threads and blocks run in reverse.
func Order(backwards bool) {
	var flag C.int
	if backwards {
		flag = 1
	}
	C.order(function("spdEmuOrder"), flag)
}

var claims = sync.OnceValue(func() unsafe.Pointer { return function("spdEmuClaim") })

// claim closes memory to the processor that work will use, as if the driver had been given the work.
func claim(at uintptr, written bool) {
	var flag C.int
	if written {
		flag = 1
	}
	C.claim(claims(), C.uintptr_t(at), flag)
}

// Limit sets the memory of a device.
func Limit(bytes int) { C.limit(function("spdEmuLimit"), C.size_t(bytes)) }

// Used returns the bytes that are allocated on all devices.
func Used() int { return int(C.used(function("spdEmuUsed"))) }

// Peak returns the most bytes that have been allocated at a time.
func Peak() int { return int(C.used(function("spdEmuPeak"))) }
