#!/bin/bash
# demo.sh: the whole loop on a tmux server, a database and a repository of its own. Finds the programs
# in $ORCH_BIN, else on PATH. DEMO_CLAUDE=1 and DEMO_CODEX=1 add tasks for the real clients, headless and live. Exits 1 when anything comes out otherwise than said.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -z ${ORCH_BIN-} ]] || PATH=$(cd "$ORCH_BIN" && pwd):$PATH
for program in orch-enqueue tmux git; do
  command -v "$program" >/dev/null || { echo "demo: $program: not found" >&2; exit 2; }
done

world=$(mktemp -d "${TMPDIR:-/tmp}/orch-demo.XXXXXX")
world=$(cd "$world" && pwd -P)
watch=
clean_up() {
  [[ -z $watch ]] || kill "$watch" 2>/dev/null || true
  tmux -S "$world/tmux" kill-server 2>/dev/null || true
  wait
  # a live client writes to its end
  for _ in 1 2 3 4 5; do
    rm -rf "$world" 2>/dev/null && return
    sleep 0.5
  done
  rm -rf "$world"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

unset TMUX TMUX_PANE ORCH_TASK ORCH_ATTEMPT
export PATH ORCH_DB=$world/orch.db ORCH_TMUX=$world/tmux XDG_CONFIG_HOME=$world/config GIT_CONFIG_NOSYSTEM=1

# What follows is printed, then done, in this shell: variables keep their values.
run() {
  printf '\033[1m$ %s\033[0m\n' "$1"
  eval "$1"
}
text() { printf '\n%s\n' "$*"; }
wrong() {
  printf 'demo: %s\n' "$*" >&2
  orch-ls >&2 || true
  exit 1
}
# until_state ID STATE [SECONDS]
until_state() {
  local end=$((SECONDS + ${3:-20}))
  until orch-ls "$1" --state "$2" >/dev/null; do
    ((SECONDS < end)) || wrong "task $1 is not $2"
    sleep 0.05
  done
  printf '  task %s is %s\n' "$1" "$2"
}
expect() { [[ $2 == *"$3"* ]] || wrong "$1: wanted '$3', got '$2'"; }
# on_screen COMMAND: what it prints on a terminal
on_screen() {
  printf '\033[1m$ %s\033[0m\n' "$1"
  tmux -S "$world/tmux" new-window -d -t worker1 -n table "$1; tmux -S '$world/tmux' wait-for -S shown; exec tail -f /dev/null"
  tmux -S "$world/tmux" wait-for shown
  tmux -S "$world/tmux" capture-pane -p -t worker1:table | sed '/^$/d'
  tmux -S "$world/tmux" kill-window -t worker1:table
}

# live PROVIDER COMMAND…: a client full-screen in a pane is handed a task
# shellcheck disable=SC2016 # the text is printed before the shell reads it
live() {
  local provider=$1
  shift
  text "# Live: $provider full-screen in a pane, as people keep it for hours."
  tmux -S "$world/tmux" new-session -d -x 120 -y 40 -s "live-$provider" -c "$world/shop" "$@"
  run "orch-ctx adopt live-$provider"
  local end=$((SECONDS + 60)) state=
  until [[ $state == idle ]]; do
    ((SECONDS < end)) || wrong "live-$provider is $state"
    sleep 0.2
    state=$(orch-ctx show "live-$provider" | sed 's/.*"state":"\([a-z_]*\)".*/\1/')
    # what it asks of a new directory is a person's to answer
    [[ $state != waiting ]] || run "orch-ctl answer live-$provider yes || true"
  done
  run "orch-ctx explain live-$provider --json"
  run "task=\$(orch-enqueue --provider $provider --session live-$provider 'Say in one sentence what this repository holds.')"
  # shellcheck disable=SC2154 # run sets it
  until_state "$task" completed 180
  run 'orch-ls --answer $task; echo'
  run 'orch-ls attempts $task --columns attempt,state,session,evidence,receipt'
}

text '# A repository with two branches, an agent, two panes.'
git init -q -b main "$world/shop"
cd "$world/shop"
git config user.name demo
git config user.email demo@example.org
printf 'deploy.allowed\ntried\n' >.gitignore
git add .gitignore
git commit -q -m 'start'
git branch feature
mkdir -p "$XDG_CONFIG_HOME/orch"
cat >"$XDG_CONFIG_HOME/orch/config.toml" <<TOML
[provider.agent]                # how an agent is started, fed, and read
command = ["$here/agent.sh", "{session_id}"]
content = "stdin"
format = "claude"

[retry]
base = "1s"
jitter = "0s"
TOML
run "cat \$XDG_CONFIG_HOME/orch/config.toml"
for pane in "worker1 $world" "worker2 $world/shop"; do
  tmux -S "$world/tmux" -f /dev/null new-session -d -x 160 -y 40 -s "${pane%% *}" -c "${pane#* }" -e PS1='\w$ ' bash --norc --noprofile
done

# shellcheck disable=SC2016 # the text is printed before the shell reads it
{
  text '# Nothing is typed into a pane that was not adopted.'
  run 'orch-ctx adopt worker1 worker2'

  text '# Tasks, each with its context: directory, branch, what must run first, what must come before.'
  run 'write=$(orch-enqueue --provider agent --dir . --branch feature "Write a test")'
  run 'check=$(orch-enqueue --provider shell --dir . --branch feature --prereq "export STAGE=test" --after $write "echo stage: \$STAGE; sh tests.sh")'
  run 'flaky=$(orch-enqueue --provider shell --dir $world "test -e tried || { touch tried; echo oops; exit 1; }")'
  run 'deploy=$(orch-enqueue --provider agent --dir . --branch main --after $check "Deploy it")'
  run 'astray=$(orch-enqueue --provider shell --dir . --branch nowhere "echo never")'

  text '# One pass, as cron would do it. Why this session, term by term:'
  run 'orch-assign --dry-run --explain | grep "\"task\":$write," | head -2'
  run 'orch-assign'
  text '# The end of a task starts the next; a watch does what cron does for retries.'
  run 'orch-assign --watch=200ms >passes.jsonl &'
} </dev/null
watch=$!

# shellcheck disable=SC2154,SC2016 # run sets them; printed before the shell reads it
{
  until_state "$write" completed
  run 'orch-ls --answer $write; echo'
  expect 'the answer' "$(orch-ls --answer "$write")" 'Added tests.sh'
  until_state "$check" completed
  run 'orch-ls events $check --columns type,body | grep test_summary'
  expect 'its evidence' "$(orch-ls "$check" --columns evidence)" exit

  text '# A failure is tried again, later and later.'
  until_state "$flaky" completed
  run 'orch-ls --why $flaky'
  expect 'the attempts' "$(orch-ls "$flaky" --columns attempts)" 2

  text '# A context that cannot be had: the task is not run in another.'
  until_state "$astray" held
  run 'orch-ls --why $astray'
  expect 'the reason' "$(orch-ls --why "$astray")" "no branch 'nowhere'"
  run 'orch-ctl cancel $astray'

  text '# An agent that asks a person waits for one.'
  until_state "$deploy" waiting
  run 'orch-ls --why $deploy'
  expect 'the reason' "$(orch-ls --why "$deploy")" permission
  run 'touch deploy.allowed; orch-ctl retry $deploy'
  until_state "$deploy" completed

  text '# By hand, in a pipe: what one agent said is the next one'\''s task.'
  run 'review=$(echo "Review this: $(orch-ls --answer $write)" | orch-enqueue --provider agent --hold)'
  run 'orch-ls $review --columns content | head -1'
  run "echo Review the test | $here/agent.sh by-hand | orch-extract | orch-feedback --task \$review"
  until_state "$review" completed

  if [[ -n ${DEMO_CLAUDE-} ]] && command -v claude >/dev/null; then
    text '# The real one.'
    run 'claude=$(orch-enqueue --provider claude --dir . --branch main "Say in one sentence what this repository holds.")'
    until_state "$claude" completed 180
    run 'orch-ls --answer $claude; echo'
    live claude claude
  fi
  if [[ -n ${DEMO_CODEX-} ]] && command -v codex >/dev/null; then
    live codex codex --no-daemon
  fi
} </dev/null

text '# What happened:'
on_screen 'orch-ls --columns id,state,provider,ran_in,attempts,evidence,content'
on_screen 'orch-ls attempts --columns attempt,state,session,evidence,exit_code,reason'
expect 'the last state' "$(git -C "$world/shop" log --format=%s feature | head -1)" 'tests: a first one'
[[ $(orch-ls --state completed | wc -l) -ge 5 ]] || wrong 'not every task was completed'
text 'It all came out as said.'
