# Completion of reshake for fish: 'reshake completions fish' prints it.
function __reshake_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (command $words[1] __complete -- $words[2..-1] 2>/dev/null)
        if string match -q -- ':files*' $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c reshake -f -a '(__reshake_complete)'
