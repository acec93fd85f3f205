#!/bin/bash
# import-queue.sh OLD.db [OPTION…]: the pending tasks of an older queue, in one transaction, all or none. The names below are
# that queue's: change them to yours. The key makes a second import add nothing. Options of orch-enqueue are defaults.
set -euo pipefail

old=${1:?"usage: import-queue.sh OLD.db [OPTION…]"}
shift
sqlite3 -readonly -json "$old" "
  select id, prompt, priority, agent, project_dir, branch, notes
  from queue where status = 'pending' order by id" |
  jq -c '.[] | {
    key: "old-queue:\(.id)",
    content: .prompt,
    priority: (.priority // 0),
    provider: .agent,
    dir: .project_dir,
    branch: .branch,
    group: .notes
  } | with_entries(select(.value != null))' |
  orch-enqueue --jsonl "$@"
