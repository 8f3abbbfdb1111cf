package house

import (
	"os"
	"os/exec"
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
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}
