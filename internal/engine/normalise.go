package engine

import "github.com/spdopt/spdopt/internal/dense"

// Normalisation describes how vectors x, the rows or the columns of matrices, are mapped to h = (x - mean) s with
// s = 1/sqrt(mean of (x - mean)^2 + Eps), and holds the results. All batches of a call have one stride.
type Normalisation[T dense.Float] struct {
	Center  bool // subtract the mean
	Columns bool // the vectors are the columns
	Eps     float64

	H, DH Batch[T] // the vectors h and their derivatives along a direction
	Scale []T      // s of each vector
	Bend  []T      // its derivative
}

// normTask is a step of a normalisation; a part is a run of vectors.
type normTask[T dense.Float] struct {
	Normalisation[T]
	do interface {
		norm(t *normTask[T], v vector)
	}
	x, dx, y, dy  Batch[T]
	vectors, each int // of all, and of a part
}

// vector is the place of a vector in the data of a batch.
type vector struct{ number, first, length, step int }

// end is the offset behind the last element.
func (v vector) end() int { return v.first + v.length*v.step }

// RunPart works on the vectors of a part.
func (t *normTask[T]) RunPart(part int) {
	h := &t.H
	for i := part * t.each; i < min(t.vectors, (part+1)*t.each); i++ {
		v := vector{i, i/h.Rows*h.Step + i%h.Rows*h.Stride, h.Cols, 1}
		if t.Columns {
			v = vector{i, i/h.Cols*h.Step + i%h.Cols, h.Rows, h.Stride}
		}
		t.do.norm(t, v)
	}
}

// normWork is the work of an element in elementary operations.
const normWork = 2

func (c *cpu[T]) runVectors(op string, t normTask[T], others ...*Batch[T]) {
	h := &t.H
	h.MustMatch(op, others...)
	for _, o := range others {
		if o.Stride != h.Stride || o.Step != h.Step {
			panic(Error(op + ": the strides differ"))
		}
	}
	t.vectors = h.Count * h.Rows
	if t.Columns {
		t.vectors = h.Count * h.Cols
	}
	MustHave(op, t.vectors, len(t.Scale))
	work := normWork * h.Count * h.Rows * h.Cols
	t.each = max(1, rowWork()*t.vectors/max(1, work))
	j := c.take()
	j.norm = t
	j.parallel.Task = &j.norm
	c.run(j, (t.vectors+t.each-1)/t.each, work)
	j.norm = normTask[T]{}
	c.release(j)
}

// Normalise implements Normaliser.
func (c *cpu[T]) Normalise(n Normalisation[T], x Batch[T]) {
	c.runVectors("Normalise", normTask[T]{Normalisation: n, do: normalise[T]{}, x: x}, &x)
}

type normalise[T dense.Float] struct{}

func (normalise[T]) norm(t *normTask[T], v vector) {
	x, h := t.x.Data, t.H.Data
	var mean, square T
	if t.Center {
		for i := v.first; i < v.end(); i += v.step {
			mean += x[i]
		}
		mean /= T(v.length)
	}
	for i := v.first; i < v.end(); i += v.step {
		d := x[i] - mean
		h[i] = d
		square += d * d
	}
	s := 1 / root(square/T(v.length)+T(t.Eps))
	for i := v.first; i < v.end(); i += v.step {
		h[i] *= s
	}
	t.Scale[v.number] = s
}

// NormaliseMap implements Normaliser.
func (c *cpu[T]) NormaliseMap(n Normalisation[T], x, y Batch[T]) {
	c.runVectors("NormaliseMap", normTask[T]{Normalisation: n, do: normaliseMap[T]{}, x: x, y: y}, &x, &y)
}

type normaliseMap[T dense.Float] struct{}

func (normaliseMap[T]) norm(t *normTask[T], v vector) {
	h, x, y, s := t.H.Data, t.x.Data, t.y.Data, t.Scale[v.number]
	mean, cross := t.means(x, v)
	for i := v.first; i < v.end(); i += v.step {
		y[i] = s * (x[i] - mean - h[i]*cross)
	}
	if t.Bend != nil {
		t.Bend[v.number] = -s * s * cross
	}
}

// means returns the mean of x, 0 without centering, and that of h x.
func (t *normTask[T]) means(x []T, v vector) (mean, cross T) {
	h := t.H.Data
	for i := v.first; i < v.end(); i += v.step {
		mean += x[i]
		cross += h[i] * x[i]
	}
	if !t.Center {
		mean = 0
	}
	return mean / T(v.length), cross / T(v.length)
}

// NormaliseMapTangent implements Normaliser.
func (c *cpu[T]) NormaliseMapTangent(n Normalisation[T], x, dx, y, dy Batch[T]) {
	MustHave("NormaliseMapTangent", len(n.Scale), len(n.Bend))
	c.runVectors("NormaliseMapTangent", normTask[T]{Normalisation: n, do: normaliseMapTangent[T]{}, x: x, dx: dx, y: y, dy: dy}, &n.DH, &x, &dx, &y, &dy)
}

type normaliseMapTangent[T dense.Float] struct{}

func (normaliseMapTangent[T]) norm(t *normTask[T], v vector) {
	h, dh, x, dx, y, dy := t.H.Data, t.DH.Data, t.x.Data, t.dx.Data, t.y.Data, t.dy.Data
	s, ds := t.Scale[v.number], t.Bend[v.number]
	_, cross := t.means(x, v)
	mean, dcross := t.means(dx, v)
	var more T
	for i := v.first; i < v.end(); i += v.step {
		more += dh[i] * x[i]
	}
	dcross += more / T(v.length)
	for i := v.first; i < v.end(); i += v.step {
		dy[i] = ds/s*y[i] + s*(dx[i]-mean-dh[i]*cross-h[i]*dcross)
	}
}
