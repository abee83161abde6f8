//! What was skipped, cut or given up: named, counted, with the first frame. Nothing is dropped in silence.

use std::collections::BTreeSet;

use super::FrameRef;
#[cfg(feature = "serde")]
use super::document;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

macro_rules! notices {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)*) => {
        /// A kind of thing that was not analysed, or not as it stood.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Notice { $($(#[$doc])* $variant,)* }

        impl Notice {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name in reports, in kebab case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// One sentence for people, without a full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

notices! {
    /// The file ends inside a packet record or block.
    FileTruncated = "file-truncated", "the file ends inside a packet; everything before it was analysed";
    /// A record or block is damaged; reading went on at the next plausible one.
    CorruptBlockSkipped = "corrupt-block-skipped", "damaged blocks were skipped; frame numbers after them may differ from Wireshark's";
    /// A packet of an interface that no block describes.
    UnknownInterface = "unknown-interface", "packets name an interface that the file does not describe";
    /// Link type that is not decoded.
    LinkTypeNotSupported = "link-type-not-supported", "frames have a link type that is not decoded";
    /// A protocol directly in Ethernet that may carry IP; told with its EtherType.
    EtherTypeNotDecoded = "ether-type-not-decoded", "frames carry a protocol that is not decoded; TCP in it is not seen";
    /// A protocol in IP that may carry TCP; told with its number.
    IpProtocolNotDecoded = "ip-protocol-not-decoded", "packets of an IP protocol that is not decoded; TCP in it is not seen";
    /// A protocol in PPP that may carry IP; told with its number.
    PppProtocolNotDecoded = "ppp-protocol-not-decoded", "PPP frames are compressed, encrypted or split; TCP in them is not seen";
    /// A tunnel in UDP whose content is not decoded; told with its port.
    TunnelNotDecoded = "tunnel-not-decoded", "UDP tunnels carry data that is encrypted or not decoded; TCP in it is not seen";
    /// IEEE 802.11 data frames that may hold packets and are encrypted, fragments, or hold several; and damaged frames.
    WirelessFrameNotRead = "wireless-frame-not-read", "802.11 data frames are encrypted, fragmented, aggregated or damaged; TCP in them is not seen; capture on the wired side, or decrypt them first";
    /// The snap length cut the frame.
    PacketCutBySnaplen = "packet-cut-by-snaplen", "packets were cut when captured; capture with a snap length of 0 (tcpdump -s 0)";
    /// Packets of blocks that have no room for a time.
    PacketWithoutTime = "packet-without-time", "packets have no timestamps (Simple Packet Blocks): their times, ages and durations mean nothing";
    /// The frame ends inside a header.
    HeaderCut = "header-cut", "frames end inside a header";
    /// A header contradicts itself.
    HeaderMalformed = "header-malformed", "frames have a header that contradicts itself";
    /// Tunnels deeper than the limit.
    NestingTooDeep = "nesting-too-deep", "frames have more nested headers than are decoded";
    /// Fragments that never became whole.
    FragmentsIncomplete = "fragments-incomplete", "IP fragments could not be put together";
    /// QUIC of a version that is not read: drafts, those of Google, unknown ones that a server refused.
    QuicVersionUnsupported = "quic-version-unsupported", "QUIC of versions that are not read was seen";
    /// Initial packets that their own keys do not open.
    QuicInitialNotAuthentic = "quic-initial-not-authentic", "datagrams look like the beginning of QUIC but do not open with the keys derived from them; the client's first datagram, on which the keys depend, may be missing";
    /// Packets to or from a QUIC server that nothing ties to a connection: moved to another address without keys to
    /// follow, or of connections whose beginning is not in the capture.
    QuicUnlinkedDatagrams = "quic-unlinked-datagrams", "QUIC packets belong to connections that moved to another address, or began before the capture; nothing is reported about them";
    /// QUIC connections given up before the server spoke, to keep memory bounded.
    QuicConnectionEvicted = "quic-connection-evicted", "QUIC connections were given up at the limit of those that are being opened";
    /// DTLS of the version before 1.0 that OpenSSL 0.9.8 and AnyConnect speak.
    DtlsVersionUnsupported = "dtls-version-unsupported", "DTLS of versions that are not read was seen";
    /// Handshake messages of DTLS of which fragments are missing.
    DtlsFragmentsIncomplete = "dtls-fragments-incomplete", "DTLS connections lack fragments of a handshake message; larger capture buffers lose fewer packets";
    /// Datagrams of QUIC or DTLS beyond the pairs of endpoints that are told apart.
    DatagramsNotToldApart = "datagrams-not-told-apart", "more QUIC or DTLS datagrams were seen, between more endpoints than are told apart";
    /// Address facts beyond those that are kept.
    NeighboursNotKept = "neighbours-not-kept", "addresses changed hands or were unreachable more often than is kept";
    /// Only one direction of a connection is in the capture; over UDP there may have been no other.
    OneDirection = "one-direction", "only one direction of these connections is in the capture; capture where both pass, or on the server itself";
    /// A hello in clear text, or behind lost bytes, of a connection on which nothing else was TLS.
    HelloNotConfirmed = "hello-not-confirmed", "connections with what looks like the beginning of TLS but nothing more of it; counted as connections without TLS";
    /// The same packet was captured more than once.
    DuplicatePacket = "duplicate-packet", "packets were captured more than once and counted once";
    /// Bytes of a stream are missing from the capture.
    StreamGap = "stream-gap", "bytes are missing from streams; larger capture buffers lose fewer packets";
    /// Retransmitted data differed from what was seen first.
    OverlapConflict = "overlap-conflict", "retransmissions carried data different from the original; the first was kept";
    /// Connections whose packet buffers hit the limit.
    StreamBufferLimit = "stream-buffer-limit", "streams held back more out-of-order data than is buffered";
    /// The interface went away during a live capture and came back.
    InterfaceLost = "interface-lost", "the interface was lost for a while; what passed in the meantime is missing";
    /// Open connections ended early to keep memory bounded.
    FlowEvicted = "flow-evicted", "connections were ended early at the limit of open connections or of what they hold back: what follows of one is counted as another";
    /// Finished connections folded into counts.
    ConnectionsOmitted = "connections-omitted", "the oldest connections were folded into the counts of their service (--max-memory)";
    /// Credentials of a connection beyond those that are kept.
    CredentialsNotKept = "credentials-not-kept", "connections offered or were issued more credentials than are kept for one; nothing is said about the rest";
    /// Folded connections of services beyond those that are told apart.
    ServicesNotKept = "services-not-kept", "folded connections belong to more services than are told apart; the summary counts them, no service does";
    /// Facts of several runs that could not wait for each other as long as it takes.
    FactsJoinedInParts = "facts-joined-in-parts", "connections in facts could not wait until all was read (--max-memory); one that several runs saw may be counted more than once, and what came late is only counted";
    /// Another leg of a connection that is counted already.
    LegJoined = "leg-joined", "connections show both legs of a handshake and are counted once";
    /// The two sides of a connection were captured by two clocks.
    ClocksDiffer = "clocks-differ", "the SYN exchange of connections shows that the clocks of their two sides differ; times of the server's side are set by the client's clock";
    /// A copy of a connection that is counted already.
    ConnectionRepeated = "connection-repeated", "connections appear in the input more than once and are counted once";
    /// A RST whose sequence number the receiver would not accept.
    ResetIgnored = "reset-ignored", "resets with a sequence number that the receiver ignores";
    /// A line of a key log that cannot be read.
    KeyLogLineMalformed = "key-log-line-malformed", "lines of a key log could not be read and were skipped";
    /// Client randoms of a key log that no connection has.
    KeysUnused = "keys-unused", "client randoms in the key log belong to no connection in the capture";
    /// Client randoms whose keys came after their connection was over.
    KeysTooLate = "keys-too-late", "keys came after the records of their connection; give them as --keylog, or put the secrets block in front (editcap --inject-secrets)";
    /// Client randoms dropped to keep memory bounded.
    KeysDropped = "keys-dropped", "the oldest keys of the key log were dropped at the limit of what is kept";
    /// Connections none of whose records opened with the keys given for them.
    KeysDoNotFit = "keys-do-not-fit", "connections did not open with the keys given for them and stay closed";
    /// Records that did not open although others of their connection did.
    RecordNotOpened = "record-not-opened", "records did not open with the keys of their connection and stay closed";
    /// Connections with keys whose suite is not opened.
    SuiteNotOpened = "suite-not-opened", "connections use a cipher suite that is not decrypted, keys or not";
}

/// Counts by kind, with the first frame of each.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(
    feature = "serde",
    serde(into = "Vec<document::Counted>", from = "Vec<document::Counted>")
)]
pub struct Notices {
    entries: Vec<(Notice, u64, Option<FrameRef>)>,
    /// What [`Decoded::Unsupported`](super::Decoded::Unsupported) named, in order.
    numbers: BTreeSet<(Notice, u16)>,
}

/// Numbers kept of one kind. Captures have one or two; a hostile one may name all of 65,536.
const MAX_NUMBERS: usize = 8;

impl Notices {
    /// Counts one more of `notice`, seen at `frame`.
    pub fn add(&mut self, notice: Notice, frame: Option<FrameRef>) {
        self.add_many(notice, 1, frame);
    }

    /// Counts `count` more.
    pub fn add_many(&mut self, notice: Notice, count: u64, frame: Option<FrameRef>) {
        match self.entries.iter_mut().find(|entry| entry.0 == notice) {
            Some(entry) => entry.1 = entry.1.saturating_add(count),
            None => self.entries.push((notice, count, frame)),
        }
    }

    /// Counts one more of `notice`, which is of the protocol with this number.
    pub fn add_unsupported(&mut self, notice: Notice, number: u16, frame: Option<FrameRef>) {
        self.add(notice, frame);
        self.add_number(notice, number);
    }

    /// Names a protocol of what is counted already. The first few are kept.
    pub fn add_number(&mut self, notice: Notice, number: u16) {
        if !self.numbers.contains(&(notice, number)) && self.numbers(notice).count() < MAX_NUMBERS {
            self.numbers.insert((notice, number));
        }
    }

    /// Takes over what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for &(notice, count, frame) in &other.entries {
            self.add_many(notice, count, frame);
        }
        for &(notice, number) in &other.numbers {
            self.add_number(notice, number);
        }
    }

    /// Kind, count and first frame, in the order in which they were first met.
    pub fn iter(&self) -> impl Iterator<Item = (Notice, u64, Option<FrameRef>)> + '_ {
        self.entries.iter().copied()
    }

    /// The numbers of the protocols that were counted as `notice`, ascending.
    pub fn numbers(&self, notice: Notice) -> impl Iterator<Item = u16> + '_ {
        let range = (notice, u16::MIN)..=(notice, u16::MAX);
        self.numbers.range(range).map(|&(_, number)| number)
    }

    /// How often `notice` was counted.
    #[must_use]
    pub fn count(&self, notice: Notice) -> u64 {
        self.entries
            .iter()
            .find(|entry| entry.0 == notice)
            .map_or(0, |entry| entry.1)
    }
}

impl Notice {
    /// The numbers that go with it as people write them: EtherTypes in hex; empty where there are none.
    #[must_use]
    pub fn named(self, numbers: impl Iterator<Item = u16>) -> String {
        let hex = matches!(self, Self::EtherTypeNotDecoded | Self::PppProtocolNotDecoded);
        let each = numbers.map(|number| {
            if hex {
                format!("0x{number:04x}")
            } else {
                number.to_string()
            }
        });
        let list = each.collect::<Vec<_>>().join(", ");
        let what = match self {
            _ if list.is_empty() => return list,
            Self::LinkTypeNotSupported => "link type",
            Self::EtherTypeNotDecoded => "EtherType",
            Self::TunnelNotDecoded => "UDP port",
            _ => "protocol",
        };
        format!("{what} {list}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_with_their_kind_and_are_bounded() {
        let mut notices = Notices::default();
        for number in [0x8903, 0x4305, 0x8903] {
            notices.add_unsupported(Notice::EtherTypeNotDecoded, number, None);
        }
        notices.add_unsupported(Notice::IpProtocolNotDecoded, 50, None);
        let named = |notices: &Notices, notice: Notice| notice.named(notices.numbers(notice));
        assert_eq!(notices.count(Notice::EtherTypeNotDecoded), 3);
        assert_eq!(named(&notices, Notice::EtherTypeNotDecoded), "EtherType 0x4305, 0x8903");
        assert_eq!(named(&notices, Notice::IpProtocolNotDecoded), "protocol 50");
        assert_eq!(named(&notices, Notice::LinkTypeNotSupported), "");
        let mut all = Notices::default();
        for number in 0..1000 {
            all.add_unsupported(Notice::LinkTypeNotSupported, number, None);
        }
        notices.merge(&all);
        assert_eq!(notices.count(Notice::LinkTypeNotSupported), 1000);
        assert_eq!(notices.numbers(Notice::LinkTypeNotSupported).count(), MAX_NUMBERS);
    }
}
