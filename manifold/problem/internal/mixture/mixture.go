// Package mixture fits Gaussian mixtures by maximum likelihood. Samples are whitened once; a mixture starts from the best of some short runs of EM and climbs by steps of
// EM to the largest likelihood over a plane, in as low a precision as its gradient allows. The same likelihood over lifted matrices is for general solvers.
package mixture

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// component is a share pi and the triangular factor F = [1 0; m L] of the lifted matrix S = [1 m'; m Sigma + m m'], Sigma = L L', with its inverse.
// Between steps the corner s of S need not be 1: the density is then that of the Gaussian times s^-1/2 exp((1 - 1/s)/2).
type component struct {
	share      float64
	l, inverse dense.Matrix[float64]
}

func newComponent(share float64, d int) component {
	c := component{share, dense.New[float64](d, d), dense.New[float64](d, d)}
	c.l.Identity()
	c.inverse.Identity()
	return c
}

// invert sets the inverse to that of the factor.
func (c *component) invert() {
	c.inverse.Copy(c.l)
	dense.InvertLower(c.inverse)
}

// stage is the precision of what is done with the samples.
type stage int

const (
	rounded stage = iota
	single
	double
	exact // products with whitened samples in double precision
)

// Mixture is a Gaussian mixture on samples with, after expect, responsibilities r, their means and R = mean r_i z z' for every component, z = F^-1 y.
// The next component of EM has the mean responsibility for its share and the lifted matrix F R F' over that.
type Mixture struct {
	*Samples
	parts     []component
	next      []component           // of fit
	fitting   dense.Parallel        // fitPart
	counts    []float64             // mean responsibilities
	forms     dense.Matrix[float64] // components x samples: |z|^2, less what is the same for all components of a sample
	base      float64               // mean of that over the samples
	resp      dense.Matrix[float64] // components x samples
	r         []dense.Matrix[float64]
	scales    []float64 // logarithms of what weighted densities have before exp(-y'Py/2)
	weighing  *sharing  // weighBlock
	top, sum  []float64 // of the samples, scratch
	ones      []float64
	one, work dense.Matrix[float64]   // scratch, (n+1) x (n+1)
	change    dense.Matrix[float64]   // and a difference of P
	inverses  []dense.Matrix[float64] // P or its changes
	passes    [double + 1]samplePass
	totals    [double + 1]dense.Matrix[float64] // moments of all samples in that precision
	products  *productPass[float64]
	stage     stage
}

func newMixture(s *Samples, k int) *Mixture {
	N, d, blocks := s.y.Rows, s.y.Cols, newSampleBlocks(s.y)
	square := func() dense.Matrix[float64] { return dense.New[float64](d, d) }
	g := &Mixture{Samples: s, one: square(), work: square(), change: square(), products: newProductPass[float64](blocks), counts: make([]float64, k),
		scales: make([]float64, k), forms: dense.New[float64](k, N), resp: dense.New[float64](k, N), top: make([]float64, N), sum: make([]float64, N), ones: slices.Repeat([]float64{1}, N)}
	g.weighing = newSharing(N, g.weighBlock)
	g.fitting.Task = dense.PartFunc(g.fitPart)
	g.passes[rounded], g.passes[single] = newLowPasses(blocks)
	g.passes[double] = g.products
	for i, p := range g.passes {
		g.totals[i] = square()
		p.moment(g.ones, g.totals[i])
	}
	for range k {
		g.parts, g.next = append(g.parts, newComponent(1/float64(k), d)), append(g.next, newComponent(0, d))
		g.r, g.inverses = append(g.r, square()), append(g.inverses, square())
	}
	return g
}

// components returns a copy of the components.
func (g *Mixture) components() []component {
	var out []component
	for _, p := range g.parts {
		out = append(out, component{p.share, p.l.Clone(), p.inverse.Clone()})
	}
	return out
}

func copyComponents(to, from []component) {
	for c, p := range from {
		to[c].share = p.share
		to[c].l.Copy(p.l)
		to[c].inverse.Copy(p.inverse)
	}
}

// expect does what EM does with the samples, and returns their mean log-likelihood in the coordinates that they came in.
func (g *Mixture) expect() float64 {
	value := g.respond()
	g.collect(g.precision())
	g.resolve()
	return value
}

// respond sets the responsibilities and returns the mean log-likelihood.
func (g *Mixture) respond() float64 {
	g.measure()
	for c, p := range g.parts {
		g.scales[c] = g.scale(p.share, -dense.LogDetSquare(p.l))
	}
	return g.weigh()
}

// weigh turns forms into responsibilities and returns the mean log-likelihood.
func (g *Mixture) weigh() float64 { return g.weighing.run().value/float64(g.y.Rows) - g.base/2 }

// measure sets the forms.
func (g *Mixture) measure() {
	p := g.precision()
	if p == exact {
		g.squares()
		return
	}
	for c, part := range g.parts {
		dense.MulLower(dense.Transposed, part.inverse, part.inverse, g.inverses[c])
	}
	g.base = g.differences(p, g.inverses, g.forms)
}

// squares sets the forms where components are small.
func (g *Mixture) squares() {
	for c, part := range g.parts {
		g.products.squares(part.inverse, g.forms.Row(c))
	}
	g.base = 0
}

// differences sets q to the y'Py less those of the last component, and returns the mean of these, which comes of the moment of all samples: only differences between
// components count for the responsibilities.
func (g *Mixture) differences(p stage, inverses []dense.Matrix[float64], q dense.Matrix[float64]) float64 {
	last := len(inverses) - 1
	common := inverses[last].Data
	clear(q.Row(last))
	for c, inverse := range inverses[:last] {
		dense.Blend(1, inverse.Data, -1, common, g.change.Data)
		g.passes[p].forms(g.change, q.Row(c))
	}
	return dense.Dot(common, g.totals[p].Data)
}

// precision is that of the stage, or a higher one where components are too small for that.
func (g *Mixture) precision() stage {
	least := 1.0
	for _, p := range g.parts {
		for i := range p.l.Rows {
			least = min(least, p.l.At(i, i))
		}
	}
	return g.needed(least)
}

// needed is the precision for components with that least deviation in a direction.
func (g *Mixture) needed(least float64) stage {
	switch {
	case least < deviations[single]:
		return exact
	case least < deviations[rounded]:
		return max(g.stage, single)
	}
	return g.stage
}

// scale returns the logarithm of what the density of a component times its share has before exp(-y'Py/2).
func (g *Mixture) scale(share, logDet float64) float64 {
	return math.Log(share) + (1-float64(g.y.Cols-1)*math.Log(2*math.Pi)-g.pooled.LogDet()+logDet)/2
}

// collect sets the means of the responsibilities, and for R what moments makes of them.
func (g *Mixture) collect(p stage) { g.moments(p, g.resp, 1, g.count(), g.r) }

// count sets the means of the responsibilities and returns the largest component.
func (g *Mixture) count() int {
	largest := 0
	for c := range g.parts {
		g.counts[c] = dense.Dot(g.resp.Row(c), g.ones) / float64(g.y.Rows)
		if g.counts[c] > g.counts[largest] {
			largest = c
		}
	}
	return largest
}

// moments sets m to the means of the w_i y y' for weights of components x samples, which sum to total for each sample, so that those of one component are what the
// others leave; where components are small, to the means of the w_i z z'.
func (g *Mixture) moments(p stage, weights dense.Matrix[float64], total float64, rest int, m []dense.Matrix[float64]) {
	if p == exact {
		for c, part := range g.parts {
			g.products.whitenedMoment(part.inverse, weights.Row(c), m[c])
		}
		return
	}
	dense.Scale(total, g.totals[p].Data, m[rest].Data)
	for c := range g.parts {
		if c != rest {
			g.passes[p].moment(weights.Row(c), m[c])
			dense.Axpy(-1, m[c].Data, m[rest].Data)
		}
	}
}

// resolve sets R after collect.
func (g *Mixture) resolve() {
	p := g.precision()
	if p == exact {
		return
	}
	if g.whiten(g.r); !g.resolved(p) {
		g.sharpen()
	}
}

// resolved tells whether R tells the size of the next components.
func (g *Mixture) resolved(p stage) bool {
	for c, part := range g.parts {
		if g.root(c) != nil {
			return false
		}
		for i := range g.one.Rows {
			if g.one.At(i, i)*part.l.At(i, i) < deviations[p] {
				return false
			}
		}
	}
	return true
}

// sharpen sets R by whitened samples in double precision.
func (g *Mixture) sharpen() {
	for c, part := range g.parts {
		g.products.whitenedMoment(part.inverse, g.resp.Row(c), g.r[c])
	}
}

// whiten turns what moments has set into the means of the w_i z z'.
func (g *Mixture) whiten(m []dense.Matrix[float64]) {
	for c, p := range g.parts {
		dense.MulLower(dense.NoTrans, p.inverse, m[c], g.work)
		dense.MulLowerRight(dense.Transposed, p.inverse, g.work, m[c])
	}
}

// changes sets q to what the forms change by along changes of the P that the factors whiten to w, less what is the same for all components of a sample.
func (g *Mixture) changes(p stage, w []dense.Matrix[float64], q dense.Matrix[float64]) {
	if p == exact {
		g.whitenedChanges(w, q)
		return
	}
	for c, part := range g.parts {
		dense.MulLower(dense.Transposed, part.inverse, w[c], g.work)
		dense.MulLowerRight(dense.NoTrans, part.inverse, g.work, g.inverses[c])
	}
	g.differences(p, g.inverses, q)
}

// whitenedChanges is changes where components are small.
func (g *Mixture) whitenedChanges(w []dense.Matrix[float64], q dense.Matrix[float64]) {
	for c, part := range g.parts {
		g.products.whitenedForms(part.inverse, w[c], q.Row(c))
	}
}

// fit makes the step of EM after collect.
func (g *Mixture) fit() error {
	p := g.precision()
	if p == exact {
		return g.maximize()
	}
	if g.fitting.Run(len(g.parts)); !g.fitted(p) {
		g.sharpen()
		return g.maximize()
	}
	g.parts, g.next = g.next, g.parts
	for c := range g.parts {
		if err := g.spread(c); err != nil {
			return err
		}
	}
	return nil
}

// fitPart sets the next component to what its moment says, with no share where it says nothing.
func (g *Mixture) fitPart(c int) {
	n := &g.next[c]
	n.share = 0
	if g.enough(c, g.counts[c]) != nil {
		return
	}
	dense.Scale(1/g.counts[c], g.r[c].Data, n.l.Data)
	if dense.Cholesky(n.l) >= 0 {
		return
	}
	n.share = g.counts[c]
	n.invert()
}

// fitted tells whether the moments tell the size of the next components.
func (g *Mixture) fitted(p stage) bool {
	for _, n := range g.next {
		if n.share == 0 {
			return false
		}
		for i := range n.l.Rows {
			if n.l.At(i, i) < deviations[p] {
				return false
			}
		}
	}
	return true
}

// maximize makes the step of EM.
func (g *Mixture) maximize() error {
	for c := range g.parts {
		if err := g.root(c); err != nil {
			return err
		}
		if err := g.replace(c, g.counts[c]); err != nil {
			return err
		}
	}
	return nil
}

// root sets one to the factor of R, or the moment, over the mean responsibility.
func (g *Mixture) root(c int) error {
	if err := g.enough(c, g.counts[c]); err != nil {
		return err
	}
	dense.Scale(1/g.counts[c], g.r[c].Data, g.one.Data)
	if dense.Cholesky(g.one) >= 0 {
		return collapsed(c)
	}
	return nil
}

func collapsed(c int) error {
	return fmt.Errorf("component %d collapsed: its covariance is not positive definite", c)
}

// replace multiplies the factor of component c by the triangular matrix one, and sets its share.
func (g *Mixture) replace(c int, share float64) error {
	p := &g.parts[c]
	dense.MulLower(dense.NoTrans, p.l, g.one, g.work)
	p.l.Copy(g.work)
	p.invert()
	p.share = share
	return g.spread(c)
}

// enough tells whether a component of that share has samples.
func (g *Mixture) enough(c int, share float64) error {
	if !(share*float64(g.y.Rows) > float64(g.y.Cols-1)*1e-3) {
		return fmt.Errorf("component %d has lost its samples", c)
	}
	return nil
}

// leastDeviation is the smallest standard deviation of a component in any direction given the others, relative to that of all samples.
const leastDeviation = 1e-8

// deviations are those from which on forms in bfloat16 are accurate to a tenth, forms in single precision to a thousandth, and moments in double precision to a millionth.
var deviations = [exact]float64{1. / 4, 1. / 32, 1e-5}

// spread tells whether component c has a volume.
func (g *Mixture) spread(c int) error {
	for i := range g.y.Cols {
		if err := g.volume(c, g.parts[c].l.At(i, i)); err != nil {
			return err
		}
	}
	return nil
}

// volume tells whether component c has a volume with that standard deviation in one direction.
func (g *Mixture) volume(c int, deviation float64) error {
	if !(deviation > leastDeviation) {
		return fmt.Errorf("component %d collapsed: its spread in one direction is %.2g of that of the samples", c, deviation)
	}
	return nil
}

// gradient returns the Riemannian gradient norm of the negative mean log-likelihood, in weights (as logarithms) and in lifted matrices
// S_c (Hosseini and Sra, Math. Program. 181 (2020)): with the mean responsibility p the whitened one of S_c is (p I - R)/2, and p less the share that of the weight.
func (g *Mixture) gradient() (float64, error) {
	var square float64
	for c, r := range g.r {
		for i := range r.Rows {
			for j, v := range r.Row(i) {
				if i == j {
					v -= g.counts[c]
				}
				square += v * v / 4
			}
		}
		w := g.counts[c] - g.parts[c].share
		square += w * w
	}
	if math.IsNaN(square) {
		return 0, errors.New("the likelihood is not finite")
	}
	return math.Sqrt(square), nil
}
