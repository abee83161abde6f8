//! The command line as people and scripts meet it: texts, exit status, streams.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// A small capture of two machines that do not share their sessions.
const QUICKSTART: &str = "fixtures/captures/quickstart/capture.pcapng";
/// Two servers that share nothing, and too few connections to prove it.
const UNPROVEN: &str = "fixtures/reasons/other-backend-cache/capture.pcapng";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin("reshake"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command(root(), arguments).output().expect("the binary runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn succeeds(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    assert_eq!(err(&output), "", "{arguments:?}");
    out(&output)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(arguments)).expect("one JSON document")
}

fn quickstart() -> Vec<u8> {
    std::fs::read(root().join(QUICKSTART)).expect("the fixture is there")
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

#[test]
fn help_says_what_each_command_takes() {
    for name in [
        "",
        "analyze",
        "view",
        "live",
        "interfaces",
        "session",
        "what-if",
        "check",
        "diff",
        "annotate",
        "extract",
        "explain",
        "page",
        "schema",
        "completions",
        "man",
    ] {
        let arguments: Vec<&str> = [name, "--help"].into_iter().filter(|part| !part.is_empty()).collect();
        let name = if name.is_empty() { "reshake" } else { name };
        insta::assert_snapshot!(format!("help_{name}"), succeeds(&arguments));
    }
}

/// The test was built as the command was: with a page in `RESHAKE_PAGE`, or without.
#[test]
fn the_page_for_browsers_is_written_where_the_command_carries_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = command(folder.path(), &["page"]).output().expect("the binary runs");
    if let Some(page) = option_env!("RESHAKE_PAGE").filter(|path| !path.is_empty()) {
        assert!(output.status.success(), "{}", err(&output));
        let written = std::fs::read(folder.path().join("reshake.html")).expect("the page");
        assert!(written == std::fs::read(root().join(page)).expect("the page that it was built with"));
        assert!(written == run(&["page", "-o", "-"]).stdout);
    } else {
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            err(&output),
            "reshake: page: this build carries no page; take reshake.html from the release, or build a command that \
             carries it: cargo xtask dist\n"
        );
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
    }
}

#[test]
fn the_manual_page_covers_every_command_and_the_exit_status() {
    let page = succeeds(&["man"]);
    insta::assert_snapshot!("man", page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn a_connection_in_tunnels_is_shown_with_their_ends() {
    let path = "fixtures/captures/wrapped-vlan-in-gre-in-vxlan/capture.pcapng";
    let shown = succeeds(&["analyze", "--all", path]);
    let line = "    inside vxlan 42 192.0.2.1 → 192.0.2.2, gre 192.0.2.1 → 192.0.2.2, vlan 100\n";
    assert_eq!(shown.matches(line).count(), 8, "{shown}");
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["elvish", "powershell"] {
        let script = succeeds(&["completions", shell]);
        assert!(script.contains("max-memory") && script.contains("explain"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What each shell can check of a script without running it.
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "-n"), ("nushell", "--commands")] {
        let script = succeeds(&["completions", shell]);
        assert!(script.contains("__complete"), "{shell}");
        let path = folder.path().join(shell);
        std::fs::write(&path, script).expect("a temporary file");
        if shell == "nushell" {
            continue;
        }
        if let Ok(output) = Command::new(shell).arg(check).arg(&path).output() {
            assert!(output.status.success(), "{shell}: {}", err(&output));
        }
    }
}

#[test]
fn bash_completes_commands_terms_reasons_and_files() {
    let script = succeeds(&["completions", "bash"]);
    let completed = |line: &str| {
        let program = cargo_bin("reshake");
        let asked = format!(
            "{script}\nshopt -s extglob\nCOMP_LINE='{line}'\nCOMP_POINT={}\n\
             reshake() {{ :; }}\n_reshake\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            line.len()
        );
        let folder = program.parent().expect("a folder").display().to_string();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        let output = Command::new("bash")
            .args(["--norc", "-c", &asked])
            .current_dir(root())
            .env("PATH", path)
            .output()
            .expect("bash runs");
        let mut words: Vec<String> = out(&output).lines().map(str::to_owned).collect();
        words.retain(|word| !word.is_empty());
        words
    };
    assert_eq!(completed("reshake explai"), ["explain"]);
    assert_eq!(completed("reshake explain stek-ch"), ["stek-changed"]);
    // Behind a colon bash puts in only what follows it.
    assert_eq!(completed("reshake x.pcap --where outcome:decl"), ["declined"]);
    assert_eq!(completed("reshake --where outc"), ["outcome:"]);
    assert_eq!(completed("reshake Cargo.t"), ["Cargo.toml"]);
    assert_eq!(
        completed("reshake check --forbid-pattern session-state"),
        ["session-state-not-shared"]
    );
    assert!(completed("reshake --wi").contains(&"--wireshark".to_owned()));
}

#[test]
fn what_cannot_be_done_is_said_in_one_line_with_its_status() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    written(at, "empty.pcap", b"");
    written(at, "notes.txt", b"buy milk\n");
    written(at, "header.pcapng", quickstart().get(..10).expect("ten bytes"));
    std::fs::create_dir(at.join("folder")).expect("a folder");
    let mut told = Vec::new();
    for arguments in [
        &[][..],
        &["missing.pcap"],
        &["analyse", "missing.pcap"],
        &["folder"],
        &["empty.pcap"],
        &["notes.txt"],
        &["header.pcapng"],
        &["-", "-r", "-"],
        &["--format", "xml", "x.pcap"],
        &["--max-memory", "lots", "x.pcap"],
        &["-c", "0", "x.pcap"],
        &["-w", "x.pcap"],
        &["analyze"],
        &["explain", "rejected-unexplaned"],
        &["explain", "zzz"],
    ] {
        let output = command(at, arguments).output().expect("the binary runs");
        assert_eq!(out(&output), "", "{arguments:?}");
        let line = arguments.join(" ");
        told.push(format!("$ reshake {line}\n{}{}\n", err(&output), output.status));
    }
    insta::assert_snapshot!("errors", told.join("\n"));
}

#[test]
fn a_bare_file_is_analysed_whatever_the_way_it_is_named() {
    let expected = succeeds(&["analyze", QUICKSTART]);
    for arguments in [
        &[QUICKSTART][..],
        &["-r", QUICKSTART],
        &["--format", "text", QUICKSTART],
    ] {
        assert_eq!(succeeds(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn the_report_names_counts_reasons_frames_and_a_filter() {
    let report = succeeds(&[QUICKSTART]);
    for part in [
        "480 packets",
        "32 TLS connections",
        "resumed 12 of 30 offers (40 %)",
        "declined 18",
        "why full",
        "do: ",
        "reshake explain ",
        "      frame ",
        "    Wireshark: ip.addr == ",
        "more alike: --all",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(report.lines().count() < 30, "half a minute to read");
    let wide = |line: &&str| line.chars().count() > 120 && !line.contains("Wireshark: ");
    assert_eq!(report.lines().find(wide), None);
}

#[test]
fn all_connections_are_shown_on_request() {
    let report = succeeds(&["--all", QUICKSTART]);
    assert_eq!(report.matches("Wireshark: ").count(), 32);
    assert!(!report.contains("--all"));
}

#[test]
fn unreadable_inputs_are_named_and_the_others_reported() {
    let output = run(&["missing.pcap", QUICKSTART]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        err(&output).starts_with("reshake: missing.pcap: cannot be opened: "),
        "{}",
        err(&output)
    );
    assert_eq!(err(&output).lines().count(), 1);
    assert!(out(&output).contains("resumed 12 of 30 offers"));
}

#[test]
fn a_cut_file_is_analysed_and_fails_only_when_strict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = quickstart();
    let path = written(
        folder.path(),
        "cut.pcapng",
        bytes.get(..bytes.len() / 2).expect("half of it"),
    );
    let path = path.to_str().expect("a UTF-8 path");
    let report = succeeds(&[path]);
    assert!(report.contains("note: the file ends inside a packet"), "{report}");
    let strict = run(&["--strict", path]);
    assert_eq!(strict.status.code(), Some(3));
    assert_eq!(out(&strict), report);
    let line = String::from_utf8_lossy(&strict.stderr).into_owned();
    assert!(
        line.starts_with(&format!("reshake: {path}: ends inside a packet, after frame ")) && line.lines().count() == 1,
        "{line}"
    );
    assert_eq!(run(&["--strict", QUICKSTART]).status.code(), Some(0));
}

#[test]
fn standard_input_gives_the_same_report() {
    let mut child = command(root(), &["--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(&quickstart())
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let mut piped: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let read = json(&["--format", "json", QUICKSTART]);
    assert_eq!(piped["captures"][0]["path"], "-");
    piped["captures"] = read["captures"].clone();
    assert_eq!(piped, read);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for format in ["json", "jsonl", "text"] {
        // Many times the same file: more than a pipe holds.
        let mut arguments = vec!["--all", "--format", format];
        arguments.extend([QUICKSTART; 20]);
        let mut child = command(root(), &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut first = [0; 10];
        child
            .stdout
            .take()
            .expect("a pipe")
            .read_exact(&mut first)
            .expect("a beginning");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(err(&output), "", "{format}");
        assert_eq!(output.status.code(), Some(0), "{format}");
    }
}

#[test]
fn lines_are_the_objects_of_the_document() {
    let document = json(&["--format", "json", QUICKSTART]);
    let lines: Vec<Value> = succeeds(&["--format", "jsonl", QUICKSTART])
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let connections = lines.iter().filter(|line| line["type"] == "connection").count();
    assert_eq!(connections, document["connections"].as_array().expect("a list").len());
    assert_eq!(lines.last().expect("a line")["type"], "summary");
}

#[test]
fn a_packet_count_stops_the_run_and_is_told() {
    let report = json(&["-c", "40", "--format", "json", QUICKSTART]);
    assert_eq!(report["captures"][0]["packets"], 40);
    assert_eq!(report["captures"][0]["ended"], "stopped");
    assert!(succeeds(&["-c", "40", QUICKSTART]).contains("stopped there"));
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    assert!(!succeeds(&[QUICKSTART]).contains('\u{1b}'));
    assert!(!succeeds(&["--color", "never", QUICKSTART]).contains('\u{1b}'));
    let coloured = succeeds(&["--color", "always", QUICKSTART]);
    assert!(coloured.contains('\u{1b}'));
    let codes = regex_like_strip(&coloured);
    assert_eq!(codes, succeeds(&[QUICKSTART]), "colour changes nothing else");
}

/// Takes out "ESC [ … m".
fn regex_like_strip(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn a_server_name_full_of_escape_codes_does_not_reach_the_terminal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut bytes = quickstart();
    let (name, hostile) = (b"www.a.test", b"\x1b[31mx\x07\r\n\x7f");
    for at in 0..bytes.len() - name.len() {
        if bytes[at..].starts_with(name) {
            bytes[at..at + name.len()].copy_from_slice(hostile);
        }
    }
    let path = written(folder.path(), "hostile.pcapng", &bytes);
    let report = succeeds(&["--all", path.to_str().expect("a UTF-8 path")]);
    assert!(report.contains("resumed 12 of 30 offers"), "{report}");
    let control = |letter: &char| letter.is_control() && *letter != '\n';
    assert_eq!(report.chars().find(control), None);
}

#[test]
fn connections_beyond_the_memory_limit_are_still_counted() {
    let report = json(&["--max-memory", "16K", "--format", "json", QUICKSTART]);
    let summary = &report["summary"];
    assert!(summary["connections_omitted"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["connections"], 32);
    assert_eq!(summary["outcomes"]["resumed"], 12);
    assert_eq!(summary["outcomes"]["declined"], 18);
    let text = succeeds(&["--max-memory", "16K", QUICKSTART]);
    assert!(
        text.contains("resumed 12 of 30 offers") && text.contains("(--max-memory)"),
        "{text}"
    );
}

#[test]
fn what_was_only_counted_is_not_said_to_be_missing() {
    let limited = |arguments: &[&str]| {
        let output = run(&[arguments, &["-q", "--max-memory", "16K", QUICKSTART]].concat());
        (output.status.code(), out(&output) + &err(&output))
    };
    let (status, told) = limited(&["session", "frame:6"]);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("nothing that was kept is called 'frame:6'; "), "{told}");
    // The last one was kept.
    let report = json(&["--format", "json", QUICKSTART]);
    let last = report["connections"]
        .as_array()
        .and_then(|all| all.last())
        .expect("connections")["id"]
        .as_str();
    let (status, told) = limited(&["session", last.expect("an id")]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("some may have been part of this"), "{told}");
    let (_, told) = limited(&["session", "--format", "json", last.expect("an id")]);
    let life: Value = serde_json::from_str(&told).expect("JSON");
    assert!(life["connections_omitted"].as_u64() > Some(0), "{life}");
    let (_, told) = limited(&["what-if"]);
    assert!(
        told.contains("only counted, at the memory limit (--max-memory): they are not replayed"),
        "{told}"
    );
    let (_, told) = limited(&["what-if", "--format", "json"]);
    let answer: Value = serde_json::from_str(&told).expect("JSON");
    let count = |value: &Value| value.as_u64().expect("a count");
    let captured = &answer["captured"];
    assert_eq!(
        count(&captured["connections_omitted"]) + count(&captured["connections"]),
        count(&report["summary"]["connections"])
    );
}

#[test]
fn frames_of_several_captures_say_whose_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    written(folder.path(), "a.pcapng", &quickstart());
    let other = root().join("fixtures/captures/ipv6/capture.pcapng");
    std::fs::copy(other, folder.path().join("b.pcapng")).expect("a copy");
    let output = command(folder.path(), &["a.pcapng", "b.pcapng"])
        .output()
        .expect("the binary runs");
    let report = out(&output);
    assert!(report.starts_with("2 captures   "), "{report}");
    assert!(report.contains("\n  a.pcapng   480 packets\n"), "{report}");
    assert!(
        report.contains("frame a.pcapng:") && report.contains("Wireshark in a.pcapng: "),
        "{report}"
    );
}

#[test]
fn filters_select_exactly_the_packets_of_their_connection() {
    let Ok(listed) = Command::new("tshark")
        .args([
            "-n",
            "-r",
            QUICKSTART,
            "-T",
            "fields",
            "-e",
            "frame.number",
            "-e",
            "tcp.stream",
        ])
        .current_dir(root())
        .output()
    else {
        return; // tshark is not installed
    };
    let listed = out(&listed);
    let rows: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once('\t')).collect();
    let report = json(&["--format", "json", QUICKSTART]);
    for connection in report["connections"].as_array().expect("a list").iter().take(3) {
        let first = connection["first"]["frame"].to_string();
        let stream = rows.iter().find(|(frame, _)| *frame == first).expect("a frame").1;
        let expected: Vec<&str> = rows.iter().filter(|row| row.1 == stream).map(|row| row.0).collect();
        let filter = connection["wireshark"][0]["filter"].as_str().expect("a filter");
        let selected = Command::new("tshark")
            .args([
                "-n",
                "-r",
                QUICKSTART,
                "-Y",
                filter,
                "-T",
                "fields",
                "-e",
                "frame.number",
            ])
            .current_dir(root())
            .output()
            .expect("tshark runs");
        assert_eq!(out(&selected).lines().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[test]
fn the_readme_shows_what_the_tool_prints() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let (before, rest) = readme.split_once("```text\n").expect("a block of output");
    let (shown, after) = rest.split_once("```").expect("its end");
    let printed = succeeds(&[QUICKSTART]);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}```text\n{printed}```{after}")).expect("the README can be written");
    } else {
        assert_eq!(shown, printed, "UPDATE=1 cargo test rewrites it");
    }
}

#[test]
fn the_life_of_a_session_is_one_table() {
    let table = succeeds(&["session", "frame:34", QUICKSTART]);
    insta::assert_snapshot!("session", table);
    let document = json(&["session", "frame:34", "--format", "json", QUICKSTART]);
    assert_eq!(document["schema"], "reshake-session/1");
    let events: Vec<&str> = document["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert_eq!(events.first(), Some(&"issued"));
    assert!(events.contains(&"offered") && events.contains(&"refused") && events.contains(&"fin"));
}

#[test]
fn what_another_farm_would_do_is_one_answer_or_one_table() {
    let two = ["what-if", "--backends", "2"];
    let one = [&two[..], &["--balance", "session-id", "--share", "none", QUICKSTART]].concat();
    let all = [&two[..], &["--compare", QUICKSTART]].concat();
    insta::assert_snapshot!("what_if", succeeds(&one));
    insta::assert_snapshot!("what_if_compare", succeeds(&all));
    let unproven = [&two[..], &["--balance", "source-hash", "--share", "none", UNPROVEN]].concat();
    let bounds = succeeds(&unproven);
    assert!(
        bounds.contains("6 refusals of the capture without a certain cause") && bounds.contains("; between 33 % and"),
        "{bounds}"
    );
    let selected = [&all[..], &["--where", "client:10.0.0.11", "--format", "json"]].concat();
    let document = json(&selected);
    assert_eq!(document["schema"], "reshake-what-if/1");
    assert_eq!(document["selection"], "client:10.0.0.11");
    assert_eq!(document["expected"].as_array().map(Vec::len), Some(12));
    assert_eq!(
        succeeds(&selected),
        succeeds(&selected),
        "the same seed, the same answer"
    );
}

#[test]
fn what_is_left_open_of_a_farm_is_compared() {
    let what_if = |arguments: &[&str]| succeeds(&[&["what-if", "-q"], arguments, &[QUICKSTART]].concat());
    // Two backends are told apart in this capture.
    assert_eq!(what_if(&[]), what_if(&["--backends", "2", "--compare"]));
    let shares = what_if(&["--balance", "round-robin"]);
    assert_eq!(shares.matches("round-robin").count(), 3, "{shares}");
}

#[test]
fn a_farm_that_is_described_wrongly_is_pointed_at() {
    let mut told = Vec::new();
    for arguments in [
        &["--backends", "0", "--compare"][..],
        &["--backends", "2", "--compare", "--share", "none"],
        &["--backends", "2", "--compare", "--timeout", "0"],
        &["--backends", "2", "--balance", "dns", "--share", "none"],
        &["--backends", "2", "--compare", "--where", "clint:x"],
    ] {
        let arguments = [&["what-if"], arguments, &[QUICKSTART]].concat();
        let output = run(&arguments);
        assert_eq!(
            (out(&output).as_str(), output.status.code()),
            ("", Some(2)),
            "{arguments:?}"
        );
        told.push(format!("$ reshake {}\n{}", arguments.join(" "), err(&output)));
    }
    insta::assert_snapshot!("what_if_errors", told.join("\n"));
    let missing = run(&["what-if", "--backends", "2", "--compare", "nowhere.pcap"]);
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn a_session_is_found_by_every_name_it_has() {
    let by_frame = json(&["session", "frame:34", "--format", "json", QUICKSTART]);
    let id = by_frame["credentials"][0]["id"].as_str().expect("an id");
    let head = by_frame["credentials"][0]["head"].as_str().expect("hex");
    let last = by_frame["connections"].as_array().expect("a list").last().expect("one");
    for name in [
        id,
        head,
        &head[..8].to_uppercase(),
        last["id"].as_str().expect("an id"),
        "capture.pcapng:21",
        "frame:1:34",
        "#1:34",
    ] {
        let found = json(&["session", name, "--format", "json", QUICKSTART]);
        assert_eq!(found, by_frame, "{name}");
    }
}

#[test]
fn a_session_that_cannot_be_told_is_said_with_its_candidates() {
    let mut told = Vec::new();
    for name in [
        "frame:12345",
        "abcdef",
        "xyz",
        "ab",
        "k",
        "other.pcap:3",
        "frame:x",
        "c3",
    ] {
        let output = run(&["session", name, QUICKSTART]);
        assert_eq!(out(&output), "", "{name}");
        told.push(format!("$ reshake session {name}\n{}{}\n", err(&output), output.status));
    }
    insta::assert_snapshot!("session_errors", told.join("\n"));
}

#[test]
fn a_selection_filters_what_is_shown_and_says_so() {
    let terms = "outcome:declined -backend:2";
    let text = succeeds(&["--where", terms, QUICKSTART]);
    assert!(text.contains("selected: outcome:declined -backend:2"), "{text}");
    assert!(text.contains("resumed 0 of 9 offers"), "{text}");
    let document = json(&["--where", terms, "--format", "json", QUICKSTART]);
    assert_eq!(document["selection"], terms);
    assert_eq!(document["summary"]["connections"], 9);
    assert_eq!(document["services"][0]["outcomes"]["declined"], 9);
    let all = json(&["--format", "json", QUICKSTART]);
    assert_eq!(all.get("selection"), None);
    let schema = json(&["schema", "--strict"]);
    assert!(
        jsonschema::is_valid(&schema, &document),
        "the selection is in the schema"
    );
    let connections = document["connections"].as_array().expect("a list");
    assert_eq!(connections.len(), 9);
    for connection in connections {
        let same = all["connections"].as_array().expect("a list");
        assert!(
            same.contains(connection),
            "verdicts and numbers are those of the whole: {connection}"
        );
    }
    assert!(
        document["credentials"].as_array().expect("a list").len()
            < all["credentials"].as_array().expect("a list").len()
    );
    let lines = succeeds(&["--where", terms, "--format", "jsonl", QUICKSTART]);
    assert_eq!(lines.matches(r#""type":"connection""#).count(), 9);
    let nothing = succeeds(&["--where", "version:1.3", QUICKSTART]);
    assert!(nothing.contains("no connection is selected"), "{nothing}");
}

#[test]
fn each_key_selects_what_it_says() {
    let count =
        |terms: &str| json(&["--where", terms, "--format", "json", QUICKSTART])["summary"]["connections"].clone();
    for (terms, connections) in [
        ("reason:other-backend-cache", 18),
        ("reason:other-*,first-in-capture", 20),
        ("-reason:none confidence:inferred", 18),
        ("outcome:resumed resumed-by:session-id", 12),
        ("client:10.0.0.0/8 server:443 server:10.0.0.100:443", 32),
        ("client:10.0.0.12", 15),
        ("name:*.a.test version:1.2", 32),
        ("offered:none", 2),
        ("backend:backend-1,2", 32),
        ("backend:none", 0),
        ("frame:1", 1),
        ("after:+0 before:+3600", 32),
        ("after:12:09 before:12:10", 32),
        ("before:2026-11-30T12:09:23Z", 0),
        ("id:c1e99d8aa5b", 1),
        ("number:2-3", 2),
        ("pattern:failover", 0),
        ("cache:none close:clean-client,clean-both,clean-server", 32),
    ] {
        assert_eq!(count(terms), connections, "{terms}");
    }
    for (capture, connections) in [(QUICKSTART, 0), (UNPROVEN, 6)] {
        let possible = json(&["--where", "confidence:possible", "--format", "json", capture]);
        assert_eq!(possible["summary"]["connections"], connections, "{capture}");
    }
}

#[test]
fn a_wrong_selection_is_pointed_at() {
    let mut told = Vec::new();
    for terms in [
        "",
        "outcome=declined",
        "outcome:declined resaon:stek",
        "reason:stek-not-share",
        "-client:10.0.0.0/40",
        "after:25:00",
        "frame:1,,2",
        "näme:\u{1b}x",
        "foo:x",
        "reason:foo",
    ] {
        let output = run(&["--where", terms, QUICKSTART]);
        assert_eq!(
            (out(&output), output.status.code()),
            (String::new(), Some(2)),
            "{terms}"
        );
        told.push(err(&output));
    }
    insta::assert_snapshot!("where_errors", told.join("\n"));
}

#[test]
fn services_show_what_hindsight_says() {
    for name in [
        "reasons/stek-not-shared",
        "reasons/other-backend-cache",
        "reasons/failover-no-shared-state",
        "captures/health-checks-poison",
        "captures/workers-with-own-keys",
    ] {
        let path = format!("fixtures/{name}/capture.pcapng");
        let report = succeeds(&[&path]);
        let filters = |line: &&str| !line.contains("Wireshark: ");
        let shown: Vec<&str> = report.lines().filter(filters).collect();
        assert!(shown.len() < 50, "half a minute to read: {report}");
        insta::assert_snapshot!(format!("hindsight_{}", name.replace('/', "_")), shown.join("\n"));
    }
}

/// Grave findings with frames and advice, notes on one line; what several reasons cost, each on a line.
#[test]
fn findings_and_costs_show_in_the_text() {
    for name in [
        "findings/stek-weak-known-key",
        "findings/stek-shared-across-sni",
        "reasons/impl-invalidates-on-rst",
    ] {
        let report = succeeds(&[&format!("fixtures/{name}/capture.pcapng")]);
        let filters = |line: &&str| !line.contains("Wireshark: ");
        let shown: Vec<&str> = report.lines().filter(filters).collect();
        insta::assert_snapshot!(format!("hindsight_{}", name.replace('/', "_")), shown.join("\n"));
    }
    let all = succeeds(&["--all", "fixtures/findings/stek-shared-across-sni/capture.pcapng"]);
    assert!(
        all.contains("note: one ticket key serves server names with different certificates"),
        "{all}"
    );
}

#[test]
fn a_finding_is_explained_like_a_reason() {
    let text = succeeds(&["explain", "ticket-key-older-than-a-day"]);
    for part in [
        "What it means",
        "How we know",
        "What to do",
        "Severity: warning",
        "RFC 9325 §3.4",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_pattern_is_explained_like_a_reason() {
    let text = succeeds(&["explain", "session-state-not-shared"]);
    for part in ["What it means", "How we know", "What to do", "ssl_session_ticket_key"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn resets_renewed_tickets_and_psks_show_in_the_life_of_a_session() {
    for (name, frame) in [
        ("captures/health-checks-poison", "frame:5"),
        ("captures/shared-tickets", "frame:9"),
        ("captures/tls13-early-data", "frame:4"),
        ("reasons/failover-no-shared-state", "frame:11"),
    ] {
        let table = succeeds(&["session", frame, &format!("fixtures/{name}/capture.pcapng")]);
        insta::assert_snapshot!(format!("session_{}", name.replace('/', "_")), table);
    }
}

#[cfg(unix)]
#[test]
fn terms_that_are_no_text_get_one_line() {
    use std::os::unix::ffi::OsStrExt;

    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("reshake"))
        .args(["analyze", "--where"])
        .arg(std::ffi::OsStr::from_bytes(b"caf\xe9"))
        .arg("x.pcap")
        .output()
        .expect("the program runs");
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        line,
        "reshake: 'caf\\xe9' is not UTF-8; only file names may contain other bytes\n"
    );
}

#[test]
fn packets_without_times_are_named_as_such() {
    let output = run(&["fixtures/captures/pcapng-simple/capture.pcapng"]);
    let text = out(&output);
    let note = text.lines().find(|line| line.contains("packets have no timestamps"));
    assert!(note.is_some_and(|line| line.starts_with("note: ")), "{text}");
}

#[test]
fn a_ticket_that_was_passed_over_for_an_external_psk_is_told() {
    let output = run(&["fixtures/captures/external-psk-beside-ticket/capture.pcapng"]);
    let text = out(&output);
    let line = text.lines().nth(1).expect("the counts");
    assert!(
        line.contains("resumed 1 of 2 offers") && line.ends_with("external PSK 2   passed over for one 1"),
        "{line}"
    );
}

#[test]
fn offers_without_a_visible_answer_are_not_among_those_that_the_share_is_of() {
    let text = out(&run(&["fixtures/captures/asymmetric-halves/capture.pcapng"]));
    let service = text.lines().find(|line| line.contains(":444"));
    let service = service.expect("a service with an offer whose answer is not visible");
    assert!(service.contains("resumed 1 of 2 decided offers (50 %)"), "{service}");
}

/// Rings of capture files have thousands, and a process may open a few hundred.
#[cfg(unix)]
#[test]
fn more_files_are_read_than_may_be_open_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names: Vec<String> = (0..200).map(|number| format!("ring-{number}.pcapng")).collect();
    for name in &names {
        written(folder.path(), name, &quickstart());
    }
    let script = format!("ulimit -n 64 && exec '{}' \"$@\"", cargo_bin("reshake").display());
    let output = Command::new("sh")
        .args(["-c", &script, "sh", "--format", "json"])
        .args(&names)
        .current_dir(folder.path())
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).expect("one JSON document");
    assert_eq!(report["captures"].as_array().map(Vec::len), Some(200));
    // Copies of packets are the same packets.
    let alone = json(&["--format", "json", QUICKSTART]);
    assert_eq!(report["summary"]["connections"], alone["summary"]["connections"]);
    assert_eq!(report["summary"]["outcomes"], alone["summary"]["outcomes"]);
}
