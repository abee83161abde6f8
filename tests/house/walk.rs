//! The way of a ClientHello in `docs/ARCHITECTURE.md`, against the code: each function stands in its file, and is called,
//! in these words, inside the function that the page says it is reached from.

use std::fs;

use crate::common::{assert_none, root};
use crate::layers::code;

const PAGE: &str = "docs/ARCHITECTURE.md";
/// From a file to a report it takes more functions than this.
const LEAST: usize = 40;

/// A row of the table.
#[derive(Clone)]
struct Step {
    number: usize,
    function: String,
    file: String,
    /// The step whose function calls this one, and in which words; the first has none.
    reached: Option<(usize, String)>,
}

/// The rows `| 2 | `read` | `src/cli/mod.rs` | 1: `read(&inputs` | … |`.
fn steps(page: &str) -> Vec<Step> {
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let step = |row: &str| {
        let cells: Vec<&str> = row.split('|').collect();
        let reached = cells.get(4)?.trim().split_once(": ");
        Some(Step {
            number: cells.get(1)?.trim().parse().ok()?,
            function: bare(cells.get(2)?),
            file: bare(cells.get(3)?),
            reached: reached.and_then(|(from, call)| Some((from.parse().ok()?, bare(call)))),
        })
    };
    page.lines().filter_map(step).collect()
}

/// The bodies of all functions of this name in a file, without comments, strings and tests.
fn bodies(text: &str, name: &str) -> Vec<String> {
    let code = code(text);
    let head = format!("fn {name}");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&head) {
        let rest = &code[at + head.len()..];
        if !rest.starts_with(['(', '<']) {
            continue;
        }
        // A method that a trait declares has no body.
        let Some(open) = rest.find(['{', ';']).filter(|at| rest[*at..].starts_with('{')) else {
            continue;
        };
        let mut depth = 0_usize;
        let end = rest[open..].char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        found.extend(end.map(|end| rest[open..open + end].to_owned()));
    }
    found
}

/// Text with single spaces, so that a call that stands on two lines is found.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().concat()
}

fn problems(steps: &[Step], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    let bodies_of = |step: &Step| read(&step.file).map_or_else(Vec::new, |text| bodies(&text, &step.function));
    for (place, step) in steps.iter().enumerate() {
        let what = format!("step {}, {} in {}", step.number, step.function, step.file);
        if step.number != place + 1 {
            found.push(format!("{what}: stands at place {}", place + 1));
        }
        if bodies_of(step).is_empty() {
            found.push(format!("{what}: there is no such function"));
        }
        let Some((from, call)) = &step.reached else {
            if place > 0 {
                found.push(format!("{what}: reached from nowhere"));
            }
            continue;
        };
        let Some(caller) = from
            .checked_sub(1)
            .and_then(|from| steps.get(from))
            .filter(|_| *from < step.number)
        else {
            found.push(format!("{what}: {from} is no step before it"));
            continue;
        };
        // The words must be those of a call of this function.
        let names = call
            .match_indices(&step.function)
            .any(|(at, name)| call[at + name.len()..].starts_with('('));
        if !names {
            found.push(format!("{what}: `{call}` does not call it"));
        }
        if !bodies_of(caller).iter().any(|body| flat(body).contains(&flat(call))) {
            found.push(format!(
                "{what}: {} in {} does not say `{call}`",
                caller.function, caller.file
            ));
        }
    }
    found
}

fn from_disk(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

#[test]
fn a_client_hello_goes_the_way_that_the_page_describes() {
    let steps = steps(&from_disk(PAGE).expect("the page"));
    assert!(steps.len() >= LEAST, "only {} steps", steps.len());
    let ends = [steps.first(), steps.last()].map(|step| step.expect("a step").file.as_str());
    assert!(
        ends[0].starts_with("src/cli/") && ends[1].starts_with("src/render/"),
        "{ends:?}"
    );
    assert_none("steps that are not so", &problems(&steps, from_disk));
}

#[test]
fn a_step_that_is_not_so_is_noticed() {
    let page = "| 1 | `a` | `a.rs` | | |\n| 2 | `b` | `b.rs` | 1: `b(x` | |";
    let files = |path: &str| match path {
        "a.rs" => Some("fn a() {\n    self.b(\n        x)\n}\nfn c() { d(x) }".to_owned()),
        "b.rs" => Some("fn b<T>(x: T) { if x {} } // fn e() {}\nfn f(); fn g() {}".to_owned()),
        _ => None,
    };
    let count = |page: &str| problems(&steps(page), files).len();
    assert_eq!(count(page), 0);
    for (old, new) in [
        ("`b.rs`", "`c.rs`"),
        ("| 2 |", "| 3 |"),
        ("1: ", "2: "),
        ("`b` |", "`e` |"),
        ("`b` |", "`f` |"),
        ("`b(x`", "`b(y`"),
        ("`b(x`", "`d(x`"),
        ("| 1: `b(x` |", "| |"),
    ] {
        assert!(count(&page.replace(old, new)) > 0, "{old} as {new}");
    }
}
