//go:build unix

package objective_test

import (
	"context"
	"fmt"

	"github.com/spdopt/spdopt/internal/objective"
)

func ExampleProgram_Evaluate() {
	argv, err := objective.Split(`expr {x0} "*" {x1}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := objective.New(objective.Options{Argv: argv, Dim: 2, PerEval: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	v, err := p.Evaluate(context.Background(), 1, []float64{6, 7})
	fmt.Println(v.F, err)
	// Output: 42 <nil>
}

func ExampleParseResult() {
	for _, line := range []string{`{"id":41,"f":3.25}`, `{"id":42,"f":NaN}`, `{"id":43}`} {
		r, err := objective.ParseResult([]byte(line), 0)
		fmt.Println(r.ID, r.Value.F, r.Failed, err)
	}
	// Output:
	// 41 3.25 false <nil>
	// 42 0 true <nil>
	// 43 0 false it has no f: "{\"id\":43}"
}

func ExampleForms() {
	for _, form := range objective.Forms() {
		if form.Name != "expr" {
			continue
		}
		e, err := form.Open("sum(x, # * #)", objective.Options{Dim: 2})
		if err != nil {
			fmt.Println(err)
			return
		}
		v, err := e.Evaluate(context.Background(), 1, []float64{3, 4})
		fmt.Println(v.F, err)
		e.Close()
	}
	// Output: 25 <nil>
}
