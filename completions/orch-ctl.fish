# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_orch_ctl_global_optspecs
    string join \n db= h/help V/version
end

function __fish_orch_ctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_orch_ctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_orch_ctl_using_subcommand
    set -l cmd (__fish_orch_ctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -s V -l version -d 'Print version'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "cancel" -d 'End tasks; what runs is interrupted'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "retry" -d 'Put tasks that ended, wait, or are unknown back on the queue, with all their attempts'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "complete" -d 'Say that tasks are done'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "fail" -d 'Say that tasks have failed'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "hold" -d 'Keep queued tasks off the queue'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "release" -d 'Put held tasks back on the queue'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "reassign" -d 'Bind queued or held tasks to another session'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "priority" -d 'Change the priority of tasks'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "pause" -d 'Give sessions nothing more; what runs goes on'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "resume" -d 'Give paused sessions tasks again'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "answer" -d 'Answer what a live client asks; without a reply, print that'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "doctor" -d 'What is missing for cron or a shell to work here; exit 1 when something is'
complete -c orch-ctl -n "__fish_orch_ctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand cancel" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand retry" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand retry" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand complete" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand complete" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand fail" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand fail" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand hold" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand hold" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand release" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand release" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand reassign" -l session -d 'The session; without it any' -r
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand reassign" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand reassign" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand priority" -s n -l to -d 'Higher comes first' -r
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand priority" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand priority" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand pause" -l reason -d 'Shown beside it' -r
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand pause" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand pause" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand resume" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand resume" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand answer" -l asked -d 'The question that is meant, as it was printed: refused when it asks something else by then' -r
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand answer" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand answer" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand doctor" -l db -d 'The database' -r -F
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand doctor" -l json -d 'Print JSON Lines also on a terminal'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "cancel" -d 'End tasks; what runs is interrupted'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "retry" -d 'Put tasks that ended, wait, or are unknown back on the queue, with all their attempts'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "complete" -d 'Say that tasks are done'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "fail" -d 'Say that tasks have failed'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "hold" -d 'Keep queued tasks off the queue'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "release" -d 'Put held tasks back on the queue'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "reassign" -d 'Bind queued or held tasks to another session'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "priority" -d 'Change the priority of tasks'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "pause" -d 'Give sessions nothing more; what runs goes on'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "resume" -d 'Give paused sessions tasks again'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "answer" -d 'Answer what a live client asks; without a reply, print that'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "doctor" -d 'What is missing for cron or a shell to work here; exit 1 when something is'
complete -c orch-ctl -n "__fish_orch_ctl_using_subcommand help; and not __fish_seen_subcommand_from cancel retry complete fail hold release reassign priority pause resume answer doctor help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
