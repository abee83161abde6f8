//! A connection of which only the SYN was seen ("embryonic"): a scan or a flood is made of them. One takes a
//! quarter of the room that a connection takes with more to tell, and becomes such a connection with the second packet.

use crate::net::{At, Endpoint, MacAddress, Path, Segment, SeqNumber, TcpFlags, TcpOptions, Timestamp};

use super::direction::Direction;
use super::flow::Flow;

/// The longest options that a TCP header has room for (RFC 9293 §3.1).
const MAX_OPTIONS: usize = 40;

/// A SYN, and all that a connection learns from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HalfOpen {
    at: At,
    source: Endpoint,
    destination: Endpoint,
    seq: SeqNumber,
    ack: SeqNumber,
    flags: TcpFlags,
    window: u16,
    mac: Option<MacAddress>,
    ttl: u8,
    ip_id: Option<u16>,
    options: [u8; MAX_OPTIONS],
    options_length: u8,
    /// Its sender is the lower end of the table's key.
    from_low: bool,
}

/// A million open at once are to fit into half a gigabyte, with what the table needs for each.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<HalfOpen>() <= 128);

impl HalfOpen {
    /// Of the first segment of a connection; `None` where it is more than a SYN with its options.
    pub(super) fn of(segment: &Segment<'_>, at: At, from_low: bool) -> Option<Self> {
        let flags = segment.flags;
        let bare = flags.syn() && !flags.ack() && !flags.fin() && !flags.rst();
        let alone = segment.payload.is_empty() && segment.cut == 0 && segment.path.outer.is_empty();
        let mut options = [0; MAX_OPTIONS];
        let room = options.get_mut(..segment.options.0.len()).filter(|_| bare && alone)?;
        room.copy_from_slice(segment.options.0);
        Some(Self {
            at,
            source: segment.source,
            destination: segment.destination,
            seq: segment.seq,
            ack: segment.ack,
            flags,
            window: segment.window,
            mac: segment.path.source_mac,
            ttl: segment.path.ttl,
            ip_id: segment.path.ip_id,
            options,
            options_length: u8::try_from(segment.options.0.len()).ok()?,
            from_low,
        })
    }

    /// When it was captured.
    pub(super) const fn at(&self) -> At {
        self.at
    }

    /// The connection before its segment.
    pub(super) fn new_flow<T>(&self, data: T) -> Flow<T> {
        Flow::new(self.source, self.destination, self.at, data)
    }

    /// Lets the connection take its segment, as if it came only now. Apart, so that a connection need not be moved.
    pub(super) fn replay<T>(&self, flow: &mut Flow<T>) {
        flow.client_is_low = self.from_low;
        let options = self.options.get(..usize::from(self.options_length));
        flow.observe(
            Direction::ToServer,
            &Segment {
                path: Path {
                    source_mac: self.mac,
                    ttl: self.ttl,
                    ip_id: self.ip_id,
                    outer: &[],
                },
                source: self.source,
                destination: self.destination,
                seq: self.seq,
                ack: self.ack,
                flags: self.flags,
                window: self.window,
                options: TcpOptions(options.unwrap_or_default()),
                payload: &[],
                cut: 0,
            },
            self.at,
        );
    }
}

/// What the table holds of a connection.
#[derive(Debug)]
pub(super) enum Held<T> {
    /// Its SYN, and whether it was left alone since the table last looked for what may go.
    HalfOpen(Box<HalfOpen>, bool),
    /// More.
    Grown(Box<Flow<T>>),
}

impl<T: Default> Held<T> {
    /// The connection, whatever is held of it.
    pub(super) fn into_flow(self) -> Box<Flow<T>> {
        match self {
            Self::HalfOpen(half_open, _) => {
                let mut flow = Box::new(half_open.new_flow(T::default()));
                half_open.replay(&mut flow);
                flow
            }
            Self::Grown(flow) => flow,
        }
    }
}

impl<T> Held<T> {
    pub(super) fn first(&self) -> At {
        match self {
            Self::HalfOpen(half_open, _) => half_open.at(),
            Self::Grown(flow) => flow.first,
        }
    }

    /// Time of its last packet.
    pub(super) fn last(&self) -> Timestamp {
        match self {
            Self::HalfOpen(half_open, _) => half_open.at().time,
            Self::Grown(flow) => flow.last.time,
        }
    }

    /// Whether it ended and only lingers.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Grown(flow) if flow.closing)
    }

    /// Whether it had a packet since this was asked last.
    pub(super) fn take_touched(&mut self) -> bool {
        match self {
            Self::HalfOpen(_, touched) => std::mem::take(touched),
            Self::Grown(flow) => std::mem::take(&mut flow.touched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::FrameRef;

    fn syn(options: &'static [u8]) -> Segment<'static> {
        let end = |host, port| Endpoint {
            ip: [10, 0, 0, host].into(),
            port,
        };
        Segment {
            path: Path {
                source_mac: Some(MacAddress([2, 0, 0, 0, 0, 1])),
                ttl: 63,
                ip_id: Some(7),
                outer: &[],
            },
            source: end(9, 40_000),
            destination: end(2, 443),
            seq: SeqNumber(1000),
            ack: SeqNumber(0),
            flags: TcpFlags::SYN,
            window: 64_240,
            options: TcpOptions(options),
            payload: &[],
            cut: 0,
        }
    }

    fn now() -> At {
        At {
            frame: FrameRef::new(1, 5),
            time: Timestamp::from_nanos(99),
        }
    }

    const OPTIONS: &[u8] = &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];

    #[test]
    fn what_grows_of_a_syn_is_what_the_syn_itself_makes() {
        for options in [OPTIONS, &[], &[1; MAX_OPTIONS]] {
            let syn = syn(options);
            let mut at_once = Flow::new(syn.source, syn.destination, now(), ());
            at_once.client_is_low = false;
            assert!(at_once.observe(Direction::ToServer, &syn, now()));
            let half_open = HalfOpen::of(&syn, now(), false).expect("a bare SYN");
            let mut grown = half_open.new_flow(());
            half_open.replay(&mut grown);
            assert_eq!(format!("{grown:?}"), format!("{at_once:?}"));
            assert!(grown.half(Direction::ToServer).syn_options.is_some());
        }
    }

    #[test]
    fn whatever_tells_more_than_a_syn_is_a_connection_at_once() {
        let bare = syn(OPTIONS);
        let with = |flags| Segment { flags, ..bare };
        for flags in [TcpFlags(0x12), TcpFlags(0x03), TcpFlags(0x06), TcpFlags(0x10)] {
            assert!(HalfOpen::of(&with(flags), now(), true).is_none(), "{flags:?}");
        }
        let early = Segment {
            payload: b"early",
            ..bare
        };
        let cut = Segment { cut: 1, ..bare };
        let long = Segment {
            options: TcpOptions(&[1; MAX_OPTIONS + 1]),
            ..bare
        };
        assert!(
            [early, cut, long]
                .iter()
                .all(|segment| HalfOpen::of(segment, now(), true).is_none())
        );
        assert!(HalfOpen::of(&bare, now(), true).is_some());
    }
}
