//! What a pcapng section says of its interfaces: description and statistics blocks in, the facts needed to read packets
//! out. Numbers in options are read here, because pcap-parser takes all of them for little-endian.

use pcap_parser::pcapng::{InterfaceDescriptionBlock, InterfaceStatisticsBlock, OptionCode, PcapNGOption};

use super::Clock;
use reshake_core::net::LinkType;

/// One interface of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct SectionInterface {
    pub(super) link: LinkType,
    /// 0 when packets are not cut.
    pub(super) snaplen: u32,
    pub(super) clock: Clock,
    /// Packets dropped by the capturing side, once it says so.
    pub(super) dropped: Option<u64>,
}

impl SectionInterface {
    pub(super) fn new(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let offset = number(&block.options, OptionCode::IfTsoffset, big_endian).unwrap_or(0);
        let [low, high, ..] = block.linktype.0.to_le_bytes();
        Self {
            link: LinkType(u16::from_le_bytes([low, high])),
            snaplen: block.snaplen,
            clock: Clock::new(block.if_tsresol, offset.cast_signed()),
            dropped: None,
        }
    }

    /// Takes the number of an interface whose description is too short to say anything.
    pub(super) fn unreadable() -> Self {
        Self {
            link: LinkType(u16::MAX),
            snaplen: 0,
            clock: Clock::new(6, 0),
            dropped: None,
        }
    }
}

/// Packets dropped by the interface or, where that is not stated, by the system (section 4.6).
pub(super) fn dropped(block: &InterfaceStatisticsBlock<'_>, big_endian: bool) -> Option<u64> {
    number(&block.options, OptionCode::IsbIfDrop, big_endian)
        .or_else(|| number(&block.options, OptionCode::IsbOsDrop, big_endian))
}

fn number(options: &[PcapNGOption<'_>], code: OptionCode, big_endian: bool) -> Option<u64> {
    let bytes = *options
        .iter()
        .find(|option| option.code == code)?
        .value()
        .first_chunk()?;
    Some(if big_endian {
        u64::from_be_bytes(bytes)
    } else {
        u64::from_le_bytes(bytes)
    })
}
