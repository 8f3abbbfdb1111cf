package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Figures are numbers that stay in the memory of a backend, in float64 whatever T is: what a step decides by them needs no wait. Where they stand is called a
// register.
type Figures[T dense.Float] interface {
	// Tally sets out[0] to the sum of the elements of x, out[1] to that of their squares and out[2] to the largest absolute value, which is NaN if an
	// element is.
	Tally(x []T, out []float64)
	// Reckon carries out instructions on registers, one after the other.
	Reckon(program []Instruction, registers []float64)
	// BlendBy is Blend with the factors in the registers a[0] and b[0], rounded to T; nil stands for 1. z may be nil: then there is no second operand.
	BlendBy(a []float64, x []T, b []float64, z, y []T)
}

// Operator says what an Instruction does.
type Operator uint16

// The operators. NaN goes through all of them but Below, which it makes 0, and Pick.
const (
	Set   Operator = iota // to = value
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
	To, A, B uint16
	Value    float64
}

// Tally implements Figures.
func (c *cpu[T]) Tally(x []T, out []float64) {
	MustHave("Tally", 3, len(out))
	out[0] = total(x)
	out[1], out[2] = c.SumSquares(x)
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
func (*cpu[T]) Reckon(program []Instruction, registers []float64) {
	for i := range program {
		p := &program[i]
		a, b, to := registers[p.A], registers[p.B], &registers[p.To]
		switch p.Operator {
		case Set:
			*to = p.Value
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
}

// BlendBy implements Figures.
func (c *cpu[T]) BlendBy(a []float64, x []T, b []float64, z, y []T) {
	MustHave("BlendBy", len(y), len(x))
	second := factorOf[T](b)
	if z == nil {
		second = 0
	}
	c.Blend(factorOf[T](a), x, second, z, y)
}

func factorOf[T dense.Float](register []float64) T {
	if register == nil {
		return 1
	}
	return T(register[0])
}

// MustReckon panics with Error unless the instructions name registers that are there.
func MustReckon(program []Instruction, registers []float64) {
	for i := range program {
		if p := &program[i]; int(max(p.To, p.A, p.B)) >= len(registers) || p.Operator > Pick {
			panic(Error("Reckon: an instruction without its register"))
		}
	}
}

// Figure is a number of a Reckoning: that of its register.
type Figure uint16

// Reckoning writes instructions down, each with a register of its own, and carries them out together. It belongs to one goroutine.
type Reckoning[T dense.Float] struct {
	e         Backend[T]
	registers []float64
	program   []Instruction
	used      int
}

// MostRegisters is how many registers a Reckoning can have: the one after the last has a number that is a Figure, too.
const MostRegisters = 1<<16 - 1

// NewReckoning returns one with so many registers, but never more than MostRegisters, in the memory of the backend. Using more panics with Error.
func NewReckoning[T dense.Float](e Backend[T], a *Arena[T], registers int) *Reckoning[T] {
	return &Reckoning[T]{e: e, registers: a.Doubles(min(registers, MostRegisters))}
}

// Begin forgets all figures.
func (r *Reckoning[T]) Begin() { r.used, r.program = 0, r.program[:0] }

// Run carries out what was written down since the last Run.
func (r *Reckoning[T]) Run() {
	r.e.Reckon(r.program, r.registers)
	r.program = r.program[:0]
}

// take returns the first of so many registers.
func (r *Reckoning[T]) take(n int) Figure {
	if r.used+n > len(r.registers) {
		panic(Error("Reckoning: out of registers"))
	}
	at := r.used
	r.used += n
	return Figure(at)
}

// Register returns where the figure stands, for BlendBy. What it holds is that of the last Run.
func (r *Reckoning[T]) Register(f Figure) []float64 { return r.registers[f : f+1] }

// Value reads a figure; the backend has to be waited for before.
func (r *Reckoning[T]) Value(f Figure) float64 { return r.registers[f] }

// Measured are the figures that Tally finds.
type Measured struct{ Sum, Squares, Top Figure }

// Tally takes those of x down, at once: what was written down before has not been carried out by then.
func (r *Reckoning[T]) Tally(x []T) Measured {
	at := r.take(3)
	r.e.Tally(x, r.registers[at:at+3])
	return Measured{at, at + 1, at + 2}
}

func (r *Reckoning[T]) write(o Operator, a, b Figure, value float64) Figure {
	to := r.take(1)
	r.program = append(r.program, Instruction{o, uint16(to), uint16(a), uint16(b), value})
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
	r.program = append(r.program, Instruction{Pick, uint16(to), uint16(a), uint16(b), 0})
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
