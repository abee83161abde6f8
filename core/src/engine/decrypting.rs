//! Protected records on their way into the facts: opened where there are keys, held back in order while keys may still
//! come, and handed on closed where none did.

use std::collections::VecDeque;

use super::connection::{Context, side, speaker};
use crate::decrypt::{ConnectionKeys, Readiness};
use crate::handshake::{HandshakeTracker, StreamPlace};
use crate::tcp::{Direction, PerSide};
use crate::tls::{Content, ContentType, Keep, Message, ProtocolVersion, RecordEvent, Sealed};

/// Bytes of one connection held back for keys that may come.
const HELD: usize = 64 * 1024;
/// Records of one connection held back.
const HELD_RECORDS: usize = 512;

/// What happened on a connection while its keys were awaited.
#[derive(Debug, Clone)]
enum AwaitingKeys {
    Record {
        direction: Direction,
        content_type: ContentType,
        version: ProtocolVersion,
        length: u16,
        body: Box<[u8]>,
        place: StreamPlace,
    },
    Lost(Direction, u64),
}

/// The keys of a connection, and what waits for them.
#[derive(Debug)]
pub(super) struct Unsealer {
    keys: ConnectionKeys,
    waiting: VecDeque<AwaitingKeys>,
    held: usize,
    /// Where the boundaries of records were lost in each direction.
    lost_at: PerSide<Option<u64>>,
}

impl Unsealer {
    pub(super) fn new() -> Self {
        Self {
            keys: ConnectionKeys::new(),
            waiting: VecDeque::new(),
            held: 0,
            lost_at: PerSide::default(),
        }
    }

    /// Whether something waits for keys that may still come.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What waits, for a copy of the connection, which gets no keys: to it these records stay closed.
    pub(super) fn without_keys(&self) -> Option<Box<Self>> {
        self.is_waiting().then(|| {
            Box::new(Self {
                keys: ConnectionKeys::new(),
                waiting: self.waiting.clone(),
                // What is held is counted once.
                held: 0,
                lost_at: self.lost_at,
            })
        })
    }

    /// What must be kept of the records of a direction.
    pub(super) fn keep(&self, direction: Direction) -> Keep {
        self.keys.keep(speaker(direction))
    }

    /// Records opened, and records that should have opened and did not.
    pub(super) const fn keys(&self) -> &ConnectionKeys {
        &self.keys
    }

    /// Boundaries of records are lost from this offset of the stream on.
    pub(super) fn lose(&mut self, direction: Direction, offset: u64) {
        self.lost_at[direction].get_or_insert(offset);
    }

    /// Boundaries are known again.
    fn find(&mut self, direction: Direction, offset: u64) {
        let Some(from) = self.lost_at[direction].take() else {
            return;
        };
        // The record that is cut by the loss, and the one by which the boundaries were found, are not reported.
        let bytes = offset.saturating_sub(from) + 64;
        if self.waiting.is_empty() {
            self.keys.lose(speaker(direction), bytes);
        } else {
            self.waiting.push_back(AwaitingKeys::Lost(direction, bytes));
        }
    }

    /// Takes one event of a decoder. `true` when it was a protected record, which then is dealt with.
    pub(super) fn event(
        &mut self,
        direction: Direction,
        event: &RecordEvent<'_>,
        place: StreamPlace,
        open: &mut HandshakeTracker,
        context: &mut Context,
    ) -> bool {
        match event {
            RecordEvent::Message(message) => self.keys.message(speaker(direction), message, &mut context.secrets),
            RecordEvent::ChangeCipherSpec => self.keys.change_cipher_spec(speaker(direction)),
            RecordEvent::Desynchronised => self.lose(direction, place.offset),
            RecordEvent::Resynchronised => self.find(direction, place.offset),
            RecordEvent::Alert { .. } => {}
            RecordEvent::Protected(record) => {
                match self.prepare(open, context) {
                    Readiness::Ready => self.open(direction, record, place, open, context),
                    Readiness::Never => return false,
                    Readiness::Waiting => self.hold(direction, record, place, open, context),
                }
                return true;
            }
        }
        false
    }

    /// Whether an event may decide which keys there are.
    pub(super) const fn decides_keys(event: &RecordEvent<'_>) -> bool {
        matches!(
            event,
            RecordEvent::Message(Message::ClientHello(_) | Message::ServerHello(_) | Message::ClientKeyExchange(_))
        )
    }

    /// Looks for the keys, and deals with what waited for them once that is decided. What decides it is known by then.
    pub(super) fn prepare(&mut self, open: &mut HandshakeTracker, context: &mut Context) -> Readiness {
        let readiness = self.keys.prepare(&mut context.secrets);
        if readiness != Readiness::Waiting && !self.waiting.is_empty() {
            self.release(open, context);
        }
        readiness
    }

    /// No more keys will come for this connection: what waits goes on as it is.
    pub(super) fn finish(&mut self, open: &mut HandshakeTracker, context: &mut Context) {
        self.keys.give_up();
        self.prepare(open, context);
        self.release(open, context);
    }

    fn release(&mut self, open: &mut HandshakeTracker, context: &mut Context) {
        context.held = context.held.saturating_sub(std::mem::take(&mut self.held));
        for item in std::mem::take(&mut self.waiting) {
            match item {
                AwaitingKeys::Lost(direction, bytes) => self.keys.lose(speaker(direction), bytes),
                AwaitingKeys::Record {
                    direction,
                    content_type,
                    version,
                    length,
                    body,
                    place,
                } => {
                    let record = Sealed {
                        content_type,
                        version,
                        length,
                        body: &body,
                    };
                    self.open(direction, &record, place, open, context);
                }
            }
        }
    }

    fn hold(
        &mut self,
        direction: Direction,
        record: &Sealed<'_>,
        place: StreamPlace,
        open: &mut HandshakeTracker,
        context: &mut Context,
    ) {
        let cost = record.body.len() + size_of::<AwaitingKeys>();
        self.held += cost;
        context.held += cost;
        self.waiting.push_back(AwaitingKeys::Record {
            direction,
            content_type: record.content_type,
            version: record.version,
            length: record.length,
            body: record.body.into(),
            place,
        });
        if self.held > HELD || self.waiting.len() > HELD_RECORDS || context.held > context.held_most {
            self.finish(open, context);
        }
    }

    fn open(
        &mut self,
        direction: Direction,
        record: &Sealed<'_>,
        place: StreamPlace,
        open: &mut HandshakeTracker,
        context: &mut Context,
    ) {
        let content = self.keys.open(speaker(direction), record, &mut context.secrets);
        if content == Content::Closed {
            open.event(
                side(direction),
                RecordEvent::Protected(*record),
                place,
                &mut context.credential_store,
                &mut context.interner,
            );
            return;
        }
        open.opened(side(direction), record, content, place);
        if content == Content::Handshake {
            while let Some(message) = self.keys.next_message(speaker(direction), &mut context.secrets) {
                open.inner(
                    side(direction),
                    &message,
                    (place.at, place.offset),
                    &mut context.credential_store,
                    &mut context.interner,
                );
            }
        }
    }
}
