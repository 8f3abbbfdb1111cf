package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Figures are numbers that stay in the memory of a backend, in float64 whatever T is: what a step decides by them needs no wait. There is one for each matrix of a
// batch; where they stand is called a register.
type Figures[T dense.Float] interface {
	// Tally takes count equal parts of x: out[k] becomes the sum of the elements of part k, out[count+k] that of their squares, and out[2 count+k] the largest
	// absolute value, which is NaN if an element is.
	Tally(x []T, count int, out []float64)
	// Reckon carries out instructions, one after the other, on registers of count numbers, of which register i is registers[i count:(i+1) count].
	Reckon(program []Instruction, count int, registers []float64)
	// BlendBy is Blend of batches of one row each, with the factors in registers, rounded to T: a number for each row, or one for all; nil stands for 1. z may have
	// no Data: then there is no second operand.
	BlendBy(a []float64, x Batch[T], b []float64, z, y Batch[T])
}

// Operator says what an Instruction does.
type Operator uint32

// The operators. NaN goes through all of them but Below, which it makes 0, and Pick.
const (
	Set   Operator = iota // to = value, of matrix A-1 alone unless A is 0
	Plus                  // to = a + b
	Minus                 // to = a - b
	Times                 // to = a b
	Over                  // to = a / b
	Root                  // to = sqrt a
	Least                 // to = min(a, b)
	Most                  // to = max(a, b)
	Below                 // to = 1 if a < b, else 0
	Pick                  // to = a if to is not 0, else b
)

// Instruction is an operation on registers. Devices know its layout.
type Instruction struct {
	Operator Operator
	To, A, B uint32
	Value    float64
}

// Tally implements Figures.
func (c *cpu[T]) Tally(x []T, count int, out []float64) {
	MustHave("Tally", 3*count, len(out))
	n := MustPart("Tally", len(x), count)
	for k := range count {
		part := x[k*n : (k+1)*n]
		out[k] = total(part)
		out[count+k], out[2*count+k] = c.SumSquares(part)
	}
}

// total adds in four chains, so that additions do not wait for each other.
func total[T dense.Float](x []T) float64 {
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return a + b + (c + d)
}

// Reckon implements Figures.
func (*cpu[T]) Reckon(program []Instruction, count int, registers []float64) {
	for i := range program {
		p := &program[i]
		for k := range count {
			p.carryOut(k, count, registers)
		}
	}
}

// carryOut carries out an instruction for matrix k.
func (p *Instruction) carryOut(k, count int, registers []float64) {
	to := &registers[int(p.To)*count+k]
	if p.Operator == Set {
		if p.A == 0 || int(p.A) == k+1 {
			*to = p.Value
		}
		return
	}
	a, b := registers[int(p.A)*count+k], registers[int(p.B)*count+k]
	switch p.Operator {
	case Plus:
		*to = a + b
	case Minus:
		*to = a - b
	case Times:
		*to = a * b
	case Over:
		*to = a / b
	case Root:
		*to = math.Sqrt(a)
	case Least:
		*to = min(a, b)
	case Most:
		*to = max(a, b)
	case Below:
		*to = 0
		if a < b {
			*to = 1
		}
	case Pick:
		if *to != 0 {
			*to = a
		} else {
			*to = b
		}
	}
}

// BlendBy implements Figures.
func (c *cpu[T]) BlendBy(a []float64, x Batch[T], b []float64, z, y Batch[T]) {
	MustBlendBy(a, x, b, z, y)
	for k := range y.Count {
		second, other := T(0), []T(nil)
		if z.Data != nil {
			second, other = factorOf[T](b, k), z.At(k).Data
		}
		c.Blend(factorOf[T](a, k), x.At(k).Data, second, other, y.At(k).Data)
	}
}

func factorOf[T dense.Float](register []float64, k int) T {
	switch len(register) {
	case 0:
		return 1
	case 1:
		return T(register[0])
	}
	return T(register[k])
}

// MustBlendBy panics with Error unless the operands of BlendBy fit.
func MustBlendBy[T dense.Float](a []float64, x Batch[T], b []float64, z, y Batch[T]) {
	y.MustMatch("BlendBy", &x)
	if z.Data != nil {
		y.MustMatch("BlendBy", &z)
	}
	for _, by := range [][]float64{a, b} {
		if n := len(by); y.Rows != 1 || n > 1 && n != y.Count {
			panic(Error("BlendBy: rows without their factors"))
		}
	}
}

// MustReckon panics with Error unless the instructions name registers that are there.
func MustReckon(program []Instruction, count int, registers []float64) {
	most := MustPart("Reckon", len(registers), count)
	for i := range program {
		p := &program[i]
		others := max(p.A, p.B)
		if p.Operator == Set {
			others = 0
		}
		if int(max(p.To, others)) >= most || p.Operator > Pick {
			panic(Error("Reckon: an instruction without its register"))
		}
	}
}

// Figure is a number of a Reckoning for each matrix: those of its register.
type Figure uint32

// Reckoning writes instructions down, each with a register of its own, and carries them out together. It belongs to one goroutine.
type Reckoning[T dense.Float] struct {
	e         Backend[T]
	count     int
	registers []float64
	program   []Instruction
	used      int
}

// NewReckoning returns one for count matrices, with so many registers in the memory of the backend. Using more panics with Error.
func NewReckoning[T dense.Float](e Backend[T], a *Arena[T], count, registers int) *Reckoning[T] {
	return &Reckoning[T]{e: e, count: count, registers: a.Doubles(count * registers)}
}

// Begin forgets all figures.
func (r *Reckoning[T]) Begin() { r.used, r.program = 0, r.program[:0] }

// Run carries out what was written down since the last Run.
func (r *Reckoning[T]) Run() {
	r.e.Reckon(r.program, r.count, r.registers)
	r.program = r.program[:0]
}

// take returns the first of so many registers.
func (r *Reckoning[T]) take(n int) Figure {
	if (r.used+n)*r.count > len(r.registers) {
		panic(Error("Reckoning: out of registers"))
	}
	at := r.used
	r.used += n
	return Figure(at)
}

// Register returns where the figure stands, for BlendBy. What it holds is that of the last Run.
func (r *Reckoning[T]) Register(f Figure) []float64 {
	return r.registers[int(f)*r.count : (int(f)+1)*r.count]
}

// Value reads a figure of matrix k; the backend has to be waited for before.
func (r *Reckoning[T]) Value(f Figure, k int) float64 { return r.registers[int(f)*r.count+k] }

// Measured are the figures that Tally finds.
type Measured struct{ Sum, Squares, Top Figure }

// Tally takes those of the equal parts of x down, one for each matrix, at once: what was written down before has not been carried out by then.
func (r *Reckoning[T]) Tally(x []T) Measured {
	at := r.take(3)
	r.e.Tally(x, r.count, r.registers[int(at)*r.count:(int(at)+3)*r.count])
	return Measured{at, at + 1, at + 2}
}

func (r *Reckoning[T]) write(o Operator, a, b Figure, value float64) Figure {
	to := r.take(1)
	r.program = append(r.program, Instruction{o, uint32(to), uint32(a), uint32(b), value})
	return to
}

// Numbers is v[k] for matrix k.
func (r *Reckoning[T]) Numbers(v []float64) Figure {
	MustHave("Numbers", r.count, len(v))
	to := r.take(1)
	for k, x := range v {
		r.program = append(r.program, Instruction{Set, uint32(to), uint32(k + 1), 0, x})
	}
	return to
}

// Number is v.
func (r *Reckoning[T]) Number(v float64) Figure { return r.write(Set, 0, 0, v) }

// Plus is a + b.
func (r *Reckoning[T]) Plus(a, b Figure) Figure { return r.write(Plus, a, b, 0) }

// Minus is a - b.
func (r *Reckoning[T]) Minus(a, b Figure) Figure { return r.write(Minus, a, b, 0) }

// Times is a b.
func (r *Reckoning[T]) Times(a, b Figure) Figure { return r.write(Times, a, b, 0) }

// Over is a / b.
func (r *Reckoning[T]) Over(a, b Figure) Figure { return r.write(Over, a, b, 0) }

// Root is the square root of a.
func (r *Reckoning[T]) Root(a Figure) Figure { return r.write(Root, a, a, 0) }

// Least is the smaller one, NaN if one of them is.
func (r *Reckoning[T]) Least(a, b Figure) Figure { return r.write(Least, a, b, 0) }

// Most is the larger one, NaN if one of them is.
func (r *Reckoning[T]) Most(a, b Figure) Figure { return r.write(Most, a, b, 0) }

// Below is 1 where a < b, and else 0.
func (r *Reckoning[T]) Below(a, b Figure) Figure { return r.write(Below, a, b, 0) }

// Pick is a where the condition is not 0, and else b.
func (r *Reckoning[T]) Pick(condition, a, b Figure) Figure {
	to := r.write(Plus, condition, condition, 0)
	r.program = append(r.program, Instruction{Pick, uint32(to), uint32(a), uint32(b), 0})
	return to
}

// All is 1 where none of the conditions is 0, and else 0.
func (r *Reckoning[T]) All(conditions ...Figure) Figure {
	all := r.Number(1)
	for _, c := range conditions {
		all = r.Times(all, c)
	}
	return all
}
