//go:build browser

package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Tab starts a Chromium with a window of that size, which ends with the test.
func Tab(t *testing.T, width, height int) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(width, height))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	Do(t, ctx, chromedp.Navigate("about:blank"))
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Do takes steps, all of which must succeed.
func Do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// Value returns what an action does.
func Value[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Until waits for a condition in JavaScript.
func Until(t *testing.T, ctx context.Context, condition string) {
	t.Helper()
	Value(t, ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(30*time.Second)))
}

// Shoot writes what the window shows to a picture in the folder that SPDOPT_SHOTS names; without the variable it does nothing.
func Shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	folder := os.Getenv("SPDOPT_SHOTS")
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), Value(t, ctx, chromedp.CaptureScreenshot()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Scheme sets the colours that the reader prefers: light or dark.
func Scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// Faults finds what makes the page hard to use: no language, headings without scope, controls without names, text with little contrast, anything wider than the window.
func Faults(t *testing.T, ctx context.Context) []string {
	t.Helper()
	return Value(t, ctx, chromedp.Evaluate[[]string](faultFinder))
}

// Paper is the colour behind the text.
func Paper(t *testing.T, ctx context.Context) string {
	t.Helper()
	return Value(t, ctx, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`))
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
  const check = (e, colour) => {
    const ink = light(colour);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) faults.push("contrast " + contrast.toFixed(2) + ": " + e.textContent.slice(0, 30));
  };
  for (const e of document.querySelectorAll("p, th, td, a, h1, h2")) check(e, getComputedStyle(e).color);
  for (const e of document.querySelectorAll("svg text")) check(e, getComputedStyle(e).fill);
  if (document.documentElement.scrollWidth > window.innerWidth) faults.push("wider than the window: " + document.documentElement.scrollWidth);
  return faults;
})()`
