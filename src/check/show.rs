//! The rules in force as a rule file: what `--print-rules` shows can be saved and used again.

use std::fmt::Write as _;

use super::requirement::{EarlyDataRule, Requirement};
use super::rules::{Each, Rule, Rules, Scope};
use reshake_core::net::span::SECOND;

/// The rules as TOML, each with where it comes from.
#[must_use]
pub fn show(rules: &Rules) -> String {
    let mut text = String::new();
    let mut line = |entry: &str, origin: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{entry:<40} # {origin}");
    };
    if let Some((confidence, origin)) = &rules.min_confidence {
        line(&format!("min-confidence = \"{}\"", confidence.code()), origin);
    }
    if let Some((path, origin)) = &rules.baseline {
        line(&format!("baseline = {}", quoted(path)), origin);
    }
    for scope in scopes(rules) {
        heading(scope, &mut text);
        let of_scope: Vec<&Rule> = all(rules).filter(|rule| rule.scope == *scope).collect();
        let mut told: Vec<&str> = Vec::new();
        for rule in &of_scope {
            let name = rule.demand.name();
            if rule.demand.of().is_none() {
                let _ = writeln!(text, "{:<40} # {}", entry(&rule.demand), rule.origin);
            } else if !told.contains(&name) {
                told.push(name);
                let _ = writeln!(text, "{name} = [");
                for same in of_scope.iter().filter(|other| other.demand.name() == name) {
                    let element = format!("  \"{}\",", same.demand.of().unwrap_or_default());
                    let _ = writeln!(text, "{element:<40} # {}", same.origin);
                }
                text.push_str("]\n");
            }
        }
    }
    text
}

/// What is switched off is shown as well: read again without it, the default would be back.
fn all(rules: &Rules) -> impl Iterator<Item = &Rule> {
    rules.rules.iter().chain(&rules.switched_off)
}

/// Scopes in the order of their first rules, that of all connections first, as TOML wants it.
fn scopes(rules: &Rules) -> Vec<&Scope> {
    let mut scopes: Vec<&Scope> = Vec::new();
    for rule in all(rules) {
        if !scopes.contains(&&rule.scope) {
            scopes.push(&rule.scope);
        }
    }
    scopes.sort_by_key(|scope| **scope != Scope::All);
    scopes
}

fn heading(scope: &Scope, text: &mut String) {
    let _ = match scope {
        Scope::All => Ok(()),
        Scope::Each(each) => writeln!(text, "\n[each.{}]", Each::code(*each)),
        Scope::Part(terms) => writeln!(text, "\n[[part]]\nwhere = {}", quoted(terms)),
    };
}

/// A demand as a line of a rule file.
fn entry(demand: &Requirement) -> String {
    let name = demand.name();
    match demand {
        Requirement::MinConnections(count) => format!("{name} = {count}"),
        Requirement::MaxUnclear(share)
        | Requirement::MinResumptionRate(share)
        | Requirement::MinReturningShare(share)
        | Requirement::MaxRateDrop(share) => format!("{name} = {}", share.0),
        Requirement::MustResume { nth, later: false } => format!("{name} = {nth}"),
        Requirement::MustResume { nth, later: true } => format!("{name} = \"{nth}+\""),
        Requirement::MaxTicketLifetime(nanos) | Requirement::MaxKeyAge(nanos) if nanos % SECOND == 0 => {
            format!("{name} = {}", nanos / SECOND)
        }
        Requirement::MaxTicketLifetime(nanos) | Requirement::MaxKeyAge(nanos) => {
            format!("{name} = \"{}ms\"", nanos / 1_000_000)
        }
        Requirement::EarlyData(rule) => {
            let word = match rule {
                EarlyDataRule::Allow => "allow",
                EarlyDataRule::Forbid => "forbid",
                EarlyDataRule::ForbidOffer => "forbid-offer",
                EarlyDataRule::Require => "require",
            };
            format!("{name} = \"{word}\"")
        }
        Requirement::AllowVersion(versions) => {
            let versions: Vec<String> = versions.iter().map(|version| format!("\"{version}\"")).collect();
            format!("{name} = [{}]", versions.join(", "))
        }
        Requirement::NoNewReason(allowed) if allowed.is_empty() => format!("# {name}"),
        Requirement::NoNewReason(allowed) => {
            let names: Vec<String> = allowed.iter().map(|name| format!("\"{name}\"")).collect();
            format!("allow-new-reason = [{}]", names.join(", "))
        }
        Requirement::Reason(_, of) | Requirement::Pattern(_, of) | Requirement::Finding(_, of) => {
            format!("{name} = \"{of}\"")
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_is_switched_off_stays_off_where_what_is_shown_is_read_again() {
        let of = |file: &str| {
            let mut rules = Rules::default();
            rules.add_file("a.toml", file, &|_| Ok(())).expect("rules");
            rules.finish().expect("rules")
        };
        let rules = of("min-connections = 0\nearly-data = \"allow\"\n");
        assert_eq!(rules.rules.len(), 1, "max-unclear alone demands something");
        let shown = show(&rules);
        assert!(shown.contains("min-connections = 0 "), "{shown}");
        let again = of(&shown);
        assert_eq!(again.rules.len(), 1, "{shown}");
        assert_eq!(again.switched_off.len(), 2);
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let mut rules = Rules::default();
        let fine = |_: &str| Ok(());
        let file = "min-confidence = \"inferred\"\nbaseline = \"a \\\"b\\\".json\"\nallow-new-reason = \"stek-changed\"\n\
            max-key-age = \"1500ms\"\nallow-version = \"1.2,1.3\"\nearly-data = \"forbid\"\nmax-ticket-lifetime = \"7d\"\n\
            forbid-pattern = [\"failover\", \"ticket-key-changed\"]\n\
            [each.mechanism]\nmin-resumption-rate = 0.25\n[[part]]\nwhere = \"name:a.test\"\nmust-resume = \"2+\"\n";
        rules.add_file("a.toml", file, &fine).expect("rules");
        rules
            .add_flag("require-reason", "stek-not-shared", &fine)
            .expect("a rule");
        let rules = rules.finish().expect("rules");
        let shown = show(&rules);
        let mut again = Rules::default();
        again.add_file("a.toml", &shown, &fine).expect("rules");
        let again = again.finish().expect("rules");
        let demands = |rules: &Rules| {
            let mut told: Vec<String> = rules
                .rules
                .iter()
                .map(|rule| format!("{:?} {:?}", rule.demand, rule.scope))
                .collect();
            told.sort();
            told
        };
        assert_eq!(demands(&again), demands(&rules), "{shown}");
        assert_eq!(again.baseline.map(|(path, _)| path), Some("a \"b\".json".to_owned()));
        assert!(shown.contains("# default") && shown.contains("# a.toml:1:1") && shown.contains("# --require-reason"));
    }
}
