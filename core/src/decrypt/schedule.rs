//! From secrets to keys: HKDF-Expand-Label (RFC 8446 §7.1) and the PRFs of TLS 1.0 to 1.2 (RFC 2246 §5, RFC 5246 §5).

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use zeroize::Zeroize;

use super::secret::Secret;
use crate::tls::cipher::KdfHash;

/// The PRF of a version and suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsPrf {
    /// MD5 and SHA-1 together: TLS 1.0 and 1.1.
    Md5Sha1,
    /// TLS 1.2 with most suites.
    Sha256,
    /// TLS 1.2 with suites of SHA-384.
    Sha384,
}

/// What stands in front of every label: of TLS and QUIC, and of DTLS (RFC 9147 §5.9), without a space.
pub(super) const TLS: [u8; 6] = *b"tls13 ";
pub(super) const DTLS: [u8; 6] = *b"dtls13";

/// HKDF-Expand-Label with an empty context, for each label and the bytes to fill: at most one hash long.
pub(super) fn expand_labels<const N: usize>(hash: KdfHash, secret: &Secret, wanted: [(&str, &mut [u8]); N]) {
    expand_labels_of(TLS, hash, secret, wanted);
}

/// The same with another prefix.
pub(super) fn expand_labels_of<const N: usize>(
    prefix: [u8; 6],
    hash: KdfHash,
    secret: &Secret,
    wanted: [(&str, &mut [u8]); N],
) {
    match hash {
        KdfHash::Sha256 => expand::<Hmac<Sha256>, N>(prefix, secret, wanted),
        KdfHash::Sha384 => expand::<Hmac<Sha384>, N>(prefix, secret, wanted),
    }
}

fn expand<M: Mac + KeyInit + Clone, const N: usize>(prefix: [u8; 6], secret: &Secret, wanted: [(&str, &mut [u8]); N]) {
    let Ok(keyed) = M::new_from_slice(secret.bytes()) else {
        return; // HMAC takes keys of any length
    };
    for (label, out) in wanted {
        // struct { uint16 length; opaque label<7..255> = "tls13 " + Label; opaque context<0..255>; } HkdfLabel, then
        // the counter of HKDF-Expand's first and only block (RFC 5869 §2.3).
        let [high, low] = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut mac = keyed.clone();
        mac.update(&[high, low, u8::try_from(6 + label.len()).unwrap_or(u8::MAX)]);
        mac.update(&prefix);
        mac.update(label.as_bytes());
        mac.update(&[0, 1]);
        let mut block = mac.finalize().into_bytes();
        out.iter_mut().zip(&block).for_each(|(to, from)| *to = *from);
        block.zeroize();
    }
}

/// PRF(secret, label, seed): fills `out`.
pub(super) fn prf(kind: TlsPrf, secret: &[u8], label: &str, seed: [&[u8]; 2], out: &mut [u8]) {
    let [one, two] = seed;
    let seed = [label.as_bytes(), one, two];
    match kind {
        TlsPrf::Sha256 => p_hash::<Hmac<Sha256>>(secret, seed, out),
        TlsPrf::Sha384 => p_hash::<Hmac<Sha384>>(secret, seed, out),
        TlsPrf::Md5Sha1 => {
            // Halves of the secret, sharing the middle byte where it is odd (RFC 2246 §5).
            let half = secret.len().div_ceil(2);
            let (front, back) = (
                secret.get(..half).unwrap_or_default(),
                secret.get(secret.len() - half..).unwrap_or_default(),
            );
            p_hash::<Hmac<Md5>>(front, seed, out);
            let mut other = vec![0; out.len()];
            p_hash::<Hmac<Sha1>>(back, seed, &mut other);
            out.iter_mut().zip(&other).for_each(|(to, from)| *to ^= from);
            other.zeroize();
        }
    }
}

/// P_hash (RFC 5246 §5): A(0) = seed, A(i) = HMAC(A(i-1)), output HMAC(A(i) + seed).
fn p_hash<M: Mac + KeyInit + Clone>(secret: &[u8], seed: [&[u8]; 3], out: &mut [u8]) {
    let Ok(keyed) = M::new_from_slice(secret) else {
        return; // HMAC takes keys of any length
    };
    let mac = |parts: &[&[u8]]| {
        let mut mac = keyed.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes()
    };
    let [label, one, two] = seed;
    let mut a = mac(&[label, one, two]);
    let size = a.len();
    for (number, chunk) in out.chunks_mut(size).enumerate() {
        if number > 0 {
            a = mac(&[&a]);
        }
        let mut block = mac(&[&a, label, one, two]);
        chunk.iter_mut().zip(&block).for_each(|(to, from)| *to = *from);
        block.zeroize();
    }
    a.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::testing::bytes;

    /// The secret and seed that the TLS working group published with the PRF of TLS 1.2, and what an independent
    /// implementation makes of them.
    fn check(kind: TlsPrf, secret_length: usize, front: &str) {
        let secret = bytes("9bbe436ba940f017b17652849a71db35");
        let seed = bytes("a0ba9f936cda311827a6f796ffd5198c");
        let expected = bytes(front);
        let mut out = vec![0; expected.len()];
        prf(
            kind,
            &secret[..secret_length],
            "test label",
            [&seed[..5], &seed[5..]],
            &mut out,
        );
        assert_eq!(out, expected);
    }

    #[test]
    fn each_prf_gives_the_known_output() {
        check(
            TlsPrf::Sha256,
            16,
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa0",
        );
        check(
            TlsPrf::Sha384,
            16,
            "dd88775cd827187b67a3f7652b5c13f715791cc46e0274a6d3fb16651103defc544cd8afb68369a219bb918b8b21ddb1764af0",
        );
        check(
            TlsPrf::Md5Sha1,
            16,
            "661740e6f98bc901efd2738502a71c03f76dd2f86298549b1148eff06714cf0f6b7c532cd8c69f1530e0bb680eec34c495fa",
        );
    }

    #[test]
    fn halves_of_an_odd_secret_share_its_middle_byte() {
        check(TlsPrf::Md5Sha1, 15, "9cdd9053742667b628ac7c1c747825e1fcb0f2b9");
    }
}
