//! The rules in force: defaults, those of a file, those of flags, each with where it comes from. A flag stands over a
//! file, a file over a default; names of lists add up.

use std::fmt;

use super::catalog::{Given, RULES, RuleKind};
use super::requirement::{self, EarlyDataRule, Fraction, Requirement, Value, WrongValue};
use reshake_core::diagnosis::Confidence;

/// Connections without which nothing was tested.
const DEFAULT_CONNECTIONS: u64 = 1;
/// Share of unclear outcomes above which a capture proves nothing.
const DEFAULT_UNCLEAR: Fraction = Fraction(0.1);

/// A rule that is laid on each of several parts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Each {
    /// Server endpoint and server name.
    Service,
    /// Server name.
    ServerName,
    /// Session ID, ticket or PSK that was offered.
    Mechanism,
}

impl Each {
    const ALL: [Self; 3] = [Self::Service, Self::ServerName, Self::Mechanism];

    /// Name in flags, files and reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::ServerName => "server-name",
            Self::Mechanism => "mechanism",
        }
    }

    pub(super) fn by_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.code() == code)
    }
}

/// Which connections a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All.
    All,
    /// Those of each part by itself.
    Each(Each),
    /// Those for which terms hold.
    Part(String),
}

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It holds unless something else is said.
    Default,
    /// A flag, without its dashes.
    Flag(&'static str),
    /// A place in a file, counted from 1.
    File {
        /// As it was named.
        path: String,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
        }
    }
}

/// What is wrong with a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The flag or the place in the file.
    pub origin: Origin,
    /// In one line.
    pub message: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// A rule in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it demands.
    pub demand: Requirement,
    /// Of which connections.
    pub scope: Scope,
    /// Where it comes from.
    pub origin: Origin,
}

impl Rule {
    /// Whether another one is about the same: then the later one counts.
    fn is_like(&self, other: &Self) -> bool {
        self.scope == other.scope && self.demand.name() == other.demand.name() && self.demand.of() == other.demand.of()
    }
}

/// Asked whether terms can be understood: if not, at which character of them, and why not.
pub type Terms<'t> = &'t dyn Fn(&str) -> Result<(), (usize, String)>;

/// The rules in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// In the order given; defaults first.
    pub rules: Vec<Rule>,
    /// Rules that hold whatever a capture shows: nothing judges by them, and they switch a default off.
    pub(super) switched_off: Vec<Rule>,
    /// How sure something must be to count, where that is said.
    pub min_confidence: Option<(Confidence, Origin)>,
    /// The report to compare with.
    pub baseline: Option<(String, Origin)>,
    /// Reasons that may be new.
    allow_new: Option<(Vec<&'static str>, Origin)>,
}

impl Default for Rules {
    fn default() -> Self {
        let default = |demand| Rule {
            demand,
            scope: Scope::All,
            origin: Origin::Default,
        };
        Self {
            rules: vec![
                default(Requirement::MinConnections(DEFAULT_CONNECTIONS)),
                default(Requirement::MaxUnclear(DEFAULT_UNCLEAR)),
            ],
            switched_off: Vec::new(),
            min_confidence: None,
            baseline: None,
            allow_new: None,
        }
    }
}

impl Rules {
    /// Adds what a file says.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and column.
    pub fn add_file(&mut self, path: &str, text: &str, terms: Terms<'_>) -> Result<(), RuleFault> {
        super::file::read(self, path, text, terms)
    }

    /// Adds what a flag says: VALUE or SCOPE=VALUE.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_flag(&mut self, name: &'static str, text: &str, terms: Terms<'_>) -> Result<(), RuleFault> {
        let origin = Origin::Flag(name);
        let fault = |message: String| RuleFault {
            origin: Origin::Flag(name),
            message,
        };
        let scoped = RuleKind::by_name(name).is_some_and(|kind| kind.given == Given::Scoped);
        let (scope, value) = match text.rsplit_once('=').filter(|_| scoped) {
            Some((scope, value)) => (flag_scope(scope.trim(), terms).map_err(fault)?, value.trim()),
            None => (Scope::All, text),
        };
        self.set(name, &scope, &Value::Text(value.to_owned()), &origin)
            .map_err(|wrong| fault(wrong.message))
    }

    /// Adds one entry of the catalogue.
    pub(super) fn set(&mut self, name: &str, scope: &Scope, value: &Value, origin: &Origin) -> Result<(), WrongValue> {
        match name {
            "min-confidence" => self.min_confidence = Some((requirement::confidence(value)?, origin.clone())),
            "baseline" => self.baseline = Some((requirement::path(value)?, origin.clone())),
            "allow-new-reason" => {
                let names = requirement::reason_names(value)?;
                match &mut self.allow_new {
                    Some((known, _)) => known.extend(names),
                    None => self.allow_new = Some((names, origin.clone())),
                }
            }
            _ => {
                for demand in Requirement::read(name, value)? {
                    self.add(Rule {
                        demand,
                        scope: scope.clone(),
                        origin: origin.clone(),
                    })?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, rule: Rule) -> Result<(), WrongValue> {
        let Some(known) = self.rules.iter_mut().find(|known| known.is_like(&rule)) else {
            self.rules.push(rule);
            return Ok(());
        };
        let same_source = matches!(
            (&known.origin, &rule.origin),
            (Origin::Flag(_), Origin::Flag(_)) | (Origin::File { .. }, Origin::File { .. })
        );
        // Of two values in one place neither is the later one. Names that are named twice mean the same.
        if same_source && known.demand != rule.demand {
            return Err(WrongValue {
                message: format!(
                    "is given twice, for the same connections; the other is at {}",
                    known.origin
                ),
                element: None,
            });
        }
        *known = rule;
        Ok(())
    }

    /// Settles what the rules mean together.
    ///
    /// # Errors
    /// What is asked for without what it needs; that nothing is demanded.
    pub fn finish(mut self) -> Result<Self, RuleFault> {
        let needs = |origin: &Origin, name: &str| RuleFault {
            origin: origin.clone(),
            message: format!("{name} compares with an earlier report: give it as baseline"),
        };
        if let Some((_, origin)) = &self.baseline {
            let origin = origin.clone();
            let drop = Requirement::MaxRateDrop(Fraction(0.0));
            if !self.rules.iter().any(|rule| rule.demand.name() == drop.name()) {
                self.rules.push(Rule {
                    demand: drop,
                    scope: Scope::All,
                    origin: origin.clone(),
                });
            }
            let allowed = self.allow_new.take().map(|(names, _)| names).unwrap_or_default();
            self.rules.push(Rule {
                demand: Requirement::NoNewReason(allowed),
                scope: Scope::All,
                origin,
            });
        } else if let Some((_, origin)) = &self.allow_new {
            return Err(needs(origin, "allow-new-reason"));
        } else if let Some(rule) = self
            .rules
            .iter()
            .find(|rule| matches!(rule.demand, Requirement::MaxRateDrop(_)))
        {
            return Err(needs(&rule.origin, "max-rate-drop"));
        }
        let (off, rules) = self.rules.into_iter().partition(|rule| demands_nothing(&rule.demand));
        (self.switched_off, self.rules) = (off, rules);
        Ok(self)
    }

    /// The terms of every part, each once.
    #[must_use]
    pub fn parts(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = Vec::new();
        for rule in &self.rules {
            if let Scope::Part(terms) = &rule.scope
                && !parts.contains(&terms.as_str())
            {
                parts.push(terms);
            }
        }
        parts
    }

    /// Calls a part by another name: the connections that its terms select are then known in another way.
    pub fn rename_part(&mut self, terms: &str, name: &str) {
        for rule in &mut self.rules {
            if matches!(&rule.scope, Scope::Part(part) if part == terms) {
                rule.scope = Scope::Part(name.to_owned());
            }
        }
    }

    /// Whether nothing but the defaults is demanded.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.rules.iter().all(|rule| rule.origin == Origin::Default)
    }
}

/// Whether whatever a capture shows would do: so a default is switched off.
fn demands_nothing(demand: &Requirement) -> bool {
    match demand {
        Requirement::MinConnections(0) | Requirement::EarlyData(EarlyDataRule::Allow) => true,
        Requirement::MaxUnclear(Fraction(most)) | Requirement::MaxRateDrop(Fraction(most)) => *most >= 1.0,
        _ => false,
    }
}

/// The scope in front of a flag's value.
fn flag_scope(text: &str, terms: Terms<'_>) -> Result<Scope, String> {
    if let Some(each) = Each::by_code(text) {
        return Ok(Scope::Each(each));
    }
    if !text.contains(':') {
        let known = Each::ALL.map(Each::code).join(", ");
        return Err(format!(
            "'{text}' in front of '=' is neither one of {known} nor terms such as name:www.example.test"
        ));
    }
    match terms(text) {
        Ok(()) => Ok(Scope::Part(text.to_owned())),
        Err((at, message)) => Err(format!("'{text}', at character {}: {message}", at + 1)),
    }
}

/// What is said of a name that no rule has.
pub(super) fn unknown(what: &str, name: &str, more: &[&'static str]) -> String {
    let given = RULES.iter().filter(|kind| kind.given != Given::Never);
    let known = given.map(|kind| kind.name).chain(more.iter().copied());
    crate::wording::unknown(what, name, known, "'reshake check --help' lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Result<(), (usize, String)> {
        match text.find("wrong") {
            Some(at) => Err((at, "cannot be understood".to_owned())),
            None => Ok(()),
        }
    }

    fn of_flags(flags: &[(&'static str, &str)]) -> Result<Rules, String> {
        let mut rules = Rules::default();
        for (name, text) in flags {
            rules.add_flag(name, text, &terms).map_err(|fault| fault.to_string())?;
        }
        rules.finish().map_err(|fault| fault.to_string())
    }

    #[test]
    fn defaults_hold_until_something_else_is_said() {
        let bare = of_flags(&[]).expect("rules");
        assert!(bare.is_bare());
        let rules = of_flags(&[("min-connections", "5")]).expect("rules");
        assert!(!rules.is_bare());
        let demands: Vec<&Requirement> = rules.rules.iter().map(|rule| &rule.demand).collect();
        assert_eq!(
            demands,
            [
                &Requirement::MinConnections(5),
                &Requirement::MaxUnclear(DEFAULT_UNCLEAR)
            ]
        );
    }

    #[test]
    fn a_flag_may_be_about_a_part() {
        let rules = of_flags(&[
            ("min-resumption-rate", "0.5"),
            ("min-resumption-rate", "service=0.6"),
            ("min-resumption-rate", "name:a.test client:10.0.0.0/8=70%"),
        ])
        .expect("rules");
        let scopes: Vec<&Scope> = rules.rules.iter().skip(2).map(|rule| &rule.scope).collect();
        let part = Scope::Part("name:a.test client:10.0.0.0/8".to_owned());
        assert_eq!(scopes, [&Scope::All, &Scope::Each(Each::Service), &part]);
    }

    #[test]
    fn what_is_wrong_with_a_flag_is_said() {
        for (flags, expected) in [
            (
                &[("max-unclear", "0.1"), ("max-unclear", "0.2")][..],
                "--max-unclear: is given twice, for the same connections; the other is at --max-unclear",
            ),
            (
                &[("max-unclear", "x=0.1")],
                "--max-unclear: 'x' in front of '=' is neither one of service, server-name, mechanism nor terms such as name:www.example.test",
            ),
            (
                &[("max-unclear", "name:wrong=0.1")],
                "--max-unclear: 'name:wrong', at character 6: cannot be understood",
            ),
            (
                &[("max-rate-drop", "0.1")],
                "--max-rate-drop: max-rate-drop compares with an earlier report: give it as baseline",
            ),
            (
                &[("allow-new-reason", "stek-changed")],
                "--allow-new-reason: allow-new-reason compares with an earlier report: give it as baseline",
            ),
        ] {
            assert_eq!(of_flags(flags), Err(expected.to_owned()));
        }
        let twice = of_flags(&[("forbid-reason", "stek-changed"), ("forbid-reason", "stek-changed")]);
        assert_eq!(twice.map(|rules| rules.rules.len()), Ok(3), "a name twice is one rule");
    }

    #[test]
    fn a_baseline_brings_its_two_rules() {
        let rules = of_flags(&[("baseline", "old.json"), ("allow-new-reason", "stek-changed")]).expect("rules");
        let demands: Vec<&Requirement> = rules.rules.iter().skip(2).map(|rule| &rule.demand).collect();
        assert_eq!(
            demands,
            [
                &Requirement::MaxRateDrop(Fraction(0.0)),
                &Requirement::NoNewReason(vec!["stek-changed"])
            ]
        );
    }

    #[test]
    fn early_data_that_is_allowed_is_no_rule() {
        let rules = of_flags(&[("early-data", "allow")]).expect("rules");
        assert!(rules.is_bare());
    }
}
