package serve

import (
	"bytes"
	"cmp"
	recency "container/list"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spdopt/spdopt/internal/httpguard"
)

// HTTPOptions bounds what callers may do. The zero value is the documented default.
type HTTPOptions struct {
	// Token must be sent as "Authorization: Bearer TOKEN". Empty means that none is asked for; then only requests to a loopback name are answered, so that
	// a page in a browser cannot reach the server under another name.
	Token    string
	MaxBody  int           // bytes of a request; 0 means 16 MiB
	Rate     float64       // requests a second from one address, in the mean; 0 means 1000, +Inf no limit
	Sessions int           // problems open at once; 0 means 64
	Idle     time.Duration // after which a session may give way to a new one; 0 means one hour
	MaxDim   int           // variables of a problem; 0 means 2000
}

// Validate reports the first thing that does not fit.
func (o *HTTPOptions) Validate() error {
	if o.Sessions < 0 || o.Idle < 0 || o.MaxDim < 0 {
		return errors.New("serve: sessions, idle time and dimension must not be negative")
	}
	guard := o.guard()
	if err := guard.Validate(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (o *HTTPOptions) guard() httpguard.Options {
	return httpguard.Options{Token: o.Token, MaxBody: o.MaxBody, Rate: o.Rate}
}

// server keeps the sessions of many callers.
type server struct {
	o   HTTPOptions
	now func() time.Time

	mu       sync.Mutex
	sessions map[string]*recency.Element // of order, by identifier
	order    recency.List                // of *remote, the one used last in front
}

// remote is the session of one caller.
type remote struct {
	id   string
	used time.Time
	mu   sync.Mutex // held while the session works
	s    Session
}

// NewHandler returns the protocol as HTTP: every operation is a POST of its JSON object, answered by the object that a line would be answered by.
//
//	POST /v1/open                  the answer also has "session", the name of the problem
//	POST /v1/{session}/{op}        ask, tell, best, save, load, close; "op" may be left out of the body
//
// Files are out of reach: save answers with "state", which load takes. Refusals have status 400, an unknown session 404, and a missing token 401, a request that is
// too large 413, too many requests or sessions 429. Any number of callers may work at once, each session on one request at a time.
func NewHandler(o HTTPOptions) (http.Handler, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	_, h, err := newServer(o)
	return h, err
}

func newServer(o HTTPOptions) (*server, http.Handler, error) {
	s := &server{o: o, now: time.Now, sessions: make(map[string]*recency.Element)}
	limits := o.guard()
	limits.Now = func() time.Time { return s.now() }
	guard, err := httpguard.New(limits)
	if err != nil {
		return nil, nil, err
	}
	s.o.Sessions = cmp.Or(o.Sessions, 64)
	s.o.Idle = cmp.Or(o.Idle, time.Hour)
	s.o.MaxDim = cmp.Or(o.MaxDim, 2000)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/open", s.open)
	mux.HandleFunc("POST /v1/{session}/{op}", s.work)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/") {
			w.Header().Set("Allow", http.MethodPost)
			httpguard.Refuse(w, http.StatusMethodNotAllowed, "every operation is a POST")
			return
		}
		httpguard.Refuse(w, http.StatusNotFound, "there are POST /v1/open and POST /v1/{session}/{ask, tell, best, save, load, close}")
	})
	return s, guard.Wrap(onlyJSON(mux)), nil
}

// onlyJSON lets through what looks like JSON: a form of a page in a browser does not.
func onlyJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !isJSON(r) {
			httpguard.Refuse(w, http.StatusUnsupportedMediaType, "the content type must be application/json")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// open starts a session. It counts only once the problem is accepted.
func (s *server) open(w http.ResponseWriter, r *http.Request) {
	body, ok := s.read(w, r)
	if !ok {
		return
	}
	c := &remote{id: rand.Text(), s: Session{NoFiles: true, maxDim: s.o.MaxDim}}
	answer, err := c.s.handle(body, "open")
	if err != nil {
		httpguard.Refuse(w, http.StatusBadRequest, plain(err))
		return
	}
	if !s.add(c) {
		httpguard.Refuse(w, http.StatusTooManyRequests, fmt.Sprintf("%d problems are open; close one", s.o.Sessions))
		return
	}
	httpguard.Respond(w, http.StatusOK, append(append([]byte(`{"session":"`+c.id+`",`), answer[1:]...), '\n'))
}

// add makes room for a session at the cost of one that has been idle for long.
func (s *server) add(c *remote) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.used = s.now()
	if len(s.sessions) >= s.o.Sessions {
		last := s.order.Back()
		if old := last.Value.(*remote); c.used.Sub(old.used) < s.o.Idle {
			return false
		}
		s.remove(last)
	}
	s.sessions[c.id] = s.order.PushFront(c)
	return true
}

func (s *server) remove(e *recency.Element) { delete(s.sessions, s.order.Remove(e).(*remote).id) }

// find returns the session of that name, nil if there is none; drop forgets it.
func (s *server) find(id string, drop bool) *remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.sessions[id]
	if e == nil {
		return nil
	}
	c := e.Value.(*remote)
	if drop {
		s.remove(e)
		return c
	}
	c.used = s.now()
	s.order.MoveToFront(e)
	return c
}

// work answers an operation on an open session.
func (s *server) work(w http.ResponseWriter, r *http.Request) {
	op := r.PathValue("op")
	body, ok := s.read(w, r)
	if !ok {
		return
	}
	c := s.find(r.PathValue("session"), op == "close")
	if c == nil {
		httpguard.Refuse(w, http.StatusNotFound, "there is no such session; POST /v1/open starts one")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, err := c.s.handle(body, op)
	if err != nil {
		httpguard.Refuse(w, http.StatusBadRequest, plain(err))
		return
	}
	httpguard.Respond(w, http.StatusOK, append(answer, '\n'))
}

func (s *server) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		httpguard.Refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d bytes", large.Limit))
	case err != nil:
		httpguard.Refuse(w, http.StatusBadRequest, "the request was cut off")
	case len(bytes.TrimSpace(body)) == 0:
		return []byte("{}"), true
	default:
		return body, true
	}
	return nil, false
}
