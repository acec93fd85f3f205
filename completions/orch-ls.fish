complete -c orch-ls -l state -d 'Only those in these states' -r
complete -c orch-ls -l provider -d 'Only those of this provider' -r
complete -c orch-ls -l since -d 'Only those that changed since: RFC 3339, HH:MM, or a duration ago' -r
complete -c orch-ls -l columns -d 'These fields' -r
complete -c orch-ls -l answer -d 'The final message of a task, as it is' -r
complete -c orch-ls -l why -d 'Why a task is in the state that it is in' -r
complete -c orch-ls -l db -d 'The database' -r -F
complete -c orch-ls -l follow -d 'Events: go on with those to come'
complete -c orch-ls -l schema -d 'The database\'s tables, with a comment on every column'
complete -c orch-ls -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ls -s h -l help -d 'Print help'
complete -c orch-ls -s V -l version -d 'Print version'
