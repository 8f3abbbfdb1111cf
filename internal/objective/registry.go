package objective

import "slices"

// Form is a way to write an objective down.
type Form struct {
	Name    string // also the name of the flag
	Summary string
	// Open makes an evaluator from what follows the flag. The error is a *SourceError, a *NotFoundError or one about the options.
	Open func(source string, o Options) (Evaluator, error)
}

// registry lists the forms. A new one is a file and a line here.
var registry = []Form{
	{"cmd", "a program that speaks JSON lines, started once or for every evaluation", openCommand},
	{"wasm", "a WebAssembly module in a sandbox without files and network", openWasm},
	{"expr", "an expression in x and n, such as sum(x, # * #)", openExpr},
}

// Forms returns the registry.
func Forms() []Form { return slices.Clone(registry) }

// openCommand splits the line into words unless o.Argv is given.
func openCommand(line string, o Options) (Evaluator, error) {
	if o.Argv == nil {
		var err error
		if o.Argv, err = Split(line); err != nil {
			return nil, &SourceError{"cmd", err.Error()}
		}
	}
	p, err := New(o)
	if err != nil {
		return nil, err
	}
	return p, nil
}
