package manifold

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

var (
	_ encoding.BinaryMarshaler   = (*Frame)(nil)
	_ encoding.BinaryAppender    = (*Frame)(nil)
	_ encoding.BinaryUnmarshaler = (*Frame)(nil)
)

const (
	frameMagic  = "SPDFRM1\n"
	frameHeader = len(frameMagic) + 3*8
	maxFrameDim = 1 << 20
)

// Bits of the flags of a binary frame.
const (
	flagStale = 1 << iota
	flagSpectral
	flagLower

	allFlags = 1<<iota - 1
)

// MarshalBinary returns the frame exactly as it is stored, so that a copy read back goes on with the same bits: 8 n^2 bytes, twice that once
// F has been computed, and the factor of a spectral frame.
func (p *Frame) MarshalBinary() ([]byte, error) { return p.AppendBinary(nil) }

// AppendBinary appends what MarshalBinary returns to data.
func (p *Frame) AppendBinary(data []byte) ([]byte, error) {
	var flags uint64
	if p.stale {
		flags |= flagStale
	}
	if p.spectral {
		flags |= flagSpectral
	}
	if p.lower {
		flags |= flagLower
	}
	data = append(data, frameMagic...)
	data = binary.LittleEndian.AppendUint64(data, uint64(p.Dim()))
	data = binary.LittleEndian.AppendUint64(data, flags)
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(p.logDet))
	data = appendDense(data, p.inv)
	if !p.stale {
		data = appendDense(data, p.f)
	}
	if p.spectral {
		return p.factor.AppendBinary(data)
	}
	return data, nil
}

func appendDense(data []byte, m *mat.Dense) []byte {
	n, _ := m.Dims()
	for i := range n {
		for _, v := range m.RawRowView(i) {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
		}
	}
	return data
}

// UnmarshalBinary replaces p by the frame in data. Data that are truncated, too long, from another format or not finite are a *PointError,
// which leaves p alone.
func (p *Frame) UnmarshalBinary(data []byte) error {
	if len(data) < frameHeader || string(data[:len(frameMagic)]) != frameMagic {
		return &PointError{What: "the data do not start with the header of a binary frame"}
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(data[len(frameMagic)+8*i:]) }
	n, flags := word(0), word(1)
	matrices := uint64(2)
	if flags&flagStale != 0 {
		matrices = 1
	}
	if n < 1 || n > maxFrameDim || flags > allFlags || uint64(len(data)-frameHeader) < 8*n*n*matrices {
		return &PointError{What: fmt.Sprintf("the binary frame is damaged: %d bytes, dimension %d, flags %d", len(data), n, flags)}
	}
	q := &Frame{f: mat.NewDense(int(n), int(n), nil), inv: mat.NewDense(int(n), int(n), nil), logDet: math.Float64frombits(word(2))}
	q.stale, q.spectral, q.lower = flags&flagStale != 0, flags&flagSpectral != 0, flags&flagLower != 0
	rest := readDense(q.inv, data[frameHeader:])
	if !q.stale {
		rest = readDense(q.f, rest)
	}
	if !allFinite(q.inverse()) || q.logDet-q.logDet != 0 || !q.stale && !allFinite(q.matrix()) {
		return &PointError{What: "the binary frame has a NaN or Inf entry"}
	}
	switch {
	case q.spectral:
		q.factor = new(spectral.Factor)
		if err := q.factor.UnmarshalBinary(rest); err != nil {
			return &PointError{What: "the binary frame: " + err.Error()}
		}
		if q.factor.Dim() != int(n) {
			return &PointError{What: fmt.Sprintf("the binary frame has dimension %d, its factor %d", n, q.factor.Dim())}
		}
	case len(rest) != 0:
		return &PointError{What: fmt.Sprintf("the binary frame is %d bytes too long", len(rest))}
	}
	*p = *q
	return nil
}

// readDense fills m from the front of data and returns what follows.
func readDense(m *mat.Dense, data []byte) []byte {
	n, _ := m.Dims()
	for i := range n {
		row := m.RawRowView(i)
		for j := range row {
			row[j] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*j:]))
		}
		data = data[8*n:]
	}
	return data
}
