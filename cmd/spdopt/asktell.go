package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/jsonfloat"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// dialogueKind names the states of runs that are driven by ask and tell. Their journal is in the order in which the search was asked and told.
const dialogueKind = "ask-tell"

// isDialogue says whether a run is driven by ask and tell.
func isDialogue(m *run.Manifest) bool {
	return slices.ContainsFunc(m.Settings, func(s run.Setting) bool { return s.Name == "ask-tell" && s.Value == "true" })
}

// replayedAtMost is the number of lines after the last state from which on a new one is stored.
const replayedAtMost = 500

// checkAskTell refuses the flags of minimize that are about evaluating.
func checkAskTell(cmd *cobra.Command) error {
	for _, name := range append(kinds(), "instance", "shell", "per-eval", "env", "timeout", "retries", "wasm-memory", "jobs", maxSeconds, "checkpoint-every") {
		if cmd.Flags().Changed(name) {
			return usagef("--%s has no meaning with --ask-tell: nothing is evaluated here", name)
		}
	}
	if v := cmd.Flag("on-fail").Value.String(); v == "resample" {
		return usagef("--on-fail resample gives an evaluation another point; with --ask-tell use worst or abort")
	}
	if cmd.Flag("out").Value.String() == keepNone {
		return usagef("--ask-tell keeps everything in a run; name it with --out")
	}
	return nil
}

// beginOutput is the JSON object of "minimize --ask-tell".
type beginOutput struct {
	Schema  int    `json:"schema"`
	Run     string `json:"run"`
	Dim     int    `json:"dim"`
	PopSize int    `json:"popsize"`
	Seed    uint64 `json:"seed"`
}

// beginAskTell makes the run of a search that is driven from outside.
func (a *app) beginAskTell(cmd *cobra.Command, f *minimizeFlags, s *esadapt.Search) (err error) {
	if a.resume != nil {
		return usagef("%s is driven by spdopt ask and tell; there is nothing to resume", a.resume.dir)
	}
	k, err := a.keep(cmd, nil, &f.keep, "es-ask-tell", f.seed, true)
	if err != nil {
		return err
	}
	defer k.end(a.ctx, &err)
	data, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	if err := k.checkpoint(dialogueKind, 1, data); err != nil {
		return err
	}
	o := beginOutput{schema, k.dir(), s.Options().Dim, s.PopSize(), f.seed}
	if a.json {
		return a.printJSON(o)
	}
	a.pairs([2]string{"run", o.Run}, [2]string{"variables", fmt.Sprint(o.Dim)}, [2]string{"points in a generation", fmt.Sprint(o.PopSize)}, [2]string{"seed", fmt.Sprint(o.Seed)})
	return nil
}

// dialogue is a run that is driven by ask and tell. Candidate c of the search is evaluation c + 1.
type dialogue struct {
	run      *run.Run
	search   *esadapt.Search
	replayed int // lines after the state
}

// openDialogue restores the search from the last state and the journal after it.
func (a *app) openDialogue(name string) (*dialogue, error) {
	dir, err := a.runDir(name)
	if err != nil {
		return nil, err
	}
	r, err := run.Open(dir, run.Options{})
	if err != nil {
		return nil, err
	}
	d := &dialogue{run: r}
	if err := d.replay(); err != nil {
		r.Close()
		return nil, err
	}
	return d, nil
}

func (d *dialogue) replay() (err error) {
	s := d.run.State()
	if s == nil || s.Kind != dialogueKind {
		return &run.NotRunError{Name: d.run.Dir(), What: "it is not driven by ask and tell; make such a run with: spdopt minimize --ask-tell --out DIR"}
	}
	if d.search, err = esadapt.Restore(s.Data); err != nil {
		return &run.NotRunError{Name: d.run.Dir(), What: err.Error()}
	}
	d.replayed, err = retrace(d.run, d.search)
	return err
}

// retraced is a search that is asked and told in the order of a journal.
type retraced interface {
	Take(n int) []esadapt.Candidate
	Report(esadapt.Evaluation) error
}

// retrace asks and tells a search what the journal after the state says that it was asked and told, in that order. lines is how many there were.
func retrace(r *run.Run, s retraced) (lines int, err error) {
	for e, err := range r.Tail("ask", "tell") {
		if err != nil {
			return lines, err
		}
		lines++
		if e.Kind == "ask" {
			c := s.Take(1)
			if len(c) != 1 || c[0].ID != e.Candidate {
				return lines, &run.DamageError{File: r.Dir(), Line: e.Line, What: fmt.Sprintf("the search does not ask for evaluation %d here", e.ID)}
			}
			continue
		}
		if err := s.Report(evaluationOf(e.ID, e.F, e.G, e.Status != "")); err != nil && !errors.Is(err, esadapt.ErrFinished) {
			return lines, &run.DamageError{File: r.Dir(), Line: e.Line, What: err.Error()}
		}
	}
	return lines, nil
}

func evaluationOf(id uint64, f float64, g []float64, failed bool) esadapt.Evaluation {
	return esadapt.Evaluation{ID: id - 1, F: f, G: g, Failed: failed}
}

// askOutput is the JSON object of "ask".
type askOutput struct {
	Schema     int         `json:"schema"`
	Run        string      `json:"run"`
	Candidates []candidate `json:"candidates"`
	Pending    int         `json:"pending"` // handed out and not told, these included
	Stop       []string    `json:"stop"`
}

type candidate struct {
	ID uint64 `json:"id"`
	X  []num  `json:"x"`
}

func (a *app) askCommand() *cobra.Command {
	n, again := 0, false
	cmd := &cobra.Command{
		Use:   "ask RUN",
		Short: "Get points to evaluate from a run that is driven by ask and tell",
		Long: `Get points to evaluate from a run that spdopt minimize --ask-tell made; spdopt tell takes the values. Every point has an id and is handed out once; --again repeats those that have not
been told. There are fewer points than asked for when the rest of the generation must be told first, and none when the search has stopped.`,
		Example: `  spdopt minimize --ask-tell --out runs/lab --dim 3 --lower 0 --upper 1
  spdopt ask runs/lab -n 8 --json`,
		Args: oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			if n < 0 {
				return usagef("-n must not be negative, got %d", n)
			}
			return a.ask(args[0], n, again)
		},
	}
	cmd.Flags().IntVarP(&n, "count", "n", 0, "number of points; 0 is all that the search can give now")
	cmd.Flags().BoolVar(&again, "again", false, "the points handed out before and not told, instead of new ones")
	return cmd
}

// oneRun demands the name of one run.
func oneRun(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s takes one run, got %s", verbOf(cmd), counted(len(args), "argument"))
	}
	return nil
}

func (a *app) ask(name string, n int, again bool) (err error) {
	d, err := a.openDialogue(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.run.Close()) }()
	if d.search.Stop() != nil {
		if err := d.store(nil); err != nil { // a tell that was killed may have left it undone
			return err
		}
	}
	if n == 0 {
		n = d.search.PopSize()
	}
	var points []esadapt.Candidate
	if again {
		points = d.search.Pending()
		points = points[:min(n, len(points))]
	} else {
		points = d.search.Take(n)
		for _, c := range points {
			if err := d.run.Ask(run.Asked{ID: c.ID + 1, Candidate: c.ID, X: c.X}); err != nil {
				return err
			}
		}
		if err := d.run.Sync(); err != nil {
			return err
		}
	}
	o := askOutput{Schema: schema, Run: d.run.Dir(), Candidates: []candidate{}, Pending: len(d.search.Pending()), Stop: d.stop()}
	for _, c := range points {
		o.Candidates = append(o.Candidates, candidate{c.ID + 1, nums(c.X)})
	}
	if a.json {
		return a.printJSON(o)
	}
	for _, c := range points {
		line := strconv.AppendUint(nil, c.ID+1, 10)
		for _, v := range c.X {
			line = jsonfloat.Append(append(line, '\t'), v)
		}
		fmt.Fprintf(a.out, "%s\n", line)
	}
	if len(points) == 0 {
		a.note("no points: %d are out and not told; %s", o.Pending, nextStep(o.Stop, o.Pending))
	}
	return nil
}

// nextStep says how a search goes on.
func nextStep(stop []string, pending int) string {
	switch {
	case len(stop) > 0:
		return "the search has stopped: " + stop[0]
	case pending > 0:
		return "the search goes on when they are told (spdopt tell, or ask --again)"
	}
	return "the next points are ready (spdopt ask)"
}

func (d *dialogue) stop() []string {
	why := []string{}
	for _, r := range d.search.Stop() {
		why = append(why, r.String())
	}
	return why
}

// tellOutput is the JSON object of "tell".
type tellOutput struct {
	Schema      int      `json:"schema"`
	Run         string   `json:"run"`
	Accepted    int      `json:"accepted"`
	Ignored     int      `json:"ignored"` // told before, or no longer needed
	Dropped     int      `json:"dropped"` // given up by --drop-missing
	Pending     int      `json:"pending"`
	Evaluations int      `json:"evaluations"`
	Generations int      `json:"generations"`
	BestF       num      `json:"best_f"`
	BestX       []num    `json:"best_x"`
	Stop        []string `json:"stop"`
}

func (a *app) tellCommand() *cobra.Command {
	drop := false
	cmd := &cobra.Command{
		Use:   "tell RUN RESULTS.jsonl",
		Short: "Give values to a run that is driven by ask and tell",
		Long: `Give values to a run that spdopt minimize --ask-tell made: a file, or "-" for standard input, with a line for each evaluation,
  {"id":41,"f":3.25}   with constraints also "g":[..]; a failed one is {"id":41,"status":"failed"}, or has NaN or null as f
in any order, at any time, as many as there are. Telling an id again changes nothing, so a file may be told again as a whole. An id that was never handed out, or a line that can't
be read, is an error, and nothing of the file is taken. --drop-missing counts what is still missing as failed, so that the generation closes.`,
		Example: "  spdopt tell runs/lab results.jsonl",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 && !(drop && len(args) == 1) {
				return usagef("tell takes a run and a file of results, got %s", counted(len(args), "argument"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.tell(args[0], args[1:], drop) },
	}
	cmd.Flags().BoolVar(&drop, "drop-missing", false, "count evaluations that were handed out and are not told as failed")
	return cmd
}

func resultsName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// readResults returns the lines of a file that are not blank, parsed.
func (a *app) readResults(path string, constraints int) (results []objective.Result, lines []int, err error) {
	in, name := a.in, resultsName(path)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, matio.SystemError(path, "open", err)
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReader(in)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, nil, matio.SystemError(name, "read", err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			one, wrong := objective.ParseResult(text, constraints)
			if wrong != nil {
				return nil, nil, &matio.Error{File: name, What: fmt.Sprintf("line %d: %v; nothing of the file was taken", n, wrong)}
			}
			results, lines = append(results, one), append(lines, n)
		}
		if err == io.EOF {
			return results, lines, nil
		}
	}
}

func (a *app) tell(name string, files []string, drop bool) (err error) {
	d, err := a.openDialogue(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.run.Close()) }()
	o := tellOutput{Schema: schema, Run: d.run.Dir()}
	var taken []run.Told
	if len(files) > 0 {
		var results []objective.Result
		var lines []int
		constraints := d.search.Options().Constraints
		if err := beside(a.ctx, func(*guard) (err error) { results, lines, err = a.readResults(files[0], constraints); return err }); err != nil {
			return err
		}
		for i, r := range results {
			fresh, err := d.report(r)
			if err != nil {
				return &matio.Error{File: resultsName(files[0]), What: fmt.Sprintf("line %d: %v; nothing of the file was taken", lines[i], err)}
			}
			if !fresh {
				o.Ignored++
				continue
			}
			taken = append(taken, run.Told{ID: r.ID, F: r.Value.F, G: r.Value.G, Failed: r.Failed, Error: r.Error})
		}
		o.Accepted = len(taken)
	}
	if drop {
		for _, c := range d.search.Pending() {
			if fresh, err := d.report(objective.Result{ID: c.ID + 1, Failed: true}); err == nil && fresh {
				taken = append(taken, run.Told{ID: c.ID + 1, Failed: true, Error: "dropped"})
				o.Dropped++
			}
		}
	}
	if err := d.store(taken); err != nil {
		return err
	}
	return a.reportTell(d, &o)
}

// report tells the search a result; fresh says whether that changed it.
func (d *dialogue) report(r objective.Result) (fresh bool, err error) {
	if r.ID == 0 {
		return false, errors.New("ids count from 1")
	}
	before := d.search.Evaluations()
	err = d.search.Report(evaluationOf(r.ID, r.Value.F, r.Value.G, r.Failed))
	if errors.Is(err, esadapt.ErrFinished) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("evaluation %d was never handed out", r.ID)
	}
	return d.search.Evaluations() > before, nil
}

// store writes what the search was told, a state when there is much to replay, and state and result when the search is over, unless they are there.
func (d *dialogue) store(taken []run.Told) error {
	for _, t := range taken {
		if err := d.run.Tell(t); err != nil {
			return err
		}
	}
	if err := d.run.Sync(); err != nil {
		return err
	}
	over := d.search.Stop() != nil
	if over && d.run.Finished() || !over && (len(taken) == 0 || d.replayed+len(taken) < replayedAtMost) {
		return nil
	}
	data, err := d.search.MarshalBinary()
	if err != nil {
		return err
	}
	if err := d.run.Checkpoint(run.State{Kind: dialogueKind, Data: data}); err != nil {
		return err
	}
	if !over {
		return nil
	}
	best, reason := d.search.Best(), d.search.Stop()[0]
	return d.run.Finish(run.Result{Status: string(run.Finished), Reason: reason.String(), Converged: reason.Success}, map[string]any{
		"best_f": num(best.F), "best_x": nums(best.X), "evaluations": d.search.Evaluations(), "generations": d.search.Generations(), "stop": d.stop(),
	})
}

func (a *app) reportTell(d *dialogue, o *tellOutput) error {
	best := d.search.Best()
	o.Pending, o.Evaluations, o.Generations = len(d.search.Pending()), d.search.Evaluations(), d.search.Generations()
	o.BestF, o.BestX, o.Stop = num(best.F), nums(best.X), d.stop()
	if a.json {
		return a.printJSON(o)
	}
	a.pairs(
		[2]string{"taken", fmt.Sprintf("%d, %d ignored, %d dropped", o.Accepted, o.Ignored, o.Dropped)},
		[2]string{"pending", fmt.Sprint(o.Pending)},
		[2]string{"evaluations", fmt.Sprintf("%d, %d generations", o.Evaluations, o.Generations)},
		[2]string{"best f", fmt.Sprintf("%.10g", best.F)},
		[2]string{"search", nextStep(o.Stop, o.Pending)},
	)
	return nil
}
