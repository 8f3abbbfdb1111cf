package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// begin makes a run in a temporary folder.
func begin(t testing.TB) *Run {
	t.Helper()
	r, err := Create(filepath.Join(t.TempDir(), "a"), Manifest{Verb: "minimize", Name: "f1", Seed: 7}, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// reopen closes a run and opens it again.
func reopen(t *testing.T, r *Run) *Run {
	t.Helper()
	require.NoError(t, r.Close())
	n, err := Open(r.Dir(), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { n.Close() })
	return n
}

// tail returns the events after the state.
func tail(t *testing.T, r *Run, kinds ...string) (all []Event) {
	t.Helper()
	for e, err := range r.Tail(kinds...) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func path(r *Run, name string) string { return filepath.Join(r.Dir(), name) }

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	r := begin(t)
	x := []float64{0.1, -1e-300, math.MaxFloat64, math.Inf(-1), math.NaN(), 5e-324}
	require.NoError(t, r.Ask(Asked{ID: 1, Candidate: 40, X: x}))
	require.NoError(t, r.Tell(Told{ID: 1, F: math.Inf(1), G: []float64{math.NaN(), 2}, Failed: true, Error: "a \"quoted\"\nline", Seconds: 0.5, Attempt: 2, Worker: "w1"}))
	require.NoError(t, r.Event("iter", map[string]any{"best": Num(math.NaN()), "generation": 3}))
	require.NoError(t, r.Event("empty", nil))
	all := tail(t, reopen(t, r))
	require.Len(t, all, 4)
	require.Equal(t, uint64(40), all[0].Candidate)
	for i := range x {
		require.Equal(t, math.IsNaN(x[i]), math.IsNaN(all[0].X[i]))
		if !math.IsNaN(x[i]) {
			require.Equal(t, math.Float64bits(x[i]), math.Float64bits(all[0].X[i]), "element %d", i)
		}
	}
	told := all[1]
	require.True(t, math.IsInf(told.F, 1) && math.IsNaN(told.G[0]) && told.G[1] == 2)
	require.Equal(t, []any{"failed", "a \"quoted\"\nline", 0.5, 2, "w1"}, []any{told.Status, told.Error, told.Seconds, told.Attempt, told.Worker})
	require.WithinDuration(t, time.Now(), told.Time, time.Minute)
	var iter struct {
		Best       Num
		Generation int
	}
	require.NoError(t, json.Unmarshal(all[2].Raw, &iter))
	require.True(t, iter.Generation == 3 && math.IsNaN(float64(iter.Best)))
	require.Equal(t, "empty", all[3].Kind)
	require.Len(t, tail(t, reopen(t, begin(t))), 0)
	require.Error(t, r.Event("bad", 3))
	require.Error(t, r.Event("bad", math.NaN()))
}

func TestTailFollowsTheNewestState(t *testing.T) {
	r := begin(t)
	for id := uint64(1); id <= 5; id++ {
		require.NoError(t, r.Tell(Told{ID: id, F: float64(id)}))
		require.NoError(t, r.Checkpoint(State{Kind: "test", Seconds: 1.5, Next: id + 1, Data: []byte(fmt.Sprint("after ", id))}))
	}
	require.NoError(t, r.Tell(Told{ID: 6, F: 6}))
	n := reopen(t, r)
	require.Equal(t, &State{"test", 1.5, 6, []byte("after 5")}, n.State())
	all := tail(t, n)
	require.Len(t, all, 1)
	require.Equal(t, uint64(6), all[0].ID)
	names, err := stateFiles(r.Dir())
	require.NoError(t, err)
	require.Len(t, names, 2)
	require.Len(t, tail(t, n, "ask"), 0)

	// A damaged newest state gives way to the one before, and the journal fills the gap.
	damaged := content(t, path(r, names[0]))
	damaged[len(damaged)-1] ^= 1
	require.NoError(t, os.WriteFile(path(r, names[0]), damaged, 0o666))
	n = reopen(t, n)
	require.Equal(t, "after 4", string(n.State().Data))
	all = tail(t, n, "tell")
	require.Len(t, all, 2)
	require.Equal(t, []uint64{5, 6}, []uint64{all[0].ID, all[1].ID})
}

// TestEveryCutIsATornLine cuts the journal at every byte: what whole lines say is there, the rest is gone, and writing goes on.
func TestEveryCutIsATornLine(t *testing.T) {
	r := begin(t)
	for id := uint64(1); id <= 3; id++ {
		require.NoError(t, r.Tell(Told{ID: id, F: 0.5}))
	}
	require.NoError(t, r.Close())
	whole := content(t, path(r, journalFile))
	for cut := range len(whole) + 1 {
		for _, zeros := range []int{0, 9} {
			if cut > 0 && zeros > 0 && whole[cut-1] != '\n' {
				continue
			}
			text := append(bytes.Clone(whole[:cut]), make([]byte, zeros)...)
			require.NoError(t, os.WriteFile(path(r, journalFile), text, 0o666))
			n, err := Open(r.Dir(), Options{})
			require.NoError(t, err, "cut at byte %d", cut)
			lines := bytes.Count(whole[:cut], []byte{'\n'})
			require.Len(t, tail(t, n), lines)
			require.NoError(t, n.Tell(Told{ID: 9, F: 9}))
			n = reopen(t, n)
			require.Len(t, tail(t, n), lines+1)
			require.NoError(t, n.Close())
		}
	}
}

func TestChangedJournalsAreFound(t *testing.T) {
	r := begin(t)
	for id := uint64(1); id <= 6; id++ {
		require.NoError(t, r.Tell(Told{ID: id, F: float64(id)}))
		if id == 4 {
			require.NoError(t, r.Checkpoint(State{Kind: "test"}))
		}
	}
	require.NoError(t, r.Close())
	file := path(r, journalFile)
	whole := bytes.SplitAfter(content(t, file), []byte{'\n'})
	whole = whole[:len(whole)-1]
	require.Len(t, whole, 7)
	without := func(i int) [][]byte { return append(append([][]byte{}, whole[:i]...), whole[i+1:]...) }
	swapped := append([][]byte{}, whole...)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	edited := append([][]byte{}, whole...)
	edited[2] = bytes.Replace(edited[2], []byte(`"f":3`), []byte(`"f":1`), 1)
	require.NotEqual(t, whole[2], edited[2])
	twice := append(append([][]byte{}, whole[:6]...), whole[5], whole[6])
	// a longer log that is consistent in itself, but not the one the state was written after
	other := begin(t)
	for id := uint64(1); id <= 9; id++ {
		require.NoError(t, other.Tell(Told{ID: id, F: 0}))
	}
	require.NoError(t, other.Close())
	for name, c := range map[string]struct {
		lines [][]byte
		line  int
		what  string
	}{
		"edited":         {edited, 3, "checksum"},
		"line removed":   {without(1), 2, "checksum"},
		"last removed":   {without(6), 0, ""}, // the same as a process that died before it wrote the line
		"swapped":        {swapped, 2, "checksum"},
		"line put in":    {twice, 7, "checksum"},
		"truncated":      {whole[:3], 4, "truncated"},
		"emptied":        {nil, 1, "truncated"},
		"another log":    {[][]byte{content(t, path(other, journalFile))}, 5, "replaced"},
		"without an end": {append(append([][]byte{}, whole[:5]...), []byte("{}\n")), 6, "checksum"},
	} {
		require.NoError(t, os.WriteFile(file, bytes.Join(c.lines, nil), 0o666))
		n, err := Open(r.Dir(), Options{})
		if c.line == 0 {
			require.NoError(t, err, name)
			require.NoError(t, n.Close())
			continue
		}
		var damage *DamageError
		require.ErrorAs(t, err, &damage, name)
		require.Equal(t, c.line, damage.Line, "%s: %v", name, err)
		require.Contains(t, err.Error(), c.what, name)
		require.Contains(t, err.Error(), file)
	}
	require.NoError(t, os.Remove(file))
	_, err := Open(r.Dir(), Options{})
	require.ErrorContains(t, err, "line 1")
}

// full is a file that runs full after some bytes.
type full struct {
	*os.File
	room int
	err  error
}

func (f *full) Write(p []byte) (int, error) {
	if len(p) <= f.room {
		f.room -= len(p)
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:f.room])
	f.room = 0
	return n, f.err
}

// TestFullDisk lets the disk run full at every byte of a journal: one error that names the file, everything told before is there, and there is no rest of a line.
func TestFullDisk(t *testing.T) {
	for room := 0; room < 400; room += 7 {
		r := begin(t)
		r.journal.f = &full{r.journal.f.(*os.File), room, syscall.ENOSPC}
		var told uint64
		var failed error
		for id := uint64(1); failed == nil; id++ {
			require.NoError(t, r.Ask(Asked{ID: id, X: []float64{1}}))
			if failed = r.Tell(Told{ID: id, F: 1}); failed == nil {
				told = id
			}
		}
		var w *WriteError
		require.ErrorAs(t, failed, &w)
		require.ErrorIs(t, failed, syscall.ENOSPC)
		require.Contains(t, failed.Error(), r.Dir())
		require.Contains(t, failed.Error(), journalFile)
		require.Equal(t, failed.Error(), r.Tell(Told{ID: 99}).Error(), "the first error stays")
		require.Error(t, r.Checkpoint(State{Kind: "test"}))
		require.Error(t, r.Finish(Result{}, nil))
		require.Error(t, r.Close())
		n, err := Open(r.Dir(), Options{})
		require.NoError(t, err)
		require.Equal(t, int(told), len(tail(t, n, "tell")), "room %d", room)
		require.NoError(t, n.Tell(Told{ID: told + 1}))
		require.NoError(t, n.Close())
	}
}

// TestStateThatCannotBeWritten: the error names the file, and the run goes on from the state before, with everything that was told.
func TestStateThatCannotBeWritten(t *testing.T) {
	r := begin(t)
	require.NoError(t, r.Checkpoint(State{Kind: "test", Data: []byte("first")}))
	require.NoError(t, r.Tell(Told{ID: 1, F: 1}))
	require.NoError(t, os.Mkdir(path(r, stateName(3)), 0o777))
	err := r.Checkpoint(State{Kind: "test", Data: []byte("second")})
	var w *WriteError
	require.ErrorAs(t, err, &w)
	require.Equal(t, stateName(3), w.File)
	require.NoError(t, os.Remove(path(r, stateName(3))))
	require.NoError(t, r.Tell(Told{ID: 2, F: 2}))
	n := reopen(t, r)
	require.Equal(t, "first", string(n.State().Data))
	require.Len(t, tail(t, n, "tell"), 2)
	left, err := filepath.Glob(path(r, ".*.tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestDirectoryWithoutPermission(t *testing.T) {
	r := begin(t)
	require.NoError(t, r.Tell(Told{ID: 1, F: 1}))
	require.NoError(t, r.Close())
	if os.Geteuid() == 0 {
		// root writes everywhere; a folder in the place of the file stands in for the permission
		require.NoError(t, os.Remove(path(r, lockFile)))
		require.NoError(t, os.Mkdir(path(r, lockFile), 0o777))
	} else {
		require.NoError(t, os.Remove(path(r, lockFile)))
		require.NoError(t, os.Chmod(r.Dir(), 0o555))
		defer os.Chmod(r.Dir(), 0o777)
	}
	_, err := Open(r.Dir(), Options{})
	var w *WriteError
	require.ErrorAs(t, err, &w)
	require.Contains(t, err.Error(), "permission")
	_, err = Create("/proc/spdopt/run", Manifest{}, Options{})
	var none *NotRunError
	require.ErrorAs(t, err, &none)
	require.ErrorContains(t, err, "the directory cannot be made: no such file or directory; name another")
}

func TestTwoProcessesOnOneRun(t *testing.T) {
	r := begin(t)
	_, err := Open(r.Dir(), Options{})
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	host, _ := os.Hostname()
	require.Equal(t, os.Getpid(), busy.By.PID)
	require.Contains(t, err.Error(), fmt.Sprintf("process %d on %s", os.Getpid(), host))
	require.ErrorAs(t, Remove(r.Dir()), &busy)
	i, err := Inspect(r.Dir())
	require.NoError(t, err)
	require.Equal(t, Running, i.Status)
	reopen(t, r)
}

func TestCreateTakesOnlyEmptyDirectories(t *testing.T) {
	r := begin(t)
	require.NoError(t, r.Close())
	_, err := Create(r.Dir(), Manifest{}, Options{})
	var exists *ExistsError
	require.ErrorAs(t, err, &exists)
	require.Contains(t, err.Error(), "holds a run")
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.tex"), nil, 0o666))
	_, err = Create(other, Manifest{}, Options{})
	require.ErrorContains(t, err, "thesis.tex")

	// What a process killed before the manifest was written leaves is no obstacle.
	half := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(half, lockFile), []byte("{"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(half, ".run.json.0123456789ab.tmp"), []byte("{"), 0o666))
	n, err := Create(half, Manifest{}, Options{})
	require.NoError(t, err)
	require.NoError(t, n.Close())
}

func TestStatesOfNewerVersionsAreRefused(t *testing.T) {
	r := begin(t)
	require.NoError(t, r.Checkpoint(State{Kind: "test", Data: []byte("data")}))
	require.NoError(t, r.Close())
	for _, name := range []string{stateName(1), manifestFile} {
		before := content(t, path(r, name))
		text := bytes.Replace(bytes.Replace(before, []byte(`"schema":1`), []byte(`"schema":7`), 1), []byte(`"schema": 1`), []byte(`"schema": 7`), 1)
		require.NotEqual(t, before, text)
		require.NoError(t, os.WriteFile(path(r, name), text, 0o666))
		_, err := Open(r.Dir(), Options{})
		var newer *VersionError
		require.ErrorAs(t, err, &newer)
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "newer spdopt: schema 7, this one reads up to 1")
		require.NoError(t, os.WriteFile(path(r, name), before, 0o666))
	}
}

func TestOlderVersionsAreMigrated(t *testing.T) {
	steps := []migration{
		{1, func(d map[string]json.RawMessage) error { d["verb"] = d["command"]; delete(d, "command"); return nil }},
		{2, func(d map[string]json.RawMessage) error {
			if d["seed"] == nil {
				return errors.New("it has no seed")
			}
			return nil
		}},
	}
	text, err := upgrade([]byte(`{"schema":1,"command":"minimize","seed":3}`), 3, steps)
	require.NoError(t, err)
	var m Manifest
	require.NoError(t, json.Unmarshal(text, &m))
	require.Equal(t, Manifest{Schema: 3, Verb: "minimize", Seed: 3}, m)
	for text, want := range map[string]string{
		`{"schema":1,"command":"x"}`: "schema 2 cannot be brought to 3: it has no seed",
		`{"schema":0}`:               "too old: this spdopt reads from 1 on",
		`{"schema":4}`:               "newer",
		`{"verb":"x"}`:               "not a file of a run",
		`{`:                          "not JSON",
	} {
		_, err := upgrade([]byte(text), 3, steps)
		require.ErrorContains(t, err, want)
	}
}

func TestFinishedRuns(t *testing.T) {
	r := begin(t)
	require.False(t, r.Finished())
	require.NoError(t, r.Finish(Result{Status: string(Finished), Reason: "target", Seconds: 2}, map[string]any{"best": Num(math.NaN())}))
	require.True(t, r.Finished())
	require.NoError(t, r.Close())
	i, err := Inspect(r.Dir())
	require.NoError(t, err)
	require.Equal(t, Finished, i.Status)
	require.Equal(t, "target", i.Result.Reason)
	require.Equal(t, 1, i.Result.Lines)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, i.Result.Value))
	require.Equal(t, `{"best":"NaN"}`, compact.String())
	all, err := List(filepath.Dir(r.Dir()))
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.NoError(t, Remove(r.Dir()))
	all, err = List(filepath.Dir(r.Dir()))
	require.NoError(t, err)
	require.Empty(t, all)
	all, err = List(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestDiscardTakesOnlyWhatIsNothing(t *testing.T) {
	r := begin(t)
	require.NoError(t, r.Ask(Asked{ID: 1}))
	gone, err := r.Discard()
	require.NoError(t, err)
	require.True(t, gone)
	require.NoDirExists(t, r.Dir())
	for _, write := range []func(*Run) error{
		func(r *Run) error { return r.Tell(Told{ID: 1}) }, func(r *Run) error { return r.Event("iter", nil) }, func(r *Run) error { return r.Checkpoint(State{}) },
	} {
		r := begin(t)
		require.NoError(t, write(r))
		gone, err := r.Discard()
		require.NoError(t, err)
		require.False(t, gone)
		r, err = Open(r.Dir(), Options{})
		require.NoError(t, err)
		gone, err = r.Discard()
		require.NoError(t, err)
		require.False(t, gone)
		require.DirExists(t, r.Dir())
	}
}

func TestNamesAreNoPaths(t *testing.T) {
	root := t.TempDir()
	outside := t.TempDir()
	for _, name := range []string{"20260101-f1-0a", "20260101-f1-0b", "other-0b"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o777))
	}
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "link")))
	dir, err := Resolve(root, "20260101-f1-0a")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "20260101-f1-0a"), dir)
	dir, err = Resolve(root, "0a")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "20260101-f1-0a"), dir)
	for _, name := range []string{"", ".", "..", "../x", "/etc", "a/b", `a\b`, "x\x00", "link", ".hidden", "-rf", "0b", "none", strings.Repeat("a", 300), "ä"} {
		_, err := Resolve(root, name)
		var none *NotRunError
		require.ErrorAs(t, err, &none, "%q", name)
	}
	require.Error(t, Remove(filepath.Join(root, "link")))
	require.Error(t, Remove(outside))
	require.DirExists(t, outside)
	at := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	require.Equal(t, filepath.Join("runs", "20261123-python3-etc-pass-wd-7f3a"), DefaultDir("runs", "python3 ../../etc/Pass wd", "7f3a", at))
	require.Equal(t, "20261123-run-7f3a", filepath.Base(DefaultDir("", "../ä", "7f3a", at)))
	require.True(t, plain(filepath.Base(DefaultDir("runs", "ä\n"+strings.Repeat("/..", 99), "7f3a", at))))
}

// TestClockJumps: the wall clock goes back and forth while a run is written, closed, opened and finished. Only the times of its events differ from those of a run with a steady clock.
func TestClockJumps(t *testing.T) {
	steady := time.Now()
	years := []int{2026, 1969, 2200, 1, 2026, 1970}
	var seen [2][]Event
	for jumps := range 2 {
		r, at := begin(t), 0
		clock := func() time.Time {
			at++
			if jumps == 0 {
				return steady
			}
			return time.Date(years[at%len(years)], 1, 1, 0, 0, 0, 0, time.UTC)
		}
		for part := range uint64(3) {
			r.now = clock
			for id := 10 * part; id < 10*part+10; id++ {
				require.NoError(t, r.Ask(Asked{ID: id, X: []float64{float64(id)}}))
				require.NoError(t, r.Tell(Told{ID: id, F: float64(id)}))
			}
			if part < 2 {
				require.NoError(t, r.Checkpoint(State{Kind: "test", Next: 10*part + 10}))
				require.NoError(t, r.Tell(Told{ID: 100 + part}))
			}
			r = reopen(t, r)
			require.Equal(t, min(10*part+10, 20), r.State().Next, "the newest state is that of the last line, whatever the clock says")
			require.Len(t, tail(t, r, "tell"), map[bool]int{true: 1, false: 11}[part < 2])
		}
		r.now = clock
		require.NoError(t, r.Finish(Result{Status: string(Finished), Seconds: 1}, nil))
		i, err := Inspect(r.Dir())
		require.NoError(t, err)
		require.NotNil(t, i.Result)
		for e, err := range Events(r.Dir()) {
			require.NoError(t, err)
			e.Time, e.Raw = time.Time{}, nil
			seen[jumps] = append(seen[jumps], e)
		}
	}
	require.Equal(t, seen[0], seen[1])
}

func TestManyGoroutines(t *testing.T) {
	r := begin(t)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 50 {
				id := uint64(50*g + i)
				if r.Ask(Asked{ID: id, X: []float64{1, 2}}) != nil || r.Tell(Told{ID: id, F: float64(id)}) != nil {
					t.Error("cannot write")
				}
			}
		})
	}
	group.Wait()
	told := map[uint64]bool{}
	for _, e := range tail(t, reopen(t, r), "tell") {
		require.Equal(t, float64(e.ID), e.F)
		told[e.ID] = true
	}
	require.Len(t, told, 400)
}

func TestDurableTellsAreSynced(t *testing.T) {
	r, err := Create(t.TempDir(), Manifest{}, Options{Durable: true})
	require.NoError(t, err)
	counted := &counter{file: r.journal.f}
	r.journal.f = counted
	for range 3 {
		require.NoError(t, r.Tell(Told{}))
	}
	require.Equal(t, 3, counted.syncs)
	require.NoError(t, r.Close())
}

type counter struct {
	file
	syncs int
}

func (c *counter) Sync() error { c.syncs++; return c.file.Sync() }

func TestHashOfFiles(t *testing.T) {
	dir := t.TempDir()
	one := filepath.Join(dir, "obj.py")
	hash := func() string {
		h, err := HashFiles(one, filepath.Join(dir, "none"))
		require.NoError(t, err)
		return h
	}
	absent := hash()
	require.NoError(t, os.WriteFile(one, []byte("a"), 0o666))
	first := hash()
	require.NoError(t, os.WriteFile(one, []byte("b"), 0o666))
	require.NotEqual(t, first, hash())
	require.NotEqual(t, absent, first)
	h, err := HashFiles(dir)
	require.NoError(t, err)
	require.Len(t, h, 64)
	a, err := Hash("x", []int{1, 2})
	require.NoError(t, err)
	b, err := Hash("x", []int{1, 3})
	require.NoError(t, err)
	require.NotEqual(t, a, b)
}

// FuzzJournal feeds any bytes as a journal: Open must return, and what it accepts it must accept again.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("{\"n\":1,\"t\":0.000000,\"ev\":\"tell\",\"id\":1,\"f\":1,\"crc\":\"00000000\"}\n"))
	f.Add([]byte("\x00\x00\n"))
	dir := f.TempDir()
	r, err := Create(dir, Manifest{}, Options{})
	require.NoError(f, err)
	require.NoError(f, r.Tell(Told{ID: 1}))
	require.NoError(f, r.Close())
	whole, err := os.ReadFile(path(r, journalFile))
	require.NoError(f, err)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, journalFile), text, 0o666))
		for range 2 {
			r, err := Open(dir, Options{})
			if err != nil {
				return
			}
			for _, err := range r.Tail() {
				if err != nil {
					break
				}
			}
			require.NoError(t, r.Close())
		}
	})
}
