package dense

const (
	// mostFormParts bounds the memory for the sums of parts, about 2 n^2 bytes each.
	mostFormParts = 32
	// formChunk is the number of sums of which those of all parts stay in the caches while they are added.
	formChunk = 256
	// serialForms is the number of points times n^2 below which a pass over the points takes less time than helpers need to wake up.
	serialForms = 2e6
)

// formWork is what a pass does: it computes the forms or takes them from q, and then adds to the moment or sets q to the forms.
type formWork struct {
	q             []float32 // for all points
	forms, moment bool
}

// formParts is a pass over points that is cut into parts of whole blocks, whatever the number of threads. Each part has sums of its own, so that
// the total has the same bits for any number of threads; each thread has scratch of its own.
type formParts struct {
	blocks, each, count int // blocks of points, those of a part, and parts
	tileRows            int
	serial              bool
	sums                []float32 // of part after part, a multiple of 16 each
	pass                func(block int, w formWork, s *formScratch, sums []float32)
	work                formWork
	shared              Crew[formScratch]
}

// formScratch is what a thread needs for a block of points: their rows, plain and weighted, and their forms; and for ByteForms the largest form and the sums of the rows, as 16
// lanes and as what sums of the moment start from.
type formScratch struct {
	rows, weighted, q, most []float32
	lanes, start            []int32
}

// newFormParts returns the parts of a pass over count points of n numbers in blocks of the given number, with sums in tiles with so many rows.
func newFormParts(n, count, points, rows int, pass func(block int, w formWork, s *formScratch, sums []float32), newScratch func() *formScratch) *formParts {
	blocks, side := (count+points-1)/points, (n+rows-1)/rows
	p := &formParts{blocks: blocks, each: (blocks + mostFormParts - 1) / mostFormParts, tileRows: rows, serial: float64(count)*float64(n*n) < serialForms, pass: pass}
	p.count = (blocks + p.each - 1) / p.each
	p.sums = alignedSingles(p.count * roundUp(side*(side+1)/2*rows*rows, cacheLine/4))
	p.shared.Do, p.shared.New = p.do, newScratch
	return p
}

// run does the work on all blocks, those of a part in order. It allocates nothing once there has been a call on as many threads.
func (p *formParts) run(work formWork) {
	p.work = work
	if p.serial {
		p.shared.RunSerially(p.count)
	} else {
		p.shared.Run(p.count)
	}
	p.work.q = nil
}

// do does the work on the blocks of a part.
func (p *formParts) do(part int, s *formScratch) {
	sums := p.part(part)
	if p.work.moment {
		clear(sums)
	}
	for b := part * p.each; b < min(p.blocks, (part+1)*p.each); b++ {
		p.pass(b, p.work, s, sums)
	}
}

// part returns the sums of a part.
func (p *formParts) part(i int) []float32 {
	size := len(p.sums) / p.count
	return p.sums[i*size : (i+1)*size]
}

// total sets out to scale times the sum over all parts, which are added in pairs, sums of two in pairs, and so on.
func (p *formParts) total(scale float32, out Matrix[float32]) {
	size := len(p.sums) / p.count
	for at := 0; at < size; at += formChunk {
		end := min(at+formChunk, size)
		for step := 1; step < p.count; step *= 2 {
			for i := step; i < p.count; i += 2 * step {
				Axpy(1, p.part(i)[at:end], p.part(i - step)[at:end])
			}
		}
	}
	fromTiles(scale, p.part(0), p.tileRows, out)
}
