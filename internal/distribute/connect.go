package distribute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// Login says how to reach a server. The zero value, but for URL, is an open one.
type Login struct {
	URL         string // nats://HOST:PORT or tls://HOST:PORT, several with commas; without passwords
	User        string // name to log in with; Token is its password
	Token       string // of an embedded server, or of any that asks for one
	Credentials string // file of credentials as made by nsc
	NKey        string // file of the seed of an nkey
	CA          string // file of certificates that the server's must stand on; empty means those of the system
	Cert, Key   string // files of the client's certificate
	Name        string // shown by the server
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

// Connect connects, and goes on trying when the connection is lost. A server that is not there is waited for until ctx ends, whose cause is the error then; waiting, if any, is called once. One that refuses
// the login, or whose certificate does not stand on the authorities, is an error at once.
func Connect(ctx context.Context, l Login, waiting func()) (*nats.Conn, error) {
	for text := range strings.SplitSeq(l.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Host == "" {
			return nil, &LoginError{l.URL, errors.New("it is no address such as nats://host:4222")}
		}
		if u.User != nil {
			return nil, &LoginError{u.Redacted(), errors.New("passwords do not belong into an address, which is kept with the run")}
		}
	}
	o, err := l.options()
	if err != nil {
		return nil, &LoginError{l.URL, err}
	}
	hungUp := 0
	for told := waiting == nil; ; {
		c, err := nats.Connect(l.URL, o...)
		switch {
		case err == nil:
			return c, nil
		case absent(err):
			if !told {
				waiting()
			}
			told = true
		case hangsUp(err) && hungUp < mostHangUps:
			hungUp++
		default:
			return nil, &LoginError{l.URL, err}
		}
		select {
		case <-time.After(reconnectWait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// mostHangUps is how often a server may end a connection without a word before it counts as one that refuses.
const mostHangUps = 20

// options reads the files of a login.
func (l *Login) options() ([]nats.Option, error) {
	o := []nats.Option{
		nats.Name(l.Name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	for _, name := range []string{l.Credentials, l.NKey, l.CA, l.Cert, l.Key} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return nil, err
		}
	}
	switch {
	case l.User != "":
		o = append(o, nats.UserInfo(l.User, l.Token))
	case l.Token != "":
		o = append(o, nats.Token(l.Token))
	}
	if l.Credentials != "" {
		o = append(o, nats.UserCredentials(l.Credentials))
	}
	if l.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(l.NKey)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.NKey, err)
		}
		o = append(o, key)
	}
	if l.CA != "" {
		o = append(o, nats.RootCAs(l.CA))
	}
	if l.Cert != "" || l.Key != "" {
		o = append(o, nats.ClientCert(l.Cert, l.Key))
	}
	return o, nil
}

// absent says whether an error of a first connection is that of a server that is not there.
func absent(err error) bool {
	var network *net.OpError
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &network) && network.Op == "dial"
}

// hangsUp says whether the other side ended the connection without a word: a server that is starting or ending does, and one whose refusal was overtaken by the end of the connection.
func hangsUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// closed is the error of a connection that will not come back, nil while there is hope.
func closed(c *nats.Conn) error {
	if !c.IsClosed() {
		return nil
	}
	return &LoginError{c.ConnectedUrlRedacted(), errors.Join(nats.ErrConnectionClosed, c.LastError())}
}
