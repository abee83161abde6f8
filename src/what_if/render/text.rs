//! The answer as people read it.

use std::io::{self, Write};

use super::{Bill, WhatIf};
use crate::what_if::{Balance, Census, Expectation, FullCause, Plan, Share};
use crate::wording::wrap;
use crate::wording::{bytes, counted, duration, number, only_counted, percent};

/// Width of the first column of the table of all plans.
const NAME: usize = 33;
/// Longest line of prose.
const WIDTH: usize = 100;

/// Writes the answer: what the capture had, what to expect, what it rests on and what is not counted.
///
/// # Errors
/// Those of `out`.
pub fn write(answer: &WhatIf, selection: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let census = &answer.crowd.census;
    if let Some(selection) = selection {
        let selection = crate::wording::printable(selection, usize::MAX);
        writeln!(
            out,
            "selected: {selection}; every connection takes part, these are counted\n"
        )?;
    }
    writeln!(
        out,
        "{}, {} replayed",
        counted(census.connections, "connection", "connections"),
        counted(census.reconnects, "reconnect", "reconnects")
    )?;
    if answer.only_counted > 0 {
        writeln!(
            out,
            "note: {}: they are not replayed",
            only_counted(answer.only_counted)
        )?;
    }
    if census.reconnects == 0 {
        let none = if answer.only_counted > 0 {
            "of what was kept, no client"
        } else {
            "no client"
        };
        writeln!(
            out,
            "{none} came back with what this capture shows it was given: nothing to replay"
        )?;
    } else if let [one] = answer.expected.as_slice() {
        single(answer, &one.expectation, &one.bill, out)?;
    } else {
        table(answer, out)?;
    }
    let session_id = |plan: &Plan| plan.balance == Balance::SessionId;
    if answer.expected.iter().any(|one| session_id(&one.expectation.plan)) {
        persistence(answer, out)?;
    }
    list("what this rests on", &assumptions(answer), out)?;
    list("not counted", &left_out(census), out)
}

/// One plan in full.
fn single(answer: &WhatIf, expectation: &Expectation, bill: &Bill, out: &mut dyn Write) -> io::Result<()> {
    let census = &answer.crowd.census;
    let resumed = |resumed| rate(resumed, census.reconnects);
    writeln!(out, "\nin the capture   {}", resumed(census.resumed))?;
    writeln!(out, "                 {}", cost(&answer.captured))?;
    let plan = &expectation.plan;
    writeln!(
        out,
        "\n{}, {}, {}",
        counted(u64::from(plan.backends), "backend", "backends"),
        plan.balance.code(),
        shared(plan.share)
    )?;
    writeln!(
        out,
        "to expect        {}{}",
        resumed(expectation.resumed),
        spread(expectation)
    )?;
    for (why, count) in FullCause::ALL
        .iter()
        .zip(expectation.full)
        .filter(|(_, count)| *count > 0)
    {
        writeln!(out, "                 {} full: {}", number(count), because(*why))?;
    }
    writeln!(out, "                 {}", cost(bill))?;
    if let Some(busiest) = expectation.busiest.filter(|_| plan.backends > 1) {
        let even = percent(1.0 / f64::from(plan.backends));
        writeln!(
            out,
            "                 busiest backend: {} of the connections (even: {even})",
            percent(busiest)
        )?;
    }
    Ok(())
}

/// All plans, one a line.
fn table(answer: &WhatIf, out: &mut dyn Write) -> io::Result<()> {
    let census = &answer.crowd.census;
    let plan = answer.expected.first().map(|one| one.expectation.plan);
    let backends = plan.map_or(0, |plan| u64::from(plan.backends));
    let heading = format!("{} and", counted(backends, "backend", "backends"));
    writeln!(
        out,
        "\n{heading:NAME$}  {:>7}  {:>9}  {:>9}  {:>11}  {:>7}  {:>7}",
        "resumed", "between", "full", "round trips", "bytes", "busiest"
    )?;
    let mut row = |name: &str, resumed: Option<f64>, between: &str, bill: &Bill, busiest: &str| {
        writeln!(
            out,
            "{name:NAME$}  {:>7}  {between:>9}  {:>9}  {:>11}  {:>7}  {busiest:>7}",
            resumed.map_or_else(String::new, percent),
            number(bill.handshakes),
            number(whole(bill.round_trips)),
            bytes(whole(bill.bytes)),
        )
    };
    row(
        "in the capture",
        share(census.resumed, census.reconnects),
        "",
        &answer.captured,
        "",
    )?;
    for one in &answer.expected {
        let expectation = &one.expectation;
        let between = expectation.rates().map_or_else(String::new, |(low, high)| {
            let [low, high] = [low, high].map(percent);
            if low == high {
                String::new()
            } else {
                format!("{}–{high}", low.trim_end_matches(" %"))
            }
        });
        let name = format!(
            "{}, {}",
            expectation.plan.balance.code(),
            shared(expectation.plan.share)
        );
        let busiest = expectation.busiest.map_or_else(String::new, percent);
        row(&name, expectation.rate(), &between, &one.bill, &busiest)?;
    }
    Ok(())
}

/// Whether session IDs could lead clients back to their backends.
fn persistence(answer: &WhatIf, out: &mut dyn Write) -> io::Result<()> {
    let found = &answer.persistence;
    let mut lines = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!("{} {what}", counted(count, "hello has", "hellos have")));
        }
    };
    say(
        found.given,
        "the ID of a session that a server gave: a balancer can know it",
    );
    say(found.unknown, "an ID that nobody was seen to give");
    say(
        found.random,
        "a random ID that never comes again (TLS 1.3): it pins nobody",
    );
    say(
        found.beside_ticket - found.follows_ticket,
        "an ID made up to go with a ticket, a new one each time as far as seen: it pins nobody",
    );
    say(
        found.follows_ticket,
        "an ID that the client makes of its ticket: a balancer can know it once the ticket was accepted",
    );
    say(found.none, "no ID");
    if let Some((middle, longest)) = found.kept_for() {
        lines.push(format!(
            "clients still offered an ID {} after it was given (the middle one), {} at most",
            duration(middle),
            duration(longest)
        ));
    }
    for one in &answer.expected {
        let expectation = &one.expectation;
        if expectation.plan.balance == Balance::SessionId {
            let led = rate_of(expectation.led, expectation.reconnects);
            lines.push(format!(
                "{}: an ID leads {led} to their backend",
                shared(expectation.plan.share)
            ));
        }
    }
    list("session IDs", &lines, out)
}

fn list(heading: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{heading}")?;
    for line in lines {
        for (index, part) in wrap(line, WIDTH - 4).enumerate() {
            writeln!(out, "  {} {part}", if index == 0 { '-' } else { ' ' })?;
        }
    }
    Ok(())
}

/// What the model takes for granted, as far as it matters to these plans.
pub(super) fn assumptions(answer: &WhatIf) -> Vec<String> {
    let plans: Vec<&Plan> = answer.expected.iter().map(|one| &one.expectation.plan).collect();
    let any = |test: &dyn Fn(&Plan) -> bool| plans.iter().any(|plan| test(plan));
    let census = &answer.crowd.census;
    let mut lines = vec![
        "clients come when they came and offer when they offered, but what the modelled farm gave them; each service \
         of the capture is one farm"
            .to_owned(),
        "connections take turns in the order of the capture; those that it does not show take none. Between: turns, \
         hashes and moments fall otherwise"
            .to_owned(),
    ];
    let mut say = |holds: bool, line: String| {
        if holds {
            lines.push(line);
        }
    };
    say(
        any(&|plan| plan.share == Share::Nothing),
        "sharing nothing, servers give IDs or tickets as in the capture, each from its own cache or key".to_owned(),
    );
    say(
        any(&|plan| plan.share == Share::Cache),
        "with a shared cache, servers give session IDs, in TLS 1.3 tickets that stand for an entry of the cache"
            .to_owned(),
    );
    say(
        any(&|plan| plan.share == Share::Cache) && census.by_ticket > 0,
        format!(
            "with a shared cache, the clients of {} that offered a ticket would offer an ID as well; this is not shown",
            counted(census.by_ticket, "reconnect", "reconnects")
        ),
    );
    say(
        any(&|plan| plan.share == Share::Tickets) && census.take_no_tickets > 0,
        format!(
            "with shared ticket keys, the clients of {} still take no tickets: they have IDs, known to one backend",
            counted(census.take_no_tickets, "reconnect", "reconnects")
        ),
    );
    say(
        any(&|plan| plan.balance == Balance::SessionId),
        "the balancer learns IDs from every ServerHello up to TLS 1.2, before the client comes back, and forgets none"
            .to_owned(),
    );
    say(
        census.tls13 > 0,
        format!(
            "{} in TLS 1.3, where tickets are issued encrypted: each is taken to be from the client's latest \
             connection before",
            counted(census.tls13, "reconnect is", "reconnects are")
        ),
    );
    say(
        census.unexplained > 0,
        format!(
            "{} of the capture without a certain cause: taken to be the farm's; the lower bound is if every server \
             refuses them",
            counted(census.unexplained, "refusal", "refusals")
        ),
    );
    lines.extend(limits(plans.first().copied()));
    lines
}

fn limits(plan: Option<&Plan>) -> Vec<String> {
    let timeout = match plan.and_then(|plan| plan.timeout) {
        Some(seconds) => format!("sessions are honoured for {seconds} s"),
        None => {
            "tickets are honoured as long as the capture shows them promised, IDs without end (--timeout)".to_owned()
        }
    };
    let keys = match plan.and_then(|plan| plan.key_rotation) {
        Some(seconds) => {
            format!("ticket keys change every {seconds} s; the one before is accepted and its tickets renewed")
        }
        None => "ticket keys do not change (--key-rotation)".to_owned(),
    };
    vec![timeout, keys]
}

/// Connections that are no reconnects.
fn left_out(census: &Census) -> Vec<String> {
    let all = [
        (
            census.newcomers,
            "first of their clients, or opened before anything could have been given",
        ),
        (census.never_offer, "of clients that never offer anything"),
        (
            census.did_not_offer,
            "of clients that had something and did not offer it",
        ),
        (
            census.given_nothing,
            "of clients that the server gave nothing: what they would do with something is not shown",
        ),
        (
            census.unknown_origin,
            "with an offer from before the capture or from elsewhere",
        ),
        (census.undecided, "failed, not visible, or with an external PSK"),
    ];
    let some = all.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{} {what}", number(count))).collect()
}

fn cost(bill: &Bill) -> String {
    let full = counted(bill.handshakes, "full handshake", "full handshakes");
    let trips = counted(whole(bill.round_trips), "extra round trip", "extra round trips");
    let mut parts = vec![format!("{full}: {trips}")];
    if bill.nanos > 0.0 {
        parts.push(duration(i64::try_from(whole(bill.nanos)).unwrap_or(i64::MAX)));
    }
    if bill.bytes > 0.0 {
        parts.push(bytes(whole(bill.bytes)));
    }
    if bill.handshakes > 0 {
        parts.push(counted(
            bill.handshakes,
            "private key operation",
            "private key operations",
        ));
    }
    parts.join(", ")
}

fn rate(part: u64, whole: u64) -> String {
    let percent = share(part, whole).map_or_else(String::new, |share| format!(" ({})", percent(share)));
    format!("{} of {} resumed{percent}", number(part), number(whole))
}

fn rate_of(part: u64, whole: u64) -> String {
    let percent = share(part, whole).map_or_else(String::new, |share| format!(" ({})", percent(share)));
    format!("{} of {} reconnects{percent}", number(part), number(whole))
}

fn spread(expectation: &Expectation) -> String {
    match expectation.rates() {
        Some((low, high)) if expectation.between.0 < expectation.between.1 => {
            format!("; between {} and {}", percent(low), percent(high))
        }
        _ => String::new(),
    }
}

#[allow(clippy::cast_precision_loss)] // counts of connections stay far below 2^53
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The nearest whole number of a sum that is not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and no sum is negative
pub(super) fn whole(value: f64) -> u64 {
    value.round() as u64
}

const fn shared(share: Share) -> &'static str {
    match share {
        Share::Nothing => "nothing shared",
        Share::Cache => "cache shared",
        Share::Tickets => "keys shared",
    }
}

const fn because(why: FullCause) -> &'static str {
    match why {
        FullCause::NoReconnect => "nothing offered",
        FullCause::OtherBackend => "another backend has the session or the key",
        FullCause::TooOld => "the session is too old",
        FullCause::KeyGone => "the ticket's key is gone",
        FullCause::Refused => "refused in the capture for a cause that any farm has",
        FullCause::NothingLeft => "parallel connections have used up the client's tickets",
    }
}
