// Command triangular writes the kernels for the small blocks on the diagonal of triangular matrices.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/spdopt/spdopt/internal/dense/gen/lanes"
)

func main() {
	ConstraintExpr("amd64")
	lanes.Masks()
	lanes.Each(substitute)
	lanes.Each(factor)
	Generate()
}

func pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// rowsAtOnce is the number of rows that are solved for together, which keeps as many sums going.
const rowsAtOnce = 4

// solver is substitute while it is written.
type solver struct {
	*lanes.Lanes
	lowerStep, lowerThree, x, step, three reg.GPVirtual
	next                                  Mem // from a coefficient of a row to the next one
}

// substitute takes two vectors of columns at a time while there are as many. The terms of an element are subtracted in the order of the rows.
func substitute(l *lanes.Lanes) {
	l.Text("substitute", "rows, cols uintptr, lower *byte, lowerStep, next uintptr, inverse, x *byte, step uintptr",
		"overwrites x with the solution of L y = x for the lower triangle L, the inverse of whose diagonal is given. Rows are lowerStep and step bytes apart, the elements of a row",
		"of L next bytes; backwards for the last row first.")
	next, err := Param("next").Resolve()
	if err != nil {
		panic(err)
	}
	s := &solver{l, pointer("lowerStep"), GP64(), pointer("x"), pointer("step"), GP64(), next.Addr}
	cols := pointer("cols")
	LEAQ(Mem{Base: s.lowerStep, Index: s.lowerStep, Scale: 2}, s.lowerThree)
	LEAQ(Mem{Base: s.step, Index: s.step, Scale: 2}, s.three)
	Label("pair")
	CMPQ(cols, U8(2*l.Count()))
	JLT(LabelRef("single"))
	s.columns("pair", 2)
	LEAQ(Mem{Base: s.x, Disp: 2 * l.Bytes()}, s.x)
	SUBQ(U8(2*l.Count()), cols)
	JMP(LabelRef("pair"))
	part := 0
	l.Loop("single", cols, []reg.Register{s.x}, func() {
		s.columns([]string{"whole", "last"}[part], 1)
		part++
	})
	VZEROUPPER()
	RET()
}

// columns solves for some vectors of columns.
func (s *solver) columns(name string, vectors int) {
	left, lower, inverse := pointer("rows"), pointer("lower"), pointer("inverse")
	at, solved := GP64(), GP64()
	MOVQ(s.x, at)
	XORQ(solved, solved)
	for _, rows := range []int{rowsAtOnce, 1} {
		label, done := name+"_rows"+string(rune('0'+rows)), name+"_done"+string(rune('0'+rows))
		Label(label)
		CMPQ(left, U8(rows))
		JLT(LabelRef(done))
		s.rows(label, vectors, rows, lower, inverse, at, solved)
		ADDQ(U8(rows*s.Size()), inverse)
		for range rows {
			ADDQ(s.lowerStep, lower)
			ADDQ(s.step, at)
		}
		ADDQ(U8(rows), solved)
		SUBQ(U8(rows), left)
		JMP(LabelRef(label))
		Label(done)
	}
}

// nth is the memory of row r from base on.
func nth(base, step, three reg.GPVirtual, r, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	switch r {
	case 1, 2:
		m.Index, m.Scale = step, uint8(r)
	case 3:
		m.Index, m.Scale = three, 1
	}
	return m
}

// rows solves for the next few rows: the terms of the rows solved before, and then the triangle of their own.
func (s *solver) rows(name string, vectors, rows int, lower, inverse, at, solved reg.GPVirtual) {
	var sum [rowsAtOnce][2]reg.VecVirtual
	for r := range rows {
		for v := range vectors {
			sum[r][v] = s.Load(nth(at, s.step, s.three, r, v*s.Bytes()))
		}
	}
	k, row, coef := GP64(), GP64(), GP64()
	MOVQ(s.x, row)
	MOVQ(lower, coef)
	MOVQ(solved, k)
	TESTQ(k, k)
	JE(LabelRef(name + "_own"))
	Label(name + "_term")
	var x [2]reg.VecVirtual
	for v := range vectors {
		x[v] = s.Load(Mem{Base: row, Disp: v * s.Bytes()})
	}
	for r := range rows {
		c := s.Broadcast(nth(coef, s.lowerStep, s.lowerThree, r, 0))
		for v := range vectors {
			s.FNMA(c, x[v], sum[r][v])
		}
	}
	ADDQ(s.step, row)
	ADDQ(s.next, coef)
	DECQ(k)
	JNE(LabelRef(name + "_term"))
	Label(name + "_own")
	for r := range rows {
		f := s.Broadcast(Mem{Base: inverse, Disp: r * s.Size()})
		for v := range vectors {
			sum[r][v] = s.Mul(f, sum[r][v])
			s.Store(sum[r][v], nth(at, s.step, s.three, r, v*s.Bytes()))
		}
		for below := r + 1; below < rows; below++ {
			c := s.Broadcast(nth(coef, s.lowerStep, s.lowerThree, below, 0))
			for v := range vectors {
				s.FNMA(c, sum[r][v], sum[below][v])
			}
		}
		if r < rows-1 {
			ADDQ(s.next, coef)
		}
	}
}
