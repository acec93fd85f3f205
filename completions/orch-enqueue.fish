complete -c orch-enqueue -l db -d 'The database' -r -F
complete -c orch-enqueue -s p -l priority -d 'Higher comes first' -r
complete -c orch-enqueue -l provider -d 'Who is to do it: shell, claude, codex, gemini, opencode, ollama, or a profile of config.toml' -r
complete -c orch-enqueue -l session -d 'Only this session may take it' -r
complete -c orch-enqueue -l dir -d 'Where it is to be done' -r
complete -c orch-enqueue -l branch -d 'The branch to be on' -r
complete -c orch-enqueue -l env -d 'Set a variable' -r
complete -c orch-enqueue -l env-from -d 'Set a variable from another when the task starts (or from file:PATH); its value is never stored' -r
complete -c orch-enqueue -l prereq -d 'A shell command to run first, in the same shell' -r
complete -c orch-enqueue -l metadata -d 'The context as JSON: working_dir, git_branch, env, prerequisites' -r
complete -c orch-enqueue -l key -d 'The same key gives the same task: nothing is added' -r
complete -c orch-enqueue -l after -d 'Not before these tasks are completed' -r
complete -c orch-enqueue -l after-any -d 'Not before these tasks have ended, however' -r
complete -c orch-enqueue -l at -d 'Not before: RFC 3339 or HH:MM' -r
complete -c orch-enqueue -l in -d 'Not before this long from now' -r
complete -c orch-enqueue -l max-attempts -d 'Counted attempts before it has failed' -r
complete -c orch-enqueue -l timeout -d 'End an attempt after this long' -r
complete -c orch-enqueue -l verify -d 'A shell command that must succeed before a success is believed' -r
complete -c orch-enqueue -l accept -d 'The weakest evidence that ends it: none, pattern, summary, sentinel, status, exit, protocol' -r
complete -c orch-enqueue -l group -d 'Tasks that belong together' -r
complete -c orch-enqueue -l conversation -d 'In a live client: begin a fresh conversation, or continue the one that is there' -r
complete -c orch-enqueue -l lines -d 'One task a line of standard input'
complete -c orch-enqueue -s 0 -d 'With --lines: tasks end with NUL instead'
complete -c orch-enqueue -l jsonl -d 'One JSON object a line, with the option names as fields; options given are defaults'
complete -c orch-enqueue -l now -d 'Run a pass of orch-assign at once'
complete -c orch-enqueue -l wait -d 'Wait for the end: exit 0 when all are completed, 1 when one failed or was cancelled'
complete -c orch-enqueue -l here -d 'In this directory, on its branch'
complete -c orch-enqueue -l hold -d 'Keep it off the queue until it is released'
complete -c orch-enqueue -s h -l help -d 'Print help'
complete -c orch-enqueue -s V -l version -d 'Print version'
