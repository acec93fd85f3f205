complete -c orch-wrap -l task -d 'The assigned attempt (ID.N), or with a command the task (ID) to run it for' -r
complete -c orch-wrap -l provider -d 'Read what the command prints as this provider\'s' -r
complete -c orch-wrap -l format -d 'Read what the command prints as: text, claude, codex, gemini, opencode, pi' -r
complete -c orch-wrap -l timeout -d 'End it after this long: TERM, then KILL, the whole group' -r
complete -c orch-wrap -l db -d 'The database' -r -F
complete -c orch-wrap -l lead -d 'Become the command on this terminal (used by orch-wrap itself)' -r -F
complete -c orch-wrap -l raw -d 'Show a record as it is, not a rendering'
complete -c orch-wrap -s h -l help -d 'Print help'
complete -c orch-wrap -s V -l version -d 'Print version'
