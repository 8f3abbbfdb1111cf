package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"syscall"
	"testing"
)

// TestServeMinimizes plays the other side of the conversation: values for the points asked, until the search stops.
func TestServeMinimizes(t *testing.T) {
	toServer, ours := io.Pipe()
	theirs, fromServer := io.Pipe()
	code := make(chan int, 1)
	var errs bytes.Buffer
	a := &app{ctx: t.Context(), in: toServer, out: fromServer, err: &errs}
	go func() { code <- a.run([]string{"serve", "--stdio"}) }()
	answers := json.NewDecoder(theirs)
	type answer struct {
		X     [][]float64
		Stop  string
		Error string
	}
	say := func(m any) (r answer) {
		t.Helper()
		if err := json.NewEncoder(ours).Encode(m); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := say(map[string]any{"op": "opne"}); !strings.Contains(r.Error, "opne") {
		t.Errorf("%+v", r)
	}
	r := say(map[string]any{"op": "open", "dim": 2, "x0": []float64{3, 4}, "sigma0": 1, "seed": 7, "budget": 400})
	for r.Stop == "" {
		var f []float64
		for _, x := range r.X {
			f = append(f, (x[0]-1)*(x[0]-1)+x[1]*x[1])
		}
		if r = say(map[string]any{"op": "tell", "f": f}); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	if err := json.NewEncoder(ours).Encode(map[string]any{"op": "best"}); err != nil {
		t.Fatal(err)
	}
	var best struct {
		X           []float64
		F           float64
		Evaluations int
	}
	if err := answers.Decode(&best); err != nil || best.F > 1e-6 || best.Evaluations != 400 || len(best.X) != 2 {
		t.Errorf("%+v, %v", best, err)
	}
	ours.Close()
	if c := <-code; c != exitDone {
		t.Errorf("exit code %d at the end of the input: %s", c, errs.String())
	}
}

func TestServeExitCodes(t *testing.T) {
	for part, args := range map[string][]string{"serve where?": {"serve"}, "no arguments": {"serve", "--stdio", "x"}, "did you mean": {"serve", "--stdoi"}} {
		if o := invoke(args...); o.code != exitUsage || !strings.Contains(o.stderr, part) {
			t.Errorf("%q: %+v", args, o)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{syscall.SIGTERM})
	never, w := io.Pipe()
	defer w.Close()
	var out, errs bytes.Buffer
	a := &app{ctx: ctx, in: never, out: &out, err: &errs}
	if code := a.run([]string{"serve", "--stdio"}); code != 143 {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}
