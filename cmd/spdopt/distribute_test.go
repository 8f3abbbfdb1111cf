package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/loopback"
	"github.com/spdopt/spdopt/internal/run"
)

// queueOf waits until the coordinator of the run in dir listens, and returns its address.
func queueOf(t *testing.T, dir string) string {
	t.Helper()
	var text []byte
	require.Eventually(t, func() bool {
		var err error
		text, err = os.ReadFile(filepath.Join(dir, queueFolder, queueAddress))
		return err == nil && len(text) > 0
	}, 20*time.Second, 10*time.Millisecond)
	return "nats://" + string(text)
}

// background starts a process, and kills it at the end of the test.
func background(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%q: %s", cmd.Args[1:], errs.String())
		}
	})
	return cmd
}

// TestKilledDistributedRuns kills the coordinator and workers with SIGKILL, and starts others: the result is that of one process, bit for bit, and no evaluation is made again whose result had
// come.
func TestKilledDistributedRuns(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	objective := []string{"--cmd", program("counted")}
	base := append([]string{"minimize", "--dim", "4", "--seed", "5", "--max-evals", "400", "--json"}, objective...)
	want := output(t, process(filepath.Join(t.TempDir(), "ignored"), append(base, "--env", "SPDOPT_TEST_COUNTED", "--out", filepath.Join(t.TempDir(), "whole"))...))
	dir, counted := filepath.Join(t.TempDir(), "far"), filepath.Join(t.TempDir(), "counted")
	command := append(base, "--distributed", "--listen", loopback.Host(6)+":0", "--ack-wait", "500ms", "--max-deliver", "20", "--queue-sync=false", "--out", dir)
	coordinator := process(counted, command...)
	require.NoError(t, coordinator.Start())
	url := queueOf(t, dir)
	hire := func() *exec.Cmd {
		return background(t, process(counted, append([]string{"worker", "--nats", url, "--jobs", "2", "--env", "SPDOPT_TEST_COUNTED"}, objective...)...))
	}
	workers := []*exec.Cmd{hire(), hire()}
	for range 3 {
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		i := random.IntN(len(workers))
		require.NoError(t, workers[i].Process.Kill())
		workers[i] = hire()
		if random.IntN(2) == 0 {
			continue
		}
		require.NoError(t, coordinator.Process.Kill())
		_ = coordinator.Wait()
		before := told(t, dir)
		evaluated, _ := os.ReadFile(counted)
		if i, err := run.Inspect(dir); err == nil && i.Result != nil {
			break
		}
		coordinator = process(counted, "runs", "resume", dir, "--json")
		require.NoError(t, coordinator.Start())
		time.Sleep(200 * time.Millisecond)
		after, _ := os.ReadFile(counted)
		for _, id := range strings.Fields(string(after[len(evaluated):])) {
			require.False(t, before[id], "seed %d: evaluation %s was made again", seed, id)
		}
	}
	_ = coordinator.Process.Signal(os.Interrupt)
	_ = coordinator.Wait()
	if got := finished(t, counted, []string{"runs", "resume", dir, "--json"}, dir); !reflect.DeepEqual(got, want) {
		t.Fatalf("seed %d: the run ends with\n%v\none process with\n%v", seed, got, want)
	}
	require.Len(t, told(t, dir), 400)
	require.NoDirExists(t, filepath.Join(dir, queueFolder))
	names := map[string]bool{}
	for e, err := range run.Events(dir, "tell") {
		require.NoError(t, err)
		names[e.Worker] = true
	}
	require.False(t, names[""], "every result names its worker")
	for e, err := range run.Events(dir, "queue") {
		require.NoError(t, err)
		require.Contains(t, string(e.Raw), `"dropped":`)
	}
}

// TestWorkerDrains: a worker that is told to end finishes and delivers what it is at.
func TestWorkerDrains(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "far")
	command, release := held(t)
	objective := []string{"--cmd", command}
	args := append([]string{"minimize", "--dim", "3", "--seed", "1", "--max-evals", "40", "--json", "--distributed", "--listen", ":0", "--ack-wait", "1m", "--queue-sync=false", "--out", dir}, objective...)
	coordinator := process("", args...)
	var out bytes.Buffer
	coordinator.Stdout = &out
	require.NoError(t, coordinator.Start())
	worker := append([]string{"worker", "--nats", queueOf(t, dir), "--once"}, objective...)
	first := process("", worker...)
	require.NoError(t, first.Start())
	for began := time.Now(); len(told(t, dir)) < 5; time.Sleep(5 * time.Millisecond) {
		require.Less(t, time.Since(began), 60*time.Second)
	}
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	release()
	var exit *exec.ExitError
	require.ErrorAs(t, first.Wait(), &exit)
	require.Equal(t, 143, exit.ExitCode())
	second := process("", worker...)
	require.NoError(t, second.Start())
	require.NoError(t, coordinator.Wait(), "it would wait for a minute for what the first worker left behind")
	require.NoError(t, second.Wait())
	require.Contains(t, out.String(), `"evaluations":40`)
}

func TestDistributedMistakes(t *testing.T) {
	minimize := []string{"minimize", "--fn", "f1", "--dim", "2"}
	for text, args := range map[string][]string{
		"--listen needs --distributed or --nats":  append(minimize, "--listen", ":1"),
		"exclude each other":                      append(minimize, "--distributed", "--nats", "nats://x"),
		"must be kept":                            append(minimize, "--distributed", "--out", "none"),
		"a token of 16 characters":                append(minimize, "--distributed", "--listen", "0.0.0.0:0", "--out", filepath.Join(t.TempDir(), "r")),
		"--ack-wait must be":                      append(minimize, "--distributed", "--ack-wait", "1ms"),
		"--replicas need --nats":                  append(minimize, "--distributed", "--replicas", "3"),
		"no HOST:PORT":                            append(minimize, "--distributed", "--listen", "4222"),
		"--max-deliver must be at least 1":        append(minimize, "--distributed", "--max-deliver", "0"),
		"--listen needs --distributed":            append(minimize, "--nats", "nats://127.0.0.1:1", "--listen", ":1"),
		"is for the workers of a distributed run": {"minimize", "--cmd", "true", "--dim", "2", "--distributed", "--timeout", "1s"},
		"--nats-creds and --nats-nkey exclude":    append(minimize, "--nats", "nats://x", "--nats-user", "ann", "--nats-nkey", "file"),
		"belong together":                         {"worker", "--fn", "f1", "--tls-cert", "file"},
		"and needs --tls-cert":                    append(minimize, "--distributed", "--tls-ca", "file"),
		"--nats-user needs --distributed or":      append(minimize, "--nats-user", "ann"),
		"give --fn NAME":                          {"worker"},
		"--jobs must be":                          {"worker", "--fn", "f1", "--jobs", "0"},
		"no identifier of a run":                  {"worker", "--fn", "f1", "--run", "../x"},
	} {
		o := invoke(args...)
		require.Equal(t, exitUsage, o.code, "%q: %s", args, o.stderr)
		require.Contains(t, o.stderr, text, "%q", args)
	}
	for _, args := range [][]string{
		append(minimize, "--nats", "nats://user:secret@127.0.0.1:1", "--out", filepath.Join(t.TempDir(), "r")),
		{"worker", "--fn", "f1", "--nats", "nonsense"},
		{"worker", "--fn", "f1", "--nats-creds", "missing.creds"},
	} {
		o := invoke(args...)
		require.Equal(t, exitInput, o.code, "%q: %s", args, o.stderr)
		require.NotContains(t, o.stderr, "secret")
	}
}

// TestWorkerOfAnotherVersion: its program has one more line than that of the run.
func TestWorkerOfAnotherVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "far")
	one, two := writeText(t, "objective.sh", "exit 0\n"), writeText(t, "objective.sh", "exit 0\n\n")
	background(t, process("", "minimize", "--cmd", "sh "+one, "--dim", "2", "--distributed", "--listen", ":0", "--queue-sync=false", "--out", dir))
	url := queueOf(t, dir)
	o := invoke("worker", "--nats", url, "--cmd", "sh "+two)
	require.Equal(t, exitInput, o.code, o.stderr)
	require.Contains(t, o.stderr, "bring program and command line to the run's state")
	require.Equal(t, fmt.Sprint(len(told(t, dir))), "0")
	busy := invoke("runs", "resume", dir)
	require.Equal(t, exitInput, busy.code, "two coordinators on one run")
	require.Contains(t, busy.stderr, "in use by process")
}

// TestRefusedLogins: a wrong token, or an authority that the certificate does not stand on, ends coordinator and worker at once with code 3 and one message; the right ones work, and with --tls-ca the embedded server
// asks workers for certificates.
func TestRefusedLogins(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // for its certificate, which is of 127.0.0.1
	web.Close()
	der, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	cert := writeText(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})))
	key := writeText(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	token, wrong := writeText(t, "token", "open sesame, please\n"), writeText(t, "wrong", "another sesame\n")
	dir := filepath.Join(t.TempDir(), "far")
	args := []string{"minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--max-evals", "20", "--json", "--distributed", "--listen", ":0", "--queue-sync=false", "--token-file", token, "--tls-cert", cert, "--tls-key", key, "--out"}
	coordinator := process("", append(args, dir)...)
	require.NoError(t, coordinator.Start())
	defer func() { _ = coordinator.Process.Kill() }()
	url := "tls" + strings.TrimPrefix(queueOf(t, dir), "nats")
	refused := func(why, url string, login ...string) {
		t.Helper()
		for _, command := range [][]string{
			{"worker", "--fn", "f1", "--nats", url, "--once"}, {"minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--nats", url, "--out", filepath.Join(t.TempDir(), "near")},
		} {
			o := invoke(append(command, login...)...)
			require.Equal(t, exitInput, o.code, "%q: %s", command, o.stderr)
			require.Contains(t, o.stderr, url+": cannot connect: ")
			require.Contains(t, o.stderr, why)
			require.Contains(t, o.stderr, "look at the address, the token or credentials")
			require.NotContains(t, o.stderr, "sesame")
			require.Empty(t, o.stdout)
		}
	}
	refused("Authorization Violation", url, "--tls-ca", cert, "--token-file", wrong)
	refused("Authorization Violation", url, "--tls-ca", cert, "--token-file", token, "--nats-user", "coordinator")
	refused("Authorization Violation", url, "--tls-ca", cert)
	refused("certificate signed by unknown authority", url, "--token-file", token)
	succeed(t, "worker", "--fn", "f1", "--nats", url, "--once", "--tls-ca", cert, "--token-file", token)
	require.NoError(t, coordinator.Wait())

	mutual := filepath.Join(t.TempDir(), "mutual")
	background(t, process("", append(args, mutual, "--tls-ca", cert)...))
	url = "tls" + strings.TrimPrefix(queueOf(t, mutual), "nats")
	o := invoke("worker", "--fn", "f1", "--nats", url, "--once", "--tls-ca", cert, "--token-file", token)
	require.Equal(t, exitInput, o.code)
	require.Contains(t, o.stderr, "cannot connect: ")
	busy := strings.TrimPrefix(url, "tls://")
	o = invoke(append(args, filepath.Join(t.TempDir(), "third"), "--listen", busy)...)
	require.Equal(t, exitUsage, o.code, "the address is taken: %s", o.stderr)
	require.Contains(t, o.stderr, "address already in use")
}

// TestFullDiskOfTheQueue runs a coordinator, journal and queue on a disk of 1.5 MB of its own: it ends with one message, and with more room the run goes on to the result of one process. Whichever fills the disk, the journal
// or the queue, the embedded server must not leave the run waiting.
func TestFullDiskOfTheQueue(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-rm", "true").Run(); err != nil {
		t.Skipf("no right to mount a small disk: %v", err)
	}
	const script = `set -e
mount -t tmpfs -o size=1500k none "$2"
"$1" spdopt minimize --fn f15 --dim 40 --seed 4 --max-evals 4000 --distributed --listen "$4:0" --ack-wait 500ms --queue-sync=false --out "$2/run" >"$3/best" 2>"$3/first" & coordinator=$!
while [ ! -s "$2/run/queue/address" ]; do sleep 0.02; done
"$1" spdopt worker --fn f15 --nats "nats://$(cat "$2/run/queue/address")" 2>"$3/worker" & worker=$!
trap 'kill -9 $coordinator $worker 2>/dev/null || true' EXIT
wait $coordinator && code=0 || code=$?
echo "$code" >"$3/code"
mount -o remount,size=60m "$2"
"$1" spdopt runs resume "$2/run" --json
`
	disk, out := t.TempDir(), t.TempDir()
	want := output(t, process("", "minimize", "--fn", "f15", "--dim", "40", "--seed", "4", "--max-evals", "4000", "--json", "--out", filepath.Join(t.TempDir(), "whole")))
	got := output(t, exec.Command("timeout", "120", "unshare", "-rm", "sh", "-c", script, "sh", os.Args[0], disk, out, loopback.Host(8)))
	require.Equal(t, want, got)
	first, err := os.ReadFile(filepath.Join(out, "first"))
	require.NoError(t, err)
	code, err := os.ReadFile(filepath.Join(out, "code"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln(exitFailure), string(code), "%s", first)
	require.Regexp(t, "cannot write events.jsonl|can take nothing more", string(first))
	require.Contains(t, string(first), "resume")
	require.Equal(t, 2, strings.Count(string(first), "spdopt: "), "where workers may come, and one message: %s", first)
}

// TestReadOnlyRun: a run on a disk that is mounted for reading only can be looked at; to go on with it, or to begin one there, is one error.
func TestReadOnlyRun(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-rm", "true").Run(); err != nil {
		t.Skipf("no right to mount a disk: %v", err)
	}
	const script = `mount -t tmpfs none "$2" || exit 1
"$1" spdopt minimize --cmd "$3" --dim 2 --seed 1 --out "$2/run" 2>/dev/null & begun=$!
until [ "$(grep -c '"ev":"tell"' "$2/run/events.jsonl" 2>/dev/null)" -ge 5 ] 2>/dev/null; do sleep 0.02; done
kill -9 $begun; wait $begun 2>/dev/null
mount -o remount,ro "$2" || exit 1
"$1" spdopt runs show "$2/run" --json >"$4/show"; echo "show $?"
"$1" spdopt runs list --runs "$2" >"$4/list"; echo "list $?"
"$1" spdopt runs resume "$2/run" 2>"$4/resume"; echo "resume $?"
"$1" spdopt minimize --fn f1 --dim 2 --seed 1 --out "$2/another" 2>"$4/another"; echo "another $?"
`
	out := t.TempDir()
	text, err := exec.Command("timeout", "60", "unshare", "-rm", "sh", "-c", script, "sh", os.Args[0], t.TempDir(), program("slow"), out).Output()
	require.NoError(t, err)
	require.Equal(t, "show 0\nlist 0\nresume 1\nanother 3\n", string(text))
	for name, want := range map[string]string{"show": `"status":"interrupted"`, "list": "interrupted", "resume": "read-only file system", "another": "read-only file system"} {
		said, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		require.Contains(t, strings.ReplaceAll(string(said), ": \"", ":\""), want)
	}
}
