//go:build unix

package run

import (
	"errors"
	"syscall"
)

// ended says that no process has that number.
func ended(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
