//! The messages of one connection in their order, as far as they are kept: who sent what, in which frame, when.

use crate::model::{Report, credential_id};
use reshake_core::net::{At, FrameRef, Timestamp};
use reshake_core::session::{CloseNotify, Connection, CredentialId, EarlyData, ResetForm, Side, TicketsInferred};

use super::{FrameLabel, FrameNames, offset};

/// One message.
#[derive(Debug, Clone)]
pub struct Rung {
    /// Its frame.
    pub frame: FrameLabel,
    /// Nanoseconds from the first packet of the report; `None` where only the frame is kept.
    pub offset: Option<i64>,
    /// Who sent it.
    pub from: Side,
    /// What it is.
    pub text: String,
}

/// A message on its way into the ladder.
struct LadderStep {
    frame: FrameRef,
    time: Option<Timestamp>,
    /// Breaks ties within a frame, in which several messages may stand.
    rank: u8,
    from: Side,
    text: String,
}

/// The messages of a connection.
#[must_use]
pub fn ladder(report: &Report<'_>, connection: &Connection) -> Vec<Rung> {
    let mut steps = Vec::new();
    opening(connection, &mut steps);
    hellos(report, connection, &mut steps);
    handshake(report, connection, &mut steps);
    ending(connection, &mut steps);
    place_untimed(&mut steps);
    steps.sort_by_key(|step| (step.time, step.frame, step.rank));
    let frames = FrameNames::of(report);
    steps
        .into_iter()
        .map(|step| Rung {
            frame: frames.label(step.frame),
            offset: step.time.map(|time| offset(report, time)),
            from: step.from,
            text: step.text,
        })
        .collect()
}

/// Only the frame is kept of some messages: they stand where the frames around them stand. Their time stays unsaid.
fn place_untimed(steps: &mut [LadderStep]) {
    let timed: Vec<(FrameRef, Timestamp)> = steps.iter().filter_map(|step| Some((step.frame, step.time?))).collect();
    for step in steps.iter_mut().filter(|step| step.time.is_none()) {
        let before = timed
            .iter()
            .filter(|(frame, _)| frame.capture() == step.frame.capture() && *frame <= step.frame)
            .max();
        step.time = before.map(|(_, time)| *time);
        // A frame that holds a timed message bears that time; any other only its place.
        if before.is_none_or(|(frame, _)| *frame != step.frame) {
            step.rank = step.rank.saturating_add(UNTIMED);
        }
    }
}

/// Rank of what has its place but not its time.
const UNTIMED: u8 = 100;

impl LadderStep {
    fn at(at: At, rank: u8, from: Side, text: impl Into<String>) -> Self {
        Self {
            frame: at.frame,
            time: Some(at.time),
            rank,
            from,
            text: text.into(),
        }
    }

    fn in_frame(frame: FrameRef, rank: u8, from: Side, text: impl Into<String>) -> Self {
        Self {
            frame,
            time: None,
            rank,
            from,
            text: text.into(),
        }
    }
}

fn opening(connection: &Connection, steps: &mut Vec<LadderStep>) {
    let transport = &connection.transport;
    let first = At {
        frame: transport.first(),
        time: transport.started,
    };
    let hello_first = connection
        .hello
        .yes()
        .is_some_and(|hello| hello.at.frame == first.frame);
    if transport.client_isn.is_some() {
        steps.push(LadderStep::at(first, 0, Side::Client, "SYN"));
    } else if !hello_first {
        steps.push(LadderStep::at(
            first,
            0,
            Side::Client,
            "first packet seen of this connection",
        ));
    }
    if let Some(preamble) = transport.preamble() {
        let client = preamble
            .client
            .map_or_else(String::new, |client| format!(" for {client}"));
        let text = format!("before TLS: {}{client}", preamble.kind);
        steps.push(LadderStep::at(first, 1, Side::Client, text));
    }
}

fn hellos(report: &Report<'_>, connection: &Connection, steps: &mut Vec<LadderStep>) {
    if let Some(retry) = &connection.retry {
        steps.push(LadderStep::at(
            retry.first_hello,
            2,
            Side::Client,
            "ClientHello (first)",
        ));
        if !connection.retry_is_concluded() {
            steps.push(LadderStep::at(retry.request, 3, Side::Server, "HelloRetryRequest"));
        }
    }
    if let Some(hello) = connection.hello.yes() {
        let offers: Vec<String> = connection
            .offers
            .iter()
            .filter_map(|offer| name(report, offer.credential))
            .collect();
        let offers = if offers.is_empty() {
            "offers nothing".to_owned()
        } else {
            format!("offers {}", offers.join(", "))
        };
        let early = if hello.early_data { ", early data" } else { "" };
        let hello_text = format!("ClientHello {offers}{early}");
        steps.push(LadderStep::at(hello.at, 4, Side::Client, hello_text));
    }
    if let Some(answer) = connection.answer.yes() {
        let taken = connection.accepted.and_then(|id| name(report, id));
        let taken = taken.map_or_else(String::new, |name| format!(", accepts {name}"));
        let text = format!("ServerHello {}{taken}", answer.version);
        steps.push(LadderStep::at(answer.at, 5, Side::Server, text));
    }
}

fn handshake(report: &Report<'_>, connection: &Connection, steps: &mut Vec<LadderStep>) {
    if let Some((_, frame)) = connection.certificate {
        steps.push(LadderStep::in_frame(frame, 6, Side::Server, "Certificate"));
    }
    if let Some(frame) = connection.certificate_request {
        steps.push(LadderStep::in_frame(frame, 7, Side::Server, "CertificateRequest"));
    }
    if let Some(frame) = connection.ticket_withdrawn {
        let text = "NewSessionTicket, empty: the promised ticket is withdrawn";
        steps.push(LadderStep::in_frame(frame, 8, Side::Server, text));
    }
    for id in &connection.issued {
        let credential = report.engine.credential_store().get(*id);
        if let (Some(issue), Some(name)) = (credential.and_then(|credential| credential.issued), name(report, *id)) {
            steps.push(LadderStep::at(issue.at, 9, Side::Server, format!("issues {name}")));
        }
    }
    match connection.early_data {
        EarlyData::Accepted { at, inferred: true } => {
            steps.push(LadderStep::at(
                at,
                10,
                Side::Client,
                "EndOfEarlyData (inferred): accepted",
            ));
        }
        EarlyData::Accepted { at, inferred: false } => {
            steps.push(LadderStep::at(
                at,
                10,
                Side::Server,
                "EncryptedExtensions: early data is accepted",
            ));
        }
        EarlyData::Rejected { at, inferred } => {
            let inferred = if inferred { " (inferred)" } else { "" };
            let text = format!("early data is refused{inferred}");
            steps.push(LadderStep::at(at, 10, Side::Server, text));
        }
        EarlyData::NotOffered | EarlyData::Unclear(_) => {}
    }
    for side in Side::BOTH {
        let facts = connection.side(side);
        if let Some(at) = facts.finished {
            steps.push(LadderStep::at(at, 11, side, "Finished"));
        }
        if let Some(at) = facts.application_data {
            steps.push(LadderStep::at(at, 13, side, "first application data"));
        }
    }
    if let (TicketsInferred::Like(count), Some(at)) = (connection.tickets_inferred, connection.server_side.finished) {
        let records = if count == 1 { "record" } else { "records" };
        let text = format!("then {count} {records} of the look of tickets (inferred, encrypted)");
        steps.push(LadderStep::in_frame(at.frame, 12, Side::Server, text));
    }
}

fn ending(connection: &Connection, steps: &mut Vec<LadderStep>) {
    for side in Side::BOTH {
        let facts = connection.side(side);
        let notify = *connection.close.side(side);
        match notify {
            CloseNotify::Observed(at) => steps.push(LadderStep::at(at, 20, side, "close_notify")),
            CloseNotify::Inferred(at) => steps.push(LadderStep::at(at, 20, side, "close_notify (inferred)")),
            CloseNotify::AnswerToBareFin(at) => {
                steps.push(LadderStep::at(
                    at,
                    20,
                    side,
                    "alert after FIN: close_notify or an error",
                ));
            }
            CloseNotify::Absent | CloseNotify::Blind(_) => {}
        }
        if let Some(alert) = facts.alert.as_deref() {
            let level = if alert.fatal { "fatal alert" } else { "alert" };
            if notify.at().is_none_or(|at| at.frame != alert.at.frame) {
                steps.push(LadderStep::at(
                    alert.at,
                    19,
                    side,
                    format!("{level} {}", alert.description),
                ));
            }
        }
        if let Some(frame) = facts.handshake_alert {
            let text = "protected record of the size of an alert, inside the handshake";
            steps.push(LadderStep::in_frame(frame, 19, side, text));
        }
        if let Some(at) = facts.fin {
            steps.push(LadderStep::at(at, 21, side, "FIN"));
        }
        if let Some(reset) = facts.reset {
            let form = match reset.form {
                ResetForm::NoSocket => " by a host without the connection",
                ResetForm::Active => "",
            };
            let doubt = if reset.doubtful { ", may have been ignored" } else { "" };
            steps.push(LadderStep::at(reset.at, 22, side, format!("RST{form}{doubt}")));
        }
    }
}

fn name(report: &Report<'_>, id: CredentialId) -> Option<String> {
    let credential = report.engine.credential_store().get(id)?;
    Some(format!(
        "{} {}",
        super::credential::kind(credential.mechanism),
        credential_id(credential)
    ))
}
