package influence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Preconditioner names the approximation H of the curvature of the risk in which gradients are compared.
type Preconditioner string

// The preconditioners. All of them treat every module, a weight matrix with its bias, by itself.
const (
	EKFAC    Preconditioner = "ekfac"    // Kronecker-factored eigenvectors with corrected eigenvalues
	KFAC     Preconditioner = "kfac"     // Kronecker-factored
	Diagonal Preconditioner = "diagonal" // the diagonal of the Gauss-Newton matrix
	Identity Preconditioner = "identity" // I: products of gradients
)

// Preconditioners lists them.
func Preconditioners() []Preconditioner { return []Preconditioner{EKFAC, KFAC, Diagonal, Identity} }

// Damping is what is added to the eigenvalues of H. The zero value adds to those of each module a tenth of their mean.
type Damping struct {
	Absolute bool    // Value itself is added, the same in all modules; otherwise Value times the mean of the eigenvalues of a module
	Value    float64 // default 0.1 unless Absolute
}

// Options say how curvature is approximated. The zero value is EKFAC of the exact Gauss-Newton matrix with damping relative to its mean.
type Options struct {
	Preconditioner Preconditioner     // default EKFAC
	Damping        Damping            // of all but Identity
	Curvature      curvature.Settings // which vectors, how positions share weights; Skip leaves blocks out that have no Kronecker factors
	Modules        []string           // the weight blocks that count; default all
	// Total is the number of examples that the network was trained on, if the curvature is estimated from only some of them.
	Total int
}

// Validate reports the first option that has a value that it cannot have.
func (o *Options) Validate() error {
	if o.Preconditioner != "" && !slices.Contains(Preconditioners(), o.Preconditioner) {
		return dataError("preconditioner", "must be one of %v, not %q", Preconditioners(), o.Preconditioner)
	}
	if v := o.Damping.Value; !(v >= 0) || v-v != 0 {
		return dataError("damping", "must be a finite number that is not negative, not %v", v)
	}
	if o.Total < 0 {
		return dataError("total", "must not be negative, not %d", o.Total)
	}
	if o.Curvature.SeparateBias {
		return dataError("separate bias", "a module is a weight matrix with its bias")
	}
	return o.Curvature.Validate()
}

func (o *Options) kind() Preconditioner {
	if o.Preconditioner == "" {
		return EKFAC
	}
	return o.Preconditioner
}

// module is the part of H^-1 that belongs to a weight matrix and its bias: (QB (x) QA) diag(scale) (QB (x) QA)^T. Empty bases are I.
type module[T nnopt.Float] struct {
	curvature.Factors
	qb, qa Matrix[T]
	scale  Matrix[T] // out x in
	bases  string    // digest of both
}

func (m *module[T]) size() int { return len(m.scale.Data) }

// Estimator scores how much measurements would change if training examples were removed. It is used by one goroutine at a time.
type Estimator[T nnopt.Float] struct {
	net     *net.Net[T]
	modules []module[T]
	skipped []string
	kind    Preconditioner
	weight  float64 // of the gradient of c in the term of an example
	model   string  // digest of the network
	work    workspace[T]
}

// New approximates the curvature of the risk of a trained network over data, which should be those of training. It fails with a *curvature.SupportError for
// layers without factors, a *curvature.SingularError for damping that is too small, and a *DataError for data that cannot be used.
func New[T nnopt.Float](n *net.Net[T], data Examples[T], o Options) (*Estimator[T], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := data.Validate(); err != nil {
		return nil, err
	}
	r, err := curvature.NewRisk(n, data.all(), curvature.RiskOptions{})
	if err != nil {
		return nil, err
	}
	e := &Estimator[T]{net: n, kind: o.kind(), model: digest(n)}
	e.weight = r.Factor() * float64(data.draws())
	if o.Total > 0 {
		e.weight *= float64(r.Examples()) / float64(data.draws()*o.Total)
	}
	if err := e.precondition(r, &o); err != nil {
		return nil, err
	}
	for k := range e.modules {
		m := &e.modules[k]
		m.bases = digestOf(m.qb.Data, m.qa.Data)
	}
	return e, e.restrict(o.Modules)
}

// precondition sets the modules.
func (e *Estimator[T]) precondition(r *curvature.Risk[T], o *Options) error {
	settings := o.Curvature
	switch e.kind {
	case EKFAC, KFAC:
		collect := curvature.CollectEKFAC[T]
		if e.kind == KFAC {
			collect = decomposed[T]
		}
		eigen, err := collect(r, settings)
		if err != nil {
			return err
		}
		e.skipped = eigen.Skipped
		for k, f := range eigen.Blocks {
			s := &eigen.Spectra[k]
			m := module[T]{Factors: f, qb: converted[T](s.QB), qa: converted[T](s.QA)}
			if m.scale, err = inverted[T](f.Name(), s.Values, o.Damping); err != nil {
				return err
			}
			e.modules = append(e.modules, m)
		}
		return nil
	}
	blocks, skipped, err := modulesOf(r.Net, settings.Skip)
	if err != nil {
		return err
	}
	e.skipped = skipped
	diagonal := make([]float64, r.Dim())
	if e.kind == Diagonal {
		if diagonal, err = curvature.GGNDiagonal(r, settings); err != nil {
			return err
		}
	}
	for _, f := range blocks {
		values := dense.New[float64](f.Dims())
		f.Gather(diagonal, values)
		m := module[T]{Factors: f}
		if e.kind == Identity {
			m.scale = ones[T](values.Rows, values.Cols)
		} else if m.scale, err = inverted[T](f.Name(), values, o.Damping); err != nil {
			return err
		}
		e.modules = append(e.modules, m)
	}
	return nil
}

func decomposed[T nnopt.Float](r *curvature.Risk[T], s curvature.Settings) (*curvature.Eigen, error) {
	k, err := curvature.CollectKFAC(r, s)
	if err != nil {
		return nil, err
	}
	return k.Decompose()
}

// modulesOf lists the weight matrices with statistics and their biases, as a curvature.Collector has them.
func modulesOf[T nnopt.Float](n *net.Net[T], skip bool) ([]curvature.Factors, []string, error) {
	layout := map[string]curvature.Block{}
	for _, b := range curvature.Layout(n) {
		layout[b.Name] = b
	}
	skipped, known := n.Unobserved(), map[string]bool{}
	var all []curvature.Factors
	for _, l := range n.Layers() {
		if slices.Contains(skipped, l.Weight) || known[l.Weight] {
			continue
		}
		known[l.Weight] = true
		all = append(all, curvature.Factors{Weight: layout[l.Weight], Bias: layout[l.Bias]})
	}
	if len(skipped) > 0 && !skip {
		return nil, nil, &curvature.SupportError{Blocks: skipped}
	}
	return all, skipped, nil
}

// inverted returns 1/(values + damping) and refuses what has no inverse in T.
func inverted[T nnopt.Float](name string, values Matrix[float64], d Damping) (Matrix[T], error) {
	var sum, top float64
	for _, v := range values.Data {
		sum += v
		top = max(top, v)
	}
	add := d.Value
	if !d.Absolute {
		if add == 0 {
			add = 0.1
		}
		add *= sum / float64(len(values.Data))
	}
	out := dense.New[T](values.Rows, values.Cols)
	for i, v := range values.Data {
		damped := v + add
		out.Data[i] = T(1 / damped)
		if !(damped > (top+add)*float64(len(values.Data))*0x1p-52) || out.Data[i]-out.Data[i] != 0 {
			return out, &curvature.SingularError{Block: name, Damping: add}
		}
	}
	return out, nil
}

// restrict keeps the named modules.
func (e *Estimator[T]) restrict(names []string) error {
	if names == nil {
		return nil
	}
	var kept []module[T]
	for _, name := range names {
		k := slices.IndexFunc(e.modules, func(m module[T]) bool { return m.Name() == name })
		if k < 0 {
			return dataError("module "+name, "the network has no such module; it has %v", e.Modules())
		}
		kept = append(kept, e.modules[k])
	}
	if len(kept) == 0 {
		return dataError("modules", "there are none")
	}
	e.modules = kept
	return nil
}

// Modules returns the names of the weight blocks that count, in the order of scores by module.
func (e *Estimator[T]) Modules() (names []string) {
	for i := range e.modules {
		names = append(names, e.modules[i].Name())
	}
	return names
}

// Skipped returns the blocks of parameters that do not count.
func (e *Estimator[T]) Skipped() []string { return e.skipped }

// Kind returns the preconditioner.
func (e *Estimator[T]) Kind() Preconditioner { return e.kind }

// digest identifies the parameters of a network, with their names and shapes.
func digest[T nnopt.Float](n *net.Net[T]) string {
	var names []byte
	var values [][]T
	for _, b := range n.Blocks() {
		names = fmt.Appendf(names, "%s %d %d\n", b.Name, b.Rows, b.Cols)
		values = append(values, b.Value)
	}
	return digestOf(values...) + digestOf(names)
}

func digestOf[E any](parts ...[]E) string {
	h := sha256.New()
	for _, p := range parts {
		if err := binary.Write(h, binary.LittleEndian, p); err != nil {
			fail("digest: %v", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func ones[T nnopt.Float](rows, cols int) Matrix[T] {
	m := dense.New[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = 1
	}
	return m
}

func converted[T nnopt.Float](m Matrix[float64]) Matrix[T] {
	out := dense.New[T](m.Rows, m.Cols)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			out.Set(i, j, T(v))
		}
	}
	return out
}
