//! What people type who come from tcpdump and tshark, and what to type here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options of tcpdump and tshark that mean nothing here, with what does the same.
const HABITS: &[(&str, &str)] = &[
    ("-n", "addresses are never resolved; leave it out"),
    ("-N", "addresses are never resolved; leave it out"),
    (
        "-v",
        "'--all' shows every connection and service; '--version' shows the version",
    ),
    (
        "-V",
        "'--all' shows every connection and service; 'reshake --version' shows the version",
    ),
    (
        "-Y",
        "'--where TERMS' selects connections, for example --where 'client:10.0.0.1 outcome:declined'",
    ),
    (
        "-R",
        "'--where TERMS' selects connections, for example --where 'client:10.0.0.1 outcome:declined'",
    ),
    (
        "-f",
        "'reshake live -i NAME -f EXPRESSION' filters what is captured; in a file, '--where TERMS' selects",
    ),
    (
        "-i",
        "'reshake live -i NAME' watches an interface; 'reshake interfaces' lists them",
    ),
    ("-D", "'reshake interfaces' lists the interfaces"),
    (
        "-w",
        "'reshake live -w FILE' records, and 'reshake extract' copies single connections out of a capture",
    ),
    (
        "-T",
        "'--format json', 'jsonl' or 'csv' is for programs, 'html' and 'markdown' are to hand on",
    ),
    (
        "-e",
        "'--format csv' has a column for each fact; 'jq' picks members out of '--format json'",
    ),
    ("-O", "'--all' shows every connection and service"),
    (
        "-z",
        "the report counts by service and reason as it is; '--format json' holds every figure",
    ),
    ("-o", "'--keylog FILE' gives TLS secrets, as tls.keylog_file does"),
    ("-d", "what is TLS is found by its content, on any port; leave it out"),
    ("-t", "'--time utc', 'local' or 'relative' chooses the clock"),
    (
        "-x",
        "packets are not dumped; '--wireshark' prints filters that show them in Wireshark",
    ),
    (
        "-X",
        "packets are not dumped; '--wireshark' prints filters that show them in Wireshark",
    ),
    (
        "-A",
        "packets are not dumped; '--wireshark' prints filters that show them in Wireshark",
    ),
    (
        "-s",
        "from a file every packet is read as it was captured; 'reshake live -s BYTES' cuts while capturing",
    ),
    ("-a", "'reshake live --duration TIME' or '-c COUNT' ends a run"),
    ("-l", "lines are written as they come; leave it out"),
    ("-U", "packets are written as they come; leave it out"),
    ("-S", "sequence numbers are not shown; leave it out"),
    ("-p", "'reshake live -p' leaves the interface out of promiscuous mode"),
    ("-2", "every report looks back over the whole capture; leave it out"),
    (
        "-j",
        "'--format json' is the whole report; 'jq' picks members out of it",
    ),
    ("-h", "'--help' explains every option"),
    ("--redact", UNREDACTED),
    ("--redact-key", UNREDACTED),
];

/// Of what tells live.
const UNREDACTED: &str = "live output has the names that are on the wire; record it with -w, and make a redacted report or copy of that \
     ('reshake analyze --redact', 'reshake annotate --redact')";

/// What helps whoever typed an option that is another tool's.
pub(super) fn hint(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let (_, hint) = HABITS.iter().find(|(option, _)| option == given)?;
    Some(format!("{given}: {hint}"))
}

/// What helps whoever piped a capture in and named no input.
pub(super) fn hint_for_pipe(arguments: usize) -> Option<&'static str> {
    (arguments < 2 && is_fed()).then_some("to read a capture from standard input, say so with '-': … | reshake -")
}

/// Whether standard input is a pipe or a file: a device, as `/dev/null` in a service, holds no capture.
fn is_fed() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = std::fs::metadata("/dev/stdin").map(|stdin| stdin.file_type());
        kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file())
    }
    #[cfg(not(unix))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;

    #[test]
    fn habits_from_other_tools_get_an_answer() {
        for (arguments, part) in [
            (&["-n", "x.pcap"][..], "-n: addresses are never resolved"),
            (&["-nr", "x.pcap"], "-n: addresses"),
            (&["x.pcap", "-Y", "tls"], "-Y: '--where TERMS'"),
            (&["analyze", "-i", "eth0"], "-i: 'reshake live -i NAME'"),
            (&["x.pcap", "-T", "json"], "-T: '--format json'"),
            (&["live", "--redact", "-"], "--redact: live output has"),
        ] {
            let words = std::iter::once("reshake").chain(arguments.iter().copied());
            let error = args::parse(words.map(Into::into)).expect_err("not an option here");
            let hint = hint(&error).unwrap_or_default();
            assert!(hint.starts_with(part), "{arguments:?}: {hint}");
        }
    }

    #[test]
    fn no_hint_stands_for_an_option_that_analyze_has() {
        for (option, _) in HABITS {
            let command = <args::Cli as clap::CommandFactory>::command();
            let analyze = command.find_subcommand("analyze").expect("analyze");
            let letter = option.chars().nth(1);
            assert!(
                analyze.get_arguments().all(|known| known.get_short() != letter),
                "{option}"
            );
        }
    }
}
