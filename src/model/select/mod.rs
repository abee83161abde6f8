//! Which connections a report shows: `reason:stek-not-shared client:10.0.0.0/8 -outcome:resumed after:14:00`.
//!
//! A text becomes a [`Selection`], or an error with its place in the text; a selection is asked about one connection at a
//! time. Terms are joined by AND, the values of one term by OR, a leading `-` or `!` negates a term.

mod complete;
mod holds;

use std::fmt;
use std::net::IpAddr;

use reshake_core::diagnosis::CATALOG;
use reshake_core::diagnosis::service::PATTERNS;
use reshake_core::net::Endpoint;
use reshake_core::net::span::SECOND;
use reshake_core::session::{CloseClass, Connection, ConnectionId};

pub use complete::completions;
use holds::is;

use super::{Primary, Report};

/// Every key, with what its values are.
pub const KEYS: [(&str, &str); 20] = [
    (
        "reason",
        "primary reason: a name of 'reshake explain', with * as in stek-*, or none",
    ),
    (
        "outcome",
        "resumed, declined, not-offered, failed, unclear or external-psk",
    ),
    ("client", "address, network (10.0.0.0/8), address:port or port"),
    ("server", "address, network, address:port or port"),
    ("name", "server name, or with * as in *.example.test, or none"),
    ("version", "1.0 to 1.3, or ssl3.0"),
    ("transport", "tcp, quic or dtls"),
    ("offered", "session-id, ticket, psk, external-psk or none"),
    ("resumed-by", "session-id, ticket or psk"),
    ("close", "close class as in the JSON report, or not-visible"),
    ("backend", "backend-1, or 1, or none"),
    ("cache", "domain-1, or 1, or none"),
    ("pattern", "a pattern that settled the reason"),
    ("frame", "number or range (17-31) that the connection's frames meet"),
    (
        "after",
        "began then or later: 14:00, 14:00:30, 2026-01-02T14:00:00Z, +90 (seconds)",
    ),
    ("before", "began before then"),
    (
        "id",
        "beginning of the id of a connection (c…), or of a credential that it offered or was given (k…)",
    ),
    ("number", "number of the connection in the report, or a range"),
    ("confidence", "observed, inferred or possible: of the primary reason"),
    (
        ANY,
        "text in an address, server name, reason, pattern, outcome, version or id; a word without a key means the same",
    ),
];

/// The key of a bare word.
const ANY: &str = "any";

/// Keys whose values name hosts or credentials.
const NAMING: [&str; 5] = ["client", "server", "name", "id", ANY];
const OUTCOMES: [&str; 6] = [
    "resumed",
    "declined",
    "not-offered",
    "failed",
    "unclear",
    "external-psk",
];
const OFFERS: [&str; 5] = ["session-id", "ticket", "psk", "external-psk", "none"];
const MECHANISMS: [&str; 3] = ["session-id", "ticket", "psk"];
const TRANSPORTS: [&str; 3] = ["tcp", "quic", "dtls"];
const VERSIONS: [&str; 5] = ["ssl3.0", "1.0", "1.1", "1.2", "1.3"];
const CONFIDENCES: [&str; 3] = ["observed", "inferred", "possible"];

/// A selection that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    text: String,
    terms: Vec<Term>,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectError {
    /// First character.
    pub at: usize,
    /// Characters.
    pub length: usize,
    /// What is wrong, in one line.
    pub message: String,
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    negated: bool,
    key: &'static str,
    values: Vec<TermValue>,
}

#[derive(Debug, Clone, PartialEq)]
enum TermValue {
    /// Compared as text, with `*` for anything.
    Text(String),
    Network(IpAddr, u8),
    Endpoint(Endpoint),
    Port(u16),
    Range(u64, u64),
    /// Seconds since midnight.
    Clock(i64),
    /// Nanoseconds since the epoch.
    Moment(i64),
    /// Nanoseconds since the first packet.
    Offset(i64),
    /// These connections, in the order of their ids.
    These(Vec<ConnectionId>),
}

/// What a term is asked about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'s> {
    pub(super) report: &'s Report<'s>,
    pub(super) number: usize,
    pub(super) id: ConnectionId,
    pub(super) connection: &'s Connection,
    pub(super) primary: Option<Primary>,
}

impl Selection {
    /// Understands a text.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, SelectError> {
        let mut terms = Vec::new();
        let mut at = 0;
        for word in text.split(char::is_whitespace) {
            if !word.is_empty() {
                terms.push(term(word, at)?);
            }
            at += word.chars().count() + 1;
        }
        if terms.is_empty() {
            return Err(error(
                0,
                text.chars().count(),
                "there is no term; a term is KEY:VALUE, as in outcome:declined",
            ));
        }
        Ok(Self {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            terms,
        })
    }

    /// Understands a text that is still being typed: the beginning of a reason or pattern stands for all that begin so.
    ///
    /// # Errors
    /// The first thing that is wrong; its place is that in the text with a `*` behind every beginning.
    pub fn parse_typed(text: &str) -> Result<Self, SelectError> {
        let words: Vec<String> = text.split_whitespace().map(with_stars).collect();
        Self::parse(&words.join(" "))
    }

    /// The selection as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same selection of the same connections, whatever they are called by then: it is to be asked of a report whose
    /// names are about to be replaced. Values that name hosts or credentials do not stand in its text.
    #[must_use]
    pub fn settled(&self, report: &Report<'_>) -> Self {
        let narrowed = report.narrowed(self.clone());
        let mut these: Vec<ConnectionId> = narrowed.connections().map(|(_, id, _)| id).collect();
        these.sort_unstable();
        let shown = |word: &str| {
            let Some((sign_and_key, _)) = word.split_once(':') else {
                // A bare word may be part of a name.
                return Some("(redacted)".to_owned());
            };
            let key = sign_and_key.trim_start_matches(['-', '!']);
            NAMING.contains(&key).then(|| format!("{sign_and_key}:(redacted)"))
        };
        let words = self
            .text
            .split(' ')
            .map(|word| shown(word).unwrap_or_else(|| word.to_owned()));
        Self {
            text: words.collect::<Vec<_>>().join(" "),
            terms: vec![Term {
                negated: false,
                key: "",
                values: vec![TermValue::These(these)],
            }],
        }
    }

    /// Whether reasons must be known to answer.
    pub(super) fn needs_reasons(&self) -> bool {
        let keys = ["reason", "pattern", "confidence", ANY];
        self.terms.iter().any(|term| keys.contains(&term.key))
    }

    /// Whether a connection belongs to it.
    pub(super) fn holds(&self, subject: Subject<'_>) -> bool {
        self.terms.iter().all(|term| {
            let any = term.values.iter().any(|value| is(term.key, value, subject));
            any != term.negated
        })
    }
}

fn error(at: usize, length: usize, message: impl Into<String>) -> SelectError {
    SelectError {
        at,
        length: length.max(1),
        message: message.into(),
    }
}

/// One term that begins at a character of the text.
fn term(word: &str, at: usize) -> Result<Term, SelectError> {
    let bare = word.strip_prefix(['-', '!']);
    let (negated, body) = (bare.is_some(), bare.unwrap_or(word));
    let at = at + usize::from(negated);
    let Some((key, values)) = body.split_once(':') else {
        let length = body.chars().count();
        if body.is_empty() || body.contains(['=', '<', '>', '"', '\'', '&', '|', '(']) {
            let message =
                format!("'{body}' is no term; a term is KEY:VALUE, as in outcome:declined, or a word to search for");
            return Err(error(at, length, message));
        }
        return Ok(Term {
            negated,
            key: ANY,
            values: body.split(',').filter(|word| !word.is_empty()).map(word_of).collect(),
        });
    };
    let Some((known, _)) = KEYS.iter().find(|(known, _)| *known == key) else {
        return Err(error(
            at,
            key.chars().count(),
            unknown("key", key, &KEYS.map(|(known, _)| known)),
        ));
    };
    let mut place = at + key.chars().count() + 1;
    let mut understood = Vec::new();
    for text in values.split(',') {
        let length = text.chars().count();
        if text.is_empty() {
            return Err(error(place, 1, format!("{known}: has an empty value")));
        }
        understood.push(value(known, text).map_err(|message| error(place, length, message))?);
        place += length + 1;
    }
    Ok(Term {
        negated,
        key: known,
        values: understood,
    })
}

fn unknown(what: &str, given: &str, known: &[&'static str]) -> String {
    let or_else = if matches!(what, "reason" | "pattern" | "finding") {
        "'reshake explain' lists them all".to_owned()
    } else {
        format!("known: {}", known.join(", "))
    };
    crate::wording::unknown(what, given, known.iter().copied(), &or_else)
}

fn value(key: &'static str, text: &str) -> Result<TermValue, String> {
    let small = text.to_ascii_lowercase();
    let one_of = |known: &[&'static str]| {
        if known.contains(&small.as_str()) {
            Ok(TermValue::Text(small.clone()))
        } else {
            Err(unknown(key, text, known))
        }
    };
    match key {
        "reason" | "pattern" if small == "none" || small.contains('*') => Ok(TermValue::Text(small)),
        "reason" => one_of(&CATALOG.iter().map(|reason| reason.name).collect::<Vec<_>>()),
        "pattern" => one_of(&PATTERNS.iter().map(|kind| kind.name).collect::<Vec<_>>()),
        "outcome" => one_of(&OUTCOMES),
        "offered" => one_of(&OFFERS),
        "resumed-by" => one_of(&MECHANISMS),
        "confidence" => one_of(&CONFIDENCES),
        "transport" => one_of(&TRANSPORTS),
        "close" => {
            let classes = CloseClass::ALL.into_iter().map(CloseClass::code);
            one_of(&classes.chain(["not-visible"]).collect::<Vec<_>>())
        }
        "version" => version(&small).ok_or_else(|| unknown(key, text, &VERSIONS)),
        "client" | "server" => address(&small),
        "backend" => label(&small, "backend-"),
        "cache" => label(&small, "domain-"),
        "frame" | "number" => {
            range(&small).ok_or_else(|| format!("'{text}': expected a number or range, for example 17 or 17-31"))
        }
        "after" | "before" => moment(text),
        ANY => Ok(word_of(text)),
        "id" => id(&small).ok_or_else(|| format!("'{text}' is no beginning of an id, as c1f or k0a9")),
        _ => Ok(TermValue::Text(small)),
    }
}

/// A word that is searched for anywhere.
fn word_of(word: &str) -> TermValue {
    TermValue::Text(format!("*{}*", word.to_ascii_lowercase().trim_matches('*')))
}

/// A word in which a `*` follows every value that is only the beginning of names.
fn with_stars(word: &str) -> String {
    let Some((key, values)) = word.split_once(':') else {
        return word.to_owned();
    };
    let known: Vec<&str> = match key.trim_start_matches(['-', '!']) {
        "reason" => CATALOG.iter().map(|reason| reason.name).collect(),
        "pattern" => PATTERNS.iter().map(|kind| kind.name).collect(),
        _ => return word.to_owned(),
    };
    let with_star = |value: &str| {
        let begins = !value.is_empty() && known.iter().any(|name| name.starts_with(value));
        let star = if begins && !known.contains(&value) { "*" } else { "" };
        format!("{value}{star}")
    };
    let values: Vec<String> = values.split(',').map(with_star).collect();
    format!("{key}:{}", values.join(","))
}

/// As the values of the key are told.
fn version(text: &str) -> Option<TermValue> {
    let version = crate::wording::version(text)?
        .to_string()
        .to_ascii_lowercase()
        .replace(' ', "");
    Some(TermValue::Text(version.trim_start_matches("tls").to_owned()))
}

/// An address, a network, an address with a port, or a port.
fn address(text: &str) -> Result<TermValue, String> {
    let wrong = || format!("'{text}' is no address, network (10.0.0.0/8), address:port or port");
    if let Some((ip, bits)) = text.split_once('/') {
        let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
        let bits: u8 = bits.parse().map_err(|_| wrong())?;
        return if bits <= width(ip) {
            Ok(TermValue::Network(ip, bits))
        } else {
            Err(wrong())
        };
    }
    if let Ok(port) = text.parse() {
        return Ok(TermValue::Port(port));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(TermValue::Network(ip, width(ip)));
    }
    let end: std::net::SocketAddr = text.parse().map_err(|_| wrong())?;
    Ok(TermValue::Endpoint(Endpoint {
        ip: end.ip(),
        port: end.port(),
    }))
}

const fn width(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn label(text: &str, prefix: &str) -> Result<TermValue, String> {
    let number = text.strip_prefix(prefix).unwrap_or(text);
    if text != "none" && number.parse::<u16>().is_err() {
        return Err(format!("'{text}' is no label, as {prefix}1, and not 'none'"));
    }
    Ok(TermValue::Text(number.to_owned()))
}

fn range(text: &str) -> Option<TermValue> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (0 < first && first <= last).then_some(TermValue::Range(first, last))
}

fn id(text: &str) -> Option<TermValue> {
    let digits = text.strip_prefix(['c', 'k'])?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| TermValue::Text(text.to_owned()))
}

/// A time of day, a moment, or seconds from the first packet.
fn moment(text: &str) -> Result<TermValue, String> {
    let wrong = || format!("'{text}' is no time: HH:MM, HH:MM:SS, RFC 3339 with zone, or +SECONDS");
    if let Some(offset) = text.strip_prefix('+') {
        let (whole, part) = offset.split_once('.').unwrap_or((offset, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 9 {
            return Err(wrong());
        }
        let fraction: i64 = format!("{part:0<9}").parse().map_err(|_| wrong())?;
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let nanos = whole.checked_mul(SECOND).and_then(|nanos| nanos.checked_add(fraction));
        return nanos.map(TermValue::Offset).ok_or_else(wrong);
    }
    if text.contains(['T', 't']) {
        let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        return i64::try_from(moment.as_nanosecond())
            .map(TermValue::Moment)
            .map_err(|_| wrong());
    }
    let clock = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let parts: Option<Vec<i64>> = clock
        .split(':')
        .map(|part| {
            (part.len() == 2)
                .then(|| part.parse::<u8>().ok().map(i64::from))
                .flatten()
        })
        .collect();
    match parts.as_deref() {
        Some([hours @ 0..=23, minutes @ 0..=59]) => Ok(TermValue::Clock(hours * 3600 + minutes * 60)),
        Some([hours @ 0..=23, minutes @ 0..=59, seconds @ 0..=59]) => {
            Ok(TermValue::Clock(hours * 3600 + minutes * 60 + seconds))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrong(text: &str) -> (usize, usize, String) {
        let error = Selection::parse(text).expect_err(text);
        (error.at, error.length, error.message)
    }

    #[test]
    fn terms_of_every_key_are_understood() {
        for text in [
            "reason:stek-not-shared client:10.0.0.0/8 outcome:declined after:14:00",
            "reason:stek-* -outcome:resumed,failed !close:clean-both",
            "client:10.0.0.1,10.0.0.1:443,443 server:2001:db8::1 server:[2001:db8::1]:443 server:2001:db8::/32",
            "name:*.example.test version:1.2,TLS1.3,ssl3 offered:none,ticket resumed-by:psk",
            "backend:backend-2 backend:none cache:1 frame:17 frame:17-31 number:3 id:c id:k0a confidence:possible",
            "www -declined,failed any:10.0.0. 192.0.2.1",
            "after:2026-01-02T14:00:00Z before:23:59:59 after:+90 before:+0.25 pattern:failover",
        ] {
            assert!(Selection::parse(text).is_ok(), "{text}: {:?}", Selection::parse(text));
        }
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(wrong("outcome:declined resaon:x").0, 17);
        assert!(wrong("resaon:x").2.contains("did you mean 'reason'"));
        assert_eq!(wrong("outcome:declined,lost").0, 17);
        assert_eq!(wrong("-frame:9-3").0, 7);
        assert_eq!(
            wrong("outcome=declined").2,
            "'outcome=declined' is no term; a term is KEY:VALUE, as in outcome:declined, or a word to search for"
        );
        assert_eq!(wrong("client:10.0.0.0/33").1, 11);
        assert_eq!(wrong("name:a,,b").0, 7);
        for text in [
            "",
            "  ",
            "after:25:00",
            "after:14",
            "frame:0",
            "client:x",
            "backend:two",
            "id:z",
            "after:+",
            "version:2",
        ] {
            assert!(Selection::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn while_it_is_typed_a_beginning_is_enough() {
        let typed = |text: &str| Selection::parse_typed(text).map(|selection| selection.text().to_owned());
        assert_eq!(typed("reason:stek backend:2").as_deref(), Ok("reason:stek* backend:2"));
        assert_eq!(
            typed("-reason:stek,stek-changed pattern:fail").as_deref(),
            Ok("-reason:stek*,stek-changed pattern:fail*")
        );
        assert!(typed("reason:zzz").is_err() && typed("reason:").is_err() && typed("name:w").is_ok());
    }

    #[test]
    fn the_page_lists_every_key() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/where.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let (before, rest) = page.split_once("|---|---|\n").expect("a table");
        let after = rest
            .find("\n\n")
            .and_then(|place| rest.get(place..))
            .expect("text after it");
        let rows: Vec<String> = KEYS
            .iter()
            .map(|(key, values)| format!("| `{key}` | {} |", values.replace('*', "\\*")))
            .collect();
        let made = format!("{before}|---|---|\n{}{after}", rows.join("\n"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &made).expect("docs can be written");
        } else {
            assert!(
                made == page,
                "docs/where.md does not list the keys as they are; UPDATE=1 cargo test rewrites it"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused_with_a_place_inside_it(text in "\\PC{0,60}") {
            if let Err(error) = Selection::parse(&text) {
                prop_assert!(error.at + error.length <= text.chars().count().max(1) + 1);
            }
        }

        #[test]
        fn any_value_of_any_key_is_understood_or_refused(key in 0..KEYS.len(), value in "[-+0-9a-z*.:/,\\[\\]TZ]{0,24}") {
            let _ = Selection::parse(&format!("{}:{value}", KEYS[key].0));
        }
    }
}
