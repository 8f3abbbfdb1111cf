package spectral

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
)

var (
	_ encoding.BinaryMarshaler   = (*Factor)(nil)
	_ encoding.BinaryUnmarshaler = (*Factor)(nil)
	_ json.Marshaler             = (*Factor)(nil)
	_ json.Unmarshaler           = (*Factor)(nil)
)

// The binary state is: magic, n, turns, defect, d, B by rows, CRC-32 (Castagnoli) of all that; 8-byte little-endian words, the sum 4 bytes.
const (
	factorMagic  = "SPDFACT1"
	factorFormat = "spdopt.factor"
	stateVersion = 1
	stateDefect  = 1e-9 // largest ||B^T B - I||_F that a decoder accepts
	maxDim       = 1 << 20
	headerLen    = len(factorMagic) + 3*8
	crcLen       = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MarshalBinary encodes the state. Decoding gives the same bits, and every later step on the copy the same bits as on the original.
func (f *Factor) MarshalBinary() ([]byte, error) {
	return f.AppendBinary(make([]byte, 0, headerLen+8*f.n*(f.n+1)+crcLen))
}

// AppendBinary appends what MarshalBinary returns to data.
func (f *Factor) AppendBinary(data []byte) ([]byte, error) {
	start := len(data)
	data = append(data, factorMagic...)
	data = binary.LittleEndian.AppendUint64(data, uint64(f.n))
	data = binary.LittleEndian.AppendUint64(data, f.turns)
	data = appendFloats(data, f.defect)
	data = appendFloats(data, f.d...)
	data = appendFloats(data, f.b.Data...)
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data[start:], castagnoli)), nil
}

func appendFloats(data []byte, v ...float64) []byte {
	for _, x := range v {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(x))
	}
	return data
}

// UnmarshalBinary replaces f by the state in data. It returns a *DataError and leaves f alone if data is truncated, corrupted, from another
// format, or not an SPD matrix in factored form.
func (f *Factor) UnmarshalBinary(data []byte) error {
	g, rest, err := decodeFactor(data)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return &DataError{"factor state", fmt.Sprintf("%d bytes too long", len(rest))}
	}
	*f = *g
	return nil
}

// decodeFactor reads one factor from the front of data and returns what follows it.
func decodeFactor(data []byte) (*Factor, []byte, error) {
	if len(data) < headerLen+crcLen || string(data[:len(factorMagic)]) != factorMagic {
		return nil, nil, &DataError{"factor state", "does not start with the header of a binary factor"}
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(data[len(factorMagic)+8*i:]) }
	n := word(0)
	if n > maxDim || uint64(len(data)) < uint64(headerLen)+8*n*(n+1)+uint64(crcLen) {
		return nil, nil, &DataError{"factor state", fmt.Sprintf("truncated: %d bytes cannot hold dimension %d", len(data), n)}
	}
	end := headerLen + 8*int(n*(n+1))
	if crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, nil, &DataError{"factor state", "checksum does not match: the data is corrupted"}
	}
	f := newFactor(int(n))
	f.turns, f.defect = word(1), math.Float64frombits(word(2))
	for i := range f.d {
		f.d[i] = math.Float64frombits(word(3 + i))
	}
	for i := range f.b.Data {
		f.b.Data[i] = math.Float64frombits(word(3 + int(n) + i))
	}
	if err := f.accept(); err != nil {
		return nil, nil, err
	}
	return f, data[end+crcLen:], nil
}

// accept checks a decoded factor.
func (f *Factor) accept() error {
	if !(f.defect >= 0 && f.defect <= stateDefect) {
		return &DataError{"factor state", fmt.Sprintf("defect %v is not within [0, %g]", f.defect, stateDefect)}
	}
	_, err := f.validate(stateDefect)
	return err
}

// factorState is the JSON form. JSON carries every finite float64 exactly.
type factorState struct {
	Format  string      `json:"format"`
	Version int         `json:"version"`
	N       int         `json:"n"`
	Turns   uint64      `json:"turns"`
	Defect  float64     `json:"defect"`
	D       []float64   `json:"d"`
	B       [][]float64 `json:"b"`
}

// MarshalJSON encodes the state as one JSON object with the fields format, version, n, turns, defect, d and b (rows). It round-trips bit for bit.
func (f *Factor) MarshalJSON() ([]byte, error) {
	s := factorState{Format: factorFormat, Version: stateVersion, N: f.n, Turns: f.turns, Defect: f.defect, D: f.d, B: make([][]float64, f.n)}
	for i := range s.B {
		s.B[i] = f.b.Row(i)
	}
	return json.Marshal(s)
}

// UnmarshalJSON replaces f by the state in data. It returns an error and leaves f alone if data is not such an object.
func (f *Factor) UnmarshalJSON(data []byte) error {
	var s factorState
	if err := json.Unmarshal(data, &s); err != nil {
		return &DataError{"factor state", err.Error()}
	}
	g, err := s.factor()
	if err != nil {
		return err
	}
	*f = *g
	return nil
}

func (s *factorState) factor() (*Factor, error) {
	if s.Format != factorFormat || s.Version != stateVersion {
		return nil, &DataError{"factor state", fmt.Sprintf("format %q version %d, want %q version %d", s.Format, s.Version, factorFormat, stateVersion)}
	}
	if s.N < 0 || len(s.D) != s.N || len(s.B) != s.N {
		return nil, &DataError{"factor state", fmt.Sprintf("dimension %d with %d eigenvalues and %d rows", s.N, len(s.D), len(s.B))}
	}
	for i, row := range s.B {
		if len(row) != s.N {
			return nil, &DataError{"factor state", fmt.Sprintf("row %d has %d entries, want %d", i, len(row), s.N)}
		}
	}
	f := newFactor(s.N)
	f.turns, f.defect = s.Turns, s.Defect
	copy(f.d, s.D)
	for i, row := range s.B {
		copy(f.b.Row(i), row)
	}
	if err := f.accept(); err != nil {
		return nil, err
	}
	return f, nil
}
