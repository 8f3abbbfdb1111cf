//go:build !amd64 && !arm64

package dense

func laneMask(n, _ int, _ *geometry, _ uintptr) uintptr { return uintptr(n) }

func (p *panel) run(size uintptr) { p.runPortable(size) }
