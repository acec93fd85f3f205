#!/bin/sh
# extract.sh ORCH-EXTRACT [FILE...]: how fast it reads 256 MiB of each kind of input, made from the captures of
# the tests, and of FILEs, beside rg with twelve patterns of the same kinds, `wc -l` (a memchr pass) and cat; and its
# peak memory. Prints a Markdown table: the best of five runs in turn, CPU time (user and system) of one core.
set -eu
extract=$1
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
fixtures=$here/tests/fixtures
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
size=$((256 << 20))

# input FILE...: the files over and over, each with a line end, eight rounds of them in an order of their own.
input() {
  : >"$dir/rounds"
  for round in 1 2 3 4 5 6 7 8; do
    yes "$round" 2>/dev/null | head -c 1000000 >"$dir/seed"
    printf '%s\n' "$@" | sort | shuf --random-source="$dir/seed" | while read -r file; do
      cat "$file"
      [ -z "$(tail -c 1 "$file")" ] || echo
    done >>"$dir/rounds"
  done
  : >"$dir/input"
  while [ "$(stat -c %s "$dir/input")" -lt "$size" ]; do
    for _ in 1 2 3 4 5 6 7 8; do cat "$dir/rounds" >>"$dir/input"; done
  done
  truncate -s "$size" "$dir/input"
}

# cpu NAME COMMAND...: one run on the input; its CPU milliseconds are added to a list.
cpu() {
  name=$1
  shift
  command time -o "$dir/time" -f '%U %S' "$@" <"$dir/input" >/dev/null
  tail -n 1 "$dir/time" | awk '{ print int(($1 + $2) * 1000) }' >>"$dir/cpu.$name"
}

speed() {
  best=$(sort -n "$dir/cpu.$1" | head -1)
  echo $(($(stat -c %s "$dir/input") / 1000 / (best > 0 ? best : 1)))
}

twelve() {
  cpu rg rg -c -j1 -a \
    -e 'error(\[E\d+\])?: ' -e 'warning(\[.*\])?: ' -e '^Traceback \(most recent call last\)' \
    -e '^\s*File ".*", line \d+' -e 'panicked at ' -e 'test result: (ok|FAILED)' -e '\d+ passed' \
    -e '\d+ failed' -e 'BUILD (SUCCESS|FAIL)' -e 'exit code \d+' -e ':\d+:\d+: (error|warning)' \
    -e 'npm ERR!' || : # no line has any
}

# row WHAT FORMAT BAR FILE...: BAR in MB/s, or as a multiple of rg.
row() {
  what=$1 format=$2 bar=$3
  shift 3
  [ $# -gt 0 ] || return 0
  input "$@"
  rm -f "$dir"/cpu.*
  for _ in 1 2 3 4 5; do
    cpu extract "$extract" --format "$format"
    twelve
    cpu wc wc -l
    cpu cat cat
  done
  events=$("$extract" --format "$format" <"$dir/input" | wc -l)
  ours=$(speed extract) rg=$(speed rg)
  case $bar in
  *x) goal=$(awk "BEGIN { print int(${bar%x} * $rg) }") ;;
  *) goal=$bar ;;
  esac
  held=missed
  [ "$ours" -lt "$goal" ] || held=held
  lines=$(wc -l <"$dir/input")
  echo "| $what | $format | $((lines / 1000))k | $((events / 1000))k | $ours | $rg | $(speed wc) | $(speed cat) | $goal | $held |"
}

# memory WHAT COMMAND: the peak of a stream that the command writes.
memory() {
  sh -c "$2" | command time -o "$dir/time" -f '%M' "$extract" --format text >/dev/null
  kib=$(cat "$dir/time")
  held=missed
  [ "$kib" -gt 16384 ] || held=held
  echo "| $1 | $((kib / 1024)) MiB | 16 MiB | $held |"
}

captures=$fixtures/tools
echo '| input | format | lines | events | MB/s | rg | wc -l | cat | bar | |'
echo '|---|---|--:|--:|--:|--:|--:|--:|--:|---|'
# word splitting is meant: no capture has a blank in its name
# shellcheck disable=SC2046
{
  row 'what tools print' text 1.5x $(find "$captures" -name '*.txt')
  row 'the same, as a terminal gets it' text 1000 $(find "$captures" -name '*.raw' -o -name '*.tty.txt' -o -name '*.colour.txt')
  row 'terminals, rendered' tty 150 $(find "$fixtures" -name '*.raw')
  row 'Claude' claude 1500 $(find "$fixtures/extract" -name 'claude-*.jsonl' ! -name '*hooks*')
  row 'Codex' codex 1500 $(find "$fixtures/extract" -name 'codex-*.jsonl')
}
row "other files ($#)" auto 1.5x "$@"
# shellcheck disable=SC2046
input $(find "$captures" -name '*.txt')
printf '\n| stream | peak memory | bar | |\n|---|--:|--:|---|\n'
memory '10 GB of what tools print' "for _ in \$(seq 38); do cat $dir/input; done"
memory 'one line of 1 GB' 'head -c 1000000000 /dev/zero | tr "\0" x'
