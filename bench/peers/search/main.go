// Command search lets another program's optimizer make the trials of "spdopt bench es": the same functions, starts, budgets and result file. The other program is started once; it
// reads a line of JSON for each trial, {"dim", "x0", "seed", "budget"}, and then writes batches of points, an unsigned count of four bytes and count times dim numbers of eight
// (little-endian). The answer to a batch has the same form with one value for each point; a count of 0 says that the trial is over.
//
//	go run ./bench/peers/search -functions f20,f21 -dims 5 -repeats 7 -budget 10000 -out pycma.json python3 bench/peers/search_cma.py
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spdopt/spdopt/esadapt/bench"
)

// peer is the other program.
type peer struct {
	in  *bufio.Writer
	out *bufio.Reader
}

func main() {
	suite := flag.String("suite", "bbob", "suite")
	functions := flag.String("functions", "", "functions, separated by commas; empty for all")
	dims := flag.String("dims", "5", "dimensions, separated by commas")
	last := flag.Int("instances", 15, "instances 1 to this number")
	repeats := flag.Int("repeats", 1, "trials of each instance")
	budget := flag.Int("budget", 10000, "evaluations per variable")
	out := flag.String("out", "peer.json", "result file")
	flag.Parse()
	c := bench.Config{Suite: *suite, Repeats: *repeats, Budget: *budget, Workers: 1}
	if *functions != "" {
		c.Functions = strings.Split(*functions, ",")
	}
	for i := range *last {
		c.Instances = append(c.Instances, i+1)
	}
	err := parse(&c, *dims)
	if err == nil {
		err = measure(c, *out, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "search:", err)
		os.Exit(1)
	}
}

func parse(c *bench.Config, dims string) error {
	for text := range strings.SplitSeq(dims, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-dims: %w", err)
		}
		c.Dims = append(c.Dims, n)
	}
	return nil
}

func measure(c bench.Config, out string, command []string) error {
	if len(command) == 0 {
		return fmt.Errorf("no program given")
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &peer{in: bufio.NewWriter(in), out: bufio.NewReaderSize(answers, 1<<20)}
	c.Solver = p.solve
	trials, err := bench.Run(context.Background(), c)
	in.Close()
	if wait := cmd.Wait(); err == nil {
		err = wait
	}
	if err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := bench.Write(file, c.Suite, strings.Join(command, " "), trials); err != nil {
		return err
	}
	return bench.Table(os.Stdout, trials)
}

// solve is the bench.Solver.
func (p *peer) solve(t *bench.Task) error {
	err := json.NewEncoder(p.in).Encode(map[string]any{"dim": t.Function.Dim, "x0": t.X0, "seed": t.Seed, "budget": t.Budget})
	for more := true; more && err == nil; {
		if err = p.in.Flush(); err == nil {
			more, err = p.batch(t)
		}
	}
	return cmp.Or(err, p.in.Flush())
}

// batch answers one batch of points; it returns false once the trial is over.
func (p *peer) batch(t *bench.Task) (more bool, err error) {
	var count uint32
	if err := binary.Read(p.out, binary.LittleEndian, &count); err != nil {
		return false, fmt.Errorf("the other program's points: %w", err)
	}
	raw := make([]byte, 8*int(count)*t.Function.Dim)
	if _, err := io.ReadFull(p.out, raw); err != nil {
		return false, fmt.Errorf("the other program's points: %w", err)
	}
	x, g := make([]float64, len(raw)/8), make([]float64, t.Function.Constraints)
	if _, err := binary.Decode(raw, binary.LittleEndian, x); err != nil {
		return false, err
	}
	values := make([]float64, count)
	for i := range values {
		if values[i], more = t.Eval(x[i*t.Function.Dim:(i+1)*t.Function.Dim], g); !more {
			return false, binary.Write(p.in, binary.LittleEndian, uint32(0))
		}
	}
	if err := binary.Write(p.in, binary.LittleEndian, count); err != nil {
		return false, err
	}
	return true, binary.Write(p.in, binary.LittleEndian, values)
}
