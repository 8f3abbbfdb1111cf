package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// transport sends one object and returns the object that answers it.
type transport func(t *testing.T, line string) string

// stdio speaks to Serve through two pipes.
func stdio(t *testing.T) transport {
	toServer, ours := io.Pipe()
	theirs, fromServer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(toServer, fromServer) }()
	t.Cleanup(func() {
		ours.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	answers := bufio.NewReader(theirs)
	return func(t *testing.T, line string) string {
		t.Helper()
		if _, err := io.WriteString(ours, line+"\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(answer, "\n")
	}
}

var (
	sessionField = regexp.MustCompile(`^\{"session":"([A-Z2-7]+)",`)
	opField      = regexp.MustCompile(`"op":"([a-z]+)"`)
)

// overHTTP speaks to the handler; it keeps the session's name to itself, and demands that the status fits the answer.
func overHTTP(t *testing.T) transport {
	h, err := NewHandler(HTTPOptions{Token: "0123456789abcdef", Rate: math.Inf(1)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	session := "none"
	return func(t *testing.T, line string) string {
		t.Helper()
		op := opField.FindStringSubmatch(line)[1]
		path := "/v1/" + session + "/" + op
		if op == "open" {
			path = "/v1/open"
		}
		status, answer := post(t, server.URL+path, line)
		if bad := strings.HasPrefix(answer, `{"error":`); bad != (status >= 400) {
			t.Errorf("%s: status %d, %s", line, status, answer)
		}
		if found := sessionField.FindStringSubmatch(answer); found != nil {
			session = found[1]
			answer = "{" + strings.TrimPrefix(answer, found[0])
		}
		return strings.TrimSuffix(answer, "\n")
	}
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer 0123456789abcdef")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(raw)
}

// TestConformance holds the same conversation over both transports: what the protocol promises, in order, and at the end the same answers to the byte.
func TestConformance(t *testing.T) {
	transcripts := make(map[string][]string)
	for name, start := range map[string]func(*testing.T) transport{"stdio": stdio, "http": overHTTP} {
		t.Run(name, func(t *testing.T) { transcripts[name] = converse(t, start(t)) })
	}
	a, b := transcripts["stdio"], transcripts["http"]
	if len(a) < 20 || len(a) != len(b) {
		t.Fatalf("%d and %d answers", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("answer %d: %s over stdio, %s over HTTP", i, a[i], b[i])
		}
	}
}

func converse(t *testing.T, send transport) (transcript []string) {
	say := func(line string) (r reply) {
		t.Helper()
		answer := send(t, line)
		transcript = append(transcript, answer)
		if strings.Contains(answer, "\n") {
			t.Errorf("%s: more than one line: %q", line, answer)
		}
		if err := json.Unmarshal([]byte(answer), &r); err != nil {
			t.Fatalf("%s: %q: %v", line, answer, err)
		}
		return r
	}
	mistake := func(line, part string) {
		t.Helper()
		if r := say(line); !strings.Contains(r.Error, part) {
			t.Errorf("%s: error %q, want %q", line, r.Error, part)
		}
	}
	mistake(`{"op":"open","dim":0}`, "dim is 0")
	mistake(`{"op":"open","dim":2,"lower":[1,1],"upper":[0,2]}`, "lower bound")
	mistake(`{"op":"open","dim":2,"sigma0":0.0}`, "open: sigma0: it must be positive, not 0")
	mistake(`{"op":"open","dim":2,"sigma0":0.5,"x0":[1]}`, "open: x0 has 1")
	r := say(`{"op":"open","dim":3,"x0":[1,2,3],"sigma0":0.5,"seed":7,"budget":300,"constraints":1,"integers":1,"scale":[1,1,2],"lower":[-9,null,-9],"upper":null,"options":{"restarts":"ipop"}}`)
	x := r.batch(t)
	if len(x) == 0 || len(x[0]) != 3 || r.Restarts == nil || *r.Restarts != 0 || x[0][0] != math.Round(x[0][0]) {
		t.Fatalf("%+v", r)
	}
	mistake(`{"op":"best"}`, "no value")
	mistake(`{"op":"tell","f":[1]}`, "1 values for 7 candidates")
	mistake(`{"op":"tell","f":[1,2,3,4,5,6,7]}`, "constraint values for 0 of 7")
	mistake(`{"op":"tell","f":[1,2,3,4,5,6,"seven"],"g":[[0],[0],[0],[0],[0],[0],[0]]}`, "f")
	if again := say(`{"op":"ask"}`); !bytes.Equal(again.X, r.X) {
		t.Error("mistakes changed the batch")
	}
	r = say(`{"op":"tell","f":[NaN,null,"Infinity",1,2,3,4],"g":[[0],[0],[0],[-1],[0],[2],[0]]}`)
	told := 7
	var saved string
	for r.Stop == "" {
		var f, g []float64
		for _, x := range r.batch(t) {
			f, g = append(f, sphere(x)), append(g, 1-x[0])
		}
		if told += len(f); told > 100 && saved == "" {
			answer := send(t, `{"op":"save"}`)
			_, rest, ok := strings.Cut(answer, `{"ok":true,"state":"`)
			if saved = strings.TrimSuffix(rest, `"}`); !ok {
				t.Fatal(answer)
			}
		}
		r = say(tellConstrained(t, f, g))
		if r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	if told != 300 || !strings.HasPrefix(r.Stop, "max-evaluations") {
		t.Errorf("%d told, stop %q", told, r.Stop)
	}
	best := say(`{"op":"best"}`)
	if best.F == nil || best.Evaluations != 300 {
		t.Errorf("%+v", best)
	}
	if r := say(`{"op":"load","state":"` + saved + `"}`); !r.OK {
		t.Errorf("load: %+v", r)
	}
	if r := say(`{"op":"ask"}`); r.Stop != "" || len(r.batch(t)) == 0 {
		t.Errorf("after load: %+v", r)
	}
	if r := say(`{"op":"close"}`); !r.OK {
		t.Errorf("%+v", r)
	}
	second := say(`{"op":"open","dim":2,"seed":1,"budget":12}`)
	if fresh := ask(t, &Session{}, `{"op":"open","dim":2,"seed":1,"budget":12}`); !bytes.Equal(fresh.X, second.X) {
		t.Error("something leaks from one problem to the next")
	}
	return transcript
}

func tellConstrained(t *testing.T, f, g []float64) string {
	t.Helper()
	rows := make([][1]float64, len(g))
	for i, v := range g {
		rows[i][0] = v
	}
	raw, err := json.Marshal(map[string]any{"op": "tell", "f": f, "g": rows})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
