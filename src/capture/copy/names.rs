//! Name Resolution Blocks (§4.5) of an excerpt: the names of its hosts stay, the names of all others go.

use std::net::IpAddr;

use super::block::Block;

const RECORD_END: u16 = 0;
const RECORD_IPV4: u16 = 1;
const RECORD_IPV6: u16 = 2;

/// Leaves the records of wanted addresses; `false` when none is left. Options, which name the resolver, go.
pub(super) fn leave(block: &mut Block, wanted: impl Fn(IpAddr) -> bool) -> bool {
    let body = block.body();
    let number = |at: usize| {
        let bytes: [u8; 2] = *body.get(at..)?.first_chunk()?;
        Some(if block.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let mut left = Vec::new();
    let mut at = 0;
    while let (Some(kind), Some(length)) = (number(at), number(at + 2)) {
        let next = at + 4 + usize::from(length).next_multiple_of(4);
        let Some(record) = body.get(at..next).filter(|_| kind != RECORD_END) else {
            break;
        };
        if address(kind, record.get(4..).unwrap_or_default()).is_some_and(&wanted) {
            left.extend_from_slice(record);
        }
        at = next;
    }
    if left.is_empty() {
        return false;
    }
    left.extend([0; 4]);
    block.set_body(&left);
    true
}

fn address(kind: u16, value: &[u8]) -> Option<IpAddr> {
    match kind {
        RECORD_IPV4 => value.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        RECORD_IPV6 => value.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_hosts_go() {
        let record = |ip: [u8; 4], name: &[u8; 4]| [&[1, 0, 8, 0][..], &ip, name].concat();
        let body = [
            record([10, 0, 0, 1], b"one\0"),
            record([10, 0, 0, 2], b"two\0"),
            vec![0; 4],
        ]
        .concat();
        let length = u32::try_from(body.len() + 12).expect("short").to_le_bytes();
        let bytes = [&4_u32.to_le_bytes()[..], &length, &body, &length].concat();
        let mut block = Block::of(4, false, bytes);
        assert!(leave(&mut block, |ip| ip == IpAddr::from([10, 0, 0, 2])));
        assert_eq!(block.body(), [record([10, 0, 0, 2], b"two\0"), vec![0; 4]].concat());
        assert!(!leave(&mut block, |_| false));
    }
}
