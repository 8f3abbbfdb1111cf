// Command eigen writes the kernels of the symmetric eigenvalue solver: the product of four rows of a symmetric matrix with a vector on both
// sides of the diagonal, chains of plane rotations, and the loops over poles of the secular equation.
//
// Every sum runs over eight lanes, one vector of AVX-512 or two of AVX2, which are added in the same order at the end, so that both give the
// same bits.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa holds what differs between the instruction sets; parts is the number of vectors that eight lanes fill.
type isa struct {
	suffix string
	parts  int
	bytes  int
}

var (
	avx512 = isa{"AVX512", 1, 64}
	avx2   = isa{"AVX2", 2, 32}
)

func (s isa) vec(i int) reg.VecPhysical {
	if s.parts == 1 {
		return [...]reg.VecPhysical{
			reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
			reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20,
		}[i]
	}
	return [...]reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}[i]
}

func begin(name, args, doc string) {
	TEXT(name, NOSPLIT, "func("+args+")")
	Pragma("noescape")
	Doc(name + " " + doc)
}

func (s isa) zero(regs ...reg.VecPhysical) {
	for _, r := range regs {
		VXORPD(r.AsY(), r.AsY(), r.AsY())
	}
}

// fourSums clears the first registers and returns them as the vectors of four sums.
func (s isa) fourSums() [][]reg.VecPhysical {
	sums := make([][]reg.VecPhysical, 4)
	for i := range sums {
		for p := range s.parts {
			sums[i] = append(sums[i], s.vec(s.parts*i+p))
		}
		s.zero(sums[i]...)
	}
	return sums
}

// fold adds the eight lanes of two or four sums and stores the results. sums[i] holds the vectors of sum i, lanes 0-3 first; they are
// destroyed, and so is t.
func (s isa) fold(sums [][]reg.VecPhysical, t reg.VecPhysical, to Mem) {
	var y [4]reg.Register
	for i, v := range sums {
		y[i] = v[0].AsY()
		high := t.AsY()
		if s.parts == 1 {
			VEXTRACTF64X4(U8(1), v[0].AsZ(), high)
		} else {
			high = v[1].AsY()
		}
		VADDPD(high, y[i], y[i])
	}
	VHADDPD(y[1], y[0], y[0])
	if len(sums) == 2 {
		low := sums[0][0].AsX()
		VEXTRACTF128(U8(1), y[0], t.AsX())
		VADDPD(t.AsX(), low, low)
		VMOVUPD(low, to)
	} else {
		VHADDPD(y[3], y[2], y[2])
		VPERM2F128(U8(0x20), y[2], y[0], y[1])
		VPERM2F128(U8(0x31), y[2], y[0], y[3])
		VADDPD(y[3], y[1], y[1])
		VMOVUPD(y[1], to)
	}
	VZEROUPPER()
	RET()
}

func main() {
	ConstraintExpr("amd64")
	masks := laneMasks()
	for _, s := range []isa{avx512, avx2} {
		s.symv(masks)
		s.rankTwoSymv(masks)
		s.rankTwoTrailing()
		s.rotateRows(masks)
		s.poleSums()
		s.poleQuotients()
		s.poleWeights()
	}
	Generate()
}
