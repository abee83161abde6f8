//! How long a protected record of known content must be: what lets a passive observer recognise an alert.

use tls_parser::{TlsCipherAu, TlsCipherEnc, TlsCipherEncMode, TlsCipherKx, TlsCipherMac, TlsPRF};

use super::names::{CipherSuite, ProtocolVersion};

/// How records of one connection are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Negotiated version.
    pub version: ProtocolVersion,
    /// Negotiated suite.
    pub suite: CipherSuite,
    /// encrypt_then_mac was negotiated (RFC 7366).
    pub encrypt_then_mac: bool,
}

/// The hash of a suite's key schedule (RFC 8446 §4.2.11): a PSK works only with the hash it was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KdfHash {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
}

impl KdfHash {
    /// Length of the hash, a binder and a Finished body in bytes.
    #[must_use]
    pub const fn length(self) -> u16 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The hash whose binder has this length.
    #[must_use]
    pub const fn of_binder(length: u8) -> Option<Self> {
        match length {
            32 => Some(Self::Sha256),
            48 => Some(Self::Sha384),
            _ => None,
        }
    }
}

/// What a server computes with the private key of its certificate in a full handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateOperation {
    /// A signature by an RSA key.
    RsaSignature,
    /// A signature by a key on an elliptic curve: ECDSA, or EdDSA, which has the same suites (RFC 8422 §2.2).
    EcSignature,
    /// A signature by a DSA key.
    DsaSignature,
    /// Decryption of the premaster secret (RFC 5246 §7.4.7.1).
    RsaDecryption,
    /// Key agreement with the key of the certificate (static DH or ECDH).
    KeyAgreement,
    /// A signature of TLS 1.3, whose suites do not say by which key.
    Signature,
}

impl CertificateOperation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RsaSignature,
        Self::EcSignature,
        Self::DsaSignature,
        Self::RsaDecryption,
        Self::KeyAgreement,
        Self::Signature,
    ];

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::RsaSignature => "rsa-signature",
            Self::EcSignature => "ec-signature",
            Self::DsaSignature => "dsa-signature",
            Self::RsaDecryption => "rsa-decryption",
            Self::KeyAgreement => "key-agreement",
            Self::Signature => "signature",
        }
    }
}

impl CipherSuite {
    /// What a full handshake with this suite costs the server's private key; `None` where it has no certificate, or
    /// where the registry does not know the suite.
    #[must_use]
    pub fn certificate_operation(self) -> Option<CertificateOperation> {
        let suite = self.registered()?;
        match (suite.kx, suite.au) {
            (TlsCipherKx::Tls13, _) => Some(CertificateOperation::Signature),
            // With RSA_PSK the premaster secret is encrypted, too (RFC 4279 §4).
            (TlsCipherKx::Rsa, _) => Some(CertificateOperation::RsaDecryption),
            (TlsCipherKx::Dh | TlsCipherKx::Ecdh, TlsCipherAu::Rsa | TlsCipherAu::Dss | TlsCipherAu::Ecdsa) => {
                Some(CertificateOperation::KeyAgreement)
            }
            (_, TlsCipherAu::Rsa | TlsCipherAu::Srp_Rsa) => Some(CertificateOperation::RsaSignature),
            (_, TlsCipherAu::Ecdsa) => Some(CertificateOperation::EcSignature),
            (_, TlsCipherAu::Dss | TlsCipherAu::Srp_Dss) => Some(CertificateOperation::DsaSignature),
            _ => None,
        }
    }

    /// Whether the suite itself says that a key agreed beforehand authenticates the handshake (RFC 4279, RFC 5489).
    #[must_use]
    pub fn has_external_psk(self) -> bool {
        let registered = self.registered();
        registered.is_some_and(|suite| suite.kx == TlsCipherKx::Psk || suite.au == TlsCipherAu::Psk)
    }

    /// The hash of the key schedule in TLS 1.3; `None` where the registry does not tell.
    #[must_use]
    pub fn kdf_hash(self) -> Option<KdfHash> {
        match self.0 {
            // The TLS 1.3 suites (RFC 8446 B.4) are asked for at every record: no look-up for them.
            0x1302 => Some(KdfHash::Sha384),
            0x1301 | 0x1303..=0x1305 => Some(KdfHash::Sha256),
            _ => match self.registered()?.prf {
                TlsPRF::Sha384 => Some(KdfHash::Sha384),
                TlsPRF::Sha256 => Some(KdfHash::Sha256),
                _ => None,
            },
        }
    }

    /// Bytes of the authentication tag in TLS 1.3 (RFC 8446 §5.2; 8 for the CCM_8 suite).
    #[must_use]
    pub const fn tls13_tag(self) -> u16 {
        if self.0 == 0x1305 { 8 } else { 16 }
    }
}

impl Protection {
    /// Whether a protected record of `length` bytes can hold exactly `content` bytes of plaintext and no padding that
    /// is not required. CBC senders may pad further by whole blocks up to 255 bytes (RFC 5246 §6.2.3.2); such records
    /// pass too. `None` when the suite's make-up is not known.
    ///
    /// For TLS 1.3 `content` does not include the inner content type.
    #[must_use]
    pub fn fits(&self, length: u16, content: u16) -> Option<bool> {
        if self.version.is_tls13() {
            return Some(length == content + 1 + self.suite.tls13_tag());
        }
        let suite = self.suite.registered()?;
        let mac = mac_length(suite.mac);
        let explicit_iv = self.version > ProtocolVersion::TLS_1_0;
        match (&suite.enc_mode, &suite.enc) {
            (_, TlsCipherEnc::Null | TlsCipherEnc::Rc4) => Some(length == content + mac),
            (_, TlsCipherEnc::Chacha20_Poly1305) => Some(length == content + 16),
            (TlsCipherEncMode::Gcm, _) => Some(length == 8 + content + 16),
            (TlsCipherEncMode::Ccm, _) => {
                Some(length == 8 + content + if suite.name.ends_with("CCM_8") { 8 } else { 16 })
            }
            (TlsCipherEncMode::Cbc, enc) => {
                let block = block_length(*enc)?;
                let iv = if explicit_iv { block } else { 0 };
                let (sealed, outside) = if self.encrypt_then_mac {
                    (content, mac)
                } else {
                    (content + mac, 0)
                };
                let least = iv + (sealed + 1).div_ceil(block) * block + outside;
                Some(length >= least && (length - least).is_multiple_of(block) && length - least <= 256 - block)
            }
            _ => None,
        }
    }
}

const fn mac_length(mac: TlsCipherMac) -> u16 {
    match mac {
        TlsCipherMac::Null | TlsCipherMac::Aead => 0,
        TlsCipherMac::HmacMd5 => 16,
        TlsCipherMac::HmacSha1 => 20,
        TlsCipherMac::HmacSha256 => 32,
        TlsCipherMac::HmacSha384 => 48,
        TlsCipherMac::HmacSha512 => 64,
    }
}

const fn block_length(enc: TlsCipherEnc) -> Option<u16> {
    match enc {
        TlsCipherEnc::TripleDes | TlsCipherEnc::Des | TlsCipherEnc::Rc2 | TlsCipherEnc::Idea => Some(8),
        TlsCipherEnc::Aes | TlsCipherEnc::Camellia | TlsCipherEnc::Seed | TlsCipherEnc::Aria | TlsCipherEnc::Sm4 => {
            Some(16)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_says_what_the_certificate_is_used_for() {
        use CertificateOperation as Operation;
        for (suite, operation) in [
            (0xc02f, Some(Operation::RsaSignature)),
            (0xc02b, Some(Operation::EcSignature)),
            (0x0032, Some(Operation::DsaSignature)),
            (0x002f, Some(Operation::RsaDecryption)),
            (0xc004, Some(Operation::KeyAgreement)),
            (0x1301, Some(Operation::Signature)),
            // PSK, anonymous, unknown.
            (0x008c, None),
            (0xc018, None),
            (0x0034, None),
            (0xfafa, None),
        ] {
            assert_eq!(CipherSuite(suite).certificate_operation(), operation, "{suite:04x}");
        }
    }

    #[test]
    fn a_suite_has_an_external_psk_where_its_name_says_so() {
        for suite in (0..=u16::MAX).map(CipherSuite) {
            let words = suite.registered().map(|suite| suite.name.split('_').take(4));
            let named = words.is_some_and(|mut words| words.any(|word| word == "PSK"));
            assert_eq!(suite.has_external_psk(), named, "{suite}");
        }
    }

    fn alert_fits(version: ProtocolVersion, suite: u16, encrypt_then_mac: bool, length: u16) -> Option<bool> {
        Protection {
            version,
            suite: CipherSuite(suite),
            encrypt_then_mac,
        }
        .fits(length, 2)
    }

    #[test]
    fn alert_lengths_are_those_measured_with_real_stacks() {
        let (v10, v12, v13) = (
            ProtocolVersion::TLS_1_0,
            ProtocolVersion::TLS_1_2,
            ProtocolVersion::TLS_1_3,
        );
        for (version, suite, etm, length) in [
            (v12, 0xc02f, false, 26), // ECDHE-RSA-AES128-GCM-SHA256
            (v12, 0xcca8, false, 18), // ECDHE-RSA-CHACHA20-POLY1305
            (v12, 0x002f, true, 52),  // AES128-SHA, encrypt-then-MAC
            (v12, 0x002f, false, 48),
            (v10, 0x002f, false, 32),
            (v10, 0x002f, true, 36),
            (v12, 0x003c, true, 64), // AES128-SHA256: alike with and without encrypt-then-MAC
            (v12, 0x003c, false, 64),
            (v12, 0xc028, false, 80), // AES256-CBC-SHA384
            (v12, 0xc09c, false, 26), // AES128-CCM
            (v12, 0xc0a0, false, 18), // AES128-CCM_8
            (v12, 0x000a, false, 32), // 3DES
            (v10, 0x000a, false, 24),
            (v12, 0x0005, false, 22), // RC4-SHA
            (v12, 0x003b, false, 34), // NULL-SHA256
            (v13, 0x1301, false, 19),
            (v13, 0x1305, false, 11),
        ] {
            assert_eq!(
                alert_fits(version, suite, etm, length),
                Some(true),
                "{suite:#06x} {version} etm={etm} {length}"
            );
            assert_eq!(
                alert_fits(version, suite, etm, length + 1),
                Some(false),
                "{suite:#06x} {version} one more"
            );
        }
    }

    #[test]
    fn unknown_suites_say_nothing() {
        assert_eq!(alert_fits(ProtocolVersion::TLS_1_2, 0xfafa, false, 26), None);
    }

    #[test]
    fn only_the_sha384_suite_has_a_48_byte_schedule() {
        assert_eq!(CipherSuite(0x1302).kdf_hash(), Some(KdfHash::Sha384));
        assert_eq!(CipherSuite(0x1301).kdf_hash(), Some(KdfHash::Sha256));
        assert_eq!(CipherSuite(0x1303).kdf_hash(), Some(KdfHash::Sha256));
    }
}
