// Package dashboard serves a local web page on the runs in a folder: what they are, how they go, and, to whoever has the token, buttons to stop and resume them. It
// reads the runs' journals and keeps nothing.
package dashboard

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/spdopt/spdopt/internal/httpguard"
	"github.com/spdopt/spdopt/internal/monitor"
	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/internal/run"
)

//go:embed dashboard.js dashboard.css *.html
var files embed.FS

// Options say what is shown and what may be done.
type Options struct {
	Folder string // that holds the runs
	// Token lets its bearers stop and resume runs. Empty means that nobody can: the pages only show.
	Token string
	// Stop asks the process that has a run open to write a checkpoint and end; Resume starts a process that goes on with a run. Needed with a Token.
	Stop, Resume func(*run.Info) error
	// Every is the time between two looks at a run that is watched; 0 means one second.
	Every time.Duration
}

// Validate reports the first thing that does not fit.
func (o *Options) Validate() error {
	switch {
	case o.Folder == "":
		return errors.New("dashboard: no folder")
	case o.Token != "" && (o.Stop == nil || o.Resume == nil):
		return errors.New("dashboard: a token without the actions that it is for")
	case o.Every < 0:
		return errors.New("dashboard: a negative time between looks")
	}
	return nil
}

type server struct {
	o     Options
	pages *template.Template
	guard *httpguard.Guard // of the actions
}

// NewHandler returns the pages. They are answered under loopback names only.
//
//	GET  /                     the runs
//	GET  /run/{name}           one run
//	GET  /run/{name}/live      server-sent events: the changing part of that page, whenever it changes
//	POST /run/{name}/{action}  stop or resume, with "Authorization: Bearer TOKEN"
func NewHandler(o Options) (http.Handler, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	front, err := httpguard.New(httpguard.Options{MaxBody: 1 << 16, Rate: 100})
	if err != nil {
		return nil, err
	}
	s := &server{o: o}
	if s.guard, err = httpguard.New(httpguard.Options{Token: o.Token}); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	if s.pages, err = template.ParseFS(files, "*.html"); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.list)
	mux.HandleFunc("GET /run/{name}", s.show)
	mux.HandleFunc("GET /run/{name}/live", s.live)
	mux.HandleFunc("POST /run/{name}/{action}", s.act)
	mux.HandleFunc("GET /dashboard.js", asset("text/javascript; charset=utf-8", "dashboard.js"))
	mux.HandleFunc("GET /dashboard.css", asset("text/css; charset=utf-8", "dashboard.css"))
	return front.Wrap(headers(mux)), nil
}

// headers forbids everything that the pages do not need.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func asset(kind, name string) http.HandlerFunc {
	text, err := files.ReadFile(name)
	if err == nil && name == "dashboard.css" {
		text = append([]byte(report.Style+"\n"), text...)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Write(text)
	}
}

// render writes a page, or nothing but the error.
func (s *server) render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// listing is the data of the page of all runs.
type listing struct {
	Folder   string
	Runs     []row
	Problems string
}

type row struct{ Name, What, Status, Started, Reason string }

func (s *server) list(w http.ResponseWriter, _ *http.Request) {
	all, failed := run.List(s.o.Folder)
	l := listing{Folder: s.o.Folder}
	for i := len(all) - 1; i >= 0; i-- {
		v := monitor.View{Info: all[i]}
		r := row{Name: v.Name(), What: v.Title(), Status: string(all[i].Status), Started: all[i].Manifest.Created.Local().Format(time.DateTime)}
		if all[i].Result != nil {
			r.Reason = all[i].Result.Reason
		}
		l.Runs = append(l.Runs, r)
	}
	if failed != nil {
		l.Problems = failed.Error()
	}
	s.render(w, http.StatusOK, "list.html", l)
}

// detail is the data of the page of one run.
type detail struct {
	Name, Title    string
	Status         string
	Age            string
	CanStop        bool
	CanResume      bool
	Acts           bool // there is a token
	Summary        [][2]string
	Curves         template.HTML
	Workers        *report.Table
	Failures       *report.Table
	Settings, Host *report.Table
}

func (s *server) detail(v *monitor.View) detail {
	d := detail{
		Name: v.Name(), Title: v.Title(), Status: string(v.Info.Status), Age: v.Age(time.Now()), Summary: v.Summary(), Workers: v.WorkerTable(), Failures: v.FailureTable(),
		Settings: v.SettingTable(), Host: v.HostTable(), Acts: s.o.Token != "",
		CanStop: v.Info.Status == run.Running, CanResume: v.Info.Status == run.Interrupted,
	}
	if c := v.Curves(); c != nil {
		d.Curves = c.Inline()
	}
	return d
}

// find reads the run that a request names, or answers that there is none.
func (s *server) find(w http.ResponseWriter, r *http.Request) (dir string, ok bool) {
	dir, err := run.Resolve(s.o.Folder, r.PathValue("name"))
	if err != nil {
		s.render(w, http.StatusNotFound, "missing.html", err.Error())
		return "", false
	}
	return dir, true
}

func (s *server) show(w http.ResponseWriter, r *http.Request) {
	dir, ok := s.find(w, r)
	if !ok {
		return
	}
	v, err := monitor.Read(dir)
	if err != nil {
		s.render(w, http.StatusInternalServerError, "missing.html", err.Error())
		return
	}
	s.render(w, http.StatusOK, "run.html", s.detail(v))
}

// act stops or resumes a run for whoever has the token.
func (s *server) act(w http.ResponseWriter, r *http.Request) {
	if !s.guard.Authorized(r) {
		httpguard.Refuse(w, http.StatusUnauthorized, "this needs the token that the dashboard printed at its start")
		return
	}
	dir, ok := s.find(w, r)
	if !ok {
		return
	}
	action := map[string]func(*run.Info) error{"stop": s.o.Stop, "resume": s.o.Resume}[r.PathValue("action")]
	if action == nil {
		httpguard.Refuse(w, http.StatusNotFound, "there are stop and resume")
		return
	}
	info, err := run.Inspect(dir)
	if err == nil {
		err = action(info)
	}
	if err != nil {
		httpguard.Refuse(w, http.StatusConflict, err.Error())
		return
	}
	httpguard.Respond(w, http.StatusAccepted, []byte("{\"ok\":true}\n"))
}
