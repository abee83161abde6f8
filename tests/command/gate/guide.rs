//! The guide for pipelines: its commands run, on a capture that passes and on one that does not.

use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use reshake::check::RULES;

use super::{QUICKSTART, SHARED};
use crate::common::root;

fn guide() -> String {
    std::fs::read_to_string(root().join("docs/ci.md")).expect("the guide")
}

/// The blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// The commands of the guide that call reshake, in order.
fn commands() -> Vec<String> {
    let text = guide();
    let blocks = [blocks(&text, "yaml"), blocks(&text, "sh")].concat();
    let commands: Vec<String> = blocks
        .iter()
        .flat_map(|block| block.lines())
        .map(|line| line.trim().trim_start_matches("- "))
        .filter(|line| line.starts_with("reshake "))
        .map(str::to_owned)
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    commands
}

/// A folder as the pipeline has it, once the capture is recorded.
fn workspace(capture: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = blocks(&guide(), "toml").into_iter().next().expect("a rule file");
    std::fs::create_dir(folder.path().join("ci")).expect("a folder");
    std::fs::write(folder.path().join("ci/resumption.toml"), rules).expect("written");
    std::fs::copy(root().join(capture), folder.path().join("resumption.pcap")).expect("a copy");
    folder
}

/// Runs a command as the pipeline's shell does.
fn status(folder: &Path, command: &str) -> Option<i32> {
    let binary = cargo_bin("reshake");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", binary.parent().expect("a folder").display());
    let output = Command::new("sh")
        .args(["-euc", command])
        .env("PATH", path)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    output.status.code()
}

#[test]
fn every_command_of_the_guide_runs_and_passes_where_sessions_resume() {
    let folder = workspace(SHARED);
    for command in commands() {
        assert_eq!(status(folder.path(), &command), Some(0), "{command}");
    }
    for file in ["reshake.xml", "reshake.sarif", "reshake.json", "baseline.json"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn the_checks_of_the_guide_fail_where_sessions_do_not_resume() {
    let (good, folder) = (workspace(SHARED), workspace(QUICKSTART));
    let baseline = "reshake analyze --format json resumption.pcap > baseline.json";
    assert!(
        commands().contains(&baseline.to_owned()),
        "the baseline is made by the guide"
    );
    assert_eq!(status(good.path(), baseline), Some(0));
    std::fs::copy(good.path().join("baseline.json"), folder.path().join("baseline.json")).expect("a copy");
    let checks = commands()
        .into_iter()
        .filter(|command| command.starts_with("reshake check"));
    let checks: Vec<String> = checks.filter(|command| !command.contains("--print-rules")).collect();
    assert_eq!(checks.len(), 2, "{checks:?}");
    for command in checks {
        assert_eq!(status(folder.path(), &command), Some(1), "{command}");
    }
}

#[test]
fn the_guide_names_every_rule() {
    let text = guide();
    for kind in RULES {
        assert!(text.contains(&format!("`{}`", kind.name)), "{}", kind.name);
    }
}
