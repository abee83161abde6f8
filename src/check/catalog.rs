//! The catalogue of rules. Flags, keys of rule files, help, `--print-rules`, the page `docs/ci.md` and SARIF's list of
//! rules bear these names; nothing else lists them.

/// How an entry may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A rule, of all connections or of a part of them.
    Scoped,
    /// A rule of the whole run.
    Whole,
    /// No rule by itself: it says how others are judged.
    Setting,
    /// A rule that comes with another entry.
    Never,
}

/// One entry of the catalogue.
#[derive(Debug)]
pub struct RuleKind {
    /// Name of the flag and of the key in a file.
    pub name: &'static str,
    /// What it demands, at most 100 characters, no full stop.
    pub summary: &'static str,
    /// How it may be given.
    pub given: Given,
}

const fn entry(given: Given, name: &'static str, summary: &'static str) -> RuleKind {
    RuleKind { name, summary, given }
}

const fn rule(name: &'static str, summary: &'static str) -> RuleKind {
    entry(Given::Scoped, name, summary)
}

/// Every rule and every setting that says how rules are judged.
pub static RULES: &[RuleKind] = &[
    rule("min-connections", "at least this many TLS connections"),
    rule(
        "max-unclear",
        "at most this share of the connections has an outcome that is not visible",
    ),
    rule(
        "min-resumption-rate",
        "at least this share of the offers is accepted (resumption_rate)",
    ),
    rule(
        "min-returning-share",
        "at least this share of the handshakes of returning clients resumes (returning_share)",
    ),
    rule(
        "must-resume",
        "the Nth connection of each client to a service resumes; N+ for that and all later ones",
    ),
    rule("forbid-reason", "no connection has this reason"),
    rule("require-reason", "some connection has this reason"),
    rule("forbid-pattern", "no service shows this pattern"),
    rule("require-pattern", "some service shows this pattern"),
    rule("forbid-finding", "no service has this security finding"),
    rule("require-finding", "some service has this security finding"),
    rule(
        "max-ticket-lifetime",
        "no ticket is issued for longer, or accepted when older",
    ),
    rule("max-key-age", "no ticket key is in use for longer"),
    rule("early-data", "forbid 0-RTT, forbid-offer, require it, or allow it"),
    rule("allow-version", "only these versions are negotiated"),
    entry(
        Given::Whole,
        "max-rate-drop",
        "the resumption rate is at most this much below that of the baseline",
    ),
    entry(
        Given::Never,
        "no-new-reason",
        "there is no reason that the baseline does not have; comes with a baseline",
    ),
    entry(
        Given::Setting,
        "allow-new-reason",
        "reasons that may be new against the baseline",
    ),
    entry(Given::Setting, "baseline", "an earlier JSON report to compare with"),
    entry(
        Given::Setting,
        "min-confidence",
        "how sure a reason, pattern, finding or accepted early data must be to count",
    ),
];

impl RuleKind {
    /// The entry with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        RULES.iter().find(|kind| kind.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_summaries_short() {
        for (place, kind) in RULES.iter().enumerate() {
            let same = RULES.iter().position(|other| other.name == kind.name);
            assert_eq!(same, Some(place), "{}", kind.name);
            assert!(
                kind.summary.len() <= 100 && !kind.summary.ends_with('.'),
                "{}",
                kind.name
            );
        }
    }
}
