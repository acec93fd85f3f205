#!/bin/bash
# tmux-status.sh: "2 waiting · 1 failed", or nothing when nobody is needed. In ~/.tmux.conf:
#   set -g status-interval 5
#   set -g status-right '#(/usr/share/doc/orch/examples/tmux-status.sh)'
set -euo pipefail

line=
for state in waiting unknown held failed; do
  # what failed long ago is no news
  since=()
  [[ $state != failed ]] || since=(--since 12h)
  n=$({ orch-ls --state "$state" "${since[@]}" --columns id 2>/dev/null || true; } | wc -l)
  [[ $n -eq 0 ]] || line+="${line:+ · }$((n)) $state"
done
[[ -z $line ]] || printf '%s\n' "$line"
