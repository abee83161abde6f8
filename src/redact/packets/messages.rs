//! Handshake messages under other names, of the same length: what says how a session is made and offered stays, what says
//! who does it is replaced, and what nobody listed is zeros.

use reshake_core::session::{CredentialFingerprint, Mechanism};
use reshake_core::tls::ProtocolVersion;

use super::super::{credential, host, protocol};
use super::Prf;

/// Types of messages (RFC 5246 §7.4, RFC 5077 §3.3).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
/// A message of its own up to draft 21 of TLS 1.3 (draft-ietf-tls-tls13-21 §4.1.4).
const HELLO_RETRY_REQUEST: u8 = 6;
const CERTIFICATE: u8 = 11;
/// Type and length.
const HEAD: usize = 4;
/// Version and random of a hello.
const BEGINNING: usize = 34;

/// Extensions (IANA, "TLS ExtensionType Values").
const SERVER_NAME: u16 = 0;
const STATUS_REQUEST: u16 = 5;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const RENEGOTIATION_INFO: u16 = 0xff01;
/// Those that name algorithms, versions and sizes, and nobody: fragment length, groups, point formats, signature algorithms,
/// encrypt-then-MAC, extended master secret, compression, record size, early data, versions, PSK modes, post-handshake
/// authentication, signature algorithms of certificates, key shares, also of drafts.
const PLAIN: [u16; 15] = [1, 10, 11, 13, 22, 23, 27, 28, 40, 42, 43, 45, 49, 50, 51];

/// The length of the message that begins so, its head included.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let &[_, a, b, c] = bytes.first_chunk::<HEAD>()?;
    Some(HEAD + u32::from_be_bytes([0, a, b, c]) as usize)
}

/// What may stand in the place of a message.
pub(super) fn other(message: &[u8], prf: &Prf) -> Vec<u8> {
    let mut copy = Copy {
        from: message,
        to: vec![0; message.len()],
        at: 0,
        prf,
    };
    // What does not have the form that it should have is zeros from there on.
    let _ = copy.message();
    copy.to
}

/// A message on its way: what is not copied is zero.
struct Copy<'m> {
    from: &'m [u8],
    to: Vec<u8>,
    at: usize,
    prf: &'m Prf,
}

impl<'m> Copy<'m> {
    fn message(&mut self) -> Option<()> {
        let kind = *self.copy(HEAD)?.first()?;
        match kind {
            CLIENT_HELLO => {
                self.beginning()?;
                self.vector(2)?;
                self.vector(1)?;
                self.extensions(true)
            }
            // No session ID and no compression (draft-ietf-tls-tls13-21 §4.1.3).
            SERVER_HELLO if self.version().is_some_and(ProtocolVersion::is_early_draft) => {
                self.copy(BEGINNING + 2)?;
                self.extensions(false)
            }
            HELLO_RETRY_REQUEST => {
                let version = self.version().filter(|version| version.is_early_draft())?;
                // The suite came with draft 19.
                self.copy(if version.0 & 0xff >= 19 { 4 } else { 2 })?;
                self.extensions(false)
            }
            SERVER_HELLO => {
                self.beginning()?;
                // Cipher suite and compression.
                self.copy(3)?;
                self.extensions(false)
            }
            NEW_SESSION_TICKET => {
                // Its lifetime.
                self.copy(4)?;
                let length = self.number(2)?;
                self.credential(length, Mechanism::Ticket)
            }
            CERTIFICATE => {
                self.number(3)?;
                while self.at < self.from.len() {
                    let length = self.number(3)?;
                    self.at += length;
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    /// The version, which comes next.
    fn version(&self) -> Option<ProtocolVersion> {
        let bytes = self.from.get(self.at..)?.first_chunk()?;
        Some(ProtocolVersion(u16::from_be_bytes(*bytes)))
    }

    /// Version, random and session ID.
    fn beginning(&mut self) -> Option<()> {
        self.copy(BEGINNING)?;
        let length = self.number(1)?;
        self.credential(length, Mechanism::SessionId)
    }

    fn extensions(&mut self, of_client: bool) -> Option<()> {
        if self.at == self.from.len() {
            return Some(());
        }
        self.number(2)?;
        while self.at < self.from.len() {
            let kind = u16::try_from(self.number(2)?).ok()?;
            let length = self.number(2)?;
            let end = self.at.checked_add(length).filter(|end| *end <= self.from.len())?;
            // An extension that has another form than it should have is zeros from there on, and the next one is read.
            let _ = self.extension(kind, end, of_client);
            self.at = end;
        }
        Some(())
    }

    fn extension(&mut self, kind: u16, end: usize, of_client: bool) -> Option<()> {
        let length = end - self.at;
        match kind {
            SERVER_NAME if length > 0 => {
                // A list of one name of type 0 (RFC 6066 §3).
                self.copy(3)?;
                let length = self.number(2)?;
                self.name(length)
            }
            ALPN => {
                self.number(2)?;
                while self.at < end {
                    let length = self.number(1)?;
                    self.protocol(length)?;
                }
                Some(())
            }
            SESSION_TICKET => self.credential(length, Mechanism::Ticket),
            PRE_SHARED_KEY if of_client => {
                let identities = self.number(2)?;
                let end_of_identities = self.at.checked_add(identities)?;
                while self.at < end_of_identities {
                    let length = self.number(2)?;
                    self.credential(length, Mechanism::Psk)?;
                    // Its age.
                    self.copy(4)?;
                }
                // Binders.
                self.copy(end.checked_sub(self.at)?).map(drop)
            }
            PRE_SHARED_KEY => self.copy(length).map(drop),
            // Without any responder named.
            STATUS_REQUEST if self.from.get(self.at..end) == Some(&[1, 0, 0, 0, 0]) => self.copy(length).map(drop),
            // Beyond the first handshake it holds what is secret to the connection.
            RENEGOTIATION_INFO if length == 1 => self.copy(length).map(drop),
            kind if PLAIN.contains(&kind) => self.copy(length).map(drop),
            _ => Some(()),
        }
    }

    /// Copies so many bytes, which are given.
    fn copy(&mut self, count: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.from.get(self.at..end)?;
        self.to.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(bytes)
    }

    /// Copies a number of so many bytes.
    fn number(&mut self, width: usize) -> Option<usize> {
        let bytes = self.copy(width)?;
        Some(bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    /// Copies a vector whose length has so many bytes.
    fn vector(&mut self, width: usize) -> Option<()> {
        let length = self.number(width)?;
        self.copy(length).map(drop)
    }

    /// Puts other bytes in the place of so many.
    fn replace(&mut self, length: usize, other: impl FnOnce(&Prf, &[u8]) -> Vec<u8>) -> Option<()> {
        let end = self.at.checked_add(length)?;
        let bytes = self.from.get(self.at..end)?;
        let other = other(self.prf, bytes);
        let to = self.to.get_mut(self.at..end)?;
        to.iter_mut().zip(other).for_each(|(to, from)| *to = from);
        self.at = end;
        Some(())
    }

    /// A session ID, ticket or identity: the beginnings that verdicts compare are those of the report.
    fn credential(&mut self, length: usize, mechanism: Mechanism) -> Option<()> {
        self.replace(length, |prf, bytes| {
            let name = CredentialFingerprint::of(bytes);
            let head = credential::alias(prf, mechanism, &name).head;
            let rest = bytes.len().saturating_sub(head.len());
            let rest = (0_u32..)
                .flat_map(|block| prf.draw("content", &[&name.sha256, &block.to_be_bytes()]))
                .take(rest);
            head.into_iter().take(bytes.len()).chain(rest).collect()
        })
    }

    /// A server name: that of the report as far as there is room, and never shorter.
    fn name(&mut self, length: usize) -> Option<()> {
        self.replace(length, |prf, bytes| {
            let name = host::name(prf, &String::from_utf8_lossy(bytes));
            let letters = name.strip_prefix("host-").unwrap_or(&name);
            let letters = letters.split('.').next().unwrap_or_default();
            fitting(letters, bytes.len()).into_bytes()
        })
    }

    /// A protocol of ALPN; one that is registered names nobody.
    fn protocol(&mut self, length: usize) -> Option<()> {
        self.replace(length, |prf, bytes| {
            let name = String::from_utf8_lossy(bytes);
            match protocol::alias(prf, &name) {
                None => bytes.to_vec(),
                Some(alias) => alias.bytes().rev().cycle().take(bytes.len()).collect(),
            }
        })
    }
}

/// A name of exactly this length that no host has, made of letters that tell it from others: `host-….invalid` where there is room.
fn fitting(letters: &str, length: usize) -> String {
    const FRONT: &str = "host-";
    const END: &str = ".invalid";
    let endless = letters.chars().cycle();
    match length.checked_sub(END.len() + FRONT.len()) {
        Some(room @ 8..) => format!("{FRONT}{}{END}", endless.take(room).collect::<String>()),
        _ => endless.take(length).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &[u8]) -> Vec<u8> {
        other(message, &Prf::testing(1))
    }

    /// A message with its head.
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("short");
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
    }

    fn hello(session_id: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
        let extensions = extensions.concat();
        let length = u16::try_from(extensions.len()).expect("short").to_be_bytes();
        let id = [u8::try_from(session_id.len()).expect("short")];
        let body = [
            &[3, 3][..],
            &[7; 32],
            &id,
            session_id,
            &[0, 2, 0x13, 1, 1, 0],
            &length,
            &extensions,
        ]
        .concat();
        message(CLIENT_HELLO, &body)
    }

    fn server_name(name: &[u8]) -> Vec<u8> {
        let length = u16::try_from(name.len()).expect("short");
        let list = (length + 3).to_be_bytes();
        extension(SERVER_NAME, &[&list[..], &[0], &length.to_be_bytes(), name].concat())
    }

    #[test]
    fn names_and_credentials_are_replaced_and_the_rest_of_a_hello_stays() {
        let hello = hello(
            &[0x5a; 32],
            &[
                server_name(b"customer.portal.example.com"),
                extension(ALPN, b"\x00\x0c\x02h2\x08acme-rpc"),
                extension(43, &[2, 3, 4]),
                extension(SESSION_TICKET, &(0..100).collect::<Vec<u8>>()),
                extension(0x5e11, b"nobody knows what this says"),
            ],
        );
        let shown = shown(&hello);
        assert_eq!(shown.len(), hello.len());
        let has = |part: &[u8]| shown.windows(part.len()).any(|window| window == part);
        for gone in [
            &b"customer"[..],
            b"portal",
            b"acme",
            b"nobody",
            &[0x5a; 4],
            &[40, 41, 42, 43],
        ] {
            assert!(!has(gone), "{gone:?}");
        }
        for stays in [
            &[7_u8; 32][..],
            &[0x13, 1, 1, 0],
            b"\x02h2",
            &[0, 43, 0, 3, 2, 3, 4],
            b".invalid",
            &[0x5e, 0x11, 0, 27],
        ] {
            assert!(has(stays), "{stays:?}");
        }
    }

    #[test]
    fn hellos_of_early_drafts_stay_what_they_are() {
        let selected = extension(PRE_SHARED_KEY, &[0, 0]);
        let length = u16::try_from(selected.len()).expect("short").to_be_bytes();
        let suite = [0x13, 1];
        let hello = message(
            SERVER_HELLO,
            &[&[0x7f, 20][..], &[7; 32], &suite, &length, &selected].concat(),
        );
        assert_eq!(shown(&hello), hello);
        let retry = message(
            HELLO_RETRY_REQUEST,
            &[&[0x7f, 20][..], &suite, &length, &selected].concat(),
        );
        assert_eq!(shown(&retry), retry);
        let retry = message(HELLO_RETRY_REQUEST, &[&[0x7f, 18][..], &length, &selected].concat());
        assert_eq!(shown(&retry), retry);
        // No other version has such a message.
        let none = message(HELLO_RETRY_REQUEST, &[3, 3, 0x13, 1, 0, 0]);
        assert!(shown(&none)[HEAD..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_same_ticket_is_the_same_wherever_it_stands() {
        let ticket: Vec<u8> = (0..=200).collect();
        let length = u16::try_from(ticket.len()).expect("short").to_be_bytes();
        let issued = shown(&message(
            NEW_SESSION_TICKET,
            &[&[0, 0, 1, 44][..], &length, &ticket].concat(),
        ));
        let offered = shown(&hello(&[], &[extension(SESSION_TICKET, &ticket)]));
        assert_eq!(issued[4..10], [0, 0, 1, 44, 0, 201], "lifetime and length stay");
        let replaced = &issued[10..];
        assert!(offered.ends_with(replaced));
        assert_ne!(replaced, ticket);
    }

    #[test]
    fn of_identities_the_ages_and_of_certificates_the_lengths_stay() {
        let identities = [&[0, 4][..], b"anna", &[1, 2, 3, 4]].concat();
        let body = [&[0, 10][..], &identities, &[0, 3, 2, 9, 9]].concat();
        let shown_hello = shown(&hello(&[], &[extension(PRE_SHARED_KEY, &body)]));
        let end = &shown_hello[shown_hello.len() - body.len()..];
        assert_eq!(end[..4], [0, 10, 0, 4]);
        assert_eq!(end[8..], [1, 2, 3, 4, 0, 3, 2, 9, 9]);
        assert!(!end.windows(4).any(|window| window == b"anna"));

        let certificate = message(CERTIFICATE, &[0, 0, 7, 0, 0, 4, 1, 2, 3, 4]);
        assert_eq!(
            shown(&certificate),
            message(CERTIFICATE, &[0, 0, 7, 0, 0, 4, 0, 0, 0, 0])
        );
        assert_eq!(shown(&message(16, b"secret")), message(16, &[0; 6]));
    }

    #[test]
    fn what_lies_about_its_lengths_is_zeros_from_there_on() {
        let mut hello = hello(&[], &[server_name(b"a.very.long.name.example")]);
        let at = hello.len() - 26;
        hello[at] = 0xff;
        let shown = shown(&hello);
        assert!(shown.ends_with(&[0; 24]));
        assert_eq!(self::shown(&[1, 0, 0, 9]), [1, 0, 0, 9]);
        assert!(self::shown(&[]).is_empty());
    }

    #[test]
    fn a_name_fits_whatever_its_length() {
        for length in 0..60 {
            let name = fitting("abcdefghijkl", length);
            assert_eq!(name.len(), length, "{name}");
        }
        assert_eq!(fitting("abcdefghijkl", 25), "host-abcdefghijkl.invalid");
        assert_eq!(fitting("abcdefghijkl", 10), "abcdefghij");
    }
}
