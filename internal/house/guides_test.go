package house

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents returns the Markdown files of the repository that people read, relative to the root.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/ideas/*.md", "docs/measured/*.md", "docs/commands/*.md", "bench/*/*.md", "testdata/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 10 {
		t.Fatalf("found only %d documents", len(all))
	}
	return all
}

func readDocument(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shellBlocks returns the contents of the blocks marked sh.
func shellBlocks(text string) []string { return blocks(text, "sh") }

// blocks returns the contents of the fenced blocks with the given mark.
func blocks(text, mark string) (all []string) {
	var b strings.Builder
	inside, marked := false, false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```") && inside:
			if marked {
				all = append(all, b.String())
			}
			inside, marked = false, false
			b.Reset()
		case strings.HasPrefix(line, "```"):
			inside, marked = true, strings.TrimSpace(line) == "```"+mark
		case marked:
			b.WriteString(line)
		}
	}
	return all
}

// TestGuidesRun runs the commands of every guide as one shell script, in an empty folder beside the test data, with spdopt on the path, and those of the README.
func TestGuidesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the command line")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "./cmd/spdopt")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data, err := filepath.Abs(filepath.Join(root, "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	guides, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, guide := range guides {
		text := readDocument(t, guide)
		commands := shellBlocks(text)
		if len(commands) == 0 {
			continue
		}
		t.Run(filepath.Base(guide), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Symlink(data, filepath.Join(dir, "testdata")); err != nil {
				t.Fatal(err)
			}
			out, err := runShell(bin, dir, strings.Join(commands, "\n"))
			if err != nil {
				t.Fatalf("%s: %v\n%s", guide, err, out)
			}
			for _, shown := range blocks(text, "text") {
				sameOutput(t, guide, shown, out)
			}
		})
	}
	t.Run("README.md", func(t *testing.T) { runReadme(t, bin, data) })
}

// runShell runs a script in a folder, with the programs in bin on the path.
func runShell(bin, dir, script string) (output string, err error) {
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const readmeObjective = `import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "eval":
        print(json.dumps({"id": message["id"], "f": sum(v * v for v in message["x"])}), flush=True)
`

// runReadme runs the commands of the README that call spdopt one after the other, on files of the names that they use.
func runReadme(t *testing.T, bin, data string) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(data, "digit_covariances.npy"), filepath.Join(dir, "covariances.npy")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"samples.csv": "1.2,0.3\n-0.7,0.1\n0.4,-1.1\n2.0,1.5\n-1.6,-0.8\n0.2,0.9\n", "objective.py": readmeObjective} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, noPython := exec.LookPath("python3")
	ran := 0
	for line := range strings.Lines(strings.Join(shellBlocks(readDocument(t, root+"/README.md")), "")) {
		if !strings.HasPrefix(line, "spdopt ") || noPython != nil && strings.Contains(line, "python3") {
			continue
		}
		ran++
		out, err := runShell(bin, dir, line)
		over := strings.HasPrefix(line, "spdopt runs resume") && strings.Contains(out, "it is over") // nothing interrupted it here
		if err != nil && !over {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if ran < 9 {
		t.Errorf("only %d commands were found", ran)
	}
}

var (
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	codeFile = regexp.MustCompile("`((?:bench|cmd|cuda|docs|examples|gonumblas|internal|spectral|roots|manifold|esadapt|nnopt|python|testdata)/[A-Za-z0-9_/]+(?:\\.[a-z]+|/))`")
)

// anchorsOf returns the anchors that code hosts give to the headings of a document.
func anchorsOf(text string) map[string]bool {
	anchors, used := map[string]bool{}, map[string]int{}
	for _, h := range heading.FindAllStringSubmatch(withoutCode(text), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(h[1])), "")
		name = strings.ReplaceAll(name, " ", "-")
		if n := used[name]; n > 0 {
			anchors[fmt.Sprintf("%s-%d", name, n)] = true
		}
		used[name]++
		anchors[name] = true
	}
	return anchors
}

// withoutCode blanks the fenced blocks.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")
}

func TestLinksLead(t *testing.T) {
	for _, path := range documents(t) {
		text := withoutCode(readDocument(t, path))
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if target := m[1]; !strings.Contains(target, "://") && !strings.HasPrefix(target, "mailto:") {
				checkLink(t, path, target)
			}
		}
	}
}

func checkLink(t *testing.T, path, target string) {
	t.Helper()
	file, anchor, _ := strings.Cut(target, "#")
	to := path
	if file != "" {
		to = filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
	}
	if _, err := os.Stat(to); err != nil {
		t.Errorf("%s links to %s, which does not exist", path, target)
		return
	}
	if anchor != "" && !anchorsOf(readDocument(t, to))[anchor] {
		t.Errorf("%s links to %s, but there is no such heading", path, target)
	}
}

// TestNamedFilesExist checks the source files that the pages name.
func TestNamedFilesExist(t *testing.T) {
	for _, path := range documents(t) {
		for _, m := range codeFile.FindAllStringSubmatch(readDocument(t, path), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
}

// TestPagesListWhatIsThere: scripts, guides and examples are found from the pages that list them.
func TestPagesListWhatIsThere(t *testing.T) {
	for _, c := range []struct{ pattern, list string }{
		{"bench/peers/*.py", "bench/peers/README.md"}, {"bench/peers/*.m", "bench/peers/README.md"},
		{"docs/*.md", "docs/README.md"}, {"docs/ideas/*.md", "docs/README.md"}, {"docs/measured/*.md", "BENCHMARKS.md"},
	} {
		found, err := filepath.Glob(filepath.Join(root, c.pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", c.pattern, len(found), err)
		}
		text := readDocument(t, filepath.Join(root, c.list))
		for _, path := range found {
			if name := filepath.Base(path); name != "README.md" && !strings.Contains(text, name) {
				t.Errorf("%s does not name %s", c.list, name)
			}
		}
	}
}
