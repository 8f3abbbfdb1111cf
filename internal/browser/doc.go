// Package browser drives a headless Chromium for tests that look at pages: behind the build tag browser, because it needs one installed.
package browser
