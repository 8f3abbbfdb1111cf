package matio

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tensorFile builds a safetensors file by hand.
func tensorFile(header string, data int) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + strings.Repeat("\x00", data)
}

func TestReadsTensors(t *testing.T) {
	for name, want := range map[string]func(i, j int) float64{
		"F64": real34, "F32": real34, "F16": real34, "BF16": real34, "BOOL": parity34,
		"I8": signed34, "I16": signed34, "I32": signed34, "I64": signed34, "U8": unsigned34, "U16": unsigned34, "U32": unsigned34, "U64": unsigned34,
	} {
		all := readAll(t, "testdata/types.safetensors:"+name)
		if len(all) != 1 || all[0].Subject() != `matrix "`+name+`"` {
			t.Fatalf("%d matrices, %s", len(all), all[0].Subject())
		}
		requireMatrix(t, all[0], 3, 4, want)
	}
	all, many, err := Load(Source{Paths: []string{"testdata/types.safetensors"}})
	if err != nil || !many || len(all) != 13 || all[0].Name != "F64" || all[12].Name != "BOOL" {
		t.Fatalf("%d matrices, %v", len(all), err)
	}
	all = readAll(t, "testdata/stack.safetensors:second")
	if len(all) != 2 || all[1].Subject() != `matrix "second"[1]` {
		t.Fatalf("%d matrices", len(all))
	}
	requireMatrix(t, all[1], 3, 3, stack233(1))
	if v, err := ReadVector(Source{Paths: []string{"testdata/stack.safetensors:bias"}}); err != nil || len(v) != 4 || v[0] != -1.25 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestBrainFloats(t *testing.T) {
	elem := tensorElements["BF16"]
	got := elem.decode(make([]float64, 0, 4), []byte{0x80, 0xff, 0xc0, 0x7f, 0x01, 0x00, 0x49, 0x40})
	if !math.IsInf(got[0], -1) || !math.IsNaN(got[1]) || got[2] != 0x1p-133 || got[3] != 3.140625 {
		t.Errorf("%v", got)
	}
}

func TestBadTensors(t *testing.T) {
	for name, want := range map[string]string{
		"bias":  `array "bias" has shape (4,); a matrix or a stack of matrices has 2 or 3 axes; pick the array to read with testdata/stack.safetensors:NAME`,
		"scale": `array "scale" has element type "F8_E4M3", which is not read`,
		"x":     `no array "x"; it holds first, second, bias, scale`,
	} {
		_, _, err := ReadAll(Source{Paths: []string{"testdata/stack.safetensors:" + name}}, Check{})
		requireError(t, err, "testdata/stack.safetensors", want)
	}
	for _, c := range []struct{ content, want string }{
		{"abc", "truncated: 3 bytes are no safetensors file"},
		{tensorFile(`{}`, 0), "the archive holds no arrays"},
		{tensorFile(`{"w":{"dtype":"F64","shape":[0,2],"data_offsets":[0,0]}}`, 0), `array "w" is empty: shape (0, 2)`},
		{tensorFile(`{"w":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32]}}`, 31), "truncated: needs 32 bytes, 31 are there"},
		{tensorFile(`{"w":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32]}}`, 33), "too long"},
		{tensorFile(`{"w":{"dtype":"F64","shape":[100000,100000],"data_offsets":[0,80000000000]}}`, 8), "truncated: needs 80000000000 bytes"},
		{tensorFile(`{"w":{"dtype":"C64","shape":[1,1],"data_offsets":[0,8]}}`, 8), `element type "C64"`},
		{tensorFile(`{"w":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]}`, 8), "not a safetensors file: header"},
		{tensorFile(`{"w":{}}`+strings.Repeat(" ", 0x280-8), 0), `array "w" has element type ""`}, // begins like a pickle
	} {
		path := writeFile(t, "x.safetensors", c.content)
		_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
		requireError(t, err, path, c.want)
	}
}

func TestTruncatedTensors(t *testing.T) {
	whole, err := os.ReadFile("testdata/stack.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		_, _, err := Load(Source{Paths: []string{"-"}, Format: Safetensors, Stdin: bytes.NewReader(whole[:n])})
		requireError(t, err, stdinName, "")
	}
}

func TestWritesTensorsByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	w, err := Create(Target{Path: path, Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	changing := awkward()
	for _, name := range []string{"cov", ""} {
		if err := w.Add(name, changing); err != nil {
			t.Fatal(err)
		}
		changing.Set(0, 0, 7)
	}
	requireError(t, w.Add("cov", changing), path, `two results are named "cov"`)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	all := readAll(t, path)
	if len(all) != 2 || all[0].Name != "cov" || all[1].Name != "arr_1" || all[1].At(0, 0) != 7 {
		t.Fatalf("%d matrices, %s, %s", len(all), all[0].Subject(), all[1].Subject())
	}
	requireSame(t, all[0], awkward())
}

func FuzzSafetensors(f *testing.F) {
	fuzz(f, Safetensors, tensorFile(`{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, 4))
}
