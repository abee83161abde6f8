# Completion of reshake for bash: 'reshake completions bash' prints it.
_reshake() {
    local line=${COMP_LINE:0:COMP_POINT} cur prefix word rest
    local -a words
    read -r -a words <<<"$line"
    # Behind a space a new word begins.
    [[ $line == *[[:space:]] ]] && words+=("")
    cur=${words[-1]}
    # Where a word has these letters, bash replaces only what stands behind the last of them.
    prefix=
    [[ $cur == *[:=]* ]] && prefix=${cur%"${cur##*[:=]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word rest; do
        if [[ $word == :files ]]; then
            compopt -o filenames 2>/dev/null
            while read -r rest; do COMPREPLY+=("$rest"); done < <(compgen -f -- "${cur#"$prefix"}")
        else
            [[ $word == *[:=] ]] && compopt -o nospace 2>/dev/null
            COMPREPLY+=("${word#"$prefix"}")
        fi
    done < <(command "${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _reshake reshake
