package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/dashboard"
	"github.com/spdopt/spdopt/internal/httpguard"
	"github.com/spdopt/spdopt/internal/run"
)

func (a *app) dashboardCommand() *cobra.Command {
	var address string
	var control bool
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Serve a local web page on the runs",
		Long: `Serve a web page on the runs in --runs: what they are, how they go while they go, their workers, failures and settings. It listens on this machine only and shows only; with
--control the address that is printed carries a token, and who opens it can stop runs (they write a checkpoint first) and resume them.`,
		Example: `  spdopt dashboard
  spdopt dashboard --http :8080 --control`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.dashboard(address, control) },
	}
	cmd.Flags().StringVar(&address, "http", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	cmd.Flags().BoolVar(&control, "control", false, "let whoever has the token stop and resume runs")
	return cmd
}

func (a *app) dashboard(address string, control bool) error {
	host, port, err := hostAndPort(address)
	if err != nil {
		return err
	}
	if !httpguard.Loopback(host) {
		return usagef("--http %s: the dashboard listens on this machine only; from another one, forward the port (ssh -L %s:localhost:%s)", address, port, port)
	}
	o := dashboard.Options{Folder: a.runs}
	if control {
		o.Token, o.Stop, o.Resume = rand.Text(), stopRun, resumeApart
	}
	h, err := dashboard.NewHandler(o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return usagef("--http %s: %v", address, err)
	}
	where := "http://" + listener.Addr().String() + "/"
	if control {
		where += "#token=" + o.Token
	}
	fmt.Fprintln(a.out, where)
	return a.serveUntilInterrupted(listener, h)
}

// stopRun asks the process that has a run open to write a checkpoint and end.
func stopRun(i *run.Info) error {
	if i.Status != run.Running {
		return fmt.Errorf("the run is not under way, it is %s", i.Status)
	}
	if here, err := os.Hostname(); err != nil || here != i.By.Host {
		return fmt.Errorf("the run is under way on %s; stop it there", i.By.Host)
	}
	p, err := os.FindProcess(i.By.PID)
	if err != nil {
		return err
	}
	return p.Signal(syscall.SIGTERM)
}

// resumeApart starts a process of its own that goes on with a run; what it prints goes to the run's log.
func resumeApart(i *run.Info) error {
	if i.Status != run.Interrupted {
		return fmt.Errorf("the run cannot be resumed, it is %s", i.Status)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(i.Dir)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "log.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, "runs", "resume", dir, "--progress", "none")
	cmd.Dir, cmd.Stdout, cmd.Stderr = i.Manifest.Folder, log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // so that it leaves no zombie; how it ended is in the run
	return nil
}
