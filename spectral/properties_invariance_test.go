package spectral

import (
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// stateOf makes a factor from its parts and fails the test if that is impossible.
func stateOf(t testing.TB, b *mat.Dense, d []float64) *Factor {
	t.Helper()
	f, err := FromEigen(b, d)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// inverseOf returns S^-1 with the same basis.
func inverseOf(t testing.TB, f *Factor) *Factor {
	d := make([]float64, f.Dim())
	for i, v := range f.Eigenvalues() {
		d[i] = 1 / v
	}
	return stateOf(t, f.Basis(), d)
}

func symmetrised(m mat.Matrix) *mat.SymDense {
	n, _ := m.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
	}
	return s
}

func conjugate(a, s mat.Matrix) *mat.SymDense {
	var p mat.Dense
	p.Product(a, s, a.T())
	return symmetrised(&p)
}

// exactModes are the rules under which the step commutes with inversion exactly.
var exactModes = map[string]Step{
	"bounded angle": {Eigenvalues: Exponential},
	"half angle":    {Eigenvalues: Exponential, Rotation: HalfAngle},
	"published":     {Eigenvalues: Exponential, Rotation: TiesToZero, FrobeniusCap: 0.5},
	"tight clip":    {Eigenvalues: Exponential, MaxExponent: 0.02},
}

func TestProperty08Invariances(t *testing.T) {
	const n, beta = 6, 0.05
	r := newRand(t, 8)
	f, g := randFactor(t, r, n, 30), randSym(r, n)
	for name, o := range ordered(exactModes) {
		plain := stepped(f, g, beta, o)
		// Learning Z = S^-1 with G_Z = -S G S.
		z := stepped(inverseOf(t, f), negated(sgs(formed(f), g)), beta, o)
		if e := relDiff(formed(inverseOf(t, z)), formed(plain)); e > 1e-12 {
			t.Errorf("%s: learning the inverse differs by %.2g", name, e)
		}
		if e := mat.Norm(sub(z.Basis(), plain.Basis()), 2); e > 1e-12 {
			t.Errorf("%s: the basis of the inverse differs by %.2g", name, e)
		}
	}
	for _, o := range ordered(exactModes) {
		invariances(t, f, g, beta, o)
	}
	invariances(t, f, g, beta, defaultMode)
	congruenceIsFirstOrder(t, f, g)
	squareIsNotInvariant(t, f, g)
}

func stepped(f *Factor, g mat.Symmetric, beta float64, o Step) *Factor {
	c := f.Clone()
	c.Update(Gradient(g, beta, 2), &o)
	return c
}

func negated(m *mat.Dense) *mat.SymDense {
	m.Scale(-1, m)
	return symmetrised(m)
}

// invariances checks rotation, scale, permutation and signs.
func invariances(t *testing.T, f *Factor, g *mat.SymDense, beta float64, o Step) {
	t.Helper()
	n := f.Dim()
	r := newRand(t, 88)
	plain := formed(stepped(f, g, beta, o))
	rot := randOrthogonal(r, n)
	var rb mat.Dense
	rb.Mul(rot, f.Basis())
	rotated := stepped(stateOf(t, &rb, f.Eigenvalues()), conjugate(rot, g), beta, o)
	if e := relDiff(formed(rotated), conjugate(rot, plain)); e > 1e-12 {
		t.Errorf("rotation: %.2g", e)
	}
	const c = 37.5
	d := slices.Clone(f.Eigenvalues())
	for i := range d {
		d[i] *= c
	}
	gc, want := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	gc.ScaleSym(1/c, g)
	want.ScaleSym(c, plain)
	if e := relDiff(formed(stepped(stateOf(t, f.Basis(), d), gc, beta, o)), want); e > 1e-12 {
		t.Errorf("scale: %.2g", e)
	}
	pb, pd := mat.NewDense(n, n, nil), make([]float64, n)
	for i, p := range r.Perm(n) {
		sign := float64(1 - 2*r.IntN(2))
		for k := range n {
			pb.Set(k, i, sign*f.Basis().At(k, p))
		}
		pd[i] = f.Eigenvalues()[p]
	}
	if e := relDiff(formed(stepped(stateOf(t, pb, pd), g, beta, o)), plain); e > 1e-12 {
		t.Errorf("permutation and signs: %.2g", e)
	}
}

func congruenceIsFirstOrder(t *testing.T, f *Factor, g *mat.SymDense) {
	n := f.Dim()
	r := newRand(t, 89)
	a := randDense(r, n, n)
	var inv mat.Dense
	if err := inv.Inverse(a); err != nil {
		t.Fatal(err)
	}
	moved, err := FromSym(conjugate(a, formed(f)))
	if err != nil {
		t.Fatal(err)
	}
	gm := conjugate(inv.T(), g)
	wantSecondOrder(t, "congruence", func(beta float64) float64 {
		return relDiff(formed(stepped(moved, gm, beta, defaultMode)), conjugate(a, formed(stepped(f, g, beta, defaultMode))))
	})
}

// The metric re-imposed on Z = S^2 gives another flow: if this matched, the invariance tests above would show nothing.
func squareIsNotInvariant(t *testing.T, f *Factor, g *mat.SymDense) {
	const beta = 1e-4
	sq := make([]float64, f.Dim())
	for i, v := range f.Eigenvalues() {
		sq[i] = v * v
	}
	z := stateOf(t, f.Basis(), sq)
	// dL/dZ for L(S), S = Z^(1/2): in the eigenbasis G_ij/(s_i + s_j).
	var h mat.Dense
	h.Product(f.Basis().T(), g, f.Basis())
	for i, si := range f.Eigenvalues() {
		for j, sj := range f.Eigenvalues() {
			h.Set(i, j, h.At(i, j)/(si+sj))
		}
	}
	z = stepped(z, conjugate(f.Basis(), &h), beta, defaultMode)
	var root mat.SymDense
	z.PowSym(0.5, &root)
	if e := relDiff(&root, formed(stepped(f, g, beta, defaultMode))); e < 0.05*beta {
		t.Errorf("learning S^2 agrees with learning S to %.2g: the invariance tests are vacuous", e)
	}
}
