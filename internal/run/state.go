package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/atomicfile"
)

// State is what a computation needs to go on from a point of the journal. Data belongs to the caller, who should give it a format of its own with a checksum or
// at least a version.
type State struct {
	Kind    string  // what Data is, such as "search"; Open's caller checks it
	Seconds float64 // time used so far, in this process and those before
	Next    uint64  // first evaluation that had not been handed out
	Data    []byte
}

// stateHeader is the first line of a state file; Data follows.
type stateHeader struct {
	Schema  int     `json:"schema"`
	Kind    string  `json:"kind"`
	Journal place   `json:"journal"`
	Seconds float64 `json:"seconds"`
	Next    uint64  `json:"next"`
	Version string  `json:"version"`
	Size    int     `json:"size"`
	Sum     uint32  `json:"sum"` // CRC-32C of Data
}

// stateFile is what names of state files begin with.
const stateFile = "state."

func stateName(line int) string { return fmt.Sprintf("%s%09d", stateFile, line) }

// kept is the number of states that stay.
const kept = 2

// writeState stores a state at a place of the journal.
func writeState(dir, version string, at place, s *State) error {
	header, err := json.Marshal(stateHeader{Schema, s.Kind, at, s.Seconds, s.Next, version, len(s.Data), crc32.Checksum(s.Data, castagnoli)})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, stateName(at.Line)), append(header, '\n'), s.Data)
}

// readState parses a state file. The error is a *VersionError for one of a newer version.
func readState(path string) (s *State, at place, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, at, err
	}
	first, data, found := bytes.Cut(text, []byte{'\n'})
	if !found {
		return nil, at, errors.New("it ends too early")
	}
	var h stateHeader
	if first, err = upgrade(first, Schema, migrations[stateFile]); err == nil {
		err = json.Unmarshal(first, &h)
	}
	switch {
	case err != nil:
		return nil, at, err
	case len(data) != h.Size || crc32.Checksum(data, castagnoli) != h.Sum:
		return nil, at, errors.New("the checksum does not fit: it is truncated or damaged")
	}
	return &State{h.Kind, h.Seconds, h.Next, data}, h.Journal, nil
}

// loaded is a state with the place of the journal that it stands at.
type loaded struct {
	name  string
	state *State
	at    place
	fits  bool // the journal passes through that place
}

// loadStates reads the states that are intact, the newest first. One that is not is passed over: the one before it and the journal have everything.
func loadStates(dir string) (all []loaded, err error) {
	names, err := stateFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		s, at, err := readState(filepath.Join(dir, name))
		var newer *VersionError
		if errors.As(err, &newer) {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		if err == nil {
			all = append(all, loaded{name: name, state: s, at: at})
		}
	}
	return all, nil
}

// stateFiles lists the names of state files, the newest first.
func stateFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), stateFile); ok && strings.Trim(digits, "0123456789") == "" {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// pruneStates removes all but the newest.
func pruneStates(dir string) error {
	names, err := stateFiles(dir)
	if err != nil {
		return err
	}
	for _, n := range names[min(kept, len(names)):] {
		if err := os.Remove(filepath.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// removeTemporaries removes what a killed process left half written.
func removeTemporaries(dir string) error {
	left, err := filepath.Glob(filepath.Join(globEscaper.Replace(dir), ".*.tmp"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// writeFile writes a file at once: it is there completely, or as it was before.
func writeFile(path string, parts ...[]byte) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	return f.Commit()
}
