//! What a rule demands, and how its value is written: the same in a flag and in a file.

use std::fmt;

use reshake_core::diagnosis::security::FINDINGS;
use reshake_core::diagnosis::service::PATTERNS;
use reshake_core::diagnosis::{CATALOG, Confidence};
use reshake_core::net::span::SECOND;
use reshake_core::tls::ProtocolVersion;

use crate::wording;

/// A share, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fraction(pub f64);

/// Whether something must not be there or must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// It must not be there.
    Forbid,
    /// It must be there.
    Require,
}

/// What is demanded of early data (0-RTT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyDataRule {
    /// It may be there: no rule.
    Allow,
    /// None is accepted.
    Forbid,
    /// None is offered.
    ForbidOffer,
    /// Some is accepted.
    Require,
}

/// What one rule demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Requirement {
    /// So many connections.
    MinConnections(u64),
    /// At most this share of outcomes that are not visible.
    MaxUnclear(Fraction),
    /// Accepted of the decided offers.
    MinResumptionRate(Fraction),
    /// Resumed of the handshakes of returning clients.
    MinReturningShare(Fraction),
    /// The Nth connection of each client at a service resumes, or all from there on.
    MustResume {
        /// From 1.
        nth: u64,
        /// And every later one.
        later: bool,
    },
    /// A reason of a connection.
    Reason(Polarity, &'static str),
    /// A pattern of a service.
    Pattern(Polarity, &'static str),
    /// A security finding of a service.
    Finding(Polarity, &'static str),
    /// Nanoseconds that a ticket may live.
    MaxTicketLifetime(i64),
    /// Nanoseconds that a ticket key may be in use.
    MaxKeyAge(i64),
    /// Early data.
    EarlyData(EarlyDataRule),
    /// Versions that may be negotiated.
    AllowVersion(Vec<ProtocolVersion>),
    /// How far the resumption rate may be below that of the baseline.
    MaxRateDrop(Fraction),
    /// No reason that the baseline does not have, but these.
    NoNewReason(Vec<&'static str>),
}

impl Requirement {
    /// Name of the rule.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MinConnections(_) => "min-connections",
            Self::MaxUnclear(_) => "max-unclear",
            Self::MinResumptionRate(_) => "min-resumption-rate",
            Self::MinReturningShare(_) => "min-returning-share",
            Self::MustResume { .. } => "must-resume",
            Self::Reason(Polarity::Forbid, _) => "forbid-reason",
            Self::Reason(Polarity::Require, _) => "require-reason",
            Self::Pattern(Polarity::Forbid, _) => "forbid-pattern",
            Self::Pattern(Polarity::Require, _) => "require-pattern",
            Self::Finding(Polarity::Forbid, _) => "forbid-finding",
            Self::Finding(Polarity::Require, _) => "require-finding",
            Self::MaxTicketLifetime(_) => "max-ticket-lifetime",
            Self::MaxKeyAge(_) => "max-key-age",
            Self::EarlyData(_) => "early-data",
            Self::AllowVersion(_) => "allow-version",
            Self::MaxRateDrop(_) => "max-rate-drop",
            Self::NoNewReason(_) => "no-new-reason",
        }
    }

    /// What it is about, where several rules of one name stand beside each other.
    #[must_use]
    pub const fn of(&self) -> Option<&'static str> {
        match self {
            Self::Reason(_, name) | Self::Pattern(_, name) | Self::Finding(_, name) => Some(name),
            _ => None,
        }
    }

    /// The demands that a value makes under the name of a rule: one, or one for each name of a list.
    ///
    /// # Errors
    /// What is wrong with the value, and which element of a list it is.
    pub(super) fn read(name: &str, value: &Value) -> Result<Vec<Self>, WrongValue> {
        let one = match name {
            "min-connections" => Self::MinConnections(count(value)?),
            "max-unclear" => Self::MaxUnclear(share(value)?),
            "min-resumption-rate" => Self::MinResumptionRate(share(value)?),
            "min-returning-share" => Self::MinReturningShare(share(value)?),
            "max-rate-drop" => Self::MaxRateDrop(share(value)?),
            "must-resume" => {
                let (nth, later) = ordinal(value)?;
                Self::MustResume { nth, later }
            }
            "max-ticket-lifetime" => Self::MaxTicketLifetime(duration(value)?),
            "max-key-age" => Self::MaxKeyAge(duration(value)?),
            "early-data" => Self::EarlyData(early_data(value)?),
            "allow-version" => Self::AllowVersion(versions(value)?),
            "forbid-reason" => return names(value, &reasons(), |name| Self::Reason(Polarity::Forbid, name)),
            "require-reason" => return named(value, &reasons(), |name| Self::Reason(Polarity::Require, name)),
            "forbid-pattern" => return names(value, &patterns(), |name| Self::Pattern(Polarity::Forbid, name)),
            "require-pattern" => return named(value, &patterns(), |name| Self::Pattern(Polarity::Require, name)),
            "forbid-finding" => return names(value, &findings(), |name| Self::Finding(Polarity::Forbid, name)),
            "require-finding" => return named(value, &findings(), |name| Self::Finding(Polarity::Require, name)),
            _ => return Err(wrong(format!("'{name}' takes no value"))),
        };
        Ok(vec![one])
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text; every value of a flag is one.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number with a point.
    Number(f64),
    /// Several.
    List(Vec<Self>),
    /// Something that no rule takes.
    Other(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(_) => f.write_str("a list"),
            Self::Other(what) => write!(f, "a {what}"),
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrongValue {
    /// In one line.
    pub(super) message: String,
    /// Which element of a list.
    pub(super) element: Option<usize>,
}

fn wrong(message: impl Into<String>) -> WrongValue {
    WrongValue {
        message: message.into(),
        element: None,
    }
}

fn count(value: &Value) -> Result<u64, WrongValue> {
    let number = match value {
        Value::Whole(number) => u64::try_from(*number).ok(),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong(format!("{value} is not a whole number of 0 or more")))
}

fn share(value: &Value) -> Result<Fraction, WrongValue> {
    #[allow(clippy::cast_precision_loss)] // only 0 and 1 pass
    let number = match value {
        Value::Whole(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::Text(text) => {
            let text = text.trim();
            match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().map(|number: f64| number / 100.0),
                None => text.parse().ok(),
            }
        }
        _ => None,
    };
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .map(Fraction)
        .ok_or_else(|| {
            wrong(format!(
                "{value} is not a share: 0 to 1 such as 0.9, or a string such as 90%"
            ))
        })
}

/// Seconds, or a number with a unit.
fn duration(value: &Value) -> Result<i64, WrongValue> {
    let nanos = match value {
        Value::Whole(seconds) => seconds.checked_mul(SECOND),
        Value::Text(text) => wording::span(text),
        _ => None,
    };
    nanos
        .filter(|nanos| *nanos > 0)
        .ok_or_else(|| wrong(format!("{value}: {}", wording::DURATION)))
}

fn ordinal(value: &Value) -> Result<(u64, bool), WrongValue> {
    let read = match value {
        Value::Whole(number) => u64::try_from(*number).ok().map(|nth| (nth, false)),
        Value::Text(text) => {
            let text = text.trim();
            let bare = text.strip_suffix('+');
            bare.unwrap_or(text).parse().ok().map(|nth| (nth, bare.is_some()))
        }
        _ => None,
    };
    let usable = read.filter(|(nth, _)| *nth >= 1);
    usable.ok_or_else(|| {
        wrong(format!(
            "{value} is not a position: 2 is the second connection, 2+ that and all later ones"
        ))
    })
}

fn early_data(value: &Value) -> Result<EarlyDataRule, WrongValue> {
    match value {
        Value::Text(text) if text == "allow" => Ok(EarlyDataRule::Allow),
        Value::Text(text) if text == "forbid" => Ok(EarlyDataRule::Forbid),
        Value::Text(text) if text == "forbid-offer" => Ok(EarlyDataRule::ForbidOffer),
        Value::Text(text) if text == "require" => Ok(EarlyDataRule::Require),
        _ => Err(wrong(format!(
            "{value} is not one of allow, forbid, forbid-offer, require"
        ))),
    }
}

/// The elements of a list, or of a text with commas, each with its place in a list.
fn elements(value: &Value) -> Result<Vec<(Option<usize>, String)>, WrongValue> {
    let split = |text: &str| -> Vec<String> { text.split(',').map(|part| part.trim().to_owned()).collect() };
    let elements: Vec<(Option<usize>, String)> = match value {
        Value::Text(text) => split(text).into_iter().map(|part| (None, part)).collect(),
        Value::List(list) => {
            let mut parts = Vec::new();
            for (place, element) in list.iter().enumerate() {
                let Value::Text(text) = element else {
                    return Err(WrongValue {
                        message: format!("{element} is not a name"),
                        element: Some(place),
                    });
                };
                parts.push((Some(place), text.trim().to_owned()));
            }
            parts
        }
        _ => return Err(wrong(format!("{value} is not a name or list of names"))),
    };
    if elements.is_empty() {
        return Err(wrong("the list is empty: it would demand nothing"));
    }
    Ok(elements)
}

fn versions(value: &Value) -> Result<Vec<ProtocolVersion>, WrongValue> {
    elements(value)?
        .into_iter()
        .map(|(element, text)| {
            wording::version(&text).ok_or_else(|| WrongValue {
                message: format!("'{text}' is not a version: SSL 3.0, TLS 1.0, 1.1, 1.2 or 1.3"),
                element,
            })
        })
        .collect()
}

/// The names of a catalogue, and what they are names of.
struct Names {
    what: &'static str,
    known: Vec<&'static str>,
}

fn reasons() -> Names {
    Names {
        what: "reason",
        known: CATALOG.iter().map(|reason| reason.name).collect(),
    }
}

fn patterns() -> Names {
    Names {
        what: "pattern",
        known: PATTERNS.iter().map(|kind| kind.name).collect(),
    }
}

fn findings() -> Names {
    Names {
        what: "finding",
        known: FINDINGS.iter().map(|kind| kind.name).collect(),
    }
}

impl Names {
    /// The names that a text stands for: one, or with `*` at its end all that begin so.
    fn meant(&self, text: &str, element: Option<usize>, stars: bool) -> Result<Vec<&'static str>, WrongValue> {
        let begins = text.strip_suffix('*').filter(|_| stars);
        let is_meant = |name: &&&'static str| match begins {
            Some(begins) => name.starts_with(begins),
            None => **name == text,
        };
        let meant: Vec<&'static str> = self.known.iter().filter(is_meant).copied().collect();
        if !meant.is_empty() {
            return Ok(meant);
        }
        let or_else = "'reshake explain' lists them all";
        Err(WrongValue {
            message: wording::unknown(self.what, text, self.known.iter().copied(), or_else),
            element,
        })
    }
}

/// One demand for each name; `*` at the end of a name stands for all that begin so.
fn names(
    value: &Value,
    names: &Names,
    demand: impl Fn(&'static str) -> Requirement,
) -> Result<Vec<Requirement>, WrongValue> {
    read_names(value, names, true, demand)
}

/// One demand for each name.
fn named(
    value: &Value,
    names: &Names,
    demand: impl Fn(&'static str) -> Requirement,
) -> Result<Vec<Requirement>, WrongValue> {
    read_names(value, names, false, demand)
}

fn read_names(
    value: &Value,
    names: &Names,
    stars: bool,
    demand: impl Fn(&'static str) -> Requirement,
) -> Result<Vec<Requirement>, WrongValue> {
    let mut demands = Vec::new();
    for (element, text) in elements(value)? {
        for name in names.meant(&text, element, stars)? {
            let demand = demand(name);
            if !demands.contains(&demand) {
                demands.push(demand);
            }
        }
    }
    Ok(demands)
}

/// Names of reasons, `*` for all that begin so.
pub(super) fn reason_names(value: &Value) -> Result<Vec<&'static str>, WrongValue> {
    let demands = names(value, &reasons(), |name| Requirement::Reason(Polarity::Forbid, name))?;
    Ok(demands.iter().filter_map(Requirement::of).collect())
}

/// "observed", "inferred" or "possible".
pub(super) fn confidence(value: &Value) -> Result<Confidence, WrongValue> {
    let all = [Confidence::Observed, Confidence::Inferred, Confidence::Possible];
    let known = all
        .into_iter()
        .find(|known| matches!(value, Value::Text(text) if text == known.code()));
    known.ok_or_else(|| wrong(format!("{value} is not one of observed, inferred, possible")))
}

/// The name of a file.
pub(super) fn path(value: &Value) -> Result<String, WrongValue> {
    match value {
        Value::Text(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(wrong(format!("{value} is not a file name"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[allow(clippy::needless_pass_by_value)] // values are made where they are asked about
    fn read(name: &str, value: Value) -> Result<Vec<Requirement>, String> {
        Requirement::read(name, &value).map_err(|wrong| wrong.message)
    }

    #[test]
    fn shares_are_numbers_or_per_cent() {
        let rate = |share| Ok(vec![Requirement::MinResumptionRate(Fraction(share))]);
        for value in [Value::Number(0.9), text("0.9"), text("90%"), text(" 90 %")] {
            assert_eq!(read("min-resumption-rate", value), rate(0.9));
        }
        assert_eq!(read("min-resumption-rate", Value::Whole(1)), rate(1.0));
        for value in [
            Value::Whole(90),
            Value::Number(f64::NAN),
            Value::Number(-0.1),
            text("120%"),
            text(""),
            Value::Other("boolean"),
        ] {
            assert!(read("min-resumption-rate", value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn times_have_units_or_are_seconds() {
        let seconds = |seconds: i64| Ok(vec![Requirement::MaxKeyAge(seconds * SECOND)]);
        assert_eq!(read("max-key-age", Value::Whole(90)), seconds(90));
        assert_eq!(read("max-key-age", text("90")), seconds(90));
        assert_eq!(read("max-key-age", text("24h")), seconds(86_400));
        assert_eq!(read("max-key-age", text("7 d")), seconds(7 * 86_400));
        for value in [
            Value::Whole(0),
            text("h"),
            text("1.5h"),
            text("9223372036854775807d"),
            text("1y"),
        ] {
            assert!(read("max-key-age", value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn names_are_those_of_the_catalogues() {
        let reason = |name| Requirement::Reason(Polarity::Forbid, name);
        let list = Value::List(vec![text("stek-not-shared"), text("stek-*")]);
        let expected = vec![reason("stek-not-shared"), reason("stek-changed")];
        assert_eq!(read("forbid-reason", list), Ok(expected));
        assert_eq!(
            read("forbid-reason", text("stek-not-sharde")),
            Err("unknown reason 'stek-not-sharde'; did you mean 'stek-not-shared' or 'stek-changed'?".to_owned())
        );
        assert_eq!(
            read("forbid-finding", text("*")).map(|all| all.len()),
            Ok(FINDINGS.len())
        );
        assert!(read("require-finding", text("*")).is_err(), "one of them, not all");
        assert!(
            read("forbid-reason", Value::List(Vec::new())).is_err(),
            "it would demand nothing"
        );
    }

    #[test]
    fn places_and_versions_are_read_in_every_spelling() {
        assert_eq!(
            read("must-resume", text("2+")),
            Ok(vec![Requirement::MustResume { nth: 2, later: true }])
        );
        assert!(read("must-resume", Value::Whole(0)).is_err());
        let versions = vec![Requirement::AllowVersion(vec![
            ProtocolVersion::TLS_1_2,
            ProtocolVersion::TLS_1_3,
        ])];
        assert_eq!(read("allow-version", text("TLS 1.2,1.3")), Ok(versions));
        assert!(read("allow-version", text("1.4")).is_err());
    }
}
