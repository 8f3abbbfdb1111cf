package bbob

import (
	"fmt"
	"strings"
	"sync"
)

// Group says which family a function belongs to.
type Group string

// The five groups of the BBOB testbed, and the classics.
const (
	Separable      Group = "separable"
	Moderate       Group = "moderate conditioning"
	IllConditioned Group = "ill-conditioned"
	Multimodal     Group = "multimodal, global structure"
	Weak           Group = "multimodal, weak structure"
	Classic        Group = "classic"
)

// Definition is one entry of the registry: it makes instances of a function.
type Definition struct {
	ID     string // "f1" ... "f24", or the plain name of a classic
	Title  string
	Group  Group
	MinDim int
	build  func(dim, instance int) *Function
}

// Function is one instance of a test function. Its methods may be called from several goroutines at once.
type Function struct {
	ID       string
	Dim      int
	Instance int
	XOpt     []float64 // where the minimum is
	FOpt     float64   // its value
	Lower    float64   // the region of interest is [Lower, Upper]^Dim; starts are drawn from 80 % of it
	Upper    float64
	eval     func(x []float64, w *scratch) float64
	work     sync.Pool
}

// scratch is what an evaluation needs beside its input: two vectors of length Dim.
type scratch struct{ a, b []float64 }

// Eval returns f(x). It panics if x has not Dim elements. NaN in x gives NaN.
func (f *Function) Eval(x []float64) float64 {
	if len(x) != f.Dim {
		panic(fmt.Sprintf("bbob: %s wants %d variables, got %d", f.ID, f.Dim, len(x)))
	}
	w, ok := f.work.Get().(*scratch)
	if !ok {
		w = &scratch{make([]float64, f.Dim), make([]float64, f.Dim)}
	}
	v := f.eval(x, w)
	f.work.Put(w)
	return v
}

// New returns an instance of the definition. Instances of a BBOB function differ in optimum, optimal value and rotations; those of a
// classic are all the same. The error tells a dimension that is too small or a negative instance number.
func (d Definition) New(dim, instance int) (*Function, error) {
	if dim < d.MinDim {
		return nil, fmt.Errorf("bbob: %s needs dimension %d or more, got %d", d.ID, d.MinDim, dim)
	}
	if instance < 0 {
		return nil, fmt.Errorf("bbob: %s: instance %d is negative", d.ID, instance)
	}
	f := d.build(dim, instance)
	f.ID, f.Dim, f.Instance = d.ID, dim, instance
	if f.Upper == 0 {
		f.Lower, f.Upper = -5, 5
	}
	return f, nil
}

// All returns every function: the testbed in its order, then the classics.
func All() []Definition {
	var all []Definition
	for _, g := range [][]Definition{separable, moderate, illConditioned, multimodal, weak, classics} {
		all = append(all, g...)
	}
	return all
}

// Suite returns the 24 noiseless functions in their order.
func Suite() []Definition { return All()[:24] }

// Lookup finds a definition by its ID, whatever the case. The error lists what exists.
func Lookup(id string) (Definition, error) {
	var ids []string
	for _, d := range All() {
		if strings.EqualFold(d.ID, id) {
			return d, nil
		}
		ids = append(ids, d.ID)
	}
	return Definition{}, fmt.Errorf("bbob: no function %q; there are %s", id, strings.Join(ids, ", "))
}
