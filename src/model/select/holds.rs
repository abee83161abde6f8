//! Whether a connection is what a term asks for.

use std::net::IpAddr;

use reshake_core::net::span::{DAY, SECOND};
use reshake_core::net::{Endpoint, Timestamp};
use reshake_core::session::{Connection, OfferKind, Outcome};

use super::{ANY, Subject, TermValue, width};
use crate::model::{Report, connection_id, credential_id};

/// Whether one value of a term holds.
pub(super) fn is(key: &str, value: &TermValue, subject: Subject<'_>) -> bool {
    let Subject { report, connection, .. } = subject;
    if let TermValue::These(ids) = value {
        return ids.binary_search(&subject.id).is_ok();
    }
    match key {
        "offered" => offered(value, connection),
        "client" => at(value, connection.client),
        "server" => at(value, connection.server),
        "number" => meets(value, subject.number as u64, subject.number as u64),
        "frame" => {
            let mut spans = connection.transport.spans.iter();
            spans.any(|(first, last)| meets(value, first.frame(), last.frame()))
        }
        "after" => when(value, report).is_some_and(|moment| connection.transport.started >= moment),
        "before" => when(value, report).is_some_and(|moment| connection.transport.started < moment),
        "id" => matches!(value, TermValue::Text(wanted) if has_id(wanted, subject)),
        ANY => matches!(value, TermValue::Text(wanted) if anywhere(wanted, subject)),
        _ => {
            let told = told(key, subject);
            matches!(value, TermValue::Text(wanted) if like(wanted, told.as_deref().unwrap_or("none")))
        }
    }
}

/// What the report says of a connection under a key whose values are names; `None` is selected by "none".
fn told(key: &str, subject: Subject<'_>) -> Option<String> {
    let Subject { report, connection, .. } = subject;
    let (judged, analyses) = (subject.primary, &report.analyses);
    let name = match key {
        "reason" => judged?.reason.name,
        "confidence" => judged?.confidence.code(),
        "pattern" => judged?.settled_by?,
        "outcome" => connection.outcome.code(),
        "transport" => connection.transport.kind().code(),
        "resumed-by" => match connection.outcome {
            Outcome::Resumed(Some(mechanism)) => mechanism.code(),
            _ => return None,
        },
        "close" => connection.close.class.yes().map_or("not-visible", |class| class.code()),
        "name" => connection.server_name()?.as_ref(),
        "version" => {
            let version = connection.version()?.to_string().to_ascii_lowercase().replace(' ', "");
            return Some(
                version
                    .trim_start_matches('d')
                    .strip_prefix("tls")
                    .unwrap_or(&version)
                    .to_owned(),
            );
        }
        "backend" => return Some(analyses.backend(subject.id)?.to_string()),
        "cache" => return Some(analyses.domain(subject.id)?.to_string()),
        _ => return None,
    };
    Some(name.to_owned())
}

/// Whether a text is part of anything that a list of connections shows.
fn anywhere(wanted: &str, subject: Subject<'_>) -> bool {
    let connection = subject.connection;
    let ends = [connection.client, connection.server];
    ["name", "reason", "pattern", "outcome", "version"]
        .into_iter()
        .filter_map(|key| told(key, subject))
        .chain(ends.map(|end| end.to_string()))
        .chain([connection_id(connection)])
        .any(|text| like(wanted, &text))
}

fn offered(value: &TermValue, connection: &Connection) -> bool {
    let TermValue::Text(wanted) = value else { return false };
    let mut kinds = connection.offers.iter().filter_map(|offer| match offer.kind {
        OfferKind::Resumption(mechanism) => Some(mechanism.code()),
        OfferKind::ExternalPsk => Some("external-psk"),
        OfferKind::UnclearPsk | OfferKind::UnclearSessionId => None,
    });
    if wanted == "none" {
        let nothing = connection.offers.is_empty() && connection.offers_hidden().is_none();
        return connection.hello.yes().is_some() && nothing;
    }
    kinds.any(|kind| kind == wanted)
}

fn has_id(wanted: &str, subject: Subject<'_>) -> bool {
    let Subject { report, connection, .. } = subject;
    let credentials = connection
        .offers
        .iter()
        .map(|offer| offer.credential)
        .chain(connection.issued.iter().copied());
    connection_id(connection).starts_with(wanted)
        || credentials
            .filter_map(|id| report.engine.credential_store().get(id))
            .any(|credential| credential_id(credential).starts_with(wanted))
}

fn at(value: &TermValue, end: Endpoint) -> bool {
    match value {
        TermValue::Port(port) => end.port == *port,
        TermValue::Endpoint(wanted) => end == *wanted,
        TermValue::Network(ip, bits) => within(end.ip, *ip, *bits),
        _ => false,
    }
}

fn within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let shift = u32::from(width(network).saturating_sub(bits));
    width(ip) == width(network) && (number(ip) ^ number(network)).checked_shr(shift).unwrap_or(0) == 0
}

fn meets(value: &TermValue, first: u64, last: u64) -> bool {
    matches!(value, TermValue::Range(from, to) if *from <= last && first <= *to)
}

/// A clock time is that of the day on which the capture begins, UTC.
fn when(value: &TermValue, report: &Report<'_>) -> Option<Timestamp> {
    let first = report.first_time()?.nanos();
    let nanos = match value {
        TermValue::Moment(nanos) => *nanos,
        TermValue::Offset(nanos) => first.saturating_add(*nanos),
        TermValue::Clock(seconds) => first - first.rem_euclid(DAY) + seconds * SECOND,
        _ => return None,
    };
    Some(Timestamp::from_nanos(nanos))
}

/// Whether `text` is `pattern`, in which `*` stands for anything. Letters are compared without their case.
fn like(pattern: &str, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = rest.get(place + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, is) in [
            ("*.example.test", "www.Example.test", true),
            ("*.example.test", "example.test", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(like(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(within(ip("10.1.2.3"), ip("10.0.0.0"), 8) && !within(ip("11.1.2.3"), ip("10.0.0.0"), 8));
        assert!(within(ip("1.2.3.4"), ip("9.9.9.9"), 0) && within(ip("::1"), ip("ff::"), 0));
        assert!(!within(ip("::1"), ip("1.2.3.4"), 0));
    }
}
