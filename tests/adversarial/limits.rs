//! `docs/limits.md` against the constants in the code: every limit stands there with its value, and nothing else does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::alone;
use crate::common::{assert_none, root};

/// Layers that take what strangers send. What a screen shows at most is a matter of taste.
const LAYERS: [&str; 12] = [
    "core/src/net",
    "core/src/tcp",
    "core/src/tls",
    "core/src/datagram",
    "core/src/quic",
    "core/src/dtls",
    "core/src/decrypt",
    "core/src/session",
    "core/src/store",
    "core/src/handshake",
    "core/src/engine",
    "src/capture",
];
/// Limits have names of this form.
const FORMS: [&str; 4] = ["MAX", "LIMIT", "HELD", "REMEMBERED"];

/// Names of that form that are no limits of this program but numbers of a protocol.
const OF_PROTOCOLS: [&str; 3] = [
    "core/src/datagram/kind.rs MAX_ID",
    "core/src/decrypt/secret.rs MAX_LEN",
    "core/src/net/decode/link.rs MAX_802_3",
];

/// The value of a constant expression of integers: sums, products and shifts of literals. Some limits are smaller in unit
/// tests, which then run into them sooner.
fn value(expression: &str) -> Option<u64> {
    if let Some((_, otherwise)) = expression
        .split_once("if cfg!(test) {")
        .and_then(|(_, rest)| rest.split_once("else {"))
    {
        return value(otherwise.trim().trim_end_matches('}'));
    }
    let parts = |by| expression.split_once(by);
    if let Some((left, right)) = parts("<<") {
        return Some(value(left)? << value(right)?);
    }
    if let Some((left, right)) = parts("+") {
        return Some(value(left)? + value(right)?);
    }
    if let Some((left, right)) = parts("*") {
        return Some(value(left)? * value(right)?);
    }
    match expression.trim() {
        // `core/src/net/span.rs`
        "SECOND" => Some(1_000_000_000),
        "MINUTE" => Some(60_000_000_000),
        literal => literal.replace('_', "").parse().ok(),
    }
}

/// Constants that are limits by their names, and fields of the default limits, by `file NAME`.
fn limits_in_code() -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for layer in LAYERS {
        files(&root().join(layer), &mut found);
    }
    found.retain(|place, _| !OF_PROTOCOLS.contains(&place.as_str()));
    found
}

fn files(folder: &Path, found: &mut BTreeMap<String, u64>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            scan(&path, found);
        }
    }
}

fn scan(path: &Path, found: &mut BTreeMap<String, u64>) {
    let text = fs::read_to_string(path).expect("UTF-8");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let file = path.strip_prefix(root()).expect("inside").display().to_string();
    let mut in_default = false;
    for line in code.lines().map(str::trim) {
        if let Some((_, constant)) = line.split_once("const ")
            && let Some((name, rest)) = constant.split_once(": ")
            && let Some((_, expression)) = rest.split_once(" = ")
            && FORMS.iter().any(|form| name.split('_').any(|word| word == *form))
            && let Some(value) = value(expression.trim_end_matches(';'))
        {
            found.insert(format!("{file} {name}"), value);
        }
        if line.starts_with("impl") {
            in_default = line.starts_with("impl Default for ") && line.contains("Limits ");
        }
        if let Some((name, expression)) = line.split_once(": ")
            && in_default
            && let Some(value) = value(expression.trim_end_matches(','))
        {
            found.insert(format!("{file} {name}"), value);
        }
    }
}

/// Rows of the document: `| what | value | file NAME | when reached |`.
fn limits_in_document() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(root().join("docs/limits.md")).expect("docs/limits.md");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, value, place, ..] = cells.as_slice() else {
            return None;
        };
        let place = place.strip_prefix('`')?.strip_suffix('`')?;
        Some((
            place.to_owned(),
            number(value).unwrap_or_else(|| panic!("not a number: {line}")),
        ))
    };
    text.lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(row)
        .collect()
}

/// `1,048,576`, `512 KiB`, `64 MiB`, `2 GiB`, `50 ms`, `3,600 s`.
fn number(cell: &str) -> Option<u64> {
    let mut words = cell.split(' ');
    let count: u64 = words.next()?.replace(',', "").parse().ok()?;
    Some(match words.next() {
        None => count,
        Some("KiB") => count << 10,
        Some("MiB") => count << 20,
        Some("GiB") => count << 30,
        Some("ms") => count * 1_000_000,
        Some("s") => count * 1_000_000_000,
        Some(_) => return None,
    })
}

#[test]
fn the_document_states_every_limit_and_its_value() {
    // It reads all sources, while others count the memory of the process.
    let _alone = alone();
    let (code, document) = (limits_in_code(), limits_in_document());
    assert!(code.len() > 30, "only {} limits were found", code.len());
    let mut problems: Vec<String> = Vec::new();
    for (place, value) in &code {
        match document.get(place) {
            None => problems.push(format!("{place} = {value} is not in the document")),
            Some(stated) if stated != value => problems.push(format!("{place} is {value}, the document says {stated}")),
            Some(_) => {}
        }
    }
    // Constants of other names may be in the document; they must be in the code.
    for (place, stated) in document.iter().filter(|(place, _)| !code.contains_key(*place)) {
        let (file, name) = place.split_once(' ').expect("file and name");
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        let line = text.lines().find(|line| line.contains(&format!("const {name}:")));
        let here = line.and_then(|line| value(line.split_once(" = ")?.1.trim_end_matches(';')));
        if here != Some(*stated) {
            problems.push(format!("{place}: the document says {stated}, the code {here:?}"));
        }
    }
    assert_none("docs/limits.md", &problems);
}

#[test]
fn values_are_read() {
    assert_eq!(value("8 << 20"), Some(8 << 20));
    assert_eq!(value("512 * 1024"), Some(512 << 10));
    assert_eq!(value("16_384 + 2_048 + 256"), Some(18_688));
    assert_eq!(value("if cfg!(test) { 1 << 6 } else { 1 << 12 }"), Some(1 << 12));
    assert_eq!(value("size_of::<u8>()"), None);
    assert_eq!(number("1,048,576"), Some(1 << 20));
    assert_eq!(number("512 KiB"), Some(512 << 10));
    assert_eq!(number("50 ms"), Some(50_000_000));
    assert_eq!(number("3,600 s"), Some(3_600_000_000_000));
    assert_eq!(number("many"), None);
}
