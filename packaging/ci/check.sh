#!/usr/bin/env bash
# Runs 'reshake check' in a pipeline: reports into a folder, annotations and a summary where the pipeline has a place for
# them. Its exit status is that of the check.
#
#   RESHAKE_CAPTURES   captures, one a line          RESHAKE_RULES     a file of rules
#   RESHAKE_ARGS       arguments, one a line         RESHAKE_REPORTS   the folder for reports
set -uo pipefail

reports=${RESHAKE_REPORTS:-reshake-reports}
mkdir -p "$reports" || exit 3

arguments=()
if [ -n "${RESHAKE_RULES:-}" ]; then arguments+=("--rules=$RESHAKE_RULES"); fi
while IFS= read -r line; do
    if [ -n "$line" ]; then arguments+=("$line"); fi
done <<<"${RESHAKE_ARGS:-}"
captures=()
while IFS= read -r line; do
    if [ -n "$line" ]; then captures+=("$line"); fi
done <<<"${RESHAKE_CAPTURES:-}"
if [ "${#captures[@]}" = 0 ]; then
    echo "reshake: no capture is named" >&2
    exit 2
fi

# Annotations are GitHub's; elsewhere people read the text.
form=text
if [ -n "${GITHUB_ACTIONS:-}" ]; then form=github; fi
reshake check --quiet "${arguments[@]}" --format "$form" --format "text=$reports/reshake.txt" --format "sarif=$reports/reshake.sarif" \
    --format "junit=$reports/reshake.xml" --format "json=$reports/reshake.json" -- "${captures[@]}"
status=$?

if [ -n "${GITHUB_OUTPUT:-}" ]; then
    echo "status=$status" >>"$GITHUB_OUTPUT"
    if [ -s "$reports/reshake.sarif" ]; then echo "sarif=$reports/reshake.sarif" >>"$GITHUB_OUTPUT"; fi
fi
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    {
        case $status in
        0) echo "### TLS session resumption: every rule holds" ;;
        1) echo "### TLS session resumption: a rule is violated" ;;
        *) echo "### TLS session resumption: could not be checked (status $status)" ;;
        esac
        if [ -s "$reports/reshake.txt" ]; then
            # A fence longer than any that a name off the wire could bring along.
            printf '\n~~~~~~~~~~text\n'
            cat "$reports/reshake.txt"
            printf '~~~~~~~~~~\n'
        fi
    } >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
