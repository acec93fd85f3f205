complete -c orch-extract -l format -d 'How the input is to be read: auto, text, claude, codex, gemini, opencode, pi, sweagent, aider, markdown, hook, tty, script, asciicast' -r
complete -c orch-extract -l only -d 'Write only events of these types' -r
complete -c orch-extract -l rules -d 'Rules of your own, which go before those of the house' -r -F
complete -c orch-extract -l explain -d 'Say which rule made each event'
complete -c orch-extract -s h -l help -d 'Print help'
complete -c orch-extract -s V -l version -d 'Print version'
