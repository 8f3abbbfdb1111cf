package matio

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// matVar describes a variable that is written by hand.
type matVar struct {
	name  string
	flags uint32 // class, and 0x800 for complex
	dims  []int32
	kind  uint32 // of the numbers
	data  any
	small bool // name and numbers stand in their tags if they can
}

func matPair(order binary.ByteOrder, a, b uint32) []byte {
	out := make([]byte, 8)
	order.PutUint32(out, a)
	order.PutUint32(out[4:], b)
	return out
}

func matElement(order binary.ByteOrder, kind uint32, data any, small bool) []byte {
	var body bytes.Buffer
	if err := binary.Write(&body, order, data); err != nil {
		panic(err)
	}
	b := body.Bytes()
	if small && len(b) <= 4 {
		out := make([]byte, 8)
		order.PutUint32(out, uint32(len(b))<<16|kind)
		copy(out[4:], b)
		return out
	}
	out := append(matPair(order, kind, uint32(len(b))), b...)
	return append(out, make([]byte, -len(b)&7)...)
}

// element is the variable as an element of the file.
func (v matVar) element(order binary.ByteOrder) []byte {
	body := matElement(order, 6, []uint32{v.flags, 0}, false)
	if v.dims != nil {
		body = append(body, matElement(order, 5, v.dims, false)...)
	}
	body = append(body, matElement(order, 1, []byte(v.name), v.small)...)
	if v.data != nil {
		body = append(body, matElement(order, v.kind, v.data, v.small)...)
	}
	return append(matPair(order, matMatrix, uint32(len(body))), body...)
}

func matPack(order binary.ByteOrder, element []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(element)
	z.Close()
	return append(matPair(order, matCompressed, uint32(b.Len())), b.Bytes()...)
}

// matBytes is a MAT file of some elements.
func matBytes(order binary.ByteOrder, elements ...[]byte) string {
	head := make([]byte, matHeader)
	copy(head, fmt.Sprintf("%-116s", "MATLAB 5.0 MAT-file, by hand"))
	order.PutUint16(head[124:], 0x100)
	order.PutUint16(head[126:], 'M'<<8|'I')
	return string(head) + string(bytes.Join(elements, nil))
}

// byColumns are the elements of a rows x cols matrix in MATLAB's order.
func byColumns[T int8 | uint8 | int16 | float32 | float64](rows, cols int, f func(i, j int) float64) (all []T) {
	for j := range cols {
		for i := range rows {
			all = append(all, T(f(i, j)))
		}
	}
	return all
}

func TestReadsMATFilesThatOthersWrote(t *testing.T) {
	for file, want := range map[string]func(i, j int) float64{
		"v5.mat": real34, "v5.mat:a": real34, "v5_stack.mat:first": real34, "v5_stack_packed.mat:first": real34, "v5_others.mat:good": real34,
		"v5_types.mat:f8": signed34, "v5_types.mat:f4": signed34, "v5_types.mat:i1": signed34, "v5_types.mat:i2": signed34, "v5_types.mat:i4": signed34,
		"v5_types.mat:i8": signed34, "v5_types.mat:u1": unsigned34, "v5_types.mat:u2": unsigned34, "v5_types.mat:u4": unsigned34,
		"v5_types.mat:u8": unsigned34, "v5_types.mat:logical": parity34,
		"octave_v6.mat:real": real34, "octave_v7.mat:real": real34,
		"octave_types.mat:f8": signed34, "octave_types.mat:f4": signed34, "octave_types.mat:i1": signed34, "octave_types.mat:i4": signed34,
		"octave_types.mat:u2": unsigned34, "octave_types.mat:logical34": parity34,
	} {
		all := readAll(t, filepath.Join("testdata", file))
		if len(all) != 1 || all[0].Index != -1 || all[0].Name == "" {
			t.Fatalf("%s: %d matrices, %s", file, len(all), all[0].Subject())
		}
		requireMatrix(t, all[0], 3, 4, want)
	}
	for _, file := range []string{"v5_stack.mat", "v5_stack_packed.mat", "octave_v6.mat", "octave_v7.mat"} {
		all, many, err := Load(Source{Paths: []string{"testdata/" + file}})
		if err != nil || !many || len(all) != 3 || all[2].Subject() != `matrix "second"[1]` {
			t.Fatalf("%s: %d matrices, many %v, %v", file, len(all), many, err)
		}
		requireMatrix(t, all[0], 3, 4, real34)
		requireMatrix(t, all[1], 3, 3, stack233(0))
		requireMatrix(t, all[2], 3, 3, stack233(1))
	}
}

func TestMATFilesOfBothByteOrders(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for name, v := range map[string]matVar{
			"double":           {name: "a", flags: 6, dims: []int32{3, 4}, kind: 9, data: byColumns[float64](3, 4, signed34)},
			"double as int8":   {name: "a", flags: 6, dims: []int32{3, 4}, kind: 1, data: byColumns[int8](3, 4, signed34), small: true},
			"double as int16":  {name: "along", flags: 6, dims: []int32{3, 4}, kind: 3, data: byColumns[int16](3, 4, signed34)},
			"double as single": {name: "abcd", flags: 6, dims: []int32{3, 4}, kind: 7, data: byColumns[float32](3, 4, signed34), small: true},
			"global":           {name: "a", flags: 6 | 0x400, dims: []int32{3, 4}, kind: 9, data: byColumns[float64](3, 4, signed34)},
		} {
			for _, packed := range []bool{false, true} {
				e := v.element(order)
				if packed {
					e = matPack(order, e)
				}
				all := readAll(t, writeFile(t, "x.mat", matBytes(order, e)))
				if len(all) != 1 || all[0].Name != v.name {
					t.Fatalf("%s: %d matrices, %s", name, len(all), all[0].Subject())
				}
				requireMatrix(t, all[0], 3, 4, signed34)
			}
		}
		small := matVar{name: "x", flags: 9 | 0x200, dims: []int32{1, 3}, kind: 2, data: []uint8{1, 0, 1}, small: true}
		stack := matVar{name: "s", flags: 8, dims: []int32{1, 2, 3}, kind: 1, data: []int8{0, 1, 2, 3, 4, 5}}
		hidden := matVar{flags: 9, dims: []int32{1, 1}, kind: 2, data: []uint8{7}}
		file := writeFile(t, "x.mat", matBytes(order, small.element(order), hidden.element(order), matPack(order, stack.element(order))))
		all := readAll(t, file+":x")
		requireMatrix(t, all[0], 1, 3, func(_, j int) float64 { return float64((j + 1) % 2) })
		all, _, err := Load(Source{Paths: []string{file}})
		if err != nil || len(all) != 4 {
			t.Fatalf("%d matrices, %v", len(all), err)
		}
		for k := range 3 {
			requireMatrix(t, all[1+k], 1, 2, func(_, j int) float64 { return float64(2*k + j) })
		}
	}
}

func TestMATFilesHoldSamplesAndVectors(t *testing.T) {
	m, err := ReadSamples(Source{Paths: []string{"testdata/v5.mat", "testdata/v5_stack.mat:first"}})
	if err != nil || m.Rows != 6 || m.Cols != 4 {
		t.Fatalf("%d x %d, %v", m.Rows, m.Cols, err)
	}
	le := binary.LittleEndian
	v := matVar{name: "w", flags: 6, dims: []int32{3, 1}, kind: 2, data: []uint8{2, 1, 1}}
	x, err := ReadVector(Source{Paths: []string{"-"}, Stdin: strings.NewReader(matBytes(le, v.element(le)))})
	if err != nil || len(x) != 3 || x[0] != 2 {
		t.Fatalf("%v, %v", x, err)
	}
}

func TestMATVariablesThatAreNoMatrices(t *testing.T) {
	for name, want := range map[string]string{
		"c":       `array "c" is complex; only real matrices are read; save real(c)`,
		"sparse":  `array "sparse" is sparse; only full matrices are read; save full(sparse)`,
		"cells":   `array "cells" is a cell array; only numeric matrices are read; pick the array to read with testdata/v5_others.mat:NAME`,
		"s":       `array "s" is a struct`,
		"text":    `array "text" is text`,
		"four":    `array "four" has shape (2, 2, 2, 2)`,
		"none":    `array "none" is empty: shape (0, 3)`,
		"nan":     `matrix "nan" has NaN at row 0, column 0`,
		"nothing": `no array "nothing"; it holds c, sparse, cells, s, text, four, none, nan, good`,
	} {
		_, _, err := ReadAll(Source{Paths: []string{"testdata/v5_others.mat:" + name}}, Check{})
		requireError(t, err, "testdata/v5_others.mat", want)
	}
	_, _, err := ReadAll(Source{Paths: []string{"testdata/v5_others.mat"}}, Check{})
	requireError(t, err, "testdata/v5_others.mat", `array "c" is complex`)
	whole, err := os.ReadFile("testdata/v5_others.mat")
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	cells := whole[matHeader+8+le.Uint32(whole[matHeader+4:]):]
	cells = cells[8+le.Uint32(cells[4:]):]
	_, _, err = Load(Source{Paths: []string{"-"}, Stdin: strings.NewReader(string(whole[:matHeader]) + string(cells))})
	requireError(t, err, stdinName, `array "cells" is a cell array; only numeric matrices are read; give the file, with :NAME after it, to pick an array`)
	for want, flags := range map[string]uint32{"a function": 16, "an object": 17, "of class 18": 18, "of class 0": 0} {
		v := matVar{name: "f", flags: flags, dims: []int32{1, 1}, kind: 9, data: []float64{1}}
		if flags == matOpaque {
			v.dims = nil
		}
		path := writeFile(t, "f.mat", matBytes(le, v.element(le)))
		_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
		requireError(t, err, path, want)
	}
}

func TestBadMATFiles(t *testing.T) {
	le := binary.LittleEndian
	good := matVar{name: "a", flags: 6, dims: []int32{2, 2}, kind: 9, data: []float64{1, 2, 3, 4}}
	with := func(change func(v *matVar)) []byte {
		v := good
		change(&v)
		return v.element(le)
	}
	element := good.element(le)
	set := func(at int, value uint32) []byte {
		e := bytes.Clone(element)
		le.PutUint32(e[at:], value)
		return e
	}
	packed := matPack(le, element)
	broken := bytes.Clone(packed)
	broken[len(broken)-1] ^= 1
	huge := with(func(v *matVar) { v.dims = []int32{math.MaxInt32, math.MaxInt32} })
	deep := with(func(v *matVar) { v.dims = []int32{math.MaxInt32, math.MaxInt32, math.MaxInt32} })
	for _, c := range []struct{ name, content, want string }{
		{"text", "1 2\n3 4\n", `not in mat format: it begins with "1 2\n3 4\n"; save it in MATLAB with save('FILE', 'NAME', '-v7')`},
		{"none", matBytes(le), "the archive holds no arrays"},
		{"order", strings.Replace(matBytes(le, element), "IM", "II", 1), `its header ends with "II"`},
		{"version", strings.Replace(matBytes(le, element), "\x00\x01IM", "\x00\x03IM", 1), "MAT version 0x300 is not known"},
		{"kind", matBytes(le, set(0, 99)), "damaged: the element at byte 128 has type 99"},
		{"size", matBytes(le, set(4, 1<<31)), "truncated: the variable at byte 128 claims 2147483648 bytes, 88 are there"},
		{"flags", matBytes(le, set(8, 5)), "the variable at byte 128 is damaged: an element has type 5, not 6"},
		{"flags size", matBytes(le, set(12, 4)), "its flags take 4 bytes, not 8"},
		{"flags huge", matBytes(le, set(12, 1<<30)), "an element claims 1073741824 bytes, 80 are left"},
		{"dims", matBytes(le, set(24, 9)), "an element has type 9, not 5"},
		{"one dim", matBytes(le, with(func(v *matVar) { v.dims = []int32{2} })), "its dimensions take 4 bytes"},
		{"dims long", matBytes(le, with(func(v *matVar) { v.dims = make([]int32, 40) })), "an element claims 160 bytes, more than the 128"},
		{"dims negative", matBytes(le, with(func(v *matVar) { v.dims = []int32{-1, 2} })), "a dimension is -1"},
		{"dims wrong", matBytes(le, with(func(v *matVar) { v.dims = []int32{2, 3} })), "array \"a\" is truncated: shape (2, 3) of float64 needs 48 bytes of data, the file holds 32"},
		{"dims small", matBytes(le, with(func(v *matVar) { v.dims = []int32{1, 2} })), "16 bytes follow the data"},
		{"dims huge", matBytes(le, huge), "which no file can hold"},
		{"dims huge packed", matBytes(le, matPack(le, deep)), "which no file can hold"},
		{"name", matBytes(le, set(40, 2)), "an element has type 2, not 1"},
		{"name long", matBytes(le, with(func(v *matVar) { v.name = strings.Repeat("x", 5000) })), "an element claims 5000 bytes, more than the 4096"},
		{"small", matBytes(le, set(40, 5<<16|1)), "5 bytes cannot stand in a tag"},
		{"numbers", matBytes(le, with(func(v *matVar) { v.kind = 14 })), "its numbers have type 14"},
		{"no numbers", matBytes(le, with(func(v *matVar) { v.data = nil })), "it ends too early"},
		{"twice", matBytes(le, element, element), `array "a" appears twice`},
		{"after", matBytes(le, element) + "abc", "truncated: 3 bytes at the end are no variable"},
		{"packed in packed", matBytes(le, matPack(le, packed)), "compressed is an element of type 15"},
		{"checksum", matBytes(le, broken), "checksum"},
		{"not zlib", matBytes(le, append(matPair(le, matCompressed, 4), "abcd"...)), "zlib"},
		{"more in packed", matBytes(le, matPack(le, append(bytes.Clone(element), 0))), "more bytes follow the data"},
		{"claim in packed", matBytes(le, matPack(le, set(4, 1<<31))), "it claims 2147483648 bytes, more than its"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "x.mat", c.content)
			_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
			requireError(t, err, path, c.want)
		})
	}
	long := with(func(v *matVar) { v.data = []float64{1, 2, 3, 4}; v.dims = []int32{2, 2} })
	long = append(long, make([]byte, 8)...)
	le.PutUint32(long[4:], uint32(len(long)-8))
	for _, e := range [][]byte{long, matPack(le, long)} {
		path := writeFile(t, "x.mat", matBytes(le, e))
		_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
		requireError(t, err, path, "8 bytes follow its numbers")
	}
}

func TestTruncatedMATFiles(t *testing.T) {
	for _, file := range []string{"v5.mat", "v5_stack_packed.mat"} {
		whole, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		full, _, err := Load(Source{Paths: []string{"-"}, Stdin: bytes.NewReader(whole)})
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(whole) {
			got, _, err := Load(Source{Paths: []string{"-"}, Format: MAT, Stdin: bytes.NewReader(whole[:n])})
			if err == nil && len(got) < len(full) && n > matHeader { // cut between two variables
				continue
			}
			requireError(t, err, stdinName, "")
		}
	}
}

// zeros yields n bytes of zero.
type zeros struct{ n int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	k := min(int64(len(b)), z.n)
	clear(b[:k])
	z.n -= k
	return int(k), nil
}

// TestPackedZeros: what a small compressed file claims, or holds, in zeros takes no memory.
func TestPackedZeros(t *testing.T) {
	le := binary.LittleEndian
	const side = 18000
	numbers := int64(side) * side
	v := matVar{name: "bomb", flags: 9, dims: []int32{side, side}}
	head := append(v.element(le), matPair(le, 2, uint32(numbers))...)
	le.PutUint32(head[4:], uint32(int64(len(head)-8)+numbers))
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	z.Write(head)
	if _, err := io.Copy(z, &zeros{n: numbers}); err != nil {
		t.Fatal(err)
	}
	z.Close()
	other := matVar{name: "a", flags: 6, dims: []int32{1, 1}, kind: 9, data: []float64{5}}
	path := writeFile(t, "bomb.mat", matBytes(le, append(matPair(le, matCompressed, uint32(packed.Len())), packed.Bytes()...), other.element(le)))
	packed = bytes.Buffer{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := ReadAll(Source{Paths: []string{path + ":bomb"}}, Check{})
	requireError(t, err, path, `array "bomb" of 324000000 elements is too empty, compressed to`)
	requireMatrix(t, readAll(t, path+":a")[0], 1, 1, func(int, int) float64 { return 5 })
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("324 MB of zeros made the reader take %d bytes", allocated)
	}
}

func FuzzMAT(f *testing.F) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		v := matVar{name: "a", flags: 6, dims: []int32{2, 1, 2}, kind: 1, data: []int8{1, 2, 3, 4}, small: true}
		f.Add([]byte(matBytes(order, v.element(order))))
		f.Add([]byte(matBytes(order, matPack(order, v.element(order)))))
	}
	fuzz(f, MAT)
}
