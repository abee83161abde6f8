//! The engine in two stages that run side by side: [`TcpStage`] finds the connection of every frame and puts its bytes in
//! order, [`TlsStage`] reads TLS in them.
//!
//! Steps go from one to the other in the order of the packets and in batches, so that the result is that of
//! [`Engine::push`] to the byte. Nothing flows back: who is client and who is server may turn out the other way round
//! in the back, and the front goes on with what TCP told it. Only where connections hold back so much that some must go
//! does one stage depend on the other: before that, both become one engine again.

use super::coverage::{Coverage, Silence};
use super::datagrams::Arrival;
use super::{Engine, Limits, NeighbourSeen, connection};
use crate::datagram::Gate;
use crate::net::{
    At, Decoded, Endpoint, FrameDecoder, FrameRef, Neighbour, Notice, Packet, Segment, Timestamp, unanalysed,
};
use crate::session::Transport;
use crate::store::OpenFacts;
use crate::tcp::{Direction, Finished, Flow, FlowTable, GapCause, Piece, Why};
use crate::tls::search::opens;
use connection::ConnectionState;

/// What the back does next.
enum TlsStep {
    /// The first piece of a connection comes.
    Begin { flow: Number, ends: [Endpoint; 2], at: At },
    /// The next so many bytes of the batch.
    Data {
        place: Place,
        length: u32,
        /// See [`connection::Context`]; or [`NOT_TOLD`].
        acknowledged: i32,
        at: At,
    },
    /// Bytes that will never come.
    Gap {
        place: Place,
        length: u64,
        cause: GapCause,
        at: At,
    },
    /// A connection is over.
    End(EndedConnection),
    /// Something was skipped.
    Skipped(Notice, FrameRef),
    /// Something of a protocol that is not decoded, with its number.
    Unsupported(Notice, u16, FrameRef),
    /// A datagram that QUIC or DTLS may have sent. Boxed: every step is as large as the largest, and most are of TCP.
    Datagram(Box<Arrival>),
    /// An address fact.
    Neighbour(NeighbourSeen),
    /// Whatever else the engine is to do between two packets.
    Order(Order),
}

/// Something that is done to the engine between two packets.
pub type Order = Box<dyn FnOnce(&mut Engine) + Send>;

/// Where it is not known what a segment acknowledges.
const NOT_TOLD: i32 = i32::MIN;

/// Number of a connection of which a piece was handed over; used again once the connection is over.
type Number = u32;

/// What the front knows of a connection beside TCP.
#[derive(Default)]
struct Link {
    /// Once a piece of it was handed over.
    number: Option<Number>,
    /// Its share of the bytes that wait for those before them.
    held: u32,
}

/// Where a piece belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    flow: Number,
    /// As TCP tells it.
    direction: Direction,
    /// Whether a SYN was seen by then.
    roles_known: bool,
}

/// A connection that is over, with what was still held back of its two sides.
struct EndedConnection {
    flow: Box<Flow<Link>>,
    why: Why,
    /// Nearly always there is nothing, hence the box.
    rest: Option<Box<Rest>>,
    /// The latest time of any packet so far.
    last: Option<Timestamp>,
    silence: Silence,
}

/// Pieces from the client and from the server, as TCP takes them.
type Rest = [Vec<Piece<'static>>; 2];

/// Steps on their way from the front to the back, with the bytes they speak of.
#[derive(Default)]
pub struct StepBatch {
    steps: Vec<TlsStep>,
    bytes: Vec<u8>,
    /// The back has more to do than the front, which makes memory ready for it.
    makes_room: bool,
    /// That memory: for the facts of the connections that begin with these steps.
    rooms: Vec<OpenFacts>,
}

impl StepBatch {
    /// Enough steps that handing over costs nothing, few enough that they stay in the cache.
    const STEPS: usize = 512;
    const BYTES: usize = 64 << 10;

    /// Whether it is time to hand it over.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.steps.len() >= Self::STEPS || self.bytes.len() >= Self::BYTES
    }
}

/// The first stage: frames come in, batches go out.
pub struct TcpStage {
    decoder: FrameDecoder,
    gate: Gate,
    last: Option<Timestamp>,
    coverage: Coverage,
    lines: Lines,
}

/// What the front knows of connections, and tells of them.
struct Lines {
    table: FlowTable<Link>,
    numbers: Numbers,
    batch: StepBatch,
    /// Bytes that wait for those before them, in all.
    held: usize,
}

#[derive(Default)]
struct Numbers {
    free: Vec<Number>,
    used: Number,
}

impl Numbers {
    fn take(&mut self) -> Number {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        })
    }
}

impl TcpStage {
    /// A front that has seen nothing.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            decoder: FrameDecoder::new(),
            gate: Gate::default(),
            last: None,
            coverage: Coverage::default(),
            lines: Lines {
                table: FlowTable::new(limits.flows, opens),
                numbers: Numbers::default(),
                // Until it shows who has more to do.
                batch: StepBatch {
                    makes_room: true,
                    ..StepBatch::default()
                },
                held: 0,
            },
        }
    }

    /// As [`Engine::expect_keys`], from here on.
    pub fn expect_keys(&mut self) {
        self.lines.table.linger_alike();
        self.order(Box::new(Engine::expect_keys));
    }

    /// Takes one packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let at = packet.at();
        self.last = Some(at.time);
        self.coverage.note(at.time);
        let lines = &mut self.lines;
        lines.table.advance(at.time);
        while let Some(finished) = lines.table.expire() {
            let silence = self.coverage.silence(finished.flow.last.time, self.last);
            lines.end(finished, self.last, silence);
        }
        match &self.decoder.decode(packet) {
            Decoded::Segment(segment) => {
                if segment.cut > 0 {
                    lines
                        .batch
                        .steps
                        .push(TlsStep::Skipped(Notice::PacketCutBySnaplen, at.frame));
                }
                lines.take_segment(segment, at);
            }
            Decoded::Datagram(datagram) => {
                if let Some(protocol) = self.gate.admit(datagram) {
                    let arrival = Box::new(Arrival::of(protocol, datagram, at));
                    lines.batch.steps.push(TlsStep::Datagram(arrival));
                    lines.batch.bytes.extend_from_slice(datagram.payload);
                } else if let Some(notice) = unanalysed::datagram(datagram.payload) {
                    lines.batch.steps.push(TlsStep::Skipped(notice, at.frame));
                }
            }
            &Decoded::Neighbour(what) => {
                if let Neighbour::Unreachable {
                    source, destination, ..
                } = what
                    && let Some(flow) = lines.table.find_mut(source, destination)
                {
                    flow.unreachable = true;
                }
                lines.batch.steps.push(TlsStep::Neighbour(NeighbourSeen { at, what }));
            }
            &Decoded::Skipped(notice) => lines.batch.steps.push(TlsStep::Skipped(notice, at.frame)),
            &Decoded::Unsupported(notice, number) => {
                lines.batch.steps.push(TlsStep::Unsupported(notice, number, at.frame));
            }
            Decoded::Other => {}
        }
    }

    /// Bytes that connections hold back here.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.lines.held
    }

    /// Has something done to the engine once it has taken every packet so far, and before the next one.
    pub fn order(&mut self, order: Order) {
        self.lines.batch.steps.push(TlsStep::Order(order));
    }

    /// Up to the next batch the front makes memory ready for what the back keeps, or leaves that to it: whichever has less to
    /// do. What comes out is the same.
    pub const fn make_room(&mut self, make: bool) {
        self.lines.batch.makes_room = make;
    }

    /// Whether a batch waits to be handed over.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.lines.batch.is_full()
    }

    /// Takes the steps so far; `used` is a batch whose memory is used again.
    #[must_use]
    pub fn take(&mut self, used: StepBatch) -> StepBatch {
        std::mem::replace(&mut self.lines.batch, used)
    }
}

impl Lines {
    /// Kept apart: inlined, the segment would be copied about on the stack.
    #[inline(never)]
    fn take_segment(&mut self, segment: &Segment<'_>, at: At) {
        let Some(routed) = self.table.route(segment, at) else {
            return;
        };
        let Some(flow) = self.table.flow_mut(routed.flow) else {
            return;
        };
        let direction = routed.direction;
        let mut changed = false;
        match flow.put_in_order(routed, segment, at) {
            Some(piece) => {
                let place = (direction, flow.acknowledges(direction, segment));
                hand_over(flow, place, &piece, &mut self.numbers, &mut self.batch);
            }
            None => changed = !segment.payload.is_empty(),
        }
        for direction in [direction, direction.opposite()] {
            while let Some(piece) = flow.half_mut(direction).assembler.pop() {
                hand_over(flow, (direction, None), &piece, &mut self.numbers, &mut self.batch);
                changed = true;
            }
        }
        if changed {
            let now = flow.halves.iter().map(|half| half.assembler.memory()).sum::<usize>();
            let now = u32::try_from(now).unwrap_or(u32::MAX);
            let before = std::mem::replace(&mut flow.data.held, now);
            self.held = self.held.saturating_sub(before as usize).saturating_add(now as usize);
        }
    }

    fn end(&mut self, Finished { mut flow, why }: Finished<Link>, last: Option<Timestamp>, silence: Silence) {
        let rest: Rest = Direction::BOTH.map(|direction| {
            let assembler = &mut flow.half_mut(direction).assembler;
            assembler.flush();
            std::iter::from_fn(|| assembler.pop()).collect()
        });
        self.numbers.free.extend(flow.data.number);
        self.held = self.held.saturating_sub(flow.data.held as usize);
        self.batch.steps.push(TlsStep::End(EndedConnection {
            flow,
            why,
            rest: rest.iter().any(|pieces| !pieces.is_empty()).then(|| Box::new(rest)),
            last,
            silence,
        }));
    }
}

/// Adds a piece of a connection to the batch.
fn hand_over(
    flow: &mut Flow<Link>,
    (direction, acknowledged): (Direction, Option<i32>),
    piece: &Piece<'_>,
    numbers: &mut Numbers,
    batch: &mut StepBatch,
) {
    let number = *flow.data.number.get_or_insert_with(|| {
        let number = numbers.take();
        batch.steps.push(TlsStep::Begin {
            flow: number,
            ends: flow.ends,
            at: flow.first,
        });
        if batch.makes_room && matches!(piece, Piece::Data(bytes, _) if opens(bytes)) {
            let [client, server] = flow.ends;
            batch
                .rooms
                .push(OpenFacts::new(client, server, Transport::at(flow.first)));
        }
        number
    });
    let place = Place {
        flow: number,
        direction,
        roles_known: flow.roles_known(),
    };
    batch.steps.push(match piece {
        Piece::Data(bytes, at) => {
            batch.bytes.extend_from_slice(bytes);
            TlsStep::Data {
                place,
                // No piece is longer than an IP packet.
                length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                acknowledged: acknowledged.unwrap_or(NOT_TOLD),
                at: *at,
            }
        }
        &Piece::Gap(length, cause, at) => TlsStep::Gap {
            place,
            length,
            cause,
            at,
        },
    });
}

/// The second stage: batches come in, the engine takes what they say.
pub struct TlsStage {
    engine: Engine,
    /// By number.
    flows: Vec<Option<Shadow>>,
}

/// What the back knows of a connection that goes on.
struct Shadow {
    flow: Box<Flow<ConnectionState>>,
    /// Client and server are not who TCP takes them for.
    swapped: bool,
}

impl Shadow {
    /// What TCP calls this direction, as TLS calls it, or the other way round.
    const fn turn(&self, direction: Direction) -> Direction {
        if self.swapped { direction.opposite() } else { direction }
    }

    fn deliver(&mut self, direction: Direction, piece: &Piece<'_>, acknowledged: Option<i32>, engine: &mut Engine) {
        let before = self.turn(direction);
        let context = &mut engine.context;
        context.acknowledged = acknowledged;
        let after = connection::deliver(&mut self.flow, before, piece, context);
        context.acknowledged = None;
        self.swapped ^= before != after;
    }
}

impl TlsStage {
    /// Before an engine.
    #[must_use]
    pub const fn new(engine: Engine) -> Self {
        Self {
            engine,
            flows: Vec::new(),
        }
    }

    /// Takes what a batch says and gives back its memory.
    #[must_use]
    pub fn take(&mut self, mut batch: StepBatch) -> StepBatch {
        self.engine.context.connection_store.stock(batch.rooms.drain(..));
        let mut bytes = batch.bytes.as_slice();
        for step in batch.steps.drain(..) {
            self.step(step, &mut bytes);
        }
        batch.bytes.clear();
        batch
    }

    /// Bytes that connections hold back here.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.engine.context.buffered
    }

    /// Both stages as one again; every batch of the front must have been taken.
    #[must_use]
    pub fn join(mut self, front: TcpStage) -> Engine {
        let (decoder, gate, last) = (front.decoder, front.gate, front.last);
        let coverage = front.coverage;
        let table = front.lines.table.map(|flow| {
            let mut shadow = self.unite(flow);
            connection::account(&mut shadow.flow, &mut self.engine.context.buffered);
            shadow.flow
        });
        Engine {
            decoder,
            table,
            gate,
            last,
            coverage,
            ..self.engine
        }
    }

    fn step(&mut self, step: TlsStep, bytes: &mut &[u8]) {
        let engine = &mut self.engine;
        match step {
            TlsStep::Begin {
                flow,
                ends: [client, server],
                at,
            } => {
                let place = flow as usize;
                if self.flows.len() <= place {
                    self.flows.resize_with(place + 1, || None);
                }
                if let Some(slot) = self.flows.get_mut(place) {
                    *slot = Some(Shadow {
                        flow: self
                            .engine
                            .table
                            .boxed(Flow::new(client, server, at, ConnectionState::default())),
                        swapped: false,
                    });
                }
            }
            TlsStep::Data {
                place,
                length,
                acknowledged,
                at,
            } => {
                let (piece, rest) = bytes.split_at((length as usize).min(bytes.len()));
                *bytes = rest;
                let acknowledged = (acknowledged != NOT_TOLD).then_some(acknowledged);
                self.deliver(place, &Piece::Data(piece.into(), at), acknowledged);
            }
            TlsStep::Gap {
                place,
                length,
                cause,
                at,
            } => self.deliver(place, &Piece::Gap(length, cause, at), None),
            TlsStep::End(ending) => self.end(ending),
            TlsStep::Skipped(notice, frame) => engine.notices.add(notice, Some(frame)),
            TlsStep::Unsupported(notice, number, frame) => engine.notices.add_unsupported(notice, number, Some(frame)),
            TlsStep::Datagram(arrival) => {
                let (payload, rest) = bytes.split_at(arrival.length.min(bytes.len()));
                *bytes = rest;
                engine.arrive(&arrival, payload);
            }
            TlsStep::Neighbour(seen) => engine.note_neighbour(seen),
            TlsStep::Order(order) => order(engine),
        }
    }

    fn deliver(&mut self, place: Place, piece: &Piece<'_>, acknowledged: Option<i32>) {
        let Some(Some(shadow)) = self.flows.get_mut(place.flow as usize) else {
            return;
        };
        if place.roles_known {
            shadow.flow.know_roles();
        }
        shadow.deliver(place.direction, piece, acknowledged, &mut self.engine);
    }

    fn end(&mut self, ended: EndedConnection) {
        let EndedConnection {
            flow,
            why,
            rest,
            last,
            silence,
        } = ended;
        let mut shadow = self.unite(flow);
        if let Some(rest) = rest {
            deliver_rest(&mut shadow, &rest, &mut self.engine);
        }
        self.engine.last = last;
        self.engine.bury(Finished { flow: shadow.flow, why }, silence);
    }

    /// What both stages know of a connection.
    fn unite(&mut self, flow: Box<Flow<Link>>) -> Shadow {
        let slot = flow.data.number.and_then(|number| self.flows.get_mut(number as usize));
        let Some(mut shadow) = slot.and_then(Option::take) else {
            return Shadow {
                flow: self.engine.table.boxed(flow.with(ConnectionState::default())),
                swapped: false,
            };
        };
        let tracks = std::mem::take(&mut shadow.flow.data);
        *shadow.flow = flow.with(tracks);
        if shadow.swapped {
            shadow.flow.swap();
        }
        shadow
    }
}

/// Delivers what was held back to the end: the client's first, as far as it is known who that is.
fn deliver_rest(shadow: &mut Shadow, [to_server, to_client]: &Rest, engine: &mut Engine) {
    let mut both = [(Direction::ToServer, to_server), (Direction::ToClient, to_client)];
    if shadow.swapped {
        both.reverse();
    }
    for (direction, pieces) in both {
        for piece in pieces {
            shadow.deliver(direction, piece, None, engine);
        }
    }
}
