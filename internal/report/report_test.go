package report

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func testPage() *Page {
	return &Page{
		Title: "A & B", Intro: "<script>alert(1)</script>",
		Sections: []Section{
			{Title: "Map", Heat: &Heat{Labels: []string{"<a>", "b"}, Values: [][]float64{{0, 1}, {3, 0}}, Format: "%.1f"}},
			{Title: "Table", Text: "text", Table: &Table{Header: []string{"x", "y"}, Rows: [][]string{{"1", "2"}, {"<3>", "4"}}, Bad: []bool{false, true}}},
		},
	}
}

func TestPageIsWellFormedAndEscaped(t *testing.T) {
	var b strings.Builder
	if err := Write(&b, testPage()); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	wellFormed(t, strings.Replace(text, `<meta charset="utf-8">`, "", 1))
	for want, count := range map[string]int{
		"<rect ": 2, ">1.0</text>": 1, ">3.0</text>": 1, "&lt;a&gt;": 2, "<script": 0, "http": 0, `<tr class="bad"><td>&lt;3&gt;`: 1, "A &amp; B": 2,
	} {
		if got := strings.Count(text, want); got != count {
			t.Errorf("%q occurs %d times, want %d", want, got, count)
		}
	}
}

func TestColoursDarkenEvenly(t *testing.T) {
	before := 256.0 * 3
	for i := range 11 {
		var r, g, b int
		if _, err := fmt.Sscanf(colour(float64(i)/10), "#%02x%02x%02x", &r, &g, &b); err != nil {
			t.Fatal(err)
		}
		light := 0.3*float64(r) + 0.59*float64(g) + 0.11*float64(b)
		if light >= before {
			t.Errorf("step %d is not darker: %v after %v", i, light, before)
		}
		before = light
	}
}

func TestFailureToWriteIsReported(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	if Write(full, testPage()) == nil {
		t.Error("no error")
	}
}

func ExampleWrite() {
	var b strings.Builder
	err := Write(&b, &Page{Title: "Result", Sections: []Section{{Title: "Numbers", Table: &Table{Header: []string{"n"}, Rows: [][]string{{"1"}}}}}})
	fmt.Println(strings.Contains(b.String(), "<tr><td>1</td></tr>"), err)
	// Output: true <nil>
}
