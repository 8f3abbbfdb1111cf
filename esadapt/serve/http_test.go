package serve

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// request serves one request in memory; edit changes it before.
func request(h http.Handler, method, path, body string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func handler(t *testing.T, o HTTPOptions) http.Handler {
	t.Helper()
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHTTPRefusals(t *testing.T) {
	const token = "a token of some length"
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	h := handler(t, HTTPOptions{Token: token, MaxBody: 100, MaxDim: 50})
	for _, c := range []struct {
		method, path, body string
		edit               func(*http.Request)
		status             int
		part               string
	}{
		{"POST", "/v1/open", `{"dim":2}`, nil, 401, "token"},
		{"POST", "/v1/open", `{"dim":2}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token[1:]) }, 401, "token"},
		{"POST", "/v1/open", `{"dim":2}`, func(r *http.Request) { bearer(r); r.Host = "example.org" }, 200, "session"},
		{"GET", "/v1/open", "", bearer, 405, "POST"},
		{"POST", "/v1/close", `{}`, bearer, 404, "there are POST /v1/open"},
		{"POST", "/v1/nobody/ask", `{}`, bearer, 404, "no such session"},
		{"POST", "/v1/open", `{"dim":2,` + strings.Repeat(" ", 100) + `}`, bearer, 413, "100 bytes"},
		{"POST", "/v1/open", `{"dim":2`, bearer, 400, "not JSON"},
		{"POST", "/v1/open", `{"op":"tell","dim":2}`, bearer, 400, "sent to where"},
		{"POST", "/v1/open", `{"dim":51}`, bearer, 400, "50 are the most"},
		{"POST", "/v1/open", `{"dim":2,"options":{"popsize":51}}`, bearer, 400, "50 are the most"},
		{"POST", "/v1/open", `{"dim":2}`, func(r *http.Request) { bearer(r); r.Header.Set("Content-Type", "text/plain") }, 415, "application/json"},
	} {
		w := request(h, c.method, c.path, c.body, c.edit)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.part) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s %s: %d %s; want %d with %q", c.method, c.path, c.body, w.Code, w.Body, c.status, c.part)
		}
	}
	open := handler(t, HTTPOptions{})
	for host, status := range map[string]int{"localhost:8080": 200, "127.0.0.1": 200, "[::1]:1": 200, "example.org": 403, "localhost.example.org": 403} {
		if w := request(open, "POST", "/v1/open", `{"dim":2}`, func(r *http.Request) { r.Host = host }); w.Code != status {
			t.Errorf("host %s: %d %s", host, w.Code, w.Body)
		}
	}
	for _, bad := range []HTTPOptions{{MaxBody: -1}, {Rate: -1}, {Sessions: -1}, {Token: "short"}} {
		if _, err := NewHandler(bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestHTTPFilesAreOutOfReach(t *testing.T) {
	h := handler(t, HTTPOptions{})
	session := opened(t, h)
	for _, op := range []string{"save", "load"} {
		if w := request(h, "POST", "/v1/"+session+"/"+op, `{"path":"/tmp/x"}`, nil); w.Code != 400 || !strings.Contains(w.Body.String(), "out of reach") {
			t.Errorf("%s: %d %s", op, w.Code, w.Body)
		}
	}
}

func opened(t *testing.T, h http.Handler) string {
	t.Helper()
	var r struct{ Session string }
	w := request(h, "POST", "/v1/open", `{"dim":2,"seed":1}`, nil)
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || r.Session == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return r.Session
}

// TestHTTPLimits: rate and number of sessions, with a clock that the test moves.
func TestHTTPLimits(t *testing.T) {
	now := time.Unix(1000, 0)
	s, h, err := newServer(HTTPOptions{Rate: 2, Sessions: 2, Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now }
	first := opened(t, h)
	opened(t, h)
	if w := request(h, "POST", "/v1/open", `{"dim":2}`, nil); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("third request within a second: %d %s", w.Code, w.Body)
	}
	other := func(r *http.Request) { r.RemoteAddr = "192.0.2.9:1" }
	if w := request(h, "POST", "/v1/"+first+"/ask", "", other); w.Code != 200 {
		t.Errorf("another address: %d %s", w.Code, w.Body)
	}
	now = now.Add(time.Second)
	if w := request(h, "POST", "/v1/open", `{"dim":2}`, nil); w.Code != 429 || !strings.Contains(w.Body.String(), "close one") {
		t.Errorf("third session: %d %s", w.Code, w.Body)
	}
	now = now.Add(2 * time.Minute)
	opened(t, h)
	if len(s.sessions) != 2 || s.order.Len() != 2 {
		t.Errorf("%d sessions, %d in order", len(s.sessions), s.order.Len())
	}
	if w := request(h, "POST", "/v1/"+first+"/close", "", nil); w.Code != 200 || len(s.sessions) != 1 {
		t.Errorf("close: %d %s, %d sessions", w.Code, w.Body, len(s.sessions))
	}
}

// TestHTTPManyCallers: sessions do not disturb each other, and one session takes requests one at a time.
func TestHTTPManyCallers(t *testing.T) {
	h := handler(t, HTTPOptions{Rate: 1e6})
	want := request(h, "POST", "/v1/"+opened(t, h)+"/tell", `{"f":[1,2,3,4,5,6]}`, nil).Body.String()
	shared := opened(t, h)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			mine := opened(t, h)
			if w := request(h, "POST", "/v1/"+mine+"/tell", `{"f":[1,2,3,4,5,6]}`, nil); w.Body.String() != want {
				t.Errorf("%d %s, want %s", w.Code, w.Body, want)
			}
			if w := request(h, "POST", "/v1/"+shared+"/tell", `{"f":[1,2,3,4,5,6]}`, nil); w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	group.Wait()
}
