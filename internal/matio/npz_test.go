package matio

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
)

// npzEntry is an entry of an archive whose directory may lie.
type npzEntry struct {
	name    string
	content io.Reader // what is compressed
	claimed uint64    // bytes that the directory claims
	stored  bool
}

// npzBytes writes the entries as they are, whatever their directory says.
func npzBytes(t testing.TB, entries ...npzEntry) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, e := range entries {
		var packed bytes.Buffer
		sum := crc32.NewIEEE()
		h := &zip.FileHeader{Name: e.name + ".npy", UncompressedSize64: e.claimed}
		if e.stored {
			io.Copy(io.MultiWriter(&packed, sum), e.content)
		} else {
			h.Method = zip.Deflate
			deflated, err := flate.NewWriter(&packed, flate.BestCompression)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.MultiWriter(deflated, sum), e.content)
			deflated.Close()
		}
		h.CRC32, h.CompressedSize64 = sum.Sum32(), uint64(packed.Len())
		w, err := z.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		packed.WriteTo(w)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const oneNumber = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }"

// TestArchiveSizes: an array of an archive is exactly as long as its header, its directory and its compressed bytes say.
func TestArchiveSizes(t *testing.T) {
	whole := npyFile(oneNumber, 8)
	size := uint64(len(whole))
	for _, c := range []struct {
		name, content string
		claimed       uint64
		stored        bool
		want          string
	}{
		{"honest", whole, size, false, ""},
		{"honest and stored", whole, size, true, ""},
		{"short", npyFile(oneNumber, 7), size - 1, false, `array "a" is truncated: shape (1, 1) of float64 needs 8 bytes of data, the file holds 7`},
		{"long", npyFile(oneNumber, 9), size + 1, false, `1 bytes follow the data of array "a"`},
		{"shorter than claimed", npyFile(oneNumber, 7), size, false, `truncated: matrix "a" needs 1 elements, only 0 are there`},
		{"shorter than claimed and stored", npyFile(oneNumber, 7), size, true, `truncated: matrix "a" needs 1 elements`},
		{"longer than claimed", npyFile(oneNumber, 9), size, false, `more bytes follow the data of array "a"`},
		{"longer than claimed and stored", npyFile(oneNumber, 9), size, true, `more bytes follow the data of array "a"`},
		{"a claim that no compressed bytes hold", whole, 1 << 40, false, "claims 1099511627776 bytes, more than its"},
		{"a header cut off", whole[:30], 30, false, "truncated inside the npy header"},
	} {
		path := writeFile(t, "a.npz", npzBytes(t, npzEntry{"a", strings.NewReader(c.content), c.claimed, c.stored}))
		_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
		if c.want != "" {
			requireError(t, err, path, c.want)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestArchiveBombs: archives that are small for what they hold, or whose entries share bytes, are refused before memory is taken.
func TestArchiveBombs(t *testing.T) {
	bomb := func(shape string, n int64, fortran bool) npzEntry {
		dict := "{'descr': '|i1', 'fortran_order': False, 'shape': " + shape + ", }"
		if fortran {
			dict = strings.Replace(dict, "False", "True", 1)
		}
		head := npyFile(dict, 0)
		return npzEntry{"bomb", io.MultiReader(strings.NewReader(head), &zeros{n: n}), uint64(len(head)) + uint64(n), false}
	}
	const want = `array "bomb" of 324000000 elements is too empty, compressed to`
	for _, b := range []npzEntry{bomb("(18000, 18000)", 18000*18000, false), bomb("(4, 9000, 9000)", 4*9000*9000, true)} {
		honest := npyFile(oneNumber, 8)
		path := writeFile(t, "bomb.npz", npzBytes(t, b, npzEntry{"a", strings.NewReader(honest), uint64(len(honest)), false}))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
		requireError(t, err, path, want)
		requireMatrix(t, readAll(t, path+":a")[0], 1, 1, func(int, int) float64 { return 0 })
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
			t.Errorf("324 MB of zeros made the reader take %d bytes", allocated)
		}
	}
}

// TestSharedEntries: a directory that names the same bytes again and again is refused.
func TestSharedEntries(t *testing.T) {
	content := npzBytes(t, npzEntry{"a", strings.NewReader(npyFile(oneNumber, 80000)), 80000, true})
	at := strings.Index(content, "PK\x01\x02")
	end := strings.Index(content, "PK\x05\x06")
	entry := content[at:end]
	second := strings.Replace(entry, "a.npy", "b.npy", 1)
	tail := []byte(content[end:])
	tail[8], tail[10] = 2, 2        // entries
	tail[12] = byte(2 * len(entry)) // bytes of the directory
	path := writeFile(t, "shared.npz", content[:at]+entry+second+string(tail))
	_, _, err := ReadAll(Source{Paths: []string{path}}, Check{})
	requireError(t, err, path, `up to array "b" the entries take more bytes than`)
}

// TestTooEmpty: memory beyond 2 GB must be asked for with a compressed byte for every 8 elements.
func TestTooEmpty(t *testing.T) {
	const limit = 1 << 28
	if tooEmpty(limit, 1) || !tooEmpty(limit+8, limit/8) || tooEmpty(limit+8, limit/8+1) {
		t.Error("the limit is not 2^28 elements and 8 to a byte")
	}
	path := writeFile(t, "a.npz", npzBytes(t, npzEntry{"a", strings.NewReader(npyFile(oneNumber, 8)), uint64(len(npyFile(oneNumber, 8))), false}))
	s, err := Open(Source{Paths: []string{path, "testdata/v1.npy"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat(path); err != nil || s.packed != info.Size() {
		t.Errorf("%d packed bytes are known, %v", s.packed, err)
	}
}
