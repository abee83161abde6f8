//! A captured frame becomes a TCP segment.
//!
//! In comes a [`Packet`] (frame number, time, link type, bytes); out goes a [`Decoded`]: a TCP [`Segment`], a UDP
//! [`Datagram`], a [`Neighbour`] fact about who answers for an address, or the named reason why the frame was
//! skipped. This layer keeps no connections and knows nothing of TLS.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;

pub mod capture;
pub mod decode;
#[cfg(feature = "serde")]
pub mod document;
pub mod notice;
pub mod span;
pub mod unanalysed;

pub use capture::Capture;
pub use decode::FrameDecoder;
pub use notice::{Notice, Notices};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Nanoseconds since the Unix epoch, as written in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Nanoseconds from `earlier` to `self`; negative when `earlier` is in fact later (files may hold packets out of order).
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One frame of one input file: `capture` counts files from 0, `frame` counts from 1 as Wireshark does.
///
/// Packed into eight bytes, because a connection keeps a dozen of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(into = "(u16, u64)", try_from = "(u16, u64)"))]
pub struct FrameRef(NonZeroU64);

impl FrameRef {
    const FRAME_BITS: u32 = 48;

    /// Frame numbers saturate at 2^48, capture numbers at 2^16 - 1: far beyond what one run can read.
    #[must_use]
    pub fn new(capture: u16, frame: u64) -> Self {
        let frame = frame.clamp(1, (1 << Self::FRAME_BITS) - 1);
        Self(NonZeroU64::new((u64::from(capture) << Self::FRAME_BITS) | frame).unwrap_or(NonZeroU64::MIN))
    }

    /// Index of the input file, from 0.
    #[must_use]
    pub fn capture(self) -> u16 {
        u16::try_from(self.0.get() >> Self::FRAME_BITS).unwrap_or(u16::MAX)
    }

    /// Number of the frame in that file, from 1.
    #[must_use]
    pub fn frame(self) -> u64 {
        self.0.get() & ((1 << Self::FRAME_BITS) - 1)
    }
}

impl fmt::Debug for FrameRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.capture(), self.frame())
    }
}

/// A frame and its time: where and when something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct At {
    /// Frame.
    pub frame: FrameRef,
    /// Time of that frame.
    pub time: Timestamp,
}

/// Data-link type as registered at tcpdump.org (LINKTYPE_…); unknown values survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback, address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet II or IEEE 802.3.
    pub const ETHERNET: Self = Self(1);
    /// PPP with or without HDLC-like framing.
    pub const PPP: Self = Self(9);
    /// PPP over Ethernet session packets.
    pub const PPP_ETHER: Self = Self(51);
    /// Raw IPv4 or IPv6 (the registered value).
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback, address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// What Linux's netfilter logs: attributes, the packet among them.
    pub const NFLOG: Self = Self(239);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured frame, borrowed from the reader's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Where the frame stands.
    pub frame: FrameRef,
    /// When it was captured.
    pub time: Timestamp,
    /// How its first bytes are to be read.
    pub link: LinkType,
    /// Interface within its file (pcapng), 0 otherwise.
    pub interface: u32,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes the frame had on the wire; larger than `data.len()` when the snap length cut it.
    pub original_len: u32,
}

impl Packet<'_> {
    /// Where and when.
    #[must_use]
    pub const fn at(&self) -> At {
        At {
            frame: self.frame,
            time: self.time,
        }
    }
}

impl At {
    /// Whether it comes after another moment. Clocks may be coarse: of two packets at the same time the frames tell.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        (self.time, self.frame) > (other.time, other.frame)
    }
}

/// An IP address and a TCP or UDP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Endpoint {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A 48-bit link-layer address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A TCP sequence number; ordered modulo 2^32 (RFC 9293 §3.4), and only here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Signed distance from `earlier` to `self`: positive when `self` comes after it within half the number space.
    #[must_use]
    pub const fn distance(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The number `count` bytes before.
    #[must_use]
    pub const fn minus(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }

    /// The number `count` bytes further on.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

/// The flag bits of a TCP header (RFC 9293 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN.
    pub const FIN: Self = Self(0x01);
    /// SYN.
    pub const SYN: Self = Self(0x02);
    /// RST.
    pub const RST: Self = Self(0x04);
    /// ACK.
    pub const ACK: Self = Self(0x10);

    /// Whether FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.0 & Self::FIN.0 != 0
    }

    /// Whether SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.0 & Self::SYN.0 != 0
    }

    /// Whether RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.0 & Self::RST.0 != 0
    }

    /// Whether ACK is set, and neither SYN, FIN nor RST.
    #[must_use]
    pub const fn only_acknowledges(self) -> bool {
        self.0 & (Self::FIN.0 | Self::SYN.0 | Self::RST.0 | Self::ACK.0) == Self::ACK.0
    }

    /// Whether ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.0 & Self::ACK.0 != 0
    }
}

/// A header that stood between the link layer and the connection's own IP header, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Encapsulation {
    /// IEEE 802.1Q or 802.1ad tag with its VLAN identifier.
    Vlan(u16),
    /// MPLS label.
    Mpls(u32),
    /// PPPoE session.
    Pppoe(u16),
    /// GRE (RFC 2784, 2890) with its key.
    Gre(Option<u32>),
    /// IP directly in IP (4in4, 6in4, 4in6, 6in6).
    IpInIp,
    /// VXLAN network identifier (RFC 7348).
    Vxlan(u32),
    /// GENEVE network identifier (RFC 8926).
    Geneve(u32),
    /// Ethernet directly in IP: EtherIP (RFC 3378), or protocol 143 (RFC 8986 §10.1).
    EthernetInIp,
    /// Cisco `MetaData`. Its group is the sender's, so it would tell less of a connection than of a packet.
    CiscoMetadata,
    /// GTP-U (3GPP TS 29.281). Each direction has a tunnel endpoint of its own.
    GtpU,
    /// `TaZmen` Sniffer Protocol.
    Tzsp,
    /// L2TP (RFC 2661, RFC 3931). Each direction has a session number of its own.
    L2tp,
    /// VN-Tag of a virtual interface.
    VnTag,
    /// MACsec that authenticates and does not encrypt (IEEE 802.1AE).
    Macsec,
    /// High-availability Seamless Redundancy (IEC 62439-3).
    Hsr,
    /// VXLAN-GPE network identifier.
    VxlanGpe(u32),
    /// Service identifier of a provider backbone (IEEE 802.1ah).
    ProviderBackbone(u32),
    /// Service path of a Network Service Header (RFC 8300).
    Nsh(u32),
    /// Generic UDP Encapsulation.
    Gue,
    /// Teredo (RFC 4380).
    Teredo,
    /// TRILL (RFC 6325).
    Trill,
    /// LISP (RFC 9300) with its instance.
    Lisp(Option<u32>),
    /// CAPWAP data channel (RFC 5415).
    Capwap,
}

impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan(id) => write!(f, "vlan {id}"),
            Self::Mpls(label) => write!(f, "mpls {label}"),
            Self::Pppoe(session) => write!(f, "pppoe {session}"),
            Self::Gre(None) => write!(f, "gre"),
            Self::Gre(Some(key)) => write!(f, "gre {key}"),
            Self::IpInIp => write!(f, "ip-in-ip"),
            Self::Vxlan(vni) => write!(f, "vxlan {vni}"),
            Self::Geneve(vni) => write!(f, "geneve {vni}"),
            Self::EthernetInIp => write!(f, "ethernet-in-ip"),
            Self::CiscoMetadata => write!(f, "cisco-metadata"),
            Self::GtpU => write!(f, "gtp-u"),
            Self::Tzsp => write!(f, "tzsp"),
            Self::L2tp => write!(f, "l2tp"),
            Self::VnTag => write!(f, "vn-tag"),
            Self::Macsec => write!(f, "macsec"),
            Self::Hsr => write!(f, "hsr"),
            Self::VxlanGpe(vni) => write!(f, "vxlan-gpe {vni}"),
            Self::ProviderBackbone(service) => write!(f, "802.1ah {service}"),
            Self::Nsh(path) => write!(f, "nsh {path}"),
            Self::Gue => write!(f, "gue"),
            Self::Teredo => write!(f, "teredo"),
            Self::Trill => write!(f, "trill"),
            Self::Lisp(None) => write!(f, "lisp"),
            Self::Lisp(Some(instance)) => write!(f, "lisp {instance}"),
            Self::Capwap => write!(f, "capwap"),
        }
    }
}

/// One outer header, with the ends of the tunnel it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Wrapping {
    /// The header.
    pub header: Encapsulation,
    /// Addresses of the IP header right in front of it, where there is one: sender and receiver of the packet.
    pub between: Option<[IpAddr; 2]>,
}

/// What the headers below TCP tell about the sender.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    /// Source MAC address, where the link layer has one.
    pub source_mac: Option<MacAddress>,
    /// IPv4 time to live or IPv6 hop limit, of the innermost IP header.
    pub ttl: u8,
    /// IPv4 identification; `None` for IPv6.
    pub ip_id: Option<u16>,
    /// Outer headers, outermost first.
    pub outer: &'a [Wrapping],
}

impl Path<'_> {
    /// Whether it was captured a few hops nearer to its sender than one with that TTL. More hops apart are other senders, and
    /// not two places of one capture.
    #[inline]
    #[must_use]
    pub const fn is_nearer_than(&self, ttl: u8) -> bool {
        const MOST_HOPS: u8 = 4;
        self.ttl > ttl && self.ttl - ttl <= MOST_HOPS
    }
}

/// One TCP header with its payload (RFC 9293).
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Headers below TCP.
    pub path: Path<'a>,
    /// Sender.
    pub source: Endpoint,
    /// Receiver.
    pub destination: Endpoint,
    /// Sequence number of the first payload byte (of SYN where set).
    pub seq: SeqNumber,
    /// Acknowledgement number; meaningful only with the ACK flag.
    pub ack: SeqNumber,
    /// Flag bits.
    pub flags: TcpFlags,
    /// Window field, not scaled.
    pub window: u16,
    /// Raw option bytes.
    pub options: TcpOptions<'a>,
    /// Captured payload; link-layer padding is not part of it.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire after `payload` but not captured.
    pub cut: u32,
}

impl Segment<'_> {
    /// Sequence number of the first payload byte: a SYN takes the number before it (RFC 9293 §3.4; RFC 7413 puts the
    /// first data there).
    #[inline]
    #[must_use]
    pub fn data_seq(&self) -> SeqNumber {
        self.seq.plus(u32::from(self.flags.syn()))
    }
}

/// The option bytes of a TCP header (RFC 9293 §3.2), decoded on demand.
#[derive(Debug, Clone, Copy)]
pub struct TcpOptions<'a>(pub &'a [u8]);

impl TcpOptions<'_> {
    /// Walks the options as (kind, body); stops at the end-of-options byte or at a malformed length.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                let (&kind, tail) = rest.split_first()?;
                match kind {
                    0 => return None,
                    1 => rest = tail,
                    _ => {
                        let length = usize::from(*tail.first()?);
                        let body = rest.get(2..length)?;
                        rest = rest.get(length..)?;
                        return Some((kind, body));
                    }
                }
            }
        })
    }

    /// TSval and TSecr of the timestamps option (RFC 7323 §3.2).
    #[must_use]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        // Nearly every data segment carries exactly NOP NOP TS: read it without walking.
        let body = match self.0 {
            [1, 1, 8, 10, body @ ..] if body.len() == 8 => body,
            _ => self.iter().find(|&(kind, body)| kind == 8 && body.len() == 8)?.1,
        };
        let (value, echo) = body.split_first_chunk::<4>()?;
        Some((u32::from_be_bytes(*value), u32::from_be_bytes(*echo.first_chunk()?)))
    }
}

/// One UDP datagram (RFC 768).
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Headers below UDP.
    pub path: Path<'a>,
    /// Sender.
    pub source: Endpoint,
    /// Receiver.
    pub destination: Endpoint,
    /// Captured payload.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire after `payload` but not captured.
    pub cut: u32,
}

/// A frame that tells who answers for an address, or that nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Neighbour {
    /// An ARP packet or IPv6 neighbour advertisement in which `mac` claims `ip` (RFC 826, RFC 4861 §4.4).
    /// `unsolicited` for gratuitous ARP and unsolicited advertisements: the mark of an address takeover.
    Claims {
        /// The address.
        ip: IpAddr,
        /// Who claims it.
        mac: MacAddress,
        /// Not an answer to a request.
        unsolicited: bool,
    },
    /// ICMP destination unreachable for a TCP flow (RFC 792, RFC 4443 §3.1), with its code.
    Unreachable {
        /// Sender of the TCP segment that could not be delivered.
        source: Endpoint,
        /// Where it was going.
        destination: Endpoint,
        /// ICMP code.
        code: u8,
    },
}

/// What a frame turned out to hold.
#[derive(Debug, Clone, Copy)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A UDP datagram.
    Datagram(Datagram<'a>),
    /// A fact about an address.
    Neighbour(Neighbour),
    /// Something that is no concern of this tool (another protocol); not worth a notice.
    Other,
    /// Something that should have been decoded and was not; counted and named in the report.
    Skipped(Notice),
    /// A protocol that may carry TCP and is not decoded: its kind, and the number that names it (an EtherType, say).
    Unsupported(Notice, u16),
}
