//! The small values that facts are made of, each with its way there and back.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use reshake_core::net::{At, Encapsulation, Endpoint, FrameRef, MacAddress, Timestamp, Wrapping, hex};
use reshake_core::session::{
    Blindness, CloseClass, KeyOrigin, Mechanism, ResetForm, Seen, Side, SynOptions, TicketExtension, TransportKind,
};
use reshake_core::tcp::FinCovers;

/// Something in a fact that no run writes: which member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) &'static str);

/// Captures count from here: those of fact files read before come first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    /// Captures before those of this file.
    pub(super) captures: u16,
    /// Captures of this file.
    pub(super) own: u16,
}

/// An enum of the document and the one it stands for, name by name.
macro_rules! codes {
    ($($(#[$doc:meta])* $fact:ident = $inner:ident { $($variant:ident),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum $fact { $($variant),* }

        impl From<$inner> for $fact {
            fn from(value: $inner) -> Self {
                match value { $($inner::$variant => Self::$variant),* }
            }
        }

        impl From<$fact> for $inner {
            fn from(fact: $fact) -> Self {
                match fact { $($fact::$variant => Self::$variant),* }
            }
        }
    )* };
}

codes! {
    /// What kind of credential.
    MechanismFact = Mechanism { SessionId, Ticket, Psk }
    /// The session_ticket extension of a ClientHello.
    TicketFact = TicketExtension { Absent, Empty, Offered }
    /// Where keys came from.
    KeysFact = KeyOrigin { Given, Embedded }
    /// The protocol that carries TLS.
    TransportFact = TransportKind { Tcp, Quic, Dtls }
    /// Client or server.
    SideFact = Side { Client, Server }
    /// The make of a reset.
    ResetFact = ResetForm { Active, NoSocket }
    /// What a FIN acknowledges of the other side.
    CoversFact = FinCovers { Lost, Part, Data, End }
    /// Close class.
    ClassFact = CloseClass {
        CleanBoth, CleanClient, CleanServer, HalfClose, FinNoNotify, RstBeforeNotify, RstAfterNotify, FatalAlert,
        TimeoutSilent, HandshakeIncomplete, StatelessReset,
    }
    /// Why something was not visible.
    BlindFact = Blindness {
        ClientHelloMissing, ServerHelloMissing, Encrypted, Ech, Gap, Snaplen, OneDirection, CaptureStartedLate,
        OpenAtCaptureEnd, IdleAtCaptureEnd, Evicted, Unsupported, NothingTellsApart,
    }
}

// Not derived: `codes!` knows of no default.
#[allow(clippy::derivable_impls)]
impl Default for TransportFact {
    fn default() -> Self {
        Self::Tcp
    }
}

/// Why members that are null were not visible, by their names. What is not listed was looked for and not there.
pub(super) type NotVisible = std::collections::BTreeMap<Cow<'static, str>, BlindFact>;

/// Writes an observation: the value, or null with its cause on the list.
pub(super) fn put<T, U>(
    seen: &Seen<T>,
    name: &'static str,
    hidden: &mut NotVisible,
    value: impl FnOnce(&T) -> U,
) -> Option<U> {
    if let Some(cause) = seen.blind() {
        hidden.insert(name.into(), cause.into());
    }
    seen.yes().map(value)
}

/// Reads an observation.
pub(super) fn get<T>(value: Option<T>, name: &str, hidden: &NotVisible) -> Seen<T> {
    match (value, hidden.get(name)) {
        (Some(value), _) => Seen::Yes(value),
        (None, Some(cause)) => Seen::Blind((*cause).into()),
        (None, None) => Seen::No,
    }
}

/// A moment in RFC 3339, UTC, nine fractional digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.9}", crate::model::moment(self.0)))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let nanos = i64::try_from(time.as_nanosecond()).map_err(serde::de::Error::custom)?;
        Ok(Self(Timestamp::from_nanos(nanos)))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$"
        })
    }
}

/// Bytes in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hex<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = unhex(&text).and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format_args!("expected {N} bytes in hex")))
    }
}

impl<const N: usize> JsonSchema for Hex<N> {
    fn schema_name() -> Cow<'static, str> {
        format!("Hex{N}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let digits = 2 * N;
        schemars::json_schema!({ "type": "string", "pattern": format!("^[0-9a-f]{{{digits}}}$") })
    }
}

/// Bytes of an even number of hex digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect()).flatten()
}

/// A hash of the make-up of a message.
pub(super) type Hash = Hex<8>;

pub(super) const fn hash(value: u64) -> Hash {
    Hex(value.to_be_bytes())
}

/// A frame: captures count from 0 in the order of the header, frames from 1 as in Wireshark.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct FrameFact {
    capture: u16,
    frame: u64,
}

impl From<FrameRef> for FrameFact {
    fn from(frame: FrameRef) -> Self {
        Self {
            capture: frame.capture(),
            frame: frame.frame(),
        }
    }
}

impl FrameFact {
    pub(super) const fn new(capture: u16, frame: u64) -> Self {
        Self { capture, frame }
    }

    pub(super) fn back(self, base: Base) -> Result<FrameRef, Wrong> {
        if self.capture >= base.own || self.frame == 0 || self.frame >> 48 != 0 {
            return Err(Wrong("a frame names no capture of its header, or number 0"));
        }
        let capture = base.captures.checked_add(self.capture);
        Ok(FrameRef::new(capture.ok_or(Wrong("captures"))?, self.frame))
    }
}

/// A frame and its time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct AtFact {
    capture: u16,
    frame: u64,
    time: Moment,
}

impl From<At> for AtFact {
    fn from(at: At) -> Self {
        Self {
            capture: at.frame.capture(),
            frame: at.frame.frame(),
            time: Moment(at.time),
        }
    }
}

impl AtFact {
    pub(super) fn back(self, base: Base) -> Result<At, Wrong> {
        let frame = FrameFact {
            capture: self.capture,
            frame: self.frame,
        };
        Ok(At {
            frame: frame.back(base)?,
            time: self.time.0,
        })
    }
}

/// `back` of a value that need not be there.
pub(super) fn at_back(at: Option<AtFact>, base: Base) -> Result<Option<At>, Wrong> {
    at.map(|at| at.back(base)).transpose()
}

/// `back` of a value that need not be there.
pub(super) fn frame_back(frame: Option<FrameFact>, base: Base) -> Result<Option<FrameRef>, Wrong> {
    frame.map(|frame| frame.back(base)).transpose()
}

/// An address and a port.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct EndFact {
    #[schemars(with = "String")]
    ip: IpAddr,
    port: u16,
}

impl From<Endpoint> for EndFact {
    fn from(end: Endpoint) -> Self {
        Self {
            ip: end.ip,
            port: end.port,
        }
    }
}

impl From<EndFact> for Endpoint {
    fn from(end: EndFact) -> Self {
        Self {
            ip: end.ip,
            port: end.port,
        }
    }
}

/// A link-layer address.
pub(super) fn mac_back(mac: Hex<6>) -> MacAddress {
    MacAddress(mac.0)
}

/// An outer header, and the ends of the tunnel it opens, the client's first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct OuterFact {
    header: String,
    #[schemars(with = "Option<[String; 2]>")]
    between: Option<[IpAddr; 2]>,
}

impl From<&Wrapping> for OuterFact {
    fn from(wrapping: &Wrapping) -> Self {
        Self {
            header: wrapping.header.to_string(),
            between: wrapping.between,
        }
    }
}

impl OuterFact {
    pub(super) fn back(&self) -> Result<Wrapping, Wrong> {
        let (name, number) = match self.header.split_once(' ') {
            Some((name, number)) => (name, Some(number)),
            None => (self.header.as_str(), None),
        };
        let wrong = Wrong("encapsulation");
        let wide = || number.and_then(|number| number.parse::<u32>().ok()).ok_or(wrong);
        let narrow = || wide().and_then(|number| u16::try_from(number).map_err(|_| wrong));
        Ok(Wrapping {
            header: match name {
                "vlan" => Encapsulation::Vlan(narrow()?),
                "mpls" => Encapsulation::Mpls(wide()?),
                "pppoe" => Encapsulation::Pppoe(narrow()?),
                "gre" if number.is_none() => Encapsulation::Gre(None),
                "gre" => Encapsulation::Gre(Some(wide()?)),
                "ip-in-ip" => Encapsulation::IpInIp,
                "vxlan" => Encapsulation::Vxlan(wide()?),
                "geneve" => Encapsulation::Geneve(wide()?),
                "ethernet-in-ip" => Encapsulation::EthernetInIp,
                "cisco-metadata" => Encapsulation::CiscoMetadata,
                "gtp-u" => Encapsulation::GtpU,
                "tzsp" => Encapsulation::Tzsp,
                "l2tp" => Encapsulation::L2tp,
                "vn-tag" => Encapsulation::VnTag,
                "macsec" => Encapsulation::Macsec,
                "hsr" => Encapsulation::Hsr,
                "vxlan-gpe" => Encapsulation::VxlanGpe(wide()?),
                "802.1ah" => Encapsulation::ProviderBackbone(wide()?),
                "nsh" => Encapsulation::Nsh(wide()?),
                "gue" => Encapsulation::Gue,
                "teredo" => Encapsulation::Teredo,
                "trill" => Encapsulation::Trill,
                "lisp" if number.is_none() => Encapsulation::Lisp(None),
                "lisp" => Encapsulation::Lisp(Some(wide()?)),
                "capwap" => Encapsulation::Capwap,
                _ => return Err(wrong),
            },
            between: self.between,
        })
    }
}

/// Options of a SYN-ACK.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct SynFact {
    mss: Option<u16>,
    window_scale: Option<u8>,
    timestamps: bool,
    window: u16,
    /// Hash of the kinds in their order.
    order: u32,
}

impl From<SynOptions> for SynFact {
    fn from(options: SynOptions) -> Self {
        Self {
            mss: options.mss,
            window_scale: options.window_scale,
            timestamps: options.timestamps,
            window: options.window,
            order: options.order,
        }
    }
}

impl From<SynFact> for SynOptions {
    fn from(fact: SynFact) -> Self {
        Self {
            mss: fact.mss,
            window_scale: fact.window_scale,
            timestamps: fact.timestamps,
            window: fact.window,
            order: fact.order,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outer_header_comes_back() {
        for header in [
            Encapsulation::Vlan(12),
            Encapsulation::Mpls(1 << 19),
            Encapsulation::Pppoe(7),
            Encapsulation::Gre(None),
            Encapsulation::Gre(Some(u32::MAX)),
            Encapsulation::IpInIp,
            Encapsulation::Vxlan(1 << 20),
            Encapsulation::Geneve(3),
            Encapsulation::EthernetInIp,
            Encapsulation::CiscoMetadata,
            Encapsulation::GtpU,
            Encapsulation::Tzsp,
            Encapsulation::L2tp,
            Encapsulation::VnTag,
            Encapsulation::Macsec,
            Encapsulation::Hsr,
            Encapsulation::VxlanGpe(4),
            Encapsulation::ProviderBackbone(5),
            Encapsulation::Nsh(6),
            Encapsulation::Gue,
            Encapsulation::Teredo,
            Encapsulation::Trill,
            Encapsulation::Lisp(None),
            Encapsulation::Lisp(Some(8)),
            Encapsulation::Capwap,
        ] {
            let between = Some([[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]);
            let wrapping = Wrapping { header, between };
            assert_eq!(OuterFact::from(&wrapping).back(), Ok(wrapping));
        }
        for header in ["", "vlan", "vlan 70000", "vlan x", "gre -1", "wireguard 1"] {
            let fact = OuterFact {
                header: header.to_owned(),
                between: None,
            };
            assert_eq!(fact.back(), Err(Wrong("encapsulation")), "{header}");
        }
    }

    #[test]
    fn times_come_back_to_the_nanosecond() {
        for nanos in [0, 1, -1, 1_700_000_000_123_456_789, i64::MIN, i64::MAX] {
            let moment = Moment(Timestamp::from_nanos(nanos));
            let text = serde_json::to_string(&moment).expect("JSON");
            assert_eq!(serde_json::from_str::<Moment>(&text).expect("a time"), moment, "{text}");
        }
    }

    #[test]
    fn hex_is_of_one_length() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        assert_eq!([unhex("0"), unhex("0g"), unhex("é0")], [None, None, None]);
        assert!(serde_json::from_str::<Hex<2>>("\"00\"").is_err());
    }

    #[test]
    fn a_frame_must_be_of_a_capture_of_its_header() {
        let base = Base { captures: 3, own: 1 };
        let frame = |capture, frame| FrameFact { capture, frame }.back(base);
        assert_eq!(frame(0, 7), Ok(FrameRef::new(3, 7)));
        for wrong in [frame(1, 7), frame(0, 0), frame(0, 1 << 48)] {
            assert!(wrong.is_err());
        }
    }
}
