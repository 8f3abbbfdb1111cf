package manifold

import (
	"bytes"
	"encoding"
	"errors"
	"math/rand/v2"
	"testing"
)

type savedPoint interface {
	Point
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// geometries returns an instance of every metric and space.
func geometries(t *testing.T) map[string]Manifold {
	all := map[string]Manifold{}
	for _, k := range Metrics() {
		m, err := k.New(6)
		if err != nil {
			t.Fatal(k.Name, err)
		}
		all["metric "+k.Name] = m
	}
	for _, k := range Spaces() {
		m, err := k.New(6)
		if err != nil {
			t.Fatal(k.Name, err)
		}
		all["space "+k.Name] = m
	}
	return all
}

// TestPointState: a point of every metric and space comes back with the same bits, and moves to the same bits; damaged data are refused.
func TestPointState(t *testing.T) {
	for name, m := range geometries(t) {
		rng := rand.New(rand.NewChaCha8([32]byte{33}))
		p, ok := m.RandomPoint(rng).(savedPoint)
		if !ok {
			t.Errorf("%s: the points do not marshal", name)
			continue
		}
		q := m.RandomPoint(rng).(savedPoint)
		data, err := p.MarshalBinary()
		if err == nil {
			err = q.UnmarshalBinary(data)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v := make([]float64, m.VectorLen())
		if r, ok := m.(RandomTangenter); ok {
			r.RandomTangent(v, p, rng)
		}
		a, b := p.Clone().(savedPoint), m.RandomPoint(rng).(savedPoint)
		if err := errors.Join(m.Retract(a, p, v), m.Retract(b, q, v)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for what, pair := range map[string][2]savedPoint{"copy": {p, q}, "moved copy": {a, b}} {
			x, err1 := pair[0].MarshalBinary()
			y, err2 := pair[1].MarshalBinary()
			if err1 != nil || err2 != nil || !bytes.Equal(x, y) {
				t.Errorf("%s: the %s differs (%v, %v)", name, what, err1, err2)
			}
		}
		for _, cut := range []int{0, 4, 8, 15, 16, 17, len(data) / 2, len(data) - 8, len(data) - 1} {
			if q.UnmarshalBinary(data[:cut]) == nil {
				t.Errorf("%s: accepted when cut to %d of %d bytes", name, cut, len(data))
			}
		}
		if q.UnmarshalBinary(append(bytes.Clone(data), 0)) == nil {
			t.Errorf("%s: a byte too much is accepted", name)
		}
		spoilt := bytes.Clone(data)
		for i := len(spoilt) - 8; i < len(spoilt); i++ {
			spoilt[i] = 0xff // NaN
		}
		if q.UnmarshalBinary(spoilt) == nil {
			t.Errorf("%s: NaN is accepted", name)
		}
	}
}
