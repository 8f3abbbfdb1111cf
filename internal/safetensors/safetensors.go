// Package safetensors reads and writes named arrays of float32, float64 and bytes with a table of texts, in the safetensors format: eight bytes with the
// length of a JSON header (little-endian), the header, the bytes of the arrays (little-endian, row major) one after the other.
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

// Read reads a file that holds only tensors of float32, float64 and bytes. The errors say what is wrong, but not which file; nothing is allocated for
// what a damaged header claims.
func Read(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("truncated: %d bytes are no safetensors file", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	if length > maxHeader || length > uint64(len(data)-8) {
		return nil, fmt.Errorf("not a safetensors file, or truncated: the header claims %d bytes, %d are there", length, len(data)-8)
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+length], &header); err != nil {
		return nil, fmt.Errorf("not a safetensors file: header: %v", err)
	}
	body := data[8+length:]
	f := &File{}
	if text, ok := header[metadataKey]; ok {
		if err := json.Unmarshal(text, &f.Metadata); err != nil {
			return nil, fmt.Errorf("header: %s: %v", metadataKey, err)
		}
		delete(header, metadataKey)
	}
	type placed struct {
		name string
		entry
	}
	var all []placed
	for _, name := range slices.Sorted(maps.Keys(header)) {
		p := placed{name: name}
		if err := json.Unmarshal(header[name], &p.entry); err != nil {
			return nil, fmt.Errorf("header: tensor %q: %v", name, err)
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b placed) int { return slices.Compare(a.Offsets[:], b.Offsets[:]) })
	var at int64
	for _, p := range all {
		t, err := p.read(p.name, body, at)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", p.name, err)
		}
		at = p.Offsets[1]
		f.Tensors = append(f.Tensors, t)
	}
	if at != int64(len(body)) {
		return nil, fmt.Errorf("truncated or too long: the tensors take %d bytes, %d are there", at, len(body))
	}
	return f, nil
}

// read takes the tensor out of body, where it must start at byte at.
func (e entry) read(name string, body []byte, at int64) (Tensor, error) {
	t := Tensor{Name: name, Shape: e.Shape}
	size := map[string]int64{"F32": 4, "F64": 8, "U8": 1}[e.DType]
	if size == 0 {
		return t, fmt.Errorf("element type %q is not read, only F32, F64 and U8", e.DType)
	}
	count, ok := elements(e.Shape)
	if !ok || e.Offsets[0] != at || e.Offsets[1] < at || e.Offsets[1]-at != size*count {
		return t, fmt.Errorf("shape %v and bytes %v do not fit each other and what comes before", e.Shape, e.Offsets)
	}
	if e.Offsets[1] > int64(len(body)) {
		return t, fmt.Errorf("truncated: needs %d bytes, %d are there", e.Offsets[1], len(body))
	}
	var target any
	switch size {
	case 1:
		t.U8 = slices.Clone(body[at:e.Offsets[1]])
		return t, nil
	case 4:
		t.F32 = make([]float32, count)
		target = t.F32
	default:
		t.F64 = make([]float64, count)
		target = t.F64
	}
	return t, binary.Read(bytes.NewReader(body[at:e.Offsets[1]]), binary.LittleEndian, target)
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
