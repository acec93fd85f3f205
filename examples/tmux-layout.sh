#!/bin/bash
# tmux-layout.sh [SERVER [DIR]]: a team of sessions on a tmux server (a name for -L or a socket's path; without it the one
# that orch uses), each with a shell in DIR, all adopted. What is there already stays as it is.
set -euo pipefail

server=${1:-${ORCH_TMUX-}}
dir=${2:-$PWD}
case $server in
  '') tmux=(tmux) ;;
  */*) tmux=(tmux -S "$server") ;;
  *) tmux=(tmux -L "$server") ;;
esac
[[ -z $server ]] || export ORCH_TMUX=$server

while read -r name provider; do
  "${tmux[@]}" has-session -t "=$name" 2>/dev/null || "${tmux[@]}" new-session -d -x 200 -y 50 -s "$name" -c "$dir"
  orch-ctx adopt "$name" --provider "$provider"
done <<'TEAM'
architect claude
foundation claude
codex codex
dev_worker1 shell
dev_worker2 shell
TEAM
