complete -c orch-assign -l limit -d 'Start this many at most' -r
complete -c orch-assign -l session -d 'For this session only' -r
complete -c orch-assign -l when-idle -d 'First wait until the session is idle, this long at most' -r
complete -c orch-assign -l watch -d 'Pass after pass: at every change of the database, and this often' -r
complete -c orch-assign -l db -d 'The database' -r -F
complete -c orch-assign -l dry-run -d 'Say what would be started; start nothing'
complete -c orch-assign -l explain -d 'Every session with its score, term by term, or what keeps it from the task'
complete -c orch-assign -l trust-dir -d 'Where a live client asks whether to trust a task\'s directory, say yes'
complete -c orch-assign -l exit-code -d 'Exit 1 when nothing was started'
complete -c orch-assign -s h -l help -d 'Print help'
complete -c orch-assign -s V -l version -d 'Print version'
