//! The arrows between modules, kept by a machine: who may use whom, where serde and printing are allowed.
//!
//! A plain scan of the source text. It sees `crate::x` wherever it stands, groups (`crate::{a, b::c}`), chains of
//! `super`; comments and strings are taken out first.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{assert_none, root};

/// Each module of the core with those it may use. Itself it may always use.
const CORE: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("tls", &[]),
    ("tcp", &["net"]),
    ("datagram", &["net"]),
    ("decrypt", &["tls", "datagram"]),
    ("quic", &["net", "tls", "datagram", "decrypt"]),
    ("dtls", &["net", "tls", "tcp"]),
    ("session", &["net", "tcp", "tls"]),
    ("store", &["net", "tcp", "tls", "session"]),
    ("handshake", &["net", "tls", "session", "store"]),
    ("diagnosis", &["net", "tcp", "tls", "session", "store"]),
    (
        "engine",
        &[
            "net",
            "tcp",
            "tls",
            "datagram",
            "quic",
            "dtls",
            "decrypt",
            "session",
            "store",
            "handshake",
            "diagnosis",
        ],
    ),
    ("facade", &["net", "session", "diagnosis", "engine"]),
];

/// The same for the command; all of it may use the public modules of the core.
const COMMAND: &[(&str, &[&str])] = &[
    ("wording", &[]),
    ("capture", &[]),
    ("redact", &[]),
    ("model", &["wording"]),
    ("render", &["wording", "model"]),
    ("what_if", &["wording", "model", "render"]),
    ("check", &["wording", "model", "render"]),
    ("diff", &["wording", "model", "render", "check"]),
    ("facts", &["model", "render"]),
    ("run", &["capture", "facts"]),
    ("record", &["capture"]),
    ("tui", &["wording", "model", "render"]),
    (
        "cli",
        &[
            "wording", "capture", "redact", "model", "render", "what_if", "check", "diff", "facts", "run", "record",
            "tui",
        ],
    ),
];

/// The modules that show and decide nothing but what the model says: the analysis is not theirs to look at.
const NO_CORE: &[&str] = &["tui"];

/// The files that are no module: the list of modules, and the program that hands over to `cli`.
const ROOTS: &[&str] = &["lib.rs", "main.rs"];

/// Files of the core that only its feature `serde` compiles.
const FEATURE: &[&str] = &["net/document.rs"];

/// Where something may stand that all others must not have: text, modules, why.
const ONLY_IN: &[(&[&str], &[&str], &str)] = &[
    (
        &["serde", "serde_json", "schemars"],
        &["render", "facts", "check", "diff", "what_if", "cli"],
        "what leaves the process is written by the report's own structs, or is facts",
    ),
    (
        &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        &["cli"],
        "strings off the wire must pass through the escaping of `wording`",
    ),
    (
        &["std::fs", "std::net::Tcp", "std::process", "std::env"],
        &["capture", "run", "record", "cli", "tui"],
        "the core opens nothing",
    ),
    (
        &["Instant", "SystemTime", "std::thread::sleep"],
        &["run", "record", "cli", "tui", "capture"],
        "time in the core is packet time",
    ),
];

/// The two crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crate {
    Core,
    Command,
}

impl Crate {
    const fn folder(self) -> &'static str {
        match self {
            Self::Core => "core/src",
            Self::Command => "src",
        }
    }

    const fn may_use(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::Core => CORE,
            Self::Command => COMMAND,
        }
    }
}

/// A file of a module.
struct SourceFile {
    of: Crate,
    /// Relative to the crate's `src`.
    path: String,
    text: String,
}

impl SourceFile {
    /// `net/decode/ip.rs` belongs to `net`.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The path of the module that the file itself is: `net/decode/ip.rs` is `net::decode::ip`.
    fn module_path(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.path.trim_end_matches(".rs").split('/').collect();
        if parts.last() == Some(&"mod") {
            parts.pop();
        }
        parts
    }
}

/// The text without comments, strings and character literals, and without its tests: those may use what they like.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let raw = rest
            .strip_prefix('r')
            .map(|after| after.len() - after.trim_start_matches('#').len());
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw.filter(|hashes| rest[1 + hashes..].starts_with('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            rest[hashes + 2..]
                .find(&end)
                .map_or(rest.len(), |at| hashes + 2 + at + end.len())
        } else if next == '"' {
            string_length(rest)
        } else if next == '\'' {
            character_length(rest)
        } else {
            0
        };
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    without(&code, "#[cfg(test)]")
}

/// The code of the core without what only its feature `serde` compiles, strings being taken out of it.
fn without_feature(code: &str) -> String {
    let code = without(code, "#[cfg(feature =  )]");
    let mut parts = code.split("#[cfg_attr(");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (attribute, after) = part.split_once(']').unwrap_or((part, ""));
        if !attribute.trim_start().starts_with("feature =") {
            kept.push_str(attribute);
        }
        kept.push_str(after);
    }
    kept
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Length of a character literal, 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map_or(0, |end| 1 + 2 + end + 1);
    }
    let length = inner.chars().next().map_or(0, char::len_utf8);
    if inner[length..].starts_with('\'') {
        length + 2
    } else {
        0
    }
}

/// Cuts every item with this attribute out: `#[cfg(test)] mod … { … }`.
fn without(code: &str, attribute: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(attribute) {
        let (before, after) = rest.split_at(at);
        kept.push_str(before);
        let item = after.find([';', '{']).unwrap_or(after.len());
        if after[item..].starts_with('{') {
            let mut depth = 0_usize;
            let end = after[item..].char_indices().find_map(|(at, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                (depth == 0).then_some(item + at + 1)
            });
            rest = &after[end.unwrap_or(after.len())..];
        } else {
            rest = &after[item..];
        }
    }
    kept.push_str(rest);
    kept
}

/// The modules of the library that a text uses, each as its first name. `here` is the path of the module that the
/// text stands in, to follow `super`.
fn uses(code: &str, here: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for start in word_starts(code) {
        let (word, after) = split_word(&code[start..]);
        // `use crate as c` would hide every arrow behind another name.
        if matches!(word, "crate" | "super") && after.trim_start().starts_with("as ") {
            found.push(format!("{word} by another name"));
        }
        let Some(after) = after.trim_start().strip_prefix("::") else {
            continue;
        };
        match word {
            "crate" if !code[..start].ends_with("::") => first_names(after, &mut found),
            "super" if !code[..start].trim_end().ends_with("super::") => {
                let mut depth = 1;
                let mut after = after.trim_start();
                while let Some(next) = after.strip_prefix("super") {
                    depth += 1;
                    after = next.trim_start().strip_prefix("::").unwrap_or(next).trim_start();
                }
                // An inline module or a macro adds a level that the file's path does not have; none stands in the
                // code below, since tests are cut out.
                if depth >= here.len() {
                    first_names(after, &mut found);
                }
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

fn word_starts(code: &str) -> impl Iterator<Item = usize> + '_ {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut inside = false;
    code.char_indices().filter_map(move |(at, c)| {
        let starts = is_word(c) && !inside;
        inside = is_word(c);
        starts.then_some(if c == '$' { at + 1 } else { at })
    })
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The first names of what follows `crate::`: one, or those of a group.
fn first_names(after: &str, found: &mut Vec<String>) {
    let after = after.trim_start();
    let Some(group) = after.strip_prefix('{') else {
        found.push(split_word(after).0.to_owned());
        return;
    };
    let mut depth = 0_usize;
    let mut begins = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if c.is_alphanumeric() && begins => {
                found.push(split_word(&group[at..]).0.to_owned());
                begins = false;
            }
            _ => {}
        }
    }
}

/// What a file does that the rules forbid.
fn violations(file: &SourceFile) -> Vec<String> {
    let code = code(&file.text);
    let module = file.module();
    let mut found = Vec::new();
    match file.of.may_use().iter().find(|(name, _)| *name == module) {
        Some((_, allowed)) => {
            for used in uses(&code, &file.module_path()) {
                if used != module && !allowed.contains(&used.as_str()) {
                    found.push(format!("{}: {module} must not use {used}", file.path));
                }
            }
        }
        None if ROOTS.contains(&file.path.as_str()) => {}
        None => found.push(format!("{}: {module} is in no row of the table", file.path)),
    }
    if NO_CORE.contains(&module) && mentions(&code, "reshake_core") {
        found.push(format!("{}: {module} must not use the core", file.path));
    }
    for (words, modules, why) in ONLY_IN {
        let gated = file.of == Crate::Core && FEATURE.contains(&file.path.as_str());
        if gated || modules.contains(&module) || ROOTS.contains(&file.path.as_str()) {
            continue;
        }
        let code = match file.of {
            Crate::Core => without_feature(&code),
            Crate::Command => code.clone(),
        };
        for word in words.iter().filter(|word| mentions(&code, word)) {
            found.push(format!("{}: {word} belongs in {modules:?}: {why}", file.path));
        }
    }
    found
}

/// Whether a word stands in the code as a word of its own.
fn mentions(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        // `std::net::Tcp` stands for all that begins so.
        let open_end = word.ends_with('!') || word.ends_with("Tcp") || !after.is_some_and(is_word);
        !before.is_some_and(is_word) && open_end
    })
}

fn sources(of: Crate) -> Vec<SourceFile> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let src = root().join(of.folder());
    let mut files = Vec::new();
    walk(&src, &mut files);
    files.sort();
    // Files that are tests alone are declared under #[cfg(test)] and may use what they like.
    let is_test = |path: &Path| {
        path.file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| stem == "tests" || stem == "testing" || stem.ends_with("_tests"))
            || path.components().any(|part| part.as_os_str() == "tests")
    };
    files.retain(|path| !is_test(path));
    files
        .into_iter()
        .map(|path| SourceFile {
            of,
            text: fs::read_to_string(&path).expect("a readable file"),
            path: path
                .strip_prefix(&src)
                .expect("below src")
                .to_str()
                .expect("UTF-8")
                .to_owned(),
        })
        .collect()
}

fn file(of: Crate, path: &str, text: &str) -> SourceFile {
    SourceFile {
        of,
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn used_by(path: &str, text: &str) -> Vec<String> {
    uses(&code(text), &file(Crate::Core, path, text).module_path())
}

fn refused(of: Crate, path: &str, text: &str) -> usize {
    violations(&file(of, path, text)).len()
}

#[test]
fn modules_use_only_what_stands_below_them() {
    for (of, least) in [(Crate::Core, 80), (Crate::Command, 120)] {
        let files = sources(of);
        assert!(files.len() > least, "only {} files of {of:?} scanned", files.len());
        let problems: Vec<String> = files.iter().flat_map(violations).collect();
        assert_none("arrows the wrong way", &problems);
    }
}

#[test]
fn the_arrows_have_no_circle() {
    // In the order of its table every module may use only what was named before it.
    for of in [Crate::Core, Crate::Command] {
        let rows = of.may_use();
        for (place, (module, allowed)) in rows.iter().enumerate() {
            let before: Vec<&str> = rows.iter().take(place).map(|(name, _)| *name).collect();
            assert!(allowed.iter().all(|used| before.contains(used)), "{module}");
        }
    }
}

#[test]
fn the_page_on_architecture_has_the_same_tables() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the page");
    let mut problems = Vec::new();
    for (place, (module, allowed)) in [CORE, COMMAND].into_iter().flat_map(|rows| rows.iter().enumerate()) {
        let start = format!("| `{module}` | ");
        let Some(row) = page.lines().find(|line| line.starts_with(&start)) else {
            problems.push(format!("{module} has no row"));
            continue;
        };
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let stated: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        let all = last.contains("all of the above") && allowed.len() == place;
        if !all && stated != *allowed {
            problems.push(format!("{module} may use {allowed:?}, the page says {last}"));
        }
    }
    assert_none("docs/ARCHITECTURE.md", &problems);
}

#[test]
fn every_way_to_name_another_module_is_seen() {
    assert_eq!(used_by("tls/hello.rs", "use crate::net::At;"), ["net"]);
    assert_eq!(
        used_by("tls/hello.rs", "use crate::{net, tcp::Flow, tls::{self, Decoder}};"),
        ["net", "tcp", "tls"]
    );
    assert_eq!(used_by("tls/hello.rs", "use crate :: {\n    session,\n};"), ["session"]);
    assert_eq!(used_by("tls/hello.rs", "fn f(at: &crate::net::At) {}"), ["net"]);
    assert_eq!(used_by("tls/hello.rs", "use super::super::engine::Engine;"), ["engine"]);
    assert_eq!(used_by("tls/mod.rs", "use super::engine::Engine;"), ["engine"]);
    assert_eq!(used_by("tls.rs", "use super::{engine, net};"), ["engine", "net"]);
    assert_eq!(used_by("tls/a/b.rs", "use super::super::super::model;"), ["model"]);
    assert_eq!(
        used_by("tls/hello.rs", "pub(in crate::net) use crate::diagnosis::CATALOG;"),
        ["diagnosis", "net"]
    );
    assert_eq!(
        used_by("tls/hello.rs", "macro_rules! m { () => { $crate::session::X } }"),
        ["session"]
    );
}

#[test]
fn what_is_no_use_is_not_taken_for_one() {
    for text in [
        "use super::codec::Reader; use self::x; use std::net::IpAddr;",
        "// crate::net\n/* crate::net */ const A: &str = \"crate::net\";",
        "const A: &str = r#\"crate::net\"#; const B: char = '\"';",
        "#[cfg(test)]\nmod tests { use crate::net::At; fn f() {} }",
    ] {
        assert!(used_by("tls/hello.rs", text).is_empty(), "{text}");
    }
    assert!(used_by("tls/a/b.rs", "use super::super::codec;").is_empty());
    for text in [
        "#[cfg(test)]\nmod tests;\nuse crate::net;",
        "fn f<'a>(a: &'a crate::net::At) -> char { '\\'' }",
    ] {
        assert_eq!(used_by("tls/hello.rs", text), ["net"], "{text}");
    }
}

#[test]
fn a_forbidden_arrow_fails() {
    assert_eq!(refused(Crate::Core, "tls/hello.rs", "use crate::net::At;"), 1);
    assert_eq!(refused(Crate::Core, "tcp/table.rs", "use crate::{net, tls};"), 1);
    assert_eq!(
        refused(Crate::Command, "render/text.rs", "use crate::capture::Source;"),
        1
    );
    assert_eq!(
        refused(Crate::Command, "render/text.rs", "use reshake_core::engine::Engine;"),
        0
    );
    assert_eq!(
        refused(Crate::Command, "tui/draw.rs", "use reshake_core::engine::Engine;"),
        1
    );
    assert_eq!(refused(Crate::Core, "helpers.rs", ""), 1);
    assert_eq!(refused(Crate::Core, "tls/hello.rs", "use crate as c;"), 1);
    assert_eq!(refused(Crate::Core, "tls/hello.rs", "use crate::*;"), 1);
}

#[test]
fn serde_printing_files_and_clocks_stay_where_they_belong() {
    let derive = "#[derive(serde::Serialize)] struct A;";
    assert_eq!(refused(Crate::Core, "store/connections.rs", derive), 1);
    let behind_feature = "#[cfg_attr(feature = \"serde\", derive(serde::Serialize))] struct A;";
    assert_eq!(refused(Crate::Core, "store/connections.rs", behind_feature), 0);
    assert_eq!(refused(Crate::Command, "render/json.rs", "use serde::Serialize;"), 0);
    assert_eq!(refused(Crate::Command, "render/text.rs", "fn f() { println!(); }"), 1);
    assert_eq!(refused(Crate::Command, "cli/mod.rs", "fn f() { println!(); }"), 0);
    let outside = "fn f() { std::fs::read(\"x\"); std::env::args(); }";
    assert_eq!(refused(Crate::Core, "engine.rs", outside), 2);
    assert_eq!(refused(Crate::Core, "tcp/table.rs", "fn f() { Instant::now(); }"), 1);
    assert_eq!(
        refused(Crate::Core, "tcp/table.rs", "struct InstantOf; struct MySystemTime;"),
        0
    );
}
