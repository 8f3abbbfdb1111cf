package matio

import (
	"bufio"
	"io"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/safetensors"
)

// tensorElements maps the element types of a safetensors file to what they hold.
var tensorElements = map[string]element{
	"F64":  {kind: 'f', size: 8, name: "float64"},
	"F32":  {kind: 'f', size: 4, name: "float32"},
	"F16":  {kind: 'f', size: 2, name: "float16"},
	"BF16": {kind: 'B', size: 2, name: "bfloat16"},
	"I64":  {kind: 'i', size: 8, name: "int64"},
	"I32":  {kind: 'i', size: 4, name: "int32"},
	"I16":  {kind: 'i', size: 2, name: "int16"},
	"I8":   {kind: 'i', size: 1, name: "int8"},
	"U64":  {kind: 'u', size: 8, name: "uint64"},
	"U32":  {kind: 'u', size: 4, name: "uint32"},
	"U16":  {kind: 'u', size: 2, name: "uint16"},
	"U8":   {kind: 'u', size: 1, name: "uint8"},
	"BOOL": {kind: 'b', size: 1, name: "bool"},
}

// tensorMembers reads the header of a safetensors file.
func tensorMembers(r io.ReaderAt, size int64, file string, vectors bool) ([]member, error) {
	_, entries, err := safetensors.ReadTable(r, size)
	if err != nil {
		return nil, &Error{File: file, What: err.Error(), Err: err}
	}
	var all []member
	for _, e := range entries {
		all = append(all, member{name: e.Name, open: func() (decoder, io.Closer, error) {
			elem, ok := tensorElements[e.DType]
			if !ok {
				return nil, nil, badf(file, "%s has element type %q, which is not read", arrayName(e.Name), e.DType).try("save it as F64 or F32")
			}
			body := io.NewSectionReader(r, e.Offset, e.Size)
			a := array{r: body, file: file, name: e.Name, elem: elem, shape: e.Shape, size: e.Size, trusted: true}
			d, err := newArrayReader(a, vectors)
			return d, nil, err
		}})
	}
	return all, nil
}

// tensorEncoder collects the results, because the header with the sizes of all comes first.
type tensorEncoder struct {
	w     *bufio.Writer
	file  safetensors.File
	names arrayNames
}

func (e *tensorEncoder) add(name string, m dense.Matrix[float64]) error {
	name, err := e.names.take(name)
	if err != nil {
		return err
	}
	e.file.Tensors = append(e.file.Tensors, safetensors.Tensor{Name: name, Shape: []int{m.Rows, m.Cols}, F64: m.Clone().Data})
	return nil
}

func (e *tensorEncoder) finish() ([]byte, error) {
	if len(e.names) == 0 {
		return nil, &Error{What: "no result to write"}
	}
	if err := safetensors.Write(e.w, &e.file); err != nil {
		return nil, err
	}
	return nil, e.w.Flush()
}
