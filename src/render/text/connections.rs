//! The connections that matter: one of each kind with its evidence, or all of them.

use crate::model::protocol_text;
use std::cmp::Reverse;
use std::io::{self, Write};

use anstyle::Style;

use super::{Page, Styles, paint};
use crate::model::{EarlyAnswer, OutcomeGroup, TicketAge, alike, connection_id, ticket_ages};
use crate::wording::{counted, number, seconds};
use crate::wording::{printable, shown_path};
use crate::wording::{target, wrapping_text};
use reshake_core::diagnosis::{Judged, TransferSession};
use reshake_core::net::FrameRef;
use reshake_core::session::{Connection, ConnectionId, EarlyData, Outcome};

/// Kinds shown without `--all`.
const MAX_KINDS: usize = 12;
/// Pieces of evidence shown for one reason.
const MAX_EVIDENCE: usize = 5;
/// Longest sentence of a reason or its evidence.
const MAX_SENTENCE: usize = 200;

impl Page<'_, '_> {
    pub(super) fn connections(&mut self) -> io::Result<()> {
        if self.all {
            let report = self.report;
            for (number, id, connection) in report.connections() {
                self.connection(number, id, connection)?;
            }
            return Ok(());
        }
        let mut kinds = self.kinds();
        kinds.sort_by_key(|kind| (kind.gravity(), Reverse(kind.connections), kind.example.0));
        for kind in kinds.iter().take(MAX_KINDS) {
            self.kind(kind)?;
        }
        let rest = kinds.get(MAX_KINDS..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        let connections = rest.iter().map(|kind| kind.connections).sum();
        let kinds = counted(rest.len() as u64, "more kind", "more kinds");
        writeln!(
            self.out,
            "\n… {kinds} ({}): --all",
            counted(connections, "connection", "connections")
        )
    }

    /// The kinds that matter: by service where they are few, else those of all services together.
    fn kinds(&self) -> Vec<OutcomeGroup> {
        let services = &self.report.services;
        let all = services.iter().flat_map(|view| &view.alike);
        let by_service: Vec<OutcomeGroup> = all.filter(|kind| kind.matters()).copied().collect();
        if by_service.len() <= MAX_KINDS {
            return by_service;
        }
        let mut together = Vec::new();
        alike::merge(&mut together, &by_service);
        together
    }

    /// One that stands for all of its kind.
    fn kind(&mut self, kind: &OutcomeGroup) -> io::Result<()> {
        let (place, id) = kind.example;
        let Some(connection) = self.report.engine.connection_store().get(id) else {
            return Ok(());
        };
        self.connection(place, id, connection)?;
        match kind.connections.saturating_sub(1) {
            0 => Ok(()),
            more => writeln!(self.out, "… {} more alike: --all", number(more)),
        }
    }

    fn connection(&mut self, place: usize, id: ConnectionId, connection: &Connection) -> io::Result<()> {
        let version = protocol_text(connection).unwrap_or_else(|| "version not seen".to_owned());
        let outcome = paint(self.outcome_style(connection.outcome), outcome_text(connection.outcome));
        let started = connection.transport.started;
        let since = self.report.first_time().map_or_else(String::new, |first| {
            format!("   at {}", self.times.of_connection(started, first))
        });
        let name = target(connection.server, connection.server_name().map(AsRef::as_ref));
        let title = paint(self.style.name, format_args!("{} → {name}", connection.client));
        let backend = self.report.analyses.backend(id);
        let backend = backend.map_or_else(String::new, |backend| format!("   backend-{backend} answers"));
        writeln!(self.out, "\n{title}   {version}   {outcome}{since}{backend}")?;
        let reasons = self.report.reasons(id, connection);
        if let Some((primary, others)) = reasons.split_first() {
            self.reason(primary, &self.issuers(id, connection))?;
            self.others(primary, others)?;
        } else if reshake_core::diagnosis::judge::needs_reason(connection) {
            writeln!(self.out, "    no reason of the catalogue holds")?;
        }
        self.ages(connection)?;
        if let Some(early) = EarlyAnswer::of(connection) {
            self.paragraph(4, "", Style::new(), &early.words())?;
        }
        self.transfer(id)?;
        self.where_to_look(place, connection)
    }

    /// Tickets whose age the client states otherwise than the capture shows it.
    fn ages(&mut self, connection: &Connection) -> io::Result<()> {
        for age in ticket_ages(connection, self.report.engine.credential_store()).filter(TicketAge::is_off) {
            let refused = match connection.early_data {
                EarlyData::Rejected { .. } => "; servers refuse early data for that",
                EarlyData::NotOffered | EarlyData::Accepted { .. } | EarlyData::Unclear(_) => "",
            };
            let text = format!(
                "by the client's clock its ticket is {} s old, by the capture's {} s: a clock was set{refused}",
                seconds((age.real + age.difference()) * 1_000_000),
                seconds(age.real * 1_000_000),
            );
            self.paragraph(4, "", self.style.note, &text)?;
        }
        Ok(())
    }

    /// Which FTP control connection a transfer is of, and whether it resumed that one's session.
    fn transfer(&mut self, id: ConnectionId) -> io::Result<()> {
        let Some(transfer) = self.report.transfer(id) else {
            return Ok(());
        };
        let Some(control) = self.report.engine.connection_store().get(transfer.control) else {
            return Ok(());
        };
        let session = match transfer.session.yes() {
            Some(TransferSession::Control) => "it resumed that session",
            Some(TransferSession::Other) => "it resumed another session, which a server that asks for that one refuses",
            Some(TransferSession::None) => {
                "it did not resume that session; a server that requires this refuses the transfer"
            }
            None => "whether it resumed that session is not visible",
        };
        let control = connection_id(control);
        let text = format!("FTP transfer of the control connection {control}: {session}");
        self.paragraph(4, "", Style::new(), &text)
    }

    /// Frames in which the offered credentials were issued, with the backends that did it.
    fn issuers(&self, id: ConnectionId, connection: &Connection) -> Vec<(FrameRef, u16)> {
        let offered = self.report.case(id, connection).offered();
        offered
            .filter_map(|offered| offered.credential.issued)
            .filter_map(|issue| Some((issue.at.frame, self.report.analyses.backend(issue.connection)?)))
            .collect()
    }

    fn reason(&mut self, judged: &Judged, issuers: &[(FrameRef, u16)]) -> io::Result<()> {
        let settled = judged.settled_by;
        let settled = settled.map_or_else(String::new, |name| format!(", settled by {name}"));
        let sure = format!("{}{settled}", judged.confidence.code());
        let summary = printable(&judged.summary, MAX_SENTENCE);
        self.paragraph(
            4,
            "",
            Style::new(),
            &format!("{} ({sure}): {summary}", judged.reason.name),
        )?;
        let frames: Vec<String> = judged
            .evidence
            .iter()
            .map(|evidence| self.frame(evidence.frame))
            .collect();
        let width = frames
            .iter()
            .take(MAX_EVIDENCE)
            .map(|frame| frame.chars().count())
            .max()
            .unwrap_or(0);
        for (evidence, frame) in judged.evidence.iter().zip(&frames).take(MAX_EVIDENCE) {
            let label = format!("frame {frame:width$}  ");
            let issuer = issuers.iter().find(|(frame, _)| *frame == evidence.frame);
            let issuer = issuer.map_or_else(String::new, |(_, backend)| format!(", by backend-{backend}"));
            let text = format!("{}{issuer}", printable(&evidence.text, MAX_SENTENCE));
            self.paragraph(6, &label, Style::new(), &text)?;
        }
        match judged.evidence.len().saturating_sub(MAX_EVIDENCE) {
            0 => Ok(()),
            more => writeln!(
                self.out,
                "      … {}",
                counted(more as u64, "more frame", "more frames")
            ),
        }
    }

    /// Further reasons that hold, and what else is possible.
    fn others(&mut self, primary: &Judged, others: &[Judged]) -> io::Result<()> {
        let mut names: Vec<String> = others
            .iter()
            .map(|judged| format!("{} ({})", judged.reason.name, judged.confidence.code()))
            .collect();
        let known = |name: &str| others.iter().any(|judged| judged.reason.name == name);
        names.extend(
            primary
                .remaining
                .iter()
                .filter(|name| !known(name))
                .map(|name| format!("{name} (not excluded)")),
        );
        if names.is_empty() {
            return Ok(());
        }
        self.paragraph(4, "also: ", Style::new(), &names.join(", "))
    }

    /// The filter is on one line however long it is: it is there to be copied. The exact one is long.
    fn where_to_look(&mut self, place: usize, connection: &Connection) -> io::Result<()> {
        let faint = self.style.faint;
        if !self.all {
            let filter = self.report.short_filter(connection);
            let capture = usize::from(connection.transport.first().capture());
            let file = match (self.prefixes.get(capture), self.report.captures.get(capture)) {
                (Some(_), Some(capture)) => format!(" in {}", shown_path(capture)),
                _ => String::new(),
            };
            let line = paint(faint, format_args!("Wireshark{file}: {filter}"));
            self.out.whole(&format!("    {line}"))?;
            return self.name_of(place, connection);
        }
        for (capture, filter) in self.report.display_filter(connection) {
            let capture = usize::from(capture);
            let file = match (self.prefixes.get(capture), self.report.captures.get(capture)) {
                (Some(_), Some(capture)) => format!(" in {}", shown_path(capture)),
                _ => String::new(),
            };
            let line = paint(faint, format_args!("Wireshark{file}: {filter}"));
            self.out.whole(&format!("    {line}"))?;
        }
        self.name_of(place, connection)
    }

    /// What surrounds it, and what it is called.
    fn name_of(&mut self, place: usize, connection: &Connection) -> io::Result<()> {
        let faint = self.style.faint;
        let around: Vec<String> = connection.transport.outer().iter().map(wrapping_text).collect();
        if !around.is_empty() {
            self.paragraph(4, "inside ", faint, &around.join(", "))?;
        }
        let number = number(place as u64);
        writeln!(
            self.out,
            "    {}",
            paint(
                faint,
                format_args!("connection {number}, {}", connection_id(connection))
            )
        )
    }

    const fn outcome_style(&self, outcome: Outcome) -> Style {
        self.style.of(outcome)
    }
}

impl Styles {
    pub(super) const fn of(&self, outcome: Outcome) -> Style {
        match outcome {
            Outcome::Resumed(_) => self.good,
            Outcome::Declined | Outcome::Failed => self.bad,
            Outcome::Unclear(_) => self.note,
            Outcome::NotOffered | Outcome::ExternalPsk => Style::new(),
        }
    }
}

pub(super) fn outcome_text(outcome: Outcome) -> String {
    match outcome {
        Outcome::Resumed(Some(mechanism)) => format!("resumed by {}", mechanism.code()),
        Outcome::NotOffered => "nothing offered".to_owned(),
        Outcome::Unclear(cause) => format!("unclear ({})", cause.code()),
        Outcome::ExternalPsk => "external PSK".to_owned(),
        Outcome::Resumed(None) | Outcome::Declined | Outcome::Failed => outcome.code().to_owned(),
    }
}
