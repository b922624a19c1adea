#!/usr/bin/env bash
# signalbox, with every class of a replayed policy within five minutes: what the rule of notify.yml is about. The benchmark
# of incidents takes it in place of the binary, which BIN names (default: signalbox on the PATH).
set -euo pipefail
for file in "${3:-}"/lanes.yml; do
  [ ! -f "$file" ] || sed -i 's/"within": "[^"]*"/"within": "5m"/' "$file"
done
exec "${BIN:-signalbox}" "$@"
