package matio

import (
	"archive/zip"
	"io"
	"strings"
)

// npzReader walks over the arrays of an npz archive in the order in which they were saved.
type npzReader struct {
	file    string
	vectors bool
	entries []*zip.File
	opened  io.ReadCloser
	current *npyReader
}

// newNPZReader reads the archive's directory; only != "" restricts it to the array of that name, vectors admits 1-d arrays.
func newNPZReader(r io.ReaderAt, size int64, file, only string, vectors bool) (*npzReader, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		e := badf(file, "not a readable npz archive: %v", err)
		e.Err = err
		return nil, e
	}
	z := &npzReader{file: file, vectors: vectors}
	var names []string
	seen := map[string]bool{}
	for _, f := range archive.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, badf(file, "archive entry %q is not an npy array", f.Name)
		}
		if seen[name] {
			return nil, badf(file, "array %q appears twice", name)
		}
		seen[name] = true
		names = append(names, name)
		if only == "" || only == name {
			z.entries = append(z.entries, f)
		}
	}
	switch {
	case len(names) == 0:
		return nil, badf(file, "the archive holds no arrays")
	case len(z.entries) == 0:
		return nil, badf(file, "no array %q", only).try("it holds %s", strings.Join(names, ", "))
	}
	if err := z.advance(); err != nil {
		return nil, err
	}
	return z, nil
}

func (z *npzReader) many() bool { return len(z.entries) > 0 || z.current.many() }

// advance opens the next archive entry, or sets current to nil after the last.
func (z *npzReader) advance() error {
	z.close()
	z.current = nil
	if len(z.entries) == 0 {
		return nil
	}
	f := z.entries[0]
	z.entries = z.entries[1:]
	r, err := f.Open()
	if err != nil {
		return badf(z.file, "array %q: %v", f.Name, err)
	}
	z.opened = r
	z.current, err = newNPYReader(r, z.file, strings.TrimSuffix(f.Name, ".npy"), -1, z.vectors)
	return err
}

func (z *npzReader) next() (Matrix, error) {
	for z.current != nil {
		m, err := z.current.next()
		if err != io.EOF {
			return m, err
		}
		if err := z.advance(); err != nil {
			return Matrix{}, err
		}
	}
	return Matrix{}, io.EOF
}

func (z *npzReader) close() {
	if z.opened != nil {
		z.opened.Close()
		z.opened = nil
	}
}
