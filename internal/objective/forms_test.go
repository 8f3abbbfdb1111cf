package objective

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// section writes one section of a WebAssembly module, unsigned one LEB128 number.
func section(id byte, content ...byte) []byte {
	return append(append([]byte{id}, unsigned(len(content))...), content...)
}

func unsigned(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }

// export writes the entry of one export.
func export(name string, kind, index byte) []byte {
	return append(append(unsigned(len(name)), name...), kind, index)
}

// assemble makes a module with alloc, which returns the address 1024, and evaluate or evaluate_g with the given code.
func assemble(code []byte, constrained bool) []byte {
	name, parameters := "evaluate", []byte{0x7f, 0x7f}
	if constrained {
		name, parameters = "evaluate_g", []byte{0x7f, 0x7f, 0x7f, 0x7f}
	}
	types := append([]byte{2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, byte(len(parameters))}, append(parameters, 1, 0x7c)...)
	exports := bytes.Join([][]byte{{3}, export("memory", 2, 0), export("alloc", 0, 0), export(name, 0, 1)}, nil)
	alloc := []byte{0, 0x41, 0x80, 0x08, 0x0b} // i32.const 1024
	bodies := []byte{2}
	for _, body := range [][]byte{alloc, append([]byte{1, 1, 0x7c}, append(code, 0x0b)...)} { // one local f64
		bodies = append(append(bodies, unsigned(len(body))...), body...)
	}
	return bytes.Join([][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"), section(1, types...), section(3, 2, 0, 1), section(5, 1, 0, 1), section(7, exports...), section(10, bodies...),
	}, nil)
}

// sumOfSquares adds x[i]^2 while counting n down, in local (the number of parameters).
func sumOfSquares(local byte) []byte {
	return []byte{
		0x03, 0x40, // loop
		0x20, local, 0x20, 0x00, 0x2b, 0x03, 0x00, 0x20, 0x00, 0x2b, 0x03, 0x00, 0xa2, 0xa0, 0x21, local, // s += load(x)*load(x)
		0x20, 0x00, 0x41, 0x08, 0x6a, 0x21, 0x00, // x += 8
		0x20, 0x01, 0x41, 0x01, 0x6b, 0x22, 0x01, // n -= 1
		0x0d, 0x00, 0x0b, // again while n is not 0
		0x20, local,
	}
}

func writeModule(t *testing.T, code []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "objective.wasm")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, form, source string, o Options) Evaluator {
	t.Helper()
	for _, f := range Forms() {
		if f.Name == form {
			e, err := f.Open(source, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Close)
			return e
		}
	}
	t.Fatalf("no form %q", form)
	return nil
}

func TestWasmLibrary(t *testing.T) {
	e := open(t, "wasm", writeModule(t, assemble(sumOfSquares(2), false)), Options{Dim: 3, Jobs: 2})
	var group sync.WaitGroup
	for k := range 8 {
		group.Go(func() {
			x := []float64{float64(k), 0.5, -3}
			v, err := e.Evaluate(t.Context(), uint64(k+1), x)
			if want := float64(k*k) + 9.25; err != nil || v.F != want {
				t.Errorf("%v, %v; want %v", v, err, want)
			}
		})
	}
	group.Wait()
}

func TestWasmConstraints(t *testing.T) {
	code := append([]byte{0x20, 0x02, 0x20, 0x00, 0x2b, 0x03, 0x00, 0x9a, 0x39, 0x03, 0x00}, sumOfSquares(4)...) // store(g, -load(x))
	e := open(t, "wasm", writeModule(t, assemble(code, true)), Options{Dim: 2, Constraints: 1})
	v, err := e.Evaluate(t.Context(), 1, []float64{3, 4})
	if err != nil || v.F != 25 || len(v.G) != 1 || v.G[0] != -3 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestWasmFailures(t *testing.T) {
	for _, c := range []struct {
		name string
		code []byte
		kind Kind
		part string
	}{
		{"trap", []byte{0x00}, Crash, "the module stopped: wasm error: unreachable"},
		{"hang", []byte{0x03, 0x40, 0x0c, 0x00, 0x0b, 0x20, 0x02}, Timeout, "no answer within 50ms"},
		{"beyond the memory", []byte{0x41, 0x7f, 0x2b, 0x03, 0x00}, Crash, "out of bounds memory access"},
		{"nan", append([]byte{0x44}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN()))...), NoValue, "NaN"},
		{"minus infinity", append([]byte{0x44}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.Inf(-1)))...), Protocol, "-Infinity"},
		{"more memory than allowed", []byte{0x41, 0x10, 0x40, 0x00, 0xb7}, Protocol, "-Infinity"},
	} {
		code := c.code
		if c.name == "more memory than allowed" { // memory.grow says -1; 1/(that+1) - infinity
			code = append(code, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf, 0xa3)
			code = append([]byte{0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf}, append(code, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf, 0xa2, 0xa3)...)
		}
		limit := time.Minute // for all but the one that has to exceed it
		if c.kind == Timeout {
			limit = 50 * time.Millisecond
		}
		e := open(t, "wasm", writeModule(t, assemble(code, false)), Options{Dim: 1, Timeout: limit, Memory: 4 << 16})
		for id := uint64(1); id <= 2; id++ { // the second time in a new instance
			_, err := e.Evaluate(t.Context(), id, []float64{1})
			var failed *Error
			if !errors.As(err, &failed) || failed.Kind != c.kind || !strings.Contains(failed.Error(), c.part) || !strings.Contains(failed.Error(), `"x":[1]`) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestWasmInterrupted(t *testing.T) {
	e := open(t, "wasm", writeModule(t, assemble([]byte{0x03, 0x40, 0x0c, 0x00, 0x0b, 0x20, 0x02}, false)), Options{Dim: 1})
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := e.Evaluate(ctx, 1, []float64{1}); err != why {
		t.Errorf("%v", err)
	}
}

func TestWasmRefusals(t *testing.T) {
	good := assemble(sumOfSquares(2), false)
	for part, code := range map[string][]byte{
		"not a WebAssembly module":                  []byte("#!/bin/sh"),
		"neither evaluate nor _start":               bytes.Replace(good, []byte("evaluate"), []byte("evaluete"), 1),
		"does not export alloc":                     bytes.Replace(good, []byte("alloc"), []byte("allok"), 1),
		"evaluate must take 2 i32 and return one f": bytes.Replace(good, []byte("evaluate\x00\x01"), []byte("evaluate\x00\x00"), 1),
	} {
		_, err := openWasm(writeModule(t, code), Options{Dim: 1})
		var source *SourceError
		if !errors.As(err, &source) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", part, err)
		}
	}
	if _, err := openWasm("no-such-file.wasm", Options{Dim: 1}); err == nil || !strings.Contains(err.Error(), "no-such-file.wasm") {
		t.Errorf("%v", err)
	}
}

// TestWasmFromGo builds both forms of a module with the Go compiler, and tries to get out of the sandbox.
func TestWasmFromGo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the runtime for another machine")
	}
	for _, mode := range []string{"c-shared", "exe"} {
		path := filepath.Join(t.TempDir(), mode+".wasm")
		build := exec.Command("go", "build", "-buildmode="+mode, "-o", path, "./testdata/"+mode)
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		e := open(t, "wasm", path, Options{Dim: 2})
		for id := uint64(1); id <= 2; id++ {
			if v, err := e.Evaluate(t.Context(), id, []float64{3, 4}); err != nil || v.F != 25 {
				t.Errorf("%s: %v, %v", mode, v, err)
			}
		}
		_, err := e.Evaluate(t.Context(), 3, []float64{-1, 0})
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != Crash || !strings.Contains(failed.Stderr, "no files") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestExpr(t *testing.T) {
	x := []float64{1, -2, 0.5}
	for text, want := range map[string]float64{
		"sum(x, # * #)": 5.25, "sum(map(x, #^2)) + n": 8.25, "x[0] + 2 * x[1]": -3, "sum(1..n-1, 100 * (x[#]-x[#-1]**2)**2)": 100*9 + 100*3.5*3.5,
		"norm(x) ** 2": 5.25, "dot(x, x)": 5.25, "10 * n + sum(x, #**2 - 10*cos(2*pi*#))": 30 + 5.25 - 10*(1+1-1), "max(x) - min(x)": 3, "n": 3,
		"x[0] > 0 ? 1 : 2": 1, "exp(log(2)) + sqrt(4) + abs(-1)": 5, "hypot(3, 4) + atan2(0, 1)": 5,
	} {
		v, err := open(t, "expr", text, Options{Dim: 3}).Evaluate(t.Context(), 1, x)
		if err != nil || math.Abs(v.F-want) > 1e-12*(1+math.Abs(want)) {
			t.Errorf("%s: %v, %v; want %v", text, v, err, want)
		}
	}
	v, err := open(t, "expr", "[x[0], x[1], 3]", Options{Dim: 3, Constraints: 2}).Evaluate(t.Context(), 1, x)
	if err != nil || v.F != 1 || len(v.G) != 2 || v.G[0] != -2 || v.G[1] != 3 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestExprRefusals(t *testing.T) {
	for text, part := range map[string]string{"": "unexpected", "sum(x": "unexpected", "y + 1": "unknown name y", "x": "expected float64", `"a"`: "expected float64", "sin(1, 2)": "too many"} {
		_, err := openExpr(text, Options{Dim: 2})
		var source *SourceError
		if !errors.As(err, &source) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v; want %q", text, err, part)
		}
	}
	if _, err := openExpr("n", Options{Dim: 2, Timeout: time.Second}); err == nil {
		t.Error("a timeout that cannot be kept")
	}
	for text, kind := range map[string]Kind{"x[7]": Crash, "log(-1)": NoValue, "-1/0": Protocol, "len(map(1..100000000, #))": Crash, "dot(x, x[0:1])": Crash} {
		_, err := open(t, "expr", text, Options{Dim: 2}).Evaluate(t.Context(), 1, []float64{1, 2})
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != kind {
			t.Errorf("%q: %v; want %v", text, err, kind)
		}
	}
	if _, err := open(t, "expr", "n", Options{Dim: 2, Constraints: 1}).Evaluate(t.Context(), 1, []float64{1, 2}); err == nil {
		t.Error("no constraint values, and no error")
	}
}

func BenchmarkForms(b *testing.B) {
	path := filepath.Join(b.TempDir(), "sphere.wasm")
	if err := os.WriteFile(path, assemble(sumOfSquares(2), false), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		form   func(string, Options) (Evaluator, error)
		name   string
		source string
	}{{openWasm, "wasm", path}, {openExpr, "expr", "sum(x, # * #)"}} {
		e, err := c.form(c.source, Options{Dim: 10})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			x := make([]float64, 10)
			for b.Loop() {
				if _, err := e.Evaluate(b.Context(), 1, x); err != nil {
					b.Fatal(err)
				}
			}
		})
		e.Close()
	}
}
