package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/spdopt/spdopt/internal/matio"
)

// timeSlack is the growth of the mean time that is put down to the machine, before --allow.
const timeSlack = 0.25

// problemComparison is the JSON object of "bench compare" for two results of "bench spd".
type problemComparison struct {
	Schema     int      `json:"schema"`
	Suite      string   `json:"suite"`
	Worse      bool     `json:"worse"`
	Cases      int      `json:"cases"`
	Time       num      `json:"time_ratio"`       // geometric mean, after over before
	Iterations num      `json:"iterations_ratio"` // the same
	Worst      num      `json:"worst_ratio"`
	At         string   `json:"worst_case,omitempty"`
	Lost       []string `json:"lost,omitempty"`
}

// readProblemBench reads a result of "bench spd"; nil if the file holds something else.
func readProblemBench(path string) (*problemBenchOutput, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, matio.SystemError(path, "open", err)
	}
	var o problemBenchOutput
	if json.Unmarshal(b, &o) != nil || o.Suite != "spd" {
		return nil, nil
	}
	return &o, nil
}

// compareProblems compares two results of "bench spd"; done is false if the first is no such file.
func (a *app) compareProblems(before, after string, allow float64) (done bool, err error) {
	x, err := readProblemBench(before)
	if err != nil || x == nil {
		return err != nil, err
	}
	y, err := readProblemBench(after)
	if err != nil {
		return true, err
	}
	if y == nil {
		return true, &matio.Error{File: after, What: "is no result of bench spd, as " + before + " is"}
	}
	c := compareCases(x.Cases, y.Cases)
	if c.Cases == 0 {
		return true, &matio.Error{File: after, What: "has no case in common with " + before}
	}
	c.Worse = len(c.Lost) > 0 || float64(c.Time) > 1+timeSlack+allow
	if a.json {
		err = a.printJSON(c)
	} else {
		_, err = fmt.Fprintf(a.out, "%d cases: time x %.2f, iterations x %.2f, worst %.2f at %s\n", c.Cases, float64(c.Time), float64(c.Iterations), float64(c.Worst), c.At)
	}
	if err != nil || !c.Worse {
		return true, err
	}
	if len(c.Lost) > 0 {
		return true, &unmetError{"no longer converged: " + strings.Join(c.Lost, "; ")}
	}
	return true, &unmetError{fmt.Sprintf("the times grew by a factor %.2f", float64(c.Time))}
}

// compareCases goes over the cases that both results have and that converged before.
func compareCases(before, after []*problemBenchCase) problemComparison {
	name := func(c *problemBenchCase) string {
		return fmt.Sprintf("%s by %s, n = %d, condition %.0e", c.Problem, c.Method, c.N, float64(c.Kappa))
	}
	later := map[string]*problemBenchCase{}
	for _, c := range after {
		later[name(c)] = c
	}
	o := problemComparison{Schema: schema, Suite: "spd"}
	var times, iterations float64
	for _, c := range before {
		d := later[name(c)]
		if d == nil || !c.Converged {
			continue
		}
		o.Cases++
		if !d.Converged {
			o.Lost = append(o.Lost, name(c))
			continue
		}
		const tick = 1e-6 // what processor time cannot tell from nothing
		ratio := (float64(d.CPU) + tick) / (float64(c.CPU) + tick)
		times += math.Log(ratio)
		iterations += math.Log(float64(d.Iterations+1) / float64(c.Iterations+1))
		if num(ratio) > o.Worst {
			o.Worst, o.At = num(ratio), name(c)
		}
	}
	if kept := float64(o.Cases - len(o.Lost)); kept > 0 {
		o.Time, o.Iterations = num(math.Exp(times/kept)), num(math.Exp(iterations/kept))
	}
	return o
}
