package solve

import (
	"fmt"

	"github.com/spdopt/spdopt/manifold"
)

// Minimize is the signature of every solver. The start is not changed. The error is about the input or a broken step; a run that merely did
// not converge returns a Result that says so.
type Minimize func(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error)

// Solver is one entry of the registry.
type Solver struct {
	Name string // as used on the command line
	What string // one line
	Run  Minimize
}

// Solvers returns every solver, in a fixed order.
func Solvers() []Solver { return []Solver{steepest, lbfgs, trust} }

// ByName returns the solver with the given name.
func ByName(name string) (Solver, error) {
	for _, s := range Solvers() {
		if s.Name == name {
			return s, nil
		}
	}
	return Solver{}, fmt.Errorf("solve: unknown solver %q", name)
}
