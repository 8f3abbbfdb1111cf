package dense

import (
	"math"
	"math/bits"
)

// FillNormal fills dst with the standard normals number start, start+1, ... of the stream that key names, for example (seed, stream). A number
// depends on its key and position only, not on how a stream is cut into calls, and has the same bits on every path; the float32 numbers are the
// float64 numbers rounded.
//
// Block b of the stream is Threefry-2x64-20 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11) of the counter (b, 0), which
// the method of Box and Muller turns into two normals. Group g of 16 numbers holds the first numbers of blocks 8g to 8g+7, then the second ones. With 52
// random bits for the radius no number exceeds 8.5 in size.
func FillNormal[T Float](dst []T, key [2]uint64, start uint64) {
	var edge [16]T
	if off := int(start % 16); off != 0 && len(dst) > 0 {
		normalGroups(edge[:], key, start/16)
		n := copy(dst, edge[off:])
		dst, start = dst[n:], start+uint64(n)
	}
	full := len(dst) / 16 * 16
	normalGroups(dst[:full], key, start/16)
	if full < len(dst) {
		normalGroups(edge[:], key, start/16+uint64(full/16))
		copy(dst[full:], edge[:])
	}
}

// normalGroups fills whole groups from the given one on.
func normalGroups[T Float](dst []T, key [2]uint64, group uint64) {
	if len(dst) == 0 || normalKernel(dst, key, group*8) {
		return
	}
	for block := group * 8; len(dst) > 0; dst, block = dst[16:], block+8 {
		for lane := range 8 {
			x, y := boxMuller(threefry(block+uint64(lane), 0, key))
			dst[lane], dst[lane+8] = T(x), T(y)
		}
	}
}

// threefry is Threefry-2x64 with 20 rounds.
func threefry(a, b uint64, key [2]uint64) (uint64, uint64) {
	rotations := [8]int{16, 42, 12, 31, 16, 32, 24, 21}
	ks := [3]uint64{key[0], key[1], key[0] ^ key[1] ^ 0x1bd11bdaa9fc1a22}
	a, b = a+ks[0], b+ks[1]
	for round := range 20 {
		a += b
		b = bits.RotateLeft64(b, rotations[round%8]) ^ a
		if (round+1)%4 == 0 {
			j := (round + 1) / 4
			a += ks[j%3]
			b += ks[(j+1)%3] + uint64(j)
		}
	}
	return a, b
}

// boxMuller turns 128 random bits into two normals. The angle lies in [-pi/4, pi/4); two more bits choose one of the four quarters. Every
// operation is that of the assembly, in the same order.
func boxMuller(a, b uint64) (x, y float64) {
	u := 2 - math.Float64frombits(a>>12|0x3ff0000000000000)
	radius := math.Sqrt(-2 * normalLog(u))
	t := float64((math.Float64frombits(b>>12|0x3ff0000000000000) - 1.5) * (math.Pi / 2))
	z := float64(t * t)
	sin := math.FMA(t*z, horner(z, normalSin[:]), t)
	cos := math.FMA(z*z, horner(z, normalCos[:]), math.FMA(-z, 0.5, 1))
	if b&2 != 0 {
		cos = -cos
	}
	if b&1 != 0 {
		sin, cos = cos, sin
	}
	return radius * cos, radius * sin
}

var (
	normalSin = [...]float64{-0.16666666666666665741, 0.0083333333333309479729, -0.00019841269836756773816, 2.7557316101617873534e-06,
		-2.5051131650235180913e-08, 1.5918115263265973975e-10}
	normalCos = [...]float64{0.041666666666666664354, -0.0013888888888887397557, 2.4801587298764560881e-05, -2.7557317271145144455e-07,
		2.0876146146558609915e-09, -1.1382623647474604167e-11}
	normalLogs = [...]float64{0.66666666666666696273, 0.3999999999989944377, 0.28571428626003270157, 0.22222211130259877931, 0.18182889455674947077,
		0.15331710618210772634, 0.14616585424888622891}
)

func horner(z float64, c []float64) float64 {
	p := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		p = math.FMA(p, z, c[i])
	}
	return p
}

// normalLog is the logarithm of a normal number, as in the assembly.
func normalLog(x float64) float64 {
	const low = 0x3fe6a09e667f3bcd
	ix := math.Float64bits(x) + 0x3ff0000000000000 - low
	e := float64(ix>>52) - 1023
	f := math.Float64frombits(ix&0x000fffffffffffff+low) - 1
	s := f / (f + 2)
	z := s * s
	half := float64(f*f) * 0.5
	r := math.FMA(z, horner(z, normalLogs[:]), half)
	return math.FMA(e, 0.6931471805599453, f-math.FMA(-s, r, half))
}
