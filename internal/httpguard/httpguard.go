// Package httpguard stands in front of HTTP handlers: bearer tokens compared in constant time, names that a browser may use, size of requests and their
// rate.
package httpguard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options bounds what callers may do. The zero value is the documented default.
type Options struct {
	// Token must be sent as "Authorization: Bearer TOKEN". Empty means that none is asked for; then only requests to a loopback name are answered, so that
	// a page in a browser cannot reach the server under another name.
	Token   string
	MaxBody int              // bytes of a request; 0 means 16 MiB
	Rate    float64          // requests a second from one address, in the mean; 0 means 1000, +Inf no limit
	Now     func() time.Time // the clock; nil is that of the machine
}

// Validate reports the first thing that does not fit.
func (o *Options) Validate() error {
	if o.MaxBody < 0 || !(o.Rate >= 0) {
		return errors.New("size and rate of requests must not be negative")
	}
	if o.Token != "" && len(o.Token) < 16 {
		return fmt.Errorf("the token has %d characters; use 16 or more", len(o.Token))
	}
	return nil
}

// Guard decides which requests pass.
type Guard struct {
	o     Options
	token [sha256.Size]byte

	mu      sync.Mutex
	buckets map[string]*bucket // by address
}

// bucket holds the requests that an address may still make at once; it fills with time.
type bucket struct {
	tokens float64
	at     time.Time
}

// New returns a guard, or the error of Options.Validate.
func New(o Options) (*Guard, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 20
	}
	if o.Rate == 0 {
		o.Rate = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guard{o: o, token: sha256.Sum256([]byte(o.Token)), buckets: map[string]*bucket{}}, nil
}

// Wrap returns next behind the guard. What does not pass is refused with status 401 (token), 403 (name), or 429 (rate); a body that is too large ends with an
// *http.MaxBytesError when it is read.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.o.Token != "" && !g.Authorized(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			Refuse(w, http.StatusUnauthorized, "the bearer token is missing or wrong")
		case g.o.Token == "" && !Loopback(r.Host):
			Refuse(w, http.StatusForbidden, "this server answers to loopback names only")
		case !g.allow(r.RemoteAddr):
			w.Header().Set("Retry-After", "1")
			Refuse(w, http.StatusTooManyRequests, fmt.Sprintf("more than %g requests a second", g.o.Rate))
		default:
			r.Body = http.MaxBytesReader(w, r.Body, int64(g.o.MaxBody))
			next.ServeHTTP(w, r)
		}
	})
}

// Authorized reports whether a request carries the token; without a token none does.
func (g *Guard) Authorized(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1 && ok && g.o.Token != ""
}

// Loopback reports whether a host, with or without port, is this machine under its own name.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// manyAddresses is how many buckets are kept before the full ones are dropped.
const manyAddresses = 4096

// allow takes one request from the bucket of an address, which holds a second's worth.
func (g *Guard) allow(address string) bool {
	if math.IsInf(g.o.Rate, 1) {
		return true
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now, most := g.o.Now(), max(1, g.o.Rate)
	b := g.buckets[address]
	if b == nil {
		if !g.room(now, most) {
			return false
		}
		b = &bucket{most, now}
		g.buckets[address] = b
	}
	b.tokens = min(most, b.tokens+g.o.Rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// room makes place for another address.
func (g *Guard) room(now time.Time, most float64) bool {
	if len(g.buckets) < manyAddresses {
		return true
	}
	for a, old := range g.buckets {
		if old.tokens+g.o.Rate*now.Sub(old.at).Seconds() >= most {
			delete(g.buckets, a)
		}
	}
	return len(g.buckets) < manyAddresses
}

// Refuse answers with a status and {"error": why}.
func Refuse(w http.ResponseWriter, status int, why string) {
	quoted, _ := json.Marshal(why)
	Respond(w, status, append(append([]byte(`{"error":`), quoted...), "}\n"...))
}

// Respond answers with JSON.
func Respond(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) // a caller that has gone away needs no answer
}
