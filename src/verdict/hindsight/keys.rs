//! Names of ticket keys, learned from tickets in clear and PSK identities.
//!
//! Two distinct tickets that begin with the same 16 bytes share a key name: by chance that happens once in 2^128. A name
//! of 4 bytes needs more members and no longer match. A single ticket has a name only where its layout says so, or
//! where its server is known to write tickets of that layout. Stateful identities (32 bytes) have none.

use hashbrown::HashMap;

use crate::net::Endpoint;
use crate::session::{Credential, CredentialId, Ledger, Mechanism, Name};

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
    names: HashMap<CredentialId, KeyName>,
}

/// Tickets with the same first bytes.
#[derive(Debug, Clone, Copy)]
struct Class {
    members: usize,
    first: [u8; Name::HEAD],
    /// Members that agree with the first one beyond where a random IV begins.
    alike: usize,
}

impl Class {
    /// Too many members agree behind the prefix: a header of unknown make, not a name. A few may agree by chance, or
    /// because a server used an IV twice.
    const fn is_structured(&self) -> bool {
        self.alike > self.members.saturating_sub(1) / 4
    }
}

impl KeyNames {
    /// Learns the names of all tickets in the ledger.
    #[must_use]
    pub fn learn(ledger: &Ledger) -> Self {
        let tickets: Vec<(CredentialId, &Credential)> = ledger
            .iter()
            .filter(|(_, credential)| may_have_name(credential))
            .collect();
        let long = classes(&tickets, 16);
        let short = classes(&tickets, 4);
        let certain = |credential: &Credential| {
            prefix(credential, 16)
                .and_then(|name| long.get(&name))
                .is_some_and(|class| class.members >= 2 && !class.is_structured())
        };
        let layouts = known_layouts(&tickets, certain);
        let mut names = HashMap::new();
        for (id, credential) in &tickets {
            let by_neighbours = layouts.contains_key(&(credential.server, credential.name.length % 16));
            let length = if certain(credential) || has_length_field(credential) || by_neighbours {
                16
            } else if short_name(credential, &short, tickets.len()) {
                4
            } else {
                continue;
            };
            names.extend(KeyName::of(credential.name.head(), length).map(|name| (*id, name)));
        }
        Self { names }
    }

    /// The key name of a ticket.
    #[must_use]
    pub fn of(&self, id: CredentialId) -> Option<KeyName> {
        self.names.get(&id).copied()
    }
}

fn may_have_name(credential: &Credential) -> bool {
    let length = credential.name.length;
    credential.mechanism != Mechanism::SessionId
        && length >= SHORTEST
        && length != STATEFUL
        && !credential.offered_with_age_zero
}

fn prefix(credential: &Credential, length: usize) -> Option<[u8; 16]> {
    let mut name = [0; 16];
    name.iter_mut()
        .zip(credential.name.head().get(..length)?)
        .for_each(|(to, from)| *to = *from);
    Some(name)
}

fn classes(tickets: &[(CredentialId, &Credential)], length: usize) -> HashMap<[u8; 16], Class> {
    let mut classes: HashMap<[u8; 16], Class> = HashMap::new();
    for (_, credential) in tickets {
        let Some(name) = prefix(credential, length) else {
            continue;
        };
        let head = credential.name.head;
        let class = classes.entry(name).or_insert(Class {
            members: 0,
            first: head,
            alike: 0,
        });
        class.members += 1;
        // The two bytes behind the name are random, or the name is longer than it is taken for.
        let alike = class.members > 1 && class.first.get(length..length + 2) == head.get(length..length + 2);
        class.alike += usize::from(alike);
    }
    classes
}

/// Servers whose tickets are known to begin with a 16-byte name, with the length class of those tickets: CBC layouts
/// grow by 16 bytes, so a ticket of another make seldom fits.
fn known_layouts(
    tickets: &[(CredentialId, &Credential)],
    certain: impl Fn(&Credential) -> bool,
) -> HashMap<(Endpoint, u32), ()> {
    tickets
        .iter()
        .filter(|(_, credential)| certain(credential))
        .map(|(_, credential)| ((credential.server, credential.name.length % 16), ()))
        .collect()
}

/// GnuTLS and NSS: name, IV, then the length of the sealed part, which must add up (once in 2^16 by chance).
pub(in crate::verdict) fn has_length_field(credential: &Credential) -> bool {
    let field = credential
        .name
        .head()
        .get(32..34)
        .map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
    let length = credential.name.length;
    field.is_some_and(|field| {
        [54, 66]
            .iter()
            .any(|overhead| length.checked_sub(*overhead) == Some(field))
    })
}

/// JSSE and Mbed TLS: 4 bytes. Members must differ right behind the name, or the name is longer.
fn short_name(credential: &Credential, short: &HashMap<[u8; 16], Class>, tickets: usize) -> bool {
    let class = prefix(credential, 4).and_then(|name| short.get(&name));
    class.is_some_and(|class| {
        let enough = class.members >= 3 || (class.members == 2 && tickets <= FEW);
        enough && !class.is_structured() && 2 * short.len() <= tickets
    })
}
