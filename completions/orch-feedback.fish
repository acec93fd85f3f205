complete -c orch-feedback -l task -d 'The task; without it the attempt that this runs inside of, or that of the tmux pane' -r
complete -c orch-feedback -l attempt -d 'This attempt of the task, and no other' -r
complete -c orch-feedback -l accept -d 'The weakest evidence that ends the task: none, pattern, summary, sentinel, status, exit, protocol' -r
complete -c orch-feedback -l hook -d 'Standard input is what an agent gives its hooks' -r -f -a "claude\t''
codex\t''"
complete -c orch-feedback -l db -d 'The database' -r -F
complete -c orch-feedback -l watch -d 'Watch a live client\'s pane until the attempt is over, as orch-assign has it done'
complete -c orch-feedback -l tee -d 'Pass the lines on'
complete -c orch-feedback -s h -l help -d 'Print help'
complete -c orch-feedback -s V -l version -d 'Print version'
