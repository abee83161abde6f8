//! ClientHello, ServerHello and HelloRetryRequest with the extensions that resumption depends on.
//!
//! Read here and not by tls-parser: its extension lists stop silently at the first malformed entry, pre_shared_key always
//! stands last (RFC 8446 §4.2.11), and every list is copied to a place of its own. Here a malformed extension costs only
//! itself, and what is read is borrowed.

use smallvec::SmallVec;

use super::codec::Reader;
use super::names::{CipherSuite, ExtensionType, ProtocolVersion, is_grease};

/// The random that marks a ServerHello as HelloRetryRequest (RFC 8446 §4.1.3).
pub const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// One PSK identity of a ClientHello (RFC 8446 §4.2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PskIdentity<'a> {
    /// The identity: for resumption, the ticket.
    pub identity: &'a [u8],
    /// Ticket age in milliseconds plus `ticket_age_add`, modulo 2^32.
    pub obfuscated_age: u32,
    /// Length of its binder in bytes, 0 when the list of binders is too short.
    pub binder_length: u8,
}

/// Suites of a hello: most list fewer than this, and browsers half as many.
pub type Suites = SmallVec<[CipherSuite; 36]>;

/// What the client proposes (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// SSLv2-format hello (RFC 5246 E.2): no session can be resumed with it.
    pub v2_format: bool,
    /// legacy_version.
    pub version: ProtocolVersion,
    /// Random.
    pub random: [u8; 32],
    /// session_id: a credential in TLS 1.2 and older, a compatibility value in TLS 1.3.
    pub session_id: &'a [u8],
    /// Suites as offered, GREASE left out.
    pub cipher_suites: Suites,
    /// What supported_versions lists, two bytes each as on the wire, GREASE included; `None` without the extension.
    pub supported_versions: Option<&'a [u8]>,
    /// Host name of server_name (RFC 6066 §3).
    pub server_name: Option<&'a [u8]>,
    /// session_ticket extension: `Some(&[])` when empty (RFC 5077 §3.2).
    pub session_ticket: Option<&'a [u8]>,
    /// Identities of pre_shared_key; `None` without the extension.
    pub psk_identities: Option<Vec<PskIdentity<'a>>>,
    /// psk_key_exchange_modes: 0 psk_ke, 1 psk_dhe_ke (RFC 8446 §4.2.9).
    pub psk_modes: Option<&'a [u8]>,
    /// early_data is present (RFC 8446 §4.2.10).
    pub early_data: bool,
    /// extended_master_secret is present (RFC 7627 §5.1).
    pub extended_master_secret: bool,
    /// encrypt_then_mac is present (RFC 7366).
    pub encrypt_then_mac: bool,
    /// signed_certificate_timestamp is present (RFC 6962 §3.3.1).
    pub certificate_timestamps: bool,
    /// encrypted_client_hello is present, real or GREASE (RFC 9849).
    pub encrypted_client_hello: bool,
    /// First protocol of ALPN.
    pub alpn: Option<&'a [u8]>,
    /// Hash of what tells one client stack from another: version, suites and extension types, without GREASE and
    /// without the extensions that come and go between connections of one stack.
    pub stack: u64,
    /// Extension types in order, without GREASE: equal hellos get equal answers from equal servers.
    pub shape: u64,
}

impl<'a> ClientHello<'a> {
    /// Parses a complete handshake message (with its 4-byte header). `None` when it cannot be read at all.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(message.get(4..)?);
        let version = ProtocolVersion(reader.u16()?);
        let random = *reader.array::<32>()?;
        let session_id = reader.vec8().filter(|id| id.len() <= 32)?;
        let suites = reader.vec16()?;
        reader.vec8()?; // compression methods
        let block = reader.vec16().unwrap_or_default();
        let mut hello = Self {
            v2_format: false,
            version,
            random,
            session_id,
            cipher_suites: suite_list(suites),
            supported_versions: None,
            server_name: None,
            session_ticket: None,
            psk_identities: None,
            psk_modes: None,
            early_data: false,
            extended_master_secret: false,
            encrypt_then_mac: false,
            certificate_timestamps: false,
            encrypted_client_hello: false,
            alpn: None,
            stack: 0,
            shape: 0,
        };
        let mut fingerprint = Fingerprint::new(&hello);
        for (kind, body) in extensions(block) {
            fingerprint.extension(kind);
            hello.read_extension(kind, body);
        }
        (hello.stack, hello.shape) = fingerprint.finish();
        Some(hello)
    }

    /// Parses an SSLv2-format hello (RFC 5246 E.2) without its 2-byte length.
    #[must_use]
    pub fn parse_v2(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        if reader.u8()? != 1 {
            return None;
        }
        let version = ProtocolVersion(reader.u16()?);
        let (specs, session, challenge) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let specs = reader.take(usize::from(specs))?;
        let session_id = reader.take(usize::from(session))?;
        let challenge = reader.take(usize::from(challenge))?;
        let mut random = [0; 32];
        // The challenge stands right-aligned in the 32-byte random (RFC 5246 E.2).
        random
            .iter_mut()
            .rev()
            .zip(challenge.iter().rev())
            .for_each(|(to, from)| *to = *from);
        let cipher_suites = specs
            .chunks_exact(3)
            .filter_map(|spec| match *spec {
                [0, high, low] => Some(CipherSuite(u16::from_be_bytes([high, low]))),
                _ => None,
            })
            .collect();
        let mut hello = Self {
            v2_format: true,
            version,
            random,
            session_id,
            cipher_suites,
            supported_versions: None,
            server_name: None,
            session_ticket: None,
            psk_identities: None,
            psk_modes: None,
            early_data: false,
            extended_master_secret: false,
            encrypt_then_mac: false,
            certificate_timestamps: false,
            encrypted_client_hello: false,
            alpn: None,
            stack: 0,
            shape: 0,
        };
        (hello.stack, hello.shape) = Fingerprint::new(&hello).finish();
        Some(hello)
    }

    /// Whether the client would accept TLS 1.3.
    #[must_use]
    pub fn offers_tls13(&self) -> bool {
        let (versions, _) = self.supported_versions.unwrap_or_default().as_chunks();
        let mut versions = versions.iter().map(|bytes| u16::from_be_bytes(*bytes));
        versions.any(|version| !is_grease(version) && ProtocolVersion(version).is_tls13())
    }

    fn read_extension(&mut self, kind: ExtensionType, body: &'a [u8]) {
        match kind {
            ExtensionType::PRE_SHARED_KEY => self.psk_identities = Some(psk_identities(body)),
            ExtensionType::ENCRYPTED_CLIENT_HELLO => self.encrypted_client_hello = true,
            ExtensionType::SESSION_TICKET => self.session_ticket = Some(body),
            ExtensionType::EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            ExtensionType::ENCRYPT_THEN_MAC => self.encrypt_then_mac = true,
            ExtensionType::SIGNED_CERTIFICATE_TIMESTAMP => self.certificate_timestamps = true,
            ExtensionType::EARLY_DATA => self.early_data = true,
            ExtensionType::PSK_KEY_EXCHANGE_MODES => self.psk_modes = Reader::new(body).vec8(),
            ExtensionType::SUPPORTED_VERSIONS => {
                // A single version, which is what a server sends, is taken for a list as well.
                let list = if body.len() == 2 { Some(body) } else { body.get(1..) };
                self.supported_versions = list
                    .filter(|list| list.len().is_multiple_of(2))
                    .or(self.supported_versions);
            }
            ExtensionType::SERVER_NAME => {
                if let Some(names) = Reader::new(body).vec16() {
                    self.server_name = host_name(names);
                }
            }
            ExtensionType::ALPN => self.alpn = first_protocol(body).or(self.alpn),
            _ => {}
        }
    }
}

/// The first protocol that ALPN lists (RFC 7301 §3.1).
fn first_protocol(body: &[u8]) -> Option<&[u8]> {
    Reader::new(Reader::new(body).vec16()?).vec8()
}

/// The host name among the names of server_name (RFC 6066 §3).
fn host_name(names: &[u8]) -> Option<&[u8]> {
    let mut names = Reader::new(names);
    std::iter::from_fn(|| Some((names.u8()?, names.vec16()?))).find_map(|(kind, name)| (kind == 0).then_some(name))
}

/// What the server chose (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// Whether this is a HelloRetryRequest (RFC 8446 §4.1.4).
    pub hello_retry_request: bool,
    /// Negotiated version: supported_versions where present, else legacy_version.
    pub version: ProtocolVersion,
    /// supported_versions names TLS 1.2 or older, which it must not (RFC 8446 §4.2.1): nothing was negotiated.
    pub illegal_version: bool,
    /// Random.
    pub random: [u8; 32],
    /// session_id; in TLS 1.3 an echo that means nothing.
    pub session_id: &'a [u8],
    /// Chosen suite.
    pub cipher_suite: CipherSuite,
    /// Index of the accepted PSK identity (RFC 8446 §4.2.11).
    pub selected_psk: Option<u16>,
    /// key_share is present: with a PSK, psk_dhe_ke.
    pub key_share: bool,
    /// The server promises a NewSessionTicket message (RFC 5077 §3.2).
    pub session_ticket: bool,
    /// extended_master_secret is present.
    pub extended_master_secret: bool,
    /// encrypt_then_mac is present (RFC 7366).
    pub encrypt_then_mac: bool,
    /// ALPN, where it is visible (TLS 1.2 and older).
    pub alpn: Option<&'a [u8]>,
    /// Hash of version, suite, session-ID length class and extension types in order.
    pub shape: u64,
}

impl<'a> ServerHello<'a> {
    /// Parses a complete handshake message (with its 4-byte header). `None` when it cannot be read at all.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(message.get(4..)?);
        let version = ProtocolVersion(reader.u16()?);
        let random = *reader.array::<32>()?;
        let mut hello = Self::bare(version, random == HELLO_RETRY_REQUEST);
        hello.random = random;
        // draft-ietf-tls-tls13-21 §4.1.3: the suite follows the random, and there is no compression method.
        if version.is_early_draft() {
            hello.cipher_suite = CipherSuite(reader.u16()?);
        } else {
            hello.session_id = reader.vec8().filter(|id| id.len() <= 32)?;
            hello.cipher_suite = CipherSuite(reader.u16()?);
            reader.u8()?; // compression method
        }
        hello.read_extensions(reader.vec16().unwrap_or_default());
        Some(hello)
    }

    /// Parses a HelloRetryRequest that is a message of its own, as up to draft 21 of TLS 1.3, its 4-byte header
    /// included. `None` when it cannot be read at all.
    #[must_use]
    pub fn parse_early_retry(message: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(message.get(4..)?);
        let version = ProtocolVersion(reader.u16()?);
        let mut hello = Self::bare(version, true);
        // The suite came with draft 19 (draft-ietf-tls-tls13-19 §4.1.4).
        if version.0 & 0xff >= 19 {
            hello.cipher_suite = CipherSuite(reader.u16()?);
        }
        hello.read_extensions(reader.vec16()?);
        version.is_early_draft().then_some(hello)
    }

    const fn bare(version: ProtocolVersion, hello_retry_request: bool) -> Self {
        Self {
            hello_retry_request,
            version,
            illegal_version: false,
            random: [0; 32],
            session_id: &[],
            cipher_suite: CipherSuite(0),
            selected_psk: None,
            key_share: false,
            session_ticket: false,
            extended_master_secret: false,
            encrypt_then_mac: false,
            alpn: None,
            shape: 0,
        }
    }

    fn read_extensions(&mut self, block: &'a [u8]) {
        let mut shape = Fnv::new();
        for (kind, body) in extensions(block) {
            // server_name and session_ticket come and go between full and abbreviated answers of one server.
            shape.write(kind.0);
            self.read_extension(kind, body);
        }
        shape.write(self.version.0);
        shape.write(self.cipher_suite.0);
        self.shape = shape.0;
    }

    fn read_extension(&mut self, kind: ExtensionType, body: &'a [u8]) {
        match kind {
            ExtensionType::SUPPORTED_VERSIONS => {
                if let Some(version) = Reader::new(body).u16() {
                    self.version = ProtocolVersion(version);
                    self.illegal_version = !self.version.is_tls13();
                }
            }
            ExtensionType::PRE_SHARED_KEY => self.selected_psk = Reader::new(body).u16(),
            // Drafts up to the 22nd had another number for it, and so have experiments made of them.
            ExtensionType::KEY_SHARE | ExtensionType::KEY_SHARE_OF_DRAFTS => self.key_share = true,
            ExtensionType::SESSION_TICKET => self.session_ticket = true,
            ExtensionType::EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            ExtensionType::ENCRYPT_THEN_MAC => self.encrypt_then_mac = true,
            ExtensionType::ALPN => self.alpn = first_protocol(body).or(self.alpn),
            _ => {}
        }
    }
}

/// Suites as offered, GREASE left out.
fn suite_list(bytes: &[u8]) -> Suites {
    let (suites, _) = bytes.as_chunks();
    let suites = suites.iter().map(|bytes| CipherSuite(u16::from_be_bytes(*bytes)));
    suites.filter(|suite| !is_grease(suite.0)).collect()
}

/// Walks an extension block as (type, body); ends at the first length that does not fit.
pub(super) fn extensions(block: &[u8]) -> impl Iterator<Item = (ExtensionType, &[u8])> {
    let mut reader = Reader::new(block);
    std::iter::from_fn(move || Some((ExtensionType(reader.u16()?), reader.vec16()?)))
}

fn psk_identities(body: &[u8]) -> Vec<PskIdentity<'_>> {
    let mut reader = Reader::new(body);
    let mut identities = Reader::new(reader.vec16().unwrap_or_default());
    let mut binders = Reader::new(reader.vec16().unwrap_or_default());
    std::iter::from_fn(|| {
        let identity = identities.vec16()?;
        let obfuscated_age = identities.u32()?;
        let binder_length = binders.vec8().map_or(0, <[u8]>::len);
        Some(PskIdentity {
            identity,
            obfuscated_age,
            binder_length: u8::try_from(binder_length).unwrap_or(u8::MAX),
        })
    })
    .collect()
}

/// FNV-1a over 16-bit values: stable across runs and machines, which a seeded hash is not.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, value: u16) {
        for byte in value.to_be_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The two hashes of a ClientHello.
struct Fingerprint {
    base: Fnv,
    shape: Fnv,
    // Order-free: stacks that shuffle their extensions (Chromium) must stay one stack.
    members: u64,
}

impl Fingerprint {
    /// Extensions that come and go between connections of one client stack (server_name among them: not every
    /// connection has a name).
    const VOLATILE: [ExtensionType; 7] = [
        ExtensionType::SERVER_NAME,
        ExtensionType::PADDING,
        ExtensionType::SESSION_TICKET,
        ExtensionType::PRE_SHARED_KEY,
        ExtensionType::EARLY_DATA,
        ExtensionType::COOKIE,
        ExtensionType::ENCRYPTED_CLIENT_HELLO,
    ];

    fn new(hello: &ClientHello<'_>) -> Self {
        let mut base = Fnv::new();
        base.write(hello.version.0);
        hello.cipher_suites.iter().for_each(|suite| base.write(suite.0));
        Self {
            shape: Fnv(base.0),
            base,
            members: 0,
        }
    }

    fn extension(&mut self, kind: ExtensionType) {
        if is_grease(kind.0) {
            return;
        }
        self.shape.write(kind.0);
        if !Self::VOLATILE.contains(&kind) {
            let mut one = Fnv::new();
            one.write(kind.0);
            self.members = self.members.wrapping_add(one.0);
        }
    }

    fn finish(self) -> (u64, u64) {
        (self.base.0 ^ self.members, self.shape.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use tls_parser::TlsExtension;

    use super::*;

    /// A ClientHello message with the given session ID and extensions, for tests of every layer.
    pub(crate) fn client_hello(session_id: &[u8], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(u8::try_from(session_id.len()).expect("short"));
        body.extend(session_id);
        body.extend([0, 4, 0x13, 0x01, 0xc0, 0x2f, 1, 0]);
        with_extensions(1, body, extensions)
    }

    /// A ServerHello message.
    pub(crate) fn server_hello(version: u16, session_id: &[u8], suite: u16, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([8; 32]);
        body.push(u8::try_from(session_id.len()).expect("short"));
        body.extend(session_id);
        body.extend(suite.to_be_bytes());
        body.push(0);
        with_extensions(2, body, extensions)
    }

    fn with_extensions(kind: u8, mut body: Vec<u8>, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let block: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, data)| {
                let length = u16::try_from(data.len()).expect("short");
                [&kind.to_be_bytes()[..], &length.to_be_bytes()[..], data].concat()
            })
            .collect();
        body.extend(u16::try_from(block.len()).expect("short").to_be_bytes());
        body.extend(block);
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&[kind, length[1], length[2], length[3]][..], &body].concat()
    }

    /// A pre_shared_key body with one 32-byte binder an identity.
    pub(crate) fn pre_shared_key(identities: &[(&[u8], u32)]) -> Vec<u8> {
        let list: Vec<u8> = identities
            .iter()
            .flat_map(|(identity, age)| {
                let length = u16::try_from(identity.len()).expect("short").to_be_bytes();
                [&length[..], identity, &age.to_be_bytes()].concat()
            })
            .collect();
        let binders: Vec<u8> = identities.iter().flat_map(|_| [&[32][..], &[9; 32]].concat()).collect();
        let prefixed = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
        [prefixed(&list), prefixed(&binders)].concat()
    }

    #[test]
    fn a_malformed_extension_does_not_hide_the_psk_behind_it() {
        let broken_master_secret = (23, vec![1, 2, 3]);
        let message = client_hello(
            &[],
            &[
                broken_master_secret,
                (0, vec![0xff]),
                (41, pre_shared_key(&[(b"ticket", 5)])),
            ],
        );
        let hello = ClientHello::parse(&message).expect("readable");
        let identities = hello.psk_identities.expect("offered");
        assert_eq!(
            identities,
            [PskIdentity {
                identity: b"ticket",
                obfuscated_age: 5,
                binder_length: 32
            }]
        );
        assert_eq!(hello.server_name, None);
    }

    #[test]
    fn an_empty_ticket_extension_is_not_an_absent_one() {
        let empty = client_hello(&[], &[(35, vec![])]);
        let absent = client_hello(&[], &[]);
        assert_eq!(
            ClientHello::parse(&empty).expect("readable").session_ticket,
            Some(&[][..])
        );
        assert_eq!(ClientHello::parse(&absent).expect("readable").session_ticket, None);
    }

    #[test]
    fn ticket_and_psk_do_not_change_the_client_stack() {
        let plain = client_hello(&[], &[(23, vec![]), (35, vec![])]);
        let resuming = client_hello(
            &[1; 32],
            &[(35, vec![1, 2]), (23, vec![]), (41, pre_shared_key(&[(b"t", 1)]))],
        );
        let other = client_hello(&[], &[(35, vec![])]);
        let stack = |message: &[u8]| ClientHello::parse(message).expect("readable").stack;
        assert_eq!(stack(&plain), stack(&resuming));
        assert_ne!(stack(&plain), stack(&other));
    }

    #[test]
    fn the_version_of_a_tls13_server_hello_is_in_its_extension() {
        let message = server_hello(
            0x0303,
            &[5; 32],
            0x1301,
            &[(43, vec![3, 4]), (51, vec![0, 29, 0, 0]), (41, vec![0, 0])],
        );
        let hello = ServerHello::parse(&message).expect("readable");
        assert_eq!(hello.version, ProtocolVersion::TLS_1_3);
        assert_eq!(hello.selected_psk, Some(0));
        assert!(hello.key_share);
        assert!(!hello.hello_retry_request);
    }

    #[test]
    fn a_version_below_tls13_in_supported_versions_is_illegal() {
        let chosen = |version: Vec<u8>| {
            let message = server_hello(0x0303, &[5; 32], 0x1301, &[(43, version)]);
            let hello = ServerHello::parse(&message).expect("readable");
            (hello.version.0, hello.illegal_version)
        };
        assert_eq!(chosen(vec![3, 3]), (0x0303, true));
        assert_eq!(chosen(vec![3, 4]), (0x0304, false));
        assert_eq!(chosen(vec![0xfb, 0x1a]), (0xfb1a, false));
    }

    /// draft-ietf-tls-tls13-21 §4.1.3, §4.1.4.
    #[test]
    fn drafts_up_to_the_21st_have_hellos_of_their_own() {
        let random = [8; 32];
        let rest = [0x13, 2, 0, 6, 0, 41, 0, 2, 0, 1];
        let message = [&[2, 0, 0, 44, 0x7f, 21][..], &random, &rest].concat();
        let hello = ServerHello::parse(&message).expect("readable");
        assert_eq!((hello.cipher_suite, hello.selected_psk), (CipherSuite(0x1302), Some(1)));
        assert!(hello.session_id.is_empty() && !hello.hello_retry_request);
        let retry = [6, 0, 0, 12, 0x7f, 21, 0x13, 1, 0, 6, 0, 40, 0, 2, 0, 29];
        let retry = ServerHello::parse_early_retry(&retry).expect("readable");
        assert!(retry.hello_retry_request && retry.cipher_suite == CipherSuite(0x1301));
        // Draft 18 names no suite yet; later drafts have no such message.
        assert!(ServerHello::parse_early_retry(&[6, 0, 0, 4, 0x7f, 18, 0, 0]).is_some());
        assert!(ServerHello::parse_early_retry(&[6, 0, 0, 6, 0x7f, 22, 0x13, 1, 0, 0]).is_none());
    }

    #[test]
    fn ssl3_server_hellos_and_drafts_are_read() {
        for version in [0x0300, 0x7f1c] {
            let message = server_hello(version, &[], 0x0005, &[]);
            assert_eq!(
                ServerHello::parse(&message).expect("readable").version,
                ProtocolVersion(version)
            );
        }
    }

    #[test]
    fn a_v2_hello_keeps_its_session_id_and_suites() {
        let mut body = vec![1, 3, 1, 0, 6, 0, 2, 0, 16];
        body.extend([0, 0, 0x2f, 1, 0, 0x80, 0xaa, 0xbb]);
        body.extend([6; 16]);
        let hello = ClientHello::parse_v2(&body).expect("readable");
        assert!(hello.v2_format);
        assert_eq!(hello.cipher_suites.as_slice(), [CipherSuite(0x2f)]);
        assert_eq!(hello.session_id, [0xaa, 0xbb]);
        assert_eq!(hello.random[..16], [0; 16]);
    }

    /// What tls-parser makes of an extension of a ClientHello: host name, first protocol, whether TLS 1.3 is among the versions.
    fn as_tls_parser_reads(kind: u16, body: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>, bool) {
        let length = u16::try_from(body.len()).expect("short").to_be_bytes();
        let whole = [&kind.to_be_bytes()[..], &length, body].concat();
        match tls_parser::parse_tls_client_hello_extension(&whole) {
            Ok((_, TlsExtension::SNI(names))) => {
                let host = names.iter().find(|(kind, _)| kind.0 == 0);
                (host.map(|(_, name)| name.to_vec()), None, false)
            }
            Ok((_, TlsExtension::ALPN(protocols))) => (None, protocols.first().map(|first| first.to_vec()), false),
            Ok((_, TlsExtension::SupportedVersions(versions))) => {
                let tls13 = |version: u16| !is_grease(version) && ProtocolVersion(version).is_tls13();
                (None, None, versions.iter().any(|version| tls13(version.0)))
            }
            _ => (None, None, false),
        }
    }

    proptest! {
        #[test]
        fn extensions_are_read_as_tls_parser_reads_them(
            kind in prop::sample::select(vec![0_u16, 16, 43]),
            entries in prop::collection::vec((0_u8..2, prop::collection::vec(any::<u8>(), 0..4)), 0..3),
            change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in 0_usize..3,
        ) {
            let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
            let list: Vec<u8> = entries
                .iter()
                .flat_map(|(first, bytes)| match kind {
                    0 => [&[*first, 0, length(bytes)][..], bytes].concat(),
                    16 => [&[length(bytes)][..], bytes].concat(),
                    _ => vec![3, 3 + first],
                })
                .collect();
            let mut body = if kind == 43 { vec![length(&list)] } else { vec![0, length(&list)] };
            body.extend(list);
            if let Some((place, byte)) = change {
                *place.get_mut(&mut body) = byte;
            }
            body.truncate(body.len() - cut.min(body.len()));
            let message = client_hello(&[], &[(kind, body.clone())]);
            let hello = ClientHello::parse(&message).expect("readable");
            let read = (hello.server_name.map(<[u8]>::to_vec), hello.alpn.map(<[u8]>::to_vec), hello.offers_tls13());
            prop_assert_eq!(read, as_tls_parser_reads(kind, &body));
        }
    }
}
