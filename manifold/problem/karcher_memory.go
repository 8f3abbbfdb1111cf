package problem

import (
	"encoding/binary"
	"fmt"
	"math"
)

// MarshalBinary returns the spectra at the point, and those that the next evaluation would start from where they are others: a run that goes on from a state then
// follows the same eigenbases, to the last bit.
func (m *karcherMemo) MarshalBinary() ([]byte, error) {
	others := m.owner.latest != nil && m.owner.latest != m
	parts := []*karcherMemo{m}
	if others {
		parts = append(parts, m.owner.latest)
	}
	var b []byte
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p.slack))
		for _, s := range p.spectra {
			known := 0.0
			if s.known {
				known = 1
			}
			for _, v := range [][]float64{{known, s.residual, s.rounding}, s.logs, s.roots, s.inverse, s.basis.Data} {
				for _, x := range v {
					b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
				}
			}
		}
	}
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (m *karcherMemo) UnmarshalBinary(b []byte) error {
	n := m.owner.n
	size := 8 * (1 + len(m.spectra)*(3+3*n+n*n))
	if len(b) != size && len(b) != 2*size {
		return fmt.Errorf("%d bytes where %d or %d belong: it is that of other data", len(b), size, 2*size)
	}
	m.owner.latest = m
	m.fill(b[:size])
	if len(b) == 2*size {
		m.owner.latest = m.owner.NewMemo().(*karcherMemo)
		m.owner.latest.fill(b[size:])
	}
	return nil
}

// fill reads what MarshalBinary wrote of one memo.
func (m *karcherMemo) fill(b []byte) {
	next := func() (v float64) {
		v, b = math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
		return v
	}
	m.slack = next()
	for _, s := range m.spectra {
		s.known = next() != 0
		s.residual, s.rounding = next(), next()
		for _, v := range [][]float64{s.logs, s.roots, s.inverse, s.basis.Data} {
			for i := range v {
				v[i] = next()
			}
		}
		if s.double != nil {
			s.double.ready = false
		}
		if s.single != nil {
			s.single.ready = false
		}
	}
}
