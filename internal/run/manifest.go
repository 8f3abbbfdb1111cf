package run

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Schema is the version of the files of a run. Fields are added without a new version; a version is for what older readers would misread.
const Schema = 1

// Origin says where the value of a setting comes from.
type Origin string

// The origins, in the order in which they win.
const (
	FromFlag        Origin = "flag"
	FromEnvironment Origin = "environment"
	FromFile        Origin = "file"
	FromDefault     Origin = "default"
	FromDraw        Origin = "drawn" // by the program, such as a random seed
)

// Setting is one resolved setting, as the text that its flag would take.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
	List   bool   `json:"list,omitempty"` // Value is a JSON array of the texts of a flag that is given several times
}

// Host is where a run was started.
type Host struct {
	Name       string   `json:"name"`
	OS         string   `json:"os"`
	Arch       string   `json:"arch"`
	Processors int      `json:"processors"`
	Go         string   `json:"go"`
	CPU        []string `json:"cpu_features,omitempty"`
	Kernels    string   `json:"kernels,omitempty"`
}

// ThisHost describes this machine; the caller adds what it knows of the processor.
func ThisHost() Host {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return Host{Name: name, OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.NumCPU(), Go: runtime.Version()}
}

// Manifest is run.json: what a run is. Create fills in Schema, ID and Created.
type Manifest struct {
	Schema   int       `json:"schema"`
	ID       string    `json:"id"`
	Verb     string    `json:"verb"` // such as minimize
	Name     string    `json:"name"` // of the problem, short
	Version  string    `json:"version"`
	Argv     []string  `json:"argv"`
	Args     []string  `json:"args,omitempty"` // of the verb, without flags
	Settings []Setting `json:"settings"`
	Seed     uint64    `json:"seed"`
	Problem  string    `json:"problem"` // hash of what is computed and how (Hash)
	Folder   string    `json:"folder"`  // working directory, which relative paths refer to
	Host     Host      `json:"host"`
	Created  time.Time `json:"created"`
}

// Setting returns the value of a setting, "" if there is none of that name.
func (m *Manifest) Setting(name string) string {
	for _, s := range m.Settings {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// Hash is a hash over the values, in order, for Manifest.Problem. The values must marshal to JSON.
func Hash(values ...any) (string, error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return "", fmt.Errorf("run: hash of the problem: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// HashFiles is a hash over the contents of files, and of all files below folders. Paths that do not exist count as such; the names do not count.
func HashFiles(paths ...string) (string, error) {
	h := sha256.New()
	for _, p := range paths {
		err := filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				fmt.Fprintln(h, "absent")
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			return hashFile(h, path)
		})
		if err != nil {
			return "", fmt.Errorf("%s: cannot read: %w", p, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(w io.Writer, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		fmt.Fprintln(w, info.Mode().Type())
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintln(w, "file", info.Size())
	_, err = io.Copy(w, f)
	return err
}

// migration rewrites a document of version From as one of version From + 1.
type migration struct {
	from  int
	apply func(document map[string]json.RawMessage) error
}

// migrations are those of each kind of file; Schema 1 is the first version, so there is none yet.
var migrations = map[string][]migration{manifestFile: {}, resultFile: {}, stateFile: {}}

// upgrade parses a document, refuses one of a newer version, and brings an older one to version current. steps are in ascending order.
func upgrade(text []byte, current int, steps []migration) ([]byte, error) {
	var version struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("not JSON: %w", jsonfloat.Fault(err))
	}
	switch {
	case version.Schema == nil:
		return nil, fmt.Errorf(`it has no "schema": not a file of a run`)
	case *version.Schema == current:
		return text, nil
	case *version.Schema > current:
		return nil, &VersionError{*version.Schema, current}
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	at := *version.Schema
	for _, s := range steps {
		if s.from == at {
			if err := s.apply(document); err != nil {
				return nil, fmt.Errorf("schema %d cannot be brought to %d: %w", at, at+1, err)
			}
			at++
		}
	}
	if at != current {
		return nil, fmt.Errorf("schema %d is too old: this spdopt reads from %d on", *version.Schema, current-len(steps))
	}
	document["schema"], _ = json.Marshal(current)
	return json.Marshal(document)
}

// VersionError says that a file was written by a newer version of the program.
type VersionError struct{ Is, Reads int }

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("written by a newer spdopt: schema %d, this one reads up to %d; use the newer one", e.Is, e.Reads)
}
