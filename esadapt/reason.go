package esadapt

// Code names a reason to stop; the spelling is part of the interface (JSON output, documentation).
type Code string

// The reasons to stop. The tolerances are those of Options.Tolerances.
const (
	TargetReached   Code = "target"           // the value asked for was found
	BudgetUsed      Code = "max-evaluations"  // MaxEvaluations were told
	GenerationsUsed Code = "max-generations"  // the generation limit of the run
	TolX            Code = "tol-x"            // all standard deviations and the evolution path below TolX
	TolUpX          Code = "tol-up-x"         // a standard deviation grew beyond TolUpX times its start
	TolFun          Code = "tol-fun"          // values of this generation and of the recent history within TolFun
	TolFunHistory   Code = "tol-fun-history"  // recent best values within TolFunHistory
	TolFunRel       Code = "tol-fun-rel"      // range of values small against the progress made
	Stagnation      Code = "stagnation"       // medians of best and of median value no longer improve
	TolXStagnation  Code = "tol-x-stagnation" // the mean has stopped moving
	TolUpSigma      Code = "tol-up-sigma"     // sigma grew much faster than the largest axis: creeping
	TolCondition    Code = "tol-condition"    // condition of the covariance beyond TolCondition
	NoEffectAxis    Code = "no-effect-axis"   // a tenth of a standard deviation along an axis is lost in rounding
	NoEffectCoord   Code = "no-effect-coord"  // a fifth of a standard deviation in a coordinate is lost in rounding
	FlatFitness     Code = "flat-fitness"     // three quarters of a generation have the same value
	WorseOptimum    Code = "worse-optimum"    // a restarted run settles on a value worse than the best
	NotSeparable    Code = "not-separable"    // the best coordinates do not add up to a better point
	RestartsUsed    Code = "max-restarts"     // the last permitted restart ended
	TooManyFailures Code = "failures"         // more evaluations failed than allowed
	NotFinite       Code = "not-finite"       // the distribution left the range of floating point numbers
)

// Reason says why a run or a search stopped, whether that is a success, and what to try next.
type Reason struct {
	Code    Code
	Success bool   // the run converged or did what was asked for
	Detail  string // the numbers behind it
	Next    string // what to try next
}

// String returns code, detail and advice in one line.
func (r Reason) String() string {
	s := string(r.Code)
	if r.Detail != "" {
		s += " (" + r.Detail + ")"
	}
	if r.Next != "" {
		s += ": " + r.Next
	}
	return s
}

// meaning holds what is the same for every occurrence of a code.
func meaning(c Code) (success bool, next string) {
	switch c {
	case TargetReached:
		return true, "done"
	case BudgetUsed:
		return false, "give more evaluations if the value still falls, or resume the state"
	case GenerationsUsed:
		return false, "raise the limit, or restart with a larger population"
	case TolX, TolFun, TolFunHistory, TolFunRel:
		return true, "restart with a larger population if a better local minimum may exist"
	case TolUpX:
		return false, "start with a larger sigma0, or bound the variables: the start was far from the minimum or f is unbounded"
	case Stagnation, TolXStagnation:
		return false, "f may be noisy or its numerical limit is reached: average evaluations, or restart with a larger population"
	case TolUpSigma:
		return false, "f looks linear or unbounded below: bound the variables"
	case TolCondition:
		return false, "rescale the variables or look for a redundant one"
	case NoEffectAxis, NoEffectCoord:
		return true, "the precision of the variables is exhausted: shift them so that the minimum is nearer zero if more digits are needed"
	case FlatFitness:
		return false, "f does not tell points apart here: use a larger sigma0 or a finer objective"
	case WorseOptimum:
		return false, "the next restart goes elsewhere"
	case NotSeparable:
		return false, "use a strategy that adapts a covariance"
	case RestartsUsed:
		return false, "allow more restarts or more evaluations"
	case TooManyFailures:
		return false, "look at the objective's error output"
	case NotFinite:
		return false, "rescale the variables or start with a smaller sigma0"
	}
	return false, ""
}

func because(c Code, detail string) Reason {
	success, next := meaning(c)
	return Reason{Code: c, Success: success, Detail: detail, Next: next}
}
