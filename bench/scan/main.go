// Command scan tries candidates for the settings of submissions to bench nn: every candidate is run once on each workload, to the target or to the end of
// the budget, with a seed that the comparisons do not use. Candidates are lines of JSON: an algoperf.Course with the hyperparameters in "point", and in
// "like" the submission whose stated costs it has; without, its steps are measured. It prints a line of CSV for each candidate: the time on each workload
// in budgets (the best metric in parentheses where the target was missed) and the mean over the workloads, a missed one counting 1.5.
//
//	GOMAXPROCS=1 go run ./bench/scan -data DIR candidates.jsonl
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/spdopt/spdopt/nnopt/algoperf"
)

// candidate is a line of the input.
type candidate struct {
	algoperf.Course
	Like  string         `json:"like,omitempty"`
	Point algoperf.Point `json:"point"`
}

// missed is what a missed target counts, in budgets.
const missed = 1.5

type scan struct {
	data      *algoperf.Data
	workloads []algoperf.Workload
	targets   *algoperf.Targets
	costs     *algoperf.Costs
	seed      uint64
	out       *csv.Writer
}

func main() {
	var (
		s           scan
		folder, who string
		err         error
	)
	flag.StringVar(&folder, "data", "data", "folder of the data, as for bench nn")
	flag.StringVar(&who, "workloads", "mnist-mlp,digit-cnn,char-lm,graph-sbm,digit-diffusion,click-through,digit-autoencoder", "workloads")
	flag.Uint64Var(&s.seed, "seed", 1001, "seed; the comparisons have 1")
	flag.Parse()
	s.data = algoperf.OpenData(folder)
	if err = s.open(strings.Split(who, ",")); err == nil {
		err = s.all(flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scan:", err)
		os.Exit(1)
	}
}

func (s *scan) open(names []string) (err error) {
	for _, name := range names {
		w, err := algoperf.ByName(name)
		if err != nil {
			return err
		}
		s.workloads = append(s.workloads, w)
	}
	if s.targets, err = algoperf.StatedTargets(); err != nil {
		return err
	}
	s.costs, err = algoperf.StatedCosts()
	return err
}

func (s *scan) all(files []string) error {
	header := []string{"candidate", "mean"}
	for _, w := range s.workloads {
		header = append(header, w.Name)
	}
	s.out = csv.NewWriter(os.Stdout)
	if err := s.write(header); err != nil {
		return err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for n := 1; lines.Scan(); n++ {
			if err := s.line(lines.Bytes()); err != nil {
				return fmt.Errorf("%s, line %d: %w", name, n, err)
			}
		}
	}
	return nil
}

func (s *scan) line(text []byte) error {
	var c candidate
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	e := algoperf.Of("candidate", "", c.Course, algoperf.Space{Fixed: []algoperf.Point{c.Point}}, nil)
	if err := s.price(&c, e); err != nil {
		return err
	}
	l, err := algoperf.Run(context.Background(), algoperf.Config{
		Entries: []algoperf.Entry{e}, Workloads: s.workloads, Data: s.data, Targets: s.targets, Costs: s.costs, Trials: 1, Studies: 1, Seed: s.seed,
	})
	if err != nil {
		return err
	}
	return s.print(&c, l)
}

// price takes the costs of a step from the submission that the candidate names, or measures them.
func (s *scan) price(c *candidate, e algoperf.Entry) error {
	if c.Like == "" {
		delete(s.costs.Work, e.Name)
		return algoperf.MeasureCosts(context.Background(), s.costs, []algoperf.Entry{e}, s.workloads, s.data, nil)
	}
	s.costs.Work[e.Name], s.costs.Ratio[e.Name] = e.Work, map[string]float64{}
	for _, w := range s.workloads {
		ratio, ok := s.costs.Ratio[c.Like][w.Name]
		switch {
		case c.Like == "adamw":
			ratio = 1
		case !ok:
			return fmt.Errorf("no cost of %s on %s is stated", c.Like, w.Name)
		}
		s.costs.Ratio[e.Name][w.Name] = ratio
	}
	return nil
}

func (s *scan) print(c *candidate, l *algoperf.Log) error {
	name, err := json.Marshal(c)
	if err != nil {
		return err
	}
	sum, row := 0.0, []string{string(name), ""}
	for _, w := range s.workloads {
		budget := float64(w.StepHint) * s.costs.Step[w.Name]
		share, cell := missed, ""
		for _, r := range l.Records {
			if r.Workload != w.Name {
				continue
			}
			switch {
			case r.Status == algoperf.Met:
				share = r.Seconds / budget
				cell = fmt.Sprintf("%.3f", share)
			case r.Status != algoperf.Spent:
				cell = string(r.Status)
			case r.Best != nil:
				cell = fmt.Sprintf("(%.4g)", *r.Best)
			}
		}
		sum += share
		row = append(row, cell)
	}
	row[1] = fmt.Sprintf("%.4f", sum/float64(len(s.workloads)))
	return s.write(row)
}

// write prints a line at once, so that an interrupted scan leaves what is done.
func (s *scan) write(row []string) error {
	if err := s.out.Write(row); err != nil {
		return err
	}
	s.out.Flush()
	return s.out.Error()
}
