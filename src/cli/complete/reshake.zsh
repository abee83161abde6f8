#compdef reshake
# Completion of reshake for zsh: 'reshake completions zsh' prints it.
_reshake() {
    local word text files=0
    local -a closed open
    while IFS=$'\t' read -r word text; do
        case $word in
            :files) files=1 ;;
            *[:=]) open+=("${word//:/\\:}:$text") ;;
            *) closed+=("${word//:/\\:}:$text") ;;
        esac
    done < <(command "${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#closed} )) && _describe -t values 'reshake' closed
    # A value follows: no space.
    (( ${#open} )) && _describe -t keys 'key' open -S ''
    (( files )) && _files
}
if [ "$funcstack[1]" = "_reshake" ]; then
    _reshake "$@"
else
    compdef _reshake reshake
fi
