package dense

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// withoutTiles calls do as if the system allowed no tiles.
func withoutTiles(do func()) {
	allowed := tilesAllowed
	defer func() { tilesAllowed = allowed }()
	tilesAllowed = func() bool { return false }
	do()
}

// TestTilesBytes: products of bytes have the same bits by tiles and by vectors, for all ends of tiles.
func TestTilesBytes(t *testing.T) {
	if !tilesBytes(bytesTiled) {
		t.Skip("no AMX")
	}
	r := rand.New(rand.NewPCG(62, 2))
	for trial := range 300 {
		m, n, k := 1+r.IntN(2*amxRows+amxSide), 1+r.IntN(3*quadPanel), 4*bytesTiled+r.IntN(8*amxWords)
		q, _, _ := randomQuads(r, m, n, k)
		stride := n + r.IntN(3)
		by, byVectors := make([]float32, m*stride), make([]float32, m*stride)
		how := []use{storeScaled, addScaled}[trial%2]
		q.multiply(tile{0, m}, tile{0, n}, how, unsafe.Pointer(&by[0]), stride)
		withoutTiles(func() { q.multiply(tile{0, m}, tile{0, n}, how, unsafe.Pointer(&byVectors[0]), stride) })
		if !slices.Equal(by, byVectors) {
			t.Fatalf("%dx%dx%d, use %d: tiles and vectors differ", m, k, n, how)
		}
	}
}

// TestTilesPairs holds products of bfloat16 numbers, with tiles and without, to the documented order of additions; the shapes have all ends of tiles.
func TestTilesPairs(t *testing.T) {
	if !hasPairs() {
		t.Skip("no VDPBF16PS")
	}
	r := rand.New(rand.NewPCG(63, 2))
	var shapes [][3]int
	for range 25 {
		shapes = append(shapes, [3]int{1 + r.IntN(150), 1 + r.IntN(100), 25 + r.IntN(120)})
	}
	check := func() {
		t.Run(fmt.Sprintf("tiles %v", tilesPairs(pairsTiled)), func(t *testing.T) { gemmRoundedOf[float32](t, r, shapes, 0x1p-24) })
	}
	check()
	withoutTiles(check)
}
