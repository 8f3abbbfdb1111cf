package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spdopt/spdopt/internal/jsonfloat"
)

// Result is result.json: how a run ended. Its absence means that the run is unfinished.
type Result struct {
	Schema    int             `json:"schema"`
	Status    string          `json:"status"` // finished or failed
	Reason    string          `json:"reason"`
	Converged bool            `json:"converged"`
	Seconds   float64         `json:"seconds"`
	Lines     int             `json:"lines"` // of the journal
	Ended     time.Time       `json:"ended"`
	Value     json.RawMessage `json:"value"` // what the verb prints with --json
}

// Status says where a run stands.
type Status string

// The states of a run.
const (
	Running     Status = "running"
	Interrupted Status = "interrupted" // unfinished, and no process has it open
	Finished    Status = "finished"
	Failed      Status = "failed"
)

// Info is what can be said about a run without opening it.
type Info struct {
	Dir      string
	Manifest Manifest
	Status   Status
	By       Holder  // of a running one
	Result   *Result // of one that ended
}

// NotRunError says that there is no run of that name.
type NotRunError struct{ Name, What string }

// Error says what is wrong.
func (e *NotRunError) Error() string { return e.Name + ": " + e.What }

// ReadManifest reads run.json of a directory.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, manifestFile)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, &NotRunError{dir, "is a file, not the directory of a run"}
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotRunError{dir, "there is no run (no " + manifestFile + ")"}
	}
	if err != nil {
		return nil, &NotRunError{dir, fmt.Sprintf("cannot read %s: %v", manifestFile, err)}
	}
	m := new(Manifest)
	if text, err = upgrade(text, Schema, migrations[manifestFile]); err == nil {
		err = json.Unmarshal(text, m)
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	return m, nil
}

// readResult reads result.json, nil if there is none.
func readResult(dir string) (*Result, error) {
	path := filepath.Join(dir, resultFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &NotRunError{dir, fmt.Sprintf("cannot read %s: %v", resultFile, err)}
	}
	r := new(Result)
	if text, err = upgrade(text, Schema, migrations[resultFile]); err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	return r, nil
}

// unreadable says what is wrong with the text of a file: it was damaged, unless another version wrote it.
func unreadable(path string, err error) error {
	var other *VersionError
	if errors.As(err, &other) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return &DamageError{File: path, What: jsonfloat.Fault(err).Error()}
}

// Inspect looks at a run without opening it.
func Inspect(dir string) (*Info, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	i := &Info{Dir: dir, Manifest: *m, Status: Interrupted}
	if i.Result, err = readResult(dir); err != nil {
		return nil, err
	}
	by, busy, err := running(dir)
	switch {
	case err != nil:
		return nil, &NotRunError{dir, fmt.Sprintf("cannot look at its lock: %v", err)}
	case busy:
		i.Status, i.By = Running, by
	case i.Result != nil:
		i.Status = Status(i.Result.Status)
	}
	return i, nil
}

// Events yields the journal of a run that may be in use: all whole lines, checked; kinds, if any, are the ones wanted.
func Events(dir string, kinds ...string) iter.Seq2[Event, error] {
	return NewReader(dir).New(kinds...)
}

// List inspects the runs in the folder root, by age, the oldest first. Folders that hold no run are left out; what cannot be read is in the error,
// together with the runs that can. A root that does not exist holds none.
func List(root string) ([]*Info, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, &NotRunError{root, "is not a folder"}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot read: %w", root, err)
	}
	var all []*Info
	var failed error
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		i, err := Inspect(filepath.Join(root, e.Name()))
		var none *NotRunError
		switch {
		case errors.As(err, &none):
		case err != nil:
			failed = errors.Join(failed, err)
		default:
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b *Info) int { return a.Manifest.Created.Compare(b.Manifest.Created) })
	return all, failed
}

// Resolve returns the directory of the run called name in the folder root. It refuses everything but a plain name of a folder that is there: no path, no
// leading dot, no link. It is for names from elsewhere; an unambiguous end of a name, such as the run's id, will do.
func Resolve(root, name string) (string, error) {
	if !plain(name) {
		return "", &NotRunError{fmt.Sprintf("%q", name), "not a name of a run: letters, digits, '-', '_' and '.' only"}
	}
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: cannot read: %w", root, err)
	}
	var found []string
	for _, e := range entries {
		if !e.IsDir() { // a symbolic link is none
			continue
		}
		if e.Name() == name {
			return filepath.Join(root, name), nil
		}
		if strings.HasSuffix(e.Name(), "-"+name) {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 1:
		return filepath.Join(root, found[0]), nil
	case 0:
		return "", &NotRunError{name, "there is no such run in " + root}
	}
	return "", &NotRunError{name, "more than one run ends so: " + strings.Join(found, ", ")}
}

// plain says whether a name is that of an ordinary folder.
func plain(name string) bool {
	if name == "" || len(name) > 200 || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return false
		}
	}
	return true
}

// Remove deletes a run that no process has open. It deletes nothing else: the directory must hold a readable manifest and be no link.
func Remove(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return &NotRunError{dir, fmt.Sprintf("cannot look at it: %v", err)}
	}
	if !info.IsDir() {
		return &NotRunError{dir, "not a directory"}
	}
	if _, err := ReadManifest(dir); err != nil {
		return err
	}
	l, err := lock(dir)
	if err != nil {
		return err
	}
	defer l.Close()
	return os.RemoveAll(dir)
}
