package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt/algoperf"
)

type scoreFlags struct {
	rules, reference, svg, out string
}

func (f *scoreFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.rules, "rules", "", "rules of the score: v0.6 (without variants), the default, or v0.5 (held-out variants gate their workloads), that of --suite full")
	flags.StringVar(&f.reference, "reference", "", "submission that times are compared with; the default is nadamw, or adamw, if one is there")
	pictureFlag(cmd, &f.svg, "the performance profiles")
	flags.StringVar(&f.out, "out", "", "write all trials to this .json or .csv file")
	writtenLast(cmd, "out")
}

func (f *scoreFlags) rulesOf() (algoperf.Rules, error) {
	name := f.rules
	if name == "" {
		name = algoperf.V06().Name
	}
	r, err := algoperf.RulesByName(name)
	if err != nil {
		return r, oneOf("--rules", f.rules, "v0.5", "v0.6")
	}
	if ext := filepath.Ext(f.out); f.out != "" && ext != ".json" && ext != ".csv" {
		return r, usagef("--out %s: the name must end in .json or .csv", f.out)
	}
	return r, nil
}

// raceOutput is the JSON object of "bench nn" and "bench score".
type raceOutput struct {
	Schema    int         `json:"schema"`
	Rules     string      `json:"rules"`
	Ruleset   string      `json:"ruleset"`
	Clock     string      `json:"clock"`
	Reference string      `json:"reference,omitempty"`
	Workloads []string    `json:"workloads"`
	Scores    []raceScore `json:"scores"`
}

type raceScore struct {
	Submission string   `json:"submission"`
	Score      num      `json:"score"`
	Exact      num      `json:"exact"`
	Speed      num      `json:"time_ratio"`
	Seconds    []num    `json:"seconds"`
	Ratios     []num    `json:"ratios"`
	Why        []string `json:"why"`
	Missing    []string `json:"missing,omitempty"`
}

func (a *app) benchScoreCommand() *cobra.Command {
	f := &scoreFlags{}
	var opts []string
	cmd := &cobra.Command{
		Use:   "score LOG...",
		Short: "Score logs of bench nn, or tables of trials",
		Long: `Score the trials of logs of bench nn (.jsonl), of what --out wrote (.json, .csv), or of tables from elsewhere in the same columns. Logs of one comparison are
put together; logs with other targets, budgets or rules are refused. Scores are relative to who takes part: --opts scores some of the submissions alone.`,
		Example: `  spdopt bench score small.jsonl --rules v0.6
  spdopt bench score small.jsonl --opts adamw,nadamw,spectral
  spdopt bench score mine.jsonl theirs.csv --reference nadamw --svg profile.svg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("bench score: name a log")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := f.rulesOf(); err != nil {
				return err
			}
			var logs []*algoperf.Log
			for _, path := range args {
				l, err := readRace(path)
				if err != nil {
					return err
				}
				logs = append(logs, l)
			}
			l, err := algoperf.Merge(logs, args)
			if err != nil {
				return &matio.Error{File: args[len(args)-1], What: err.Error()}
			}
			if err := only(l, opts); err != nil {
				return err
			}
			return a.printScores(l, f)
		},
	}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&opts, "opts", nil, "score only these submissions of the logs")
	return cmd
}

// only leaves out the trials of submissions that are not named; no names keep all.
func only(l *algoperf.Log, names []string) error {
	if len(names) == 0 {
		return nil
	}
	known := l.Tabulate().Submissions
	for _, name := range names {
		if !slices.Contains(known, name) {
			return unknown("submission", name, "the log", known, "--opts")
		}
	}
	l.Records = slices.DeleteFunc(l.Records, func(r algoperf.Record) bool { return !slices.Contains(names, r.Submission) })
	return nil
}

// readRace reads a log by the end of its name.
func readRace(path string) (*algoperf.Log, error) {
	return readOr(path, func(f io.Reader) (*algoperf.Log, error) {
		if strings.EqualFold(filepath.Ext(path), ".csv") {
			return algoperf.ReadCSV(f)
		}
		l, _, err := algoperf.ReadJSON(f)
		return l, err
	}, nil)
}

func (a *app) printScores(l *algoperf.Log, f *scoreFlags) error {
	rules, err := f.rulesOf()
	if err != nil {
		return err
	}
	table := l.Tabulate()
	reference := f.reference
	for _, name := range []string{"nadamw", "adamw"} {
		if reference == "" && slices.Contains(table.Submissions, name) {
			reference = name
		}
	}
	s, err := rules.Compute(table, reference)
	var missing *algoperf.UnknownError
	if errors.As(err, &missing) {
		return unknown("reference", f.reference, "the log", table.Submissions, "--reference")
	}
	if err != nil {
		return &matio.Error{File: "the log", What: err.Error()}
	}
	if f.svg != "" {
		title := fmt.Sprintf("time to target, %s ruleset, rules of %s, %d workloads", l.Ruleset, rules.Name, len(s.Workloads))
		if err := writeWhole(f.svg, []byte(s.SVG(title))); err != nil {
			return err
		}
	}
	if f.out != "" {
		write := l.WriteJSON
		if filepath.Ext(f.out) == ".csv" {
			write = l.WriteCSV
		}
		if err := writeWith(f.out, write); err != nil {
			return err
		}
	}
	if !a.json {
		return s.WriteTable(a.out)
	}
	return a.printJSON(raceObject(l, s))
}

func raceObject(l *algoperf.Log, s *algoperf.Scores) raceOutput {
	o := raceOutput{Schema: schema, Rules: s.Rules.Name, Ruleset: string(l.Ruleset), Clock: string(l.Clock), Reference: s.Reference, Workloads: s.Workloads}
	for _, r := range s.Rows {
		o.Scores = append(o.Scores, raceScore{r.Submission, num(r.Score), num(r.Exact), num(r.Speed), nums(r.Seconds), nums(r.Ratios), r.Why, r.Missing})
	}
	return o
}
