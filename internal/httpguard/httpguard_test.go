package httpguard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func answer(t *testing.T, o Options, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return through(g, change)
}

// through sends a request of ten bytes; a handler that reads it says "in".
func through(g *Guard, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://localhost:1/", strings.NewReader("0123456789"))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			Refuse(w, http.StatusRequestEntityTooLarge, err.Error())
			return
		}
		io.WriteString(w, "in")
	})).ServeHTTP(w, r)
	return w
}

func TestWhoPasses(t *testing.T) {
	const token = "0123456789abcdef"
	bearer := func(given string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", given) }
	}
	for _, c := range []struct {
		what   string
		o      Options
		change func(*http.Request)
		want   int
	}{
		{"loopback without a token", Options{}, nil, 200},
		{"another name without a token", Options{}, func(r *http.Request) { r.Host = "example.org:80" }, 403},
		{"the token", Options{Token: token}, bearer("Bearer " + token), 200},
		{"the token under another name", Options{Token: token}, func(r *http.Request) { r.Host = "example.org"; bearer("Bearer " + token)(r) }, 200},
		{"no token", Options{Token: token}, nil, 401},
		{"a wrong token", Options{Token: token}, bearer("Bearer " + token + "0"), 401},
		{"the token without its word", Options{Token: token}, bearer(token), 401},
		{"a large body", Options{MaxBody: 9}, nil, 413},
		{"a body that just fits", Options{MaxBody: 10}, nil, 200},
	} {
		if got := answer(t, c.o, c.change).Code; got != c.want {
			t.Errorf("%s: status %d, want %d", c.what, got, c.want)
		}
	}
}

func TestAuthorizedNeedsAToken(t *testing.T) {
	g, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer ")
	if g.Authorized(r) {
		t.Error("an empty token is no token")
	}
}

func TestRate(t *testing.T) {
	now := time.Unix(1000, 0)
	g, err := New(Options{Rate: 2, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range []int{200, 200, 429} {
		if got := through(g, nil).Code; got != want {
			t.Errorf("request %d: status %d, want %d", k+1, got, want)
		}
	}
	if got := through(g, func(r *http.Request) { r.RemoteAddr = "192.0.2.7:9" }).Code; got != 200 {
		t.Errorf("another address: status %d", got)
	}
	now = now.Add(500 * time.Millisecond)
	for k, want := range []int{200, 429} {
		if got := through(g, nil).Code; got != want {
			t.Errorf("half a second later, request %d: status %d, want %d", k+1, got, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{MaxBody: -1}, {Rate: -1}, {Token: "short"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
