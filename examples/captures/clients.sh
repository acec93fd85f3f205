#!/bin/bash
# clients.sh: what the real Claude Code and Codex draw in a terminal of 60, 120 and 200 columns, as raw bytes
# (CASE-WIDTH.raw, by tmux pipe-pane -O) and as the screen at the end (CASE-WIDTH.screen.txt, by capture-pane -p).
#
# LAB is a folder with agent.sh, which starts a real client against a stub model API, and stub.sh, which runs that
# stub; LAB_DIR holds the clients. Runs, like run.sh, in a namespace of its own; only processes of that namespace
# are ended.
set -u
here=$(cd "$(dirname "$0")" && pwd)
OUT=${CAPTURES_OUT:-$here/../../tests/fixtures/tools}
HOME_DIR=${CAPTURES_HOME:-/tmp/cap-home}

if [[ -z ${CAPTURES_INSIDE:-} ]]; then
  : "${LAB:?the folder of agent.sh and stub.sh}"
  LAB_DIR=${LAB_DIR:-$HOME/.cache/agent-lab}
  mkdir -p "$OUT" /home/dev "$HOME_DIR/.lab" "$HOME_DIR/lab"
  rm -rf "$HOME_DIR/captured-clients" "$HOME_DIR/lab" && mkdir -p "$HOME_DIR/captured-clients" && cp -r "$LAB" "$HOME_DIR/lab"
  # shellcheck disable=SC2016
  unshare --mount --uts --net --pid --fork --mount-proc bash -c '
    hostname box; ip link set lo up 2>/dev/null
    mount --bind "$1" /home/dev
    mount --bind "$2" /home/dev/.lab
    exec 9<"$3"
    mount -t tmpfs none /tmp
    cd /home/dev && exec env -i CAPTURES_INSIDE=1 HOME=/home/dev USER=dev LOGNAME=dev SHELL=/bin/bash LANG=C.UTF-8 TZ=UTC TERM=xterm-256color \
      PATH=/usr/local/bin:/usr/bin:/bin LAB=/home/dev/lab LAB_DIR=/home/dev/.lab STUB_PORT=8765 bash /dev/fd/9 "${@:4}"' \
    clients "$HOME_DIR" "$LAB_DIR" "$here/clients.sh" "$@" || exit
  for tool in claude-tui codex-tui; do
    [[ -d $HOME_DIR/captured-clients/$tool ]] || continue
    rm -rf "${OUT:?}/$tool" && cp -r "$HOME_DIR/captured-clients/$tool" "$OUT/$tool"
    touch "$OUT/expected.jsonl" "$here/versions.tsv"
    { grep -v "^{\"case\":\"$tool/" "$OUT/expected.jsonl"; cat "$OUT/$tool/truth"; } | LC_ALL=C sort >"$OUT/expected.new"
    mv "$OUT/expected.new" "$OUT/expected.jsonl"
    { awk -F'\t' -v t="$tool" '$1 != t' "$here/versions.tsv"; cat "$OUT/$tool/version"; } | LC_ALL=C sort >"$here/versions.new"
    mv "$here/versions.new" "$here/versions.tsv"
    rm "$OUT/$tool/truth" "$OUT/$tool/version"
  done
  exit 0
fi

P=/home/dev/app
rm -rf $P && mkdir -p $P && cd $P || exit
rm -rf /home/dev/agent-home
"$LAB/stub.sh" start || exit
t() { tmux -L captures -f /dev/null "$@"; }

# seen PATTERN: waits until the screen has it
seen() {
  local left=150
  while ((left--)); do
    t capture-pane -p | grep -qE -- "$1" && return 0
    sleep 0.1
  done
  echo "$tool/$case-$width: never seen: $1" >&2
  t capture-pane -p >&2
  return 1
}

# begin CLIENT CASE WIDTH: a client in a pane, its bytes kept from the first on
begin() {
  local client=$1
  tool=$1-tui case=$2 width=$3
  mkdir -p "/home/dev/captured-clients/$tool"
  base=/home/dev/captured-clients/$tool/$case-$width
  t kill-server 2>/dev/null && sleep 0.3
  rm -f /tmp/go "$base.raw"
  local args='--permission-mode default'
  [[ $client = codex ]] && args='--no-daemon'
  t new-session -d -x "$width" -y 40 -c $P "while [ ! -e /tmp/go ]; do sleep 0.05; done; AGENT_HOME=/home/dev/agent-home/$client $LAB/agent.sh $client $args"
  t pipe-pane -O "cat >>$base.raw"
  sleep 0.2
  touch /tmp/go
  if [[ $client = claude ]]; then seen '\? for shortcuts'; else seen 'Ask Codex to do anything'; fi
  sleep 0.7
}

type_prompt() {
  t send-keys -l "$1"
  sleep 0.5
  t send-keys Enter
}

# keep OUTCOME [OTHER…]: ends it here
keep() {
  sleep 1
  t capture-pane -p >"$base.screen.txt"
  t kill-server
  sleep 0.3
  local accept=''
  [[ $# -gt 1 ]] && accept=$(printf '"%s",' "${@:2}") && accept=',"accept":['${accept%,}']'
  printf '{"case":"%s/%s-%s","tool":"%s","outcome":"%s"%s,"errors":[]}\n' "$tool" "$case" "$width" "${tool%-tui}" "$1" "$accept" >>"/home/dev/captured-clients/$tool/truth"
}

for width in 60 120 200; do
  begin claude rest "$width" && keep unknown
  begin claude answer "$width" && type_prompt 'STUB:ok The change is in place.' && seen ' for [0-9]+s' && keep complete
  begin claude permission "$width" && type_prompt 'STUB:bash touch made' && seen 'Do you want to proceed' && keep waiting
  begin claude question "$width" && type_prompt 'STUB:ask' && seen 'Enter to select' && keep waiting
  begin claude error "$width" && type_prompt 'STUB:400' && seen 'API Error' && keep failed
  begin claude interrupt "$width" && type_prompt 'STUB:slow 30' && seen 'esc to interrupt' && sleep 2 && t send-keys Escape && seen 'Interrupted' && keep unknown failed
  begin codex rest "$width" && keep unknown
  begin codex answer "$width" && type_prompt 'STUB:ok The change is in place.' && seen 'The change is in place.$' && sleep 1.5 && keep complete
  begin codex permission "$width" && type_prompt 'STUB:esc touch /etc/made' && seen 'Would you like to run' && keep waiting
  begin codex question "$width" && type_prompt 'STUB:question' && seen 'should I|Should I|\?$' && sleep 2 && keep waiting complete
  begin codex error "$width" && type_prompt 'STUB:400' && seen '■' && keep failed
  begin codex interrupt "$width" && type_prompt 'STUB:hang 30' && seen 'esc to interrupt' && sleep 1 && t send-keys Escape && seen 'interrupted' && keep unknown failed
done
for client in claude codex; do
  printf '%s-tui\t%s\n' $client "$("$LAB_DIR/bin/$client" --version 2>&1 | head -1)" >/home/dev/captured-clients/$client-tui/version
done
"$LAB/stub.sh" stop
