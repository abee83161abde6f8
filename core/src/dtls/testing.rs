//! Records made by hand, for tests.

use crate::tls::names::HandshakeType;

/// A record in clear or not; the body is taken as it is.
pub(crate) fn record(content_type: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![content_type, 0xfe, 0xfd];
    bytes.extend(epoch.to_be_bytes());
    bytes.extend(&sequence.to_be_bytes()[2..]);
    bytes.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A record with a whole message.
pub(crate) fn message(sequence: u64, kind: HandshakeType, number: u16, body: &[u8]) -> Vec<u8> {
    fragment(sequence, kind, number, body, 0..body.len())
}

/// A record with a part of a message.
pub(crate) fn fragment(
    sequence: u64,
    kind: HandshakeType,
    number: u16,
    body: &[u8],
    range: std::ops::Range<usize>,
) -> Vec<u8> {
    let three = |length: usize| u32::try_from(length).expect("short").to_be_bytes()[1..].to_vec();
    let mut bytes = vec![kind.0];
    bytes.extend(three(body.len()));
    bytes.extend(number.to_be_bytes());
    bytes.extend(three(range.start));
    bytes.extend(three(range.len()));
    bytes.extend(&body[range]);
    record(22, 0, sequence, &bytes)
}

/// The body of a ClientHello of DTLS 1.2 with this random, session ID, cookie and extensions.
pub(crate) fn client_hello(random: u8, session_id: &[u8], cookie: &[u8], extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([random; 32]);
    for vector in [session_id, cookie] {
        body.push(u8::try_from(vector.len()).expect("short"));
        body.extend(vector);
    }
    body.extend([0, 2, 0xc0, 0x2f, 1, 0]);
    body.extend(u16::try_from(extensions.len()).expect("short").to_be_bytes());
    body.extend(extensions);
    body
}

/// The body of a ServerHello of DTLS 1.2.
pub(crate) fn server_hello(random: u8, session_id: &[u8], extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([random; 32]);
    body.push(u8::try_from(session_id.len()).expect("short"));
    body.extend(session_id);
    body.extend([0xc0, 0x2f, 0]);
    body.extend(u16::try_from(extensions.len()).expect("short").to_be_bytes());
    body.extend(extensions);
    body
}

/// The extension by which a side asks to be called by an ID.
pub(crate) fn connection_id(id: &[u8]) -> Vec<u8> {
    let length = u8::try_from(id.len()).expect("short");
    [&[0, 54, 0, length + 1, length][..], id].concat()
}
