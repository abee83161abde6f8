//! Packets as peers would send them, for the tests of this layer and of those above.

use crate::datagram::kind::{QUIC_V1, QUIC_V2};
use crate::decrypt::{PacketKey, Speaker};
use crate::tls::hello::tests::{client_hello, pre_shared_key, server_hello};

/// A ClientHello with this random that speaks TLS 1.3, and offers a PSK of this identity where there is one.
pub(crate) fn hello(random: u8, psk: Option<&[u8]>, early_data: bool) -> Vec<u8> {
    let mut extensions = vec![(43, vec![2, 3, 4]), (45, vec![1, 1])];
    if early_data {
        extensions.push((42, Vec::new()));
    }
    if let Some(identity) = psk {
        extensions.push((41, pre_shared_key(&[(identity, 256)])));
    }
    let mut message = client_hello(&[], &extensions);
    message[6..38].fill(random);
    message
}

/// A ServerHello of TLS 1.3 that takes the PSK of this number, or none.
pub(crate) fn answer(selected: Option<u16>) -> Vec<u8> {
    let mut extensions = vec![(43, vec![3, 4]), (51, vec![0, 29, 0, 0])];
    extensions.extend(selected.map(|number| (41, number.to_be_bytes().to_vec())));
    server_hello(0x0303, &[], 0x1301, &extensions)
}

/// A CRYPTO frame.
pub(crate) fn crypto(offset: u16, data: &[u8]) -> Vec<u8> {
    let [high, low] = offset.to_be_bytes();
    let [length, more] = u16::try_from(data.len()).expect("short").to_be_bytes();
    [&[6, 0x40 | high, low, 0x40 | length, more], data].concat()
}

/// How packets of one side are headed and protected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) version: u32,
    /// The version whose keys are used, where it is another.
    pub(crate) keys_of: Option<u32>,
    pub(crate) speaker: Speaker,
    /// The connection ID that the keys come from.
    pub(crate) keyed_by: &'a [u8],
    pub(crate) destination: &'a [u8],
    pub(crate) source: &'a [u8],
    pub(crate) token: &'a [u8],
}

impl Way<'_> {
    /// An Initial with these frames, padded so that the packet has so many bytes at least.
    pub(crate) fn initial(&self, number: u8, frames: &[u8], least: usize) -> Vec<u8> {
        let mut header = long_header(self.version, 0, self.destination, self.source);
        header.push(u8::try_from(self.token.len()).expect("short"));
        header.extend_from_slice(self.token);
        let mut frames = frames.to_vec();
        // Length and packet number take six bytes, the tag sixteen.
        frames.resize(frames.len().max(least.saturating_sub(header.len() + 22)), 0);
        let length = u16::try_from(frames.len() + 20).expect("short") | 0x4000;
        header.extend(length.to_be_bytes());
        header.extend([0, 0, 0, number]);
        let version = self.keys_of.unwrap_or(self.version);
        let key = PacketKey::initial(version, self.keyed_by, self.speaker).expect("keys");
        key.seal(&header, number.into(), &frames)
    }

    /// A packet with a long header of another type, which nobody can open.
    pub(crate) fn closed(&self, kind: u8, length: u8) -> Vec<u8> {
        let mut packet = long_header(self.version, kind, self.destination, self.source);
        packet.extend([0x40, length]);
        packet.extend((0..length).map(|byte| byte.wrapping_mul(37).wrapping_add(kind)));
        packet
    }

    /// A packet with a short header, which nobody can open.
    pub(crate) fn short(&self, length: u8) -> Vec<u8> {
        let rest = (0..length).map(|byte| byte.wrapping_mul(91));
        [0x41]
            .into_iter()
            .chain(self.destination.iter().copied())
            .chain(rest)
            .collect()
    }

    /// A Retry with this token.
    pub(crate) fn retry(&self, original: &[u8], token: &[u8]) -> Vec<u8> {
        let mut packet = long_header(self.version, 3, self.destination, self.source);
        packet.extend_from_slice(token);
        let tag = crate::decrypt::retry_tag(self.version, original, &packet);
        packet.extend(tag);
        packet
    }
}

/// Up to the connection IDs; `kind` is numbered as in version 1.
fn long_header(version: u32, kind: u8, destination: &[u8], source: &[u8]) -> Vec<u8> {
    let kind = if version == QUIC_V2 { (kind + 1) & 3 } else { kind };
    let mut header = vec![0xc3 | kind << 4];
    header.extend(version.to_be_bytes());
    for id in [destination, source] {
        header.push(u8::try_from(id.len()).expect("short"));
        header.extend_from_slice(id);
    }
    header
}

/// A client's way before anybody answered.
pub(crate) const fn client<'a>(destination: &'a [u8], source: &'a [u8]) -> Way<'a> {
    Way {
        version: QUIC_V1,
        keys_of: None,
        speaker: Speaker::Client,
        keyed_by: destination,
        destination,
        source,
        token: &[],
    }
}

/// The way of the server that answers.
pub(crate) const fn server<'a>(keyed_by: &'a [u8], destination: &'a [u8], source: &'a [u8]) -> Way<'a> {
    Way {
        version: QUIC_V1,
        keys_of: None,
        speaker: Speaker::Server,
        keyed_by,
        destination,
        source,
        token: &[],
    }
}
