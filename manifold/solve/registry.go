package solve

import (
	"fmt"
	"strings"

	"github.com/spdopt/spdopt/manifold"
)

// Minimize is the signature of every solver. The start is not changed. The error is about the input or a broken step; a run that merely did
// not converge returns a Result that says so.
type Minimize func(m manifold.Manifold, f Objective, start manifold.Point, o *Options) (*Result, error)

// Solver is one entry of the registry.
type Solver struct {
	Name string // as used on the command line
	What string // one line
	// Needs says what the objective must offer beyond cost and gradient; empty for the solvers that run on every objective.
	Needs string
	Run   Minimize
}

// Solvers returns every solver for general smooth objectives, in a fixed order.
func Solvers() []Solver { return []Solver{steepest, lbfgs, trust, cg, arc} }

// Special returns the solvers for objectives of a special kind, in a fixed order.
func Special() []Solver {
	return []Solver{bfgs, gaussNewton, nelderMead, swarm, blackBox, sgd, adam, svrg, proximal, augmented, exactPenalty, barrier, frankWolfe}
}

// ByName returns the solver with the given name, general or special.
func ByName(name string) (Solver, error) {
	var known []string
	for _, s := range append(Solvers(), Special()...) {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Solver{}, fmt.Errorf("solve: unknown solver %q, want one of %s", name, strings.Join(known, ", "))
}
