//! The samples of RFC 9001 Appendix A and RFC 9369 Appendix A.

use super::super::testing::bytes;
use super::*;

/// The connection ID of all samples.
const ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// RFC 9001 A.2: the CRYPTO frame of the client's Initial, before padding.
const CLIENT_HELLO: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";

/// RFC 9001 A.3: the server's Initial as sent.
const SERVER_INITIAL: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee";
/// What it holds.
const SERVER_FRAMES: &str = "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304";

fn open(key: &PacketKey, packet: &str, number_at: usize) -> Option<(u64, Vec<u8>)> {
    let packet = bytes(packet);
    let mut scratch = Scratch::default();
    let packet = ProtectedPacket {
        bytes: &packet,
        number_at,
        largest: None,
    };
    let number = key.open(&packet, &mut scratch)?;
    Some((number, scratch.frames().to_vec()))
}

fn client(version: u32) -> PacketKey {
    PacketKey::initial(version, &ID, Speaker::Client).expect("keys")
}

fn server(version: u32) -> PacketKey {
    PacketKey::initial(version, &ID, Speaker::Server).expect("keys")
}

#[test]
fn initial_keys_are_those_of_rfc_9001_a_1() {
    assert_eq!(client(1).iv.to_vec(), bytes("fa044b2f42a3fd3b46fb255c"));
    assert_eq!(server(1).iv.to_vec(), bytes("0ac1493ca1905853b0bba03e"));
}

#[test]
fn initial_keys_of_version_2_are_those_of_rfc_9369_a_1() {
    assert_eq!(client(QUIC_V2).iv.to_vec(), bytes("91f73e2351d8fa91660e909f"));
    assert_eq!(server(QUIC_V2).iv.to_vec(), bytes("dd13c276499c0249d3310652"));
}

#[test]
fn the_header_of_the_clients_initial_is_unmasked_as_in_rfc_9001_a_2() {
    let HeaderCipher::Aes128(_) = client(1).header else {
        panic!("AES-128 protects Initials");
    };
    let sample = bytes("d1b1c98dd7689fb8ec11d242b123dc9b");
    let mask = client(1).header.mask(sample.as_slice().try_into().expect("16 bytes"));
    assert_eq!(mask.expect("a mask").to_vec(), bytes("437b9aec36"));
}

#[test]
fn the_servers_initial_of_rfc_9001_a_3_opens() {
    let (number, frames) = open(&server(1), SERVER_INITIAL, 18).expect("authentic");
    assert_eq!((number, frames), (1, bytes(SERVER_FRAMES)));
    // Neither under the other key, nor with one bit changed.
    assert_eq!(open(&client(1), SERVER_INITIAL, 18), None);
    let changed = SERVER_INITIAL.replace("ee", "ef");
    assert_eq!(open(&server(1), &changed, 18), None);
}

#[test]
fn a_packet_sealed_for_version_1_or_2_opens_for_that_one_alone() {
    let hello = bytes(CLIENT_HELLO);
    for (version, other) in [(1, QUIC_V2), (QUIC_V2, 1)] {
        let mut header = vec![0xc3];
        header.extend(version.to_be_bytes());
        header.extend([
            8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0, 0x44, 0x9e, 0, 0, 0, 2,
        ]);
        let number_at = header.len() - 4;
        let packet = client(version).seal(&header, 2, &hello);
        let mut scratch = Scratch::default();
        let packet = ProtectedPacket {
            bytes: &packet,
            number_at,
            largest: None,
        };
        assert_eq!(client(version).open(&packet, &mut scratch), Some(2));
        assert!(scratch.frames().starts_with(&hello));
        assert_eq!(client(other).open(&packet, &mut scratch), None);
    }
}

#[test]
fn retries_of_rfc_9001_a_4_and_rfc_9369_a_4_are_authentic() {
    let v1 = bytes("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba");
    let v2 = bytes("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6");
    assert!(is_retry_authentic(1, &ID, &v1) && is_retry_authentic(QUIC_V2, &ID, &v2));
    assert!(!is_retry_authentic(QUIC_V2, &ID, &v1) && !is_retry_authentic(1, &ID[..7], &v1));
    assert!(!is_retry_authentic(1, &ID, &v1[..15]));
}

#[test]
fn the_chacha20_packet_of_rfc_9001_a_5_opens() {
    let secret = Secret::new(&bytes(
        "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b",
    ))
    .expect("short enough");
    let key = PacketKey::of_secret(1, CipherSuite(0x1303), &secret).expect("keys");
    let packet = bytes("4cfe4189655e5cd55c41f69080575d7999c25a5bfb");
    let mut scratch = Scratch::default();
    let opened = key.open(
        &ProtectedPacket {
            bytes: &packet,
            number_at: 1,
            largest: Some(654_360_563),
        },
        &mut scratch,
    );
    assert_eq!((opened, scratch.frames()), (Some(654_360_564), &[1][..]));
}

#[test]
fn packet_numbers_are_decoded_as_in_rfc_9000_a_3() {
    let nearest = |truncated, length, largest| candidates(truncated, length, largest)[0];
    assert_eq!(nearest(0x9b32, 2, Some(0xa82f_30ea)), Some(0xa82f_9b32));
    assert_eq!(nearest(5, 1, None), Some(5));
    assert_eq!(nearest(0, 1, Some(255)), Some(256));
    assert_eq!(nearest(255, 1, Some(256)), Some(255));
    // Windows before and after; none below zero or above the last number.
    assert_eq!(candidates(7, 1, Some(300)), [Some(263), Some(7), Some(519)]);
    assert_eq!(candidates(7, 1, Some(3)), [Some(7), None, Some(263)]);
    assert_eq!(candidates(255, 1, Some((1 << 62) - 2))[2], None);
}
