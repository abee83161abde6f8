//! The first line of facts: what was read, what was skipped, and what is no connection, but bears on verdicts.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use reshake_core::engine::{NeighbourSeen, Shard};
use reshake_core::net::capture::{Compression, Ended, Format};
use reshake_core::net::{Capture, Neighbour, Notice, Notices};
use reshake_core::session::{Outcomes, Service};
use reshake_core::store::Interner;

use super::value::{AtFact, Base, EndFact, FrameFact, Hex, Moment, TransportFact, Wrong, mac_back};

/// The run that the lines below it came from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct HeaderFact<'a> {
    #[serde(rename = "type")]
    kind: HeaderKind,
    /// `reshake-facts/1`.
    schema: Cow<'a, str>,
    generator: GeneratorFact<'a>,
    captures: Vec<CaptureFact<'a>>,
    /// What the layers above the readers skipped.
    notices: Vec<NoticeFact<'a>>,
    /// Who claimed an address, and what could not be reached.
    neighbours: Vec<NeighbourFact>,
    /// TCP connections without TLS.
    other_connections: u64,
    /// Time of the last packet.
    last_time: Option<Moment>,
    /// Connections that were folded into counts at the memory limit, by service.
    omitted: Vec<OmittedFact>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum HeaderKind {
    Header,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct GeneratorFact<'a> {
    name: Cow<'a, str>,
    version: Cow<'a, str>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct CaptureFact<'a> {
    path: Cow<'a, str>,
    format: FormatFact,
    compression: Option<CompressionFact>,
    packets: u64,
    bytes: u64,
    first_time: Option<Moment>,
    last_time: Option<Moment>,
    dropped: Option<u64>,
    ended: EndedFact,
    notices: Vec<NoticeFact<'a>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FormatFact {
    Pcap,
    PcapNs,
    Pcapng,
    Live,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum CompressionFact {
    Gzip,
    Zstd,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum EndedFact {
    EndOfFile,
    Truncated,
    Corrupt,
    Stopped,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct NoticeFact<'a> {
    code: Cow<'a, str>,
    count: u64,
    first: Option<FrameFact>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<u16>,
}

/// What a frame tells of an address.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum NeighbourFact {
    Claims {
        #[serde(flatten)]
        at: AtFact,
        #[schemars(with = "String")]
        ip: IpAddr,
        mac: Hex<6>,
        unsolicited: bool,
    },
    Unreachable {
        #[serde(flatten)]
        at: AtFact,
        source: EndFact,
        destination: EndFact,
        icmp_code: u8,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct OmittedFact {
    #[serde(default)]
    transport: TransportFact,
    /// Null for services that were not told apart.
    server: Option<EndFact>,
    server_name: Option<String>,
    resumed: u64,
    declined: u64,
    not_offered: u64,
    failed: u64,
    external_psk: u64,
    unclear: u64,
}

impl<'a> HeaderFact<'a> {
    pub(super) fn of(shard: &'a Shard) -> Self {
        Self {
            kind: HeaderKind::Header,
            schema: super::SCHEMA.into(),
            generator: GeneratorFact {
                name: env!("CARGO_PKG_NAME").into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            captures: shard.captures.iter().map(CaptureFact::of).collect(),
            notices: notices(&shard.notices),
            neighbours: shard.neighbours.iter().map(NeighbourFact::of).collect(),
            other_connections: shard.other_connections,
            last_time: shard.last.map(Moment),
            omitted: shard.omitted.iter().map(OmittedFact::of).collect(),
        }
    }

    /// How many captures the lines below may name.
    pub(super) fn captures(&self) -> Option<u16> {
        u16::try_from(self.captures.len()).ok()
    }

    pub(super) fn back(self, base: Base, interner: &mut Interner) -> Result<Shard, Wrong> {
        let notices = notices_back(&self.notices, base)?;
        let captures = self.captures.into_iter().map(|capture| capture.back(base));
        let neighbours = self.neighbours.into_iter().map(|neighbour| neighbour.back(base));
        Ok(Shard {
            captures: captures.collect::<Result<_, _>>()?,
            notices,
            neighbours: neighbours.collect::<Result<_, _>>()?,
            other_connections: self.other_connections,
            last: self.last_time.map(|time| time.0),
            connections: Vec::new(),
            strays: Vec::new(),
            omitted: self.omitted.iter().map(|omitted| omitted.back(interner)).collect(),
        })
    }
}

fn notices(notices: &Notices) -> Vec<NoticeFact<'static>> {
    let fact = |(notice, count, first): (Notice, u64, Option<_>)| NoticeFact {
        code: notice.code().into(),
        count,
        first: first.map(Into::into),
        numbers: notices.numbers(notice).collect(),
    };
    notices.iter().map(fact).collect()
}

/// Kinds that this version does not know are left out.
fn notices_back(facts: &[NoticeFact<'_>], base: Base) -> Result<Notices, Wrong> {
    let mut notices = Notices::default();
    for fact in facts {
        let first = fact.first.map(|frame| frame.back(base)).transpose()?;
        if let Some(notice) = Notice::ALL.iter().find(|notice| notice.code() == fact.code) {
            notices.add_many(*notice, fact.count, first);
            for number in &fact.numbers {
                notices.add_number(*notice, *number);
            }
        }
    }
    Ok(notices)
}

impl<'a> CaptureFact<'a> {
    fn of(capture: &'a Capture) -> Self {
        Self {
            path: capture.path.as_str().into(),
            format: match capture.format {
                Format::Pcap => FormatFact::Pcap,
                Format::PcapNanoseconds => FormatFact::PcapNs,
                Format::Pcapng => FormatFact::Pcapng,
                Format::Live => FormatFact::Live,
            },
            compression: capture.compression.map(|compression| match compression {
                Compression::Gzip => CompressionFact::Gzip,
                Compression::Zstd => CompressionFact::Zstd,
            }),
            packets: capture.packets,
            bytes: capture.bytes,
            first_time: capture.first_time.map(Moment),
            last_time: capture.last_time.map(Moment),
            dropped: capture.dropped,
            ended: match capture.ended {
                Ended::EndOfFile => EndedFact::EndOfFile,
                Ended::Truncated => EndedFact::Truncated,
                Ended::Corrupt => EndedFact::Corrupt,
                Ended::Stopped => EndedFact::Stopped,
            },
            notices: notices(&capture.notices),
        }
    }

    fn back(self, base: Base) -> Result<Capture, Wrong> {
        Ok(Capture {
            path: self.path.into_owned(),
            format: match self.format {
                FormatFact::Pcap => Format::Pcap,
                FormatFact::PcapNs => Format::PcapNanoseconds,
                FormatFact::Pcapng => Format::Pcapng,
                FormatFact::Live => Format::Live,
            },
            compression: self.compression.map(|compression| match compression {
                CompressionFact::Gzip => Compression::Gzip,
                CompressionFact::Zstd => Compression::Zstd,
            }),
            packets: self.packets,
            bytes: self.bytes,
            first_time: self.first_time.map(|time| time.0),
            last_time: self.last_time.map(|time| time.0),
            dropped: self.dropped,
            ended: match self.ended {
                EndedFact::EndOfFile => Ended::EndOfFile,
                EndedFact::Truncated => Ended::Truncated,
                EndedFact::Corrupt => Ended::Corrupt,
                EndedFact::Stopped => Ended::Stopped,
            },
            notices: notices_back(&self.notices, base)?,
        })
    }
}

impl NeighbourFact {
    fn of(seen: &NeighbourSeen) -> Self {
        let at = seen.at.into();
        match seen.what {
            Neighbour::Claims { ip, mac, unsolicited } => Self::Claims {
                at,
                ip,
                mac: Hex(mac.0),
                unsolicited,
            },
            Neighbour::Unreachable {
                source,
                destination,
                code,
            } => Self::Unreachable {
                at,
                source: source.into(),
                destination: destination.into(),
                icmp_code: code,
            },
        }
    }

    fn back(self, base: Base) -> Result<NeighbourSeen, Wrong> {
        Ok(match self {
            Self::Claims {
                at,
                ip,
                mac,
                unsolicited,
            } => NeighbourSeen {
                at: at.back(base)?,
                what: Neighbour::Claims {
                    ip,
                    mac: mac_back(mac),
                    unsolicited,
                },
            },
            Self::Unreachable {
                at,
                source,
                destination,
                icmp_code,
            } => NeighbourSeen {
                at: at.back(base)?,
                what: Neighbour::Unreachable {
                    source: source.into(),
                    destination: destination.into(),
                    code: icmp_code,
                },
            },
        })
    }
}

impl OmittedFact {
    fn of((service, counts): &(Option<Service>, Outcomes)) -> Self {
        let name = service.as_ref().and_then(|service| service.name.as_deref());
        let transport = service.as_ref().map(|service| service.transport);
        Self {
            transport: transport.unwrap_or_default().into(),
            server: service.as_ref().map(|service| service.server.into()),
            server_name: name.map(str::to_owned),
            resumed: counts.resumed,
            declined: counts.declined,
            not_offered: counts.not_offered,
            failed: counts.failed,
            external_psk: counts.external_psk,
            unclear: counts.unclear,
        }
    }

    fn back(&self, interner: &mut Interner) -> (Option<Service>, Outcomes) {
        let name = self.server_name.as_ref().map(|name| interner.text(name.as_bytes()));
        let counts = Outcomes {
            resumed: self.resumed,
            declined: self.declined,
            not_offered: self.not_offered,
            failed: self.failed,
            external_psk: self.external_psk,
            unclear: self.unclear,
        };
        let service = self.server.map(|server| Service {
            server: server.into(),
            name,
            transport: self.transport.into(),
        });
        (service, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_notices_come_back() {
        let mut before = Notices::default();
        before.add_unsupported(Notice::EtherTypeNotDecoded, 0x8903, None);
        before.add_unsupported(Notice::EtherTypeNotDecoded, 0x4305, None);
        before.add(Notice::HeaderCut, None);
        let text = serde_json::to_string(&notices(&before)).expect("JSON");
        let facts: Vec<NoticeFact<'_>> = serde_json::from_str(&text).expect("facts");
        let after = notices_back(&facts, Base { captures: 0, own: 1 }).expect("notices");
        let numbers = |notices: &Notices| notices.numbers(Notice::EtherTypeNotDecoded).collect::<Vec<_>>();
        assert_eq!(numbers(&after), [0x4305, 0x8903]);
        assert_eq!(numbers(&after), numbers(&before));
        assert_eq!(after.count(Notice::HeaderCut), 1);
    }
}
