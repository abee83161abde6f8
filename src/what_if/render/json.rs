//! The answer as one JSON document.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::text::{assumptions, whole};
use super::{Bill, Expected, WhatIf};
use crate::render::json::{Generator, closed, identified};
use crate::what_if::{Census, FullCause, Persistence};

/// Name of the document.
pub const SCHEMA: &str = "reshake-what-if/1";

/// Writes the answer as one JSON document.
///
/// # Errors
/// Those of `out`.
pub fn write(answer: &WhatIf, selection: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &DocumentJson::of(answer, selection))?;
    out.write_all(b"\n")
}

/// JSON Schema of the document: open to additions, or closed to anything that it does not name.
#[must_use]
pub fn schema(strict: bool) -> Value {
    identified(
        closed(schemars::schema_for!(DocumentJson<'_>).to_value(), strict),
        SCHEMA,
    )
}

/// What another farm would do to the reconnects of a capture.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "reshake-what-if")]
struct DocumentJson<'a> {
    /// "reshake-what-if/1".
    schema: &'static str,
    /// The program that wrote this document.
    generator: &'static Generator<'static>,
    /// The selection that was applied: every connection is replayed, these are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a str>,
    /// What the capture shows.
    captured: CapturedJson,
    /// Connections that no arrangement changes.
    not_counted: NotCountedJson,
    /// Session IDs in hellos, by where they come from.
    session_ids: SessionIdsJson,
    /// What is expected of other arrangements.
    expected: Vec<ExpectedJson>,
    /// What the model takes for granted.
    assumptions: Vec<String>,
}

/// What the capture had.
#[derive(Serialize, JsonSchema)]
struct CapturedJson {
    /// Connections that are replayed.
    connections: u64,
    /// Connections that were only counted, at the memory limit: they are not replayed.
    connections_omitted: u64,
    /// Connections with an offer whose giving the capture shows, and a visible answer.
    reconnects: u64,
    /// Reconnects that resumed.
    resumed: u64,
    /// resumed of reconnects; null without any.
    rate: Option<f64>,
    /// Refusals among them without a certain cause.
    refused_unexplained: u64,
    /// Full handshakes and what they cost.
    full_handshakes: CostJson,
}

/// Connections that are no reconnects, by why.
#[derive(Serialize, JsonSchema)]
struct NotCountedJson {
    /// First handshakes.
    newcomers: u64,
    /// Clients that never offer one.
    clients_never_offer: u64,
    /// The client had a session and did not offer it.
    client_did_not_offer: u64,
    /// The server issued nothing.
    server_gave_nothing: u64,
    /// Sessions from before the capture.
    unknown_origin: u64,
    /// The outcome is not visible.
    undecided: u64,
}

/// Hellos by what their session ID is.
#[derive(Serialize, JsonSchema)]
struct SessionIdsJson {
    /// Issued by a server of the capture.
    given_by_a_server: u64,
    /// Made up, or issued before the capture.
    of_unknown_origin: u64,
    /// Made up beside a ticket, anew each time as far as seen.
    made_up: u64,
    /// Made of the ticket: the same while the ticket is.
    made_of_the_ticket: u64,
    /// Random, for compatibility (TLS 1.3).
    random: u64,
    /// Hellos without one.
    none: u64,
    /// How long clients had an ID when they offered it last; null without any.
    kept_seconds_median: Option<f64>,
    /// The longest that one was kept, in seconds.
    kept_seconds_longest: Option<f64>,
}

/// One plan and what to expect of it.
#[derive(Serialize, JsonSchema)]
struct ExpectedJson {
    /// Machines behind the endpoint, by network marks; empty when nothing tells them apart.
    backends: u16,
    /// "round-robin", "least-connections", "source-hash" or "session-id".
    balance: &'static str,
    /// "none", "cache" or "tickets".
    share: &'static str,
    /// Seconds after which servers forget a session; null for what the capture shows.
    timeout_seconds: Option<u32>,
    /// Seconds after which ticket keys change; null for never.
    key_rotation_seconds: Option<u32>,
    /// Seed of what the plan leaves open.
    seed: u64,
    /// Handshakes of clients that came back with a session.
    reconnects: u64,
    /// Resumed.
    resumed: u64,
    /// resumed of reconnects; null without any.
    rate: Option<f64>,
    /// Lowest rate when turns, hashes and moments fall otherwise, and unexplained refusals come from every server.
    rate_low: Option<f64>,
    /// Highest such rate.
    rate_high: Option<f64>,
    /// Why handshakes are full.
    full_because: FullJson,
    /// Reconnects that a session ID led to a backend (session-id only).
    led_by_session_id: u64,
    /// Share of the busiest backend in the connections of its farm.
    busiest_backend: Option<f64>,
    /// Full handshakes and what they cost.
    full_handshakes: CostJson,
}

/// Why reconnects are full handshakes.
#[derive(Serialize, JsonSchema)]
struct FullJson {
    /// Another backend was chosen.
    other_backend: u64,
    /// The session was too old.
    too_old: u64,
    /// The ticket key was gone.
    key_gone: u64,
    /// Refused whatever the farm.
    refused_by_any_farm: u64,
    /// Every ticket was used up.
    tickets_used_up: u64,
}

/// What full handshakes of reconnects cost.
#[derive(Serialize, JsonSchema)]
struct CostJson {
    /// How often.
    count: u64,
    /// Round trips that a resumption would have saved.
    extra_round_trips: u64,
    /// Time of those round trips whose connections show what one takes.
    extra_milliseconds: f64,
    /// Round trips whose time is not visible.
    untimed_round_trips: u64,
    /// Handshake bytes.
    bytes: u64,
    /// Handshakes whose bytes are neither visible nor known from others.
    unweighed: u64,
}

impl<'a> DocumentJson<'a> {
    fn of(answer: &WhatIf, selection: Option<&'a str>) -> Self {
        let census = &answer.crowd.census;
        Self {
            schema: SCHEMA,
            generator: &Generator::THIS,
            selection,
            captured: CapturedJson {
                connections: census.connections,
                connections_omitted: answer.only_counted,
                reconnects: census.reconnects,
                resumed: census.resumed,
                rate: super::text::share(census.resumed, census.reconnects).map(rounded),
                refused_unexplained: census.unexplained,
                full_handshakes: CostJson::from(&answer.captured),
            },
            not_counted: NotCountedJson::from(census),
            session_ids: SessionIdsJson::from(&answer.persistence),
            expected: answer.expected.iter().map(ExpectedJson::from).collect(),
            assumptions: assumptions(answer),
        }
    }
}

impl From<&Census> for NotCountedJson {
    fn from(census: &Census) -> Self {
        Self {
            newcomers: census.newcomers,
            clients_never_offer: census.never_offer,
            client_did_not_offer: census.did_not_offer,
            server_gave_nothing: census.given_nothing,
            unknown_origin: census.unknown_origin,
            undecided: census.undecided,
        }
    }
}

impl From<&Persistence> for SessionIdsJson {
    fn from(found: &Persistence) -> Self {
        let kept = found.kept_for();
        Self {
            given_by_a_server: found.given,
            of_unknown_origin: found.unknown,
            made_up: found.beside_ticket - found.follows_ticket,
            made_of_the_ticket: found.follows_ticket,
            random: found.random,
            none: found.none,
            kept_seconds_median: kept.map(|(middle, _)| seconds(middle)),
            kept_seconds_longest: kept.map(|(_, longest)| seconds(longest)),
        }
    }
}

impl From<&Expected> for ExpectedJson {
    fn from(one: &Expected) -> Self {
        let (expectation, plan) = (&one.expectation, &one.expectation.plan);
        let full = |why: FullCause| expectation.full.get(why as usize).copied().unwrap_or(0);
        Self {
            backends: plan.backends,
            balance: plan.balance.code(),
            share: plan.share.code(),
            timeout_seconds: plan.timeout,
            key_rotation_seconds: plan.key_rotation,
            seed: plan.seed,
            reconnects: expectation.reconnects,
            resumed: expectation.resumed,
            rate: expectation.rate().map(rounded),
            rate_low: expectation.rates().map(|(low, _)| rounded(low)),
            rate_high: expectation.rates().map(|(_, high)| rounded(high)),
            full_because: FullJson {
                other_backend: full(FullCause::OtherBackend),
                too_old: full(FullCause::TooOld),
                key_gone: full(FullCause::KeyGone),
                refused_by_any_farm: full(FullCause::Refused),
                tickets_used_up: full(FullCause::NothingLeft),
            },
            led_by_session_id: expectation.led,
            busiest_backend: expectation.busiest.map(rounded),
            full_handshakes: CostJson::from(&one.bill),
        }
    }
}

impl From<&Bill> for CostJson {
    fn from(bill: &Bill) -> Self {
        Self {
            count: bill.handshakes,
            extra_round_trips: whole(bill.round_trips),
            extra_milliseconds: rounded(bill.nanos / 1e6),
            untimed_round_trips: whole(bill.untimed),
            bytes: whole(bill.bytes),
            unweighed: bill.unweighed,
        }
    }
}

/// To three digits behind the point.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[allow(clippy::cast_precision_loss)] // rounded to milliseconds anyway
fn seconds(nanos: i64) -> f64 {
    rounded(nanos as f64 / 1e9)
}
