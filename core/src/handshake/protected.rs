//! What the order and the lengths of protected records tell without keys: Finished, early data, tickets of TLS 1.3, and
//! what each side sent last.

use super::{HandshakeTracker, LaterRecord, ServerFlight, StreamPlace};
use crate::net::At;
use crate::session::ProtectedRecord;
use crate::session::ServerHelloFacts;
use crate::session::{Blindness, Seen, Shape, is_alert_length};
use crate::session::{EarlyData, JSSE_PADDING, TicketsInferred};
use crate::session::{PlainAlert, Side};
use crate::tls::{Content, ContentType};

/// Record length of a TLS 1.3 EndOfEarlyData: 4 bytes of message and the inner type, beside the tag.
const END_OF_EARLY_DATA: u16 = 5;
/// A NewSessionTicket of TLS 1.3 is never smaller: 13 bytes of fields, 32 of ticket, inner type and tag.
const SMALLEST_TICKET_RECORD: u16 = 60;
/// Inner type and tag of nearly every suite.
const TYPE_AND_TAG: u16 = 17;
/// EncryptedExtensions without any: what stands in front of the server's Finished at least.
const SMALLEST_EXTENSIONS: u16 = 6;
/// Certificate with a bare Ed25519 key (RFC 7250), and CertificateVerify with a signature of that: what stands there too where
/// no PSK was accepted.
const SMALLEST_CERTIFICATE: u16 = 57 + 72;

/// Bytes in front of the body of a record (RFC 8446 §5.1).
const RECORD_HEADER: u32 = 5;

/// Records of a client that wait for the ServerHello: a handshake has fewer.
const MAX_WAITING: usize = 16;

impl HandshakeTracker {
    pub(super) fn protected(&mut self, side: Side, record: ProtectedRecord, place: StreamPlace) {
        if side == Side::Client {
            if self.waits_for_answer(record, place) {
                let waiting = &mut self.rare.get_or_insert_default().waiting;
                waiting.push((record, place));
                if waiting.len() < MAX_WAITING {
                    return;
                }
                return self.release_waiting();
            }
            self.release_waiting();
        }
        self.classify(side, record, place);
    }

    /// Until the ServerHello is there nothing tells what a record is of a client that speaks TLS 1.3 and older versions. In
    /// a file without order it may stand further on. What comes before it in any order is early data, unless it acknowledges
    /// what the server said.
    fn waits_for_answer(&self, record: ProtectedRecord, place: StreamPlace) -> bool {
        let hello = self.facts.hello.yes();
        let answered = place.acknowledged.is_some_and(|bytes| bytes > 0);
        record.content == Content::Closed
            && self.facts.answer.yes().is_none()
            && hello.is_some_and(|hello| hello.offers_tls13 && (answered || !hello.early_data))
    }

    /// Takes the client's records that waited for the ServerHello, with what is known by now.
    pub(super) fn release_waiting(&mut self) {
        let rare = self.rare.as_deref_mut();
        for (record, place) in rare.map(|rare| std::mem::take(&mut rare.waiting)).unwrap_or_default() {
            self.classify(Side::Client, record, place);
        }
    }

    fn classify(&mut self, side: Side, record: ProtectedRecord, place: StreamPlace) {
        let tls13 = self.facts.is_tls13();
        // Before the ServerHello is there, records of a client that speaks TLS 1.3 may be early data.
        let tls12 = match (self.facts.answer.yes(), self.facts.hello.yes()) {
            (Some(_), _) => !tls13,
            (None, hello) => hello.is_some_and(|hello| !hello.offers_tls13),
        };
        let fits = |answer: &ServerHelloFacts| answer.protection().fits(record.length, 3);
        // Looking the suite up takes longer than all else here.
        let alert_with_type =
            record.content_type == ContentType::TLS12_CID && self.facts.answer.yes().and_then(fits) == Some(true);
        let facts = self.facts.side_mut(side);
        let handshake_over = facts.finished.is_some();
        let closed = record.content == Content::Closed;
        if let Content::Alert { fatal, description } = record.content {
            self.alert(
                side,
                PlainAlert {
                    at: record.at,
                    fatal,
                    description,
                },
            );
        } else if tls13 && !closed {
            self.opened_tls13(side, record);
        } else if tls13 {
            self.protected_tls13(side, record, place);
        } else if tls12 {
            match record.content_type {
                // The type is inside (RFC 9146 §4); what has the length of an alert is no Finished.
                ContentType::TLS12_CID if closed && alert_with_type => {}
                ContentType::HANDSHAKE | ContentType::APPLICATION_DATA | ContentType::TLS12_CID if !handshake_over => {
                    facts.finished = Some(record.at);
                    facts.handshake_bytes = StreamPlace::counted(place.offset);
                }
                ContentType::APPLICATION_DATA | ContentType::TLS12_CID => {
                    if side == Side::Client && facts.application_data.is_none() {
                        self.client_had = place.acknowledged.and_then(StreamPlace::counted);
                    }
                    facts.application_data.get_or_insert(record.at);
                }
                ContentType::HANDSHAKE => self.end(side).asked_again = true,
                // Encrypted, so longer than one byte: a second handshake on this connection.
                ContentType::CHANGE_CIPHER_SPEC => {
                    let [client, server] = &mut self.protected_ccs;
                    let count = if side == Side::Client {
                        &mut *client
                    } else {
                        &mut *server
                    };
                    *count = count.saturating_add(1);
                    self.facts.renegotiations = (*client).max(*server);
                }
                ContentType::ALERT if self.facts.side(side.other()).finished.is_none() => {
                    self.facts.side_mut(side).handshake_alert.get_or_insert(record.at.frame);
                }
                _ => {}
            }
        }
        let end = self.end(side);
        if let Some(last) = end.last.replace(record)
            && handshake_over
            && last.content == Content::Closed
        {
            // Application data of two bytes has the size of an alert; an alert in the middle is a warning.
            let sized_like_alert = last.length == 19 + end.padding.unwrap_or(0);
            end.short_records += u32::from(sized_like_alert && last.content_type == ContentType::APPLICATION_DATA);
            end.before_last = Some(last);
        }
        if tls13 {
            self.note_answer(side, record, place);
        }
    }

    /// Who sends data when it has the last record of the other side answers that: it was data too, or its sender does not
    /// close at once. Tickets come unasked.
    fn note_answer(&mut self, side: Side, record: ProtectedRecord, place: StreamPlace) {
        self.end(side).answered = false;
        let [client, server] = &mut self.stands;
        let (own, other) = match side {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        *own = StreamPlace::counted(place.offset);
        let had_it = place
            .acknowledged
            .zip(*other)
            .is_none_or(|(had, end)| had >= end.get().into());
        // A client's request comes unasked too.
        let requested = self.facts.client_side.application_data;
        let asked = self
            .end(side.other())
            .last
            .is_some_and(|last| side == Side::Server || requested.is_some_and(|request| !request.is_after(last.at)));
        if had_it && asked && self.is_data(side, record, place.offset) {
            self.end(side.other()).answered = true;
        }
    }

    /// Whether a record that ends there is data, and neither an alert nor a ticket, as far as its content or its length tells.
    fn is_data(&self, side: Side, record: ProtectedRecord, offset: u64) -> bool {
        match record.content {
            Content::Data => true,
            Content::Closed => !self.is_alert_sized(side, record.length) && !self.is_like_ticket(record, offset),
            Content::Alert { .. } | Content::Handshake | Content::Other => false,
        }
    }

    /// Whether a record that ends there is taken for a ticket: the first one behind the server's flight, or the second of the
    /// same length.
    fn is_like_ticket(&self, record: ProtectedRecord, offset: u64) -> bool {
        let [first, second] = self.after_finished;
        let this = [first, second]
            .into_iter()
            .flatten()
            .any(|later| later.end == StreamPlace::counted(offset));
        this && record.length >= SMALLEST_TICKET_RECORD && first.is_some_and(|first| first.length == record.length)
    }

    fn is_alert_sized(&self, side: Side, length: u16) -> bool {
        let [client, server] = &self.ends;
        is_alert_length(&self.facts, if side == Side::Client { client } else { server }, length)
    }

    fn protected_tls13(&mut self, side: Side, record: ProtectedRecord, place: StreamPlace) {
        let Some(answer) = self.facts.answer.yes() else { return };
        self.opened.server_closed |= side == Side::Server;
        let tag = answer.suite.tls13_tag();
        let finished = answer.suite.kdf_hash().map(|hash| 4 + hash.length() + 1 + tag);
        let padding = finished.and_then(|finished| {
            [0, JSSE_PADDING]
                .into_iter()
                .find(|padding| record.length == finished + padding)
        });
        match side {
            Side::Server if self.is_of_server_flight(place.offset) => {
                self.server_flight_tls13(record, place.offset, padding);
            }
            Side::Server => {
                let asked = self.facts.client_side.application_data.is_some();
                self.lost_after_flight |= self.after_finished == [None; 2] && self.is_behind_gap(record, place.offset);
                self.after_finished(record.length, asked, place.offset);
                self.facts.server_side.application_data.get_or_insert(record.at);
            }
            Side::Client if self.facts.client_side.finished.is_some() => {
                self.facts.client_side.application_data.get_or_insert(record.at);
            }
            Side::Client => self.client_flight_tls13(record, place, tag, padding),
        }
    }

    /// What the server sends before it has the client's Finished: its flight, and behind its own Finished perhaps tickets
    /// (Go, GnuTLS) or data (RFC 8446 §4.6.1, §2). Where each message has a record of its own, the size of one tells which
    /// is Finished.
    fn server_flight_tls13(&mut self, record: ProtectedRecord, offset: u64, padding: Option<u16>) {
        let flight = self.flight;
        let torn = self.facts.server_side.handshake_loss.is_some()
            || flight.torn
            || (flight.records > 0 && self.is_behind_gap(record, offset));
        let known = self.end(Side::Server).padding;
        let finished = padding.is_some()
            && !self.opened.server_finished
            && flight.bytes >= self.least_before_finished()
            && (!flight.ended || padding == known);
        if (flight.ended || self.opened.server_finished) && !finished {
            self.lost_after_flight |= self.after_finished == [None; 2] && self.is_behind_gap(record, offset);
            // What answers early data comes here too.
            let asked = self.facts.hello.yes().is_some_and(|hello| hello.early_data);
            self.after_finished(record.length, asked, offset);
            return;
        }
        self.flight = ServerFlight {
            bytes: flight.bytes.saturating_add(record.length.into()),
            records: flight.records.saturating_add(1),
            ended: finished,
            ended_twice: flight.ended_twice || (flight.ended && finished),
            torn,
        };
        // What seemed to follow stands in front of Finished.
        self.after_finished = [None; 2];
        self.server_flight = true;
        self.facts.server_side.finished.get_or_insert(record.at);
        self.facts.server_side.handshake_bytes = StreamPlace::counted(offset);
        if finished && !torn {
            self.end(Side::Server).padding = padding;
        }
    }

    /// Bytes of records that stand in front of the server's Finished at least.
    fn least_before_finished(&self) -> u32 {
        let certificate = if matches!(self.facts.shape, Seen::Yes(Shape::Abbreviated(_))) {
            0
        } else {
            SMALLEST_CERTIFICATE
        };
        (SMALLEST_EXTENSIONS + certificate + TYPE_AND_TAG).into()
    }

    /// Whether it is known where the server's flight ends: with a record of the size of Finished, or with the only one
    /// there is. `false` where tickets may be in it.
    fn flight_is_told(&self) -> bool {
        let flight = self.flight;
        // BoringSSL puts tickets behind its Finished in the same record where it takes early data.
        let early = self.facts.hello.yes().is_some_and(|hello| hello.early_data);
        let hash = self.facts.answer.yes().and_then(|answer| answer.suite.kdf_hash());
        let finished = hash.map_or(0, |hash| u32::from(4 + hash.length()));
        let alone = flight.records == 1 && !early && flight.bytes >= self.least_before_finished() + finished;
        !flight.torn && !flight.ended_twice && (flight.ended || alone)
    }

    /// Whether more of the server's flight of TLS 1.3 may follow what was seen of it: nothing there had the size of Finished, and
    /// the client was not seen to have had all when it sent its own.
    pub(super) fn server_flight_goes_on(&self) -> bool {
        let over = self.flight.ended || self.opened.server_finished;
        let seen = self.facts.server_side.handshake_bytes;
        let had_more = self.client_had.is_none_or(|had| seen.is_none_or(|seen| seen < had));
        self.facts.is_tls13() && self.server_flight && !over && had_more
    }

    /// Whether bytes are missing between the server's flight, as far as it was seen, and a record that ends there.
    fn is_behind_gap(&self, record: ProtectedRecord, offset: u64) -> bool {
        let begins = offset.checked_sub(u64::from(record.length) + u64::from(RECORD_HEADER));
        let flight = self.facts.server_side.handshake_bytes;
        flight.is_some_and(|end| begins.is_some_and(|begins| begins > end.get().into()))
    }

    /// Whether what ends there was sent by the server before it had the client's Finished: the client had it when it sent
    /// that, or has not sent it yet; where no acknowledgement tells, it stands in front of that in the file.
    fn is_of_server_flight(&self, offset: u64) -> bool {
        match (self.facts.client_side.finished, self.client_had) {
            (None, _) => true,
            (Some(_), Some(had)) => offset <= u64::from(had.get()),
            (Some(_), None) => false,
        }
    }

    /// A record of the server behind its Finished, which ends at `offset`.
    fn after_finished(&mut self, length: u16, asked: bool, offset: u64) {
        let early = self.is_of_server_flight(offset);
        if let Some(slot) = self.after_finished.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(LaterRecord {
                length,
                asked,
                early,
                end: StreamPlace::counted(offset),
            });
        }
    }

    /// The client sent Finished: what it did not have of the server by then is not of the server's flight, though it may
    /// stand before it in the file, as tickets do where packets are swapped or the server's side was captured. The last two
    /// records are known; nearly always no more are concerned.
    fn end_server_flight(&mut self) {
        let (Some(had), Some(end)) = (self.client_had, self.facts.server_side.handshake_bytes) else {
            return;
        };
        for later in self.after_finished.iter_mut().flatten() {
            later.early = later.end.is_some_and(|end| end <= had);
        }
        if self.flight.ended {
            return;
        }
        let [_, server] = &self.ends;
        let first = self.facts.server_side.finished;
        let mut end = end.get();
        let mut later: [Option<(ProtectedRecord, u32)>; 2] = [None; 2];
        for (later, record) in later.iter_mut().zip([server.last, server.before_last]) {
            let record = record.filter(|record| record.content == Content::Closed && Some(record.at) != first);
            let Some(record) = record.filter(|_| end > had.get()) else {
                break;
            };
            *later = Some((record, end));
            end = end.saturating_sub(u32::from(record.length) + RECORD_HEADER);
        }
        if later.iter().all(Option::is_some) {
            // Whatever else stands there the client did not have either.
            end = end.min(had.get());
        }
        self.facts.server_side.handshake_bytes = StreamPlace::counted(end.into());
        for (record, end) in later.into_iter().rev().flatten() {
            self.after_finished(record.length, false, end.into());
            self.facts.server_side.application_data.get_or_insert(record.at);
        }
    }

    /// Whether the client sent data before it had the server's Finished (RFC 7918), as its acknowledgement says.
    pub(super) fn tell_false_start(&mut self) {
        let (client, server) = (&self.facts.client_side, &self.facts.server_side);
        let both = client.application_data.and(self.client_had).zip(server.handshake_bytes);
        if let Some((had, end)) = both.filter(|_| !self.facts.is_tls13()) {
            self.facts.false_start = Some(had < end);
        }
    }

    /// The client's records up to its Finished: early data, EndOfEarlyData, certificate, Finished, or an alert.
    fn client_flight_tls13(&mut self, record: ProtectedRecord, place: StreamPlace, tag: u16, padding: Option<u16>) {
        let early = self.facts.hello.yes().is_some_and(|hello| hello.early_data);
        let sized = |content: u16| {
            [0, JSSE_PADDING]
                .into_iter()
                .any(|padding| record.length == content + tag + padding)
        };
        let answered = self.server_flight || place.acknowledged.is_some_and(|bytes| bytes > 0);
        if early && !answered {
            return;
        }
        if early && sized(END_OF_EARLY_DATA) {
            self.rare.get_or_insert_default().end_of_early_data = Some(record.at);
            return;
        }
        if sized(3) {
            self.facts.client_side.handshake_alert.get_or_insert(record.at.frame);
            return;
        }
        // With early data in flight only the size tells the Finished; otherwise the first record begins the flight.
        if early && padding.is_none() {
            return;
        }
        // Behind lost bytes it may be data, whose length shows nothing.
        if self.facts.client_side.handshake_loss.is_none() {
            self.end(Side::Client).padding = padding;
        }
        self.facts.client_side.finished = Some(record.at);
        self.facts.client_side.handshake_bytes = StreamPlace::counted(place.offset);
        self.client_had = place.acknowledged.and_then(StreamPlace::counted);
        self.end_server_flight();
        if early {
            self.conclude_early_data(record.at);
        }
    }

    /// At the client's Finished of TLS over TCP: a record of the size of EndOfEarlyData was in front of it, or none was.
    pub(super) fn conclude_early_data(&mut self, at: At) {
        if self.facts.early_data != EarlyData::Unclear(Blindness::Encrypted) {
            return;
        }
        let end = self.rare.as_deref().and_then(|rare| rare.end_of_early_data.as_ref());
        self.facts.early_data = match (end, self.facts.client_side.handshake_loss) {
            (Some(&at), _) => EarlyData::Accepted { at, inferred: true },
            (None, Some(cause)) => EarlyData::Unclear(cause),
            (None, None) => EarlyData::Rejected { at, inferred: true },
        };
    }

    /// Tickets of TLS 1.3 are encrypted; their place and size are not. Most servers send them right after the client's
    /// Finished, before they answer anything, some right after their own; OpenSSL and GnuTLS send two of equal size.
    pub(super) fn infer_tickets(&mut self) {
        if self.read_tickets() {
            return;
        }
        // Where the client's Finished stands in front of the server's flight, that flight is taken for what follows it.
        if !self.facts.is_tls13() || self.facts.client_side.finished.is_none() || !self.server_flight {
            return;
        }
        // Tickets may have stood in the bytes that are missing.
        if self.lost_after_flight {
            return;
        }
        let plausible = |later: LaterRecord| later.length >= SMALLEST_TICKET_RECORD;
        let [first, second] = self.after_finished;
        let Some(first) = first else { return };
        let alike = second.is_some_and(|second| second.length == first.length);
        // Two of different sizes before the client's Finished may be data.
        let another = first.early && second.is_some_and(|second| second.early && plausible(second));
        // Behind more than the client's Finished, which may be a certificate, an alert alone may be a refusal of it.
        let [client, _] = &self.ends;
        let refused = client.padding.is_none() && second.is_none() && self.is_alert_sized(Side::Server, first.length);
        self.facts.tickets_inferred = if plausible(first) && alike {
            TicketsInferred::Like(2)
        } else if plausible(first) && !first.asked && !another {
            TicketsInferred::Like(1)
        } else if !plausible(first) && !first.early && self.flight_is_told() && !refused {
            TicketsInferred::None
        } else {
            // Data that came before the client's Finished says nothing of tickets that follow that.
            TicketsInferred::Unclear
        };
    }
}
