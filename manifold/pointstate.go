package manifold

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

var (
	_ encoding.BinaryMarshaler   = (*EigenPoint)(nil)
	_ encoding.BinaryUnmarshaler = (*EigenPoint)(nil)
	_ encoding.BinaryMarshaler   = (*CholeskyPoint)(nil)
	_ encoding.BinaryUnmarshaler = (*CholeskyPoint)(nil)
	_ encoding.BinaryMarshaler   = (*OrthogonalPoint)(nil)
	_ encoding.BinaryUnmarshaler = (*OrthogonalPoint)(nil)
	_ encoding.BinaryMarshaler   = (*PositivePoint)(nil)
	_ encoding.BinaryUnmarshaler = (*PositivePoint)(nil)
	_ encoding.BinaryMarshaler   = (*ProductPoint)(nil)
	_ encoding.BinaryUnmarshaler = (*ProductPoint)(nil)
)

// Headers of the binary points. After each comes the dimension and the numbers; after that of a product, the number of parts and each part with
// its length before it.
const (
	eigenMagic      = "SPDEIG1\n"
	choleskyMagic   = "SPDCHO1\n"
	orthogonalMagic = "SPDORT1\n"
	positiveMagic   = "SPDPOS1\n"
	productMagic    = "SPDPRD1\n"
	pointHeader     = len(eigenMagic) + 8
)

// MarshalBinary returns the point exactly as it is stored: 8 n (n+1) bytes and a header.
func (p *EigenPoint) MarshalBinary() ([]byte, error) {
	return marshalNumbers(eigenMagic, len(p.d), p.d, p.q.Data), nil
}

// UnmarshalBinary replaces p by the point in data; data that are no such point are a *PointError, which leaves p alone.
func (p *EigenPoint) UnmarshalBinary(data []byte) error {
	n, v, err := unmarshalNumbers(eigenMagic, data, func(n int) int { return n * (n + 1) })
	if err != nil {
		return err
	}
	for i, d := range v[:n] {
		if !(d > 0) {
			return &PointError{What: fmt.Sprintf("eigenvalue %d of the binary point is %v", i, d)}
		}
	}
	q := newEigenPoint(n)
	copy(q.d, v[:n])
	copy(q.q.Data, v[n:])
	*p = *q
	return nil
}

// MarshalBinary returns the point exactly as it is stored: 8 n^2 bytes and a header.
func (p *CholeskyPoint) MarshalBinary() ([]byte, error) {
	return marshalNumbers(choleskyMagic, p.l.Rows, p.l.Data), nil
}

// UnmarshalBinary replaces p by the point in data; data that are no such point are a *PointError, which leaves p alone.
func (p *CholeskyPoint) UnmarshalBinary(data []byte) error {
	n, v, err := unmarshalNumbers(choleskyMagic, data, func(n int) int { return n * n })
	if err != nil {
		return err
	}
	l := dense.Wrap(n, n, v)
	for i := range n {
		if !(l.At(i, i) > 0) {
			return &PointError{What: fmt.Sprintf("diagonal entry %d of the binary factor is %v", i, l.At(i, i))}
		}
		for j := i + 1; j < n; j++ {
			if l.At(i, j) != 0 {
				return &PointError{What: fmt.Sprintf("entry (%d,%d) above the diagonal of the binary factor is %v", i, j, l.At(i, j))}
			}
		}
	}
	*p = CholeskyPoint{l: l}
	return nil
}

// MarshalBinary returns the point exactly as it is stored: 8 n^2 bytes and a header.
func (p *OrthogonalPoint) MarshalBinary() ([]byte, error) {
	return marshalNumbers(orthogonalMagic, p.q.Rows, p.q.Data), nil
}

// UnmarshalBinary replaces p by the point in data; data that are no such point are a *PointError, which leaves p alone. Orthogonality is not
// checked: Orthogonal.Check does that.
func (p *OrthogonalPoint) UnmarshalBinary(data []byte) error {
	n, v, err := unmarshalNumbers(orthogonalMagic, data, func(n int) int { return n * n })
	if err != nil {
		return err
	}
	q := newOrthogonalPoint(n)
	copy(q.q.Data, v)
	*p = *q
	return nil
}

// MarshalBinary returns the numbers exactly: 8 n bytes and a header.
func (p *PositivePoint) MarshalBinary() ([]byte, error) {
	return marshalNumbers(positiveMagic, len(p.X), p.X), nil
}

// UnmarshalBinary replaces p by the point in data; data that are no such point are a *PointError, which leaves p alone.
func (p *PositivePoint) UnmarshalBinary(data []byte) error {
	_, v, err := unmarshalNumbers(positiveMagic, data, func(n int) int { return n })
	if err != nil {
		return err
	}
	q := PositivePoint{X: v}
	if err := q.check(); err != nil {
		return err
	}
	*p = q
	return nil
}

// MarshalBinary returns the parts, which must marshal, one after the other.
func (p *ProductPoint) MarshalBinary() ([]byte, error) {
	data := binary.LittleEndian.AppendUint64([]byte(productMagic), uint64(len(p.Parts)))
	for i, part := range p.Parts {
		m, ok := part.(encoding.BinaryMarshaler)
		if !ok {
			return nil, fmt.Errorf("manifold: part %d of the product, of type %T, does not marshal", i, part)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("manifold: part %d of the product: %w", i, err)
		}
		data = append(binary.LittleEndian.AppendUint64(data, uint64(len(b))), b...)
	}
	return data, nil
}

// UnmarshalBinary overwrites the parts of p, which must be of the types and as many as in data. Data that are no such point are an error; parts
// before the one that failed are then already overwritten.
func (p *ProductPoint) UnmarshalBinary(data []byte) error {
	if len(data) < pointHeader || string(data[:len(productMagic)]) != productMagic {
		return &PointError{What: "the data do not start with the header of a binary product"}
	}
	if k := binary.LittleEndian.Uint64(data[len(productMagic):]); k != uint64(len(p.Parts)) {
		return &PointError{What: fmt.Sprintf("the binary product has %d parts, want %d", k, len(p.Parts))}
	}
	data = data[pointHeader:]
	for i, part := range p.Parts {
		u, ok := part.(encoding.BinaryUnmarshaler)
		if !ok {
			return fmt.Errorf("manifold: part %d of the product, of type %T, does not unmarshal", i, part)
		}
		if len(data) < 8 || binary.LittleEndian.Uint64(data) > uint64(len(data)-8) {
			return &PointError{What: fmt.Sprintf("part %d of the binary product is truncated", i)}
		}
		end := 8 + int(binary.LittleEndian.Uint64(data))
		if err := u.UnmarshalBinary(data[8:end]); err != nil {
			return fmt.Errorf("manifold: part %d of the product: %w", i, err)
		}
		data = data[end:]
	}
	if len(data) != 0 {
		return &PointError{What: fmt.Sprintf("the binary product is %d bytes too long", len(data))}
	}
	return nil
}

func marshalNumbers(magic string, n int, parts ...[]float64) []byte {
	data := binary.LittleEndian.AppendUint64([]byte(magic), uint64(n))
	for _, part := range parts {
		for _, v := range part {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
		}
	}
	return data
}

// unmarshalNumbers reads the dimension n and count(n) finite numbers.
func unmarshalNumbers(magic string, data []byte, count func(n int) int) (int, []float64, error) {
	if len(data) < pointHeader || string(data[:len(magic)]) != magic {
		return 0, nil, &PointError{What: fmt.Sprintf("the data do not start with the header %q of a binary point", magic[:len(magic)-1])}
	}
	n := binary.LittleEndian.Uint64(data[len(magic):])
	data = data[pointHeader:]
	if n < 1 || n > maxFrameDim || len(data) != 8*count(int(n)) {
		return 0, nil, &PointError{What: fmt.Sprintf("the binary point is damaged: dimension %d, %d bytes of numbers", n, len(data))}
	}
	v := make([]float64, count(int(n)))
	for i := range v {
		if v[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:])); v[i]-v[i] != 0 {
			return 0, nil, &PointError{What: "the binary point has a NaN or Inf entry"}
		}
	}
	return int(n), v, nil
}
