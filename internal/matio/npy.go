package matio

// newNPYReader reads the header of the array a, which must be 2-d or 3-d, or with vectors 1-d. a.size counts the header.
func newNPYReader(a array, vectors bool) (*arrayReader, error) {
	head, used, err := readNPYHeader(a.r, a.file)
	if err != nil {
		return nil, err
	}
	a.elem, err = parseElement(head.descr)
	if err != nil {
		return nil, badf(a.file, "%s %v", arrayName(a.name), err)
	}
	a.shape = head.shape
	if head.fortran {
		a.layout = columnMajor
	}
	if a.size >= 0 {
		a.size = max(a.size-used, 0)
	}
	return newArrayReader(a, vectors)
}
