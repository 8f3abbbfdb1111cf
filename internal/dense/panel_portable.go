package dense

import "unsafe"

// runPortable is the micro-kernel without assembly. It uses a multiplication and an addition where the compiler has no fused instruction
// that is always there (amd64), and fuses elsewhere (arm64, ppc64, riscv64, s390x), as the language allows.
func (p *panel) runPortable(size uintptr) {
	if size == 8 {
		portablePanel(p, p.alpha, p.beta)
	} else {
		portablePanel(p, *(*float32)(unsafe.Pointer(&p.alpha)), *(*float32)(unsafe.Pointer(&p.beta)))
	}
}

func portablePanel[T Float](p *panel, alpha, beta T) {
	const tile = 4
	var sum [tile][tile]T
	cols := int(p.mask)
	for i := 0; i < p.rows; i += tile {
		rows := min(tile, p.rows-i)
		a := unsafe.Add(p.a, uintptr(i/tile)*p.aTile)
		for j := 0; j < cols; j += tile {
			width := min(tile, cols-j)
			if rows == tile && width == tile {
				portableTile(p, a, j, &sum)
			} else {
				portableEdge(p, a, j, rows, width, &sum)
			}
			for r := range rows {
				c := unsafe.Slice((*T)(unsafe.Add(p.c, uintptr(i+r)*p.cRow+uintptr(j)*unsafe.Sizeof(alpha))), width)
				for q := range c {
					switch p.use {
					case storePlain:
						c[q] = sum[r][q]
					case addPlain:
						c[q] += sum[r][q]
					case storeScaled:
						c[q] = alpha * sum[r][q]
					case addScaled:
						c[q] = alpha*sum[r][q] + beta*c[q]
					}
				}
			}
		}
	}
}

func portableTile[T Float](p *panel, a unsafe.Pointer, j int, sum *[4][4]T) {
	for h := 0; h < 4; h += 2 {
		var s00, s01, s02, s03, s10, s11, s12, s13 T
		for l := range p.k {
			off := uintptr(l) * p.aStep
			x0 := *(*T)(unsafe.Add(a, off+uintptr(h)*p.aRow))
			x1 := *(*T)(unsafe.Add(a, off+uintptr(h+1)*p.aRow))
			b := (*[4]T)(unsafe.Add(p.b, uintptr(l)*p.bStep+uintptr(j)*unsafe.Sizeof(x0)))
			s00 += x0 * b[0]
			s01 += x0 * b[1]
			s02 += x0 * b[2]
			s03 += x0 * b[3]
			s10 += x1 * b[0]
			s11 += x1 * b[1]
			s12 += x1 * b[2]
			s13 += x1 * b[3]
		}
		sum[h] = [4]T{s00, s01, s02, s03}
		sum[h+1] = [4]T{s10, s11, s12, s13}
	}
}

func portableEdge[T Float](p *panel, a unsafe.Pointer, j, rows, width int, sum *[4][4]T) {
	*sum = [4][4]T{}
	for l := range p.k {
		b := unsafe.Slice((*T)(unsafe.Add(p.b, uintptr(l)*p.bStep+uintptr(j)*unsafe.Sizeof(sum[0][0]))), width)
		for r := range rows {
			x := *(*T)(unsafe.Add(a, uintptr(l)*p.aStep+uintptr(r)*p.aRow))
			for q, v := range b {
				sum[r][q] += x * v
			}
		}
	}
}
