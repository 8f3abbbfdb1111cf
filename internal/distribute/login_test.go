package distribute

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/loopback"
	"github.com/spdopt/spdopt/internal/objective"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // of its own certificate
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	a.cert, a.key, a.file = certificate(t, nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "authority"}})
	return a
}

// pair returns the files of a certificate, for servers and clients, and of its key.
func (a *authority) pair() (cert, key string) {
	_, private, cert := certificate(a.t, a, &x509.Certificate{
		Subject: pkix.Name{CommonName: "tester"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a.t, err)
	return cert, writePEM(a.t, "PRIVATE KEY", der)
}

// certificate makes one, signed by an authority or by itself.
func certificate(t testing.TB, by *authority, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return made, key, writePEM(t, "CERTIFICATE", der)
}

func writePEM(t testing.TB, kind string, der []byte) string {
	t.Helper()
	return writeFile(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func writeFile(t testing.TB, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// foreign starts a server as others run it, and returns its address.
func foreign(t testing.TB, o *natsserver.Options) string {
	t.Helper()
	o.StoreDir = t.TempDir()
	return serverWith(t, o, "127.0.0.1:0").URL()
}

// requireWork lets a coordinator and a worker with a login evaluate through a server.
func requireWork(t *testing.T, l Login) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	near, err := Connect(ctx, l, nil)
	require.NoError(t, err)
	defer near.Close()
	c, err := Start(ctx, near, Options{Spec: testSpec(), Keep: newJournal(t).keep, Log: t.Logf})
	require.NoError(t, err)
	defer c.Stop()
	far, err := Connect(ctx, l, nil)
	require.NoError(t, err)
	defer far.Close()
	ended := make(chan error)
	go func() {
		ended <- Work(ctx, far, WorkerOptions{Name: "far", Version: "v1", Once: true, Open: func(*Spec) (objective.Evaluator, error) { return function(sum), nil }})
	}()
	requireSums(t, evaluateAll(t, c, 1, 5), 1)
	require.NoError(t, c.Finish(ctx))
	require.NoError(t, <-ended)
}

// requireRefused demands one error at once, that names the address and says what to look at.
func requireRefused(t *testing.T, l Login, why string) {
	t.Helper()
	_, err := Connect(context.Background(), l, func() { t.Error("it waits for a server that is there") })
	var refused *LoginError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, l.URL+": cannot connect: ")
	require.ErrorContains(t, err, why)
	require.NotContains(t, err.Error(), "open sesame")
}

// seed makes a key of a kind and the file of its seed.
func seed(t testing.TB, make func() (nkeys.KeyPair, error)) (key nkeys.KeyPair, public, file string) {
	t.Helper()
	key, err := make()
	require.NoError(t, err)
	public, err = key.PublicKey()
	require.NoError(t, err)
	text, err := key.Seed()
	require.NoError(t, err)
	return key, public, writeFile(t, text)
}

// TestLogins: every way to log in works for coordinator and worker, and a wrong one is refused at once.
func TestLogins(t *testing.T) {
	t.Parallel()
	_, public, file := seed(t, nkeys.CreateUser)
	_, _, otherFile := seed(t, nkeys.CreateUser)
	for name, c := range map[string]struct {
		o     natsserver.Options
		right Login
		wrong []Login
	}{
		"password": {natsserver.Options{Username: "ann", Password: "open sesame"}, Login{User: "ann", Token: "open sesame"}, []Login{{}, {User: "ann", Token: "other"}, {User: "bob", Token: "open sesame"}, {Token: "open sesame"}}},
		"token":    {natsserver.Options{Authorization: "open sesame"}, Login{Token: "open sesame"}, []Login{{}, {Token: "other"}, {User: "ann", Token: "open sesame"}}},
		"nkey":     {natsserver.Options{Nkeys: []*natsserver.NkeyUser{{Nkey: public}}}, Login{NKey: file}, []Login{{}, {NKey: otherFile}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := foreign(t, &c.o)
			c.right.URL = url
			requireWork(t, c.right)
			for _, l := range c.wrong {
				l.URL = url
				requireRefused(t, l, "Authorization Violation")
			}
		})
	}
	requireRefused(t, Login{URL: "nats://127.0.0.1:1", NKey: writeFile(t, []byte("rubbish"))}, "file: ")
	requireRefused(t, Login{URL: "nats://127.0.0.1:1", NKey: "missing"}, "missing: no such file")
}

// TestCredentialFiles: as nsc makes them, signed by an account of an operator that the server trusts.
func TestCredentialFiles(t *testing.T) {
	t.Parallel()
	operator, operatorID, _ := seed(t, nkeys.CreateOperator)
	account, accountID, _ := seed(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(accountID)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, Streams: -1, Consumer: -1}
	signed, err := claims.Encode(operator)
	require.NoError(t, err)
	resolver := &natsserver.MemAccResolver{}
	require.NoError(t, resolver.Store(accountID, signed))
	_, systemID, _ := seed(t, nkeys.CreateAccount)
	signed, err = jwt.NewAccountClaims(systemID).Encode(operator)
	require.NoError(t, err)
	require.NoError(t, resolver.Store(systemID, signed))
	url := foreign(t, &natsserver.Options{TrustedOperators: []*jwt.OperatorClaims{jwt.NewOperatorClaims(operatorID)}, AccountResolver: resolver, SystemAccount: systemID})
	credentials := func(by nkeys.KeyPair) string {
		user, userID, _ := seed(t, nkeys.CreateUser)
		signed, err := jwt.NewUserClaims(userID).Encode(by)
		require.NoError(t, err)
		secret, err := user.Seed()
		require.NoError(t, err)
		text, err := jwt.FormatUserConfig(signed, secret)
		require.NoError(t, err)
		return writeFile(t, text)
	}
	requireWork(t, Login{URL: url, Credentials: credentials(account)})
	stranger, _, _ := seed(t, nkeys.CreateAccount)
	requireRefused(t, Login{URL: url, Credentials: credentials(stranger)}, "Authorization Violation")
	requireRefused(t, Login{URL: url, Token: "open sesame"}, "Authorization Violation")
	requireRefused(t, Login{URL: url}, "Authorization Violation")
	requireRefused(t, Login{URL: url, Credentials: writeFile(t, []byte("rubbish"))}, "")
}

// TestEncryption: with an authority of one's own, with and without certificates of clients; on a server elsewhere and on the embedded one.
func TestEncryption(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.pair()
	good, goodKey := ours.pair()
	bad, badKey := theirs.pair()
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	for _, mutual := range []bool{false, true} {
		config := &tls.Config{Certificates: []tls.Certificate{pair}}
		embedded := ServerOptions{Address: ":0", Dir: t.TempDir(), Cert: cert, Key: key, NoSync: true}
		right, wrongs := Login{CA: ours.file}, map[string]Login{"unknown authority": {}, "certificate signed by unknown authority": {CA: theirs.file, Cert: good, Key: goodKey}}
		if mutual {
			config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, pool
			embedded.ClientCA = ours.file
			right.Cert, right.Key = good, goodKey
			wrongs["certificate required"], wrongs["unknown certificate authority"] = Login{CA: ours.file}, Login{CA: ours.file, Cert: bad, Key: badKey}
		}
		s, err := StartServer(embedded)
		require.NoError(t, err)
		defer s.Stop()
		require.Contains(t, s.URL(), "tls://")
		near, err := s.Connect()
		require.NoError(t, err, "the coordinator is in the process and needs no certificate")
		near.Close()
		url := foreign(t, &natsserver.Options{TLSConfig: config, TLS: true, TLSTimeout: 5})
		right.URL = url
		requireWork(t, right)
		for _, url := range []string{url, s.URL()} {
			for why, l := range wrongs {
				l.URL = url
				requireRefused(t, l, why)
			}
		}
		right.URL = s.URL()
		conn, err := Connect(context.Background(), right, nil)
		require.NoError(t, err)
		conn.Close()
		_, err = nats.Connect("nats"+s.URL()[3:], nats.Secure(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}))
		require.ErrorContains(t, err, "protocol version")
	}
	plain := startServer(t, t.TempDir(), ":0")
	requireRefused(t, Login{URL: "tls" + plain.URL()[4:]}, "secure connection not available")
	for _, o := range []ServerOptions{{ClientCA: ours.file}, {Cert: cert, Key: key, ClientCA: "missing"}, {Cert: cert, Key: key, ClientCA: key}, {Cert: cert, Key: goodKey}} {
		o.Address, o.Dir = ":0", t.TempDir()
		_, err := StartServer(o)
		require.ErrorContains(t, err, "certificate")
	}
}

// TestServerThatComesLater is waited for, which is said once.
func TestServerThatComesLater(t *testing.T) {
	t.Parallel()
	first := startServer(t, t.TempDir(), loopback.Host(4)+":0")
	address := first.URL()[len("nats://"):]
	first.Stop()
	said := make(chan struct{}, 9)
	connected := make(chan error)
	go func() {
		c, err := Connect(context.Background(), Login{URL: "nats://" + address}, func() { said <- struct{}{} })
		if err == nil {
			c.Close()
		}
		connected <- err
	}()
	<-said
	time.Sleep(2 * reconnectWait)
	startServer(t, t.TempDir(), address)
	require.NoError(t, <-connected)
	require.Empty(t, said)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Connect(ctx, Login{URL: "nats://127.0.0.1:1"}, nil)
	require.ErrorIs(t, err, context.Canceled)
}
