# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_orch_ctx_global_optspecs
    string join \n json db= h/help V/version
end

function __fish_orch_ctx_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_orch_ctx_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_orch_ctx_using_subcommand
    set -l cmd (__fish_orch_ctx_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -s V -l version -d 'Print version'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "show" -d 'Where panes are and what runs there, as read from tmux, the system and .git (the default)'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "sync" -d 'The same, into the database'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "adopt" -d 'Let panes (%N) or tmux sessions be given tasks'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "forget" -d 'Never type into these sessions again'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "verify" -d 'Could the task\'s context be established (in that session)? Exit 1 and the reasons when not'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "shell" -d 'Print code that puts a shell into the task\'s context: eval "$(orch-ctx shell ID --shell bash)"'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "explain" -d 'Why a live client is said to be in its state: the word of every source, and the one that won'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "record" -d 'Print the raw material of that decision as one JSON object'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "hooks" -d 'The hooks by which an agent (claude, codex) tells what it does, as settings'
complete -c orch-ctx -n "__fish_orch_ctx_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand show" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand show" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand show" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand sync" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand sync" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand sync" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand adopt" -l provider -d 'The provider whose tasks it prefers' -r
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand adopt" -l name -d 'Its name here' -r
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand adopt" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand adopt" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand adopt" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand forget" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand forget" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand forget" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand verify" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand verify" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand verify" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand shell" -l shell -d 'bash, zsh, dash, or fish' -r
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand shell" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand shell" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand shell" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand explain" -l replay -d 'Decide again upon what orch-ctx record kept' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand explain" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand explain" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand explain" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand record" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand record" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand record" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand hooks" -l file -d 'In place of the user\'s own settings file' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand hooks" -l db -d 'The database' -r -F
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand hooks" -l install -d 'Put them into the agent\'s settings file'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand hooks" -l uninstall -d 'Take them out of it'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand hooks" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand hooks" -s h -l help -d 'Print help'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "show" -d 'Where panes are and what runs there, as read from tmux, the system and .git (the default)'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "sync" -d 'The same, into the database'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "adopt" -d 'Let panes (%N) or tmux sessions be given tasks'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "forget" -d 'Never type into these sessions again'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "verify" -d 'Could the task\'s context be established (in that session)? Exit 1 and the reasons when not'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "shell" -d 'Print code that puts a shell into the task\'s context: eval "$(orch-ctx shell ID --shell bash)"'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "explain" -d 'Why a live client is said to be in its state: the word of every source, and the one that won'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "record" -d 'Print the raw material of that decision as one JSON object'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "hooks" -d 'The hooks by which an agent (claude, codex) tells what it does, as settings'
complete -c orch-ctx -n "__fish_orch_ctx_using_subcommand help; and not __fish_seen_subcommand_from show sync adopt forget verify shell explain record hooks help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
