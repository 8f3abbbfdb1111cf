//go:build browser

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/browser"
	"github.com/spdopt/spdopt/internal/run"
)

// TestPagesOfRuns opens a report of two runs, and the dashboard on a distributed run under way, which is stopped and resumed there by its buttons; in light and dark. With SPDOPT_SHOTS=FOLDER the pictures of the guide are written.
func TestPagesOfRuns(t *testing.T) {
	root := t.TempDir()
	program := filepath.Join(t.TempDir(), "spdopt")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Stderr = os.Stderr
	require.NoError(t, build.Run())
	for strategy, name := range map[string]string{"cma": "ellipsoid-full", "sep-cma": "ellipsoid-diagonal"} {
		succeed(t, "minimize", "--fn", "f10", "--dim", "12", "--seed", "1", "--max-evals", "7000", "--popsize", "14", "--strategy", strategy, "--out", filepath.Join(root, name))
	}
	ctx := browser.Tab(t, 900, 1250)

	page := filepath.Join(root, "report.html")
	succeed(t, "report", "ellipsoid-full", "ellipsoid-diagonal", "--runs", root, "--html", page)
	for _, scheme := range []string{"light", "dark"} {
		browser.Do(t, ctx, browser.Scheme(scheme), chromedp.Navigate("file://"+page), chromedp.WaitReady("svg"))
		require.Empty(t, browser.Faults(t, ctx), scheme)
		browser.Shoot(t, ctx, "report"+map[string]string{"dark": "-dark"}[scheme])
	}
	outside := browser.Value(t, ctx, chromedp.Evaluate[int](`performance.getEntriesByType("resource").length`))
	require.Zero(t, outside, "the page is one file")

	wing := filepath.Join(t.TempDir(), "wing")
	require.NoError(t, os.Symlink(os.Args[0], wing))
	objective := []string{"--cmd", wing + " objective simulated"}
	const name = "wing-7f3a0c21"
	coordinator := exec.Command(program, append([]string{"minimize", "--dim", "6", "--seed", "3", "--max-evals", "100000", "--in-flight", "8", "--distributed", "--listen", ":0", "--queue-sync=false", "--out", filepath.Join(root, name)}, objective...)...)
	background(t, coordinator)
	url := queueOf(t, filepath.Join(root, name))
	for range 2 {
		background(t, exec.Command(program, append([]string{"worker", "--nats", url, "--jobs", "4"}, objective...)...))
	}
	serve := exec.Command(program, "dashboard", "--runs", root, "--control")
	out, err := serve.StdoutPipe()
	require.NoError(t, err)
	background(t, serve)
	where, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)

	for began := time.Now(); len(told(t, filepath.Join(root, name))) < 700; time.Sleep(20 * time.Millisecond) {
		require.Less(t, time.Since(began), 60*time.Second)
	}
	ctx = browser.Tab(t, 900, 2000)
	browser.Do(t, ctx, browser.Scheme("light"), chromedp.Navigate(strings.TrimSpace(where)), chromedp.WaitVisible("tbody a"))
	require.Empty(t, browser.Faults(t, ctx))
	browser.Do(t, ctx, chromedp.Click(fmt.Sprintf(`a[href="/run/%s"]`, name)), chromedp.WaitVisible("#actions button"), chromedp.WaitVisible("#live svg"))
	for _, scheme := range []string{"light", "dark"} {
		browser.Do(t, ctx, browser.Scheme(scheme))
		require.Empty(t, browser.Faults(t, ctx), scheme)
		browser.Shoot(t, ctx, "dashboard"+map[string]string{"dark": "-dark"}[scheme])
	}
	const status = `document.querySelector("#live td").textContent`
	t.Cleanup(func() { // the process that the button starts is nobody's child
		if i, err := run.Inspect(filepath.Join(root, name)); err == nil && i.Status == run.Running {
			_ = stopRun(i)
		}
	})
	stop := func() {
		browser.Until(t, ctx, `!document.querySelector("[data-action=stop]").disabled`)
		browser.Do(t, ctx, chromedp.Click("[data-action=stop]"))
		browser.Until(t, ctx, status+` === "interrupted"`)
	}
	stop()
	before := len(told(t, filepath.Join(root, name)))
	browser.Until(t, ctx, `!document.querySelector("[data-action=resume]").disabled`)
	browser.Do(t, ctx, chromedp.Click("[data-action=resume]"))
	browser.Until(t, ctx, status+` === "running"`)
	for began := time.Now(); len(told(t, filepath.Join(root, name))) < before+100; time.Sleep(20 * time.Millisecond) {
		require.Less(t, time.Since(began), 60*time.Second)
	}
	stop()
}
