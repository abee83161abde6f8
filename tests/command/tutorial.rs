//! What a page of the documentation shows is what the program prints: each `sh` block with a command of reshake is
//! followed by a `text` block with its output. `UPDATE=1` writes the outputs anew.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

use crate::common::root;

#[test]
fn the_tutorial_shows_what_the_program_prints() {
    check("docs/tutorial.md", 5);
}

#[test]
fn the_tutorials_for_one_audience_each_show_what_the_program_prints() {
    check("docs/tutorials/web-farm.md", 3);
    check("docs/tutorials/java-backend.md", 3);
    check("docs/tutorials/client.md", 1);
    check("docs/tutorials/quic.md", 2);
}

fn check(path: &str, least: usize) {
    let page = std::fs::read_to_string(root().join(path)).expect("a tutorial");
    let mut now = String::new();
    let mut rest = page.as_str();
    let mut commands = 0;
    while let Some((before, block)) = rest.split_once("```sh\n") {
        let (command, after) = block.split_once("```\n").expect("the end of the command");
        let (between, shown) = after.split_once("```text\n").expect("the block of its output");
        assert_eq!(between.trim(), "", "the output stands right after {command}");
        let (_, after) = shown.split_once("```\n").expect("the end of the output");
        let _ = write!(now, "{before}```sh\n{command}```\n\n```text\n{}```\n", printed(command));
        commands += 1;
        rest = after;
    }
    assert!(commands >= least, "{path}: a command for each question, not {commands}");
    now.push_str(rest);
    crate::common::assert_committed(path, &now);
}

/// What `reshake …` prints, run from the folder of the repository as a reader would.
fn printed(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (program, arguments) = words.split_first().expect("a command");
    assert_eq!(
        *program, "reshake",
        "only commands of reshake can be run here: {command}"
    );
    let output = Command::new(cargo_bin("reshake"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}
