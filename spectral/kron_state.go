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
	_ encoding.BinaryMarshaler   = (*Kron)(nil)
	_ encoding.BinaryUnmarshaler = (*Kron)(nil)
	_ json.Marshaler             = (*Kron)(nil)
	_ json.Unmarshaler           = (*Kron)(nil)
)

// The binary state is: magic, alpha, number of factors, CRC-32 of these, then the factors as Factor.MarshalBinary writes them.
const (
	kronMagic     = "SPDKRON1"
	kronFormat    = "spdopt.kron"
	kronHeaderLen = len(kronMagic) + 2*8
	maxParts      = 64
)

// MarshalBinary encodes the state. Decoding gives the same bits, and every later step on the copy the same bits as on the original.
func (k *Kron) MarshalBinary() ([]byte, error) {
	data := appendFloats([]byte(kronMagic), k.alpha)
	data = binary.LittleEndian.AppendUint64(data, uint64(len(k.parts)))
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	for _, f := range k.parts {
		var err error
		if data, err = f.AppendBinary(data); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// UnmarshalBinary replaces k by the state in data. It returns a *DataError and leaves k alone if data is truncated, corrupted or not such a state.
func (k *Kron) UnmarshalBinary(data []byte) error {
	if len(data) < kronHeaderLen+crcLen || string(data[:len(kronMagic)]) != kronMagic {
		return &DataError{"Kronecker state", "does not start with the header of a binary Kronecker product"}
	}
	if crc32.Checksum(data[:kronHeaderLen], castagnoli) != binary.LittleEndian.Uint32(data[kronHeaderLen:]) {
		return &DataError{"Kronecker state", "checksum does not match: the data is corrupted"}
	}
	alpha := math.Float64frombits(binary.LittleEndian.Uint64(data[len(kronMagic):]))
	count := binary.LittleEndian.Uint64(data[len(kronMagic)+8:])
	rest := data[kronHeaderLen+crcLen:]
	var parts []*Factor
	for range min(count, maxParts+1) {
		f, after, err := decodeFactor(rest)
		if err != nil {
			return err
		}
		parts, rest = append(parts, f), after
	}
	if len(rest) != 0 {
		return &DataError{"Kronecker state", fmt.Sprintf("%d bytes too long", len(rest))}
	}
	return k.accept(alpha, parts)
}

// accept takes the decoded parts if they are a valid state.
func (k *Kron) accept(alpha float64, parts []*Factor) error {
	if len(parts) == 0 || len(parts) > maxParts {
		return &DataError{"Kronecker state", fmt.Sprintf("%d factors, need 1 to %d", len(parts), maxParts)}
	}
	if !(alpha >= smallest && alpha <= largest) {
		return &DataError{"Kronecker state", fmt.Sprintf("scale alpha = %v is not within [2^-1000, 2^1000]", alpha)}
	}
	size := 1
	for i, f := range parts {
		if f.n == 0 || f.n > math.MaxInt32/size {
			return &DataError{"Kronecker state", fmt.Sprintf("factor %d of dimension %d makes the product empty or too large", i, f.n)}
		}
		size *= f.n
		if ld := f.LogDet(); !(math.Abs(ld) <= 1e-9*float64(f.n)) {
			return &DataError{"Kronecker state", fmt.Sprintf("factor %d has log-determinant %.3g, not 0", i, ld)}
		}
	}
	*k = *assemble(alpha, parts)
	return nil
}

// kronState is the JSON form.
type kronState struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Alpha   float64   `json:"alpha"`
	Parts   []*Factor `json:"parts"`
}

// MarshalJSON encodes the state as one JSON object with the fields format, version, alpha and parts. It round-trips bit for bit.
func (k *Kron) MarshalJSON() ([]byte, error) {
	return json.Marshal(kronState{Format: kronFormat, Version: stateVersion, Alpha: k.alpha, Parts: k.parts})
}

// UnmarshalJSON replaces k by the state in data. It returns an error and leaves k alone if data is not such an object.
func (k *Kron) UnmarshalJSON(data []byte) error {
	var s kronState
	if err := json.Unmarshal(data, &s); err != nil {
		return &DataError{"Kronecker state", err.Error()}
	}
	if s.Format != kronFormat || s.Version != stateVersion {
		return &DataError{"Kronecker state", fmt.Sprintf("format %q version %d, want %q version %d", s.Format, s.Version, kronFormat, stateVersion)}
	}
	for i, f := range s.Parts {
		if f == nil {
			return &DataError{"Kronecker state", fmt.Sprintf("factor %d is null", i)}
		}
	}
	return k.accept(s.Alpha, s.Parts)
}
