package matio

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fuzz feeds a reader with damaged files: it must return finite shapes or an *Error, never panic, and what it reads must survive a round
// trip through every format that can hold it.
func fuzz(f *testing.F, format Format, seeds ...string) {
	for _, pattern := range []string{"testdata/*." + string(format), "testdata/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Open(Source{Paths: []string{"-"}, Format: format, Stdin: bytes.NewReader(data)})
		if err != nil {
			requireOurs(t, err)
			return
		}
		defer s.Close()
		for {
			m, err := s.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				requireOurs(t, err)
				return
			}
			if m.Rows < 1 || m.Cols < 1 || len(m.Data) != m.Rows*m.Cols {
				t.Fatalf("%dx%d with %d elements", m.Rows, m.Cols, len(m.Data))
			}
			if Finite(&m) == nil {
				requireRoundTrip(t, m, format)
			}
		}
	})
}

func requireOurs(t *testing.T, err error) {
	var e *Error
	if !errors.As(err, &e) || e.What == "" {
		t.Fatalf("error of type %T: %v", err, err)
	}
}

func requireRoundTrip(t *testing.T, m Matrix, format Format) {
	if !format.Written() {
		format = NPY
	}
	var out bytes.Buffer
	w, err := Create(Target{Path: "-", Format: format, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add("", m.Matrix); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Source{Paths: []string{"-"}, Format: format, Stdin: &out})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, again, m.Matrix)
}

func FuzzNPY(f *testing.F) {
	fuzz(f, NPY, npyFile("{'descr': '<f8', 'fortran_order': True, 'shape': (2L, 1L), }", 16))
}

func FuzzNPZ(f *testing.F) {
	var seeds []string
	for _, c := range []struct {
		claimed uint64
		stored  bool
	}{{90, false}, {1 << 40, false}, {78, true}, {8, true}, {0, false}} {
		seeds = append(seeds, npzBytes(f, npzEntry{"a", strings.NewReader(npyFile(oneNumber, 8)), c.claimed, c.stored},
			npzEntry{"b", strings.NewReader(npyFile("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3, 2), }", 24)), 94, !c.stored}))
	}
	fuzz(f, NPZ, seeds...)
}

func FuzzMTX(f *testing.F) {
	fuzz(f, MTX,
		"%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 1 1\n1 2 1e3\n",
		"%%MatrixMarket matrix coordinate pattern general\n2 3 1\n2 3\n",
		"%%MatrixMarket matrix array integer skew-symmetric\n2 2\n-1\n")
}

func FuzzCSV(f *testing.F) {
	fuzz(f, CSV, "a,b\n1,2\n", "\"x\";\"y\"\n1;2\n", "1\t2\n3\tInf\n", "# c\n 1 0x1p-3\n")
}

func FuzzJSON(f *testing.F) {
	fuzz(f, JSON, "[[1,2],[3,4]]", "[[[1]],[[2]]]", "[[1],[null]]", "[[", "{}")
}

func FuzzIDX(f *testing.F) {
	f.Add([]byte{0, 0, 8, 1, 0, 0, 0, 2, 5, 6})
	f.Add([]byte{0, 0, 13, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := ReadIDX(bytes.NewReader(data), "x.idx")
		if err != nil {
			requireOurs(t, err)
			return
		}
		if total, ok := product(1, x.Shape...); !ok || int(total) != len(x.Data) {
			t.Fatalf("shape %v with %d elements", x.Shape, len(x.Data))
		}
	})
}
