//! The page that `cargo xtask web` made, against this code: in node, and in the browsers that are there.
//!
//! What is missing is said and passed over; what `RESHAKE_PAGE_TESTS` names, as in CI, must be there.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::{Files, analysed, built, node, root};

/// Fixtures there are at least: a walk that finds none must not pass.
const LEAST: usize = 250;

#[test]
fn every_fixture_gives_the_json_of_the_command() {
    let Some(built) = built("node") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let captures = support::captures(&root().join("fixtures"));
    assert!(captures.len() > LEAST, "{} captures", captures.len());
    let out = |number: usize| folder.path().join(format!("{number}.json"));
    let jobs = captures.iter().enumerate().map(|(number, files)| {
        json!({ "captures": [files.capture], "keylogs": files.keylog.iter().collect::<Vec<_>>(), "out": out(number) })
    });
    let plan = json!({
        "core": built.join("reshake.wasm"),
        "glue": built.join("glue.js"),
        "jobs": jobs.collect::<Vec<_>>(),
    });
    node("fixtures.mjs", &plan, folder.path());
    let mut different = Vec::new();
    for (number, Files { capture, keylog }) in captures.iter().enumerate() {
        let keylogs: Vec<&Path> = keylog.iter().map(PathBuf::as_path).collect();
        let found = fs::read(out(number)).expect("the page's JSON");
        if found != analysed(&[capture], &keylogs).json() {
            different.push(capture);
        }
    }
    assert!(different.is_empty(), "{} differ: {different:#?}", different.len());
}

#[test]
fn chromium_does_what_people_do() {
    browse("chromium", &["chromium", "chromium-browser", "google-chrome"]);
}

#[test]
fn firefox_does_what_people_do() {
    browse("firefox", &["firefox-esr", "firefox"]);
}

fn browse(browser: &str, names: &[&str]) {
    let Some(built) = built("node") else { return };
    let Some(binary) = support::found(names) else {
        support::missing(browser, &format!("{browser} is not installed"));
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut plan = support::plan(folder.path());
    let shots = built.join("shots");
    fs::create_dir_all(&shots).expect("a folder for screenshots");
    plan["browser"] = json!(browser);
    plan["binary"] = json!(binary);
    plan["page"] = json!(built.join("reshake.html"));
    plan["shots"] = json!(shots);
    plan["only"] = json!(std::env::var("RESHAKE_PAGE_ONLY").ok());
    node("scenario.mjs", &plan, folder.path());
}
