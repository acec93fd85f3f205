#!/bin/sh
# extract.sh ORCH-EXTRACT FILE...: 256 MiB of the files, over and over, through orch-extract and through rg
# with twelve patterns of the same kinds; CPU seconds of each, five times in turn, and the peak memory.
set -eu
extract=$1
shift
text=$(mktemp)
trap 'rm -f "$text"' EXIT
while [ "$(stat -c %s "$text")" -lt 268435456 ]; do cat "$@" >>"$text"; done
for _ in 1 2 3 4 5; do
  command time -f 'orch-extract %U + %S s, %M KiB' "$extract" --format text <"$text" >/dev/null
  command time -f 'rg           %U + %S s' rg -c -j1 -a \
    -e 'error(\[E\d+\])?: ' -e 'warning(\[.*\])?: ' -e '^Traceback \(most recent call last\)' \
    -e '^\s*File ".*", line \d+' -e 'panicked at ' -e 'test result: (ok|FAILED)' -e '\d+ passed' \
    -e '\d+ failed' -e 'BUILD (SUCCESS|FAIL)' -e 'exit code \d+' -e ':\d+:\d+: (error|warning)' \
    -e 'npm ERR!' <"$text" >/dev/null
  command time -f 'cat          %U + %S s' cat "$text" >/dev/null
done
