package algoperf

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestTableAndPicture(t *testing.T) {
	table := tableOf([]float64{1, 2, 3, 1}, []float64{2, 9, math.NaN(), 1}, []float64{3, math.Inf(1), 6, math.Inf(1)})
	table.Base["w3"] = "w0"
	s, err := V05().Compute(table, "a")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := s.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := `| submission | score | exact | time / a | w0 | w1 | w2 |
|---|---|---|---|---|---|---|
| a | 1.0000 | 1.0000 | 1.000 | 1 | 2 | 3 |
| b | 0.2239 | 0.2222 | 6.717 | 2 | (9) | not run |
| c | 0.2239 | 0.2222 | 6.717 | (3) | missed | 6 |

b: w1: too slow; not run: w2

c: w0: variant w3
`
	if b.String() != want {
		t.Errorf("table\n%s\nwant\n%s", b.String(), want)
	}
	svg := s.SVG("a & b")
	for _, part := range []string{"a &amp; b", "a (1.000)", "b (0.224)"} {
		if !strings.Contains(svg, part) {
			t.Errorf("%q is not in %s", part, svg)
		}
	}
	if err := s.WriteTable(broken{}); err == nil {
		t.Error("a failure to write was not reported")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }
