package dense

import (
	"fmt"
	"math"
)

// The shapes that the kernels of ByteForms know beside formRows and momentRows: points in a group, and the points that stay in the caches from one kernel to the next.
const byteGroup, bytePoints = 64, 1280

// ByteForms is RoundedForms for bytes, at twice the speed: numbers are rounded to steps of 1/127 of the largest one of a point, of 4 rows of Y, and, where they are
// products with the w'Yw, of what they may be at most in a block of 1280 points. Sums of products are exact in a block. For points spread evenly over all directions and a random Y an element
// is off by 2 % of the whole, typically; points with a few large numbers, or few large ones among others, lose more. Its bits depend on nothing but the points and Y.
type ByteForms struct {
	n, count, points int
	quads            []uint32  // of groups: four rows after the others, the points, as unsigned bytes that are 128 for zero
	weights          []float32 // of the forms of bytes in sums of bytes: the fourth powers of the points' steps
	h                []uint32  // the triangle in the order of the kernel, as signed bytes
	start            []int32   // minus 128 times the sums of its rows
	scales           []float32 // of its tiles
	rows             Matrix[float32]
	parts            *formParts
}

// NewByteForms returns a ByteForms for count points of n numbers, all of them zero, or nil where the processor has no VPDPBUSD or other kernels than AVX-512 are in use.
func NewByteForms(n, count int) *ByteForms {
	if n < 1 || count < 1 {
		panic(Error(fmt.Sprintf("ByteForms: %d points of %d numbers", count, n)))
	}
	if !hasQuads() {
		return nil
	}
	tiles, groups := roundUp(n, formRows)/formRows, roundUp(count, byteGroup)/byteGroup
	f := &ByteForms{n: n, count: count, points: min(bytePoints, groups*byteGroup), weights: alignedSingles(groups * byteGroup), rows: New[float32](formRows, tiles*formRows),
		quads: alignedWords(groups * tiles * byteGroup), h: make([]uint32, tiles*(tiles+1)/2*formRows), start: make([]int32, tiles*formRows), scales: make([]float32, tiles)}
	f.parts = newFormParts(n, count, f.points, momentRows, f.block, func() *formScratch {
		high := max(roundUp(n, momentRows), tiles*formRows)
		size := high * f.points / 4
		return &formScratch{rows: alignedSingles(size), weighted: alignedSingles(size), lanes: make([]int32, 16*high), start: make([]int32, high), most: make([]float32, 1), q: alignedSingles(f.points)}
	})
	return f
}

// groupWords returns the size of a group of points.
func (f *ByteForms) groupWords() int { return len(f.scales) * byteGroup }

// Set makes the columns of w the points from the given one on, a multiple of 64. Calls for other points may run at the same time.
func (f *ByteForms) Set(first int, w Matrix[float32]) {
	if w.Rows != f.n || first < 0 || first%byteGroup != 0 || first+w.Cols > f.count {
		panic(Error(fmt.Sprintf("ByteForms: %d points of %d numbers from %d on, of %d of %d", w.Cols, w.Rows, first, f.count, f.n)))
	}
	for done := 0; done < w.Cols; done += byteGroup {
		group := w.View(0, done, f.n, min(byteGroup, w.Cols-done))
		if group.Cols < byteGroup {
			whole := New[float32](f.n, byteGroup)
			whole.View(0, 0, f.n, group.Cols).Copy(group)
			group = whole
		}
		f.setGroup((first+done)/byteGroup, group)
	}
}

// setGroup rounds the points of a group.
func (f *ByteForms) setGroup(group int, w Matrix[float32]) {
	var most, steps [byteGroup]float32
	ones := [formRows]float32{1, 1, 1, 1}
	f.most(w, most[:])
	stepsOf(most[:], steps[:])
	weights := f.weights[group*byteGroup:][:byteGroup]
	Multiply(most[:], most[:], weights)
	Multiply(weights, weights, weights)
	quads := f.quads[group*f.groupWords():][:f.groupWords()]
	var unused [byteGroup]int32
	for i := 0; i < f.n; i += formRows {
		rows := w.View(i, 0, min(formRows, f.n-i), byteGroup)
		if rows.Rows < formRows {
			whole := New[float32](formRows, byteGroup)
			whole.View(0, 0, rows.Rows, byteGroup).Copy(rows)
			rows = whole
		}
		quadsOfRows(rows, ones[:], steps[:], quads[i/formRows*byteGroup:], unused[:])
	}
	for i := range quads {
		quads[i] ^= 0x80808080
	}
}

// Apply sets out = scale A(y), reading the lower triangle of y. It allocates nothing.
func (f *ByteForms) Apply(scale float32, y, out Matrix[float32]) {
	y.mustHave(f.n, f.n, "ByteForms")
	out.mustHave(f.n, f.n, "ByteForms")
	scale += 0 * f.pack(y) // no number where y has such
	f.parts.run(formWork{forms: true, moment: true})
	f.parts.total(scale, out)
}

// block does the work on a block of points.
func (f *ByteForms) block(b int, _ formWork, s *formScratch, sums []float32) {
	first := b * f.points
	points := min(f.points, roundUp(f.count-first, byteGroup))
	for at := 0; at < points; at += byteGroup {
		f.forms((first+at)/byteGroup, s.q[at:])
	}
	q, weights := s.q[:points], f.weights[first:first+points]
	clear(s.most)
	raiseMost(Wrap(1, points, q), weights, s.most)
	Multiply(q, weights, q)
	Scale(reciprocal(s.most[0]), q, q)
	clear(s.lanes)
	for at := 0; at < points; at += byteGroup {
		f.weigh((first+at)/byteGroup, at, s)
	}
	for i := range f.n {
		sum := int32(0)
		for _, v := range s.lanes[16*i : 16*i+16] {
			sum += v
		}
		s.start[i] = -quadZero * sum
	}
	f.moment(points, s.most[0], s, sums)
}

// pack writes the quads of the triangle that stands for y in w'Yw, with its elements beside the diagonal twice, in the order of the kernel, and returns its
// largest absolute value.
func (f *ByteForms) pack(y Matrix[float32]) (largest float32) {
	h := f.h
	for t := range f.scales {
		rows, most := f.triangleRows(y, t)
		step := byteSteps * reciprocal(most)
		f.scales[t], largest = most/byteSteps, max(largest, most)
		for r := range formRows {
			row, sum := rows.Row(r), int32(0)
			for c := range t + 1 {
				quad := uint32(0)
				for k, v := range row[4*c : 4*c+4] {
					number := int8(math.Float32bits(float32(v*step) + 3<<22)) // the last bits are the integer
					sum += int32(number)
					quad |= uint32(uint8(number)) << (8 * k)
				}
				h[c*formRows+r] = quad
			}
			f.start[t*formRows+r] = -quadZero * sum
		}
		h = h[(t+1)*formRows:]
	}
	return largest
}

// triangleRows returns the rows of a tile of the triangle, with zeros beside, and their largest absolute value.
func (f *ByteForms) triangleRows(y Matrix[float32], t int) (rows Matrix[float32], most float32) {
	rows = f.rows
	rows.Zero()
	for r := range min(formRows, f.n-t*formRows) {
		i := t*formRows + r
		row := rows.Row(r)
		Scale(2, y.Row(i)[:i], row[:i])
		row[i] = y.At(i, i)
		for _, v := range row[:i+1] {
			most = max(most, float32(math.Abs(float64(v))))
		}
	}
	return rows, most
}
