//! What the tests of this module share: hex, and records sealed with the same crates that open them. Whether those and
//! the key schedules are right is for RFC 8448 and the captures of real software to say.

use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};

use super::suite::AeadKind;

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|digit| u8::try_from(char::from(digit).to_digit(16).expect("a digit")).expect("small"))
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(super) fn seal(kind: AeadKind, key: &[u8], nonce: &[u8; 12], data: &[u8], text: &[u8]) -> Vec<u8> {
    fn with<A: AeadInOut + KeyInit>(key: &[u8], nonce: &[u8; 12], data: &[u8], text: &[u8]) -> Vec<u8> {
        let cipher = A::new_from_slice(key).expect("a key");
        let mut sealed = text.to_vec();
        let nonce = nonce.as_slice().try_into().expect("a nonce");
        let tag = cipher
            .encrypt_inout_detached(nonce, data, sealed.as_mut_slice().into())
            .expect("sealed");
        sealed.extend(tag.iter());
        sealed
    }
    let key = &key[..kind.key_length()];
    let seal = match kind {
        AeadKind::Aes128Gcm => with::<aes_gcm::Aes128Gcm>,
        AeadKind::Aes256Gcm => with::<aes_gcm::Aes256Gcm>,
        AeadKind::Aes128Ccm => with::<ccm::Ccm<aes::Aes128, U16, U12>>,
        AeadKind::Aes256Ccm => with::<ccm::Ccm<aes::Aes256, U16, U12>>,
        AeadKind::Aes128Ccm8 => with::<ccm::Ccm<aes::Aes128, U8, U12>>,
        AeadKind::Aes256Ccm8 => with::<ccm::Ccm<aes::Aes256, U8, U12>>,
        AeadKind::ChaCha20Poly1305 => with::<chacha20poly1305::ChaCha20Poly1305>,
    };
    seal(key, nonce, data, text)
}
