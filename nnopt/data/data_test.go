package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
)

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func idx(shape []int, content []byte) []byte {
	b := []byte{0, 0, 8, byte(len(shape))}
	for _, d := range shape {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, content...)
}

// wantBad demands an error about a file that says what is wanted.
func wantBad(t *testing.T, err error, part string) {
	t.Helper()
	var e *matio.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one about a file with %q", err, part)
	}
}

func TestReadIDX(t *testing.T) {
	images := write(t, "images", idx([]int{2, 1, 3}, []byte{0, 51, 255, 1, 2, 3}))
	s, err := ReadIDX[float32](images, write(t, "labels", idx([]int{2}, []byte{9, 0})), 10)
	if err != nil {
		t.Fatal(err)
	}
	if s.N != 2 || s.Height != 1 || s.Width != 3 || s.X.At(0, 1) != 0.2 || s.X.At(0, 2) != 1 || !slices.Equal(s.Classes, []int32{9, 0}) {
		t.Errorf("read %+v", s)
	}
	for part, labels := range map[string][]byte{
		"label 10 at 1": idx([]int{2}, []byte{0, 10}), "3 labels for 2": idx([]int{3}, []byte{0, 0, 0}), "truncated": idx([]int{2}, []byte{0}),
		"not an IDX": []byte("hello"), "not that of labels": idx([]int{2, 1}, []byte{0, 1}),
	} {
		_, err := ReadIDX[float32](images, write(t, "labels", labels), 10)
		wantBad(t, err, part)
	}
	_, err = ReadIDX[float32](write(t, "images", idx([]int{0, 2, 2}, nil)), write(t, "labels", idx([]int{0}, nil)), 10)
	wantBad(t, err, "not that of images")
	floats := append([]byte{0, 0, 0x0D, 3}, idx([]int{1, 1, 2}, nil)[4:]...)
	floats = append(floats, 0, 0, 0, 0, 0x3F, 0, 0, 0) // 0, 0.5
	_, err = ReadIDX[float32](write(t, "images", floats), write(t, "labels", idx([]int{1}, []byte{0})), 10)
	wantBad(t, err, "pixel 0.5 of image 0 is not a whole number from 0 to 255; IDX images are bytes")
	_, _, err = FindIDX(t.TempDir())
	wantBad(t, err, "no file of images")
	_, _, err = FindIDX(filepath.Join(t.TempDir(), "missing"))
	wantBad(t, err, "no such file; name a folder")
}

func TestReadCIFAR10(t *testing.T) {
	record := make([]byte, cifarRecord)
	record[0] = 7
	record[1], record[1+1024], record[1+2048] = 255, 51, 102 // the first pixel
	record[2] = 204
	s, err := ReadCIFAR10[float64](write(t, "batch", slices.Concat(record, record)))
	if err != nil {
		t.Fatal(err)
	}
	if s.N != 2 || s.Classes[1] != 7 || !slices.Equal(s.X.Row(1)[:4], []float64{1, 0.2, 0.4, 0.8}) {
		t.Errorf("pixels %v", s.X.Row(1)[:4])
	}
	_, err = ReadCIFAR10[float64](write(t, "batch", record[:100]))
	wantBad(t, err, "number of records")
	record[0] = 10
	_, err = ReadCIFAR10[float64](write(t, "batch", record))
	wantBad(t, err, "label 10")
	_, err = ReadCIFAR10[float64]("no such file")
	wantBad(t, err, "no such file: no such file")
}

func TestReadNPZ(t *testing.T) {
	path := filepath.Join(t.TempDir(), "set.npz")
	writeNPZ(t, path, map[string]dense.Matrix[float64]{"x": dense.Wrap(2, 3, []float64{1, 2, 3, 4, 5, 6}), "y": dense.Wrap(2, 1, []float64{0, 2})})
	s, classes, err := ReadNPZ[float32](path, true)
	if err != nil {
		t.Fatal(err)
	}
	if classes != 3 || s.N != 2 || s.X.At(1, 2) != 6 || !slices.Equal(s.Classes, []int32{0, 2}) {
		t.Errorf("read %+v, %d classes", s, classes)
	}
	_, _, err = ReadNPZ[float32](write(t, "bad.npz", []byte("PK\x03\x04 no archive")), true)
	wantBad(t, err, "npz")
}

func writeNPZ(t *testing.T, path string, arrays map[string]dense.Matrix[float64]) {
	t.Helper()
	w, err := matio.Create(matio.Target{Path: path, Stack: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range arrays {
		if err := w.Add(name, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestBadNPZ: archives that are cut anywhere, arrays that are missing or do not fit, and labels that are none.
func TestBadNPZ(t *testing.T) {
	path := filepath.Join(t.TempDir(), "set.npz")
	x := dense.Wrap(2, 2, []float64{1, 2, 3, 4})
	for part, arrays := range map[string]map[string]dense.Matrix[float64]{
		"label -1 at 0":  {"x": x, "y": dense.Wrap(2, 1, []float64{-1, 0})},
		"label 0.5 at 1": {"x": x, "y": dense.Wrap(2, 1, []float64{0, 0.5})},
		"3 labels":       {"x": x, "y": dense.New[float64](3, 1)},
		"y":              {"x": x},
		"x":              {"y": dense.New[float64](2, 1)},
	} {
		writeNPZ(t, path, arrays)
		_, _, err := ReadNPZ[float64](path, true)
		wantBad(t, err, part)
	}
	writeNPZ(t, path, map[string]dense.Matrix[float64]{"x": x, "y": dense.New[float64](2, 1)})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for length := 0; length < len(whole); length += 7 {
		_, _, err := ReadNPZ[float64](write(t, "cut.npz", whole[:length]), true)
		wantBad(t, err, "cut.npz")
	}
}

// TestDamagedGzip: compressed IDX files that are cut or have a wrong byte are errors, never other data.
func TestDamagedGzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(idx([]int{4, 2, 2}, []byte("0123456789abcdef"))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	labels := write(t, "labels", idx([]int{4}, []byte{0, 1, 2, 3}))
	whole := packed.Bytes()
	if s, err := ReadIDX[float64](write(t, "images.gz", whole), labels, 10); err != nil || s.N != 4 {
		t.Fatalf("the whole file: %v", err)
	}
	for length := range whole {
		_, err := ReadIDX[float64](write(t, "images.gz", whole[:length]), labels, 10)
		wantBad(t, err, "images.gz")
	}
	for i := len(whole) - 8; i < len(whole); i++ { // checksum and length
		damaged := slices.Clone(whole)
		damaged[i] ^= 0x10
		_, err := ReadIDX[float64](write(t, "images.gz", damaged), labels, 10)
		wantBad(t, err, "images.gz")
	}
}

func TestOrder(t *testing.T) {
	o, err := NewOrder(10, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := NewOrder(10, 3, 5)
	other, _ := NewOrder(10, 3, 6)
	same := 0
	for epoch := range 4 {
		var all []int
		for k := range 3 {
			step := 3*epoch + k
			b := slices.Clone(o.Batch(step))
			if !slices.Equal(b, again.Batch(step)) {
				t.Error("equal seeds differ")
			}
			if slices.Equal(b, other.Batch(step)) {
				same++
			}
			all = append(all, b...)
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != 9 {
			t.Errorf("epoch %d repeats an example", epoch)
		}
	}
	if same == 12 {
		t.Error("another seed gives the same order")
	}
	if !slices.Equal(again.Batch(1), o.Batch(1)) { // going back
		t.Error("the batch of a step depends on the steps before")
	}
	for _, bad := range [][2]int{{0, 1}, {5, 0}, {5, 6}} {
		if _, err := NewOrder(bad[0], bad[1], 1); err == nil {
			t.Errorf("%d examples in batches of %d: accepted", bad[0], bad[1])
		}
	}
}

func TestSplitAndGather(t *testing.T) {
	s := Mixture[float64](10, 3, 0.1, Stream(1, "test", 0))
	train, valid, err := s.Split(0.2)
	if err != nil || train.N != 8 || valid.N != 2 {
		t.Fatalf("%d and %d, %v", train.N, valid.N, err)
	}
	if valid.X.At(1, 1) != s.X.At(9, 1) || valid.Classes[1] != s.Classes[9] {
		t.Error("validation is not the end")
	}
	var b Set[float64]
	s.Gather([]int{4, 9}, &b)
	if b.N != 2 || !slices.Equal(b.X.Row(1), s.X.Row(9)) || b.Classes[0] != s.Classes[4] {
		t.Errorf("gathered %+v", b)
	}
	if n := allocs.PerRun(10, func() { s.Gather([]int{1, 2}, &b) }); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
	if _, _, err := s.Part(0, 1).Split(0.5); err == nil {
		t.Error("one example was split")
	}
	bad := *s
	bad.N++
	if _, _, err := bad.Split(0.5); err == nil {
		t.Error("examples without rows were split")
	}
}

const verse = "the cat and the other cat sat there.\n\n  A theatre, naïvely — the theme.\n"

func TestTokenizer(t *testing.T) {
	chars := NewTokenizer(verse, 0)
	pairs := NewTokenizer(verse, 6)
	if pairs.Size() != chars.Size()+6 {
		t.Errorf("%d tokens after 6 merges of %d characters", pairs.Size(), chars.Size())
	}
	if first := pairs.tokens[chars.Size()]; first != "th" && first != "he" {
		t.Errorf("the first merge is %q", first)
	}
	for name, tok := range map[string]*Tokenizer{"characters": chars, "pairs": pairs} {
		ids, err := tok.Encode(verse)
		if err != nil || tok.Decode(ids) != verse {
			t.Errorf("%s: %q comes back as %q, %v", name, verse, tok.Decode(ids), err)
		}
	}
	long, _ := chars.Encode(verse)
	short, _ := pairs.Encode(verse)
	if len(short) >= len(long) {
		t.Errorf("%d tokens with merges, %d without", len(short), len(long))
	}
	if a, _ := NewTokenizer(verse, 6).Encode(verse); !slices.Equal(a, short) {
		t.Error("learning twice gives other tokens")
	}
	_, err := chars.Encode("the ß")
	wantBad(t, err, "'ß' at byte 4")
}

func FuzzTokenizer(f *testing.F) {
	f.Add(verse, 5)
	f.Add("aaaa aaaa", 3)
	f.Fuzz(func(t *testing.T, text string, merges int) {
		text = strings.ToValidUTF8(text, "?")
		tok := NewTokenizer(text, merges%50)
		ids, err := tok.Encode(text)
		if err != nil || tok.Decode(ids) != text {
			t.Errorf("%q comes back as %q, %v", text, tok.Decode(ids), err)
		}
	})
}

func TestReadText(t *testing.T) {
	if s, err := ReadText(write(t, "a.txt", []byte(verse))); err != nil || s != verse {
		t.Errorf("%q, %v", s, err)
	}
	_, err := ReadText(write(t, "a.txt", nil))
	wantBad(t, err, "empty")
	_, err = ReadText(write(t, "a.txt", []byte("abc\xff")))
	wantBad(t, err, "byte 3")
}

func TestWindows(t *testing.T) {
	tokens := make([]int32, 50)
	for i := range tokens {
		tokens[i] = int32(i)
	}
	var x dense.Matrix[float32]
	var next []int32
	Windows(tokens, 4, 7, Stream(1, "windows", 0), &x, &next)
	for i, v := range x.Data {
		if next[i] != int32(v)+1 || i%7 > 0 && v != x.Data[i-1]+1 {
			t.Fatalf("row %d holds %v, after it %v", i, v, next[i])
		}
	}
	if n := AllWindows(tokens, 100, 7, &x, &next); n != 7 || x.Data[48] != 48 || next[48] != 49 {
		t.Errorf("%d pieces; the last token is %v", n, x.Data[48])
	}
}

// TestGenerated: equal seeds give equal sets, other seeds others, and the classes can be told from the features.
func TestGenerated(t *testing.T) {
	sets := map[string]func(seed uint64) *Set[float64]{
		"blobs":   func(seed uint64) *Set[float64] { return &Blobs[float64](40, Stream(seed, "x", 0)).Set },
		"teacher": func(seed uint64) *Set[float64] { return Teacher[float64](40, 5, 6, 3, Stream(seed, "x", 0)) },
		"mixture": func(seed uint64) *Set[float64] { return Mixture[float64](40, 3, 0.1, Stream(seed, "x", 0)) },
		"rings":   func(seed uint64) *Set[float64] { return Rings[float64](40, 2, 0.02, Stream(seed, "x", 0)) },
		"communities": func(seed uint64) *Set[float64] {
			s, start, neighbours := Communities[float64](40, 4, 0.5, 0.05, Stream(seed, "x", 0))
			inside := 0
			for i := range 40 {
				for _, j := range neighbours[start[i]:start[i+1]] {
					if s.Classes[i] == s.Classes[j] {
						inside++
					}
				}
			}
			if 2*inside < len(neighbours) {
				t.Errorf("%d of %d edges are inside of communities", inside, len(neighbours))
			}
			return s
		},
	}
	for name, make := range sets {
		a, b, c := make(1), make(1), make(2)
		if !slices.Equal(a.X.Data, b.X.Data) || !slices.Equal(a.Classes, b.Classes) || slices.Equal(a.X.Data, c.X.Data) {
			t.Errorf("%s: not a function of the seed", name)
		}
		for i, v := range a.X.Data {
			if v-v != 0 {
				t.Fatalf("%s: element %d is %v", name, i, v)
			}
		}
	}
	for i := range 40 {
		s := sets["rings"](1)
		if r := math.Hypot(s.X.At(i, 0), s.X.At(i, 1)); math.Abs(r-float64(s.Classes[i]+1)/2) > 0.15 {
			t.Errorf("point %d of ring %d has radius %v", i, s.Classes[i], r)
		}
	}
	text := Sentences(500, Stream(1, "x", 0))
	if text != Sentences(500, Stream(1, "x", 0)) || len(text) < 500 || !bytes.ContainsAny([]byte(text), "\n") {
		t.Error("sentences are not a function of the seed, or too short")
	}
}
