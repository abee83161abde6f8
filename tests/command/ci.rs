//! What others' pipelines run: the shell steps of the action and of GitLab's template, with this build in place of a wheel.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;

use crate::common::root;

const RESUMES: &str = "fixtures/captures/shared-tickets";
const DECLINES: &str = "fixtures/captures/quickstart";

fn path_with_reshake() -> String {
    let folder = cargo_bin("reshake");
    let folder = folder.parent().expect("a folder").display().to_string();
    format!("{folder}:{}", std::env::var("PATH").unwrap_or_default())
}

fn project(capture: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let from = root().join(capture).join("capture.pcapng");
    fs::copy(from, folder.path().join("a capture.pcapng")).expect("a copy");
    fs::write(folder.path().join("rules.toml"), "min-resumption-rate = 0.9\n").expect("rules");
    folder
}

/// A step of the action, in its environment.
fn step(name: &str, folder: &Path, variables: &[(&str, &str)]) -> Output {
    Command::new("bash")
        .arg(root().join("packaging/ci").join(name))
        .env("PATH", path_with_reshake())
        .env("HOME", folder)
        .env_remove("GITHUB_PATH")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", folder.join("output"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary"))
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs")
}

#[test]
fn the_actions_check_reports_everywhere_and_ends_with_the_status_of_the_rules() {
    for (capture, status) in [(RESUMES, 0), (DECLINES, 1)] {
        let project = project(capture);
        let folder = project.path();
        let inputs = [
            ("RESHAKE_CAPTURES", "a capture.pcapng\n"),
            ("RESHAKE_RULES", "rules.toml"),
            ("RESHAKE_ARGS", "--min-connections=2\n\n--max-unclear=0.5\n"),
            ("RESHAKE_REPORTS", "reports"),
        ];
        let output = step("check.sh", folder, &inputs);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        for file in ["reshake.sarif", "reshake.xml", "reshake.json", "reshake.txt"] {
            let length = fs::metadata(folder.join("reports").join(file)).expect("a report").len();
            assert!(length > 0, "{file}");
        }
        let outputs = fs::read_to_string(folder.join("output")).expect("outputs");
        assert_eq!(outputs, format!("status={status}\nsarif=reports/reshake.sarif\n"));
        let summary = fs::read_to_string(folder.join("summary")).expect("a summary");
        assert!(
            summary.contains(if status == 0 {
                "every rule holds"
            } else {
                "a rule is violated"
            }),
            "{summary}"
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.contains("::error file=rules.toml,line=1"), status == 1, "{said}");
    }
}

#[test]
fn the_actions_check_does_not_pass_where_it_could_not_look() {
    let project = project(RESUMES);
    let without = step("check.sh", project.path(), &[("RESHAKE_RULES", "rules.toml")]);
    assert_eq!(without.status.code(), Some(2));
    let missing = [("RESHAKE_CAPTURES", "nowhere.pcap"), ("RESHAKE_RULES", "rules.toml")];
    let missing = step("check.sh", project.path(), &missing);
    assert_eq!(missing.status.code(), Some(3), "{missing:?}");
}

#[test]
fn the_action_takes_what_is_installed_or_cached_and_no_version_that_is_none() {
    let project = project(RESUMES);
    let folder = project.path();
    let installed = step("install.sh", folder, &[("RESHAKE_VERSION", "installed")]);
    assert!(installed.status.success(), "{installed:?}");
    let strange = step("install.sh", folder, &[("RESHAKE_VERSION", "1.0; touch taken")]);
    assert_eq!(strange.status.code(), Some(2));
    assert!(!folder.join("taken").exists());

    let cached = folder.join(".cache/reshake-ci/9.9.9/bin");
    fs::create_dir_all(&cached).expect("a folder");
    symlink(cargo_bin("reshake"), cached.join("reshake")).expect("a link");
    let path = folder.join("path");
    let path = path.to_str().expect("UTF-8");
    let cached = step(
        "install.sh",
        folder,
        &[("RESHAKE_VERSION", "9.9.9"), ("GITHUB_PATH", path)],
    );
    assert!(cached.status.success(), "{cached:?}");
    let added = fs::read_to_string(path).expect("a path");
    assert!(Path::new(added.trim()).join("reshake").exists(), "{added}");
}

/// The script of GitLab's template, as its runner would have it.
fn gitlab_script() -> String {
    let template = fs::read_to_string(root().join("packaging/ci/gitlab.yml")).expect("the template");
    let script = template.split("  script:\n    - |\n").nth(1).expect("a script");
    let lines = script
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("      "));
    lines
        .flat_map(|line| [line.get(6..).unwrap_or_default(), "\n"])
        .collect()
}

#[test]
fn gitlabs_job_reports_and_ends_with_the_status_of_the_rules() {
    for (capture, status) in [(RESUMES, 0), (DECLINES, 1)] {
        let project = project(capture);
        let folder = project.path();
        fs::rename(folder.join("a capture.pcapng"), folder.join("capture.pcapng")).expect("a name of one word");
        let cached = folder.join(".reshake/9.9.9/bin");
        fs::create_dir_all(&cached).expect("a folder");
        symlink(cargo_bin("reshake"), cached.join("reshake")).expect("a link");
        let output = Command::new("sh")
            .args(["-c", &gitlab_script()])
            .env("RESHAKE_CACHE", folder.join(".reshake"))
            .env("RESHAKE_VERSION", "9.9.9")
            .env("RESHAKE_CAPTURES", "capture.pcapng")
            .env("RESHAKE_RULES", "rules.toml")
            .env("RESHAKE_ARGS", "--min-connections=2\n--max-unclear=0.5")
            .env("RESHAKE_REPORTS", "reports")
            .current_dir(folder)
            .output()
            .expect("a shell");
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        for file in ["reshake.sarif", "reshake.xml", "reshake.json"] {
            assert!(folder.join("reports").join(file).exists(), "{file}");
        }
    }
}

#[test]
fn the_templates_install_the_version_that_they_belong_to() {
    for file in ["action.yml", "packaging/ci/gitlab.yml"] {
        let text = fs::read_to_string(root().join(file)).expect("a template");
        assert!(
            text.contains(&format!("default: \"{}\"", env!("CARGO_PKG_VERSION"))),
            "{file}"
        );
    }
    let guide = fs::read_to_string(root().join("docs/ci.md")).expect("the guide");
    assert!(guide.contains(&format!("reshake/reshake@v{}", env!("CARGO_PKG_VERSION"))));
}
