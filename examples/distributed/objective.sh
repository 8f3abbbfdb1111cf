#!/bin/sh
# The objective behind a gate: notes in the folder $1 that an evaluation has begun, and waits there for the file "gate". So all workers have work before the run gets going.
echo >>"$1/begun"
while [ ! -e "$1/gate" ]; do sleep 0.05; done
exec awk -f "$(dirname "$0")/objective.awk"
