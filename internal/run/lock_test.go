package run

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/filelock"
)

// TestLockOfAKilledProcess: a process that was killed while it started a program leaves a child that holds the lock for some time; the run is not refused.
func TestLockOfAKilledProcess(t *testing.T) {
	r := begin(t)
	require.NoError(t, r.Close())
	ended := exec.Command(os.Args[0], "-test.run=^$")
	require.NoError(t, ended.Run())
	host, err := os.Hostname()
	require.NoError(t, err)
	f, err := os.OpenFile(filepath.Join(r.Dir(), lockFile), os.O_RDWR, 0)
	require.NoError(t, err)
	busy, err := filelock.Try(f)
	require.NoError(t, err)
	require.False(t, busy)
	text, err := json.Marshal(Holder{ended.Process.Pid, host, time.Now()})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.Name(), text, 0o666))
	i, err := Inspect(r.Dir())
	require.NoError(t, err)
	require.Equal(t, Interrupted, i.Status)
	go func() {
		time.Sleep(3 * patience)
		f.Close()
	}()
	again, err := Open(r.Dir(), Options{})
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
