// Command tuned compares the optimizers of the registry, each tuned by the same random search: for every workload a number of learning rates, one drawn
// from each part of a logarithmic range around the optimizer's default, are tried with one seed, and the one with the lowest validation loss at the end
// is run with more seeds. Finished runs are kept in a file of JSON lines, so that an interrupted comparison goes on. It prints Markdown tables and
// writes a picture for each workload.
//
//	GOMAXPROCS=1 go run ./bench/tuned -digits DIR -text FILE -out DIR
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/train"
)

// candidate is an optimizer with the centre of its range of learning rates. Methods with factors update them every ten steps; kfac takes
// steps of a learning rate, as the others do, where it would choose their length from its quadratic model.
type candidate struct {
	name, settings string
	lr             float64
	label          string // in tables and in the file of results, default name
}

func (c *candidate) title() string { return cmp.Or(c.label, c.name) }

var candidates = []candidate{
	{name: "adamw", lr: 8e-3},
	{name: "spectral", settings: `{"interval":10}`, lr: 1.2e-2},
	{name: "spectral", settings: `{"interval":10,"products":"bfloat16","bfloat16":true}`, lr: 1.2e-2, label: "spectral, bfloat16"},
	{name: "eshampoo", settings: `{"interval":10}`, lr: 8e-3},
	{name: "muon", lr: 1e-2},
	{name: "soap", settings: `{"interval":10}`, lr: 8e-3},
	{name: "shampoo", settings: `{"interval":10}`, lr: 8e-3},
	{name: "singd", settings: `{"interval":10}`, lr: 4e-2},
	{name: "sgd", lr: 1e-1},
	{name: "schedule-free-adamw", lr: 1e-2},
	{name: "lion", lr: 6e-4},
	{name: "nadamw", lr: 8e-3},
	{name: "root-free-adamw", lr: 3e-3},
	{name: "sirf-shampoo", settings: `{"interval":2}`, lr: 5e-3},
	{name: "ikfac", settings: `{"interval":10}`, lr: 4e-2},
	{name: "root-free-rmsprop", lr: 1e-3},
	{name: "averaged", settings: `{"kind":"gpa","inner":"adamw"}`, lr: 8e-3},
	{name: "schedule-free-sgd", lr: 5e-1},
	{name: "sign", lr: 6e-4},
	{name: "adagrad", lr: 3e-2},
	{name: "kfac", settings: `{"fixed":true,"interval":10}`, lr: 3e-2},
}

type workload struct {
	name                    string
	steps, batch, evalEvery int
}

var workloads = []workload{{"mnist-mlp", 200, 128, 20}, {"mnist-cnn", 100, 32, 20}, {"char-transformer", 100, 8, 10}}

// run is a line of the file of results.
type run struct {
	Workload, Optimizer string
	LR                  float64
	Trial               int // -1: the best rate again
	Seed                uint64
	Failed              string
	Seconds             float64 // processor time
	History             []train.Point
}

// loss returns the validation loss at the end; that of a failed run is infinite.
func (r *run) loss() float64 {
	if r.Failed != "" || len(r.History) == 0 {
		return math.Inf(1)
	}
	return r.History[len(r.History)-1].Loss
}

type comparison struct {
	digits, text, out string
	trials, seeds     int
	scale             float64
	only              bool // print
	runs              []run
	file              *os.File
}

func main() {
	c := &comparison{}
	flag.StringVar(&c.digits, "digits", "", "folder with IDX files of digits; default generated ones")
	flag.StringVar(&c.text, "text", "", "a text file")
	flag.StringVar(&c.out, "out", "tuned", "folder for results")
	flag.IntVar(&c.trials, "trials", 4, "learning rates tried")
	flag.IntVar(&c.seeds, "seeds", 3, "seeds of the best one")
	flag.Float64Var(&c.scale, "scale", 1, "factor on the numbers of steps")
	flag.BoolVar(&c.only, "print", false, "only print what is in the folder")
	flag.Parse()
	if err := c.all(); err != nil {
		fmt.Fprintln(os.Stderr, "tuned:", err)
		os.Exit(1)
	}
}

func (c *comparison) all() error {
	if err := c.open(); err != nil {
		return err
	}
	defer c.file.Close()
	for _, w := range workloads {
		for _, o := range candidates {
			if c.only || w.name == "char-transformer" && c.text == "" {
				continue
			}
			if err := c.tune(w, o); err != nil {
				return err
			}
		}
	}
	return c.print()
}

// open reads the runs that are finished.
func (c *comparison) open() error {
	if err := os.MkdirAll(c.out, 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(c.out, "runs.jsonl"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	c.file = f
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var r run
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		c.runs = append(c.runs, r)
	}
	return lines.Err()
}

// tune searches the learning rate and runs the best one with the other seeds.
func (c *comparison) tune(w workload, o candidate) error {
	rng := rand.New(rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", w.name)))))
	best := run{Failed: "no trial"}
	for k := range c.trials {
		u := (float64(k) + rng.Float64()) / float64(c.trials)
		r, err := c.run(w, o, run{LR: o.lr * math.Pow(10, 1.5*u-0.75), Trial: k, Seed: 1})
		if err != nil {
			return err
		}
		if r.loss() < best.loss() {
			best = r
		}
	}
	for seed := 2; seed <= c.seeds && best.Failed == ""; seed++ {
		if _, err := c.run(w, o, run{LR: best.LR, Trial: -1, Seed: uint64(seed)}); err != nil {
			return err
		}
	}
	return nil
}

// run trains, unless the run is in the file, and adds it there. A run that diverges is a result.
func (c *comparison) run(w workload, o candidate, r run) (run, error) {
	r.Workload, r.Optimizer = w.name, o.title()
	for _, old := range c.runs {
		if old.Workload == r.Workload && old.Optimizer == r.Optimizer && old.Trial == r.Trial && old.Seed == r.Seed && old.LR == r.LR {
			return old, nil
		}
	}
	options := train.Options{
		Workload: w.name, Data: c.digits, Optimizer: o.name, LR: r.LR, Seed: r.Seed, Batch: w.batch,
		Steps: int(float64(w.steps) * c.scale), EvalEvery: int(float64(w.evalEvery) * c.scale),
	}
	if w.name == "char-transformer" {
		options.Data = c.text
	}
	if o.settings != "" {
		options.Settings = json.RawMessage(o.settings)
	}
	if strings.HasPrefix(o.name, "schedule-free") {
		options.Schedule = nnopt.Constant
	}
	start, _ := cputime.Seconds()
	result, err := train.Run(options)
	end, _ := cputime.Seconds()
	r.Seconds = end - start
	if err != nil {
		r.Failed = err.Error()
	} else {
		r.History = result.History
	}
	line, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	if _, err := fmt.Fprintf(c.file, "%s\n", line); err != nil {
		return r, err
	}
	c.runs = append(c.runs, r)
	fmt.Fprintf(os.Stderr, "%s %s lr %.4g seed %d: %.4f, %.1f s\n", w.name, o.title(), r.LR, r.Seed, r.loss(), r.Seconds)
	return r, nil
}

// best returns the runs of the best learning rate of an optimizer, one for each seed.
func (c *comparison) best(workload, optimizer string) (all []run) {
	own := slices.DeleteFunc(slices.Clone(c.runs), func(r run) bool { return r.Workload != workload || r.Optimizer != optimizer || r.Failed != "" })
	if len(own) == 0 {
		return nil
	}
	trials := slices.DeleteFunc(slices.Clone(own), func(r run) bool { return r.Trial < 0 })
	first := slices.MinFunc(trials, func(a, b run) int { return int(math.Copysign(1, a.loss()-b.loss())) })
	return append([]run{first}, slices.DeleteFunc(own, func(r run) bool { return r.Trial >= 0 || r.LR != first.LR })...)
}
