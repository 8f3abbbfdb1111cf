#!/usr/bin/env bash
# A distributed run that checks itself: a coordinator with an embedded NATS server and three worker processes, one of which is killed on the way. The coordinator and one worker live in one network
# namespace and two workers in another, as on two machines; where neither root nor user namespaces are to be had, all are plain processes. All three workers must have given results, no evaluation may be
# kept twice, and the result must be that of a run in one process.
# Usage: examples/distributed/run.sh
set -euo pipefail
cd "$(dirname "$0")"
if [ -z "${SPDOPT_EXAMPLE:-}" ]; then
	SPDOPT_EXAMPLE=$(mktemp -d)
	export SPDOPT_EXAMPLE
	trap 'rm -rf "$SPDOPT_EXAMPLE"' EXIT
	go build -o "$SPDOPT_EXAMPLE/spdopt" ../../cmd/spdopt
	own=()
	if [ "$(id -u)" != 0 ] && unshare -rnm mount -t tmpfs none /run 2>/dev/null; then
		own=(unshare -rnm sh -c 'mount -t tmpfs none /run && ip link set lo up && exec "$@"' sh)
	fi
	"${own[@]}" timeout 120 ./run.sh
	exit
fi

work=$SPDOPT_EXAMPLE one=spdopt-one-$$ two=spdopt-two-$$
pids=()
fail() { echo "FAILED: $*" >&2; exit 1; }
cleanup() {
	for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	ip netns del "$one" 2>/dev/null || true
	ip netns del "$two" 2>/dev/null || true
}
trap cleanup EXIT

address=127.0.0.1 here=() there=()
if ip netns add "$one" 2>/dev/null && ip netns add "$two" && ip link add v1-$$ netns "$one" type veth peer name v2-$$ netns "$two"; then
	ip -n "$one" addr add 10.77.0.1/24 dev v1-$$
	ip -n "$two" addr add 10.77.0.2/24 dev v2-$$
	for n in "$one" "$two"; do ip -n "$n" link set lo up; done
	ip -n "$one" link set v1-$$ up
	ip -n "$two" link set v2-$$ up
	address=10.77.0.1 here=(ip netns exec "$one") there=(ip netns exec "$two")
	echo "two network namespaces: the coordinator at $address, two of three workers at 10.77.0.2"
else
	echo "one machine: no right to make network namespaces"
fi

objective=(--cmd "sh objective.sh $work" --per-eval)
problem=(minimize "${objective[@]}" --dim 4 --seed 1 --max-evals 200 --json --quiet)
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$work/token"
"${here[@]}" "$work/spdopt" "${problem[@]}" --distributed --listen "$address:0" --token-file "$work/token" --ack-wait 1s --out "$work/far" >"$work/far.json" &
coordinator=$!
pids+=("$coordinator")
until_true() { # waits for a command as long as the coordinator lives
	until "$@"; do
		kill -0 "$coordinator" 2>/dev/null || fail "the coordinator has ended"
		sleep 0.05
	done
}
results() { grep -c '"ev":"tell"' "$work/far/events.jsonl" 2>/dev/null || true; }
has_results() { [ "$(results)" -ge "$1" ]; }
all_begun() { [ "$(cat "$work/begun" 2>/dev/null | wc -l)" -ge 3 ]; }
worker() { # prefix of the command; the process becomes the last of pids
	"$@" "$work/spdopt" worker --nats "nats://$(cat "$work/far/queue/address")" --token-file "$work/token" "${objective[@]}" --quiet 2>>"$work/workers.txt" &
	pids+=($!)
}
until_true test -s "$work/far/queue/address"
worker "${here[@]}"
worker "${there[@]}"
worker "${there[@]}"
until_true all_begun
touch "$work/gate"
until_true has_results 60
kill -9 "${pids[3]}"
{ wait "${pids[3]}" || true; } 2>/dev/null
echo "killed a worker after $(results) results"
wait "$coordinator" || fail "the coordinator ended with $?"

echo "evaluations by worker:"
grep -o '"worker":"[^"]*"' "$work/far/events.jsonl" | sort | uniq -c
[ "$(grep -o '"worker":"[^"]*"' "$work/far/events.jsonl" | sort -u | wc -l)" = 3 ] || fail "not all three workers gave results: $(cat "$work/workers.txt")"
[ "$(results)" = 200 ] || fail "$(results) results, 200 belong"
[ -z "$(grep -o '"ev":"tell","id":[0-9]*' "$work/far/events.jsonl" | sort | uniq -d)" ] || fail "an evaluation was kept twice"
"$work/spdopt" "${problem[@]}" --out "$work/near" >"$work/near.json"
result() { sed 's/"seconds":[^,]*,//; s/"run":"[^"]*"//' "$1"; }
[ "$(result "$work/far.json")" = "$(result "$work/near.json")" ] || fail "the results differ"
echo "200 evaluations, the same result as in one process: $(grep -o '"best_f":[^,]*' "$work/far.json")"
