package matio

import (
	"fmt"
	"io"
	"strings"
)

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
}

// newArchive opens the first of the members; only != "" restricts it to the array of that name.
func newArchive(file, only string, all []member) (*archive, error) {
	z := &archive{rest: all}
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
