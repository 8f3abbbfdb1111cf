// Package safetensors reads and writes named arrays of float32, float64 and bytes with a table of texts, in the safetensors format: eight bytes with the
// length of a JSON header (little-endian), the header, the bytes of the arrays (little-endian, row major) one after the other. Of arrays of other elements
// it tells where they lie.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// Tensor is a named array: exactly one of F32, F64 and U8 holds its elements, row major.
type Tensor struct {
	Name  string
	Shape []int
	F32   []float32
	F64   []float64
	U8    []uint8
}

// File is the content of one file. The tensors stand in the order of their bytes.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor
}

// Tensor returns the tensor called name, or nil.
func (f *File) Tensor(name string) *Tensor {
	for i := range f.Tensors {
		if f.Tensors[i].Name == name {
			return &f.Tensors[i]
		}
	}
	return nil
}

const metadataKey = "__metadata__"

// maxHeader bounds the header that is accepted, as the reference implementation does.
const maxHeader = 100 << 20

type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Entry says how a tensor is stored and where its bytes lie.
type Entry struct {
	Name   string
	DType  string // "F64", "BF16", "I8", ...
	Shape  []int
	Offset int64 // from the beginning of the file
	Size   int64
}

// sizes are the bytes that an element takes; types that are not here are not read.
var sizes = map[string]int64{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}

// Write writes f to w. Names must differ and sizes must fit the shapes.
func Write(w io.Writer, f *File) error {
	header := map[string]any{}
	if len(f.Metadata) > 0 {
		header[metadataKey] = f.Metadata
	}
	var at int64
	for _, t := range f.Tensors {
		e := entry{DType: "F64", Shape: t.Shape}
		size, count := int64(8), len(t.F64)
		switch {
		case t.F32 != nil:
			e.DType, size, count = "F32", 4, len(t.F32)
		case t.U8 != nil:
			e.DType, size, count = "U8", 1, len(t.U8)
		}
		if e.Shape == nil {
			e.Shape = []int{}
		}
		if n, ok := elements(t.Shape); !ok || n != int64(count) || t.F32 != nil && t.F64 != nil || t.U8 != nil && (t.F32 != nil || t.F64 != nil) {
			return fmt.Errorf("tensor %q: %d elements do not fill shape %v", t.Name, count, t.Shape)
		}
		if _, twice := header[t.Name]; twice || t.Name == metadataKey {
			return fmt.Errorf("tensor name %q cannot be used twice", t.Name)
		}
		e.Offsets = [2]int64{at, at + size*int64(count)}
		at = e.Offsets[1]
		header[t.Name] = e
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for (len(text)+8)%8 != 0 {
		text = append(text, ' ')
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(text)))
	for _, part := range [][]byte{length[:], text} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	for _, t := range f.Tensors {
		if err := binary.Write(w, binary.LittleEndian, payload(t)); err != nil {
			return err
		}
	}
	return nil
}

func payload(t Tensor) any {
	switch {
	case t.F32 != nil:
		return t.F32
	case t.U8 != nil:
		return t.U8
	}
	return t.F64
}

// ReadTable reads the header of a file of so many bytes: the metadata and the tensors in the order of their bytes, which fill the file without gaps. The
// errors say what is wrong, but not which file; nothing is allocated for what a damaged header claims.
func ReadTable(r io.ReaderAt, size int64) (metadata map[string]string, all []Entry, err error) {
	var begin [8]byte
	if size < int64(len(begin)) {
		return nil, nil, fmt.Errorf("truncated: %d bytes are no safetensors file", size)
	}
	if _, err := r.ReadAt(begin[:], 0); err != nil {
		return nil, nil, err
	}
	length := binary.LittleEndian.Uint64(begin[:])
	if length > maxHeader || length > uint64(size-8) {
		return nil, nil, fmt.Errorf("not a safetensors file, or truncated: the header claims %d bytes, %d are there", length, size-8)
	}
	text := make([]byte, length)
	if n, err := r.ReadAt(text, 8); n < len(text) {
		return nil, nil, err
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, nil, fmt.Errorf("not a safetensors file: header: %v", err)
	}
	if text, ok := header[metadataKey]; ok {
		if err := json.Unmarshal(text, &metadata); err != nil {
			return nil, nil, fmt.Errorf("header: %s: %v", metadataKey, err)
		}
		delete(header, metadataKey)
	}
	all, err = place(header, 8+int64(length), size)
	return metadata, all, err
}

// place decodes the entries of the header and demands that they fill the bytes from start to end, each from where the one before it ends.
func place(header map[string]json.RawMessage, start, end int64) ([]Entry, error) {
	type placed struct {
		name string
		entry
	}
	var entries []placed
	for _, name := range slices.Sorted(maps.Keys(header)) {
		p := placed{name: name}
		if err := json.Unmarshal(header[name], &p.entry); err != nil {
			return nil, fmt.Errorf("header: tensor %q: %v", name, err)
		}
		entries = append(entries, p)
	}
	slices.SortStableFunc(entries, func(a, b placed) int { return slices.Compare(a.Offsets[:], b.Offsets[:]) })
	var all []Entry
	var at int64
	for _, p := range entries {
		if err := p.check(at, end-start); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", p.name, err)
		}
		all = append(all, Entry{Name: p.name, DType: p.DType, Shape: p.Shape, Offset: start + at, Size: p.Offsets[1] - at})
		at = p.Offsets[1]
	}
	if at != end-start {
		return nil, fmt.Errorf("truncated or too long: the tensors take %d bytes, %d are there", at, end-start)
	}
	return all, nil
}

// check demands that the tensor starts at byte at, has the size that its shape asks for, and ends within the bytes that are there.
func (e entry) check(at, there int64) error {
	count, ok := elements(e.Shape)
	size, known := sizes[e.DType]
	if !ok || e.Offsets[0] != at || e.Offsets[1] < at || known && e.Offsets[1]-at != size*count {
		return fmt.Errorf("shape %v and bytes %v do not fit each other and what comes before", e.Shape, e.Offsets)
	}
	if e.Offsets[1] > there {
		return fmt.Errorf("truncated: needs %d bytes, %d are there", e.Offsets[1], there)
	}
	return nil
}

// Read reads a file that holds only tensors of float32, float64 and bytes. Its errors are like those of ReadTable.
func Read(data []byte) (*File, error) {
	metadata, all, err := ReadTable(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	f := &File{Metadata: metadata}
	for _, e := range all {
		t, err := e.tensor(data[e.Offset : e.Offset+e.Size])
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		f.Tensors = append(f.Tensors, t)
	}
	return f, nil
}

// tensor decodes the bytes of a tensor.
func (e Entry) tensor(body []byte) (Tensor, error) {
	t := Tensor{Name: e.Name, Shape: e.Shape}
	switch e.DType {
	case "U8":
		t.U8 = slices.Clone(body)
		return t, nil
	case "F32":
		t.F32 = make([]float32, len(body)/4)
		return t, binary.Read(bytes.NewReader(body), binary.LittleEndian, t.F32)
	case "F64":
		t.F64 = make([]float64, len(body)/8)
		return t, binary.Read(bytes.NewReader(body), binary.LittleEndian, t.F64)
	}
	return t, fmt.Errorf("element type %q is not read, only F32, F64 and U8", e.DType)
}

// elements is the product of the lengths; false when it is negative or too large.
func elements(shape []int) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/16/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}
