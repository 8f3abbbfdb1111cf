package distribute

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Login says how to reach a server. The zero value, but for URL, is an open one.
type Login struct {
	URL             string // nats://HOST:PORT or tls://HOST:PORT, several with commas; without passwords
	Token           string // of an embedded server, or of any that asks for one
	Credentials     string // file of credentials as made by nsc
	CA              string // file of certificates that the server's must stand on; empty means those of the system
	Cert, Key       string // files of the client's certificate
	Name            string // shown by the server
	FirstConnection bool   // the first connection must succeed at once; otherwise it is tried until it does
}

// LoginError says that a server can't be reached or refuses.
type LoginError struct {
	URL string
	Err error
}

// Error says what to look at.
func (e *LoginError) Error() string {
	return fmt.Sprintf("%s: cannot connect: %v; look at the address, the token or credentials, and whether the server runs", e.URL, e.Err)
}

// Unwrap returns the cause.
func (e *LoginError) Unwrap() error { return e.Err }

// reconnectWait is the pause between two attempts to connect.
const reconnectWait = 250 * time.Millisecond

// Connect connects, and goes on trying when the connection is lost. Only a server that refuses the login closes it for good.
func Connect(l Login) (*nats.Conn, error) {
	for text := range strings.SplitSeq(l.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Host == "" {
			return nil, &LoginError{l.URL, errors.New("it is no address such as nats://host:4222")}
		}
		if u.User != nil {
			return nil, &LoginError{u.Redacted(), errors.New("passwords do not belong into an address, which is kept with the run")}
		}
	}
	o := []nats.Option{
		nats.Name(l.Name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.RetryOnFailedConnect(!l.FirstConnection), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	if l.Token != "" {
		o = append(o, nats.Token(l.Token))
	}
	for _, name := range []string{l.Credentials, l.CA, l.Cert, l.Key} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return nil, &LoginError{l.URL, err}
		}
	}
	if l.Credentials != "" {
		o = append(o, nats.UserCredentials(l.Credentials))
	}
	if l.CA != "" {
		o = append(o, nats.RootCAs(l.CA))
	}
	if l.Cert != "" || l.Key != "" {
		o = append(o, nats.ClientCert(l.Cert, l.Key))
	}
	c, err := nats.Connect(l.URL, o...)
	if err != nil {
		return nil, &LoginError{l.URL, err}
	}
	return c, nil
}

// closed is the error of a connection that will not come back, nil while there is hope.
func closed(c *nats.Conn) error {
	if !c.IsClosed() {
		return nil
	}
	return &LoginError{c.ConnectedUrlRedacted(), errors.Join(nats.ErrConnectionClosed, c.LastError())}
}
