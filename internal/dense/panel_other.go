//go:build !amd64

package dense

func (p *panel) setColumns(n int, _ geometry, _ uintptr) { p.mask = uintptr(n) }

func (p *panel) run(size uintptr) { p.runPortable(size) }
