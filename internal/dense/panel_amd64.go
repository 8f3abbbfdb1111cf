package dense

import "unsafe"

// laneMasks holds 8 set and 8 clear lanes of 32 bits; as 64-bit lanes it is 4 and 4. It does not move, so its address may be kept as a number.
var laneMasks = [16]uint32{0: ^uint32(0), 1: ^uint32(0), 2: ^uint32(0), 3: ^uint32(0), 4: ^uint32(0), 5: ^uint32(0), 6: ^uint32(0), 7: ^uint32(0)}

// setColumns sets the number of columns of the panel.
func (p *panel) setColumns(n int, g geometry, size uintptr) {
	p.vectors = (n + g.lanes - 1) / g.lanes
	last := n - (p.vectors-1)*g.lanes
	switch active {
	case avx512:
		p.mask = 1<<last - 1
	case avx2:
		p.mask = 0
		if last < g.lanes {
			p.mask = uintptr(unsafe.Pointer(&laneMasks)) + uintptr(g.lanes-last)*size
		}
	default:
		p.mask = uintptr(n)
	}
}

func (p *panel) run(size uintptr) {
	arg := (*byte)(unsafe.Pointer(p))
	switch {
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
