package house

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// readmeCommands returns the lines of the README's shell blocks that run the go tool.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	inShell := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			inShell = line == "```sh"
			continue
		}
		if command, _, _ := strings.Cut(line, "#"); inShell && strings.HasPrefix(line, "go ") {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

func TestReadmeStartsWithTheTwoCommands(t *testing.T) {
	commands := readmeCommands(t)
	want := []string{"go run ./cmd/spdopt demo", "go test ./..."}
	if len(commands) < 2 || commands[0] != want[0] || commands[1] != want[1] {
		t.Fatalf("the README's first two go commands are %q, want %q", commands, want)
	}
}

func TestReadmeDemoRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the command line")
	}
	command := readmeCommands(t)[0]
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	for _, block := range blocks(readDocument(t, root+"/README.md"), "text") {
		sameOutput(t, "README.md", block, string(out))
	}
}

// small are numbers that rounding decides, and times.
var small = regexp.MustCompile(`\d[.\d]*e-\d+|[.\d]+ s\b`)

// sameOutput checks that a program prints the lines that a document shows, apart from rounding and times.
func sameOutput(t *testing.T, document, shown, printed string) {
	t.Helper()
	printed = small.ReplaceAllString(printed, "#")
	for line := range strings.Lines(shown) {
		if line = strings.TrimSpace(line); line != "..." && !strings.Contains(printed, small.ReplaceAllString(line, "#")) {
			t.Errorf("%s shows a line that is not printed any more: %q; printed was\n%s", document, line, printed)
		}
	}
}
