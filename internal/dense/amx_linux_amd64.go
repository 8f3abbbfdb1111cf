package dense

import (
	"math"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// tileProduct is what the kernels in gen/amx work on: blocks of 16 rows of A, or of one that has fewer, times up to three tiles of 16 columns of B, or one that has fewer. A word is four bytes or two
// bfloat16 numbers of the inner dimension, and a number of C. Rows are so many bytes apart. The offsets of the fields are known to the generator.
type tileProduct struct {
	a           unsafe.Pointer
	aRow        uintptr
	b           unsafe.Pointer
	bRow        uintptr
	c           unsafe.Pointer
	cRow        uintptr
	blocks      uintptr // of rows
	whole, rest uintptr // words of the inner dimension: 16 times whole, and rest
	first       uintptr // not 0: the sums start at zero, not at what C holds
	tiles       uintptr // of columns
	config      tileConfig
	pairs       bool // only Go reads it: words are of bfloat16 numbers
}

const (
	// amxSide is the number of rows of a tile, of its words, and of the columns of one of sums; sumsRow that of the sums in a row of memory for them.
	amxSide, sumsRow = 16, 48
	// amxRows bounds the rows whose sums are held in memory at a time, amxWords the words of bytes for which B stays in the first-level cache meanwhile.
	amxRows, amxWords = 128, 128
	// bytesTiled and pairsTiled are the words of the inner dimension from which on tiles are faster than vectors.
	bytesTiled, pairsTiled = 32, 16
)

// tileConfig is the memory that LDTILECFG reads.
type tileConfig struct {
	palette  byte
	_        [15]byte
	rowBytes [16]uint16
	rows     [16]byte
}

// shape makes tiles 0 to 2 those of sums of rows by cols, 3 of A and 4 and 5 of B for whole steps, 6 and 7 for the rest of the inner dimension, if there is one.
func (t *tileConfig) shape(rows, cols, rest int) {
	rest = (rest+amxSide-1)%amxSide + 1
	t.palette = 1
	for i := range 8 {
		t.rows[i], t.rowBytes[i] = byte(rows), uint16(4*cols)
	}
	t.rowBytes[3], t.rowBytes[6] = 4*amxSide, uint16(4*rest)
	t.rows[4], t.rows[5], t.rows[7] = amxSide, amxSide, byte(rest)
}

// run computes so many rows and columns, at most three tiles.
func (p *tileProduct) run(rows, cols int) {
	a, b, c := p.a, p.b, p.c
	for i := 0; i < rows; {
		height := min(amxSide, rows-i)
		p.blocks = uintptr((rows - i) / height)
		for j := 0; j < cols; {
			width := min(amxSide, cols-j)
			p.tiles = uintptr((cols - j) / width)
			p.config.shape(height, width, int(p.rest))
			p.a, p.b, p.c = unsafe.Add(a, uintptr(i)*p.aRow), unsafe.Add(b, 4*j), unsafe.Add(c, uintptr(i)*p.cRow+uintptr(4*j))
			if arg := (*byte)(unsafe.Pointer(p)); p.pairs {
				tilePairsAMX(arg)
			} else {
				tileBytesAMX(arg)
			}
			j += int(p.tiles) * width
		}
		i += int(p.blocks) * height
	}
	p.a, p.b, p.c = a, b, c
}

// setWords says how long the inner dimension is.
func (p *tileProduct) setWords(k int) { p.whole, p.rest = uintptr(k/amxSide), uintptr(k%amxSide) }

// multiplyTiles is multiply for scaled sums of the given rows, and of columns within the panel from the given column on.
func (q *quadProduct) multiplyTiles(rows tile, from int, cols tile, how use, c unsafe.Pointer, stride int) {
	w := takeWorkspace()
	sums := w.a.need(amxRows * sumsRow * 4)
	width := min(quadPanel, q.n-from)
	p := tileProduct{aRow: uintptr(4 * q.k), bRow: uintptr(4 * width), c: sums, cRow: 4 * sumsRow}
	for i := 0; i < rows.size; i += amxRows {
		at, height := rows.from+i, min(amxRows, rows.size-i)
		p.first = 1
		for l := 0; l < q.k; l += amxWords {
			p.setWords(min(amxWords, q.k-l))
			p.a, p.b = words(q.a[at*q.k+l:]), words(q.b[from*q.k+l*width+cols.from-from:])
			p.run(height, cols.size)
			p.first = 0
		}
		scaleSums(sums, height, cols.size, q.start[cols.from:], q.rowScales[at:], q.colScales[cols.from:], unsafe.Add(c, 4*i*stride), stride, how == addScaled)
	}
	w.release()
}

// runTiles is run for pairs and n columns.
func (p *panel) runTiles(n int) {
	t := tileProduct{aRow: p.aRow, b: p.b, bRow: p.bStep, first: 1, pairs: true}
	t.setWords(p.k)
	if p.use == storePlain {
		t.a, t.c, t.cRow = p.a, p.c, p.cRow
		t.run(p.rows, n)
		return
	}
	w := takeWorkspace()
	sums := w.a.need(amxRows * sumsRow * 4)
	t.c, t.cRow = sums, 4*sumsRow
	for i := 0; i < p.rows; i += amxRows {
		height := min(amxRows, p.rows-i)
		t.a = unsafe.Add(p.a, uintptr(i)*p.aRow)
		t.run(height, n)
		for r := range height {
			p.fold(unsafe.Slice((*float32)(unsafe.Add(sums, r*4*sumsRow)), n), unsafe.Slice((*float32)(unsafe.Add(p.c, uintptr(i+r)*p.cRow)), n))
		}
	}
	w.release()
}

// fold uses the sums of a row of c.
func (p *panel) fold(sums, c []float32) {
	alpha, beta := singleOf(p.alpha), singleOf(p.beta)
	switch p.use {
	case storeScaled:
		Scale(alpha, sums, c)
		return
	case addPlain:
		alpha, beta = 1, 1
	}
	if beta != 1 {
		Scale(beta, c, c)
	}
	Axpy(alpha, sums, c)
}

// scaleSums stores scaled sums in rows of c, or adds them; see scaleSumsAVX512.
func scaleSums(sums unsafe.Pointer, rows, cols int, start []int32, rowScales, colScales []float32, c unsafe.Pointer, stride int, add bool) {
	flag := uintptr(0)
	if add {
		flag = 1
	}
	scaleSumsAVX512((*byte)(sums), uintptr(rows), uintptr(cols), wordPointer(start), pointerTo(rowScales), pointerTo(colScales), (*byte)(c), uintptr(4*stride), flag)
}

// What arch_prctl(2) is asked: the use of a state of the processor, that of tiles.
const archRequestState, stateTiles = 0x1023, 18

// tilesAllowed asks the system, which keeps no memory for tiles before that.
var tilesAllowed = sync.OnceValue(func() bool {
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archRequestState, stateTiles, 0)
	return errno == 0
})

// tilesBytes says whether bytes are multiplied by tiles where the inner dimension has so many words, and tilesPairs whether bfloat16 numbers are.
func tilesBytes(k int) bool {
	return k >= bytesTiled && hasQuads() && cpu.X86.HasAMXInt8 && tilesAllowed()
}

func tilesPairs(k int) bool {
	return k >= pairsTiled && hasPairs() && cpu.X86.HasAMXBF16 && tilesAllowed()
}

// singleOf is the inverse of bitsOf.
func singleOf(bits float64) float32 { return math.Float32frombits(uint32(math.Float64bits(bits))) }
