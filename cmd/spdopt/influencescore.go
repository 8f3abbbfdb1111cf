package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/nnopt/influence"
)

// pairFlags are those of "influence score".
type pairFlags struct {
	influenceFlags
	method, svg, cache string
	self, perModule    bool
	top, bits, rank    int
	features           int
}

// scoreOutput is the JSON object of "influence score".
type scoreOutput struct {
	influenceHead
	Method  string        `json:"method"`
	Modules []string      `json:"modules,omitempty"`
	Skipped []string      `json:"skipped,omitempty"` // blocks of parameters that do not count
	Scores  []queryOutput `json:"scores,omitempty"`
	Self    []scored      `json:"self,omitempty"`
	Picture string        `json:"picture,omitempty"`
}

type queryOutput struct {
	Query   int      `json:"query"`
	Label   *int     `json:"label,omitempty"`
	Value   num      `json:"value"` // of the measurement
	Helpful []scored `json:"helpful"`
	Harmful []scored `json:"harmful"`
}

type scored struct {
	Example  int   `json:"example"`
	Label    *int  `json:"label,omitempty"`
	Score    num   `json:"score"`
	ByModule []num `json:"by_module,omitempty"`
}

func influenceMethods() (all []string) {
	for _, p := range influence.Preconditioners() {
		all = append(all, string(p))
	}
	return append(all, "trak")
}

func (a *app) influenceScore() *cobra.Command {
	f := &pairFlags{}
	cmd := f.verb(a, "score", "Find the training examples that help and harm each query most", func(g *guard, folder string) (func() error, error) { return a.score(f, g, folder) })
	flags := cmd.Flags()
	flags.StringVar(&f.method, "method", "ekfac", strings.Join(influenceMethods(), ", "))
	flags.BoolVar(&f.self, "self", false, "instead, the training examples with the largest influence on their own loss")
	flags.BoolVar(&f.perModule, "per-module", false, "with the share of each weight matrix")
	flags.IntVar(&f.top, "top", 8, "examples of each kind to report")
	flags.IntVar(&f.bits, "bits", 0, "8: quantise the kept gradients")
	flags.IntVar(&f.rank, "rank", 0, "keep gradients at this rank; 0 is full")
	flags.IntVar(&f.features, "features", 512, "of the random projection of trak")
	flags.StringVar(&f.cache, "cache", "", "folder that keeps the curvature for later calls")
	pictureFlag(cmd, &f.svg, "the images as a grid")
	return cmd
}

func (a *app) score(f *pairFlags, g *guard, folder string) (report func() error, err error) {
	if err := oneOf("--method", f.method, influenceMethods()...); err != nil {
		return nil, err
	}
	if f.method == "trak" && (f.self || f.perModule || f.bits != 0 || f.rank != 0 || f.cache != "") {
		return nil, usagef("--method trak has no --self, --per-module, --bits, --rank and --cache")
	}
	if f.top < 1 {
		return nil, usagef("--top must be positive, not %d", f.top)
	}
	c := influence.Compression{Bits: f.bits, Rank: f.rank}
	if err := c.Validate(); err != nil {
		return nil, usagef("%v", err)
	}
	s, err := f.open(a, folder)
	if err != nil {
		return nil, err
	}
	if height, _, channels := s.t.ImageSize(); f.svg != "" && (height == 0 || channels != 1) {
		return nil, usagef("--svg: the examples of %s are no grey images", s.t.Workload.Name)
	}
	out := &scoreOutput{influenceHead: s.head(folder), Method: f.method}
	if err := f.compute(s, g, c, out); err != nil {
		return nil, err
	}
	return func() error {
		if f.svg != "" {
			if err := writePicture(f.svg, s.grid(out)); err != nil {
				return err
			}
			out.Picture = f.svg
		}
		if a.json {
			return a.printJSON(out)
		}
		return a.printInfluence(out)
	}, nil
}

// compute fills in the scores.
func (f *pairFlags) compute(s *subject, g *guard, c influence.Compression, out *scoreOutput) error {
	if f.method == "trak" {
		scores, err := s.scores("trak", f.features)
		if err != nil {
			return err
		}
		return s.rank(scores, f.top, out)
	}
	e, err := s.estimator(g, influence.Preconditioner(f.method), f.cache)
	if err != nil {
		return err
	}
	out.Skipped = e.Skipped()
	if f.self {
		scores, err := e.Self(s.trained(), f.perModule)
		if err != nil {
			return err
		}
		out.Modules, out.Queries = scores.Modules, nil
		out.Self = s.best(scores, 0, influence.Top(scores.Values.Row(0), f.top))
		return nil
	}
	scores, err := e.Pairwise(s.asked(), s.trained(), influence.ScoreOptions{PerModule: f.perModule, Compression: c})
	if err != nil {
		return err
	}
	out.Modules = scores.Modules
	return s.rank(scores, f.top, out)
}

// rank lists the examples with the largest and the smallest scores of each query.
func (s *subject) rank(scores *influence.Scores, top int, out *scoreOutput) error {
	values, err := influence.Values(s.t.Net, s.asked())
	if err != nil {
		return err
	}
	for q, number := range s.numbers {
		row := scores.Values.Row(q)
		order := influence.Top(row, len(row))
		last := slices.Clone(order[len(order)-min(top, len(order)):])
		slices.Reverse(last)
		out.Scores = append(out.Scores, queryOutput{
			Query: number, Label: s.label(!s.f.fromTraining, number), Value: num(values[q]),
			Helpful: s.best(scores, q, order[:min(top, len(order))]), Harmful: s.best(scores, q, last),
		})
	}
	return nil
}

func (s *subject) best(scores *influence.Scores, q int, numbers []int) (all []scored) {
	for _, i := range numbers {
		one := scored{Example: i, Label: s.label(false, i), Score: num(scores.Values.At(q, i))}
		for _, m := range scores.ByModule {
			one.ByModule = append(one.ByModule, num(m.At(q, i)))
		}
		all = append(all, one)
	}
	return all
}

// label returns the class of an example, or nil.
func (s *subject) label(valid bool, number int) *int {
	batch := s.examples([]int{number}, valid, 0)
	b := batch.Batch(0, 0)
	if len(b.Target.Classes) != 1 {
		return nil
	}
	c := int(b.Target.Classes[0])
	return &c
}

// grid shows each query with what helps and harms it, or the examples of the largest self-scores.
func (s *subject) grid(out *scoreOutput) *report.Images {
	p := &report.Images{Title: fmt.Sprintf("%s: influence on the %s (%s), class and score below each example", out.Workload, out.Measurement, out.Method)}
	row := func(name string, valid bool, all []scored) {
		r := report.ImageRow{Name: name}
		for _, one := range all {
			caption := fmt.Sprintf("%.2g", float64(one.Score))
			if one.Label != nil {
				caption = fmt.Sprintf("%d: %s", *one.Label, caption)
			}
			r.Images = append(r.Images, s.image(valid, one.Example, caption))
		}
		p.Rows = append(p.Rows, r)
	}
	for _, q := range out.Scores {
		query := s.image(!s.f.fromTraining, q.Query, "query"+labelText(q.Label))
		for _, part := range []struct {
			name string
			all  []scored
		}{{"helpful", q.Helpful}, {"harmful", q.Harmful}} {
			row(fmt.Sprintf("query %d, %s", q.Query, part.name), false, part.all)
			last := &p.Rows[len(p.Rows)-1]
			last.Images = append([]report.Image{query}, last.Images...)
		}
	}
	if out.Self != nil {
		row("self-influence", false, out.Self)
	}
	return p
}

func (s *subject) image(valid bool, number int, caption string) report.Image {
	batch := s.examples([]int{number}, valid, 0)
	pixels := batch.Batch(0, 0).X.Row(0)
	height, width, _ := s.t.ImageSize()
	return report.Image{Caption: caption, Height: height, Width: width, At: func(i, j int) float64 { return float64(pixels[i*width+j]) }}
}

func (a *app) printInfluence(out *scoreOutput) error {
	a.printInfluenceHead(&out.influenceHead, [2]string{"method", out.Method}, [2]string{"left out", strings.Join(out.Skipped, ", ")}, [2]string{"picture", out.Picture})
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(kind string, all []scored) {
		fmt.Fprintf(w, "\t%s", kind)
		for _, one := range all {
			fmt.Fprintf(w, "\t%d%s %.3g", one.Example, labelText(one.Label), float64(one.Score))
		}
		fmt.Fprintln(w)
	}
	for _, q := range out.Scores {
		fmt.Fprintf(w, "query %d%s\t%s %.4g\n", q.Query, labelText(q.Label), out.Measurement, float64(q.Value))
		line("helpful", q.Helpful)
		line("harmful", q.Harmful)
	}
	if out.Self != nil {
		line("self", out.Self)
	}
	return w.Flush()
}

func labelText(label *int) string {
	if label == nil {
		return ""
	}
	return fmt.Sprintf(" (%d)", *label)
}
