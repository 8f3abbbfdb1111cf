package bbob

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

func itoa(v int) string { return strconv.Itoa(v) }

// Group says which family a function belongs to.
type Group string

// The five groups of the BBOB testbed, the classics, and the other suites.
const (
	Separable      Group = "separable"
	Moderate       Group = "moderate conditioning"
	IllConditioned Group = "ill-conditioned"
	Multimodal     Group = "multimodal, global structure"
	Weak           Group = "multimodal, weak structure"
	Classic        Group = "classic"
	Noisy          Group = "noisy"
	Constrained    Group = "constrained"
	MixedInteger   Group = "mixed-integer"
	LargeScale     Group = "large-scale"
)

// Definition is one entry of the registry: it makes instances of a function.
type Definition struct {
	ID     string // "f1" ... "f24", the plain name of a classic, "f101" ... (noisy), "c1" ... (constrained), "m1" ... (mixed-integer), "l1" ... (large-scale)
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

	Constraints        int       // values of Constrain; a point is feasible if none is positive
	Integers           []int     // variables that take whole numbers
	BoxLower, BoxUpper []float64 // bounds that points must keep; nil if there are none
	X0                 []float64 // where the testbed starts, feasible; nil if it says nothing

	eval      func(x []float64, w *scratch) float64
	constrain func(x, g []float64, w *scratch)
	noise     noiseKind
	work      sync.Pool
}

// scratch is what an evaluation needs beside its input: two vectors of length Dim.
type scratch struct{ a, b []float64 }

// Eval returns f(x), without noise. It panics if x has not Dim elements. NaN in x gives NaN.
func (f *Function) Eval(x []float64) float64 {
	w := f.enter(x)
	v := f.eval(x, w)
	f.work.Put(w)
	return v
}

// Constrain sets g to the values of the constraints at x. It panics if x has not Dim elements or g not Constraints.
func (f *Function) Constrain(x, g []float64) {
	if len(g) != f.Constraints {
		panic(fmt.Sprintf("bbob: %s has %d constraints, got room for %d", f.ID, f.Constraints, len(g)))
	}
	if f.constrain != nil {
		w := f.enter(x)
		f.constrain(x, g, w)
		f.work.Put(w)
	}
}

// enter checks x and takes scratch.
func (f *Function) enter(x []float64) *scratch {
	if len(x) != f.Dim {
		panic(fmt.Sprintf("bbob: %s wants %d variables, got %d", f.ID, f.Dim, len(x)))
	}
	w, ok := f.work.Get().(*scratch)
	if !ok {
		w = &scratch{make([]float64, f.Dim), make([]float64, f.Dim)}
	}
	return w
}

// The largest dimensions: of functions that keep a few vectors, of those with rotations of blocks of variables, and of those with rotations of the whole space, 2 GiB each.
const (
	mostPlain   = 1 << 24
	mostBlocked = 1 << 20
	mostTurned  = 1 << 14
)

// MaxDim is the largest dimension that the function can be had in.
func (d Definition) MaxDim() int {
	switch d.Group {
	case Separable, Classic:
		return mostPlain
	case LargeScale:
		return mostBlocked
	}
	return mostTurned
}

// New returns an instance of the definition. Instances of a BBOB function differ in optimum, optimal value and rotations; those of a
// classic are all the same. The error tells a dimension that is too small or too large, or a negative instance number.
func (d Definition) New(dim, instance int) (*Function, error) {
	if d.build == nil {
		return nil, fmt.Errorf("bbob: function %q is none of All", d.ID)
	}
	if dim < d.MinDim {
		return nil, fmt.Errorf("bbob: %s needs dimension %d or more, got %d", d.ID, d.MinDim, dim)
	}
	if most := d.MaxDim(); dim > most {
		hint := ""
		if most == mostTurned {
			hint = "; the functions of bbob-largescale take more"
		}
		return nil, fmt.Errorf("bbob: %s is for %d variables at most, got %d%s", d.ID, most, dim, hint)
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

// All returns every function: the testbed in its order, the classics, then the other suites.
func All() []Definition {
	all := append(Suite(), classics...)
	for _, g := range [][]Definition{noisy, constrained, mixedInteger, largeScale} {
		all = append(all, g...)
	}
	return all
}

// Suite returns the 24 noiseless functions in their order.
func Suite() []Definition {
	return slices.Concat(separable, moderate, illConditioned, multimodal, weak)
}

// SuiteInfo is a named set of functions.
type SuiteInfo struct {
	Name, Title string
	Dims        []int // in which it is usually run
	Functions   []Definition
}

// Suites returns the sets of functions, under the names that the testbed's authors gave them.
func Suites() []SuiteInfo {
	return []SuiteInfo{
		{"bbob", "24 noiseless functions", []int{2, 5, 10, 20}, Suite()},
		{"bbob-noisy", "30 noisy functions", []int{5, 10}, slices.Clone(noisy)},
		{"bbob-constrained", "54 functions with linear constraints, bent", []int{5, 10}, slices.Clone(constrained)},
		{"bbob-mixint", "24 functions, four fifths of the variables integer", []int{5, 10, 20}, slices.Clone(mixedInteger)},
		{"bbob-largescale", "24 functions for many variables", []int{80, 160}, slices.Clone(largeScale)},
	}
}

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
