#!/usr/bin/env bash
# Takes the pictures of dashboard and report that the guides show, in light and dark: the test that opens both in a headless Chromium, on runs that it makes.
set -euo pipefail
cd "$(dirname "$0")"
SPDOPT_SHOTS=$PWD go test -count=1 -tags browser -run TestPagesOfRuns ../../cmd/spdopt
