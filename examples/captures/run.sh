#!/bin/bash
# run.sh [FAMILY…]: runs real tools on tiny projects and keeps what they print in tests/fixtures/tools.
#
# Every family is a file in tools/: it writes its projects, says what is wrong in them, and runs the tool
# twice, into a pipe (CASE.plain.txt) and in colour (CASE.colour.txt). What is true of each run goes to
# expected.jsonl: it is written by hand beside the project, never read from an extractor; the exit code is
# checked against the run. Runs in a namespace of its own (host name box, home /home/dev, no network), so that
# no capture names the machine. Needs root; what the tools come from is in install.sh.
set -u
here=$(cd "$(dirname "$0")" && pwd)
OUT=${CAPTURES_OUT:-$here/../../tests/fixtures/tools}
HOME_DIR=${CAPTURES_HOME:-/tmp/cap-home}

if [[ -z ${CAPTURES_INSIDE:-} ]]; then
  mkdir -p "$OUT" /home/dev "$HOME_DIR/.cargo/bin" "$HOME_DIR/.rustup" "$HOME_DIR/captured"
  families=("$@")
  [[ $# -gt 0 ]] || for f in "$here"/tools/*.sh; do families+=("$(basename "$f" .sh)"); done
  for family in "${families[@]}"; do
    rm -rf "$HOME_DIR/captured" && mkdir -p "$HOME_DIR/captured"
    cargo_home=${CARGO_HOME:-$HOME/.cargo} rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
    # shellcheck disable=SC2016
    CAPTURES_INSIDE=1 unshare --mount --uts --net bash -c '
      hostname box; ip link set lo up 2>/dev/null
      mount --bind "$1" /home/dev
      [[ -d $2/bin ]] && mount --bind "$2/bin" /home/dev/.cargo/bin
      [[ -d $3 ]] && mount --bind "$3" /home/dev/.rustup
      exec 8<"$4" 9<"$5"
      mount -t tmpfs none /tmp
      mkdir /tmp/captures
      cd /home/dev && exec env -i CAPTURES_INSIDE=1 FAMILY="$6" HOME=/home/dev USER=dev LOGNAME=dev SHELL=/bin/bash LANG=C.UTF-8 TZ=UTC \
        PATH=/home/dev/.venv/bin:/home/dev/.bin:/home/dev/.cargo/bin:/usr/local/bin:/usr/bin:/bin \
        bash <(cat <&8) /dev/fd/9' \
      run "$HOME_DIR" "$cargo_home" "$rustup_home" "$here/run.sh" "$here/tools/$family.sh" "$family" || exit
    for tool in "$HOME_DIR"/captured/*/; do
      tool=$(basename "$tool")
      rm -rf "${OUT:?}/$tool"
      cp -r "$HOME_DIR/captured/$tool" "$OUT/$tool"
      touch "$OUT/expected.jsonl"
      { grep -v "^{\"case\":\"$tool/" "$OUT/expected.jsonl"; cat "$OUT/$tool/truth"; } | LC_ALL=C sort >"$OUT/expected.new"
      mv "$OUT/expected.new" "$OUT/expected.jsonl"
      touch "$here/versions.tsv"
      { awk -F'\t' -v t="$tool" '$1 != t' "$here/versions.tsv"; cat "$OUT/$tool/version"; } | LC_ALL=C sort >"$here/versions.new"
      mv "$here/versions.new" "$here/versions.tsv"
      rm "$OUT/$tool/truth" "$OUT/$tool/version"
    done
  done
  exit 0
fi

# From here on inside the namespace, where nothing of the checkout is to be seen.
P=/home/dev/proj
COLUMNS_WIDE=120

# tool NAME VERSION-COMMAND…: a new tool, in an empty project
tool() {
  TOOL=$1
  shift
  cd /home/dev || exit
  mountpoint -q $P/node_modules 2>/dev/null && umount $P/node_modules
  rm -rf $P && mkdir -p $P && cd $P || exit
  DIR=/home/dev/captured/$TOOL
  mkdir -p "$DIR"
  printf '%s\t%s\n' "$TOOL" "$("$@" 2>&1 | grep -m1 '[0-9]' | tr -d '\r' | sed 's/\x1b\[[0-9;]*m//g; s/^[[:space:]]*//' | cut -c1-90)" >"$DIR/version"
  : >"$DIR/truth"
}

# fresh: empties the project
fresh() { cd /home/dev && { mountpoint -q $P/node_modules 2>/dev/null && umount $P/node_modules; rm -rf $P; mkdir -p $P; cd $P || exit; }; }

# node_modules: the packages of npm, as if installed in the project
node_modules() { mkdir -p $P/node_modules && mount --bind /home/dev/node_modules $P/node_modules; PATH=$P/node_modules/.bin:$PATH; }

# put FILE <<'X': writes a file of the project
put() { mkdir -p "$(dirname "$1")" && cat >"$1"; }

# shoot CASE OUTCOME EXIT P/F/E/S|- COMMAND [S:FILE:LINE:COLUMN:CODE…]: runs it and says what is true of it.
# S is E error, W warning, A either, X may be told and need not; LINE a number, or /words/ of that line of the file.
# COLOUR=COMMAND gives the colour through a pipe; CASE.tty.txt is then what the terminal got;
# ACCEPT=OUTCOME names another outcome that a reader of the text alone may come to; FORMS=plain only one form;
# BEFORE=COMMAND runs before each. TRUTH_TOOL another name of the tool.
shoot() {
  local case=$1 outcome=$2 exit=$3 tests=$4 command=$5 code
  shift 5
  [[ -z ${BEFORE:-} ]] || bash -c "$BEFORE" >/dev/null 2>&1
  TERM=dumb timeout 120 bash -c "$command" <<<'' >"$DIR/$case.plain.txt" 2>&1
  code=$?
  [[ $code = "$exit" ]] || echo "$TOOL/$case: exit $code, not $exit" >&2
  [[ -z ${BEFORE:-} ]] || bash -c "$BEFORE" >/dev/null 2>&1
  if [[ ${FORMS:-both} = both ]]; then
    if [[ -n ${COLOUR:-} ]]; then
      TERM=xterm-256color timeout 120 bash -c "$COLOUR" <<<'' >"$DIR/$case.colour.txt" 2>&1
      code=$?
      [[ -z ${BEFORE:-} ]] || bash -c "$BEFORE" >/dev/null 2>&1
      pty "$command" "$DIR/$case.tty.txt" || [[ $? = "$exit" ]] || echo "$TOOL/$case: tty: another exit" >&2
    else
      pty "$command" "$DIR/$case.colour.txt"
      code=$?
    fi
    [[ $code = "$exit" ]] || echo "$TOOL/$case: colour: exit $code, not $exit" >&2
    grep -q $'\x1b' "$DIR/$case.colour.txt" || echo "$TOOL/$case: no colour" >&2
  fi
  truth "$TOOL/$case" "$outcome" "$exit" "$tests" "$command" "$@" >>"$DIR/truth"
}

# pty COMMAND FILE: in a terminal, whose bytes are kept
pty() {
  rm -f /tmp/captures/in && mkfifo /tmp/captures/in
  TERM=xterm-256color COLORTERM='' timeout 120 script -qfec "stty cols $COLUMNS_WIDE rows 40; $1" /tmp/captures/typescript <>/tmp/captures/in >/dev/null 2>&1
  local code=$?
  sed -e '1{/^Script started on /d}' /tmp/captures/typescript | perl -0pe 's/\n?Script done on [^\n]*\n?\z//' >"$2"
  return $code
}

truth() {
  local case=$1 outcome=$2 exit=$3 tests=$4 command=$5
  shift 5
  local spec specs=() words file at
  for spec; do
    if [[ $spec =~ ^.:([^:]+):/(.*)/:(.*)$ ]]; then
      file=${BASH_REMATCH[1]} words=${BASH_REMATCH[2]}
      at=$(grep -nF -m1 -- "$words" "$P/$file" | cut -d: -f1)
      [[ -n $at ]] || echo "$case: no line of $file has: $words" >&2
      spec=${spec%%:*}:$file:$at:${BASH_REMATCH[3]}
    fi
    specs+=("$spec")
  done
  printf '%s\n' "${specs[@]}" | jq -Rcn --arg case "$case" --arg outcome "$outcome" --argjson exit "$exit" --arg tests "$tests" \
    --arg command "$command" --arg tool "${TRUTH_TOOL:-${case%%/*}}" --arg accept "${ACCEPT:-}" '
    def number: if . == null or . == "" then null else tonumber end;
    {case: $case, tool: $tool, command: $command, exit: $exit, outcome: $outcome}
    + (if $accept == "" then {} else {accept: ($accept / " ")} end)
    + (if $tests == "-" then {} else {tests: ([($tests / "/")[] | tonumber] as [$p, $f, $e, $s] | {passed: $p, failed: $f, errors: $e, skipped: $s})} end)
    + {errors: [inputs | select(. != "") | (. / ":") as $p | {
        severity: {E: "error", W: "warning", A: "any", X: "any"}[$p[0]], optional: (if $p[0] == "X" then true else null end), file: $p[1], line: ($p[2] | number),
        column: ($p[3] | number), code: ($p[4:] | join(":") | if . == "" then null else . end)} | with_entries(select(.value != null))]}'
}

# shellcheck source=/dev/null
. "$1"
