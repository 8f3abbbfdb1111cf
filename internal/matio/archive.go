package matio

import (
	"fmt"
	"io"
	"strings"
)

const (
	// A byte of deflate holds at most deflateMost bytes.
	deflateMost = 1032
	// Beyond sparseMax elements there must be a compressed byte for every deflateFull of them: less only zeros or the like take.
	deflateFull = 8
)

// tooEmpty reports whether so many elements would take more memory than what is compressed to so many bytes may ask for.
func tooEmpty(elements, bytes int64) bool {
	return elements > sparseMax && elements > deflateFull*bytes
}

func emptiness(file, what string, elements, bytes int64) error {
	return badf(file, "%s of %d elements is too empty, compressed to %d bytes, to be held dense", what, elements, bytes)
}

// member is one named array of a file of several.
type member struct {
	name string
	open func() (decoder, io.Closer, error) // the closer may be nil
}

// archive walks over arrays of a file of several in the order in which they were saved.
type archive struct {
	rest    []member
	current decoder
	closer  io.Closer
	size    int64 // bytes of the file
}

// newArchive opens the first of the members; only != "" restricts it to the array of that name.
func newArchive(file, only string, size int64, all []member) (*archive, error) {
	z := &archive{rest: all, size: size}
	if only != "" {
		z.rest = nil
	}
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.name] {
			return nil, badf(file, "array %q appears twice", m.name)
		}
		seen[m.name] = true
		if m.name == only && only != "" {
			z.rest = []member{m}
		}
	}
	switch {
	case len(all) == 0:
		return nil, badf(file, "the archive holds no arrays")
	case len(z.rest) == 0:
		return nil, badf(file, "no array %q", only).try("it holds %s", memberNames(all))
	}
	if err := z.advance(); err != nil {
		z.close()
		return nil, err
	}
	return z, nil
}

// memberNames lists the names of the first members.
func memberNames(all []member) string {
	const most = 20
	var names []string
	for _, m := range all[:min(len(all), most)] {
		names = append(names, m.name)
	}
	text := strings.Join(names, ", ")
	if len(all) > most {
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	return text
}

func (z *archive) many() bool { return len(z.rest) > 0 || z.current.many() }

// advance opens the next member, or sets current to nil after the last.
func (z *archive) advance() error {
	z.close()
	z.current = nil
	if len(z.rest) == 0 {
		return nil
	}
	m := z.rest[0]
	z.rest = z.rest[1:]
	d, closer, err := m.open()
	z.closer = closer
	if err != nil {
		return err
	}
	z.current = d
	return nil
}

func (z *archive) next() (Matrix, error) {
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

func (z *archive) close() {
	if z.closer != nil {
		z.closer.Close()
		z.closer = nil
	}
}
