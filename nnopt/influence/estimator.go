package influence

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
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

// Scale says what damping is measured by.
type Scale string

// The scales. Most directions have no curvature (pixels that are always black, units that no output depends on), and means of eigenvalues say how many they
// are; the weighted mean does not change with their number. It is that of all modules because what damping stands for, the time that training took, is
// common to them.
const (
	Weighted Scale = "weighted" // the mean of the eigenvalues of all modules weighted by themselves, sum v^2 / sum v; default
	ByModule Scale = "module"   // the mean of the eigenvalues of each module, the scale of kronfluence
	Absolute Scale = "absolute" // 1
)

// Scales lists them.
func Scales() []Scale { return []Scale{Weighted, ByModule, Absolute} }

// Damping is what is added to the eigenvalues of H: Value times a scale.
type Damping struct {
	Scale Scale   // default Weighted
	Value float64 // default 0.003 of Weighted, 0.1 of ByModule (as kronfluence has it)
}

func (d *Damping) validate() error {
	if d.Scale != "" && !slices.Contains(Scales(), d.Scale) {
		return dataError("damping", "must be measured by one of %v, not %q", Scales(), d.Scale)
	}
	if v := d.Value; !(v >= 0) || v-v != 0 {
		return dataError("damping", "must be a finite number that is not negative, not %v", v)
	}
	return nil
}

// of returns what is added to the eigenvalues of each module.
func (d *Damping) of(modules []Matrix[float64]) []float64 {
	value, adds := d.Value, make([]float64, len(modules))
	var sum, squares float64
	for k, m := range modules {
		var own float64
		for _, v := range m.Data {
			own += v
			squares += v * v
		}
		sum += own
		adds[k] = cmp.Or(value, 0.1) * own / float64(len(m.Data))
	}
	if d.Scale == ByModule {
		return adds
	}
	if d.Scale != Absolute {
		value = cmp.Or(value, 0.003) * squares / max(sum, math.SmallestNonzeroFloat64)
	}
	for k := range adds {
		adds[k] = value
	}
	return adds
}

// Options say how curvature is approximated. The zero value is EKFAC of the exact Gauss-Newton matrix with damping relative to its eigenvalues.
type Options struct {
	Preconditioner Preconditioner     // default EKFAC
	Damping        Damping            // of all but Identity
	Curvature      curvature.Settings // which vectors, how positions share weights; Skip leaves blocks out that have no Kronecker factors
	Modules        []string           // the weight blocks that count, and give damping its scale; default all
	// ModuleCount is the number of modules whose factors are collected and decomposed at a time, each group in passes of its own; default all. It changes
	// memory, not scores.
	ModuleCount int
	// Total is the number of examples that the network was trained on, if the curvature is estimated from only some of them.
	Total int
}

// Validate reports the first option that has a value that it cannot have.
func (o *Options) Validate() error {
	if o.Preconditioner != "" && !slices.Contains(Preconditioners(), o.Preconditioner) {
		return dataError("preconditioner", "must be one of %v, not %q", Preconditioners(), o.Preconditioner)
	}
	if err := o.Damping.validate(); err != nil {
		return err
	}
	if o.ModuleCount < 0 {
		return dataError("module count", "must not be negative, not %d", o.ModuleCount)
	}
	if o.Curvature.Only != nil {
		return dataError("only", "is not a choice of modules; use Modules")
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
	return e, nil
}

// precondition sets the modules.
func (e *Estimator[T]) precondition(r *curvature.Risk[T], o *Options) error {
	blocks, skipped, err := modulesOf(r.Net, o.Curvature.Skip)
	if err != nil {
		return err
	}
	e.skipped = skipped
	if blocks, err = chosen(blocks, o.Modules); err != nil {
		return err
	}
	if e.kind == EKFAC || e.kind == KFAC {
		values, err := e.decompose(r, o, blocks)
		if err != nil {
			return err
		}
		return e.invert(values, o.Damping)
	}
	diagonal := make([]float64, r.Dim())
	if e.kind == Diagonal {
		if diagonal, err = curvature.GGNDiagonal(r, o.Curvature); err != nil {
			return err
		}
	}
	var all []Matrix[float64]
	for _, f := range blocks {
		values := dense.New[float64](f.Dims())
		f.Gather(diagonal, values)
		all = append(all, values)
		e.modules = append(e.modules, module[T]{Factors: f, scale: ones[T](f.Dims())})
	}
	if e.kind == Identity {
		return nil
	}
	return e.invert(all, o.Damping)
}

// decompose makes the modules with the eigenbases of the blocks, some of them at a time, and returns the eigenvalues.
func (e *Estimator[T]) decompose(r *curvature.Risk[T], o *Options, blocks []curvature.Factors) (values []Matrix[float64], err error) {
	settings, each := o.Curvature, o.ModuleCount
	if each == 0 {
		each = max(1, len(blocks))
	}
	collect := curvature.CollectEKFAC[T]
	if e.kind == KFAC {
		collect = decomposed[T]
	}
	for part := range slices.Chunk(blocks, each) {
		settings.Only = nil
		for _, f := range part {
			settings.Only = append(settings.Only, f.Name())
		}
		eigen, err := collect(r, settings)
		if err != nil {
			return nil, err
		}
		for _, f := range part {
			k := slices.IndexFunc(eigen.Blocks, func(g curvature.Factors) bool { return g.Name() == f.Name() })
			s := &eigen.Spectra[k]
			e.modules = append(e.modules, module[T]{Factors: f, qb: converted[T](s.QB), qa: converted[T](s.QA)})
			values = append(values, s.Values)
		}
	}
	return values, nil
}

// invert sets the scales of the modules to 1/(values + damping) and refuses what has no inverse in T.
func (e *Estimator[T]) invert(all []Matrix[float64], d Damping) error {
	adds := d.of(all)
	for k, values := range all {
		m, top := &e.modules[k], slices.Max(values.Data)
		m.scale = dense.New[T](values.Rows, values.Cols)
		for i, v := range values.Data {
			damped := v + adds[k]
			m.scale.Data[i] = T(1 / damped)
			if s := m.scale.Data[i]; !(damped > (top+adds[k])*float64(len(values.Data))*0x1p-52) || s-s != 0 {
				return &curvature.SingularError{Block: m.Name(), Damping: adds[k]}
			}
		}
	}
	return nil
}

// chosen returns the named blocks, or all.
func chosen(blocks []curvature.Factors, names []string) (some []curvature.Factors, err error) {
	if names == nil {
		return blocks, nil
	}
	for _, name := range names {
		k := slices.IndexFunc(blocks, func(f curvature.Factors) bool { return f.Name() == name })
		if k < 0 {
			var all []string
			for i := range blocks {
				all = append(all, blocks[i].Name())
			}
			return nil, dataError("module "+name, "the network has no such module; it has %v", all)
		}
		some = append(some, blocks[k])
	}
	if len(some) == 0 {
		return nil, dataError("modules", "there are none")
	}
	return some, nil
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
	if n == nil || n.Root == nil {
		return nil, nil, errNoNetwork
	}
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
