//! Ticket keys that anyone can guess, or that are in use for too long.

use super::ground::{SecurityContext, is_zero};
use super::{RuleFinding, Severity, Witnesses, finding};
use crate::diagnosis::service::{KeyName, KeyTimeline};
use crate::diagnosis::{Confidence, Evidence};
use crate::net::hex;
use crate::net::span::{DAY, HOUR};
use crate::session::{Guessable, TicketMac};

/// RFC 9325 §3.4: once every week is its example of "regularly".
const WEEK: i64 = 7 * DAY;

finding! {
    /// ## What it means
    /// The key that seals the tickets consists of zero bytes. Anyone who records the traffic can open the tickets, read
    /// the TLS 1.2 sessions in them, and impersonate the server towards returning clients. GnuTLS 3.6.4 to 3.6.13 did
    /// this until the first rotation of the key (CVE-2020-13777); an empty or zeroed key file does it forever.
    ///
    /// ## How we know
    /// Tickets carry the name of their key in clear, and here it is zero. Where the layout is that of OpenSSL or
    /// GnuTLS, the MAC of the ticket is checked under a key of zeros, and a match is certain; where it does not match,
    /// nothing is reported. In other layouts a name of zeros alone makes it `possible`.
    pub(super) static STEK_ALL_ZERO = {
        name: "stek-all-zero", since: "0.1.0", severity: High,
        summary: "tickets are sealed under a key of zero bytes",
        spec: [(5077, "5.5"), (9325, "3.4")],
        advice: "replace the key at once: make 80 random bytes for nginx (ssl_session_ticket_key) and HAProxy (tls-ticket-keys, in Base64), 48 for Apache (SSLSessionTicketKeyFile), or leave the setting out so that the server makes its own; with GnuTLS update to 3.6.14 or later; then end all sessions",
        rule: stek_all_zero,
    }
}

fn stek_all_zero(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let (mut certain, mut by_name) = (Witnesses::default(), Witnesses::default());
    for ticket in ground.tickets {
        let name = &ticket.credential.name;
        match name.seal {
            TicketMac::Guessable(Guessable::Zero) => certain.add(Some(ticket.frame), || {
                "the MAC of the ticket is right under a key of zero bytes".to_owned()
            }),
            TicketMac::NotChecked if name.length > 64 && name.head().get(..16).is_some_and(is_zero) => {
                by_name.add(Some(ticket.frame), || {
                    "a ticket that begins with 16 zero bytes".to_owned()
                });
            }
            TicketMac::Guessable(_) | TicketMac::Other | TicketMac::NotChecked => {}
        }
    }
    let tickets = certain.counted("ticket is", "tickets are");
    RuleFinding::of(
        Confidence::Observed,
        format!("{tickets} sealed under a key of zero bytes: anyone can open them"),
        certain.evidence,
    )
    .or_else(|| {
        let tickets = by_name.counted("ticket begins", "tickets begin");
        RuleFinding::of(
            Confidence::Possible,
            format!(
                "{tickets} with 16 zero bytes, where most servers write the name of the key; the key may be zero too"
            ),
            by_name.evidence,
        )
    })
}

finding! {
    /// ## What it means
    /// The key that seals the tickets can be derived from its own name: the same byte, a line of text, or bytes that
    /// count up. Such keys come from examples and tests. Anyone who sees a ticket can guess the key, open the ticket,
    /// and with it read the TLS 1.2 session.
    ///
    /// ## How we know
    /// The name of the key is in clear in every ticket. Where it looks chosen by hand, the keys that would follow it in
    /// a key file are tried on the MAC of the ticket (OpenSSL's and GnuTLS's layouts). Reported only where the MAC is
    /// right, which is certain.
    pub(super) static STEK_WEAK_KNOWN_KEY = {
        name: "stek-weak-known-key", since: "0.1.0", severity: High,
        summary: "tickets are sealed under a key that anyone can guess",
        spec: [(5077, "5.5"), (9325, "3.4")],
        advice: "replace the key at once with random bytes, 'openssl rand 80' (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys, in Base64; Envoy: session_ticket_keys) or 'openssl rand 48' (Apache: SSLSessionTicketKeyFile), then end all sessions",
        rule: stek_weak_known_key,
    }
}

fn stek_weak_known_key(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut shown = Witnesses::default();
    for ticket in ground.tickets {
        let how = match ticket.credential.name.seal {
            TicketMac::Guessable(Guessable::Repeating) => "that repeats its name",
            TicketMac::Guessable(Guessable::Counting) => "that counts up from its name",
            TicketMac::Guessable(Guessable::Zero) | TicketMac::Other | TicketMac::NotChecked => continue,
        };
        shown.add(Some(ticket.frame), || {
            format!("the MAC of the ticket is right under a key {how}")
        });
    }
    let tickets = shown.counted("ticket is", "tickets are");
    RuleFinding::of(
        Confidence::Observed,
        format!("{tickets} sealed under a key that can be derived from its name: anyone can open them"),
        shown.evidence,
    )
}

finding! {
    /// ## What it means
    /// One ticket key has been in use for more than 24 hours; beyond seven days the finding is more severe. Anyone who
    /// gets that key, at any time before it is destroyed, can open all tickets sealed under it, and with them read all
    /// recorded TLS 1.2 sessions, whatever the cipher suites promise; in TLS 1.3, early data and sessions resumed
    /// without a key share. A key in a file that nobody replaces lives as long as the file.
    ///
    /// ## How we know
    /// Tickets carry the name of their key. `observed` where tickets with the same name were issued in clear more than
    /// a day apart. Where issuing is encrypted (TLS 1.3), acceptance is taken instead, and it is `inferred`: a server
    /// may still open tickets under a key that it no longer issues under.
    pub(super) static TICKET_KEY_OLDER_THAN_A_DAY = {
        name: "ticket-key-older-than-a-day", since: "0.1.0", severity: Warning,
        summary: "a ticket key is in use for more than 24 hours",
        spec: [(9325, "3.4"), (9325, "7.3")],
        advice: "rotate ticket keys at least daily and destroy the old ones (nginx: several ssl_session_ticket_key files, replaced by a timer, then a reload; or ssl_session_cache shared:… from 1.23.2, which rotates by itself; HAProxy: set ssl tls-key on the admin socket; Apache: replace SSLSessionTicketKeyFile and restart gracefully; Envoy: session_ticket_keys by SDS)",
        rule: ticket_key_older_than_a_day,
    }
}

/// How long a key was seen in use, and whether it was seen issuing.
fn in_use(key: &KeyTimeline) -> Option<(i64, Confidence)> {
    // Two tickets with the same short name may be an accident.
    let seen = if key.name.is_whole() {
        Confidence::Observed
    } else {
        Confidence::Inferred
    };
    match (key.issued, key.alive) {
        (Some((first, last)), _) => Some((last.since(first), seen)),
        (None, Some((first, last))) => Some((last.since(first), Confidence::Inferred)),
        (None, None) => None,
    }
}

fn ticket_key_older_than_a_day(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let aged = ground.analysis.keys.iter().filter_map(|key| Some((key, in_use(key)?)));
    let (key, (age, confidence)) = aged
        .filter(|(_, (age, _))| *age > DAY)
        .max_by_key(|(_, (age, confidence))| (*confidence, *age))?;
    let (first, last) = key.issued.or(key.alive)?;
    let work = if key.issued.is_some() {
        "issues tickets"
    } else {
        "is at work"
    };
    let evidence = [(first, "first"), (last, "last")]
        .into_iter()
        .filter_map(|(time, which)| {
            let frame = ground.at_work(ground.analysis, key.name, time)?;
            Some(Evidence::new(
                frame,
                format!("the key {} {work} {which} here", short(key.name)),
            ))
        })
        .collect();
    let span = if age > 2 * DAY {
        format!("{} days", age / DAY)
    } else {
        format!("{} hours", age / HOUR)
    };
    let told = RuleFinding::of(
        confidence,
        format!("the ticket key {} {work} over {span}", short(key.name)),
        evidence,
    )?;
    Some(if age > WEEK { told.raised(Severity::High) } else { told })
}

/// The digits of a name that people compare.
pub(super) fn short(name: KeyName) -> String {
    format!("{}…", hex(name.bytes().get(..4).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Timestamp;

    fn key(issued: Option<(i64, i64)>, alive: Option<(i64, i64)>) -> KeyTimeline {
        let span = |(first, last)| (Timestamp::from_nanos(first * HOUR), Timestamp::from_nanos(last * HOUR));
        KeyTimeline {
            issued: issued.map(span),
            alive: alive.map(span),
            ..KeyTimeline::of(KeyName::default())
        }
    }

    #[test]
    fn an_old_key_that_only_opens_tickets_still_is_no_old_key() {
        let rotated = key(Some((0, 12)), Some((0, 36)));
        assert_eq!(in_use(&rotated).map(|(age, _)| age), Some(12 * HOUR));
        let encrypted = key(None, Some((0, 36)));
        assert_eq!(in_use(&encrypted), Some((36 * HOUR, Confidence::Inferred)));
        assert_eq!(in_use(&key(None, None)), None);
    }
}
