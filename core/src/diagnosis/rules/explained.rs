//! From the contest to a reason: what stands of an explanation for the connection at hand.

use super::super::attempts::{Necessity, OfferedCredential, Row, UNKNOWN};
use super::super::contest::Standing;
use super::super::context::RuleContext;
use super::super::explanations::words::{beyond, clock, duration};
use super::super::explanations::{Family, FittedValue, Kind, Scope};
use super::super::service::patterns::MAX_RIVALS;
use super::super::{Confidence, Evidence, RuleResult};
use crate::net::{FrameRef, Timestamp, hex};
use crate::session::{Connection, Side};

/// A refused offer of a connection with what stands for it.
struct Explained<'a> {
    place: usize,
    standing: &'a Standing,
    number: u32,
    entry: &'a OfferedCredential,
    row: &'a Row,
}

impl Explained<'_> {
    /// How sure it is for this offer: a proof holds for its own credential or key, the count for all.
    fn confidence(&self) -> Confidence {
        if self.standing.claim.proven.binary_search(&self.number).is_ok() {
            return match self.standing.claim.kind {
                Kind::OtherStore => Confidence::Possible,
                _ => Confidence::Inferred,
            };
        }
        if self.standing.reaches && !self.may_lack_more_than_the_key() {
            self.standing.confidence
        } else {
            Confidence::Possible
        }
    }

    /// Whether machines that share a key refuse each other's tickets all the same: then that the key of this one is another by
    /// now, as after a rotation, does not tell why it was refused.
    const fn may_lack_more_than_the_key(&self) -> bool {
        let told_by_key = !self.entry.stateful && !self.entry.own_key;
        matches!(self.standing.claim.kind, Kind::OtherMachine) && self.standing.claim.shares_keys && told_by_key
    }
}

/// The reason `name` by one of these explanations, where one of them stands for an offer of this connection.
pub(super) fn explained(case: &RuleContext<'_>, name: &'static str, kinds: &[Kind]) -> RuleResult {
    explained_if(case, name, kinds, |_| true)
}

/// The same, for offers of which this holds.
pub(super) fn explained_if(
    case: &RuleContext<'_>,
    name: &'static str,
    kinds: &[Kind],
    fits: impl Fn(&OfferedCredential) -> bool,
) -> RuleResult {
    let Some(analysis) = case.analysis() else {
        return RuleResult::CannotTell;
    };
    let Some(row) = case.analyses.attempts().of_connection(case.id) else {
        return RuleResult::CannotTell;
    };
    let offers = || case.analyses.attempts().of_row(row).filter(|(_, entry)| entry.failed());
    // What a necessity explains needs no other cause.
    if offers().next().is_none() || offers().any(|(_, entry)| entry.necessity.is_some()) {
        return RuleResult::DoesNotHold;
    }
    let of_kind = |standing: &Standing| {
        let told = standing.supported || is_one_more(&analysis.standing, standing, offers().map(|(number, _)| number));
        told && kinds.contains(&standing.claim.kind)
    };
    let found = analysis
        .standing
        .iter()
        .enumerate()
        .filter(|(_, it)| of_kind(it))
        .find_map(|(place, standing)| {
            let mut named = offers().filter(|(_, entry)| fits(entry));
            named
                .find(|(number, entry)| {
                    let is_named = standing.claim.named.binary_search(number).is_ok();
                    is_named && standing.claim.kind.reason(entry).is_none_or(|reason| reason == name)
                })
                .map(|(number, entry)| Explained {
                    place,
                    standing,
                    number,
                    entry,
                    row,
                })
        });
    found.map_or(RuleResult::DoesNotHold, |found| finding(case, name, &found))
}

/// Where several parties are known to answer, what nothing else explains is possibly one refusal more by one of them.
fn is_one_more(all: &[Standing], standing: &Standing, mut offers: impl Iterator<Item = u32>) -> bool {
    let mut told = all.iter().filter(|it| it.supported);
    let parted = |it: &Standing| it.claim.kind.family() == Family::Who && it.claim.kind != Kind::OtherServer;
    let named = |it: &Standing, number: u32| it.claim.named.binary_search(&number).is_ok();
    standing.claim.kind == Kind::OtherStore
        && told.clone().any(parted)
        && offers.all(|number| !told.any(|it| named(it, number)))
}

fn finding(case: &RuleContext<'_>, name: &'static str, found: &Explained<'_>) -> RuleResult {
    let confidence = found.confidence();
    let (first, more) = evidence(case, found);
    let pattern = found
        .standing
        .claim
        .kind
        .pattern()
        .filter(|_| confidence > Confidence::Possible);
    let pattern = pattern.filter(|pattern| {
        case.analysis()
            .is_some_and(|analysis| analysis.pattern(pattern).is_some())
    });
    RuleResult::holds(confidence, summary(case, found), first, more)
        .settled_by(pattern)
        .placed(found.place)
        .beside(
            if confidence < Confidence::Inferred {
                let context = found.may_lack_more_than_the_key().then_some("session-context-mismatch");
                let mut names = beside(case, name, found.number, found.entry);
                names.retain(|name| Some(*name) != context);
                context.into_iter().chain(names).take(MAX_RIVALS).collect()
            } else {
                Vec::new()
            },
            Some(found.standing.claim.settle()),
        )
}

/// What else stands for an offer, by the names of reasons, best first.
fn beside(case: &RuleContext<'_>, own: &str, number: u32, entry: &OfferedCredential) -> Vec<&'static str> {
    let standing = case.analysis().into_iter().flat_map(|analysis| &analysis.standing);
    let mut names: Vec<&'static str> = Vec::new();
    let stands = |it: &&Standing| it.claim.plausible && it.claim.named.binary_search(&number).is_ok();
    for it in standing.filter(stands) {
        if let Some(name) = it.claim.kind.reason(entry).filter(|name| *name != own)
            && !names.contains(&name)
            && names.len() < MAX_RIVALS
        {
            names.push(name);
        }
    }
    // What is merely possible never stands alone.
    if names.is_empty() {
        names = candidates(case);
        names.retain(|name| *name != own);
    }
    names
}

/// The members of who, when and how long that no row refutes for the refusals of a connection: what may be behind it where
/// nothing speaks for anything. Never empty.
pub(in crate::diagnosis) fn candidates(case: &RuleContext<'_>) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    let mut add = |name: &'static str| {
        if !names.contains(&name) && names.len() < MAX_RIVALS {
            names.push(name);
        }
    };
    // An external PSK was never issued: its server may lack it, or have no suite of its hash.
    if case.connection.offers_external_psks_only() {
        return vec!["psk-hash-mismatch", "psk-mode-missing"];
    }
    let refused = || case.analyses.entries(case.id).filter(|(_, entry)| entry.failed());
    let families = [Family::Who, Family::When, Family::HowLong, Family::Never];
    for (number, entry) in refused() {
        let standing = case.analysis().into_iter().flat_map(|analysis| &analysis.standing);
        let named = standing.filter(|it| it.claim.named.binary_search(&number).is_ok());
        for it in named.filter(|it| families.contains(&it.claim.kind.family())) {
            it.claim.kind.reason(entry).into_iter().for_each(&mut add);
        }
    }
    // Another party can always have answered; that all was lost, or too old, only where its age does not say otherwise.
    let store = refused().find_map(|(_, entry)| Kind::OtherStore.reason(entry));
    add(store.unwrap_or("other-backend-cache"));
    if refused().any(|(_, entry)| entry.accepted_later) {
        // There and back.
        add("failover-no-shared-state");
    } else {
        add("server-lost-sessions");
        add("server-cache-expired");
    }
    names
}

/// Holds, as observed, where the offers of a connection all have the same defect.
pub(super) fn necessity(case: &RuleContext<'_>, kind: Necessity) -> bool {
    let mut offers = case
        .analyses
        .entries(case.id)
        .filter(|(_, entry)| entry.failed())
        .peekable();
    offers.peek().is_some() && offers.all(|(_, entry)| entry.necessity == Some(kind))
}

fn evidence(case: &RuleContext<'_>, found: &Explained<'_>) -> (Evidence, Vec<Evidence>) {
    let claim = &found.standing.claim;
    let hello = case.connection.hello.yes();
    let hello = hello.map_or(case.connection.transport.first(), |hello| hello.at.frame);
    let what = match claim.kind {
        Kind::OfferBreaks => "ClientHello offers a session, and the handshake breaks",
        Kind::HelloRetry => "ClientHello offers a session, and HelloRetryRequest answers it",
        _ => "ClientHello offers the session",
    };
    let trace = claim
        .trace
        .as_ref()
        .and_then(|trace| Some(Evidence::new(trace.frame?, trace.text)));
    let closed = close_evidence(case, found);
    let issue = issue_evidence(case, found.entry);
    let later = later_evidence(case, found);
    let own = key_evidence(case, found);
    let more = closed
        .into_iter()
        .chain(trace)
        .chain(issue)
        .chain(own)
        .chain(later)
        .collect();
    (Evidence::new(hello, what), more)
}

fn issue_evidence(case: &RuleContext<'_>, entry: &OfferedCredential) -> Option<Evidence> {
    let issue = case
        .credential_store
        .get(entry.credential)
        .and_then(|credential| credential.issued);
    if let Some(issue) = issue {
        return Some(Evidence::new(issue.at.frame, "the credential was issued here"));
    }
    let row = case.analyses.attempts().row(entry.issue)?;
    let answer = case.connection_store.get(row.connection)?.answer.yes()?;
    Some(Evidence::new(
        answer.at.frame,
        "the latest handshake of this client before; it may have issued the ticket",
    ))
}

/// The end of the session's latest connection, where it is what the explanation is about.
fn close_evidence(case: &RuleContext<'_>, found: &Explained<'_>) -> Option<Evidence> {
    let side = match found.standing.claim.kind {
        Kind::ClientReset | Kind::ClientFin => Side::Client,
        Kind::ServerClose => Side::Server,
        Kind::FatalAlert => return alert_evidence(previous(case, found)?),
        _ => return None,
    };
    let frame = previous(case, found)?.side(side).ended()?.frame;
    Some(Evidence::new(
        frame,
        "the session's latest connection ends without close_notify",
    ))
}

fn alert_evidence(connection: &Connection) -> Option<Evidence> {
    Side::BOTH.into_iter().find_map(|side| {
        let alert = connection.side(side).fatal_alert()?;
        Some(Evidence::new(
            alert.at.frame,
            format!("fatal alert: {}", alert.description),
        ))
    })
}

fn previous<'a>(case: &RuleContext<'a>, found: &Explained<'_>) -> Option<&'a Connection> {
    let row = case.analyses.attempts().row(found.entry.previous)?;
    case.connection_store.get(row.connection)
}

/// The key under which the refuser issues.
fn key_evidence(case: &RuleContext<'_>, found: &Explained<'_>) -> Option<Evidence> {
    if !matches!(found.standing.claim.kind, Kind::OtherKey | Kind::KeyChanged) || found.row.issues_concluded {
        return None;
    }
    let name = case.analyses.attempts().key(found.row.issues)?;
    let issued = case
        .connection
        .issued
        .iter()
        .filter_map(|id| case.credential_store.get(*id)?.issued);
    let frame = issued.into_iter().find(|issue| issue.connection == case.id)?.at.frame;
    Some(Evidence::new(
        frame,
        format!("the server issues a ticket under key {}…", short(name.bytes())),
    ))
}

/// Where the same session is accepted again, for a proof that rests on it.
fn later_evidence(case: &RuleContext<'_>, found: &Explained<'_>) -> Option<Evidence> {
    if found.standing.claim.kind != Kind::OtherStore || !found.entry.accepted_later {
        return None;
    }
    let frame = accepted_after(case, found.entry, found.row)?;
    Some(Evidence::new(
        frame,
        "the same session is offered and resumed here, later",
    ))
}

fn accepted_after(case: &RuleContext<'_>, entry: &OfferedCredential, row: &Row) -> Option<FrameRef> {
    // Offers are in the order of their hellos.
    let offers = &case.credential_store.get(entry.credential)?.offers;
    let after = offers.partition_point(|id| {
        case.connection_store
            .get(*id)
            .is_some_and(|it| it.hello_time() <= row.time)
    });
    let later = offers
        .get(after..)?
        .iter()
        .filter_map(|id| case.connection_store.get(*id));
    let accepted = later
        .take(MAX_SEARCHED)
        .find(|it| it.accepted == Some(entry.credential))?;
    accepted.hello.yes().map(|hello| hello.at.frame)
}

/// Later offers of a session that are looked at for one that was accepted.
const MAX_SEARCHED: usize = 64;

fn short(name: &[u8]) -> String {
    hex(name.get(..4).unwrap_or_default())
}

/// One sentence about this connection.
fn summary(case: &RuleContext<'_>, found: &Explained<'_>) -> String {
    let (claim, entry) = (&found.standing.claim, found.entry);
    match (claim.kind, claim.value) {
        (Kind::OtherServer, _) => other_server(case, found),
        (Kind::OtherMachine, _) => machines(case, found),
        (Kind::OtherKey, _) => key_words(case, entry, "is in use elsewhere and was refused here"),
        (Kind::KeyChanged, _) => key_words(case, entry, "was not seen at work again"),
        (Kind::OtherContext | Kind::ContextRenewed, _) => {
            "the certificate is not the one under which the session was made".to_owned()
        }
        (Kind::OtherStore, _) if entry.slow == Some(true) => {
            "the session was resumed again later, and this refusal took far longer than acceptances: its store may not have answered in time".to_owned()
        }
        (Kind::OtherStore, _) if entry.accepted_later && entry.slow.is_none() => {
            "the session was resumed again later: a server or process other than the holder refused it, or its store did not answer in time".to_owned()
        }
        (Kind::OtherStore, _) if entry.accepted_later && claim.proven.is_empty() => {
            "the session was resumed again later: a server or process other than the holder refused it, or the holder was without its store or key for a while".to_owned()
        }
        (Kind::OtherStore, _) if entry.accepted_later => {
            "the session was resumed again later: a server or process other than the holder refused it".to_owned()
        }
        (Kind::OtherStore, _) => {
            "several servers or processes that share nothing may answer for this address".to_owned()
        }
        (Kind::Takeover, _) => "the session is from before the address changed hands".to_owned(),
        (Kind::OtherHash, _) => {
            let suite = case.connection.answer.yes().map(|answer| answer.suite.to_string());
            format!(
                "the server chose {}, whose hash is not that of the offered PSK",
                suite.as_deref().unwrap_or("another suite")
            )
        }
        (Kind::LostAtOnce, FittedValue::Moment(..)) => {
            let issue = found.row.time.nanos().saturating_sub(entry.age);
            let within = |(from, until): &&(Timestamp, Timestamp)| issue <= from.nanos() && *until <= found.row.time;
            let until = claim
                .moments
                .iter()
                .find(within)
                .map_or(found.row.time, |(_, until)| *until);
            let whose = match claim.scope {
                Scope::Service => "",
                Scope::Cache => " out of the cache",
                Scope::Machine => " by this machine",
            };
            format!(
                "the session is from before {} UTC, and nothing from before was honoured{whose} after that",
                clock(until)
            )
        }
        (Kind::TooOld, FittedValue::Age(oldest, _)) if entry.age != UNKNOWN => format!(
            "the session was {} old; sessions resumed here up to {}",
            beyond(entry.age, oldest),
            duration(oldest)
        ),
        (Kind::TooIdle, FittedValue::Age(oldest, _)) => format!(
            "the session had not been used for {}; sessions resumed here after up to {}",
            beyond(entry.idle, oldest),
            duration(oldest)
        ),
        (Kind::OverLifetime, _) => {
            format!(
                "the ticket was {} old; the server had given it {} s",
                duration(entry.age),
                entry.lifetime
            )
        }
        (Kind::Evicted, FittedValue::Newer(most, _)) => {
            format!(
                "{} newer sessions had been made; sessions resumed here after up to {most}",
                entry.newer
            )
        }
        (Kind::Evicted, FittedValue::NewerUnused(most, _)) => {
            format!(
                "{} newer sessions had been made since its latest use; sessions resumed here after up to {most}",
                case.analyses.attempts().newer_unused(entry)
            )
        }
        (Kind::OfferBreaks, _) => {
            let units = claim.units_concerned();
            format!(
                "handshakes of this client with an offer break ({}), those without one work ({})",
                units.named_refused, units.other_accepted
            )
        }
        (Kind::ClientReset, _) => "the client reset the session's latest connection before close_notify".to_owned(),
        (Kind::ClientFin, _) => "the client closed the session's latest connection without close_notify".to_owned(),
        (Kind::ServerClose, _) => "the server closed the session's latest connection without close_notify".to_owned(),
        (Kind::FatalAlert, _) => "the session's latest connection ended with a fatal alert".to_owned(),
        (Kind::NeverIds, _) => {
            let none = if case.lacks_connections() { "none of the known sessions" } else { "no session" };
            format!("{none} that this service would have to keep was ever accepted")
        }
        _ => claim
            .trace
            .as_ref()
            .map_or_else(|| claim.cause(entry.stateful), |trace| trace.text.to_owned()),
    }
}

fn other_server(case: &RuleContext<'_>, found: &Explained<'_>) -> String {
    let attempts = case.analyses.attempts();
    let own = attempts
        .row(found.entry.issue)
        .and_then(|row| attempts.service(row.service));
    match own.filter(|service| service.server != case.connection.server) {
        Some(service) => format!(
            "the session belongs to {}, and {} refused it",
            service.server, case.connection.server
        ),
        None => format!(
            "the ticket's key is at work at another server than {}",
            case.connection.server
        ),
    }
}

fn machines(case: &RuleContext<'_>, found: &Explained<'_>) -> String {
    let holder = case
        .analyses
        .attempts()
        .row(found.entry.previous)
        .map_or(0, |row| row.machine);
    format!(
        "backend-{} answers; the session is from backend-{holder}",
        found.row.machine
    )
}

fn key_words(case: &RuleContext<'_>, entry: &OfferedCredential, what: &str) -> String {
    let name = case.analyses.key_name(entry.credential);
    let name = name.map_or_else(String::new, |name| format!(" {}…", short(name.bytes())));
    format!("ticket key{name} {what}")
}

/// A close that ended a session of TLS 1.0 or older is told by its own name.
pub(super) fn explained_close(case: &RuleContext<'_>, old: bool, kinds: &[Kind]) -> RuleResult {
    if !old {
        return RuleResult::DoesNotHold;
    }
    let by = |name| explained(case, name, kinds);
    match by("impl-invalidates-on-rst") {
        RuleResult::Holds { .. } => by("impl-invalidates-on-rst"),
        _ => by("server-did-not-send-close-notify"),
    }
}
