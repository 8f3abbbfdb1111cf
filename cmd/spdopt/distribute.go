package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/distribute"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// natsFlags say how to reach a NATS server, for both sides.
type natsFlags struct {
	url, tokenFile, user, credentials, nkey, ca, cert, key string
	version                                                string
}

func (f *natsFlags) register(cmd *cobra.Command, address, usage string) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "nats", address, usage)
	flags.StringVar(&f.tokenFile, "token-file", "", "file that holds the token of the NATS server; the default is the environment variable SPDOPT_TOKEN")
	flags.StringVar(&f.user, "nats-user", "", "name to log in with; the token is then its password")
	flags.StringVar(&f.credentials, "nats-creds", "", "file of NATS credentials")
	flags.StringVar(&f.nkey, "nats-nkey", "", "file of the seed of an nkey to log in with")
	flags.StringVar(&f.ca, "tls-ca", "", "file of certificates that the one of the other side must stand on; the default is those of the system, and with --distributed that workers need none")
	flags.StringVar(&f.cert, "tls-cert", "", "file of the certificate to show, with --tls-key")
	flags.StringVar(&f.key, "tls-key", "", "file of the key of --tls-cert")
	flags.StringVar(&f.version, "objective-version", "", "version that the objective must have on both sides; the default is a hash of the command and the files that it names")
}

// natsNames are the flags that mean something only with --distributed or --nats.
var natsNames = []string{"token-file", "nats-user", "nats-creds", "nats-nkey", "tls-ca", "tls-cert", "tls-key", "objective-version", "listen", "ack-wait", "max-deliver", "replicas", "queue-sync"}

func (f *natsFlags) login(name string) (distribute.Login, error) {
	token, err := readToken(f.tokenFile)
	return distribute.Login{URL: f.url, User: f.user, Token: token, Credentials: f.credentials, NKey: f.nkey, CA: f.ca, Cert: f.cert, Key: f.key, Name: name}, err
}

// checkLogin demands one way to log in, and certificates with their keys.
func (f *natsFlags) checkLogin() error {
	ways := 0
	for _, way := range []string{f.user, f.credentials, f.nkey} {
		if way != "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return usagef("--nats-user, --nats-creds and --nats-nkey exclude each other")
	case (f.cert == "") != (f.key == ""):
		return usagef("--tls-cert and --tls-key belong together")
	}
	return nil
}

// distributedFlags say how evaluations are handed to workers.
type distributedFlags struct {
	natsFlags
	embedded             bool
	listen               string
	ackWait              time.Duration
	maxDeliver, replicas int
	sync                 bool
}

func (f *distributedFlags) register(cmd *cobra.Command) {
	f.natsFlags.register(cmd, "", "let workers evaluate, by the NATS server with JetStream at this address, such as tls://host:4222")
	flags := cmd.Flags()
	flags.BoolVar(&f.embedded, "distributed", false, "let workers evaluate (spdopt worker), by a NATS server in this process that keeps its files in the run")
	flags.StringVar(&f.listen, "listen", ":4222", "address of --distributed; without a host loopback only, any other needs a token, port 0 is a free one")
	flags.DurationVar(&f.ackWait, "ack-wait", 30*time.Second, "silence of a worker after which its evaluation is given to another")
	flags.IntVar(&f.maxDeliver, "max-deliver", 5, "how often an evaluation is given to workers that fall silent over it before it counts as failed")
	flags.IntVar(&f.replicas, "replicas", 1, "copies of the queue in the cluster of --nats")
	flags.BoolVar(&f.sync, "queue-sync", true, "the server of --distributed forces tasks and results to the disk before it acknowledges them; without, results that came last may be evaluated again after a loss of power")
}

func (f *distributedFlags) asked() bool { return f.embedded || f.url != "" }

func (f *distributedFlags) check(cmd *cobra.Command, keep *keepFlags) error {
	if !f.asked() {
		for _, name := range natsNames {
			if cmd.Flags().Changed(name) {
				return usagef("--%s needs --distributed or --nats", name)
			}
		}
		return nil
	}
	switch {
	case f.embedded && f.url != "":
		return usagef("--distributed and --nats exclude each other")
	case keep.dir == keepNone:
		return usagef("a distributed run must be kept: the journal decides what was evaluated; leave out --out none")
	case f.ackWait < 100*time.Millisecond:
		return usagef("--ack-wait must be 100ms or more, not %v", f.ackWait)
	case f.maxDeliver < 1:
		return usagef("--max-deliver must be at least 1, not %d", f.maxDeliver)
	case f.replicas < 1 || f.replicas > 5:
		return usagef("--replicas must be 1 to 5, not %d", f.replicas)
	}
	for _, name := range []string{"env", "timeout", "retries", "wasm-memory"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for the workers of a distributed run: spdopt worker --%s", name, name)
		}
	}
	for _, name := range []string{"listen", "queue-sync"} {
		if !f.embedded && cmd.Flags().Changed(name) {
			return usagef("--%s needs --distributed", name)
		}
	}
	switch {
	case f.embedded && (f.user != "" || f.credentials != "" || f.nkey != "" || f.replicas > 1):
		return usagef("--nats-user, --nats-creds, --nats-nkey and --replicas need --nats")
	case f.embedded && f.ca != "" && f.cert == "":
		return usagef("--tls-ca with --distributed asks workers for certificates, and needs --tls-cert")
	}
	if err := f.checkLogin(); err != nil {
		return err
	}
	if _, _, err := distribute.Host(f.listen); err != nil {
		return usagef("--listen: %v", err)
	}
	return nil
}

// objectiveVersion returns what both sides of a distributed run must agree on: the version given, or a hash of what names the objective, with the contents of files in place of their names.
func (f *objectiveFlags) objectiveVersion(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	words := []string{f.name()}
	if f.kind() == "cmd" {
		var err error
		if words, err = objective.Split(f.name()); f.shell || err != nil {
			words = strings.Fields(f.name())
		}
	}
	if f.kind() == "cmd" || f.kind() == "wasm" {
		for i, w := range words {
			info, err := os.Stat(w)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			text, err := os.ReadFile(w)
			if err != nil {
				return "", matio.SystemError(w, "open", err)
			}
			sum := sha256.Sum256(text)
			words[i] = hex.EncodeToString(sum[:])
		}
	}
	sum, err := run.Hash(f.kind(), words, f.instance, f.shell, f.perEval)
	return sum[:min(16, len(sum))], err
}

// queue is the way to the workers.
type queue struct {
	*distribute.Coordinator
	server *distribute.Server // nil for one elsewhere
	conn   *nats.Conn
	dir    string // files of the server
}

// Files of an embedded server below the directory of a run.
const (
	queueFolder  = "queue"
	queueAddress = "address"
)

// openQueue starts or finds the queue of a run, and takes in the results that came while nobody was there.
func (a *app) openQueue(ctx context.Context, f *minimizeFlags, o *esadapt.Options, k *keeper, r record) (opened *queue, err error) {
	q := &queue{dir: filepath.Join(k.dir(), queueFolder)}
	defer func() {
		if err != nil {
			q.close()
		}
	}()
	far := &f.far
	if far.embedded {
		err = q.serve(far)
	} else {
		q.conn, err = a.dial(ctx, &far.natsFlags, "spdopt coordinator")
	}
	if err != nil {
		return nil, err
	}
	version, err := f.objectiveVersion(far.version)
	if err != nil {
		return nil, err
	}
	spec := distribute.Spec{
		Run: k.run.Manifest().ID, Version: version, Dim: o.Dim, Constraints: o.Constraints, Seed: o.Seed, Lower: nums(o.Lower), Upper: nums(o.Upper), AckWait: far.ackWait, MaxDeliver: far.maxDeliver,
	}
	log := func(format string, args ...any) { k.text.Warn(fmt.Sprintf(format, args...)) }
	options := distribute.Options{Spec: spec, Replicas: far.replicas, Open: r.open(), Keep: r.keepResult, Log: log}
	if q.server != nil {
		options.Broken = q.server.Broken
	}
	q.Coordinator, err = distribute.Start(ctx, q.conn, options)
	if err != nil {
		return nil, err
	}
	login := ""
	if far.tokenFile != "" {
		login = " --token-file " + far.tokenFile
	}
	a.note("run %s, objective %s: workers may come to %s (spdopt worker --nats %s%s --%s ...)", spec.Run, version, q.url(far), q.url(far), login, f.kind())
	return q, nil
}

func (q *queue) url(f *distributedFlags) string {
	if q.server == nil {
		return f.url
	}
	return q.server.URL()
}

// serve starts the server of the run. A free port that was found for an earlier process is taken again, so that its workers find it.
func (q *queue) serve(f *distributedFlags) error {
	token, err := readToken(f.tokenFile)
	if err != nil {
		return err
	}
	address := f.listen
	file := filepath.Join(q.dir, queueAddress)
	if _, port, _ := net.SplitHostPort(address); port == "0" {
		if text, err := os.ReadFile(file); err == nil {
			address = string(text)
		}
	}
	o := distribute.ServerOptions{Address: address, Dir: q.dir, Token: token, Cert: f.cert, Key: f.key, ClientCA: f.ca, NoSync: !f.sync}
	if q.server, err = distribute.StartServer(o); err != nil {
		return usagef("--listen %s: %v", f.listen, err)
	}
	_, found, _ := strings.Cut(q.server.URL(), "://")
	if err := os.WriteFile(file, []byte(found), 0o666); err != nil {
		return &run.WriteError{Dir: q.dir, File: queueAddress, Err: err}
	}
	q.conn, err = q.server.Connect()
	return err
}

// dial connects, and waits until the first connection stands.
func (a *app) dial(ctx context.Context, f *natsFlags, name string) (*nats.Conn, error) {
	login, err := f.login(name)
	if err != nil {
		return nil, err
	}
	return distribute.Connect(ctx, login, func() { a.note("waiting for the NATS server at %s", f.url) })
}

// finish ends the run for the workers, notes what came of the queue, and removes it. A nil queue, of a run without workers, has nothing to end.
func (q *queue) finish(ctx context.Context, k *keeper) error {
	if q == nil {
		return nil
	}
	err := q.Finish(ctx)
	q.close()
	noted := k.event("queue", struct {
		distribute.Stats
		Workers map[string]int `json:"workers"`
	}{q.Stats(), q.Workers()})
	if err = errors.Join(err, noted); q.server == nil || err != nil {
		return err
	}
	return os.RemoveAll(q.dir)
}

// close leaves the queue as it is, for the next process of the run. Closing again does nothing.
func (q *queue) close() {
	if q.Coordinator != nil {
		q.Stop()
	}
	if q.conn != nil {
		q.conn.Close()
	}
	if q.server != nil {
		q.server.Stop()
	}
}

// handedOut is how many evaluations a distributed run has out at once: a generation, unless --jobs says less.
func (f *minimizeFlags) handedOut(cmd *cobra.Command) int {
	if cmd.Flags().Changed("jobs") {
		return f.jobs
	}
	return math.MaxInt
}
