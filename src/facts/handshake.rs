//! Hellos, and what else the handshake says, as facts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use reshake_core::session::{Blindness, Guessable};
use reshake_core::session::{
    ClientHelloFacts, CredentialFingerprint, EarlyData, HelloRetry, OfferKind, PskModes, PskTerms, ServerHelloFacts,
    Shape, TicketMac, TicketsInferred,
};
use reshake_core::store::{Interner, Issued, Offered};
use reshake_core::tls::{CipherSuite, ProtocolVersion};

use super::value::{
    AtFact, Base, BlindFact, FrameFact, Hash, Hex, MechanismFact, NotVisible, TicketFact, Wrong, at_back, hash, unhex,
};
use reshake_core::net::hex;

/// The ClientHello; the second one after a HelloRetryRequest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct HelloFact {
    at: AtFact,
    random: Hex<32>,
    /// legacy_version.
    version: u16,
    offers_tls13: bool,
    v2_format: bool,
    /// First bytes of the session ID.
    session_id: Option<Hex<4>>,
    ticket: TicketFact,
    pre_shared_key: bool,
    psk_modes: Option<ModesFact>,
    early_data: bool,
    extended_master_secret: bool,
    encrypted_client_hello: bool,
    pub(super) server_name: Option<String>,
    suites: Vec<u16>,
    /// Hash of what tells one client stack from another.
    stack: Hash,
    /// Hash of the hello's exact make-up.
    shape: Hash,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct ModesFact {
    ke: bool,
    dhe_ke: bool,
}

impl From<&ClientHelloFacts> for HelloFact {
    fn from(hello: &ClientHelloFacts) -> Self {
        Self {
            at: hello.at.into(),
            random: Hex(hello.random),
            version: hello.version.0,
            offers_tls13: hello.offers_tls13,
            v2_format: hello.v2_format,
            session_id: hello.session_id.map(Hex),
            ticket: hello.ticket.into(),
            pre_shared_key: hello.pre_shared_key,
            psk_modes: hello.psk_modes.map(|modes| ModesFact {
                ke: modes.ke,
                dhe_ke: modes.dhe_ke,
            }),
            early_data: hello.early_data,
            extended_master_secret: hello.extended_master_secret,
            encrypted_client_hello: hello.encrypted_client_hello,
            server_name: hello.server_name.as_deref().map(str::to_owned),
            suites: hello.stack.suites.iter().map(|suite| suite.0).collect(),
            stack: hash(hello.stack.digest),
            shape: hash(hello.shape),
        }
    }
}

impl HelloFact {
    pub(super) fn back(&self, base: Base, interner: &mut Interner) -> Result<ClientHelloFacts, Wrong> {
        let digest = u64::from_be_bytes(self.stack.0);
        let suites: Vec<CipherSuite> = self.suites.iter().copied().map(CipherSuite).collect();
        Ok(ClientHelloFacts {
            at: self.at.back(base)?,
            random: self.random.0,
            version: ProtocolVersion(self.version),
            offers_tls13: self.offers_tls13,
            v2_format: self.v2_format,
            session_id: self.session_id.map(|id| id.0),
            ticket: self.ticket.into(),
            pre_shared_key: self.pre_shared_key,
            psk_modes: self.psk_modes.map(|modes| PskModes {
                ke: modes.ke,
                dhe_ke: modes.dhe_ke,
            }),
            early_data: self.early_data,
            extended_master_secret: self.extended_master_secret,
            encrypted_client_hello: self.encrypted_client_hello,
            server_name: self.server_name.as_ref().map(|name| interner.text(name.as_bytes())),
            stack: interner.stack(digest, &suites),
            shape: u64::from_be_bytes(self.shape.0),
        })
    }
}

/// The ServerHello.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct AnswerFact {
    at: AtFact,
    /// First bytes of the random.
    random: Hex<8>,
    /// Negotiated version, as its code point.
    version: u16,
    suite: u16,
    session_id_length: u8,
    session_id_echoed: bool,
    ticket_promised: bool,
    extended_master_secret: bool,
    encrypt_then_mac: bool,
    selected_psk: Option<u16>,
    key_share: bool,
    alpn: Option<String>,
    /// Hash of the hello's make-up.
    shape: Hash,
}

impl From<&ServerHelloFacts> for AnswerFact {
    fn from(answer: &ServerHelloFacts) -> Self {
        Self {
            at: answer.at.into(),
            random: Hex(answer.random),
            version: answer.version.0,
            suite: answer.suite.0,
            session_id_length: answer.session_id_length,
            session_id_echoed: answer.session_id_echoed,
            ticket_promised: answer.ticket_promised,
            extended_master_secret: answer.extended_master_secret,
            encrypt_then_mac: answer.encrypt_then_mac,
            selected_psk: answer.selected_psk,
            key_share: answer.key_share,
            alpn: answer.alpn.as_deref().map(str::to_owned),
            shape: hash(answer.shape),
        }
    }
}

impl AnswerFact {
    pub(super) fn back(&self, base: Base, interner: &mut Interner) -> Result<ServerHelloFacts, Wrong> {
        Ok(ServerHelloFacts {
            at: self.at.back(base)?,
            random: self.random.0,
            version: ProtocolVersion(self.version),
            suite: CipherSuite(self.suite),
            session_id_length: self.session_id_length,
            session_id_echoed: self.session_id_echoed,
            ticket_promised: self.ticket_promised,
            extended_master_secret: self.extended_master_secret,
            encrypt_then_mac: self.encrypt_then_mac,
            selected_psk: self.selected_psk,
            key_share: self.key_share,
            alpn: self.alpn.as_ref().map(|alpn| interner.text(alpn.as_bytes())),
            shape: u64::from_be_bytes(self.shape.0),
        })
    }
}

/// A HelloRetryRequest and the ClientHello before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct RetryFact {
    first_hello: AtFact,
    request: AtFact,
}

impl From<&HelloRetry> for RetryFact {
    fn from(retry: &HelloRetry) -> Self {
        Self {
            first_hello: retry.first_hello.into(),
            request: retry.request.into(),
        }
    }
}

impl RetryFact {
    pub(super) fn back(self, base: Base) -> Result<Box<HelloRetry>, Wrong> {
        Ok(Box::new(HelloRetry {
            first_hello: self.first_hello.back(base)?,
            request: self.request.back(base)?,
        }))
    }
}

/// Form of the handshake, and the frame that shows it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct ShapeFact {
    form: FormFact,
    at: AtFact,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FormFact {
    Full,
    Abbreviated,
}

impl From<&Shape> for ShapeFact {
    fn from(shape: &Shape) -> Self {
        let (form, at) = match shape {
            Shape::Full(at) => (FormFact::Full, at),
            Shape::Abbreviated(at) => (FormFact::Abbreviated, at),
        };
        Self { form, at: (*at).into() }
    }
}

impl ShapeFact {
    pub(super) fn back(self, base: Base) -> Result<Shape, Wrong> {
        let at = self.at.back(base)?;
        Ok(match self.form {
            FormFact::Full => Shape::Full(at),
            FormFact::Abbreviated => Shape::Abbreviated(at),
        })
    }
}

/// The server's end-entity certificate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct CertificateFact {
    /// First bytes of its SHA-256.
    pub(super) sha256: Hex<16>,
    pub(super) frame: FrameFact,
}

/// Tickets of TLS 1.3: read with keys, or concluded from lengths.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TicketsFact {
    /// Read.
    Read {
        /// One was there whose lifetime is not 0.
        usable: bool,
        /// None was missed.
        complete: bool,
    },
    /// So many records look like one.
    Like(u8),
    /// None looks like one.
    None,
    /// Nothing to go by.
    Unclear,
}

impl From<TicketsInferred> for TicketsFact {
    fn from(tickets: TicketsInferred) -> Self {
        match tickets {
            TicketsInferred::Read { usable, complete } => Self::Read { usable, complete },
            TicketsInferred::Like(count) => Self::Like(count),
            TicketsInferred::None => Self::None,
            TicketsInferred::Unclear => Self::Unclear,
        }
    }
}

impl From<TicketsFact> for TicketsInferred {
    fn from(fact: TicketsFact) -> Self {
        match fact {
            TicketsFact::Read { usable, complete } => Self::Read { usable, complete },
            TicketsFact::Like(count) => Self::Like(count),
            TicketsFact::None => Self::None,
            TicketsFact::Unclear => Self::Unclear,
        }
    }
}

/// What became of early data; null where it is not visible.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EarlyFact {
    NotOffered,
    Accepted { at: AtFact, inferred: bool },
    Rejected { at: AtFact, inferred: bool },
}

impl EarlyFact {
    pub(super) fn of(early: EarlyData, hidden: &mut NotVisible) -> Option<Self> {
        Some(match early {
            EarlyData::NotOffered => Self::NotOffered,
            EarlyData::Accepted { at, inferred } => Self::Accepted {
                at: at.into(),
                inferred,
            },
            EarlyData::Rejected { at, inferred } => Self::Rejected {
                at: at.into(),
                inferred,
            },
            EarlyData::Unclear(cause) => {
                hidden.insert("early_data".into(), cause.into());
                return None;
            }
        })
    }

    pub(super) fn back(fact: Option<Self>, hidden: &NotVisible, base: Base) -> Result<EarlyData, Wrong> {
        Ok(match fact {
            Some(Self::NotOffered) => EarlyData::NotOffered,
            Some(Self::Accepted { at, inferred }) => EarlyData::Accepted {
                at: at.back(base)?,
                inferred,
            },
            Some(Self::Rejected { at, inferred }) => EarlyData::Rejected {
                at: at.back(base)?,
                inferred,
            },
            None => EarlyData::Unclear(cause(hidden, "early_data")?),
        })
    }
}

/// Why a member is null that must have a value or a cause.
pub(super) fn cause(hidden: &NotVisible, name: &'static str) -> Result<Blindness, Wrong> {
    hidden
        .get(name)
        .map(|cause: &BlindFact| (*cause).into())
        .ok_or(Wrong(name))
}

/// Which credential: its digest, and its first bytes (all of a session ID; of a ticket the key name, the IV and the
/// length field behind them). The credential itself is not kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct NameFact {
    sha256: Hex<32>,
    length: u32,
    head: String,
    /// What its MAC says of the key that seals it.
    seal: SealFact,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum SealFact {
    /// Under a key of zeros.
    Zero,
    /// Under the bytes of its name, again and again.
    Repeating,
    /// Under bytes that count up from its name.
    Counting,
    /// Under none that was tried.
    Other,
    /// Of no layout whose MAC could be checked.
    NotChecked,
}

impl From<&CredentialFingerprint> for NameFact {
    fn from(name: &CredentialFingerprint) -> Self {
        Self {
            sha256: Hex(name.sha256),
            length: name.length,
            head: hex(name.head()),
            seal: match name.seal {
                TicketMac::Guessable(Guessable::Zero) => SealFact::Zero,
                TicketMac::Guessable(Guessable::Repeating) => SealFact::Repeating,
                TicketMac::Guessable(Guessable::Counting) => SealFact::Counting,
                TicketMac::Other => SealFact::Other,
                TicketMac::NotChecked => SealFact::NotChecked,
            },
        }
    }
}

impl NameFact {
    pub(super) fn back(&self) -> Result<CredentialFingerprint, Wrong> {
        let bytes = unhex(&self.head).ok_or(Wrong("head"))?;
        let expected = usize::try_from(self.length).map_or(CredentialFingerprint::HEAD, |length| {
            length.min(CredentialFingerprint::HEAD)
        });
        if bytes.len() != expected {
            return Err(Wrong("head"));
        }
        let mut head = [0; CredentialFingerprint::HEAD];
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(CredentialFingerprint {
            sha256: self.sha256.0,
            length: self.length,
            head,
            seal: match self.seal {
                SealFact::Zero => TicketMac::Guessable(Guessable::Zero),
                SealFact::Repeating => TicketMac::Guessable(Guessable::Repeating),
                SealFact::Counting => TicketMac::Guessable(Guessable::Counting),
                SealFact::Other => TicketMac::Other,
                SealFact::NotChecked => TicketMac::NotChecked,
            },
        })
    }
}

/// One credential in the ClientHello.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct OfferFact {
    mechanism: MechanismFact,
    /// What it was taken for where it was seen.
    kind: KindFact,
    #[serde(flatten)]
    name: NameFact,
    obfuscated_age: u32,
    binder: u8,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum KindFact {
    Resumption,
    ExternalPsk,
    UnclearPsk,
    UnclearSessionId,
}

impl From<&Offered> for OfferFact {
    fn from(offered: &Offered) -> Self {
        Self {
            mechanism: offered.mechanism().into(),
            kind: match offered.kind {
                OfferKind::Resumption(_) => KindFact::Resumption,
                OfferKind::ExternalPsk => KindFact::ExternalPsk,
                OfferKind::UnclearPsk => KindFact::UnclearPsk,
                OfferKind::UnclearSessionId => KindFact::UnclearSessionId,
            },
            name: (&offered.name).into(),
            obfuscated_age: offered.obfuscated_age,
            binder: offered.binder,
        }
    }
}

impl OfferFact {
    pub(super) fn back(&self) -> Result<Offered, Wrong> {
        Ok(Offered {
            name: self.name.back()?,
            kind: match self.kind {
                KindFact::Resumption => OfferKind::Resumption(self.mechanism.into()),
                KindFact::ExternalPsk => OfferKind::ExternalPsk,
                KindFact::UnclearPsk => OfferKind::UnclearPsk,
                KindFact::UnclearSessionId => OfferKind::UnclearSessionId,
            },
            obfuscated_age: self.obfuscated_age,
            binder: self.binder,
        })
    }
}

/// One credential that the server issued, and the session that it stands for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct IssueFact {
    mechanism: MechanismFact,
    #[serde(flatten)]
    name: NameFact,
    /// Null where an earlier connection of the same facts had issued it.
    at: Option<AtFact>,
    lifetime: Option<u32>,
    psk: Option<TermsFact>,
    server_name: Option<String>,
    version: Option<u16>,
    suite: Option<u16>,
    extended_master_secret: Option<bool>,
    client_certificate: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct TermsFact {
    age_add: u32,
    max_early_data: Option<u32>,
}

impl From<&Issued> for IssueFact {
    fn from(issued: &Issued) -> Self {
        Self {
            mechanism: issued.mechanism.into(),
            name: (&issued.name).into(),
            at: issued.at.map(Into::into),
            lifetime: issued.lifetime,
            psk: issued.psk.map(|terms| TermsFact {
                age_add: terms.age_add,
                max_early_data: terms.max_early_data,
            }),
            server_name: issued.server_name.as_deref().map(str::to_owned),
            version: issued.version.map(|version| version.0),
            suite: issued.suite.map(|suite| suite.0),
            extended_master_secret: issued.extended_master_secret,
            client_certificate: issued.client_certificate,
        }
    }
}

impl IssueFact {
    pub(super) fn back(&self, base: Base, interner: &mut Interner) -> Result<Issued, Wrong> {
        Ok(Issued {
            mechanism: self.mechanism.into(),
            name: self.name.back()?,
            at: at_back(self.at, base)?,
            lifetime: self.lifetime,
            psk: self.psk.map(|terms| PskTerms {
                age_add: terms.age_add,
                max_early_data: terms.max_early_data,
            }),
            server_name: self.server_name.as_ref().map(|name| interner.text(name.as_bytes())),
            version: self.version.map(ProtocolVersion),
            suite: self.suite.map(CipherSuite),
            extended_master_secret: self.extended_master_secret,
            client_certificate: self.client_certificate,
        })
    }
}
