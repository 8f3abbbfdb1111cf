package matio

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// real, signed, unsigned and stack are the arrays that testdata/make.py writes.
func real34(i, j int) float64     { return float64(4*i+j-5) / 4 }
func signed34(i, j int) float64   { return float64(4*i + j - 5) }
func unsigned34(i, j int) float64 { return float64(4*i + j) }
func parity34(i, j int) float64   { return float64((i + j) % 2) }

func stack233(k int) func(i, j int) float64 {
	return func(i, j int) float64 { return float64(9*k+3*i+j-7) / 4 }
}

func requireMatrix(t *testing.T, m Matrix, rows, cols int, want func(i, j int) float64) {
	t.Helper()
	if m.Rows != rows || m.Cols != cols {
		t.Fatalf("shape %dx%d, want %dx%d", m.Rows, m.Cols, rows, cols)
	}
	for i := range rows {
		for j := range cols {
			if m.At(i, j) != want(i, j) {
				t.Fatalf("element (%d,%d) = %v, want %v", i, j, m.At(i, j), want(i, j))
			}
		}
	}
}

func readAll(t *testing.T, paths ...string) []Matrix {
	t.Helper()
	all, _, err := ReadAll(Source{Paths: paths}, Check{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReadsWhatNumpyAndScipyWrote(t *testing.T) {
	symmetric := func(i, j int) float64 { return stack233(0)(i, j) + stack233(0)(j, i) }
	skew := func(i, j int) float64 { return stack233(0)(i, j) - stack233(0)(j, i) }
	pattern := func(i, j int) float64 {
		if real34(i, j) == 0 {
			return 0
		}
		return 1
	}
	for _, c := range []struct {
		file       string
		rows, cols int
		want       func(i, j int) float64
	}{
		{"v1.npy", 3, 4, real34}, {"v2.npy", 3, 4, real34}, {"v3.npy", 3, 4, real34},
		{"fortran.npy", 3, 4, real34}, {"big_fortran.npy", 3, 4, real34},
		{"little_f2.npy", 3, 4, real34}, {"little_f4.npy", 3, 4, real34}, {"little_f8.npy", 3, 4, real34},
		{"big_f2.npy", 3, 4, real34}, {"big_f4.npy", 3, 4, real34}, {"big_f8.npy", 3, 4, real34},
		{"i1.npy", 3, 4, signed34}, {"i2.npy", 3, 4, signed34}, {"i4.npy", 3, 4, signed34}, {"i8.npy", 3, 4, signed34},
		{"big_i1.npy", 3, 4, signed34}, {"big_i2.npy", 3, 4, signed34}, {"big_i4.npy", 3, 4, signed34}, {"big_i8.npy", 3, 4, signed34},
		{"u1.npy", 3, 4, unsigned34}, {"u2.npy", 3, 4, unsigned34}, {"u4.npy", 3, 4, unsigned34}, {"u8.npy", 3, 4, unsigned34},
		{"bool.npy", 3, 4, parity34},
		{"savetxt.txt", 3, 4, real34}, {"savetxt_comma.csv", 3, 4, real34},
		{"array_general.mtx", 3, 4, real34}, {"array_symmetric.mtx", 3, 3, symmetric}, {"array_skew.mtx", 3, 3, skew},
		{"coordinate_general.mtx", 3, 4, real34}, {"coordinate_symmetric.mtx", 3, 3, symmetric},
		{"coordinate_integer.mtx", 3, 4, signed34}, {"coordinate_pattern.mtx", 3, 4, pattern},
		{"stored.npz:first", 3, 4, real34}, {"deflated.npz:first", 3, 4, real34}, {"with_vector.npz:X", 3, 4, real34},
	} {
		t.Run(c.file, func(t *testing.T) {
			all := readAll(t, filepath.Join("testdata", c.file))
			if len(all) != 1 || all[0].Index != -1 {
				t.Fatalf("%d matrices, index %d", len(all), all[0].Index)
			}
			requireMatrix(t, all[0], c.rows, c.cols, c.want)
		})
	}
}

func TestHalfPrecisionExtremes(t *testing.T) {
	m := readAll(t, "testdata/half_extremes.npy")[0]
	want := []float64{0x1p-14, 0x1p-24, 65504, -0.333251953125}
	requireMatrix(t, m, 1, 4, func(_, j int) float64 { return want[j] })
	if v := halfFloat(0xfc00); !math.IsInf(v, -1) {
		t.Errorf("0xfc00 = %v", v)
	}
	if v := halfFloat(0x7e00); !math.IsNaN(v) {
		t.Errorf("0x7e00 = %v", v)
	}
	if v := halfFloat(0x8000); v != 0 || !math.Signbit(v) {
		t.Errorf("0x8000 = %v", v)
	}
}

func TestStacksAndSeveralFilesAreStreams(t *testing.T) {
	for _, c := range []struct {
		paths    []string
		subjects []string
		many     bool
	}{
		{[]string{"stack.npy"}, []string{"matrix 0", "matrix 1"}, true},
		{[]string{"stack_fortran.npy"}, []string{"matrix 0", "matrix 1"}, true},
		{[]string{"stored.npz:second"}, []string{`matrix "second"[0]`, `matrix "second"[1]`}, true},
		{[]string{"stack.npy", "deflated.npz:second"}, []string{"matrix 0", "matrix 1", `matrix "second"[0]`, `matrix "second"[1]`}, true},
	} {
		var paths []string
		for _, p := range c.paths {
			paths = append(paths, filepath.Join("testdata", p))
		}
		s, err := Open(Source{Paths: paths})
		if err != nil {
			t.Fatal(err)
		}
		if s.Many() != c.many {
			t.Errorf("%v: Many() = %v", c.paths, s.Many())
		}
		k := 0
		for m, err := range s.All() {
			if err != nil {
				t.Fatalf("%v: %v", c.paths, err)
			}
			if m.Subject() != c.subjects[k] {
				t.Errorf("%v: subject %q, want %q", c.paths, m.Subject(), c.subjects[k])
			}
			requireMatrix(t, m, 3, 3, stack233(k%2))
			k++
		}
		if k != len(c.subjects) {
			t.Errorf("%v: %d matrices", c.paths, k)
		}
		if _, err := s.Next(); err != io.EOF {
			t.Errorf("%v: Next after the end: %v", c.paths, err)
		}
		s.Close()
	}
}

func TestStandardInput(t *testing.T) {
	for _, c := range []struct {
		file   string
		format Format
	}{{"v1.npy", ""}, {"v2.npy", NPY}, {"fortran.npy", ""}, {"savetxt.txt", CSV}, {"array_general.mtx", ""}, {"stored.npz", ""}} {
		data, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(Source{Paths: []string{"-"}, Format: c.format, Stdin: bytes.NewReader(data)})
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		m, err := s.Next()
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		requireMatrix(t, m, 3, 4, real34)
		s.Close()
	}
}

func TestTextForms(t *testing.T) {
	want := func(i, j int) float64 { return float64(2*i + j + 1) }
	for name, text := range map[string]string{
		"commas.csv":     "1,2\n3,4\n",
		"noend.csv":      "1,2\n3,4",
		"crlf.csv":       "1,2\r\n3,4\r\n",
		"header.csv":     "height,weight\n1,2\n3,4\n",
		"quoted.csv":     "\"a, b\",\"c\"\n\"1\", 2\n3,\"4\"\n",
		"bom.csv":        "\xef\xbb\xbf1,2\n3,4\n",
		"semicolons.csv": "1;2\n3;4\n",
		"tabs.tsv":       "a\tb\n1\t2\n3\t4\n",
		"blanks.txt":     "  1   2\n\t3 4 \n",
		"comments.csv":   "# one\n\n1,2\n# two\n3,4\n\n",
		"spelling.csv":   "1e0,+2\n3.0,.4e1\n",
		"rows.json":      "[[1,2],\n [3,4]]\n",
		"array.mtx":      "%%MatrixMarket matrix array real general\n% comment\n2 2\n1\n3\n2\n4\n",
		"upper.mtx":      "%%matrixmarket MATRIX Coordinate Double General\n\n2 2 4\n1 1 1\n2 1 3\n1 2 2\n2 2 4\n",
	} {
		s, err := Open(Source{Paths: []string{writeFile(t, name, text)}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := s.Next()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		requireMatrix(t, m, 2, 2, want)
		s.Close()
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// npyFile builds an npy file of version 1 by hand.
func npyFile(dict string, data int) string {
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(dict)), byte(len(dict) >> 8)}) + dict + strings.Repeat("\x00", data)
}

func TestBadFiles(t *testing.T) {
	head := func(descr, shape string) string {
		return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }"
	}
	mtx := "%%MatrixMarket matrix "
	for _, c := range []struct{ name, content, want string }{
		{"empty.npy", "", "the file is empty"},
		{"empty.csv", "", "the file is empty"},
		{"notnpy.npy", "hello world", "not in npy format"},
		{"short.npy", "\x93NUMPY\x01", "truncated inside the npy header"},
		{"cut.npy", npyFile(head("<f8", "(2, 2)"), 31), "truncated: shape (2, 2) of float64 needs 32 bytes of data, the file holds 31"},
		{"long.npy", npyFile(head("<f8", "(2, 2)"), 33), "1 bytes follow the data"},
		{"version9.npy", "\x93NUMPY\x09\x00\x10\x00" + strings.Repeat(" ", 16), "version 9.0 is not known"},
		{"lie.npy", "\x93NUMPY\x02\x00\x00\x00\x00\x80{}", "the npy header claims 2147483648 bytes"},
		{"huge.npy", npyFile(head("<f8", "(16384, 16384)"), 8), "needs 2147483648 bytes of data, the file holds 8"},
		{"overflow.npy", npyFile(head("<f8", "(4294967296, 4294967296)"), 8), "which no file can hold"},
		{"overflow3.npy", npyFile(head("<f8", "(4294967296, 4294967296, 4294967296)"), 8), "which no file can hold"},
		{"digits.npy", npyFile(head("<f8", "(99999999999999999999, 1)"), 8), "bad dimension"},
		{"negative.npy", npyFile(head("<f8", "(-1, 2)"), 8), "bad dimension"},
		{"zero.npy", npyFile(head("<f8", "(0, 2)"), 0), "is empty: shape (0, 2)"},
		{"keys.npy", npyFile("{'descr': '<f8', 'shape': (1, 1)}", 8), `key "fortran_order" is missing`},
		{"twice.npy", npyFile("{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}", 8), "appears twice"},
		{"unknown.npy", npyFile("{'colour': 3}", 8), "unknown key"},
		{"rubbish.npy", npyFile("{'descr': '<f8' 'x'}", 8), "expected"},
		{"after.npy", npyFile(head("<f8", "(1, 1)")+"x", 8), "expected the end"},
		{"datetime.npy", npyFile(head("<M8[s]", "(1, 1)"), 8), "element type"},
		{"bad.npz", "PK\x03\x04rubbish", "not a readable npz archive"},
		{"hdf5.h5", "\x89HDF\r\n\x1a\nxxxx", "HDF5"},
		{"a.mat", "MATLAB 7.3 MAT-file, Platform", "MAT v7.3"},
		{"a.parquet", "PAR1xxxx", "Parquet"},
		{"a.pkl", "\x80\x04\x95", "pickle"},
		{"a.npy", "\x1f\x8b\x08\x00", "gzip"},
		{"a.xyz", "1 2\n3 4\n", "the format cannot be told"},
		{"ragged.csv", "1,2\n3,4\n5\n", "line 3 has 1 fields, line 1 has 2"},
		{"ragged2.csv", "a,b\n# c\n3,4,5\n", "line 3 has 3 fields, line 1 has 2"},
		{"word.csv", "1,2\n3,x\n", `line 2, field 2: "x" is not a number`},
		{"label.csv", "a,b\nr1,2\n", "row labels are not read"},
		{"half.csv", "a,1\n2,3\n", `line 1, field 1: "a" is not a number`},
		{"blank.csv", "1,2\n3,\n", `line 2, field 2: "" is not a number`},
		{"header.csv", "a,b\n", "holds no rows of numbers"},
		{"quote.csv", "\"1,2\n", "does not end"},
		{"quote2.csv", "\"1\"x,2\n", "text follows a quoted field"},
		{"banner.mtx", mtx + "array\n", "not a MatrixMarket banner"},
		{"object.mtx", "%%MatrixMarket vector array real general\n", "not a MatrixMarket banner"},
		{"format.mtx", mtx + "list real general\n", `format "list"`},
		{"field.mtx", mtx + "array quaternion general\n", `field "quaternion"`},
		{"sym.mtx", mtx + "array real hermitian\n", `symmetry "hermitian"`},
		{"complex.mtx", mtx + "array complex general\n", "complex"},
		{"pattern.mtx", mtx + "array pattern general\n", "coordinate format"},
		{"nosize.mtx", mtx + "array real general\n% x\n", "the size line is missing"},
		{"size.mtx", mtx + "array real general\n2 2 2\n", "the size line has 3 numbers"},
		{"size2.mtx", mtx + "array real general\n2 x\n", `"x" is not a size`},
		{"dims.mtx", mtx + "coordinate real general\n1000000000 1000000000 1\n1 1 1\n", "too large"},
		{"sparse.mtx", mtx + "coordinate real general\n10000 10000 1\n1 1 1\n", "too empty to be held dense"},
		{"dims2.mtx", mtx + "array real general\n4000000000 4000000000\n1\n", "too large"},
		{"lie.mtx", mtx + "array real general\n100000 100000\n1\n", "truncated: 1 of 10000000000 values"},
		{"nnz.mtx", mtx + "coordinate real general\n2 2 5\n", "5 entries do not fit"},
		{"cut.mtx", mtx + "coordinate real general\n2 2 2\n1 1 1\n", "truncated: 1 of 2 entries"},
		{"more.mtx", mtx + "coordinate real general\n2 2 1\n1 1 1\n2 2 1\n", "line 4: more entries than the 1"},
		{"more2.mtx", mtx + "array real general\n1 1\n1\n2\n", "more values than the 1"},
		{"dup.mtx", mtx + "coordinate real general\n2 2 3\n1 1 1\n2 2 1\n1 1 2\n", "line 5: entry (1, 1) is already given on line 3"},
		{"dup2.mtx", mtx + "coordinate real symmetric\n2 2 2\n2 1 1\n1 2 1\n", "line 4: entry (1, 2) is already given on line 3"},
		{"outside.mtx", mtx + "coordinate real general\n2 2 1\n3 1 1\n", "entry (3, 1) lies outside"},
		{"zero.mtx", mtx + "coordinate real general\n2 2 1\n0 1 1\n", "entry (0, 1) lies outside"},
		{"skew.mtx", mtx + "coordinate real skew-symmetric\n2 2 1\n1 1 1\n", "no diagonal"},
		{"value.mtx", mtx + "coordinate real general\n2 2 1\n1 1 y\n", `"y" is not a number`},
		{"notsquare.mtx", mtx + "array real symmetric\n2 3\n1\n", "cannot be 2 x 3"},
		{"void.mtx", mtx + "array real general\n0 3\n", "empty"},
		{"object.json", `{"a":1}`, "not an array of rows"},
		{"null.json", `[[1,null],[2,3]]`, "null"},
		{"ragged.json", `[[1,2],[3]]`, "row 1 has 1 numbers, row 0 has 2"},
		{"cut.json", `[[1,2],[3,`, "truncated"},
		{"cut2.json", `[[1,2],[3,4]`, "truncated"},
		{"after.json", `[[1,2],[3,4]] x`, "not an array"},
		{"two.json", `[[1]] [[2]]`, "text follows"},
		{"empty.json", `[]`, "holds no rows"},
		{"empty2.json", `[[]]`, "is empty"},
		{"deep.json", `[[[[1]]]]`, "not an array of rows"},
		{"word.json", `[["a"]]`, "not an array of rows of numbers: it holds another kind of value (string)"},
		{"over.json", `[[1e400]]`, "1e400 is beyond the range of numbers"},
		{"nan.json", `[[1, NaN], [NaN, 1]]`, "has NaN at row 0, column 1"},
		{"model.safetensors", "\x40\x00\x00\x00\x00\x00\x00\x00{\"w\":{}", "not a safetensors file, or truncated: the header claims 64 bytes, 7 are there"},
		{"wide.csv", "\xff\xfe1\x00,\x002\x00", "UTF-16"},
		{"zeros.csv", strings.Repeat("\x00", 1<<18), "not text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, c.name, c.content)
			_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
			requireError(t, err, path, c.want)
		})
	}
}

// requireError demands an *Error that begins with the file and contains want.
func requireError(t *testing.T, err error, file, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want *Error with %q", err, err, want)
	}
	if !strings.HasPrefix(e.Error(), file+": ") || !strings.Contains(e.Error(), want) {
		t.Fatalf("error %q, want %q after the file name", e, want)
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("error has more than one line: %q", e)
	}
}

func TestForeignArraysOfNumpy(t *testing.T) {
	for file, want := range map[string]string{
		"complex64.npy":      "is complex64; only real matrices are read",
		"complex128.npy":     "is complex128; only real matrices are read",
		"longdouble.npy":     "element type",
		"string.npy":         "element type",
		"structured.npy":     "structured",
		"object.npy":         "pickled Python objects",
		"vector.npy":         "shape (4,)",
		"four_axes.npy":      "shape (1, 1, 2, 2)",
		"no_rows.npy":        "is empty",
		"complex.mtx":        "complex",
		"missing.npy":        "no such file",
		"with_vector.npz":    `array "y" has shape (4,)`,
		"stored.npz:nothing": "it holds first, second",
		"stored.npz:":        "no array is named after the colon",
	} {
		path := filepath.Join("testdata", file)
		_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
		name, _ := splitArray(path)
		requireError(t, err, name, want)
	}
	if _, _, err := ReadAll(Source{Paths: []string{"testdata"}}, Check{}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}
	_, _, err := ReadAll(Source{Paths: []string{"testdata/stored.npz"}}, Check{})
	requireError(t, err, "testdata/stored.npz", `matrix "second"[0] is 3 x 3, but the first matrix is 3 x 4`)
}

func TestTruncatedStreamsOfUnknownLength(t *testing.T) {
	data, err := os.ReadFile("testdata/stack.npy")
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) error {
		_, _, err := ReadAll(Source{Paths: []string{"-"}, Stdin: bytes.NewReader(b)}, Check{})
		return err
	}
	requireError(t, read(data[:len(data)-1]), stdinName, "truncated: matrix 1 needs 9 elements, only 8 are there")
	requireError(t, read(append(data, 0)), stdinName, "more bytes follow the data")
	requireError(t, read(nil), stdinName, "the file is empty")
}

func TestHugeClaimsTakeNoMemory(t *testing.T) {
	dict := "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1000000, 100000), }"
	content := npyFile(dict, 64)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := ReadAll(Source{Paths: []string{"-"}, Stdin: strings.NewReader(content)}, Check{})
	runtime.ReadMemStats(&after)
	requireError(t, err, stdinName, "truncated: matrix 0 needs 100000000000 elements, only 8 are there")
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 1<<20 {
		t.Errorf("a false claim of 800 GB made the reader take %d bytes", allocated)
	}
}

func TestDamagedArchive(t *testing.T) {
	data, err := os.ReadFile("testdata/stored.npz")
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(data, []byte("\n")) + 20
	data[i] ^= 1
	_, _, err = ReadAll(Source{Paths: []string{writeFile(t, "damaged.npz", string(data))}}, Check{})
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("damaged archive: %v", err)
	}
}

func TestVectorsAndCentering(t *testing.T) {
	for _, path := range []string{"testdata/vector.npy", "testdata/with_vector.npz:y", writeFile(t, "column.csv", "-1.25\n-1\n-0.75\n-.5\n")} {
		v, err := ReadVector(Source{Paths: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		if len(v) != 4 || v[0] != -1.25 || v[3] != -0.5 {
			t.Errorf("%s: %v", path, v)
		}
	}
	_, err := ReadVector(Source{Paths: []string{"testdata/v1.npy"}})
	requireError(t, err, "testdata/v1.npy", "matrix is 3 x 4, not one row or column of numbers")
	m, err := ReadSamples(Source{Paths: []string{"testdata/v1.npy", "testdata/v2.npy"}})
	if err != nil || m.Rows != 6 || m.Cols != 4 {
		t.Fatalf("%d x %d, %v", m.Rows, m.Cols, err)
	}
	Center(&m)
	requireMatrix(t, m, 6, 4, func(i, _ int) float64 { return float64(i%3 - 1) })
	_, err = ReadSamples(Source{Paths: []string{"testdata/v1.npy", "testdata/stack.npy"}})
	requireError(t, err, "testdata/stack.npy", "matrix 0 has 3 columns, the samples before it have 4")
}

// TestWordsInJSON: what JSON has no number for is read as Python writes it and as this program does.
func TestWordsInJSON(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, text := range []string{
		"[[1, NaN, -2], [NaN, NaN, Infinity], [-2, -Infinity, 3]]",
		`[[1, "NaN", -2], ["NaN", "NaN", "Infinity"], [-2, "-Infinity", 3]]`,
	} {
		for _, stack := range []bool{false, true} {
			content := text
			if stack {
				content = "[" + text + "]"
			}
			s, err := Open(Source{Paths: []string{writeFile(t, "words.json", content)}})
			if err != nil || s.Many() != stack {
				t.Fatalf("%s: %v", content, err)
			}
			m, err := s.Next()
			if err != nil {
				t.Fatalf("%s: %v", content, err)
			}
			for i, want := range []float64{1, nan, -2, nan, nan, inf, -2, -inf, 3} {
				if v := m.Data[i]; v != want && !(math.IsNaN(v) && math.IsNaN(want)) {
					t.Errorf("%s: entry %d is %v, want %v", content, i, v, want)
				}
			}
		}
	}
}

// TestReport: what was read of each file is reported after its last matrix.
func TestReport(t *testing.T) {
	var got []Reading
	src := Source{Paths: []string{"testdata/stack.npy", "testdata/stored.npz", "testdata/v1.npy"}, Report: func(r Reading) { got = append(got, r) }}
	if _, _, err := Load(src); err != nil {
		t.Fatal(err)
	}
	want := []Reading{{"testdata/stack.npy", NPY, 2, 3, 3, false}, {"testdata/stored.npz", NPZ, 3, 3, 4, true}, {"testdata/v1.npy", NPY, 1, 3, 4, false}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestConstantColumnsAreCentredToZero, so that the problems that cannot have them say so.
func TestConstantColumnsAreCentredToZero(t *testing.T) {
	m := Matrix{Matrix: dense.New[float64](37, 2)}
	for i := range 37 {
		m.Set(i, 0, 0.1)
		m.Set(i, 1, float64(i))
	}
	Center(&m)
	requireMatrix(t, m, 37, 2, func(i, j int) float64 { return float64(j * (i - 18)) })
}
