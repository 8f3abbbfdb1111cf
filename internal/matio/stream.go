package matio

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

const stdinName = "standard input"

// Source says which files to read. A path may be "-" for Stdin, and "file.npz:name" picks one array of an archive, as do "file.mat:name"
// and "file.safetensors:name".
type Source struct {
	Paths  []string
	Format Format    // of all files; "" decides by content, then by extension
	Stdin  io.Reader // what "-" reads; needed for "-"
	// Vectors admits arrays of one axis, as single rows.
	Vectors bool
	// Missing lets Load pass NaN and Inf, for a Check with Missing to judge.
	Missing bool
	// Report, if not nil, is called after the last matrix of each file.
	Report func(Reading)
}

// Reading is what was read of one file.
type Reading struct {
	File       string
	Format     Format
	Count      int  // matrices
	Rows, Cols int  // of the first of them
	Mixed      bool // the others have other sizes
}

// add counts m.
func (r *Reading) add(m *Matrix) {
	if r.Count == 0 {
		r.Rows, r.Cols = m.Rows, m.Cols
	}
	r.Mixed = r.Mixed || m.Rows != r.Rows || m.Cols != r.Cols
	r.Count++
}

// decoder walks over the matrices of one file.
type decoder interface {
	next() (Matrix, error) // io.EOF after the last
	many() bool            // the file is a stack, even if of one
}

// Stream yields the matrices of its files in order, holding one file open and one matrix in memory (Fortran-ordered stacks and text files
// are read whole).
type Stream struct {
	src     Source
	pending []string
	current decoder
	closer  io.Closer
	many    bool
	packed  int64 // bytes of the archives that were opened
	reading Reading
}

// Open opens the first file and checks that the others exist. Errors are *Error.
func Open(src Source) (*Stream, error) {
	if len(src.Paths) == 0 {
		return nil, &Error{File: "input", What: "no file given"}
	}
	for _, p := range src.Paths {
		if p == "-" {
			continue
		}
		if path, _ := splitArray(p); path != "" {
			if _, err := os.Stat(path); err != nil {
				return nil, SystemError(path, "open", err)
			}
		}
	}
	s := &Stream{src: src, pending: src.Paths}
	if err := s.advance(); err != nil {
		s.Close()
		return nil, err
	}
	s.many = len(src.Paths) > 1 || s.current.many()
	return s, nil
}

// Many reports whether the input is a stack, an archive of several arrays or several files, rather than one plain matrix.
func (s *Stream) Many() bool { return s.many }

// Next returns the next matrix, in memory of its own, or io.EOF after the last. Other errors are *Error.
func (s *Stream) Next() (Matrix, error) {
	for s.current != nil {
		m, err := s.current.next()
		if err == nil {
			s.reading.add(&m)
		}
		if err != io.EOF {
			return m, err
		}
		if s.src.Report != nil {
			s.src.Report(s.reading)
		}
		if err := s.advance(); err != nil {
			return Matrix{}, err
		}
	}
	return Matrix{}, io.EOF
}

// All ranges over the remaining matrices; the last pair has a non-nil error if reading failed.
func (s *Stream) All() iter.Seq2[Matrix, error] {
	return func(yield func(Matrix, error) bool) {
		for {
			m, err := s.Next()
			if err == io.EOF {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Close releases the open file.
func (s *Stream) Close() error {
	s.current = nil
	if s.closer == nil {
		return nil
	}
	err := s.closer.Close()
	s.closer = nil
	return err
}

func (s *Stream) advance() error {
	s.Close()
	if len(s.pending) == 0 {
		return nil
	}
	path := s.pending[0]
	s.pending = s.pending[1:]
	if path == "-" {
		if s.src.Stdin == nil {
			return badf(stdinName, "not given to read from")
		}
		return s.decode(s.src.Stdin, stdinName, "", -1)
	}
	whole := path
	path, array := splitArray(path)
	if array == "" && path != whole {
		return badf(path, "no array is named after the colon").try("name one, or leave out the colon for all of them")
	}
	f, err := os.Open(path)
	if err != nil {
		return SystemError(path, "open", err)
	}
	s.closer = f
	info, err := f.Stat()
	if err != nil {
		return SystemError(path, "open", err)
	}
	size := int64(-1)
	switch {
	case info.IsDir():
		return badf(path, "is a directory").try("name the files in it")
	case info.Mode().IsRegular():
		size = info.Size()
	}
	return s.decode(f, path, array, size)
}

// splitArray separates "file.npz:name" into its parts, unless a file of the whole name exists.
func splitArray(path string) (file, array string) {
	end := -1
	for _, f := range []Format{NPZ, MAT, Safetensors} {
		if i := strings.LastIndex(path, "."+string(f)+":"); i >= 0 {
			end = max(end, i+1+len(f))
		}
	}
	if end < 0 {
		return path, ""
	}
	if _, err := os.Stat(path); err == nil {
		return path, ""
	}
	return path[:end], path[end+1:]
}

// decode picks the reader for r by its first bytes, then by the format asked for, then by the extension.
func (s *Stream) decode(r io.Reader, file, array string, size int64) error {
	buffered := bufio.NewReaderSize(r, 1<<16)
	head, err := buffered.Peek(matHeader)
	if err != nil && err != io.EOF {
		return SystemError(file, "read", err)
	}
	if len(head) == 0 {
		return badf(file, "the file is empty")
	}
	found, err := sniff(head, file)
	if err != nil {
		return err
	}
	want := s.src.Format
	if want == "" {
		want = FormatOf(file)
	}
	binary := func(f Format) bool { return f == NPY || f == NPZ || f == MTX || f == MAT }
	switch {
	case found == "" && want == "":
		return badf(file, "the format cannot be told").try("say it with --format %s", strings.ReplaceAll(formatList(nil), ", ", "|"))
	case found == "" && binary(want):
		e := badf(file, "not in %s format: it begins with %.16q", want, head)
		if want == MAT {
			e = e.try("%s", saveAsMAT)
		}
		return e
	case found != "":
		want = found
	}
	d, err := s.decoder(want, buffered, r, file, array, size)
	if err != nil {
		return err
	}
	s.current, s.reading = d, Reading{File: file, Format: want}
	if z, ok := d.(*archive); ok {
		s.packed += z.size
	}
	return nil
}

func (s *Stream) decoder(format Format, r *bufio.Reader, raw io.Reader, file, array string, size int64) (decoder, error) {
	switch format {
	case NPY:
		return newNPYReader(loneArray(r, file, size), s.src.Vectors)
	case NPZ:
		return openArchive(npzMembers, r, raw, file, array, size, s.src.Vectors)
	case MAT:
		return openArchive(matMembers, r, raw, file, array, size, s.src.Vectors)
	case Safetensors:
		return openArchive(tensorMembers, r, raw, file, array, size, s.src.Vectors)
	case MTX:
		return readMarket(r, file)
	case JSON:
		return newJSONReader(r, file)
	}
	return readCSV(r, file)
}

// loneArray is the array of a file of one, of so many bytes or, if that is not known, -1.
func loneArray(r io.Reader, file string, size int64) array {
	a := array{r: r, file: file, size: size, trusted: size >= 0}
	if size < 0 {
		a.end = func() error { return atEnd(r, file, "") }
	}
	return a
}

// openArchive reads the directory of a file of several arrays, which it loads whole if it cannot be read at any place.
func openArchive(members func(r io.ReaderAt, size int64, file string, vectors bool) ([]member, error),
	r *bufio.Reader, raw io.Reader, file, array string, size int64, vectors bool) (decoder, error) {
	var at io.ReaderAt
	if f, ok := raw.(*os.File); ok && size >= 0 {
		at = f
	} else {
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, SystemError(file, "read", err)
		}
		at, size = bytes.NewReader(content), int64(len(content))
	}
	all, err := members(at, size, file, vectors)
	if err != nil {
		return nil, err
	}
	return newArchive(file, array, size, all)
}

// Load reads every matrix of src and demands only that it is finite, unless src may have Missing numbers; many is as for Stream.Many.
func Load(src Source) (all []Matrix, many bool, err error) {
	s, err := Open(src)
	if err != nil {
		return nil, false, err
	}
	defer s.Close()
	held := int64(0)
	for m, err := range s.All() {
		if err == nil && !src.Missing {
			err = Finite(&m)
		}
		if m.Name != "" {
			held += int64(len(m.Data))
		}
		if err == nil && tooEmpty(held, s.packed) {
			err = emptiness(m.File, "the content", held, s.packed)
		}
		if err != nil {
			return nil, false, err
		}
		all = append(all, m)
	}
	return all, s.Many(), nil
}

// ReadAll loads every matrix of src and applies check to each; all must have the same size. many is as for Stream.Many.
func ReadAll(src Source, check Check) (all []Matrix, many bool, err error) {
	all, many, err = Load(src)
	if err != nil {
		return nil, false, err
	}
	return all, many, check.ApplyAll(all)
}

// ApplyAll demands that all matrices have the same size and applies c to each.
func (c Check) ApplyAll(all []Matrix) error {
	for k := range all {
		if m := &all[k]; m.Rows != all[0].Rows || m.Cols != all[0].Cols {
			return badf(m.File, "%s is %d x %d, but the first matrix is %d x %d", m.Subject(), m.Rows, m.Cols, all[0].Rows, all[0].Cols)
		}
	}
	for k := range all {
		if err := c.Apply(&all[k]); err != nil {
			return err
		}
	}
	return nil
}

// ReadSamples loads N x n samples, one per row, and demands that they are finite. Several matrices are put one below the other.
func ReadSamples(src Source) (Matrix, error) {
	all, _, err := Load(src)
	if err != nil {
		return Matrix{}, err
	}
	return Join(all)
}

// Join puts matrices of as many columns one below the other.
func Join(all []Matrix) (Matrix, error) {
	out := all[0]
	for _, m := range all[1:] {
		if m.Cols != out.Cols {
			return Matrix{}, badf(m.File, "%s has %d columns, the samples before it have %d", m.Subject(), m.Cols, out.Cols)
		}
		out.Matrix = dense.Wrap(out.Rows+m.Rows, out.Cols, append(out.Data, m.Data...))
	}
	return out, nil
}

// ReadVector loads numbers that are laid out as one row or one column, and demands that they are finite.
func ReadVector(src Source) ([]float64, error) {
	src.Vectors = true
	m, err := ReadSamples(src)
	if err != nil {
		return nil, err
	}
	if m.Rows != 1 && m.Cols != 1 {
		return nil, badf(m.File, "%s is %d x %d, not one row or column of numbers", m.Subject(), m.Rows, m.Cols)
	}
	return m.Data, nil
}

// Center subtracts the mean of each column of the samples m. A column of one number becomes zero, not what rounding leaves of its mean.
func Center(m *Matrix) {
	if m.Rows == 0 {
		return
	}
	for j := range m.Cols {
		first, sum := m.At(0, j), 0.0
		for i := range m.Rows {
			sum += m.At(i, j) - first
		}
		for i := range m.Rows {
			m.Set(i, j, m.At(i, j)-first-sum/float64(m.Rows))
		}
	}
}
