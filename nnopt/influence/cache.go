package influence

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/safetensors"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

const (
	gradientsFormat = "spdopt influence gradients 1"
	estimatorFormat = "spdopt influence estimator 1"
)

// Write writes the gradients as safetensors.
func (g *Gradients[T]) Write(w io.Writer) error {
	f := &safetensors.File{Metadata: map[string]string{
		"format": gradientsFormat, "basis": g.basis, "examples": strconv.Itoa(g.Examples), "preconditioned": strconv.FormatBool(g.Preconditioned),
		"bits": strconv.Itoa(g.Compression.Bits), "rank": strconv.Itoa(g.Compression.Rank),
	}}
	for k := range g.modules {
		m := &g.modules[k]
		if m.rank == 0 {
			m.whole.tensors(f, fmt.Sprintf("%d.whole", k), g.Examples)
			continue
		}
		m.left.tensors(f, fmt.Sprintf("%d.left", k), g.Examples)
		m.right.tensors(f, fmt.Sprintf("%d.right", k), g.Examples)
	}
	return safetensors.Write(w, f)
}

// tensors appends the n rows to a file.
func (r *rows[T]) tensors(f *safetensors.File, name string, n int) {
	if r.codes == nil {
		f.Tensors = append(f.Tensors, tensorOf(name, []int{n, r.width}, r.plain))
		return
	}
	f.Tensors = append(f.Tensors,
		safetensors.Tensor{Name: name + ".low", Shape: []int{n}, F32: r.low},
		safetensors.Tensor{Name: name + ".step", Shape: []int{n}, F32: r.step},
		safetensors.Tensor{Name: name + ".codes", Shape: []int{n, r.width}, U8: r.codes})
}

func tensorOf[T nnopt.Float](name string, shape []int, v []T) safetensors.Tensor {
	t := safetensors.Tensor{Name: name, Shape: shape}
	switch v := any(v).(type) {
	case []float32:
		t.F32 = v
	case []float64:
		t.F64 = v
	default:
		fail("elements of %T", v)
	}
	return t
}

// ReadGradients reads what Gradients.Write wrote. Gradients of another network, curvature or choice of modules, and damaged files, are a *DataError.
func (e *Estimator[T]) ReadGradients(r io.Reader) (*Gradients[T], error) {
	f, err := readFile(r, gradientsFormat, "gradients")
	if err != nil {
		return nil, err
	}
	if f.Metadata["basis"] != e.basis() {
		return nil, dataError("gradients", "come from another network, curvature or choice of modules")
	}
	n, err1 := strconv.Atoi(f.Metadata["examples"])
	bits, err2 := strconv.Atoi(f.Metadata["bits"])
	rank, err3 := strconv.Atoi(f.Metadata["rank"])
	pre, err4 := strconv.ParseBool(f.Metadata["preconditioned"])
	c := Compression{Bits: bits, Rank: rank}
	for _, err := range []error{err1, err2, err3, err4, c.Validate()} {
		if err != nil {
			return nil, dataError("gradients", "are damaged: %v", err)
		}
	}
	g := e.empty(GradientOptions{pre, c})
	g.Examples = n
	for k := range g.modules {
		m := &g.modules[k]
		type part struct {
			rows  *rows[T]
			name  string
			width int
		}
		parts := []part{{&m.whole, "whole", m.out * m.in}}
		if m.rank > 0 {
			parts = []part{{&m.left, "left", m.out * m.rank}, {&m.right, "right", m.rank * m.in}}
		}
		for _, p := range parts {
			if err := p.rows.read(f, fmt.Sprintf("%d.%s", k, p.name), n, p.width, bits); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

func (r *rows[T]) read(f *safetensors.File, name string, n, width, bits int) (err error) {
	r.width = width
	if bits == 0 {
		r.plain, err = elements[T](f, name, n*width)
		return err
	}
	if r.low, err = elements[float32](f, name+".low", n); err != nil {
		return err
	}
	if r.step, err = elements[float32](f, name+".step", n); err != nil {
		return err
	}
	t := f.Tensor(name + ".codes")
	if t == nil || len(t.U8) != n*width {
		return dataError("tensor "+name+".codes", "is missing, or of another size")
	}
	r.codes = t.U8
	return nil
}

// elements returns the elements of a tensor.
func elements[T nnopt.Float](f *safetensors.File, name string, count int) ([]T, error) {
	t := f.Tensor(name)
	if t == nil {
		return nil, dataError("tensor "+name, "is missing")
	}
	v, ok := any(t.F32).([]T)
	if t.F64 != nil {
		v, ok = any(t.F64).([]T)
	}
	if !ok || len(v) != count {
		return nil, dataError("tensor "+name, "has another type or size: %d elements are needed", count)
	}
	if k := notFinite(v); k >= 0 {
		return nil, dataError("tensor "+name, "element %d is %v", k, v[k])
	}
	return v, nil
}

func readFile(r io.Reader, format, what string) (*safetensors.File, error) {
	var all bytes.Buffer
	if _, err := all.ReadFrom(r); err != nil {
		return nil, err
	}
	f, err := safetensors.Read(all.Bytes())
	if err != nil {
		return nil, dataError(what, "are not readable: %v", err)
	}
	if f.Metadata["format"] != format {
		return nil, dataError(what, "are of format %q, not %q", f.Metadata["format"], format)
	}
	return f, nil
}

// Write writes the bases and the inverse eigenvalues of the estimator as safetensors, so that the curvature need not be collected again.
func (e *Estimator[T]) Write(w io.Writer) error {
	f := &safetensors.File{Metadata: map[string]string{
		"format": estimatorFormat, "model": e.model, "preconditioner": string(e.kind), "weight": strconv.FormatFloat(e.weight, 'g', -1, 64),
	}}
	for k := range e.modules {
		m := &e.modules[k]
		f.Metadata[fmt.Sprintf("%d.name", k)] = m.Name()
		for i, v := range []Matrix[T]{m.scale, m.qb, m.qa} {
			if v.Data != nil {
				name := fmt.Sprintf("%d.%s", k, []string{"scale", "qb", "qa"}[i])
				f.Tensors = append(f.Tensors, tensorOf(name, []int{v.Rows, v.Cols}, v.Data))
			}
		}
	}
	return safetensors.Write(w, f)
}

// Read returns the estimator that Write wrote for a network; that of other parameters or another architecture is a *DataError.
func Read[T nnopt.Float](n *net.Net[T], r io.Reader) (*Estimator[T], error) {
	f, err := readFile(r, estimatorFormat, "estimator")
	if err != nil {
		return nil, err
	}
	if f.Metadata["model"] != digest(n) {
		return nil, dataError("estimator", "was made for a network with other parameters")
	}
	e := &Estimator[T]{net: n, kind: Preconditioner(f.Metadata["preconditioner"]), model: f.Metadata["model"]}
	if e.weight, err = strconv.ParseFloat(f.Metadata["weight"], 64); err != nil {
		return nil, dataError("estimator", "is damaged: %v", err)
	}
	blocks, skipped, err := modulesOf(n, true)
	if err != nil {
		return nil, err
	}
	e.skipped = skipped
	for k := 0; f.Metadata[fmt.Sprintf("%d.name", k)] != ""; k++ {
		name := f.Metadata[fmt.Sprintf("%d.name", k)]
		for _, b := range blocks {
			if b.Name() != name {
				continue
			}
			m := module[T]{Factors: b}
			if err := m.read(f, k); err != nil {
				return nil, err
			}
			e.modules = append(e.modules, m)
		}
		if len(e.modules) != k+1 {
			return nil, dataError("estimator", "is damaged: the network has no module %q", name)
		}
	}
	if len(e.modules) == 0 {
		return nil, dataError("estimator", "is damaged: it has no modules")
	}
	return e, nil
}

func (m *module[T]) read(f *safetensors.File, k int) error {
	out, in := m.Dims()
	for _, p := range []struct {
		to         *Matrix[T]
		name       string
		rows, cols int
	}{{&m.scale, "scale", out, in}, {&m.qb, "qb", out, out}, {&m.qa, "qa", in, in}} {
		name := fmt.Sprintf("%d.%s", k, p.name)
		if p.to != &m.scale && f.Tensor(name) == nil && f.Tensor(fmt.Sprintf("%d.qb", k)) == nil {
			continue // no bases
		}
		v, err := elements[T](f, name, p.rows*p.cols)
		if err != nil {
			return err
		}
		*p.to = dense.Wrap(p.rows, p.cols, v)
	}
	m.bases = digestOf(m.qb.Data, m.qa.Data)
	return nil
}
