//! Every fixture against its truth: nothing missing, nothing invented, nothing stated that did not happen.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::facts::{differences, frameless};
use crate::common::{Fixture, TrueConnection, assert_none, endpoint, fixtures, items, offered, text, texts};
use reshake_core::diagnosis::{CATALOG, Reason};
use serde_json::Value;

/// What the tool does not get right yet: fixture, number of the connection, field. The last test below fails when an
/// entry is right after all, so that the list cannot rot.
const KNOWN: &[(&str, u32, &str)] = &[];

/// Closes by a bare FIN that an encrypted alert answers: a close_notify of some stacks, a fatal alert of others. Whatever it
/// was, the FIN was bare.
const ANSWERED_BARE_FINS: &[(&str, u32)] = &[
    ("captures/ftp-active", 1),
    ("captures/ftp-passive", 1),
    ("captures/ftp-passive-tls13", 1),
    ("captures/gnutls-server", 3),
    ("captures/gnutls-server", 7),
    ("captures/java-server", 3),
    ("captures/tls10-openssl-server", 5),
    ("captures/tls13-server-closes", 3),
    ("captures/unclean-closes-with-tickets", 3),
    ("captures/unclean-closes-with-tickets", 5),
    ("reasons/server-did-not-send-close-notify", 2),
    ("reasons/server-did-not-send-close-notify", 5),
    ("reasons/server-did-not-send-close-notify", 8),
    ("reasons/server-did-not-send-close-notify", 11),
];

/// Reasons that say why nothing was offered. One of them beside the true one is no lie: several may hold.
const NOTHING_OFFERED: [&str; 13] = [
    "capture-incomplete",
    "client-cannot-offer-v2-hello",
    "client-config-changed",
    "client-did-not-offer",
    "client-dropped-after-fatal-alert",
    "client-dropped-after-unclean-close",
    "client-non-ems-not-offered",
    "client-offers-lower-version-only",
    "client-sni-changed",
    "client-tickets-exhausted",
    "credential-expired-client-side",
    "first-in-capture",
    "no-credential-yet-parallel",
];

/// One answer that differs from what happened.
struct Wrong {
    fixture: String,
    connection: u32,
    field: &'static str,
    detail: String,
}

impl Wrong {
    fn known(&self) -> bool {
        KNOWN.contains(&(self.fixture.as_str(), self.connection, self.field))
    }
}

/// Collects what is wrong with one connection.
struct Judge<'a> {
    fixture: &'a Fixture,
    truth: &'a TrueConnection,
    stated: &'a Value,
    wrong: &'a mut Vec<Wrong>,
}

impl Judge<'_> {
    fn wrong(&mut self, field: &'static str, detail: impl std::fmt::Display) {
        self.wrong.push(Wrong {
            fixture: self.fixture.name.clone(),
            connection: self.truth.n,
            field,
            detail: format!("{detail} ({})", self.truth.why),
        });
    }

    /// Where the capture hides the answer, none is all right; a wrong one never is.
    fn blind(&self) -> bool {
        self.fixture.truth.blind || self.truth.hidden.is_some()
    }

    fn scalar(&mut self, field: &'static str, expected: &[&str], stated: Option<&str>) {
        match stated {
            Some(stated) if expected.contains(&stated) => {}
            None if self.blind() => {}
            _ => self.wrong(field, format!("expected {expected:?}, stated {stated:?}")),
        }
    }

    fn facts(&mut self) {
        let (truth, stated) = (self.truth, self.stated);
        let outcome = text(stated, "outcome").filter(|outcome| *outcome != "unclear");
        self.scalar("outcome", &[&truth.outcome], outcome);
        self.offered();
        let resumed_by = text(stated, "resumed_by");
        if truth.outcome == "resumed" {
            let mut accepted = vec![truth.offered.as_str()];
            accepted.extend(truth.offered_also.iter().map(String::as_str));
            self.scalar("resumed_by", &accepted, resumed_by);
        } else if let Some(mechanism) = resumed_by {
            self.wrong("resumed_by", format!("nothing was resumed, stated {mechanism}"));
        }
        if let Some(version) = &truth.tls_version {
            self.scalar("version", &[version], text(stated, "tls_version"));
        }
        match (&truth.early_data, text(stated, "early_data")) {
            // Without keys nothing may be told, and nothing else.
            (Some(_), None) if self.truth.early_visible.is_some() => {}
            (Some(early), told) => self.scalar("early_data", &[early], told),
            (None, Some(told)) => self.wrong("early_data", format!("none was offered, stated {told}")),
            (None, None) => {}
        }
        self.close();
        self.wrapping();
    }

    /// What stood around the packets and before TLS.
    fn wrapping(&mut self) {
        let (truth, stated) = (self.truth, self.stated);
        let told = text(&stated["preamble"], "kind");
        if told != truth.preamble.as_deref() {
            self.wrong("preamble", format!("expected {:?}, stated {told:?}", truth.preamble));
        }
        if let Some(client) = &truth.proxied_client {
            let told = stated["preamble"]
                .get("client")
                .filter(|end| !end.is_null())
                .map(endpoint);
            if told.as_ref() != Some(client) {
                self.wrong("proxied", format!("expected {client}, stated {told:?}"));
            }
        }
        let tags = texts(stated, "encapsulation");
        let vlans: Vec<&str> = tags.iter().filter_map(|tag| tag.strip_prefix("vlan ")).collect();
        let expected: Vec<String> = self.fixture.truth.vlans.iter().map(ToString::to_string).collect();
        if vlans != expected {
            self.wrong("vlans", format!("expected {expected:?}, stated {tags:?}"));
        }
        let tunnels = items(stated, "tunnels");
        let ends = tunnels
            .iter()
            .flat_map(|tunnel| ["client", "server"].map(|side| text(tunnel, side).unwrap_or_default()));
        if !ends.eq(self.fixture.truth.outer.iter().map(String::as_str)) {
            let expected = &self.fixture.truth.outer;
            self.wrong("tunnels", format!("expected {expected:?}, stated {tunnels:?}"));
        }
    }

    fn offered(&mut self) {
        let truth = self.truth;
        let stated: BTreeSet<&str> = offered(self.stated).into_iter().collect();
        let mut expected: BTreeSet<&str> = [truth.offered.as_str()]
            .into_iter()
            .filter(|kind| *kind != "none")
            .collect();
        if stated == expected {
            return;
        }
        expected.extend(truth.offered_also.iter().map(String::as_str));
        let hidden = stated.is_empty() && self.stated["not_visible"].get("offered").is_some();
        if stated != expected && !(hidden && self.blind()) {
            self.wrong("offered", format!("expected {expected:?}, stated {stated:?}"));
        }
    }

    fn close(&mut self) {
        let (truth, close) = (self.truth, &self.stated["close"]);
        if ANSWERED_BARE_FINS.contains(&(self.fixture.name.as_str(), truth.n)) {
            self.scalar("close", &["fin-no-notify"], text(close, "class"));
        } else if !truth.close.is_empty() {
            let accepted: Vec<&str> = truth.close.iter().map(String::as_str).collect();
            self.scalar("close", &accepted, text(close, "class"));
        }
        let read = |side: &str| text(&close[side], "close_notify") == Some("observed");
        if truth.tls_version.as_deref() == Some("TLS 1.3") && ["client", "server"].into_iter().any(read) {
            self.wrong("close", "an alert of TLS 1.3 is encrypted and cannot be observed");
        }
    }

    fn reasons(&mut self, packets: u64) {
        let (truth, reasons) = (self.truth, items(self.stated, "reasons"));
        for reason in reasons {
            let name = text(reason, "name").expect("a name");
            let frames: Vec<u64> = items(reason, "evidence")
                .iter()
                .filter_map(|e| e["frame"].as_u64())
                .collect();
            if frames.is_empty() || frames.iter().any(|frame| !(1..=packets).contains(frame)) {
                self.wrong("evidence", format!("{name} rests on frames {frames:?} of {packets}"));
            }
            if is_confident(reason) && !self.may_be_said(name) {
                self.wrong("reason", format!("{name} is stated, true is {:?}", truth.reason));
            }
        }
        self.primary(reasons.first());
    }

    /// Whether naming this reason with confidence is no lie.
    fn may_be_said(&self, name: &str) -> bool {
        let truth = self.truth;
        if truth.outcome == "resumed" {
            return self.blind();
        }
        let true_one = truth
            .reason
            .iter()
            .chain(&truth.reason_also)
            .any(|reason| reason == name);
        let says_nothing = Reason::by_name(name).is_none_or(|reason| reason.neutral);
        let says_why_nothing = name == "server-issues-nothing" || NOTHING_OFFERED.contains(&name);
        let asked = !truth.reason.is_empty() || truth.outcome == "not-offered";
        true_one || says_nothing || !asked || (says_why_nothing && (self.blind() || truth.outcome == "not-offered"))
    }

    /// The first reason is a true one, once the catalogue has one of the true ones.
    fn primary(&mut self, primary: Option<&Value>) {
        let truth = self.truth;
        let name = primary.and_then(|reason| text(reason, "name"));
        let in_catalog = |reason: &String| Reason::by_name(reason).is_some();
        if truth.reason.is_empty() || self.blind() || !truth.reason.iter().any(in_catalog) {
            return;
        }
        let mut accepted = truth.reason.iter().chain(&truth.reason_also);
        if !accepted.any(|reason| Some(reason.as_str()) == name) {
            self.wrong(
                "primary",
                format!("expected one of {:?}, first is {name:?}", truth.reason),
            );
        }
    }
}

fn is_confident(reason: &Value) -> bool {
    matches!(text(reason, "confidence"), Some("observed" | "inferred"))
}

fn judge(fixture: &Fixture) -> Vec<Wrong> {
    let report = fixture.report();
    let mut wrong = Vec::new();
    let others = &report["summary"]["other_connections"];
    if let Some(expected) = fixture.truth.other_connections.filter(|expected| others != expected) {
        wrong.push(Wrong {
            fixture: fixture.name.clone(),
            connection: 0,
            field: "other_connections",
            detail: format!("expected {expected}, stated {others}"),
        });
    }
    let packets = items(&report, "captures")
        .iter()
        .filter_map(|capture| capture["packets"].as_u64())
        .sum();
    let mut by_ends: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
    for connection in items(&report, "connections") {
        let ends = (endpoint(&connection["client"]), endpoint(&connection["server"]));
        by_ends.entry(ends).or_default().push(connection);
    }
    let mut matched = Vec::new();
    for truth in &fixture.truth.connections {
        let stated = by_ends.get_mut(&(truth.client.clone(), truth.server.clone()));
        match stated.filter(|list| !list.is_empty()).map(|list| list.remove(0)) {
            Some(stated) => {
                let mut judge = Judge {
                    fixture,
                    truth,
                    stated,
                    wrong: &mut wrong,
                };
                judge.facts();
                judge.reasons(packets);
                matched.push((truth, stated));
            }
            None if fixture.truth.blind || truth.hidden.is_some() => {}
            None => wrong.push(Wrong {
                fixture: fixture.name.clone(),
                connection: truth.n,
                field: "missing",
                detail: format!("{} -> {} is not reported", truth.client, truth.server),
            }),
        }
    }
    if !fixture.truth.lenient {
        for ((client, server), _) in by_ends
            .iter()
            .flat_map(|(ends, list)| list.iter().map(move |c| (ends, c)))
        {
            wrong.push(Wrong {
                fixture: fixture.name.clone(),
                connection: 0,
                field: "invented",
                detail: format!("{client} -> {server} did not happen"),
            });
        }
    }
    issuers(fixture, &report, &matched, &mut wrong);
    wrong
}

/// What was offered is linked to the connection that issued it.
fn issuers(fixture: &Fixture, report: &Value, matched: &[(&TrueConnection, &Value)], wrong: &mut Vec<Wrong>) {
    let credentials: BTreeMap<&str, &Value> = items(report, "credentials")
        .iter()
        .map(|credential| (text(credential, "id").expect("an id"), credential))
        .collect();
    for (truth, stated) in matched {
        let Some(issuer) = truth.issuer.filter(|_| !fixture.truth.blind && truth.hidden.is_none()) else {
            continue;
        };
        let expected = matched
            .iter()
            .find(|(truth, _)| truth.n == issuer)
            .and_then(|(_, stated)| text(stated, "id"));
        let linked: Vec<&str> = texts(stated, "credentials_offered")
            .into_iter()
            .filter_map(|id| text(credentials[id].get("issued")?, "connection"))
            .collect();
        if !expected.is_some_and(|expected| linked.contains(&expected)) {
            wrong.push(Wrong {
                fixture: fixture.name.clone(),
                connection: truth.n,
                field: "issuer",
                detail: format!("issued by #{issuer} ({expected:?}), linked to {linked:?}"),
            });
        }
    }
}

fn all_wrong() -> Vec<Wrong> {
    fixtures().iter().flat_map(judge).collect()
}

#[test]
fn every_fixture_is_told_as_it_happened() {
    let problems: Vec<String> = all_wrong()
        .iter()
        .filter(|wrong| !wrong.known())
        .map(|wrong| {
            format!(
                "{} #{} {}: {}",
                wrong.fixture, wrong.connection, wrong.field, wrong.detail
            )
        })
        .collect();
    assert_none("answers that are not what happened", &problems);
}

#[test]
fn what_is_known_to_be_wrong_is_still_wrong() {
    let wrong = all_wrong();
    let is_wrong = |known: &(&str, u32, &str)| {
        wrong
            .iter()
            .any(|w| (w.fixture.as_str(), w.connection, w.field) == *known)
    };
    let right: Vec<String> = KNOWN
        .iter()
        .filter(|known| !is_wrong(known))
        .map(|known| format!("{known:?}"))
        .collect();
    assert_none("right now, take them off the list", &right);
}

/// The clock of one file is behind: which side closed first is told by what its FIN acknowledges.
#[test]
fn who_closed_first_does_not_depend_on_the_clocks_of_two_files() {
    let report = crate::common::fixture("captures/two-files-one-half-each").report();
    let closers: Vec<_> = items(&report, "connections")
        .iter()
        .map(|connection| text(&connection["close"], "first_closer"))
        .collect();
    assert_eq!(closers, [Some("client"); 8]);
}

/// Several files are one timeline, whichever is named first.
#[test]
fn the_order_of_the_files_changes_nothing() {
    let mut problems = Vec::new();
    let several = fixtures().into_iter().filter(|fixture| fixture.paths.len() > 1);
    let mut count = 0;
    for mut fixture in several {
        let before = frameless(&fixture.report());
        for _ in 1..fixture.paths.len() {
            fixture.paths.rotate_left(1);
            let found = differences(&before, &frameless(&fixture.report()), &[]);
            problems.extend(found.into_iter().map(|line| format!("{}: {line}", fixture.name)));
            count += 1;
        }
    }
    assert!(count > 0, "no fixture has several files");
    assert_none("facts that depend on the order of the files", &problems);
}

#[test]
fn the_catalog_is_what_the_judge_looks_reasons_up_in() {
    assert!(CATALOG.iter().any(|reason| NOTHING_OFFERED.contains(&reason.name)));
    assert!(CATALOG.iter().any(|reason| reason.neutral));
}

#[test]
fn a_wrong_truth_is_noticed() {
    let fixture = crate::common::fixture("captures/tls10-closes");
    let broken = |change: &dyn Fn(&mut TrueConnection)| {
        let mut fixture = fixture.clone();
        change(&mut fixture.truth.connections[1]);
        let mut fields: Vec<&str> = judge(&fixture).iter().map(|wrong| wrong.field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    };
    assert!(broken(&|_| {}).is_empty());
    assert_eq!(
        broken(&|truth| truth.outcome = "declined".to_owned()),
        ["outcome", "resumed_by"]
    );
    assert_eq!(
        broken(&|truth| truth.offered = "ticket".to_owned()),
        ["offered", "resumed_by"]
    );
    assert_eq!(
        broken(&|truth| truth.tls_version = Some("TLS 1.1".to_owned())),
        ["version"]
    );
    assert_eq!(
        broken(&|truth| truth.early_data = Some("accepted".to_owned())),
        ["early_data"]
    );
    assert_eq!(
        broken(&|truth| truth.close = vec!["clean-server".to_owned()]),
        ["close"]
    );
    assert_eq!(broken(&|truth| truth.issuer = Some(5)), ["issuer"]);
    assert_eq!(
        broken(&|truth| truth.client = "10.9.9.9:1".to_owned()),
        ["invented", "missing"]
    );
}
