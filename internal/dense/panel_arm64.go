package dense

import "unsafe"

// laneMask returns panel.mask, the number of columns.
func laneMask(n, _ int, _ *geometry, _ uintptr) uintptr { return uintptr(n) }

func (p *panel) run(size uintptr) {
	arg := (*byte)(unsafe.Pointer(p))
	switch {
	case active != neon:
		p.runPortable(size)
	case size == 8:
		panelF64NEON(arg)
	default:
		panelF32NEON(arg)
	}
}
