package problem

import (
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/manifold"
)

// Resumes tells whether the method and metric of the options make one run of a solver of package solve, whose state Options.Solver.Checkpoint is
// given and Options.Solver.Restore goes on from, with the bits of the run that was not interrupted. Every general solver, cma, and the cross-checks
// by trust region and L-BFGS do; the specialised iterations, which are over in a few passes, call no Checkpoint and start again: their Restore is a
// *ResumeError. Data and options must be the same, and with cma the seed of the sampler.
func (p Problem) Resumes(o *Options) bool {
	if o == nil {
		o = &Options{}
	}
	if o.elsewhere() {
		return p.prepare != nil && p.Name != mean.Name && p.Name != median.Name
	}
	m, err := p.method(o.Method)
	return err == nil && m.resumes
}

// Resumable returns the names of the methods that resume, see Resumes.
func (p Problem) Resumable() []string {
	names := p.Methods()
	if p.TakesSampler() {
		names = append(names, sampled.Name)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !p.Resumes(&Options{Method: name}) })
}

// ResumeError says that a method cannot go on from a state.
type ResumeError struct{ Problem, Method string }

func (*ResumeError) aboutOptions() {}

// Error names the method and says what to do.
func (e *ResumeError) Error() string {
	return fmt.Sprintf("%s by %s does not resume: run it again from the start, or use one of the general solvers", e.Problem, e.Method)
}

// historian is implemented by instances whose answers depend, within rounding or the accuracy of a preconditioner, on the points evaluated before. A run that can be resumed must not: it
// forgets, and recalls what it may know of the first point, which is the same whenever the run goes on.
type historian interface {
	forget()
	recall(first *manifold.Frame)
}

var (
	_ historian = (*karcherObjective)(nil)
	_ historian = (*medianObjective)(nil)
	_ historian = (*riccatiObjective)(nil)
)
