// Package atomicfile writes files that are never seen half written: the content goes to a temporary file in the same folder, is forced to
// the disk, and takes the name of the target in one step.
package atomicfile

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File collects the content of one target. Write and WriteAt go to the temporary file; the target changes only in Commit. A target that is
// a pipe or a device is not replaced but written to, at Commit.
type File struct {
	target string        // symbolic links resolved
	temp   *os.File      // nil for a pipe or device, and after Commit or Abort
	memory *bytes.Buffer // the content for a pipe or device
}

// Create prepares to write path, and fails if that is not possible: the folder must exist and be writable, and path must not be a folder.
// Commit or Abort must be called. An existing file keeps its permissions, a symbolic link stays a link.
func Create(path string) (*File, error) {
	f := &File{target: resolved(path)}
	mode := fs.FileMode(0o666)
	info, err := os.Stat(f.target)
	switch {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		f.memory = new(bytes.Buffer)
		return f, nil
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	dir := filepath.Dir(f.target)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no directory %s", dir)
	}
	var id [6]byte
	rand.Read(id[:])
	temp := filepath.Join(dir, "."+filepath.Base(f.target)+"."+hex.EncodeToString(id[:])+".tmp")
	f.temp, err = os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	return f, err
}

// resolved follows symbolic links as far as they go: the last one may name a file that is still to be made.
func resolved(path string) string {
	for range 40 { // as many as Linux follows
		if p, err := filepath.EvalSymlinks(path); err == nil {
			return p
		}
		next, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(next) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path)) // where .. leads out of the folder itself, not of a link to it
			if err != nil {
				return path
			}
			next = filepath.Join(dir, next)
		}
		path = next
	}
	return path
}

// Write appends p to the content.
func (f *File) Write(p []byte) (int, error) {
	if f.memory != nil {
		return f.memory.Write(p)
	}
	return f.temp.Write(p)
}

// WriteAt overwrites content that was written before.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if f.memory != nil {
		return copy(f.memory.Bytes()[off:], p), nil
	}
	return f.temp.WriteAt(p, off)
}

// Commit forces the content to the disk and moves it into place. After an error the target is as it was before.
func (f *File) Commit() error {
	if f.memory != nil {
		return f.flush()
	}
	temp := f.temp.Name()
	err := errors.Join(f.temp.Sync(), f.temp.Close())
	f.temp = nil
	if err == nil {
		err = os.Rename(temp, f.target)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDirectory(filepath.Dir(f.target))
}

// syncDirectory makes a rename durable; file systems that cannot do so are forgiven.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

func (f *File) flush() error {
	out, err := os.OpenFile(f.target, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.memory.WriteTo(out)
	return errors.Join(err, out.Close())
}

// Abort removes the temporary file; after Commit, and for a nil File, it does nothing.
func (f *File) Abort() {
	if f != nil && f.temp != nil {
		f.temp.Close()
		os.Remove(f.temp.Name())
		f.temp = nil
	}
}
