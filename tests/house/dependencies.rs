//! Every dependency has its reason written down, and no reason outlives its dependency.

use std::collections::BTreeSet;

const MANIFESTS: [&str; 4] = [
    include_str!("../../Cargo.toml"),
    include_str!("../../core/Cargo.toml"),
    include_str!("../../web/Cargo.toml"),
    include_str!("../../xtask/Cargo.toml"),
];
const PAGE: &str = include_str!("../../docs/dependencies.md");

/// The names under every heading of the manifests that ends in `dependencies]`.
fn depended_on() -> BTreeSet<&'static str> {
    let mut within = false;
    let mut names = BTreeSet::new();
    for line in MANIFESTS.iter().flat_map(|manifest| manifest.lines()) {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if within && let Some((name, _)) = line.split_once(" =") {
            names.insert(name);
        }
    }
    names
}

/// The words between back-ticks that stand in the table's first column, or below the table.
fn explained() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let first_columns = rows.filter_map(|row| row.split('|').nth(1));
    let (_, below) = PAGE.split_once("Only for tests:").expect("what tests use");
    first_columns
        .chain(std::iter::once(below))
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_dependency_is_explained_and_nothing_else_is() {
    assert!(depended_on().len() > 20, "the manifest was not understood");
    assert_eq!(explained(), depended_on());
}
