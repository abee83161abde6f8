//! Tickets sealed under a key that anyone can guess.
//!
//! A ticket key file begins with the key's name, and tickets bear that name in clear. Where the name looks chosen by
//! hand, the keys behind it may be too: they are tried on the ticket's MAC, which is certain where it fits. Nothing is
//! decrypted.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// A key name of RFC 5077 §4.
const NAME: usize = 16;
/// Name and IV.
const HEAD: usize = 2 * NAME;
/// Bytes of a key file behind the name that may be keys: two of 32.
const KEYS: usize = 64;

/// How the key that seals a ticket can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Guessable {
    /// All bytes are zero.
    Zero,
    /// The bytes of its name, again and again.
    Repeating,
    /// Bytes that count up from its name.
    Counting,
}

impl Guessable {
    /// The key that seals `ticket`, if it is one of those; found by the ticket's MAC.
    #[must_use]
    pub fn of(ticket: &[u8]) -> Option<Self> {
        let name: &[u8; NAME] = ticket.first_chunk()?;
        let kind = Self::suggested(name)?;
        let file = kind.file(name);
        // nginx has the MAC key first or last, by the length of the file; HAProxy has it last, Apache first.
        let places = [0..32, 32..64, 0..16, 16..32];
        let sealed = places
            .into_iter()
            .filter_map(|place| file.get(place))
            .any(|key| seals(key, ticket));
        sealed.then_some(kind)
    }

    /// What the keys may be, by the look of the name. Random names have none of these.
    fn suggested(name: &[u8; NAME]) -> Option<Self> {
        let pairs = || name.iter().zip(name.iter().skip(1));
        if name.iter().all(|byte| *byte == 0) {
            Some(Self::Zero)
        } else if pairs().all(|(a, b)| a.wrapping_add(1) == *b) {
            Some(Self::Counting)
        } else if pairs().all(|(a, b)| a == b) || name.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            Some(Self::Repeating)
        } else {
            None
        }
    }

    /// What stands behind the name in such a key file.
    fn file(self, name: &[u8; NAME]) -> [u8; KEYS] {
        let mut keys = [0; KEYS];
        match self {
            Self::Zero => {}
            Self::Repeating => keys
                .iter_mut()
                .zip(name.iter().cycle())
                .for_each(|(to, from)| *to = *from),
            Self::Counting => {
                let [first, ..] = *name;
                let after = (0u8..=u8::MAX).cycle().skip(usize::from(first)).skip(NAME);
                keys.iter_mut().zip(after).for_each(|(to, from)| *to = from);
            }
        }
        keys
    }
}

/// Whether the MAC of the ticket is right under this key, in the layout that its length admits: OpenSSL and what uses
/// it (HMAC-SHA256 over name, IV and whole blocks), GnuTLS (HMAC-SHA1, and a length in front of the blocks).
fn seals(key: &[u8], ticket: &[u8]) -> bool {
    match TicketLayout::of(ticket) {
        Some(TicketLayout::OpenSsl) => mac_fits::<Hmac<Sha256>>(key, ticket),
        Some(TicketLayout::GnuTls) => key
            .first_chunk::<NAME>()
            .is_some_and(|key| mac_fits::<Hmac<Sha1>>(key, ticket)),
        None => false,
    }
}

fn mac_fits<M: Mac + KeyInit>(key: &[u8], ticket: &[u8]) -> bool {
    let covered = ticket.len().checked_sub(M::output_size());
    let (Some((covered, tag)), Ok(mut mac)) = (
        covered.and_then(|at| ticket.split_at_checked(at)),
        M::new_from_slice(key),
    ) else {
        return false;
    };
    mac.update(covered);
    mac.verify_slice(tag).is_ok()
}

/// How a ticket with a 16-byte key name is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TicketLayout {
    /// name\[16\] iv\[16\] blocks HMAC-SHA256\[32\].
    OpenSsl,
    /// name\[16\] iv\[16\] length\[2\] blocks HMAC-SHA1\[20\].
    GnuTls,
}

impl TicketLayout {
    fn of(ticket: &[u8]) -> Option<Self> {
        let field = ticket.get(HEAD..)?.first_chunk().copied().map(u16::from_be_bytes)?;
        let blocks = |tail: usize| ticket.len().checked_sub(HEAD + tail).filter(|bytes| *bytes > 0);
        if blocks(2 + 20) == Some(usize::from(field)) {
            Some(Self::GnuTls)
        } else {
            blocks(32)
                .filter(|bytes| bytes.is_multiple_of(16))
                .map(|_| Self::OpenSsl)
        }
    }
}

/// Whether a ticket has a layout whose MAC can be checked.
#[must_use]
pub(super) fn can_be_checked(ticket: &[u8]) -> bool {
    TicketLayout::of(ticket).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed<M: Mac + KeyInit>(name: [u8; NAME], key: &[u8], between: &[u8]) -> Vec<u8> {
        let mut ticket = name.to_vec();
        ticket.extend([0xd7; NAME]);
        ticket.extend(between);
        let mut mac = M::new_from_slice(key).expect("HMAC takes any key");
        mac.update(&ticket);
        ticket.extend(mac.finalize().into_bytes().iter());
        ticket
    }

    fn counting(from: u8) -> Vec<u8> {
        (from..=u8::MAX).collect()
    }

    #[test]
    fn keys_that_follow_from_their_name_are_found() {
        let name = |bytes: &[u8]| *bytes.first_chunk().expect("16 bytes");
        let text = b"0123456789abcdef";
        let blocks = [9; 112];
        let cases = [
            (
                sealed::<Hmac<Sha256>>([0; 16], &[0; 32], &blocks),
                Some(Guessable::Zero),
            ),
            (
                sealed::<Hmac<Sha256>>([0xff; 16], &[0xff; 16], &blocks),
                Some(Guessable::Repeating),
            ),
            (sealed::<Hmac<Sha256>>(*text, text, &blocks), Some(Guessable::Repeating)),
            (
                sealed::<Hmac<Sha256>>(name(&counting(0)), &counting(16)[..32], &blocks),
                Some(Guessable::Counting),
            ),
            (
                sealed::<Hmac<Sha256>>(name(&counting(0)), &counting(32)[..16], &blocks),
                Some(Guessable::Counting),
            ),
            (sealed::<Hmac<Sha256>>([0; 16], &[1; 32], &blocks), None),
            (sealed::<Hmac<Sha256>>([0xa3; 16], &[0; 32], &blocks), None),
        ];
        for (ticket, expected) in cases {
            assert_eq!(Guessable::of(&ticket), expected, "{:02x?}", ticket.first_chunk::<16>());
        }
    }

    /// GnuTLS 3.6.4 to 3.6.13 sealed under zeros until the first rotation (CVE-2020-13777).
    #[test]
    fn the_zero_key_of_gnutls_is_found() {
        let mut between = vec![0, 96];
        between.extend([5; 96]);
        let ticket = sealed::<Hmac<Sha1>>([0; 16], &[0; 16], &between);
        assert_eq!(Guessable::of(&ticket), Some(Guessable::Zero));
        let other = sealed::<Hmac<Sha1>>([0; 16], &[7; 16], &between);
        assert_eq!(Guessable::of(&other), None);
    }

    #[test]
    fn what_is_no_ticket_has_no_key() {
        for bytes in [&[][..], &[0; 15], &[0; 16], &[0; 32], &[0; 64], &[0; 80], &[0; 176]] {
            assert_eq!(Guessable::of(bytes), None, "{}", bytes.len());
        }
    }

    /// OpenSSL seals whole blocks; GnuTLS says how many bytes. One block is the least.
    #[test]
    fn the_length_of_a_ticket_says_how_it_is_laid_out() {
        let with_field = |length: usize, field: u16| {
            let mut ticket = vec![0xa3; length];
            ticket[HEAD..HEAD + 2].copy_from_slice(&field.to_be_bytes());
            TicketLayout::of(&ticket)
        };
        assert_eq!(TicketLayout::of(&[9; 64 + 16]), Some(TicketLayout::OpenSsl));
        assert_eq!(TicketLayout::of(&[9; 64 + 17]), None);
        assert_eq!(TicketLayout::of(&[9; 64]), None);
        assert_eq!(with_field(54 + 96, 96), Some(TicketLayout::GnuTls));
        assert_eq!(with_field(54 + 96, 97), None);
        assert_eq!(with_field(54, 0), None);
        assert!(can_be_checked(&[9; 80]) && !can_be_checked(&[9; 81]));
    }

    #[test]
    fn names_by_chance_suggest_no_key() {
        let mut name = [0; NAME];
        assert_eq!(Guessable::suggested(&name), Some(Guessable::Zero));
        name[15] = 1;
        assert_eq!(Guessable::suggested(&name), None);
        assert_eq!(Guessable::suggested(&[0x1f; NAME]), Some(Guessable::Repeating));
        assert_eq!(Guessable::suggested(b"printable ~names"), Some(Guessable::Repeating));
        assert_eq!(Guessable::suggested(b"printable\x7f names"), None);
        // Counting goes on behind the last value of a byte.
        let wrapped: [u8; NAME] = std::array::from_fn(|place| 250_u8.wrapping_add(u8::try_from(place).expect("few")));
        assert_eq!(Guessable::suggested(&wrapped), Some(Guessable::Counting));
        let keys = Guessable::Counting.file(&wrapped);
        assert_eq!((keys[0], keys[63]), (10, 73));
    }
}
