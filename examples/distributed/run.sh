#!/usr/bin/env bash
# A distributed run: a coordinator with an embedded NATS server and three worker processes, one of which is killed on the way. As root the coordinator and one worker
# live in one network namespace and two workers in another, as on two machines; otherwise all are plain processes. The result must be that of a run in one process.
# Usage: examples/distributed/run.sh
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
one=spdopt-one-$$ two=spdopt-two-$$
pids=()
cleanup() {
	for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	ip netns del "$one" 2>/dev/null || true
	ip netns del "$two" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

go build -o "$work/spdopt" ../../cmd/spdopt
objective=(--cmd "awk -f objective.awk" --per-eval)
problem=(minimize "${objective[@]}" --dim 4 --seed 1 --max-evals 400 --json --quiet)
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$work/token"

address=127.0.0.1 here=() there=()
if [ "$(id -u)" = 0 ] && ip netns add "$one" 2>/dev/null; then
	ip netns add "$two"
	ip link add v1-$$ netns "$one" type veth peer name v2-$$ netns "$two"
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

"${here[@]}" "$work/spdopt" "${problem[@]}" --distributed --listen "$address:4222" --token-file "$work/token" --ack-wait 1s --out "$work/far" >"$work/far.json" &
coordinator=$!
pids+=("$coordinator")
worker() { # prefix of the command; the process becomes the last of pids
	"$@" "$work/spdopt" worker --nats "nats://$address:4222" --token-file "$work/token" "${objective[@]}" --quiet &
	pids+=($!)
}
worker "${here[@]}"
worker "${there[@]}"
worker "${there[@]}"
until [ "$(grep -c '"ev":"tell"' "$work/far/events.jsonl" 2>/dev/null || true)" -gt 100 ] 2>/dev/null; do sleep 0.05; done
kill -9 "${pids[3]}"
echo "killed a worker after $(grep -c '"ev":"tell"' "$work/far/events.jsonl") results"
wait "$coordinator"
echo "evaluations by worker:"
grep -o '"worker":"[^"]*"' "$work/far/events.jsonl" | sort | uniq -c

"$work/spdopt" "${problem[@]}" --out "$work/near" >"$work/near.json"
result() { sed 's/"seconds":[^,]*,//; s/"run":"[^"]*"//' "$1"; }
[ "$(result "$work/far.json")" = "$(result "$work/near.json")" ] || { echo "the results differ"; exit 1; }
echo "400 evaluations, the same result as in one process: $(grep -o '"best_f":[^,]*' "$work/far.json")"
