package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
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
	t.Setenv("SPDOPT_TOKEN", "")
	for part, args := range map[string][]string{
		"serve where?": {"serve"}, "--stdio or --http": {"serve", "--stdio", "--http", ":0"}, "no arguments": {"serve", "--stdio", "x"}, "did you mean": {"serve", "--stdoi"},
		"HOST:PORT": {"serve", "--http", "8080"}, "other machines": {"serve", "--http", "0.0.0.0:0"}, "--rate needs --http": {"serve", "--stdio", "--rate", "3"},
		"must be positive": {"serve", "--http", ":0", "--rate", "0"}, "--http :99999": {"serve", "--http", ":99999"},
	} {
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

// TestServeHTTP minimizes over HTTP from an address that other machines can reach, with a token, and ends by a signal.
func TestServeHTTP(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	errs, stderr := io.Pipe()
	a := &app{ctx: ctx, in: strings.NewReader(""), out: io.Discard, err: stderr}
	code := make(chan int, 1)
	go func() {
		code <- a.run([]string{"serve", "--http", "0.0.0.0:0", "--token-file", writeText(t, "token.txt", "a token of some length\n")})
		stderr.Close()
	}()
	lines := bufio.NewReader(errs)
	line, err := lines.ReadString('\n')
	_, port, ok := strings.Cut(strings.TrimSpace(line), "listening on http://[::]:")
	if !ok {
		t.Fatalf("%q, %v", line, err)
	}
	go io.Copy(io.Discard, lines)
	send := func(path, token, body string) (answer struct {
		Session, Stop, Error string
		X                    json.RawMessage
		F                    float64
	}) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+port+"/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if r := send("open", "wrong", `{"dim":2}`); !strings.Contains(r.Error, "token") {
		t.Errorf("%+v", r)
	}
	const token = "a token of some length"
	r := send("open", token, `{"dim":2,"x0":[3,4],"seed":7,"budget":300}`)
	for session := r.Session; r.Stop == ""; {
		var x [][]float64
		if err := json.Unmarshal(r.X, &x); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		var f []float64
		for _, p := range x {
			f = append(f, p[0]*p[0]+p[1]*p[1])
		}
		body, err := json.Marshal(map[string]any{"f": f})
		if err != nil {
			t.Fatal(err)
		}
		if r = send(session+"/tell", token, string(body)); r.Stop != "" {
			r = send(session+"/best", token, "")
			break
		}
	}
	if r.F > 1e-6 {
		t.Errorf("%+v", r)
	}
	cancel(interrupted{syscall.SIGINT})
	if c := <-code; c != 130 {
		t.Errorf("exit code %d", c)
	}
}

// BenchmarkServeStdio is what a caller pays for an evaluation over two pipes to a process of its own, its own writing and reading of numbers included.
func BenchmarkServeStdio(b *testing.B) {
	for _, n := range []int{10, 40} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			cmd := exec.CommandContext(b.Context(), os.Args[0], "serve", "--stdio")
			in, err := cmd.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			answers := bufio.NewReaderSize(out, 1<<16)
			fmt.Fprintf(in, "{\"op\":\"open\",\"dim\":%d,\"seed\":1,\"options\":{\"restarts\":\"none\"}}\n", n)
			evaluations := 0
			for b.Loop() {
				line, err := answers.ReadSlice('\n')
				if err != nil {
					b.Fatal(err)
				}
				count := bytes.Count(line, []byte("[")) - 1
				if count < 1 {
					b.Fatalf("%s", line)
				}
				tell := []byte(`{"op":"tell","f":[`)
				for i := range count {
					tell = append(strconv.AppendFloat(tell, 1/float64(i+3)-float64(evaluations), 'g', 17, 64), ',')
				}
				tell = append(tell[:len(tell)-1], "]}\n"...)
				if _, err := in.Write(tell); err != nil {
					b.Fatal(err)
				}
				evaluations += count
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(evaluations), "ns/evaluation")
			in.Close()
			cmd.Wait()
		})
	}
}
