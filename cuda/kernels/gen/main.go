//go:build cuda && cgo && linux

// Command gen compiles spd.cu with NVRTC into the images that package kernels embeds, or with -check says which of them are out of date.
// It needs libnvrtc.so.11.2 of CUDA 11.8 (get-nvrtc.sh) and no GPU. The output is the same byte for byte on every machine as long as the source leaves NVRTC no order of
// operations to choose by the addresses of its own data: after a change, -check says so when it is run several times.
//
//	L=$(sh cuda/kernels/get-nvrtc.sh /tmp/nvrtc) && LD_LIBRARY_PATH=$L go run -tags cuda ./cuda/kernels/gen [-check]
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

typedef void *program;
static struct {
	int (*create)(program *, const char *, const char *, int, const char *const *, const char *const *);
	int (*compile)(program, int, const char *const *);
	int (*logSize)(program, size_t *);
	int (*log)(program, char *);
	int (*ptxSize)(program, size_t *);
	int (*ptx)(program, char *);
	int (*cubinSize)(program, size_t *);
	int (*cubin)(program, char *);
	int (*destroy)(program *);
} nvrtc;

static const char *load(void) {
	void *lib = dlopen("libnvrtc.so.11.2", RTLD_NOW);
	if (lib == NULL) return dlerror();
	*(void **)&nvrtc.create = dlsym(lib, "nvrtcCreateProgram");
	*(void **)&nvrtc.compile = dlsym(lib, "nvrtcCompileProgram");
	*(void **)&nvrtc.logSize = dlsym(lib, "nvrtcGetProgramLogSize");
	*(void **)&nvrtc.log = dlsym(lib, "nvrtcGetProgramLog");
	*(void **)&nvrtc.ptxSize = dlsym(lib, "nvrtcGetPTXSize");
	*(void **)&nvrtc.ptx = dlsym(lib, "nvrtcGetPTX");
	*(void **)&nvrtc.cubinSize = dlsym(lib, "nvrtcGetCUBINSize");
	*(void **)&nvrtc.cubin = dlsym(lib, "nvrtcGetCUBIN");
	*(void **)&nvrtc.destroy = dlsym(lib, "nvrtcDestroyProgram");
	return NULL;
}

static char *text(int (*size)(program, size_t *), int (*get)(program, char *), program p, size_t *n) {
	if (size(p, n) != 0) return NULL;
	char *s = malloc(*n);
	if (get(p, s) != 0) { free(s); return NULL; }
	return s;
}

// Compiles source; the result is the image, or with *failed the log.
static char *build(const char *source, const char *const *options, int count, int binary, size_t *n, int *failed) {
	program p;
	if (nvrtc.create(&p, source, "spd.cu", 0, NULL, NULL) != 0) return NULL;
	*failed = nvrtc.compile(p, count, options);
	char *s = *failed ? text(nvrtc.logSize, nvrtc.log, p, n) : binary ? text(nvrtc.cubinSize, nvrtc.cubin, p, n) : text(nvrtc.ptxSize, nvrtc.ptx, p, n);
	nvrtc.destroy(&p);
	return s;
}
*/
import "C"

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	dir := flag.String("dir", "cuda/kernels", "folder of spd.cu and the images")
	flag.Parse()
	if why := C.load(); why != nil {
		fmt.Fprintln(os.Stderr, "gen:", C.GoString(why))
		os.Exit(77)
	}
	source, err := os.ReadFile(filepath.Join(*dir, "spd.cu"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
	stale := false
	for _, element := range []string{"float", "double"} {
		for _, target := range []string{"compute_70", "compute_80", "sm_90"} {
			image, err := compile(string(source), target, element)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			kind := "ptx"
			if strings.HasPrefix(target, "sm_") {
				kind = "cubin"
			}
			path := filepath.Join(*dir, fmt.Sprintf("spd.%s.%s.%s.gz", element, target, kind))
			if !*check {
				err = write(path, image)
			} else if !bytes.Equal(read(path), image) {
				stale = true
				fmt.Fprintln(os.Stderr, "gen: out of date:", path)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "gen:", err)
				os.Exit(1)
			}
		}
	}
	if stale {
		os.Exit(1)
	}
}

func write(path string, image []byte) error {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if _, err := z.Write(image); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// read returns the unpacked image, nil where it is missing or damaged.
func read(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil
	}
	image, err := io.ReadAll(z)
	if err != nil {
		return nil
	}
	return image
}

// compile returns the PTX (without the end mark of its string) or the binary of the source for a target.
func compile(source, target, element string) ([]byte, error) {
	// No product is fused with a sum that the source does not fuse: equal eigenvalues leave a gap of exactly zero, as on the processor.
	options := []string{"--gpu-architecture=" + target, "--std=c++17", "--fmad=false", "-Dreal=" + element}
	if element == "double" {
		options = append(options, "-DSPD_DOUBLE")
	}
	list := (**C.char)(C.calloc(C.size_t(len(options)), C.size_t(unsafe.Sizeof(uintptr(0)))))
	defer C.free(unsafe.Pointer(list))
	for i, o := range options {
		text := C.CString(o)
		defer C.free(unsafe.Pointer(text))
		unsafe.Slice(list, len(options))[i] = text
	}
	text := C.CString(source)
	defer C.free(unsafe.Pointer(text))
	var size C.size_t
	var failed, binary C.int
	if strings.HasPrefix(target, "sm_") {
		binary = 1
	}
	image := C.build(text, list, C.int(len(options)), binary, &size, &failed)
	if image == nil {
		return nil, fmt.Errorf("gen: NVRTC gives nothing for %s", target)
	}
	defer C.free(unsafe.Pointer(image))
	out := C.GoBytes(unsafe.Pointer(image), C.int(size))
	if failed != 0 {
		return nil, fmt.Errorf("gen: %s, %s:\n%s", target, element, out)
	}
	if binary == 0 {
		out = bytes.TrimRight(out, "\x00")
	}
	return out, nil
}
