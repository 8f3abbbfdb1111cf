package manifold

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

// savedFrames returns a frame of each kind: complete, moved (F put off) and spectral.
func savedFrames(t testing.TB) map[string]*Frame {
	m, err := NewAffine(5, AffineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewChaCha8([32]byte{31}))
	p, q := m.RandomPoint(rng).(*Frame), IdentityFrame(5, 1)
	v := make([]float64, 25)
	m.RandomTangent(v, p, rng)
	if err := m.Retract(q, p, v); err != nil {
		t.Fatal(err)
	}
	f, err := spectral.FromSym(p.Sym())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Frame{"complete": p, "moved": q, "spectral": SpectralFrame(f)}
}

// TestFrameState: a frame read back has the same bits, and moves to the same bits.
func TestFrameState(t *testing.T) {
	for name, p := range savedFrames(t) {
		r := RationalStep
		if name == "spectral" {
			r = SweepStep
		}
		m, err := NewAffine(5, AffineOptions{Retraction: r})
		if err != nil {
			t.Fatal(err)
		}
		data, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		q := IdentityFrame(2, 1)
		if err := q.UnmarshalBinary(data); err != nil {
			t.Fatal(name, err)
		}
		v := make([]float64, 25)
		m.RandomTangent(v, p, rand.New(rand.NewChaCha8([32]byte{32})))
		a, b := IdentityFrame(5, 1), IdentityFrame(5, 2)
		if err := errors.Join(m.Retract(a, p, v), m.Retract(b, q, v)); err != nil {
			t.Fatal(name, err)
		}
		for what, pair := range map[string][2]*Frame{"copy": {p, q}, "moved copy": {a, b}} {
			x, _ := pair[0].MarshalBinary()
			if y, _ := pair[1].MarshalBinary(); !bytes.Equal(x, y) {
				t.Errorf("%s frame: the %s differs", name, what)
			}
		}
	}
}

func TestFrameStateRefusesDamage(t *testing.T) {
	for name, p := range savedFrames(t) {
		data, _ := p.MarshalBinary()
		for cut := range data {
			q := IdentityFrame(3, 7)
			var e *PointError
			if err := q.UnmarshalBinary(data[:cut]); !errors.As(err, &e) || q.Dim() != 3 {
				t.Fatalf("%s frame cut to %d bytes: %v", name, cut, err)
			}
		}
		if IdentityFrame(1, 1).UnmarshalBinary(append(data, 0)) == nil {
			t.Errorf("%s frame: a byte too much is accepted", name)
		}
	}
	p := IdentityFrame(2, 1)
	p.inv.Set(0, 0, math.NaN())
	if data, _ := p.MarshalBinary(); IdentityFrame(1, 1).UnmarshalBinary(data) == nil {
		t.Error("a frame with NaN is accepted")
	}
}

func FuzzFrameState(f *testing.F) {
	for _, p := range savedFrames(f) {
		data, _ := p.MarshalBinary()
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := IdentityFrame(1, 1)
		if p.UnmarshalBinary(data) != nil {
			return
		}
		if back, err := p.MarshalBinary(); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes come back as %d (%v)", len(data), len(back), err)
		}
	})
}

// TestNewFrameIn: the memory need not be clear, and must be enough.
func TestNewFrameIn(t *testing.T) {
	s := savedFrames(t)["complete"].Sym()
	n := s.SymmetricDim()
	memory := make([]float64, 2*n*n+1)
	for i := range memory {
		memory[i] = math.NaN()
	}
	p, err := NewFrame(s)
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewFrameIn(memory, s)
	if err != nil {
		t.Fatal(err)
	}
	if !mat.Equal(p.F(), q.F()) || !mat.Equal(p.Inverse(), q.Inverse()) || p.LogDet() != q.LogDet() || !q.Lower() {
		t.Error("not the frame of NewFrame")
	}
	if &q.F().RawMatrix().Data[0] != &memory[0] {
		t.Error("the memory is not used")
	}
	if _, err := NewFrameIn(memory[:2*n*n-1], s); err == nil {
		t.Error("too little memory is accepted")
	}
}
