package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt/serve"
	"github.com/spdopt/spdopt/internal/httpguard"
	"github.com/spdopt/spdopt/internal/matio"
)

type serveFlags struct {
	stdio               bool
	http, tokenFile     string
	rate                float64
	maxBody, maxSession int
	maxDim              int
}

func (a *app) serveCommand() *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:   "serve (--stdio | --http ADDRESS)",
		Short: "Let other programs drive a search, by JSON lines or HTTP",
		Long: `Let another program minimize: it sends one JSON object a line on standard input and gets one line back on standard output.

  {"op":"open","dim":2,"x0":[1,2],"sigma0":2,"seed":7,"budget":5000}   -> {"x":[[..],[..]],"restarts":0}
  {"op":"tell","f":[..]}                                               -> the next points, or {"stop":"why"}
  {"op":"best"}                                                        -> {"x":[..],"f":..,"evaluations":..}
  {"op":"save","path":".."}  {"op":"load","path":".."}  {"op":"ask"}  {"op":"close"}

"open" also takes "lower", "upper", "scale", "integers" (the first so many variables), "constraints" (then "tell" has "g" as well), "objectives" and "options".
"save" without "path" answers with "state", which "load" takes. What can't be done is answered by {"error":".."} and changes nothing. The end of the input is the end of
the program.

With --http many callers at once send the same objects: POST /v1/open, whose answer names the "session", then POST /v1/SESSION/tell and so on, content type
application/json. An address without a host, such as :8080, is taken on the loopback interface. Any other interface needs a bearer token of 16 characters or more, in the
environment variable SPDOPT_TOKEN or in --token-file; the connection is not encrypted, so put a proxy that is in front.`,
		Example: `  spdopt serve --stdio
  spdopt serve --http :8080
  spdopt serve --http 0.0.0.0:8080 --token-file token.txt`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.stdio == (f.http != ""):
				return usagef("serve where? give --stdio or --http ADDRESS")
			case f.stdio:
				for _, name := range []string{"token-file", "rate", "max-body", "max-sessions", "max-dim"} {
					if cmd.Flags().Changed(name) {
						return usagef("--%s needs --http", name)
					}
				}
				return a.serveStdio()
			}
			return a.serveHTTP(f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.stdio, "stdio", false, "on standard input and output")
	flags.StringVar(&f.http, "http", "", "address to listen on, such as :8080; without a host, loopback only")
	flags.StringVar(&f.tokenFile, "token-file", "", "file that holds the bearer token")
	flags.Float64Var(&f.rate, "rate", 1000, "requests a second from one address; inf for no limit")
	flags.IntVar(&f.maxBody, "max-body", 16, "MiB of a request")
	flags.IntVar(&f.maxSession, "max-sessions", 64, "problems open at once")
	flags.IntVar(&f.maxDim, "max-dim", 2000, "variables of a problem")
	return cmd
}

// serveStdio answers until the input ends or the program is interrupted.
func (a *app) serveStdio() error {
	ended := make(chan error, 1)
	go func() { ended <- serve.Serve(a.in, a.out) }()
	select {
	case err := <-ended:
		return err
	case <-a.ctx.Done():
		return a.stoppedServing()
	}
}

// stoppedServing is how a server ends that was told to.
func (a *app) stoppedServing() error {
	return haltedf(context.Cause(a.ctx), "interrupted: no longer serving")
}

// handler checks the flags; address is where to listen.
func (f *serveFlags) handler() (h http.Handler, address string, err error) {
	host, port, err := hostAndPort(f.http)
	if err != nil {
		return nil, "", err
	}
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, "", err
	}
	if !httpguard.Loopback(host) && token == "" {
		return nil, "", usagef("--http %s can be reached from other machines: set a bearer token in SPDOPT_TOKEN or --token-file, or listen on :%s for this machine only", f.http, port)
	}
	if !(f.rate > 0) || f.maxBody < 1 || f.maxBody > 1024 || f.maxSession < 1 || f.maxDim < 1 {
		return nil, "", usagef("--rate, --max-body (MiB, up to 1024), --max-sessions and --max-dim must be positive")
	}
	h, err = serve.NewHandler(serve.HTTPOptions{Token: token, Rate: f.rate, MaxBody: f.maxBody << 20, Sessions: f.maxSession, MaxDim: f.maxDim})
	if err != nil {
		return nil, "", usagef("%s", strings.TrimPrefix(err.Error(), "serve: "))
	}
	return h, net.JoinHostPort(host, port), nil
}

// hostAndPort reads the value of --http; without a host it is this machine only.
func hostAndPort(address string) (host, port string, err error) {
	if host, port, err = net.SplitHostPort(address); err != nil {
		return "", "", usagef("--http must be HOST:PORT or :PORT, not %q", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return host, port, nil
}

// readToken takes the token from the file, otherwise from the environment.
func readToken(file string) (string, error) {
	if file == "" {
		return os.Getenv("SPDOPT_TOKEN"), nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", matio.SystemError(file, "open", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", &matio.Error{File: file, What: "holds no token"}
	}
	if k := strings.IndexFunc(token, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }); k >= 0 {
		return "", &matio.Error{File: file, What: fmt.Sprintf("byte %d of the token is no text", k+1), Try: "write the token alone into the file"}
	}
	return token, nil
}

// Times after which a connection that does not get on is given up, and that requests under way have when the server ends.
const (
	headerTime = 10 * time.Second
	bodyTime   = time.Minute
	idleTime   = 2 * time.Minute
	endTime    = 3 * time.Second
)

// serveHTTP answers until the program is interrupted.
func (a *app) serveHTTP(f *serveFlags) error {
	h, address, err := f.handler()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return usagef("--http %s: %v", f.http, err)
	}
	a.note("listening on http://%s", listener.Addr())
	return a.serveUntilInterrupted(listener, h)
}

// serveUntilInterrupted answers requests until the program is interrupted.
func (a *app) serveUntilInterrupted(listener net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, WriteTimeout: bodyTime, IdleTimeout: idleTime, MaxHeaderBytes: 1 << 16,
		BaseContext: func(net.Listener) context.Context { return a.ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-a.ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), endTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		server.Close()
	}
	return a.stoppedServing()
}
