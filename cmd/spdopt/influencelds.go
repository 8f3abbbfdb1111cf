package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/jsonfloat"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt/influence"
	"github.com/spdopt/spdopt/nnopt/train"
)

// ldsFlags are those of "influence lds" and "influence remove".
type ldsFlags struct {
	influenceFlags
	methods  []string
	subsets  int
	share    float64
	repeats  int // trainings of each subset
	features int
	remove   []int
	measured string
}

// ldsOutput is the JSON object of "influence lds".
type ldsOutput struct {
	influenceHead
	Subsets int         `json:"subsets"`
	Share   float64     `json:"share"`
	Seeds   int         `json:"seeds"`
	Methods []ldsMethod `json:"methods"`
	Ceiling *struct {
		Pairs  meanOutput `json:"pairs"`  // one seed against another
		Others meanOutput `json:"others"` // one seed against the mean of the others
	} `json:"ceiling,omitempty"`
}

type ldsMethod struct {
	Method string `json:"method"`
	meanOutput
	PerQuery []num `json:"per_query"`
}

type meanOutput struct {
	Mean   num `json:"mean"`
	StdErr num `json:"stderr"`
}

func meanOf(m influence.Mean) meanOutput { return meanOutput{num(m.Value), num(m.StdErr)} }

func (f *ldsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.methods, "methods", influenceMethods(), "what to compare")
	flags.IntVar(&f.repeats, "repeats", 2, "trainings of each subset; two or more give a ceiling")
	flags.IntVar(&f.features, "features", 512, "of the random projection of trak")
}

// open checks the flags and loads the run.
func (f *ldsFlags) open(a *app, folder string) (*subject, error) {
	if len(f.methods) == 0 {
		return nil, usagef("--methods: name at least one")
	}
	for _, m := range f.methods {
		if err := oneOf("--methods", m, influenceMethods()...); err != nil {
			return nil, err
		}
	}
	if f.repeats < 1 || f.repeats > mostRepeats {
		return nil, usagef("--repeats must be from 1 to %d, not %d", mostRepeats, f.repeats)
	}
	if f.features < 1 {
		return nil, usagef("--features must be positive, not %d", f.features)
	}
	return f.influenceFlags.open(a, folder)
}

// mostRepeats keeps the seeds of the trainings of two --seed apart.
const mostRepeats = 64000

// trainingSeeds are those of the trainings; none of them is the default seed of a run.
func (f *ldsFlags) trainingSeeds() (all []uint64) {
	for k := range f.repeats {
		all = append(all, f.seed<<16+uint64(k)+1000)
	}
	return all
}

func (a *app) influenceLDS() *cobra.Command {
	f := &ldsFlags{}
	cmd := f.verb(a, "lds", "Compare scores with trainings on random subsets (linear datamodelling score)", func(g *guard, folder string) (func() error, error) {
		s, err := f.open(a, folder)
		if err != nil {
			return nil, err
		}
		subsets, err := influence.Subsets(s.count, f.subsets, f.share, seeded(f.seed))
		if err != nil {
			return nil, usagef("%v", err)
		}
		if f.subsets < 2 {
			return nil, usagef("--subsets must be at least 2, not %d", f.subsets)
		}
		out := &ldsOutput{influenceHead: s.head(folder), Subsets: f.subsets, Share: f.share, Seeds: f.repeats}
		var scores []*influence.Scores
		for _, m := range f.methods {
			one, err := s.scores(m, f.features)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m, err)
			}
			scores = append(scores, one)
		}
		measured, err := f.measure(s, g, subsets)
		if err != nil {
			return nil, err
		}
		for k, m := range f.methods {
			r, err := influence.LDS(scores[k].Values, subsets, measured)
			if err != nil {
				return nil, err
			}
			one := ldsMethod{Method: m, meanOutput: meanOf(r.Mean)}
			for _, rho := range r.PerQuery {
				one.PerQuery = append(one.PerQuery, num(rho))
			}
			out.Methods = append(out.Methods, one)
		}
		if err := out.setCeiling(measured); err != nil {
			return nil, err
		}
		return func() error { return a.reportLDS(out) }, nil
	})
	f.register(cmd)
	cmd.Flags().IntVar(&f.subsets, "subsets", 20, "random subsets of the training examples to train on")
	cmd.Flags().Float64Var(&f.share, "share", 0.5, "of the training examples that is in a subset")
	cmd.Flags().StringVar(&f.measured, "measured", "", "file of the measurements of the trained networks: read if it is there, else written, so that other methods and dampings need no training")
	return cmd
}

// measurements is the content of the file of --measured.
type measurements struct {
	Schema   int           `json:"schema"`
	Of       influenceHead `json:"of"`
	Settings train.Options `json:"settings"` // of the run
	Subsets  [][]int       `json:"subsets"`
	Seeds    []uint64      `json:"seeds"`
	Measured [][][]float64 `json:"measured,omitempty"` // by subset, seed and query
}

// measure trains on the subsets, or reads what an earlier call measured for the same ones.
func (f *ldsFlags) measure(s *subject, g *guard, subsets [][]int) ([][][]float64, error) {
	m := measurements{Schema: schema, Of: s.head(""), Settings: s.t.Options, Subsets: subsets, Seeds: f.trainingSeeds()}
	if f.measured == "" {
		return influence.Measure(subsets, m.Seeds, s.retrain)
	}
	if text, err := os.ReadFile(f.measured); err == nil {
		return f.kept(text, m)
	}
	file, err := reserve(f.measured)
	if err != nil {
		return nil, err
	}
	defer file.Abort()
	if m.Measured, err = influence.Measure(subsets, m.Seeds, s.retrain); err != nil {
		return nil, err
	}
	g.touch(func() { err = fill(file, f.measured, asJSON(m)) })
	return m.Measured, err
}

// kept returns the measurements of a file if they are those that are wanted.
func (f *ldsFlags) kept(text []byte, want measurements) ([][][]float64, error) {
	var kept measurements
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, &matio.Error{File: f.measured, What: "holds no measurements: " + jsonfloat.Fault(err).Error()}
	}
	measured := kept.Measured
	kept.Measured = nil
	a, err1 := json.Marshal(kept)
	b, err2 := json.Marshal(want)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	if !bytes.Equal(a, b) {
		return nil, &matio.Error{File: f.measured, What: "holds measurements of other queries, subsets, seeds or another run"}
	}
	return measured, nil
}

func (out *ldsOutput) setCeiling(measured [][][]float64) error {
	if out.Seeds < 2 {
		return nil
	}
	c, err := influence.CeilingOf(measured)
	if err != nil {
		return err
	}
	out.Ceiling = &struct {
		Pairs  meanOutput `json:"pairs"`
		Others meanOutput `json:"others"`
	}{meanOf(c.Pairs), meanOf(c.Others)}
	return nil
}

func (a *app) reportLDS(out *ldsOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	a.printInfluenceHead(&out.influenceHead, [2]string{"subsets", fmt.Sprintf("%d with a share of %g, %d seeds each", out.Subsets, out.Share, out.Seeds)})
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "method\trank correlation\tstandard error")
	for _, m := range out.Methods {
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\n", m.Method, float64(m.Mean), float64(m.StdErr))
	}
	if c := out.Ceiling; c != nil {
		fmt.Fprintf(w, "ceiling: one seed and another\t%.3f\t%.3f\n", float64(c.Pairs.Mean), float64(c.Pairs.StdErr))
		fmt.Fprintf(w, "ceiling: one seed and the mean of the others\t%.3f\t%.3f\n", float64(c.Others.Mean), float64(c.Others.StdErr))
	}
	return w.Flush()
}

// removeOutput is the JSON object of "influence remove".
type removeOutput struct {
	influenceHead
	Seeds   int            `json:"seeds"`
	Methods []removeMethod `json:"methods"`
}

type removeMethod struct {
	Method string `json:"method"`
	Counts []struct {
		Removed int `json:"removed"`
		meanOutput
	} `json:"counts"`
}

func (a *app) influenceRemove() *cobra.Command {
	f := &ldsFlags{}
	cmd := f.verb(a, "remove", "Train again without the most helpful examples of each query", func(_ *guard, folder string) (func() error, error) {
		s, err := f.open(a, folder)
		if err != nil {
			return nil, err
		}
		for _, k := range f.remove {
			if k < 1 || k >= s.count {
				return nil, usagef("--remove must be 1 to %d, not %d", s.count-1, k)
			}
		}
		out := &removeOutput{influenceHead: s.head(folder), Seeds: f.repeats}
		for _, m := range f.methods {
			scores, err := s.scores(m, f.features)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m, err)
			}
			removals, err := influence.WithoutTop(scores.Values, f.remove, f.trainingSeeds(), s.retrain)
			if err != nil {
				return nil, err
			}
			one := removeMethod{Method: m}
			for _, r := range removals {
				one.Counts = append(one.Counts, struct {
					Removed int `json:"removed"`
					meanOutput
				}{r.Removed, meanOf(r.Change)})
			}
			out.Methods = append(out.Methods, one)
		}
		return func() error { return a.reportRemovals(out) }, nil
	})
	f.register(cmd)
	cmd.Flags().IntSliceVar(&f.remove, "remove", []int{10}, "how many examples to leave out, for each query by itself")
	return cmd
}

func (a *app) reportRemovals(out *removeOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	a.printInfluenceHead(&out.influenceHead, [2]string{"seeds", fmt.Sprint(out.Seeds)})
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "method\tremoved\tchange of the %s\tstandard error\n", out.Measurement)
	for _, m := range out.Methods {
		for _, c := range m.Counts {
			fmt.Fprintf(w, "%s\t%d\t%.4g\t%.2g\n", m.Method, c.Removed, float64(c.Mean), float64(c.StdErr))
		}
	}
	return w.Flush()
}
