package matio

import (
	"archive/zip"
	"io"
	"strings"
)

// npzMembers reads the directory of an npz archive.
func npzMembers(r io.ReaderAt, size int64, file string, vectors bool) ([]member, error) {
	directory, err := zip.NewReader(r, size)
	if err != nil {
		e := badf(file, "not a readable npz archive: %v", err)
		e.Err = err
		return nil, e
	}
	var all []member
	for _, f := range directory.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, badf(file, "archive entry %q is not an npy array", f.Name)
		}
		all = append(all, member{name: name, open: func() (decoder, io.Closer, error) {
			content, err := f.Open()
			if err != nil {
				return nil, nil, badf(file, "array %q: %v", f.Name, err)
			}
			d, err := newNPYReader(content, file, name, -1, vectors)
			return d, content, err
		}})
	}
	return all, nil
}
