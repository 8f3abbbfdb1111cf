package dashboard

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spdopt/spdopt/internal/run"
)

const token = "0123456789abcdef"

func newRun(t *testing.T, folder, name string) *run.Run {
	t.Helper()
	r, err := run.Create(filepath.Join(folder, name), run.Manifest{Verb: "minimize", Name: "es-<f1>"}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	tell(t, r, 1, 10)
	return r
}

func tell(t *testing.T, r *run.Run, id uint64, f float64) {
	t.Helper()
	if err := errors.Join(r.Ask(run.Asked{ID: id, X: []float64{1}}), r.Tell(run.Told{ID: id, F: f}), r.Event("iter", map[string]any{"evaluations": id, "best": f}), r.Flush()); err != nil {
		t.Fatal(err)
	}
}

func handler(t *testing.T, o Options) http.Handler {
	t.Helper()
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func request(h http.Handler, method, path, bearer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	folder := t.TempDir()
	newRun(t, folder, "first")
	h := handler(t, Options{Folder: folder})
	for path, want := range map[string]string{"/": "/run/first", "/run/first": "es-&lt;f1&gt;", "/dashboard.js": "EventSource", "/dashboard.css": "prefers-color-scheme"} {
		w := request(h, "GET", path, "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("GET %s: %d without %q: %s", path, w.Code, want, w.Body)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s: no content security policy", path)
		}
	}
	if w := request(h, "GET", "/run/first", ""); strings.Contains(w.Body.String(), "<button") {
		t.Error("there are buttons without a token")
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	parent := t.TempDir()
	folder := filepath.Join(parent, "runs")
	newRun(t, folder, "first")
	newRun(t, parent, "outside")
	if err := os.Symlink(filepath.Join(parent, "outside"), filepath.Join(folder, "link")); err != nil {
		t.Skip(err)
	}
	h := handler(t, Options{Folder: folder})
	for _, name := range []string{"..%2Foutside", "%2e%2e%2foutside", "link", ".", "..", "first%2f..%2f..%2foutside", "first%00"} {
		if w := request(h, "GET", "/run/"+name, ""); w.Code == 200 {
			t.Errorf("%s is shown: %s", name, w.Body)
		}
	}
}

func TestActionsNeedTheToken(t *testing.T) {
	folder := t.TempDir()
	newRun(t, folder, "first")
	var did []string
	o := Options{
		Folder: folder, Token: token,
		Stop:   func(i *run.Info) error { did = append(did, "stop "+filepath.Base(i.Dir)); return nil },
		Resume: func(*run.Info) error { return errors.New("it is under way") },
	}
	h := handler(t, o)
	for _, c := range []struct {
		path, bearer string
		want         int
	}{
		{"/run/first/stop", "", 401},
		{"/run/first/stop", token + "0", 401},
		{"/run/first/stop", token, 202},
		{"/run/first/resume", token, 409},
		{"/run/first/delete", token, 404},
		{"/run/second/stop", token, 404},
	} {
		if w := request(h, "POST", c.path, c.bearer); w.Code != c.want {
			t.Errorf("POST %s with %q: %d, want %d: %s", c.path, c.bearer, w.Code, c.want, w.Body)
		}
	}
	if w := request(h, "GET", "/run/first/stop", token); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET of an action: %d", w.Code)
	}
	if len(did) != 1 || did[0] != "stop first" {
		t.Errorf("did %v", did)
	}
	readOnly := handler(t, Options{Folder: folder})
	if w := request(readOnly, "POST", "/run/first/stop", ""); w.Code != 401 {
		t.Errorf("an action without any token: %d", w.Code)
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	h := handler(t, Options{Folder: t.TempDir()})
	r := httptest.NewRequest("GET", "http://rebound.example/", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}

// TestLive reads the stream of a run while it goes on.
func TestLive(t *testing.T) {
	folder := t.TempDir()
	r := newRun(t, folder, "first")
	s := httptest.NewServer(handler(t, Options{Folder: folder, Every: 5 * time.Millisecond}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/run/first/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	in := bufio.NewScanner(answer.Body)
	in.Buffer(nil, 1<<20)
	next := func() string {
		var b strings.Builder
		for in.Scan() && in.Text() != "" {
			b.WriteString(in.Text())
		}
		if in.Err() != nil {
			t.Fatal(in.Err())
		}
		return b.String()
	}
	if first := next(); !strings.Contains(first, "1 (0 failed") {
		t.Fatalf("first event: %s", first)
	}
	tell(t, r, 2, 3.25)
	if second := next(); !strings.Contains(second, "3.25") {
		t.Fatalf("second event: %s", second)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{}, {Folder: "x", Token: token}, {Folder: "x", Every: -1}} {
		if _, err := NewHandler(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
