//! Code points as newtypes: unknown and GREASE (RFC 8701) values survive, compare and print as hex.

use std::fmt;

use tls_parser::TlsCipherSuite;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

macro_rules! code_points {
    ($(#[$doc:meta])* $name:ident($inner:ty) { $($constant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
        pub struct $name(pub $inner);

        #[allow(missing_docs)] // the constants carry the IANA name as their text
        impl $name {
            $(pub const $constant: Self = Self($value);)*

            /// The registered name, where the value is one that is known here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($text),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{:#x}", self.0),
                }
            }
        }
    };
}

code_points! {
    /// Record content type (RFC 8446 §5.1).
    ContentType(u8) {
        CHANGE_CIPHER_SPEC = 20, "change_cipher_spec";
        ALERT = 21, "alert";
        HANDSHAKE = 22, "handshake";
        APPLICATION_DATA = 23, "application_data";
        HEARTBEAT = 24, "heartbeat";
        TLS12_CID = 25, "tls12_cid";
        ACK = 26, "ACK";
    }
}

code_points! {
    /// Handshake message type (RFC 8446 §4, RFC 5246 §7.4).
    HandshakeType(u8) {
        HELLO_REQUEST = 0, "hello_request";
        CLIENT_HELLO = 1, "client_hello";
        SERVER_HELLO = 2, "server_hello";
        HELLO_VERIFY_REQUEST = 3, "hello_verify_request";
        NEW_SESSION_TICKET = 4, "new_session_ticket";
        END_OF_EARLY_DATA = 5, "end_of_early_data";
        HELLO_RETRY_REQUEST = 6, "hello_retry_request";
        ENCRYPTED_EXTENSIONS = 8, "encrypted_extensions";
        CERTIFICATE = 11, "certificate";
        SERVER_KEY_EXCHANGE = 12, "server_key_exchange";
        CERTIFICATE_REQUEST = 13, "certificate_request";
        SERVER_HELLO_DONE = 14, "server_hello_done";
        CERTIFICATE_VERIFY = 15, "certificate_verify";
        CLIENT_KEY_EXCHANGE = 16, "client_key_exchange";
        FINISHED = 20, "finished";
        CERTIFICATE_URL = 21, "certificate_url";
        CERTIFICATE_STATUS = 22, "certificate_status";
        SUPPLEMENTAL_DATA = 23, "supplemental_data";
        KEY_UPDATE = 24, "key_update";
        COMPRESSED_CERTIFICATE = 25, "compressed_certificate";
        NEXT_PROTOCOL = 67, "next_protocol";
    }
}

code_points! {
    /// Protocol version (RFC 8446 §4.2.1 and its predecessors).
    ProtocolVersion(u16) {
        SSL_3_0 = 0x0300, "SSL 3.0";
        TLS_1_0 = 0x0301, "TLS 1.0";
        TLS_1_1 = 0x0302, "TLS 1.1";
        TLS_1_2 = 0x0303, "TLS 1.2";
        TLS_1_3 = 0x0304, "TLS 1.3";
        DTLS_1_0 = 0xfeff, "DTLS 1.0";
        DTLS_1_2 = 0xfefd, "DTLS 1.2";
        DTLS_1_3 = 0xfefc, "DTLS 1.3";
    }
}

impl ProtocolVersion {
    /// Whether the TLS 1.3 handshake applies: TLS 1.3, its drafts (`0x7fXX`), and whatever else supported_versions can
    /// choose (RFC 8446 §4.2.1), known or not: experiments of browsers (`0x7eXX`, `0xfb1a`) and versions to come. Numbers
    /// of DTLS count downwards, and only DTLS 1.3 (`0xfefc`) has that handshake.
    #[must_use]
    pub const fn is_tls13(self) -> bool {
        match self.0 >> 8 {
            0xfe => self.0 == Self::DTLS_1_3.0,
            _ => self.0 >= Self::TLS_1_3.0 && !is_grease(self.0),
        }
    }

    /// Whether it is a draft of TLS 1.3 up to the 21st. These have a ServerHello without session ID and compression
    /// method, and a HelloRetryRequest that is a message of its own.
    #[must_use]
    pub const fn is_early_draft(self) -> bool {
        self.0 >= 0x7f00 && self.0 <= 0x7f00 + 21
    }

    /// Whether this is DTLS, whose numbers count downwards.
    #[must_use]
    pub const fn is_dtls(self) -> bool {
        self.0 >> 8 == 0xfe
    }

    /// The version of TLS that it is built on, as a number that is higher for a later one: those of DTLS count downwards.
    #[must_use]
    pub const fn rank(self) -> u16 {
        match self {
            Self::DTLS_1_0 => Self::TLS_1_1.0,
            Self::DTLS_1_2 => Self::TLS_1_2.0,
            Self::DTLS_1_3 => Self::TLS_1_3.0,
            Self(other) => other,
        }
    }

    /// Whether an unclean close makes the session unresumable by the letter (SSL 3.0, RFC 2246 §7.2.1). DTLS 1.0 is built
    /// on TLS 1.1, which took that rule back (RFC 4346 §7.2.1).
    #[must_use]
    pub const fn is_tls10_or_older(self) -> bool {
        self.0 <= Self::TLS_1_0.0
    }
}

code_points! {
    /// Extension type (IANA TLS ExtensionType registry).
    ExtensionType(u16) {
        SERVER_NAME = 0, "server_name";
        SUPPORTED_GROUPS = 10, "supported_groups";
        ALPN = 16, "application_layer_protocol_negotiation";
        SIGNED_CERTIFICATE_TIMESTAMP = 18, "signed_certificate_timestamp";
        PADDING = 21, "padding";
        ENCRYPT_THEN_MAC = 22, "encrypt_then_mac";
        EXTENDED_MASTER_SECRET = 23, "extended_master_secret";
        SESSION_TICKET = 35, "session_ticket";
        PRE_SHARED_KEY = 41, "pre_shared_key";
        EARLY_DATA = 42, "early_data";
        SUPPORTED_VERSIONS = 43, "supported_versions";
        COOKIE = 44, "cookie";
        CONNECTION_ID = 54, "connection_id";
        PSK_KEY_EXCHANGE_MODES = 45, "psk_key_exchange_modes";
        KEY_SHARE_OF_DRAFTS = 40, "key_share (drafts)";
        KEY_SHARE = 51, "key_share";
        ENCRYPTED_CLIENT_HELLO = 0xfe0d, "encrypted_client_hello";
        RENEGOTIATION_INFO = 0xff01, "renegotiation_info";
    }
}

code_points! {
    /// Alert description (RFC 8446 §6).
    AlertDescription(u8) {
        CLOSE_NOTIFY = 0, "close_notify";
        UNEXPECTED_MESSAGE = 10, "unexpected_message";
        BAD_RECORD_MAC = 20, "bad_record_mac";
        RECORD_OVERFLOW = 22, "record_overflow";
        HANDSHAKE_FAILURE = 40, "handshake_failure";
        BAD_CERTIFICATE = 42, "bad_certificate";
        UNSUPPORTED_CERTIFICATE = 43, "unsupported_certificate";
        CERTIFICATE_REVOKED = 44, "certificate_revoked";
        CERTIFICATE_EXPIRED = 45, "certificate_expired";
        CERTIFICATE_UNKNOWN = 46, "certificate_unknown";
        ILLEGAL_PARAMETER = 47, "illegal_parameter";
        UNKNOWN_CA = 48, "unknown_ca";
        ACCESS_DENIED = 49, "access_denied";
        DECODE_ERROR = 50, "decode_error";
        DECRYPT_ERROR = 51, "decrypt_error";
        PROTOCOL_VERSION = 70, "protocol_version";
        INSUFFICIENT_SECURITY = 71, "insufficient_security";
        INTERNAL_ERROR = 80, "internal_error";
        INAPPROPRIATE_FALLBACK = 86, "inappropriate_fallback";
        USER_CANCELED = 90, "user_canceled";
        NO_RENEGOTIATION = 100, "no_renegotiation";
        MISSING_EXTENSION = 109, "missing_extension";
        UNSUPPORTED_EXTENSION = 110, "unsupported_extension";
        UNRECOGNIZED_NAME = 112, "unrecognized_name";
        UNKNOWN_PSK_IDENTITY = 115, "unknown_psk_identity";
        CERTIFICATE_REQUIRED = 116, "certificate_required";
        NO_APPLICATION_PROTOCOL = 120, "no_application_protocol";
        ECH_REQUIRED = 121, "ech_required";
    }
}

/// Cipher suite code point (IANA TLS Cipher Suites registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// What the registry says of the suite; `None` for values it did not hold when this was built.
    #[must_use]
    pub fn registered(self) -> Option<&'static TlsCipherSuite> {
        TlsCipherSuite::from_id(self.0)
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.registered() {
            Some(suite) => f.write_str(suite.name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// Whether `value` is one of the sixteen reserved GREASE values (RFC 8701 §2).
#[must_use]
pub const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_code_points_print_as_hex() {
        assert_eq!(ProtocolVersion(0x0a0a).to_string(), "0xa0a");
        assert_eq!(CipherSuite(0xfafa).to_string(), "0xfafa");
        assert_eq!(ProtocolVersion::TLS_1_2.to_string(), "TLS 1.2");
    }

    #[test]
    fn grease_needs_two_equal_bytes() {
        assert!(is_grease(0x1a1a));
        assert!(!is_grease(0x1a2a), "a real extension could have this value");
    }

    #[test]
    fn dtls_ranks_as_the_tls_that_it_is_built_on() {
        let ranks = [0xfeff, 0xfefd, 0xfefc].map(|version| ProtocolVersion(version).rank());
        assert_eq!(ranks, [0x0302, 0x0303, 0x0304]);
        assert!(ProtocolVersion::DTLS_1_3.is_tls13() && !ProtocolVersion::DTLS_1_2.is_tls13());
        assert!(!ProtocolVersion::DTLS_1_0.is_tls10_or_older());
    }

    #[test]
    fn drafts_of_tls13_count_as_tls13() {
        assert!(ProtocolVersion(0x7f1c).is_tls13());
        assert!(!ProtocolVersion::TLS_1_2.is_tls13());
    }

    #[test]
    fn versions_that_only_supported_versions_can_choose_follow_tls13() {
        for version in [0x7e01, 0x7e02, 0xfb1a, 0x0305, 0xfefc] {
            assert!(ProtocolVersion(version).is_tls13(), "{version:#06x}");
        }
        for version in [0x0002, 0x0300, 0x0303, 0xfefd, 0xfeff, 0x0a0a, 0xfafa] {
            assert!(!ProtocolVersion(version).is_tls13(), "{version:#06x}");
        }
        assert!(ProtocolVersion(0x7f15).is_early_draft() && !ProtocolVersion(0x7f16).is_early_draft());
    }
}
