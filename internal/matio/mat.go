package matio

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
)

// A MAT file of level 5 ("MAT-File Format", MathWorks) is a header and an element for each variable. An element is a tag of type and length, and
// its bytes; a variable is an element of elements: flags, dimensions, name, numbers, each filled up to a multiple of 8 bytes.
const (
	matHeader     = 128
	matMatrix     = 14
	matCompressed = 15
	matMaxAxes    = 32
	matMaxName    = 4096
)

// matElements maps the types of numbers to what they hold.
var matElements = map[uint32]element{
	1:  {kind: 'i', size: 1, name: "int8"},
	2:  {kind: 'u', size: 1, name: "uint8"},
	3:  {kind: 'i', size: 2, name: "int16"},
	4:  {kind: 'u', size: 2, name: "uint16"},
	5:  {kind: 'i', size: 4, name: "int32"},
	6:  {kind: 'u', size: 4, name: "uint32"},
	7:  {kind: 'f', size: 4, name: "float32"},
	9:  {kind: 'f', size: 8, name: "float64"},
	12: {kind: 'i', size: 8, name: "int64"},
	13: {kind: 'u', size: 8, name: "uint64"},
}

// The classes of arrays that are not read; those from matDouble to matLast, double to uint64, are.
var matForeign = map[byte]string{1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "sparse", 16: "a function", 17: "an object"}

const (
	matSparse = 5
	matDouble = 6
	matLast   = 15
	matOpaque = 17
)

// matFile is a MAT file of level 5.
type matFile struct {
	r     io.ReaderAt
	size  int64
	file  string
	order binary.ByteOrder
	spare io.ReadCloser // an inflater that is not in use, or nil
}

// matMembers finds the variables of a MAT file. Of each it reads, and inflates, no more than the name and what stands before it.
func matMembers(r io.ReaderAt, size int64, file string, vectors bool) ([]member, error) {
	f := &matFile{r: r, size: size, file: file, order: binary.LittleEndian}
	head := make([]byte, matHeader)
	if n, err := r.ReadAt(head, 0); n < matHeader {
		if err == io.EOF {
			return nil, badf(file, "truncated inside the MAT header")
		}
		return nil, SystemError(file, "read", err)
	}
	switch order := string(head[126:]); order {
	case "IM":
	case "MI":
		f.order = binary.BigEndian
	default:
		return nil, badf(file, "not a MAT file: its header ends with %q, not the byte order, IM or MI", order)
	}
	if version := f.order.Uint16(head[124:]); version != 0x100 {
		return nil, badf(file, "MAT version %#x is not known; 0x100, level 5, is", version)
	}
	return f.members(vectors)
}

func (f *matFile) members(vectors bool) ([]member, error) {
	var all []member
	for at := int64(matHeader); at < f.size; {
		place, end, err := f.place(at)
		if err != nil {
			return nil, err
		}
		v, err := f.variable(place)
		if err != nil {
			return nil, err
		}
		v.Close()
		at = end
		if v.name == "" { // what MATLAB keeps for objects
			continue
		}
		all = append(all, member{name: v.name, open: func() (decoder, io.Closer, error) {
			v, err := f.variable(place)
			if err != nil {
				return nil, nil, err
			}
			d, err := v.numbers(vectors)
			return d, v, err
		}})
	}
	return all, nil
}

// matPlace says where the bytes of a variable lie.
type matPlace struct {
	at, size int64
	packed   bool
}

// place reads the tag at byte at.
func (f *matFile) place(at int64) (p matPlace, end int64, err error) {
	var b [8]byte
	if n, err := f.r.ReadAt(b[:], at); n < len(b) {
		if err == io.EOF {
			return p, 0, badf(f.file, "truncated: %d bytes at the end are no variable", n)
		}
		return p, 0, SystemError(f.file, "read", err)
	}
	kind := f.order.Uint32(b[:])
	p = matPlace{at: at + 8, size: int64(f.order.Uint32(b[4:])), packed: kind == matCompressed}
	if kind != matMatrix && kind != matCompressed {
		return p, 0, badf(f.file, "damaged: the element at byte %d has type %d, which is no variable", at, kind)
	}
	if there := f.size - p.at; p.size > there {
		return p, 0, badf(f.file, "truncated: the variable at byte %d claims %d bytes, %d are there", at, p.size, there)
	}
	return p, p.at + p.size, nil
}

// matVariable is one variable, read up to its name.
type matVariable struct {
	*matFile
	place   matPlace
	body    io.LimitedReader // what is left of the variable
	packed  io.ReadCloser    // what inflates it, or nil
	class   byte
	complex bool
	shape   []int
	name    string
}

// Close leaves what inflated the variable to the next one.
func (v *matVariable) Close() error {
	if v.packed != nil {
		v.spare, v.packed = v.packed, nil
	}
	return nil
}

// variable reads the flags, the dimensions and the name of the variable at a place.
func (f *matFile) variable(place matPlace) (*matVariable, error) {
	v := &matVariable{matFile: f, place: place, body: io.LimitedReader{R: io.NewSectionReader(f.r, place.at, place.size), N: place.size}}
	err := v.inflate()
	if err == nil {
		err = v.describe()
	}
	if err != nil {
		v.Close()
		return nil, v.bad(err)
	}
	return v, nil
}

// bad words an error in what stands before the numbers.
func (v *matVariable) bad(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("it ends too early")
	}
	e := badf(v.file, "the variable at byte %d is damaged: %v", v.place.at-8, err)
	e.Err = err
	return e
}

// inflate prepares the body of a compressed variable.
func (v *matVariable) inflate() error {
	if !v.place.packed {
		return nil
	}
	z, err := v.inflater(v.body.R)
	if err != nil {
		return err
	}
	v.packed = z
	var b [8]byte
	if _, err := io.ReadFull(z, b[:]); err != nil {
		return err
	}
	if kind := v.order.Uint32(b[:]); kind != matMatrix {
		return fmt.Errorf("compressed is an element of type %d, not an array", kind)
	}
	v.body = io.LimitedReader{R: z, N: int64(v.order.Uint32(b[4:]))}
	if v.body.N > deflateMost*v.place.size {
		return fmt.Errorf("it claims %d bytes, more than its %d compressed ones can hold", v.body.N, v.place.size)
	}
	return nil
}

// inflater is the spare one, set to r, or a new one.
func (f *matFile) inflater(r io.Reader) (io.ReadCloser, error) {
	z := f.spare
	if z == nil {
		return zlib.NewReader(r)
	}
	f.spare = nil
	return z, z.(zlib.Resetter).Reset(r, nil)
}

// describe reads what stands before the numbers.
func (v *matVariable) describe() error {
	flags, err := v.element(6, 8)
	if err != nil {
		return err
	}
	if len(flags) != 8 {
		return fmt.Errorf("its flags take %d bytes, not 8", len(flags))
	}
	word := v.order.Uint32(flags)
	v.class, v.complex = byte(word), word&0x800 != 0
	if v.class != matOpaque {
		if err := v.dimensions(); err != nil {
			return err
		}
	}
	name, err := v.element(1, matMaxName)
	v.name = string(name)
	return err
}

func (v *matVariable) dimensions() error {
	b, err := v.element(5, 4*matMaxAxes)
	if err != nil {
		return err
	}
	if len(b) < 8 || len(b)%4 != 0 {
		return fmt.Errorf("its dimensions take %d bytes", len(b))
	}
	for i := 0; i < len(b); i += 4 {
		d := int32(v.order.Uint32(b[i:]))
		if d < 0 {
			return fmt.Errorf("a dimension is %d", d)
		}
		v.shape = append(v.shape, int(d))
	}
	return nil
}

// tag reads the type and the length of the next element; up to 4 bytes may stand in the tag itself, in place of the length.
func (v *matVariable) tag() (kind uint32, size int64, inside []byte, err error) {
	var b [8]byte
	if _, err := io.ReadFull(&v.body, b[:]); err != nil {
		return 0, 0, nil, err
	}
	kind = v.order.Uint32(b[:])
	if small := int64(kind >> 16); small != 0 {
		if small > 4 {
			return 0, 0, nil, fmt.Errorf("%d bytes cannot stand in a tag", small)
		}
		return kind & 0xffff, small, b[4 : 4+small], nil
	}
	size = int64(v.order.Uint32(b[4:]))
	if size > v.body.N {
		return 0, 0, nil, fmt.Errorf("an element claims %d bytes, %d are left", size, v.body.N)
	}
	return kind, size, nil, nil
}

// element reads the next element, which must be of a kind and not longer than most, and what fills it up.
func (v *matVariable) element(want uint32, most int64) ([]byte, error) {
	kind, size, inside, err := v.tag()
	switch {
	case err != nil:
		return nil, err
	case kind != want:
		return nil, fmt.Errorf("an element has type %d, not %d", kind, want)
	case size > most:
		return nil, fmt.Errorf("an element claims %d bytes, more than the %d that are possible", size, most)
	case inside != nil:
		return inside, nil
	}
	b := make([]byte, (size+7)&^7)
	_, err = io.ReadFull(&v.body, b)
	return b[:size], err
}

// numbers is the reader of a full real array of numbers.
func (v *matVariable) numbers(vectors bool) (decoder, error) {
	if err := v.readable(); err != nil {
		return nil, err
	}
	kind, size, inside, err := v.tag()
	if err != nil {
		return nil, v.bad(err)
	}
	elem, ok := matElements[kind]
	if !ok {
		return nil, v.bad(fmt.Errorf("its numbers have type %d", kind))
	}
	elem.swapped = v.order == binary.BigEndian
	a := array{r: &v.body, file: v.file, name: v.name, elem: elem, shape: v.shape, layout: matlabOrder, size: size, trusted: !v.place.packed}
	left := v.body.N - size
	if inside != nil {
		a.r, left = bytes.NewReader(inside), v.body.N
	}
	if left >= 8 {
		return nil, v.bad(fmt.Errorf("%d bytes follow its numbers", left))
	}
	if v.place.packed {
		a.end, a.packed = v.end, v.place.size
	}
	return newArrayReader(a, vectors)
}

// readable refuses what is no full real array of numbers.
func (v *matVariable) readable() error {
	what, foreign := matForeign[v.class]
	switch {
	case v.class == matSparse:
		return badf(v.file, "%s is sparse; only full matrices are read", arrayName(v.name)).try("save full(%s)", v.name)
	case foreign:
		return badf(v.file, "%s is %s; only numeric matrices are read", arrayName(v.name), what).pick(v.name)
	case v.class < matDouble || v.class > matLast:
		return badf(v.file, "%s is of class %d, which is not known", arrayName(v.name), v.class).pick(v.name)
	case v.complex:
		return badf(v.file, "%s is complex; only real matrices are read", arrayName(v.name)).try("save real(%s)", v.name)
	}
	return nil
}

// end passes over what fills the numbers up, and demands that nothing follows and that what was inflated is what was compressed.
func (v *matVariable) end() error {
	if _, err := io.Copy(io.Discard, &v.body); err != nil {
		return v.bad(err)
	}
	return atEnd(v.packed, v.file, v.name)
}
