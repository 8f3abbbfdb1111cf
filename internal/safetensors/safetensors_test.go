package safetensors

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
)

func sample() *File {
	return &File{
		Metadata: map[string]string{"step": "12", "name": "a \"quoted\" one"},
		Tensors: []Tensor{
			{Name: "w", Shape: []int{2, 3}, F32: []float32{1, -2, float32(math.Inf(1)), 4e-45, 5, 6}},
			{Name: "a", Shape: []int{2}, F64: []float64{math.Pi, -0.1}},
			{Name: "empty", Shape: []int{0, 4}, F64: []float64{}},
			{Name: "codes", Shape: []int{3}, U8: []uint8{0, 7, 255}},
			{Name: "scalar", Shape: []int{}, F64: []float64{7}},
		},
	}
}

func encode(t testing.TB, f *File) []byte {
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	data := encode(t, sample())
	back, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Metadata, sample().Metadata) {
		t.Errorf("metadata %v", back.Metadata)
	}
	for _, want := range sample().Tensors {
		got := back.Tensor(want.Name)
		if got == nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %v, want %v", want.Name, got, want)
		}
	}
	if !bytes.Equal(encode(t, back), data) {
		t.Error("writing what was read gives other bytes")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, f := range map[string]*File{
		"size":  {Tensors: []Tensor{{Name: "x", Shape: []int{3}, F64: []float64{1}}}},
		"twice": {Tensors: []Tensor{{Name: "x", Shape: []int{1}, F64: []float64{1}}, {Name: "x", Shape: []int{1}, F64: []float64{1}}}},
		"key":   {Tensors: []Tensor{{Name: metadataKey, Shape: []int{1}, F64: []float64{1}}}},
	} {
		if err := Write(&bytes.Buffer{}, f); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := encode(t, sample())
	for n := range len(whole) {
		if _, err := Read(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
	if _, err := Read(append(whole[:len(whole):len(whole)], 0)); err == nil {
		t.Error("a byte too many was accepted")
	}
	for header, part := range map[string]string{
		`{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`:                        "BF16",
		`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`:                         "do not fit",
		`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`:                        "do not fit",
		`{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`: "truncated",
	} {
		data := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
		if _, err := Read(append(data, 0, 0, 0, 0)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestReadTableSaysWhereTensorsLie(t *testing.T) {
	header := `{"b":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[4,7]},"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}`
	data := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header+"abcdefg"...)
	metadata, all, err := ReadTable(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	at := int64(8 + len(header))
	want := []Entry{{"a", "F16", []int{1, 2}, at, 4}, {"b", "F8_E4M3", []int{3}, at + 4, 3}}
	if !reflect.DeepEqual(all, want) || metadata["k"] != "v" {
		t.Errorf("%v, %v", all, metadata)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add([]byte("{}      "))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Read(data)
		if err != nil {
			return
		}
		again, err := Read(encode(t, got))
		if err != nil || len(again.Tensors) != len(got.Tensors) {
			t.Fatalf("what was accepted does not survive a round trip: %v", err)
		}
	})
}
