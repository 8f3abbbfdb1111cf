//go:build browser

package dashboard

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/spdopt/spdopt/internal/run"
)

// tab starts a headless Chromium; these tests run with -tags browser where one is installed. BROWSER_SHOTS names a folder for screenshots.
func tab(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(900, 1100))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(t, ctx, chromedp.Navigate("about:blank"))
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func value[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func until(t *testing.T, ctx context.Context, condition string) {
	t.Helper()
	value(t, ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(20*time.Second)))
}

func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	folder := os.Getenv("BROWSER_SHOTS")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), value(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

const background = `getComputedStyle(document.body).backgroundColor`

// TestInABrowser walks from the list to a run, sees it move, stops it with the token, and sees both colour schemes.
func TestInABrowser(t *testing.T) {
	const name = "20261125-es-rosenbrock-7f3a0c21"
	folder := t.TempDir()
	r := newRun(t, folder, name)
	for id := uint64(2); id < 60; id++ {
		tell(t, r, id, 10/float64(id*id))
	}
	var stopped atomic.Int32
	s := httptest.NewServer(handler(t, Options{
		Folder: folder, Token: token, Every: 50 * time.Millisecond,
		Stop: func(*run.Info) error { stopped.Add(1); return nil }, Resume: func(*run.Info) error { return nil },
	}))
	defer s.Close()
	defer s.CloseClientConnections() // streams that the browser has open
	ctx := tab(t)

	do(t, ctx, chromedp.Navigate(s.URL+"/run/"+name), chromedp.WaitReady("#live section"))
	if !value(t, ctx, chromedp.Evaluate[bool](`document.getElementById("actions").hidden`)) {
		t.Error("without the token the buttons are seen")
	}
	do(t, ctx, chromedp.Navigate(s.URL+"/#token="+token), chromedp.WaitVisible("tbody a"))
	if address := value(t, ctx, chromedp.Location()); strings.Contains(address, token) {
		t.Errorf("the token stays in the address: %s", address)
	}
	shoot(t, ctx, "list")
	do(t, ctx, chromedp.Click("tbody a"), chromedp.WaitVisible("#actions button"), chromedp.WaitVisible("#live svg"), scheme("light"))
	shoot(t, ctx, "run")
	if !value(t, ctx, chromedp.Evaluate[bool](`document.querySelector("[data-action=resume]").disabled`)) {
		t.Error("a run that is under way can be resumed")
	}
	tell(t, r, 60, 0.000123)
	until(t, ctx, `document.getElementById("live").textContent.includes("0.000123")`)
	do(t, ctx, chromedp.Click("[data-action=stop]"))
	until(t, ctx, `document.getElementById("answer").textContent === "asked to stop"`)
	if stopped.Load() != 1 {
		t.Errorf("stopped %d times", stopped.Load())
	}
	light := value(t, ctx, chromedp.Evaluate[string](background))
	do(t, ctx, scheme("dark"))
	if dark := value(t, ctx, chromedp.Evaluate[string](background)); light == dark {
		t.Errorf("the paper is %s in light and dark", light)
	}
	shoot(t, ctx, "run-dark")
}

// TestAccessible checks names of controls, headings of tables, the language, and the contrast of text.
func TestAccessible(t *testing.T) {
	folder := t.TempDir()
	tell(t, newRun(t, folder, "first"), 2, 1)
	s := httptest.NewServer(handler(t, Options{Folder: folder}))
	defer s.Close()
	defer s.CloseClientConnections() // streams that the browser has open
	ctx := tab(t)
	for _, name := range []string{"light", "dark"} {
		do(t, ctx, scheme(name), chromedp.Navigate(s.URL+"/run/first"), chromedp.WaitReady("#live section"))
		for _, fault := range value(t, ctx, chromedp.Evaluate[[]string](faultFinder)) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

const faultFinder = `(() => {
  const faults = [];
  if (!document.documentElement.lang) faults.push("no language");
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  for (const th of document.querySelectorAll("th")) if (!th.scope) faults.push("a heading without scope: " + th.textContent);
  for (const b of document.querySelectorAll("button, a")) if (!b.textContent.trim()) faults.push("a control without a name");
  const light = (c) => {
    const [r, g, b] = c.match(/[\d.]+/g).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  for (const e of document.querySelectorAll("p, th, td, a, h1, h2")) {
    const ink = light(getComputedStyle(e).color);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) faults.push("contrast " + contrast.toFixed(2) + ": " + e.textContent.slice(0, 30));
  }
  return faults;
})()`
