#!/usr/bin/env bash
# Hands evaluations to three worker processes, of which one is killed by SIGKILL after every 2,000, and demands that none is lost, kept twice, or begun after its result
# was kept. Prints the rate and the size of the heap. Usage: bench/soak.sh [EVALUATIONS, default 100000]
set -euo pipefail
cd "$(dirname "$0")/.."
SPDOPT_TEST_SOAK=${1:-100000} go test ./internal/distribute -count=1 -timeout 1h -v -run '^TestSoak$'
