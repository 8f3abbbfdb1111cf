package dense

import "unsafe"

// laneMasks holds 8 set and 8 clear lanes of 32 bits; as 64-bit lanes it is 4 and 4. It does not move, so its address may be kept as a number.
var laneMasks = [16]uint32{0: ^uint32(0), 1: ^uint32(0), 2: ^uint32(0), 3: ^uint32(0), 4: ^uint32(0), 5: ^uint32(0), 6: ^uint32(0), 7: ^uint32(0)}

// laneMask returns panel.mask for n columns of which the given number are in the last vector.
func laneMask(n, last int, g *geometry, size uintptr) uintptr {
	switch active {
	case avx512:
		return 1<<last - 1
	case avx2:
		if last < g.lanes {
			return uintptr(unsafe.Pointer(&laneMasks)) + uintptr(g.lanes-last)*size
		}
		return 0
	}
	return uintptr(n)
}

func (p *panel) run(size uintptr) {
	arg := (*byte)(unsafe.Pointer(p))
	switch {
	case p.quads:
		panelQuadsAVX512(arg)
	case p.pairs:
		panelPairsAVX512(arg)
	case active == avx512 && size == 8:
		panelF64AVX512(arg)
	case active == avx512:
		panelF32AVX512(arg)
	case active == avx2 && size == 8:
		panelF64AVX2(arg)
	case active == avx2:
		panelF32AVX2(arg)
	default:
		p.runPortable(size)
	}
}
