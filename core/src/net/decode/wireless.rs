//! Data frames of IEEE 802.11 (§9.3.2.1 of its edition of 2020), captured on the radio or carried in a tunnel: the packet
//! in them where they are in clear and whole.

use super::{Bytes, Layer, NextHeader, Walk};
use crate::net::{MacAddress, Notice};

/// What a frame holds for us.
#[derive(Debug, Clone, Copy)]
enum Body<'a> {
    /// Logical link control, and who sent it.
    Packet(MacAddress, Bytes<'a>),
    /// It may be a packet, which cannot be read: encrypted, a fragment, or several packets in one frame.
    Hidden,
    /// Management, control, or a data frame without data.
    Nothing,
    /// The frame ends inside its header.
    Cut,
}

/// A frame as it was on the air. Its checksum may stand behind it: IP says how long it is. `aligned`: the capturing card
/// filled the header up to a multiple of four bytes.
pub(super) fn frame<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>, aligned: bool) -> NextHeader<'a> {
    let Some(control) = bytes.data.first_chunk::<2>() else {
        return NextHeader::CUT;
    };
    match body(*control, bytes, aligned) {
        Body::Packet(sender, rest) => {
            walk.mac = Some(sender);
            NextHeader::Into(Layer::Llc, rest)
        }
        Body::Hidden => NextHeader::Skipped(Notice::WirelessFrameNotRead),
        Body::Nothing => NextHeader::Other,
        Body::Cut => NextHeader::CUT,
    }
}

/// The packet in a frame that a tunnel carries, where it stands as surely as an EtherType would tell. Some makers swap the
/// two bytes in front.
pub(super) fn in_tunnel(bytes: Bytes<'_>) -> Option<Bytes<'_>> {
    let [first, second] = *bytes.data.first_chunk::<2>()?;
    let read = |control| match body(control, bytes, false) {
        Body::Packet(_, rest) if begins_with_snap(rest.data) => Some(rest),
        _ => None,
    };
    read([first, second]).or_else(|| read([second, first]))
}

fn body(control: [u8; 2], bytes: Bytes<'_>, aligned: bool) -> Body<'_> {
    const VERSION_AND_TYPE: u8 = 0x0f;
    const DATA: u8 = 0x08;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const TO_DISTRIBUTION: u8 = 0x01;
    const FROM_DISTRIBUTION: u8 = 0x02;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const HT_CONTROL: u8 = 0x80;
    const AGGREGATED: u8 = 0x80;
    let [kind, flags] = control;
    if kind & VERSION_AND_TYPE != DATA || kind & NO_DATA != 0 {
        return Body::Nothing;
    }
    let (to, from) = (flags & TO_DISTRIBUTION != 0, flags & FROM_DISTRIBUTION != 0);
    let is_qos = kind & QOS != 0;
    // The fourth address is there between access points only (§9.2.3).
    let plain = if to && from { 30 } else { 24 };
    let quality = if is_qos { 2 } else { 0 };
    let high_throughput = if is_qos && flags & HT_CONTROL != 0 { 4 } else { 0 };
    let header: usize = plain + quality + high_throughput;
    let header = if aligned { header.next_multiple_of(4) } else { header };
    let address = |at: usize| bytes.data.get(at..)?.first_chunk::<6>().copied().map(MacAddress);
    // Table 9-30: where the sender's address stands.
    let sender = match (to, from) {
        (_, false) => address(10),
        (false, true) => address(16),
        (true, true) => address(24),
    };
    let (Some(sender), Some(fragment), Some(rest)) = (sender, bytes.data.get(22), bytes.skip(header)) else {
        return Body::Cut;
    };
    let aggregated = is_qos && bytes.data.get(plain).is_some_and(|control| control & AGGREGATED != 0);
    if flags & MORE_FRAGMENTS != 0 || fragment & 0x0f != 0 || aggregated {
        return Body::Hidden;
    }
    if flags & PROTECTED == 0 {
        let mesh = to && from && is_qos;
        let packet = if mesh { behind_mesh_control(rest) } else { None };
        return Body::Packet(sender, packet.unwrap_or(rest));
    }
    // A card that decrypts what it receives leaves the bit set, and may leave the 4 bytes of WEP or the 8 of TKIP and CCMP.
    let mut opened = [0, 4, 8].into_iter().filter_map(|ahead| rest.skip(ahead));
    let packet = opened.find(|rest| begins_with_snap(rest.data));
    packet.map_or(Body::Hidden, |rest| Body::Packet(sender, rest))
}

/// What stands behind mesh control (§9.2.4.8.3), which the points of a mesh write before the packet: flags that say how many
/// addresses more there are, a time to live, and a number.
fn behind_mesh_control(bytes: Bytes<'_>) -> Option<Bytes<'_>> {
    let addresses = usize::from(bytes.data.first()? & 3);
    let packet = bytes.skip(addresses.saturating_mul(6).saturating_add(6))?;
    (!begins_with_snap(bytes.data) && begins_with_snap(packet.data)).then_some(packet)
}

/// Whether it may be a data frame, with its first two bytes in either order.
pub(super) const fn may_be_data(bytes: Bytes<'_>) -> bool {
    matches!(bytes.data, [0x08 | 0x88, ..] | [_, 0x08 | 0x88, ..])
}

/// LLC with SNAP, and an organisation under which EtherTypes follow (RFC 1042, IEEE 802.1H): 48 bits that chance does not make.
fn begins_with_snap(data: &[u8]) -> bool {
    matches!(data, [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8, ..])
}
