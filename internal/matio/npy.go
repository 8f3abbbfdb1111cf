package matio

import "io"

// newNPYReader reads the header of an array, which must be 2-d or 3-d, or with vectors 1-d. size is the number of bytes that r still holds,
// or -1 if that is not known.
func newNPYReader(r io.Reader, file, name string, size int64, vectors bool) (*arrayReader, error) {
	head, used, err := readNPYHeader(r, file)
	if err != nil {
		return nil, err
	}
	elem, err := parseElement(head.descr)
	if err != nil {
		return nil, badf(file, "%s %v", arrayName(name), err)
	}
	a := array{r: r, file: file, name: name, elem: elem, shape: head.shape, size: -1}
	if head.fortran {
		a.layout = columnMajor
	}
	if size >= 0 {
		a.size, a.trusted = max(size-used, 0), true
	} else {
		a.end = func() error { return atEnd(r, file) }
	}
	return newArrayReader(a, vectors)
}
