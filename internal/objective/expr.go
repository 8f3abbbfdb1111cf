package objective

import (
	"context"
	"fmt"
	"math"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// exprEvaluator computes an expression of the language of expr-lang.org: x is the point (a list, x[0] the first coordinate), n its length. Beside the
// language's own sum, map, filter, reduce, min, max, abs, floor, ceil, round, mean and ** (power) there are the functions and constants of mathNames. With
// constraints the result is a list: the value, then as many constraint values.
type exprEvaluator struct {
	o       Options
	program *vm.Program
}

// mathNames is what expressions may use beside x and n.
var mathNames = map[string]any{
	"pi": math.Pi, "e": math.E,
	"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "asin": math.Asin, "acos": math.Acos, "atan": math.Atan, "atan2": math.Atan2,
	"sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "exp": math.Exp, "log": math.Log, "log10": math.Log10, "log2": math.Log2,
	"sqrt": math.Sqrt, "cbrt": math.Cbrt, "pow": math.Pow, "hypot": math.Hypot,
	"dot": func(a, b []float64) (float64, error) {
		if len(a) != len(b) {
			return 0, fmt.Errorf("dot of %d and %d numbers", len(a), len(b))
		}
		var s float64
		for i, v := range a {
			s += v * b[i]
		}
		return s, nil
	},
	"norm": func(a []float64) float64 {
		var s float64
		for _, v := range a {
			s = math.Hypot(s, v)
		}
		return s
	},
}

func exprNames(x []float64) map[string]any {
	env := map[string]any{"x": x, "n": len(x)}
	for name, v := range mathNames {
		env[name] = v
	}
	return env
}

func openExpr(text string, o Options) (Evaluator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Timeout > 0 {
		return nil, &SourceError{"expr", "an expression cannot be interrupted: it takes no timeout"}
	}
	as := expr.AsFloat64()
	if o.Constraints > 0 {
		as = expr.AsAny()
	}
	program, err := expr.Compile(text, expr.Env(exprNames(make([]float64, o.Dim))), as)
	if err != nil {
		return nil, &SourceError{"expr", err.Error()}
	}
	return &exprEvaluator{o: o, program: program}, nil
}

// Evaluate implements Evaluator.
func (e *exprEvaluator) Evaluate(ctx context.Context, id uint64, x []float64) (Value, error) {
	if ctx.Err() != nil {
		return Value{}, context.Cause(ctx)
	}
	none := &tail{}
	out, err := expr.Run(e.program, exprNames(x))
	if err != nil {
		return Value{}, e.o.failure(Crash, id, e.o.evalLine(id, x), none, "%v", err)
	}
	a, err := exprAnswer(out)
	if err != nil {
		return Value{}, e.o.failure(Protocol, id, e.o.evalLine(id, x), none, "%v", err)
	}
	return e.o.judge(a, id, x, none)
}

// exprAnswer reads a number, or a list of the value and the constraint values.
func exprAnswer(out any) (answer, error) {
	a := answer{given: true, line: fmt.Sprint(out)}
	list, ok := out.([]any)
	if floats, yes := out.([]float64); yes {
		ok = true
		for _, v := range floats {
			list = append(list, v)
		}
	}
	if !ok {
		list = []any{out}
	}
	for i, v := range list {
		f, err := toFloat(v)
		if err != nil {
			return a, err
		}
		if i == 0 {
			a.f = f
		} else {
			a.g = append(a.g, f)
		}
	}
	if len(list) == 0 {
		return a, fmt.Errorf("the result is an empty list")
	}
	return a, nil
}

func toFloat(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int:
		return float64(v), nil
	}
	return 0, fmt.Errorf("the result is %s, want numbers", clip(fmt.Sprint(v)))
}

// Close implements Evaluator.
func (e *exprEvaluator) Close() {}
