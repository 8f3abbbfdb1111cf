package run

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"strconv"
	"time"
)

// file is what a journal is written to; tests use one that fails.
type file interface {
	io.Writer
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// place is a position between two lines of the journal.
type place struct {
	Line   int    `json:"line"`   // lines before it
	Offset int64  `json:"offset"` // bytes before it
	Sum    uint32 `json:"sum"`    // of the chain up to it
}

// journal appends lines. end is where the file ends, pending are lines in memory after it, next is where they will end.
type journal struct {
	f         file
	end, next place
	pending   []byte
	start     int // of the line that is being built in pending
	err       error
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumStart opens the last field of a line; sumLen is the length of that field with the brace and the line's end.
const (
	sumStart = `,"crc":"`
	sumLen   = len(sumStart) + 8 + len("\"}\n")
)

// chain continues the sum of a line's predecessors with the line, up to its own sum.
func chain(before uint32, line []byte) uint32 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], before)
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, line)
}

// open starts a line of the kind.
func (j *journal) open(kind string, now time.Time) {
	j.start = len(j.pending)
	b := append(j.pending, `{"n":`...)
	b = strconv.AppendInt(b, int64(j.next.Line+1), 10)
	b = append(b, `,"t":`...)
	b = strconv.AppendFloat(b, float64(now.UnixMicro())/1e6, 'f', 6, 64)
	b = append(b, `,"ev":"`...)
	b = append(b, kind...)
	j.pending = append(b, '"')
}

// close ends the line with its sum.
func (j *journal) close() {
	sum := chain(j.next.Sum, j.pending[j.start:])
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], sum)
	b := append(j.pending, sumStart...)
	b = hex.AppendEncode(b, raw[:])
	j.pending = append(b, '"', '}', '\n')
	j.next = place{j.next.Line + 1, j.end.Offset + int64(len(j.pending)), sum}
}

// flush writes the lines in memory with one call. After an error the file ends with a complete line again, if it lets itself be cut.
func (j *journal) flush() error {
	if j.err != nil || len(j.pending) == 0 {
		return j.err
	}
	n, err := j.f.Write(j.pending)
	if err == nil && n < len(j.pending) {
		err = io.ErrShortWrite
	}
	if err != nil {
		j.err = err
		_ = j.f.Truncate(j.end.Offset) // a torn line would be cut off when the run is opened again
		return err
	}
	j.end, j.pending = j.next, j.pending[:0]
	return nil
}

// sync forces everything to the disk.
func (j *journal) sync() error {
	if err := j.flush(); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		j.err = err // what was not synced may be lost, and a second sync would not say so
	}
	return j.err
}
