#!/bin/bash
# agent.sh SESSION_ID: a stand-in for `claude -p --output-format stream-json`, for the demo. It reads a prompt, does the
# small thing that its first word asks for, and reports in the records of the real one.
set -euo pipefail

id=$1
read -r word rest || [[ -n $word ]]

# Every text is of this file's own, or was made by it: nothing in it needs escaping in JSON.
record() { printf '{"type":"%s",%s,"session_id":"%s"}\n' "$1" "$2" "$id"; }
say() { record assistant '"message":{"role":"assistant","content":[{"type":"text","text":"'"$1"'"}]}'; }
call() {
  record assistant '"message":{"role":"assistant","content":[{"type":"tool_use","id":"'"$1"'","name":"Bash","input":{"command":"'"$2"'"}}]}'
}
gave() {
  record user '"message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"'"$1"'","is_error":'"$2"',"content":"'"$3"'"}]}'
}
result() {
  record result '"subtype":"success","is_error":false,"terminal_reason":"completed","num_turns":2,"duration_ms":40,"result":"'"$1"'","permission_denials":['"${2-}"'],"total_cost_usd":0.004,"usage":{"input_tokens":820,"output_tokens":61}'
}

record system '"subtype":"init","cwd":"'"$PWD"'","model":"stand-in","tools":["Bash"],"permissionMode":"default"'
case $word in
  Write)
    call t1 'git commit'
    printf '#!/bin/sh\necho "1 passed, 0 failed in 0.01s"\n' >tests.sh
    git add tests.sh
    git -c core.hooksPath=/dev/null commit -q -m 'tests: a first one'
    gave t1 false "[$(git branch --show-current) $(git rev-parse --short HEAD)] tests: a first one"
    say 'The test is written and committed.'
    result 'Added tests.sh on branch feature.'
    ;;
  Deploy)
    call t1 './deploy'
    if [[ -e deploy.allowed ]]; then
      gave t1 false 'deployed'
      result 'Deployed.'
    else
      gave t1 true 'Claude requested permissions to use Bash, but you have not granted it yet.'
      result 'I need your permission to run ./deploy.' '{"tool_name":"Bash","tool_use_id":"t1","tool_input":{"command":"./deploy"}}'
    fi
    ;;
  Review)
    say 'Reading what I was given.'
    result "Reviewed: ${rest//[\"\\]/}"
    ;;
  *)
    say 'I only know how to write, deploy and review.'
    result 'I could not do that.'
    ;;
esac
