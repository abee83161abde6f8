//! What was not analysed, or not as it stood: in the first lines, because it limits all that follows.

use std::collections::BTreeSet;
use std::io;

use super::Page;
use crate::wording::{counted, duration, number};
use reshake_core::net::capture::Ended;
use reshake_core::net::{FrameRef, Notice};

/// Notices that get a line each, the gravest first. The others share one.
const GRAVE: &[Notice] = &[
    Notice::FileTruncated,
    Notice::CorruptBlockSkipped,
    Notice::OneDirection,
    Notice::PacketCutBySnaplen,
    Notice::StreamGap,
    Notice::QuicVersionUnsupported,
    Notice::DtlsVersionUnsupported,
    Notice::PacketWithoutTime,
    Notice::LinkTypeNotSupported,
    Notice::UnknownInterface,
    Notice::FlowEvicted,
    Notice::StreamBufferLimit,
    Notice::ConnectionsOmitted,
];

impl Page<'_, '_> {
    pub(super) fn notices(&mut self) -> io::Result<()> {
        let dropped: u64 = self.report.captures.iter().filter_map(|capture| capture.dropped).sum();
        if dropped > 0 {
            let packets = counted(dropped, "packet", "packets");
            self.note(&format!(
                "{packets} were dropped while capturing; a larger buffer (tcpdump -B) keeps more"
            ))?;
        }
        if self
            .report
            .captures
            .iter()
            .any(|capture| capture.ended == Ended::Corrupt)
        {
            self.note("an input is damaged or could not be read further; what came before was analysed")?;
        }
        for &notice in GRAVE {
            let (count, first) = self.count(notice);
            if count > 0 {
                let place = self.place(notice, count, first);
                let more = match notice {
                    Notice::ConnectionsOmitted => "; reasons and costs are those of the others",
                    _ => "",
                };
                self.note(&format!("{}{}{place}{more}", notice.text(), self.named(notice)))?;
            }
        }
        self.minor()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.paragraph(0, "note: ", self.style.note, text)
    }

    /// " (12, first in frame 4)", as far as it says something.
    fn place(&self, notice: Notice, count: u64, first: Option<FrameRef>) -> String {
        let once = matches!(notice, Notice::FileTruncated) && count == 1;
        match (first.map(|frame| self.frame(frame)), count) {
            (Some(frame), 1) => format!(" (frame {frame})"),
            (Some(frame), _) => format!(" ({}, first in frame {frame})", number(count)),
            (None, _) if once => String::new(),
            (None, _) => format!(" ({})", number(count)),
        }
    }

    fn minor(&mut self) -> io::Result<()> {
        let parts: Vec<String> = Notice::ALL
            .iter()
            .filter(|notice| !GRAVE.contains(notice))
            .filter_map(|&notice| match self.count(notice) {
                (0, _) => None,
                (count, first) => Some(format!(
                    "{}{}{}{}",
                    notice.text(),
                    self.named(notice),
                    self.clocks(notice),
                    self.place(notice, count, first)
                )),
            })
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        self.paragraph(0, "also: ", self.style.faint, &parts.join("; "))
    }

    /// By how much the clocks differ: ", by 1.2 ms at least and 1.4 ms at most".
    fn clocks(&self, notice: Notice) -> String {
        if notice != Notice::ClocksDiffer {
            return String::new();
        }
        let connection_store = self.report.engine.connection_store().iter();
        let ahead = connection_store.filter_map(|(_, connection)| connection.transport.server_clock_ahead());
        let (least, most) = ahead.fold((i64::MAX, i64::MIN), |(least, most), ahead| {
            (least.min(ahead), most.max(ahead))
        });
        let told = |ahead: i64| {
            let way = if ahead < 0 { "behind" } else { "ahead" };
            format!("{} {way}", duration(ahead.saturating_abs()))
        };
        match (least, most) {
            _ if least > most => String::new(),
            _ if told(least) == told(most) => format!("; the server's is {}", told(least)),
            _ => format!("; the server's is between {} and {}", told(least), told(most)),
        }
    }

    /// ": EtherType 0x8903", for the notices that have numbers.
    fn named(&self, notice: Notice) -> String {
        let captures = self.report.captures.iter();
        let numbers: BTreeSet<u16> = captures.flat_map(|capture| capture.notices.numbers(notice)).collect();
        match notice.named(numbers.into_iter()) {
            named if named.is_empty() => named,
            named => format!(": {named}"),
        }
    }

    /// Of all captures.
    fn count(&self, notice: Notice) -> (u64, Option<FrameRef>) {
        let mut total = 0;
        let mut place = None;
        for capture in &self.report.captures {
            for (_, count, first) in capture.notices.iter().filter(|(kind, ..)| *kind == notice) {
                total += count;
                place = place.or(first);
            }
        }
        (total, place)
    }
}
