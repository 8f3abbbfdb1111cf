#!/usr/bin/env bash
# Kills runs of minimize, solve, train and bench by SIGKILL at random instants, up to three times each, lets them go on, and demands the result of the run that
# was not killed, bit for bit, with no finished evaluation made again. Usage: bench/killtest.sh [RUNS OF EACH KIND, default 200]
set -euo pipefail
cd "$(dirname "$0")/.."
SPDOPT_TEST_KILLS=${1:-200} go test ./cmd/spdopt -count=1 -timeout 3h -v -run '^TestKilledRunsResumeBitForBit$'
