# bash completion for envmux(1)

# Words of a JSON array's objects: _envmux_names MEMBER COMMAND… prints the member of each. The daemon's
# answers are compact JSON; names and ids hold no escapes.
_envmux_names() {
    local member=$1; shift
    envmux "$@" --json 2>/dev/null | grep -o "\"$member\":\"[^\"]*\"" | cut -d '"' -f 4
}

# The --control option of the words typed so far, to ask the same daemon.
_envmux_control() {
    local i
    for ((i = 1; i < cword; i++)); do
        case ${words[i]} in
        --control) printf '%s\n%s\n' --control "${words[i + 1]}" ;;
        --control=*) printf '%s\n' "${words[i]}" ;;
        esac
    done
}

_envmux() {
    local cur prev words cword command i
    local -a control=()
    local -A options=(
        [run]="--listen --control --tracking --drop-ins"
        [ps]="--all --server --json --control"
        [show]="--json --control"
        [top]="--server --delay --count --sort --json --control"
        [logs]="--follow --lines --json --control"
        [events]="--json --control"
        [stop]="--all --server --drain --no-wait --json --control"
        [call]="--url --timeout --json --control"
        [servers]="--json --control"
        [metrics]="--json --control"
        [reload]="--json --control"
        [check]="--drop-ins --json"
    )

    # ":" ends a word for readline, but not for us: addresses and keys hold it.
    if declare -F _init_completion >/dev/null; then
        _init_completion -n : || return
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    fi
    command=${words[1]}
    COMPREPLY=()

    if ((cword == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "${!options[*]} --help --version" -- "$cur")
        return
    fi
    [[ -n $command && -v options[$command] ]] || return
    mapfile -t control < <(_envmux_control)

    # What follows -- is somebody else's command line.
    for ((i = 2; i < cword; i++)); do
        if [[ ${words[i]} == -- ]]; then
            mapfile -t COMPREPLY < <(compgen -c -f -- "$cur")
            return
        fi
    done
    case $prev in
    --control | --drop-ins)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --server | -s)
        mapfile -t COMPREPLY < <(compgen -W "$(_envmux_names name servers "${control[@]}")" -- "$cur")
        return
        ;;
    --sort | -o)
        mapfile -t COMPREPLY < <(compgen -W "cpu memory" -- "$cur")
        return
        ;;
    --listen | -l | --lines | -n | --timeout | -t | --url | -u | --delay | -d | --count)
        return
        ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options[$command]} --help" -- "$cur")
        return
    fi
    case $command in
    run | check)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    show | logs)
        mapfile -t COMPREPLY < <(compgen -W "$(_envmux_names id ps --all "${control[@]}")" -- "$cur")
        ;;
    stop)
        mapfile -t COMPREPLY < <(compgen -W "$(_envmux_names id ps "${control[@]}")" -- "$cur")
        ;;
    call)
        mapfile -t COMPREPLY < <(compgen -W "$(_envmux_names name servers "${control[@]}")" -- "$cur")
        ;;
    esac
}

complete -o filenames -o bashdefault -F _envmux envmux
