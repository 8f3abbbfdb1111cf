package solve

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

var cg = Solver{
	Name: "cg",
	What: "nonlinear conjugate gradients with a choice of beta and a strong Wolfe line search; first derivatives, four vectors of memory",
	Run:  ConjugateGradient,
}

// Beta names the rule by which ConjugateGradient mixes the last direction d into the next one, d+ = -z+ + beta d. Below g is the gradient, z
// the preconditioned gradient (g itself without a Preconditioner), y = g+ - g, and old vectors are carried to the new point.
type Beta int

const (
	// HybridBeta is max(0, min(HS, DY)) (Dai and Yuan, Ann. Oper. Res. 103 (2001) 33-47): the speed of HS with the descent of DY. The default.
	HybridBeta Beta = iota
	// FletcherReeves is <g+,z+>/<g,z> (Comput. J. 7 (1964) 149-154).
	FletcherReeves
	// PolakRibiere is max(0, <z+,y>/<g,z>), known as PR+ (Gilbert and Nocedal, SIAM J. Optim. 2 (1992) 21-42).
	PolakRibiere
	// HestenesStiefel is max(0, <z+,y>/<d,y>), known as HS+.
	HestenesStiefel
	// DaiYuan is <g+,z+>/<d,y> (SIAM J. Optim. 10 (1999) 177-182).
	DaiYuan
	// HagerZhang is (<z+,y> - 2 <d,g+> <y,Py>/<d,y>)/<d,y>, P the preconditioner, bounded below by -1/(|d| min(0.01, |g|))
	// (SIAM J. Optim. 16 (2005) 170-192, equations 1.3 to 1.6).
	HagerZhang
)

// betas lists the names in the order of the constants.
var betas = [...]string{"hybrid", "fletcher-reeves", "polak-ribiere", "hestenes-stiefel", "dai-yuan", "hager-zhang"}

// String returns the name of the rule.
func (b Beta) String() string {
	if b < 0 || int(b) >= len(betas) {
		return "unknown"
	}
	return betas[b]
}

// Betas returns every rule, the default first.
func Betas() []Beta {
	all := make([]Beta, len(betas))
	for i := range all {
		all[i] = Beta(i)
	}
	return all
}

const (
	conjugateFlatness = 0.3   // sigma of the strong Wolfe condition: conjugacy wants a better minimum along the line than a quasi-Newton step
	descentAngle      = 1e-10 // a direction whose cosine with the negative gradient is below this is replaced by the gradient's
	orthogonality     = 0.2   // Powell's restart of FletcherReeves and DaiYuan: successive gradients further from orthogonal than this
	truncation        = 0.01  // eta of the lower bound of HagerZhang
)

// ConjugateGradient runs the Riemannian nonlinear conjugate gradient method (Sato, Comput. Optim. Appl. 64 (2016) 101-118) with the rule
// Options.Beta. Where transport is not free two vectors are carried per iteration (three with a Preconditioner). A direction that does not
// descend, or a line search that fails, restarts the method from the gradient; so do gradients that are not nearly orthogonal under
// FletcherReeves and DaiYuan. With a Preconditioner the last direction is forgotten after a step along which the curvature changes, and the first step need not flatten the cost.
func ConjugateGradient(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error) {
	r, err := begin("cg", m, f, start, o)
	if err != nil {
		return nil, err
	}
	r.flatness, r.strong = conjugateFlatness, true
	c := newConjugate(r)
	if err := c.restart(); err != nil {
		return nil, err
	}
	if err := r.keep(c.fields); err != nil {
		return nil, err
	}
	for !r.done() {
		norm := math.Sqrt(m.Inner(r.x.point, c.d, c.d))
		if !(c.first > 0) {
			c.first = r.firstTrial(norm)
		}
		t, ok, err := r.lineSearch(c.d, c.slope, c.first, r.x.cost, r.prec == nil || !c.fresh)
		if err != nil {
			return nil, err
		}
		if !ok {
			if c.fresh {
				r.stalled("no step along the gradient decreases the cost")
				break
			}
			if err := c.restart(); err != nil {
				return nil, err
			}
			continue
		}
		r.accept(t * norm)
		if err := c.next(t); err != nil {
			return nil, err
		}
	}
	return r.result()
}

// conjugate is the direction and what the next one is made from.
type conjugate struct {
	r        *run
	d        []float64
	z, zNext []float64 // preconditioned gradients; the gradients themselves without preconditioner
	slope    float64   // <d, gradient>
	first    float64   // first trial along d; 0 if nothing is known
	fresh    bool      // d is minus the preconditioned gradient
}

func newConjugate(r *run) *conjugate {
	n := len(r.x.grad)
	c := &conjugate{r: r, d: r.vector(n)}
	if r.prec != nil {
		c.z, c.zNext = r.vector(n), r.vector(n)
	}
	return c
}

func (c *conjugate) fields(k *codec) {
	k.identity("Beta", c.r.o.Beta.String())
	k.vector(c.d)
	k.vector(c.z)
	k.float(&c.slope)
	k.float(&c.first)
	k.flag(&c.fresh)
}

// restart points d along minus the preconditioned gradient at x.
func (c *conjugate) restart() error {
	r := c.r
	z := r.x.grad
	if r.prec != nil {
		if err := r.precondition(c.z, r.x.grad); err != nil {
			return err
		}
		z = c.z
	}
	c.steepest(z)
	c.first = 0
	return nil
}

func (c *conjugate) steepest(z []float64) {
	dense.Scale(-1, z, c.d)
	c.slope, c.fresh = c.r.m.Inner(c.r.x.point, c.d, c.r.x.grad), true
}

// next replaces d by the direction at x after a step t along d. The old gradient is in y. The first trial is the step that would lower the cost, to first order, as much
// as the last one (Nocedal and Wright, Numerical Optimization, 2006, section 3.5), which grows without end where convergence is faster than linear: so it is at most t or,
// with a Preconditioner, 1, as of Newton's method.
func (c *conjugate) next(t float64) error {
	r, p := c.r, c.r.x.point
	r.carry(c.d)
	r.carry(r.y.grad)
	z, zOld := r.x.grad, r.y.grad
	if r.prec != nil {
		r.carry(c.z)
		if err := r.precondition(c.zNext, r.x.grad); err != nil {
			return err
		}
		z, zOld = c.zNext, c.z
	}
	decrease, beta := t*c.slope, c.beta(z, zOld)
	if beta-beta != 0 {
		return fmt.Errorf("solve: iteration %d: beta %v is %v; the gradient or the preconditioner is not finite", r.status.Iteration, r.o.Beta, beta)
	}
	if r.prec != nil && r.bent(t, c.slope, r.m.Inner(p, c.d, r.x.grad)) {
		beta = 0
	}
	dense.Blend(-1, z, beta, c.d, c.d)
	c.slope, c.fresh = r.m.Inner(p, c.d, r.x.grad), false
	if !(c.slope < -descentAngle*r.status.GradientNorm*math.Sqrt(r.m.Inner(p, c.d, c.d))) {
		c.steepest(z)
	}
	longest := t
	if r.prec != nil {
		longest = 1
	}
	c.first = min(decrease/c.slope, longest)
	c.z, c.zNext = c.zNext, c.z
	return nil
}

// jammed says that successive gradients are far from orthogonal: the rules without y in the numerator then take short steps for ever
// (Powell, Math. Program. 12 (1977) 241-254).
func (c *conjugate) jammed(gz float64, zOld []float64) bool {
	return math.Abs(c.r.m.Inner(c.r.x.point, c.r.x.grad, zOld)) > orthogonality*gz
}

// beta returns the weight of d for the preconditioned gradients z at x and zOld at y, all carried to x.
func (c *conjugate) beta(z, zOld []float64) float64 {
	r, p := c.r, c.r.x.point
	g, old := r.x.grad, r.y.grad
	gz, zy := r.m.Inner(p, g, z), r.m.Inner(p, z, g)-r.m.Inner(p, z, old)
	dg := r.m.Inner(p, c.d, g)
	dy := dg - c.slope
	switch r.o.Beta {
	case FletcherReeves:
		if c.jammed(gz, zOld) {
			return 0
		}
		return gz / r.m.Inner(p, old, zOld)
	case PolakRibiere:
		return max(0, zy/r.m.Inner(p, old, zOld))
	}
	if !(dy > 0) {
		return 0
	}
	switch r.o.Beta {
	case HestenesStiefel:
		return max(0, zy/dy)
	case DaiYuan:
		if c.jammed(gz, zOld) {
			return 0
		}
		return gz / dy
	case HagerZhang:
		ypy := gz - r.m.Inner(p, g, zOld) - r.m.Inner(p, old, z) + r.m.Inner(p, old, zOld)
		dd, oldNorm := r.m.Inner(p, c.d, c.d), math.Sqrt(r.m.Inner(p, old, old))
		return max((zy-2*dg*ypy/dy)/dy, -1/(math.Sqrt(dd)*min(truncation, oldNorm)))
	default:
		return max(0, min(zy, gz)/dy)
	}
}
