package serve

import (
	"bytes"
	recency "container/list"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
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
	if o.MaxBody < 0 || !(o.Rate >= 0) || o.Sessions < 0 || o.Idle < 0 || o.MaxDim < 0 {
		return errors.New("serve: body size, rate, sessions, idle time and dimension must not be negative")
	}
	if o.Token != "" && len(o.Token) < 16 {
		return fmt.Errorf("serve: the token has %d characters; use 16 or more", len(o.Token))
	}
	return nil
}

// server keeps the sessions of many callers.
type server struct {
	o     HTTPOptions
	token [sha256.Size]byte
	now   func() time.Time

	mu       sync.Mutex
	sessions map[string]*recency.Element // of order, by identifier
	order    recency.List                // of *remote, the one used last in front
	buckets  map[string]*bucket          // by address
}

// remote is the session of one caller.
type remote struct {
	id   string
	used time.Time
	mu   sync.Mutex // held while the session works
	s    Session
}

// bucket holds the requests that an address may still make at once; it fills with time.
type bucket struct {
	tokens float64
	at     time.Time
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
	_, h := newServer(o)
	return h, nil
}

func newServer(o HTTPOptions) (*server, http.Handler) {
	s := &server{o: o, token: sha256.Sum256([]byte(o.Token)), now: time.Now, sessions: make(map[string]*recency.Element), buckets: make(map[string]*bucket)}
	s.o.MaxBody = orDefault(o.MaxBody, 16<<20)
	s.o.Rate = orDefault(o.Rate, 1000)
	s.o.Sessions = orDefault(o.Sessions, 64)
	s.o.Idle = orDefault(o.Idle, time.Hour)
	s.o.MaxDim = orDefault(o.MaxDim, 2000)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/open", s.open)
	mux.HandleFunc("POST /v1/{session}/{op}", s.work)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/") {
			w.Header().Set("Allow", http.MethodPost)
			refuse(w, http.StatusMethodNotAllowed, "every operation is a POST")
			return
		}
		refuse(w, http.StatusNotFound, "there are POST /v1/open and POST /v1/{session}/{ask, tell, best, save, load, close}")
	})
	return s, s.guard(mux)
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// guard lets through what carries the token, keeps to the rate and looks like JSON.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.authorized(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "the bearer token is missing or wrong")
		case s.o.Token == "" && !loopbackName(r.Host):
			refuse(w, http.StatusForbidden, "this server answers to loopback names only")
		case !s.allow(r.RemoteAddr):
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, fmt.Sprintf("more than %g requests a second", s.o.Rate))
		case r.Method == http.MethodPost && !isJSON(r):
			refuse(w, http.StatusUnsupportedMediaType, "the content type must be application/json")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, int64(s.o.MaxBody))
			next.ServeHTTP(w, r)
		}
	})
}

// authorized compares in constant time.
func (s *server) authorized(r *http.Request) bool {
	if s.o.Token == "" {
		return true
	}
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// loopbackName says whether a host (with or without port) is this machine under its own name.
func loopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// manyAddresses is how many buckets are kept before the full ones are dropped.
const manyAddresses = 4096

// allow takes one request from the bucket of an address, which holds a second's worth.
func (s *server) allow(address string) bool {
	if math.IsInf(s.o.Rate, 1) {
		return true
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, most := s.now(), max(1, s.o.Rate)
	b := s.buckets[address]
	if b == nil {
		if len(s.buckets) >= manyAddresses {
			for a, old := range s.buckets {
				if old.tokens+s.o.Rate*now.Sub(old.at).Seconds() >= most {
					delete(s.buckets, a)
				}
			}
			if len(s.buckets) >= manyAddresses {
				return false
			}
		}
		b = &bucket{most, now}
		s.buckets[address] = b
	}
	b.tokens = min(most, b.tokens+s.o.Rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
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
		refuse(w, http.StatusBadRequest, plain(err))
		return
	}
	if !s.add(c) {
		refuse(w, http.StatusTooManyRequests, fmt.Sprintf("%d problems are open; close one", s.o.Sessions))
		return
	}
	respond(w, http.StatusOK, append(append([]byte(`{"session":"`+c.id+`",`), answer[1:]...), '\n'))
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
		refuse(w, http.StatusNotFound, "there is no such session; POST /v1/open starts one")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, err := c.s.handle(body, op)
	if err != nil {
		refuse(w, http.StatusBadRequest, plain(err))
		return
	}
	respond(w, http.StatusOK, append(answer, '\n'))
}

func (s *server) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d bytes", s.o.MaxBody))
	case err != nil:
		refuse(w, http.StatusBadRequest, "the request was cut off")
	case len(bytes.TrimSpace(body)) == 0:
		return []byte("{}"), true
	default:
		return body, true
	}
	return nil, false
}

func refuse(w http.ResponseWriter, status int, why string) {
	quoted, _ := json.Marshal(why)
	respond(w, status, append(append([]byte(`{"error":`), quoted...), "}\n"...))
}

func respond(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) // a caller that has gone away needs no answer
}
