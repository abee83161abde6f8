//! What hello and credential fix before the server decides: a defect that leaves it no choice by the RFC.
//!
//! RFC 6066's rule on names, lifetimes, closes and alerts are not here: servers differ on them.

use crate::session::{ClientHelloFacts, Connection, Credential, Mechanism, Offer, Outcome};
use crate::tls::ProtocolVersion;
use crate::tls::cipher::KdfHash;

/// A defect of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Necessity {
    /// The hello does not contain the version of the session (RFC 5246 §7.4.1.3, RFC 8446 §4.1.2).
    Version,
    /// A PSK, and the server negotiated a version that has none (RFC 8446 §4.2.11): nobody read it.
    AnsweredVersion,
    /// The hello lacks the suite of the session (RFC 5246 §7.4.1.2).
    Cipher,
    /// No suite of the PSK's hash is in the hello, or the one that HelloRetryRequest chose has another (RFC 8446 §4.1.4).
    Hash,
    /// A PSK without psk_key_exchange_modes (RFC 8446 §4.2.9).
    Modes,
    /// Session without extended master secret, hello and answer with it; or the other way round (RFC 7627 §5.3).
    ExtendedMasterSecret,
    /// An SSLv2-format hello (RFC 5246 E.2).
    OldHello,
    /// The client left the PSK of its first hello out of the one behind a HelloRetryRequest, which decides.
    LeftOut,
}

impl Necessity {
    /// What it is, as it follows "because".
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Version => "the hellos do not offer the version of the session",
            Self::AnsweredVersion => {
                "the server negotiates an older version, in which no ticket of TLS 1.3 can be used"
            }
            Self::Cipher => "the hellos lack the cipher suite of the session",
            Self::Hash => "no suite that was offered or chosen has the hash of the session",
            Self::Modes => "the hellos offer a session without psk_key_exchange_modes",
            Self::ExtendedMasterSecret => "session and hello differ in extended master secret",
            Self::OldHello => "an SSLv2-format hello cannot resume",
            Self::LeftOut => "the clients left them out of their second hellos, behind a HelloRetryRequest",
        }
    }

    /// The one thing to do about it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Version => "offer the same versions in every connection of the client",
            Self::AnsweredVersion => "offer the same versions on every server behind the address",
            Self::Cipher => "keep the client's cipher suites the same while it holds sessions",
            Self::Hash => "prefer the same suites in the same order on every server",
            Self::Modes => "send psk_key_exchange_modes with psk_dhe_ke",
            Self::ExtendedMasterSecret => "turn on extended master secret on every client and every server",
            Self::OldHello => "turn off SSLv2-compatible hellos in the client",
            Self::LeftOut => "let the client send a key share of a group that the server takes in its first hello",
        }
    }

    /// The defect of one offer, whatever became of it. `has_ems` says whether the server is seen to know extended master
    /// secret: many do not, and obey no rule about it.
    #[must_use]
    pub fn of(connection: &Connection, offer: &Offer, credential: &Credential, mechanism: Mechanism) -> Option<Self> {
        let hello = connection.hello.yes()?;
        if hello.v2_format {
            return Some(Self::OldHello);
        }
        let version = match mechanism {
            Mechanism::Psk => !hello.offers_tls13,
            Mechanism::SessionId | Mechanism::Ticket => credential
                .version
                .is_some_and(|version| version.rank() > highest(hello).rank()),
        };
        if version {
            return Some(Self::Version);
        }
        if mechanism == Mechanism::Psk {
            return of_psk(connection, hello, offer);
        }
        let suite = credential.suite.filter(|_| !hello.stack.suites.is_empty());
        if suite.is_some_and(|suite| !hello.stack.suites.contains(&suite)) {
            return Some(Self::Cipher);
        }
        ems(connection, hello, credential)
    }
}

/// The highest version that a ClientHello offers.
#[must_use]
pub(in crate::diagnosis) const fn highest(hello: &ClientHelloFacts) -> ProtocolVersion {
    if hello.offers_tls13 {
        ProtocolVersion::TLS_1_3
    } else {
        hello.version
    }
}

fn of_psk(connection: &Connection, hello: &ClientHelloFacts, offer: &Offer) -> Option<Necessity> {
    let answered_older = connection.answer.yes().is_some_and(|answer| !answer.version.is_tls13());
    // Where it broke as well, something else may have broken it.
    if answered_older && connection.outcome == Outcome::Declined {
        return Some(Necessity::AnsweredVersion);
    }
    if hello.pre_shared_key && hello.psk_modes.is_none() && !answered_older {
        return Some(Necessity::Modes);
    }
    let hash = KdfHash::of_binder(offer.binder)?;
    let fits = |suite: &crate::tls::CipherSuite| suite.0 >> 8 == 0x13 && suite.kdf_hash() == Some(hash);
    if !hello.stack.suites.is_empty() && !hello.stack.suites.iter().any(fits) {
        return Some(Necessity::Hash);
    }
    // The suite of HelloRetryRequest is that of the ServerHello behind it (RFC 8446 §4.1.4).
    let answer = connection.answer.yes().filter(|answer| answer.version.is_tls13());
    let chosen = answer.filter(|_| connection.retry.is_some())?.suite.kdf_hash()?;
    if chosen != hash {
        return Some(Necessity::Hash);
    }
    (!hello.pre_shared_key).then_some(Necessity::LeftOut)
}

/// RFC 7627 §5.3. A server without the extension ignores all of it: the refusing ServerHello must show that it does not.
fn ems(connection: &Connection, hello: &ClientHelloFacts, credential: &Credential) -> Option<Necessity> {
    let refusing = connection
        .answer
        .yes()
        .is_some_and(|answer| answer.extended_master_secret);
    match (credential.extended_master_secret?, hello.extended_master_secret) {
        (false, true) if refusing => Some(Necessity::ExtendedMasterSecret),
        // The server must abort: the answer is an alert, and cannot show the extension. The session itself does.
        (true, false) => Some(Necessity::ExtendedMasterSecret),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
