package distribute

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ServerOptions say how a server inside this process listens and stores.
type ServerOptions struct {
	Address   string // host:port; without a host loopback, port 0 for a free one
	Dir       string // where JetStream keeps its files
	Token     string // that workers must send; empty lets everybody in who can reach the address
	Cert, Key string // files of a certificate; with them connections are encrypted
	ClientCA  string // file of certificates that those of workers must stand on; empty asks for none
	NoSync    bool   // acknowledge before the data is on the disk: faster; a loss of power may take tasks and results that came last
}

// Server is a NATS server inside this process, with JetStream on the disk.
type Server struct {
	inner     *natsserver.Server
	secret    string
	encrypted bool
	said      sayings
}

// sayings takes what a server has to say. It keeps the reason why it gave up, itself or its storage; everything else shows in what fails.
type sayings struct{ fatal, broken atomic.Pointer[error] }

// Fatalf implements server.Logger.
func (s *sayings) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	s.fatal.CompareAndSwap(nil, &err)
}

// Errorf implements server.Logger.
func (s *sayings) Errorf(format string, v ...any) {
	if strings.Contains(format, "Critical write error") || strings.Contains(format, "will be DISABLED") {
		err := fmt.Errorf(format, v...)
		s.broken.CompareAndSwap(nil, &err)
	}
}

// Warnf implements server.Logger.
func (s *sayings) Warnf(string, ...any) {}

// Noticef implements server.Logger.
func (s *sayings) Noticef(string, ...any) {}

// Debugf implements server.Logger.
func (s *sayings) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (s *sayings) Tracef(string, ...any) {}

// maxPayload bounds a message: a task or a result.
const maxPayload = 8 << 20

// startTime is how long a server may take until it answers.
const startTime = 20 * time.Second

// Host fills in the loopback address of an address without a host, and says whether the address can be reached from this machine only.
func Host(address string) (full string, loopback bool, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", false, fmt.Errorf("%q is no HOST:PORT or :PORT", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	return net.JoinHostPort(host, port), host == "localhost" || ip != nil && ip.IsLoopback(), nil
}

// StartServer starts a server. Beyond loopback it demands a token of 16 characters.
func StartServer(o ServerOptions) (*Server, error) {
	address, loopback, err := Host(o.Address)
	if err != nil {
		return nil, err
	}
	if !loopback && len(o.Token) < 16 {
		return nil, fmt.Errorf("%s can be reached from other machines: a token of 16 characters or more is needed", address)
	}
	host, text, _ := net.SplitHostPort(address)
	port, err := strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return nil, fmt.Errorf("%q is no port", text)
	}
	if port == 0 {
		port = natsserver.RANDOM_PORT
	}
	var raw [16]byte
	rand.Read(raw[:])
	s := &Server{secret: hex.EncodeToString(raw[:])}
	settings := &natsserver.Options{
		ServerName: "spdopt", Host: host, Port: port, NoLog: true, NoSigs: true, MaxPayload: maxPayload,
		JetStream: true, StoreDir: o.Dir, SyncAlways: !o.NoSync, CustomClientAuthentication: newDoor(o.Token, s.secret),
	}
	if settings.TLSConfig, err = o.encryption(); err != nil {
		return nil, err
	}
	if settings.TLSConfig != nil {
		settings.TLS, settings.TLSTimeout, s.encrypted = true, 5, true
	}
	if s.inner, err = natsserver.NewServer(settings); err != nil {
		return nil, err
	}
	s.inner.SetLogger(&s.said, false, false)
	s.inner.Start()
	if s.said.fatal.Load() == nil && s.inner.ReadyForConnections(startTime) && s.inner.JetStreamEnabled() {
		return s, nil
	}
	s.Stop()
	if failed := s.said.fatal.Load(); failed != nil {
		return nil, fmt.Errorf("the embedded NATS server does not start: %w", *failed)
	}
	return nil, errors.New("the embedded NATS server does not start: it does not answer")
}

// encryption reads the certificates, nil if there are none.
func (o *ServerOptions) encryption() (*tls.Config, error) {
	if o.Cert == "" && o.Key == "" {
		if o.ClientCA != "" {
			return nil, errors.New("certificates of workers need one of the server")
		}
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if o.ClientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(o.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("certificates of authorities: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificates of authorities: %s holds none", o.ClientCA)
	}
	return c, nil
}

// URL is where workers connect to.
func (s *Server) URL() string {
	scheme := "nats"
	if s.encrypted {
		scheme = "tls"
	}
	return scheme + "://" + s.inner.Addr().String()
}

// Connect connects the coordinator, within the process.
func (s *Server) Connect() (*nats.Conn, error) {
	return nats.Connect("", nats.InProcessServer(s.inner), nats.UserInfo(coordinatorUser, s.secret), nats.Name("spdopt coordinator"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait))
}

// Broken returns a *RefusedError once the server cannot write, as on a full disk, and nil before: from then on it refuses, or does not even answer.
func (s *Server) Broken() error {
	if err := s.said.broken.Load(); err != nil {
		return &RefusedError{fmt.Errorf("the embedded NATS server cannot write: %w", *err)}
	}
	if !s.inner.JetStreamEnabled() && s.inner.Running() {
		return &RefusedError{errors.New("the embedded NATS server has given up its storage")}
	}
	return nil
}

// Stop ends the server once all that it acknowledged is in its files.
func (s *Server) Stop() {
	s.inner.Shutdown()
	s.inner.WaitForShutdown()
}

const coordinatorUser = "coordinator"

// door lets the coordinator do everything, and workers what they must.
type door struct {
	open          bool // no token is asked for
	token, secret [sha256.Size]byte
	worker        *natsserver.Permissions
}

func newDoor(token, secret string) *door {
	return &door{token == "", sha256.Sum256([]byte(token)), sha256.Sum256([]byte(secret)), &natsserver.Permissions{
		Publish: &natsserver.SubjectPermission{Allow: []string{
			prefix + ".*.result.*", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*." + workersName,
			"$JS.API.CONSUMER.MSG.NEXT.*." + workersName, "$JS.API.STREAM.MSG.GET.*", "$JS.API.INFO", "$JS.ACK.*." + workersName + ".>",
		}},
		Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX.>", prefix + ".*.over"}},
	}}
}

// Check implements server.Authentication.
func (d *door) Check(c natsserver.ClientAuthentication) bool {
	given := c.GetOpts()
	if given.Username == coordinatorUser {
		if !equal(given.Password, d.secret) {
			return false
		}
		c.RegisterUser(&natsserver.User{Username: coordinatorUser})
		return true
	}
	if !d.open && !equal(given.Token, d.token) {
		return false
	}
	c.RegisterUser(&natsserver.User{Username: "worker", Permissions: d.worker})
	return true
}

// equal compares in constant time.
func equal(text string, sum [sha256.Size]byte) bool {
	given := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(given[:], sum[:]) == 1
}
