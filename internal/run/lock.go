package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spdopt/spdopt/internal/filelock"
)

// Holder is the process that has a run open.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// BusyError says that another process has the run open.
type BusyError struct {
	Dir string
	By  Holder
}

// Error names the process.
func (e *BusyError) Error() string {
	by := "another process"
	if e.By.PID != 0 {
		by = fmt.Sprintf("process %d on %s (since %s)", e.By.PID, e.By.Host, e.By.Since.Format(time.DateTime))
	}
	return fmt.Sprintf("%s: in use by %s; wait for it or stop it", e.Dir, by)
}

// How long a run may be locked without being refused. Somebody who only looks holds the lock for moments; the lock of a process that was killed lives on in a
// child of it that has not yet begun its own program.
const (
	patience         = 200 * time.Millisecond
	patienceWithDead = 10 * time.Second
)

// lock takes the lock of a run until the file is closed.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, &WriteError{dir, lockFile, err}
	}
	for began := time.Now(); ; time.Sleep(patience / 20) {
		busy, err := filelock.Try(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: cannot lock the run: %w; use a file system with locks", dir, err)
		}
		if !busy {
			break
		}
		waited, by := time.Since(began), holder(dir)
		if waited > patienceWithDead || waited > patience && !by.gone() {
			f.Close()
			return nil, &BusyError{dir, by}
		}
	}
	host, _ := os.Hostname()
	text, err := json.Marshal(Holder{os.Getpid(), host, time.Now()})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(text, 0)
	}
	if err != nil {
		f.Close()
		return nil, &WriteError{dir, lockFile, err}
	}
	return f, nil
}

// gone says that the process is known to have ended: it was on this machine and is no more.
func (h Holder) gone() bool {
	here, err := os.Hostname()
	return err == nil && h.Host == here && h.PID > 0 && ended(h.PID)
}

// holder reads who wrote the lock file last.
func holder(dir string) (h Holder) {
	if text, err := os.ReadFile(filepath.Join(dir, lockFile)); err == nil && json.Unmarshal(text, &h) != nil {
		h = Holder{}
	}
	return h
}

// running says whether a process has the run open, and which: one that has ended has not, though a child of it may hold the lock for moments.
func running(dir string) (Holder, bool, error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, err
	}
	defer f.Close()
	busy, err := filelock.Try(f)
	by := holder(dir)
	return by, busy && !by.gone(), err
}
