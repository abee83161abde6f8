//! Which algorithms protect the records of a suite, as far as they are opened here.
//!
//! RC4, SEED, IDEA, ARIA, SM4 and the GCM suites of Camellia are not: no crate that is used has them. Nor is SSL 3.0,
//! whose key derivation and MAC are its own.

use tls_parser::{TlsCipherEnc, TlsCipherEncMode, TlsCipherMac, TlsPRF};

use super::schedule::TlsPrf;
use crate::tls::cipher::Protection;
use crate::tls::{CipherSuite, ProtocolVersion};

/// Authenticated encryption with associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AeadKind {
    Aes128Gcm,
    Aes256Gcm,
    Aes128Ccm,
    Aes256Ccm,
    Aes128Ccm8,
    Aes256Ccm8,
    ChaCha20Poly1305,
}

impl AeadKind {
    /// Bytes of its key.
    pub(super) const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 => 16,
            Self::Aes256Gcm | Self::Aes256Ccm | Self::Aes256Ccm8 | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// Bytes of its tag.
    pub(super) const fn tag_length(self) -> usize {
        match self {
            Self::Aes128Ccm8 | Self::Aes256Ccm8 => 8,
            _ => 16,
        }
    }
}

/// A block cipher, in CBC mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    Aes128,
    Aes256,
    TripleDes,
    Camellia128,
    Camellia256,
}

impl BlockKind {
    pub(super) const fn key_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Camellia128 => 16,
            Self::TripleDes => 24,
            Self::Aes256 | Self::Camellia256 => 32,
        }
    }

    /// Bytes of a block.
    pub(super) const fn block_length(self) -> usize {
        match self {
            Self::TripleDes => 8,
            _ => 16,
        }
    }
}

/// HMAC with this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacKind {
    Md5,
    Sha1,
    Sha256,
    Sha384,
}

impl MacKind {
    /// Bytes of the MAC, and of its key.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// How a record is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Aead(AeadKind),
    /// A block cipher and a MAC; `None` for the suites that only authenticate.
    Mac(Option<BlockKind>, MacKind),
}

/// The algorithm of a suite; `None` when it is not one of those above.
pub(super) fn algorithm(suite: CipherSuite) -> Option<Algorithm> {
    use AeadKind::{Aes128Ccm, Aes128Ccm8, Aes128Gcm, Aes256Ccm, Aes256Ccm8, Aes256Gcm, ChaCha20Poly1305};
    // RFC 8446 B.4.
    let tls13 = match suite.0 {
        0x1301 => Some(Aes128Gcm),
        0x1302 => Some(Aes256Gcm),
        0x1303 => Some(ChaCha20Poly1305),
        0x1304 => Some(Aes128Ccm),
        0x1305 => Some(Aes128Ccm8),
        _ => None,
    };
    if let Some(kind) = tls13 {
        return Some(Algorithm::Aead(kind));
    }
    let suite = suite.registered()?;
    let mac = match suite.mac {
        TlsCipherMac::HmacMd5 => Some(MacKind::Md5),
        TlsCipherMac::HmacSha1 => Some(MacKind::Sha1),
        TlsCipherMac::HmacSha256 => Some(MacKind::Sha256),
        TlsCipherMac::HmacSha384 => Some(MacKind::Sha384),
        TlsCipherMac::Null | TlsCipherMac::HmacSha512 | TlsCipherMac::Aead => None,
    };
    let short_tag = suite.name.ends_with("CCM_8");
    let aead = match (&suite.enc, &suite.enc_mode, suite.enc_size) {
        (TlsCipherEnc::Chacha20_Poly1305, ..) => Some(ChaCha20Poly1305),
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, 128) => Some(Aes128Gcm),
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, 256) => Some(Aes256Gcm),
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, 128) => Some(if short_tag { Aes128Ccm8 } else { Aes128Ccm }),
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, 256) => Some(if short_tag { Aes256Ccm8 } else { Aes256Ccm }),
        _ => None,
    };
    let block = match (&suite.enc, &suite.enc_mode, suite.enc_size) {
        (TlsCipherEnc::Aes, TlsCipherEncMode::Cbc, 128) => Some(BlockKind::Aes128),
        (TlsCipherEnc::Aes, TlsCipherEncMode::Cbc, 256) => Some(BlockKind::Aes256),
        (TlsCipherEnc::TripleDes, TlsCipherEncMode::Cbc, _) => Some(BlockKind::TripleDes),
        (TlsCipherEnc::Camellia, TlsCipherEncMode::Cbc, 128) => Some(BlockKind::Camellia128),
        (TlsCipherEnc::Camellia, TlsCipherEncMode::Cbc, 256) => Some(BlockKind::Camellia256),
        _ => None,
    };
    match (aead, block, mac) {
        (Some(aead), ..) => Some(Algorithm::Aead(aead)),
        (None, Some(block), Some(mac)) => Some(Algorithm::Mac(Some(block), mac)),
        (None, None, Some(mac)) if suite.enc == TlsCipherEnc::Null => Some(Algorithm::Mac(None, mac)),
        _ => None,
    }
}

/// The PRF of TLS 1.2 and older; `None` for versions without one that is known here.
pub(super) fn prf(protection: Protection) -> Option<TlsPrf> {
    match protection.version {
        ProtocolVersion::TLS_1_0 | ProtocolVersion::TLS_1_1 | ProtocolVersion::DTLS_1_0 => Some(TlsPrf::Md5Sha1),
        ProtocolVersion::TLS_1_2 | ProtocolVersion::DTLS_1_2 => match protection.suite.registered()?.prf {
            TlsPRF::Sha384 => Some(TlsPrf::Sha384),
            // SHA-256 unless the suite names another (RFC 5246 §5).
            TlsPRF::Default | TlsPRF::Sha256 => Some(TlsPrf::Sha256),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_those_of_the_registry() {
        for (suite, expected) in [
            (0x1301, Some(Algorithm::Aead(AeadKind::Aes128Gcm))),
            (0x1305, Some(Algorithm::Aead(AeadKind::Aes128Ccm8))),
            (0xc030, Some(Algorithm::Aead(AeadKind::Aes256Gcm))),
            (0xcca8, Some(Algorithm::Aead(AeadKind::ChaCha20Poly1305))),
            (0xc09d, Some(Algorithm::Aead(AeadKind::Aes256Ccm))),
            (0xc0a0, Some(Algorithm::Aead(AeadKind::Aes128Ccm8))),
            (0x002f, Some(Algorithm::Mac(Some(BlockKind::Aes128), MacKind::Sha1))),
            (0xc028, Some(Algorithm::Mac(Some(BlockKind::Aes256), MacKind::Sha384))),
            (0x000a, Some(Algorithm::Mac(Some(BlockKind::TripleDes), MacKind::Sha1))),
            (
                0x0084,
                Some(Algorithm::Mac(Some(BlockKind::Camellia256), MacKind::Sha1)),
            ),
            (
                0x00ba,
                Some(Algorithm::Mac(Some(BlockKind::Camellia128), MacKind::Sha256)),
            ),
            (0x003b, Some(Algorithm::Mac(None, MacKind::Sha256))),
            (0x0005, None), // RC4-SHA
            (0xc07a, None), // CAMELLIA-128-GCM
            (0x0000, None), // NULL-NULL
            (0xfafa, None),
        ] {
            assert_eq!(algorithm(CipherSuite(suite)), expected, "{suite:#06x}");
        }
    }

    #[test]
    fn the_prf_follows_version_and_suite() {
        let of = |version, suite| {
            prf(Protection {
                version,
                suite: CipherSuite(suite),
                encrypt_then_mac: false,
            })
        };
        assert_eq!(of(ProtocolVersion::TLS_1_0, 0x002f), Some(TlsPrf::Md5Sha1));
        assert_eq!(of(ProtocolVersion::TLS_1_2, 0x002f), Some(TlsPrf::Sha256));
        assert_eq!(of(ProtocolVersion::TLS_1_2, 0xc030), Some(TlsPrf::Sha384));
        assert_eq!(of(ProtocolVersion::SSL_3_0, 0x002f), None);
    }
}
