package spectral

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// used returns a factor with some history.
func used(t testing.TB, n int) *Factor {
	r := newRand(t, 300)
	f := randFactor(t, r, n, 1e5)
	for range 9 {
		f.Update(Increment{Decay: 0.1, Vectors: randDense(r, n, 1)}, nil)
	}
	return f
}

func sameBits(a, b *Factor) bool {
	return a.n == b.n && a.turns == b.turns && a.defect == b.defect && slices.Equal(a.d, b.d) && slices.Equal(a.b.Data, b.b.Data)
}

func TestStateRoundTripsBitForBit(t *testing.T) {
	for _, n := range []int{0, 1, 7} {
		f := Identity(n, 1.0/3)
		if n > 0 {
			f = used(t, n)
		}
		bin, err := f.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var g, h Factor
		if err := g.UnmarshalBinary(bin); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		if !sameBits(f, &g) || !sameBits(f, &h) {
			t.Fatalf("n=%d: state changed on the way", n)
		}
		if n == 0 {
			continue
		}
		// The copies also go on with the same bits, across the next estimate of the defect.
		r := newRand(t, 301)
		for range 20 {
			v := randDense(r, n, 1)
			for _, x := range []*Factor{f, &g, &h} {
				x.Update(Increment{Decay: 0.05, Vectors: v}, nil)
			}
		}
		if !sameBits(f, &g) || !sameBits(f, &h) {
			t.Errorf("n=%d: a decoded factor goes on differently", n)
		}
	}
}

func TestKronStateRoundTrips(t *testing.T) {
	k := randKron(t, 310, 3, 4, 2)
	bin, err := k.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var g, h Kron
	if err := g.UnmarshalBinary(bin); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	x := randTensor(newRand(t, 311), k.Dim())
	for range 20 {
		for _, m := range []*Kron{k, &g, &h} {
			m.Learn([][]float64{x}, 0.1, 1, 0.1, nil)
		}
	}
	for _, m := range []*Kron{&g, &h} {
		if m.alpha != k.alpha {
			t.Errorf("alpha %v, want %v", m.alpha, k.alpha)
		}
		for i := range k.parts {
			if !sameBits(m.parts[i], k.parts[i]) {
				t.Errorf("part %d differs", i)
			}
		}
	}
	for cut := range len(bin) {
		if err := g.UnmarshalBinary(bin[:cut]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", cut, len(bin))
		}
	}
}

func TestCorruptStatesAreRefused(t *testing.T) {
	f := used(t, 4)
	bin, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		g := used(t, 3)
		before := g.Clone()
		err := g.UnmarshalBinary(data)
		var bad *DataError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
		if !sameBits(g, before) {
			t.Errorf("%s changed the receiver", what)
		}
	}
	for cut := range len(bin) {
		check("truncation", bin[:cut])
	}
	check("extra byte", append(slices.Clone(bin), 0))
	for i := range bin {
		b := slices.Clone(bin)
		b[i] ^= 0x10
		check("flipped bit", b)
	}
	// With a correct checksum the values are still checked.
	for what, edit := range map[string]func(b []byte){
		"negative eigenvalue": func(b []byte) { putFloat(b, headerLen, -1) },
		"NaN eigenvalue":      func(b []byte) { putFloat(b, headerLen, math.NaN()) },
		"infinite entry":      func(b []byte) { putFloat(b, headerLen+8*4, math.Inf(1)) },
		"not orthogonal":      func(b []byte) { putFloat(b, headerLen+8*4, 0.5) },
		"NaN defect":          func(b []byte) { putFloat(b, headerLen-8, math.NaN()) },
		"huge dimension":      func(b []byte) { binary.LittleEndian.PutUint64(b[len(factorMagic):], 1<<60) },
	} {
		b := slices.Clone(bin)
		edit(b)
		end := len(b) - crcLen
		binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
		check(what, b)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"{}", "[]", "null1", strings.Replace(string(text), `"n":4`, `"n":5`, 1), strings.Replace(string(text), factorFormat, "other", 1),
		strings.Replace(string(text), `"d":[`, `"d":[-`, 1), strings.Replace(string(text), `"b":[[`, `"b":[[7,`, 1),
		strings.Replace(string(text), `"version":1`, `"version":2`, 1), string(text[:len(text)/2]),
	} {
		var g Factor
		if err := json.Unmarshal([]byte(bad), &g); err == nil {
			t.Errorf("accepted %.60s...", bad)
		}
	}
}

func putFloat(b []byte, at int, v float64) {
	binary.LittleEndian.PutUint64(b[at:], math.Float64bits(v))
}

func FuzzFactorBinary(f *testing.F) {
	for _, n := range []int{0, 1, 3} {
		data, err := Identity(n, 2).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g Factor
		if g.UnmarshalBinary(data) == nil {
			mustWork(t, &g)
		}
		// The checksum keeps mutations out; the fuzzer also has to reach what lies behind it.
		if len(data) > crcLen {
			end := len(data) - crcLen
			fixed := binary.LittleEndian.AppendUint32(slices.Clone(data[:end]), crc32.Checksum(data[:end], castagnoli))
			if g.UnmarshalBinary(fixed) == nil {
				mustWork(t, &g)
			}
		}
	})
}

func FuzzFactorJSON(f *testing.F) {
	for _, n := range []int{0, 1, 3} {
		data, err := json.Marshal(Identity(n, 2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g Factor
		if json.Unmarshal(data, &g) == nil {
			mustWork(t, &g)
		}
	})
}

func FuzzKronBinary(f *testing.F) {
	data, err := NewKron(2, 2, 3).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var k Kron
		if k.UnmarshalBinary(data) == nil {
			if v := k.LogDet(); v-v != 0 {
				t.Errorf("accepted state has log-determinant %v", v)
			}
		}
	})
}

// mustWork checks that an accepted state is an SPD matrix that can be moved.
func mustWork(t *testing.T, f *Factor) {
	t.Helper()
	wantValid(t, f)
	if e := f.Defect(); !(e <= stateDefect) {
		t.Fatalf("accepted state has defect %v", e)
	}
	if f.n > 0 {
		f.Update(Increment{Decay: 0.1, Vectors: mat.NewDense(f.n, 1, nil)}, nil)
		wantValid(t, f)
	}
}
