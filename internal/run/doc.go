// Package run keeps long computations in directories, so that nothing computed is lost and no evaluation is made twice. It knows nothing of
// what is computed: callers give it settings, evaluations and opaque states.
//
// # A directory
//
//	run.json          written first, once: schema, version, argv, settings with their origins, seed, host, hash of the problem (Manifest)
//	events.jsonl      the journal: append-only, one JSON object a line
//	state.000000120   the two newest states, named by the line of the journal they stand at
//	result.json       written last; without it the run is unfinished (Result)
//	log.txt           what people may want to read: notes, error output of workers
//	lock              advisory lock (flock) of the process that writes, with its pid and host
//
// # The journal
//
// A line is {"n":17,"t":1764108000.25,"ev":"tell","id":41,"f":3.25,...,"crc":"89abcdef"}: its number from 1, the wall clock (for people; nothing
// depends on it), the kind of event, its fields, and the CRC-32C of the line before it and of itself. The sums are a chain: a line that was edited, removed,
// inserted or moved is found and named. Kinds that every reader knows are
//
//	ask         {"id":41,"c":40,"x":[..]}   evaluation 41 was handed out; c is the caller's own name for the candidate
//	tell        {"id":41,"f":3.25,"g":[..],"s":0.12,"status":"failed","error":"..","attempt":2,"worker":".."}   its outcome; only id and f always
//	checkpoint  {"state":"state.000000120"}  the next line is the first that the state does not cover
//	stop        {"status":"finished","reason":".."}  the run is over
//
// and callers add others by Event. NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
//
// Writing: Ask and Event put a line in memory, Tell writes it and all before it with one system call before it returns, so that a result that was told survives
// the death of the process; Checkpoint and Sync force the journal to the disk, and with Options.Durable every Tell does. Write order is the promise: what follows
// from a result (a message acknowledged, a state) may be made known only after Tell returned. A state covers the journal before it, so Checkpoint must wait until the
// computation has taken in everything in the journal: a caller that replays results makes no state until it has used them all.
//
// Replaying: Open checks the whole journal, cuts off a torn last line, and loads the newest state that is intact; a journal that does not lead to it is a *DamageError. State returns it; Tail
// yields the events after it, in order. A caller that resumes restores the state and feeds the tells of Tail to its computation as if they came now; asks in
// Tail without a tell are open and are handed out again with the same id. The journal, not a queue or a cache, is the source of truth.
//
// # Safety
//
// A Run may be used from several goroutines. One process at a time has a run open (*BusyError names the other). After a failed write (full disk,
// directory gone) the journal is cut back to its last complete line, the Run refuses to go on with the same *WriteError, and Open resumes from there once
// there is space. States and results are written to a temporary file, forced to the disk and renamed.
package run
