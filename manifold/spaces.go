package manifold

// Space describes a manifold other than all SPD matrices of one size, or a set of them with a structure.
type Space struct {
	Name string // one word
	What string // one line
	// New returns an instance of order n. Spaces with more parameters have a constructor of their own; New then chooses them as What says.
	New func(n int) (Manifold, error)
}

// Spaces returns every space, in a fixed order.
func Spaces() []Space {
	return []Space{
		product,
		positive,
		fixedDeterminant,
		orthogonal,
		hermitian,
		blockDiagonal,
		kronecker,
		banded,
		oblique,
		correlation,
		generalizedBures,
		simplex,
	}
}
