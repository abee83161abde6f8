# Completion of reshake for nushell: 'reshake completions nushell' prints it; source it from config.nu.
let reshake_before = ($env.config.completions?.external?.completer? | default {|spans| null })
$env.config.completions.external = {
    enable: true
    completer: {|spans|
        if $spans.0 == "reshake" {
            let found = (^reshake __complete -- ...($spans | skip 1) | lines | where {|line| not ($line | str starts-with ":files") })
            # Nothing of its own: nushell lists files.
            if ($found | is-empty) { null } else { $found | parse "{value}\t{description}" }
        } else {
            do $reshake_before $spans
        }
    }
}
