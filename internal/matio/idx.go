package matio

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
)

// IDX is an array in the IDX format of the MNIST files, widened to float64.
type IDX struct {
	Shape []int
	Data  []float64 // row major
}

// idxElements maps the type byte of an IDX file to the elements it announces, which are big-endian.
var idxElements = map[byte]element{
	0x08: {kind: 'u', size: 1, name: "uint8"},
	0x09: {kind: 'i', size: 1, name: "int8"},
	0x0B: {kind: 'i', size: 2, swapped: true, name: "int16"},
	0x0C: {kind: 'i', size: 4, swapped: true, name: "int32"},
	0x0D: {kind: 'f', size: 4, swapped: true, name: "float32"},
	0x0E: {kind: 'f', size: 8, swapped: true, name: "float64"},
}

// OpenIDX reads the IDX file at path, which may be compressed by gzip.
func OpenIDX(path string) (*IDX, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, SystemError(path, "open", err)
	}
	defer f.Close()
	return ReadIDX(f, path)
}

// ReadIDX reads an IDX array, plain or compressed by gzip, from r; file is the name for error messages. The format is two zero bytes, a type
// byte, the number of axes, their lengths as big-endian 32-bit numbers, and the elements.
func ReadIDX(r io.Reader, file string) (*IDX, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, badf(file, "not a readable gzip file: %v", err)
		}
		defer z.Close()
		b = bufio.NewReaderSize(z, 1<<16)
	}
	var head [4]byte
	if _, err := io.ReadFull(b, head[:]); err != nil {
		return nil, badf(file, "truncated inside the IDX header")
	}
	elem, ok := idxElements[head[2]]
	if head[0] != 0 || head[1] != 0 || !ok || head[3] == 0 {
		return nil, badf(file, "not an IDX file: it begins with %x", head)
	}
	x := &IDX{Shape: make([]int, head[3])}
	for k := range x.Shape {
		var d [4]byte
		if _, err := io.ReadFull(b, d[:]); err != nil {
			return nil, badf(file, "truncated inside the IDX header")
		}
		x.Shape[k] = int(binary.BigEndian.Uint32(d[:]))
	}
	total, ok := product(1, x.Shape...)
	if !ok {
		return nil, badf(file, "claims shape %s, which no file can hold", shapeString(x.Shape))
	}
	var err error
	x.Data, err = elem.read(b, int(total), false)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return nil, badf(file, "truncated: shape %s needs %d elements, only %d are there", shapeString(x.Shape), total, len(x.Data))
	}
	if err != nil {
		return nil, SystemError(file, "read", err)
	}
	if _, err := b.ReadByte(); err == nil {
		return nil, badf(file, "more bytes follow the data of shape %s", shapeString(x.Shape))
	} else if err != io.EOF {
		return nil, SystemError(file, "read", err)
	}
	return x, nil
}
