//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Try locks f until it is closed, and says whether somebody else has locked it.
func Try(f *os.File) (busy bool, err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return true, nil
		default:
			return false, err
		}
	}
}
