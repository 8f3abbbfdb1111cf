//go:build browser

package dashboard

import (
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/spdopt/spdopt/internal/browser"
	"github.com/spdopt/spdopt/internal/run"
)

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
	ctx := browser.Tab(t, 900, 1100)

	browser.Do(t, ctx, chromedp.Navigate(s.URL+"/run/"+name), chromedp.WaitReady("#live section"))
	if !browser.Value(t, ctx, chromedp.Evaluate[bool](`document.getElementById("actions").hidden`)) {
		t.Error("without the token the buttons are seen")
	}
	browser.Do(t, ctx, chromedp.Navigate(s.URL+"/#token="+token), chromedp.WaitVisible("tbody a"))
	if address := browser.Value(t, ctx, chromedp.Location()); strings.Contains(address, token) {
		t.Errorf("the token stays in the address: %s", address)
	}
	browser.Do(t, ctx, chromedp.Click("tbody a"), chromedp.WaitVisible("#actions button"), chromedp.WaitVisible("#live svg"), browser.Scheme("light"))
	if !browser.Value(t, ctx, chromedp.Evaluate[bool](`document.querySelector("[data-action=resume]").disabled`)) {
		t.Error("a run that is under way can be resumed")
	}
	tell(t, r, 60, 0.000123)
	browser.Until(t, ctx, `document.getElementById("live").textContent.includes("0.000123")`)
	browser.Do(t, ctx, chromedp.Click("[data-action=stop]"))
	browser.Until(t, ctx, `document.getElementById("answer").textContent === "asked to stop"`)
	if stopped.Load() != 1 {
		t.Errorf("stopped %d times", stopped.Load())
	}
	light := browser.Paper(t, ctx)
	browser.Do(t, ctx, browser.Scheme("dark"))
	if dark := browser.Paper(t, ctx); light == dark {
		t.Errorf("the paper is %s in light and dark", light)
	}
}

// TestAccessible checks names of controls, headings of tables, the language, and the contrast of text.
func TestAccessible(t *testing.T) {
	folder := t.TempDir()
	tell(t, newRun(t, folder, "first"), 2, 1)
	s := httptest.NewServer(handler(t, Options{Folder: folder}))
	defer s.Close()
	defer s.CloseClientConnections() // streams that the browser has open
	ctx := browser.Tab(t, 900, 1100)
	for _, name := range []string{"light", "dark"} {
		browser.Do(t, ctx, browser.Scheme(name), chromedp.Navigate(s.URL+"/run/first"), chromedp.WaitReady("#live section"))
		for _, fault := range browser.Faults(t, ctx) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}
