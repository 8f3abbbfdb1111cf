package matio

import (
	"archive/zip"
	"errors"
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
	left := uint64(size)
	for _, f := range directory.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, badf(file, "archive entry %q is not an npy array", f.Name)
		}
		if f.CompressedSize64 > left {
			return nil, badf(file, "damaged: up to array %q the entries take more bytes than the %d of the archive", name, size)
		}
		left -= f.CompressedSize64
		all = append(all, member{name: name, open: func() (decoder, io.Closer, error) { return openNPZ(f, file, name, vectors) }})
	}
	return all, nil
}

// openNPZ opens one array. Its size is what the directory claims, within what the compressed bytes can hold; the end of the array is compared with it.
func openNPZ(f *zip.File, file, name string, vectors bool) (decoder, io.Closer, error) {
	packed, claimed := f.CompressedSize64, f.UncompressedSize64
	if claimed > deflateMost*packed {
		return nil, nil, badf(file, "damaged: %s claims %d bytes, more than its %d compressed ones can hold", arrayName(name), claimed, packed)
	}
	content, err := f.Open()
	if err != nil {
		return nil, nil, badf(file, "%s: %v", arrayName(name), err)
	}
	d, err := newNPYReader(array{
		r: content, file: file, name: name, size: int64(claimed), packed: int64(packed), trusted: claimed <= packed,
		end: func() error {
			err := atEnd(content, file, name)
			if errors.Is(err, zip.ErrFormat) { // the archive holds more than it claims
				return trailing(file, name, "more bytes")
			}
			return err
		},
	}, vectors)
	return d, content, err
}
