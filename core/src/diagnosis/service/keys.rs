//! Names of ticket keys, learned from tickets in clear and PSK identities.
//!
//! Two distinct tickets that begin with the same 16 bytes share a key name: by chance that happens once in 2^128. A name
//! of 4 bytes needs more members and no longer match. A single ticket has a name only where its layout says so, or
//! where its server is known to write tickets of that layout. Stateful identities (32 bytes) have none.

use std::num::NonZeroU32;

use hashbrown::HashSet;

use crate::diagnosis::numbered::Numbered;
use crate::net::Endpoint;
use crate::session::{Credential, CredentialId, Mechanism};
use crate::store::CredentialStore;

/// Name of a ticket key: a prefix of the tickets sealed under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(Default))]
pub struct KeyName {
    bytes: [u8; 16],
    length: u8,
}

impl KeyName {
    fn of(head: &[u8], length: u8) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(head.get(..usize::from(length))?)
            .for_each(|(to, from)| *to = *from);
        Some(Self { bytes, length })
    }

    /// Whether it is of full length (RFC 5077 §4), so that two equal ones are the same key beyond doubt.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.length == 16
    }

    /// The name.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// Below this a ticket cannot hold a key name and sealed state.
const SHORTEST: u32 = 48;
/// Stateful identities of OpenSSL, rustls and JSSE.
const STATEFUL: u32 = 32;
/// Tickets up to which two equal 4-byte prefixes are believed to be a name: expected accidents stay below 1.2e-4.
const FEW: usize = 1_000;

/// The key name of every ticket that has one.
#[derive(Debug, Default)]
pub struct KeyNames {
    /// The distinct names.
    names: Vec<KeyName>,
    /// For each credential the place of its name, counted from 1.
    of: Numbered<NonZeroU32>,
}

/// Tickets whose first bytes are the same.
#[derive(Debug, Clone, Copy)]
struct Class {
    members: usize,
    /// The members agree beyond where a random IV begins: a header of unknown make, not a name.
    structured: bool,
}

type Ticket<'a> = (CredentialId, &'a Credential);

impl KeyNames {
    /// Learns the names of all tickets in the credential store.
    #[must_use]
    pub fn learn(credential_store: &CredentialStore) -> Self {
        let mut tickets: Vec<Ticket<'_>> =
            Vec::with_capacity(credential_store.iter().filter(|(_, it)| may_have_name(it)).count());
        tickets.extend(
            credential_store
                .iter()
                .filter(|(_, credential)| may_have_name(credential)),
        );
        Self::learn_from(tickets)
    }

    /// Learns the names of some tickets, as if there were no others.
    pub(super) fn learn_some<'a>(credentials: impl Iterator<Item = Ticket<'a>>) -> Self {
        let mut tickets: Vec<Ticket<'_>> = credentials.filter(|(_, it)| may_have_name(it)).collect();
        tickets.sort_unstable_by_key(|(id, _)| *id);
        tickets.dedup_by_key(|(id, _)| *id);
        Self::learn_from(tickets)
    }

    fn learn_from(mut tickets: Vec<Ticket<'_>>) -> Self {
        // Sorted, tickets with the same first bytes stand side by side, however many bytes are compared.
        sort_by_head(&mut tickets);
        let is_certain = |class: Class| class.members >= 2 && !class.structured;
        let layouts = known_layouts(runs(&tickets, 16).filter(|(_, class)| is_certain(*class)));
        let short_names = runs(&tickets, 4).count();
        let mut learned = Self {
            names: Vec::new(),
            of: Numbered::over(tickets.iter().map(|(id, _)| id.0)),
        };
        for (run, short) in runs(&tickets, 4) {
            for (members, long) in runs(run, 16) {
                for (id, credential) in members {
                    let by_neighbours = layouts.contains(&(credential.server, credential.name.length % 16));
                    if is_certain(long) || credential.name.has_length_field() || by_neighbours {
                        learned.name(*id, credential, 16);
                    } else if is_short_name(short, short_names, tickets.len()) {
                        learned.name(*id, credential, 4);
                    }
                }
            }
        }
        learned
    }

    /// The key name of a ticket.
    #[must_use]
    pub fn of(&self, id: CredentialId) -> Option<KeyName> {
        let place = self.of.get(id.0)?.get() - 1;
        self.names.get(place as usize).copied()
    }

    /// Gives a ticket its name. Tickets come in the order of their first bytes: a name that is known is the last one.
    fn name(&mut self, id: CredentialId, credential: &Credential, length: u8) {
        let Some(name) = KeyName::of(credential.name.head(), length) else {
            return;
        };
        if self.names.last() != Some(&name) {
            self.names.push(name);
        }
        let place = u32::try_from(self.names.len()).ok().and_then(NonZeroU32::new);
        self.of.set(id.0, place);
    }
}

/// Sorts tickets by their first bytes, and equal ones by number. Those of one key have the name in common and differ in the
/// bytes behind it: both stand beside the reference while they are sorted, which looks at no credential but for twins.
fn sort_by_head(tickets: &mut [Ticket<'_>]) {
    let beside = |head: &[u8]| {
        let (eights, _) = head.as_chunks();
        let mut eights = eights.iter().map(|bytes| u64::from_be_bytes(*bytes));
        [(); 3].map(|()| eights.next().unwrap_or(0))
    };
    let mut sorted: Vec<([u64; 3], Ticket<'_>)> = tickets
        .iter()
        .map(|ticket| (beside(&ticket.1.name.head), *ticket))
        .collect();
    sorted.sort_unstable_by(|(a, (id, one)), (b, (other_id, other))| {
        let whole = || (&one.name.head, id).cmp(&(&other.name.head, other_id));
        a.cmp(b).then_with(whole)
    });
    for (ticket, (_, sorted)) in tickets.iter_mut().zip(sorted) {
        *ticket = sorted;
    }
}

fn may_have_name(credential: &Credential) -> bool {
    let length = credential.name.length;
    credential.mechanism != Mechanism::SessionId
        && length >= SHORTEST
        && length != STATEFUL
        && !credential.offered_with_age_zero
}

/// The sorted tickets by their first bytes.
fn runs<'a, 'b>(
    tickets: &'a [Ticket<'b>],
    length: usize,
) -> impl Iterator<Item = (&'a [Ticket<'b>], Class)> + use<'a, 'b> {
    tickets
        .chunk_by(move |a, b| first_bytes(a, length) == first_bytes(b, length))
        .map(move |run| (run, class(run, length)))
}

fn first_bytes<'a>((_, credential): &Ticket<'a>, length: usize) -> &'a [u8] {
    credential.name.head.get(..length).unwrap_or_default()
}

/// Members up to which not even two are expected to agree by chance in two random bytes.
const NO_ACCIDENT: usize = 32;

/// Bytes behind a name that are an IV in every known layout.
const IV: usize = 12;

/// Whether what stands behind a name varies as IVs do, although a server may have used a few of them twice.
pub(in crate::diagnosis) const fn vary(ivs: usize, tickets: usize) -> bool {
    tickets >= 4 && 4 * ivs >= 3 * tickets
}

fn class(run: &[Ticket<'_>], length: usize) -> Class {
    let distinct = |more: usize| {
        run.chunk_by(|a, b| first_bytes(a, length + more) == first_bytes(b, length + more))
            .count()
    };
    // The two bytes behind the name are random, or the name is longer than it is taken for.
    let structured = if run.len() <= NO_ACCIDENT {
        let ivs = distinct(IV);
        distinct(2) < ivs || (ivs < run.len() && !vary(ivs, run.len()))
    } else {
        2 * distinct(2) <= run.len().min(1 << 16)
    };
    Class {
        members: run.len(),
        structured,
    }
}

/// Servers whose tickets are known to begin with a 16-byte name, with the length class of those tickets: CBC layouts
/// grow by 16 bytes, so a ticket of another make seldom fits.
fn known_layouts<'a, 'b: 'a>(certain: impl Iterator<Item = (&'a [Ticket<'b>], Class)>) -> HashSet<(Endpoint, u32)> {
    certain
        .flat_map(|(run, _)| run)
        .map(|(_, credential)| (credential.server, credential.name.length % 16))
        .collect()
}

/// JSSE and Mbed TLS: 4 bytes. Members must differ right behind the name, or the name is longer.
const fn is_short_name(class: Class, names: usize, tickets: usize) -> bool {
    let enough = class.members >= 3 || (class.members == 2 && tickets <= FEW);
    enough && !class.structured && 2 * names <= tickets
}

#[cfg(test)]
mod tests {
    use crate::session::tests::endpoint;
    use crate::session::{CredentialFingerprint, TransportKind};

    use super::*;

    /// Bytes that look random: a number, stirred.
    fn noise(seed: u32, length: usize) -> Vec<u8> {
        let stir = |place: usize| {
            let place = u32::try_from(place).expect("few");
            let mixed = (seed.wrapping_mul(0x9e37_79b9) ^ place.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35);
            (mixed ^ (mixed >> 15)).to_be_bytes()[1]
        };
        (0..length).map(stir).collect()
    }

    /// The lengths of the names of tickets of one server: each begins with these bytes, noise behind.
    fn names(tickets: &[(&[u8], usize)]) -> Vec<u8> {
        let mut credential_store = CredentialStore::default();
        let ids: Vec<CredentialId> = tickets
            .iter()
            .zip(1..)
            .map(|((head, length), seed)| {
                let mut bytes = head.to_vec();
                bytes.extend(noise(seed, length - head.len()));
                let name = CredentialFingerprint::of(&bytes);
                credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || {
                    Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, endpoint(2))
                })
            })
            .collect();
        let learned = KeyNames::learn(&credential_store);
        let length = |id: &CredentialId| learned.of(*id).map_or(0, |name| name.length);
        ids.iter().map(length).collect()
    }

    #[test]
    fn two_tickets_that_begin_alike_share_the_name_of_a_key() {
        let (one, other) = (noise(1000, 16), noise(2000, 16));
        assert_eq!(names(&[(&one, 160), (&one, 160)]), [16, 16]);
        assert_eq!(names(&[(&one, 160), (&other, 160)]), [0, 0]);
        // One more of the same make, under a key of its own.
        assert_eq!(names(&[(&one, 160), (&one, 160), (&other, 176)]), [16, 16, 16]);
        assert_eq!(names(&[(&one, 160), (&one, 160), (&other, 175)]), [16, 16, 0]);
    }

    #[test]
    fn tickets_that_agree_further_than_a_name_have_a_header_of_another_make() {
        let long = noise(1000, 18);
        assert_eq!(names(&[(&long, 160), (&long, 160)]), [0, 0]);
        let longer = noise(1000, 30);
        assert_eq!(names(&[(&longer, 160), (&longer, 160)]), [0, 0]);
    }

    /// JSSE and Mbed TLS.
    #[test]
    fn a_short_name_takes_more_tickets_that_share_it() {
        let (one, other) = (noise(1000, 4), noise(2000, 4));
        assert_eq!(names(&[(&one, 100), (&one, 100)]), [4, 4]);
        assert_eq!(names(&[(&one, 100), (&one, 100), (&other, 100), (&other, 100)]), [4; 4]);
        // As many beginnings as that are no names.
        let heads: Vec<Vec<u8>> = (3000..3003).map(|seed| noise(seed, 4)).collect();
        let mut many: Vec<(&[u8], usize)> = vec![(&one, 100), (&one, 100)];
        many.extend(heads.iter().map(|head| (head.as_slice(), 100)));
        assert_eq!(names(&many), [0; 5]);
        let longer = noise(1000, 6);
        assert_eq!(names(&[(&longer, 100), (&longer, 100)]), [0, 0]);
    }

    #[test]
    fn a_ticket_alone_has_a_name_where_its_layout_says_so() {
        let mut head = noise(1, 32);
        head.extend(96_u16.to_be_bytes());
        assert_eq!(names(&[(&head, 54 + 96)]), [16]);
        assert_eq!(names(&[(&head, 54 + 97)]), [0]);
    }

    #[test]
    fn what_is_too_short_or_no_ticket_has_no_name() {
        let one = noise(1000, 16);
        assert_eq!(names(&[(&one, 48), (&one, 48)]), [16, 16]);
        assert_eq!(names(&[(&one, 47), (&one, 47)]), [0, 0]);
        let with = |change: fn(&mut Credential)| {
            let name = CredentialFingerprint::of(&noise(1, 100));
            let mut credential = Credential::unseen(TransportKind::Tcp, Mechanism::Psk, name, endpoint(2));
            change(&mut credential);
            may_have_name(&credential)
        };
        assert!(with(|_| ()));
        assert!(!with(|credential| credential.mechanism = Mechanism::SessionId));
        assert!(!with(|credential| credential.offered_with_age_zero = true));
    }

    #[test]
    fn a_name_is_its_bytes() {
        let name = KeyName::of(&[1, 2, 3, 4, 5], 4).expect("long enough");
        assert_eq!((name.bytes(), name.is_whole()), (&[1, 2, 3, 4][..], false));
        assert!(KeyName::of(&[1; 16], 16).expect("long enough").is_whole());
        assert_eq!(KeyName::of(&[1; 15], 16), None);
    }

    #[test]
    fn a_few_values_that_came_twice_still_vary() {
        assert!(vary(4, 4) && vary(3, 4) && !vary(2, 4));
        assert!(vary(75, 100) && !vary(74, 100));
        assert!(!vary(3, 3));
    }
}
