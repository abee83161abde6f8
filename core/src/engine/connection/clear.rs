//! Clear text of one side beyond what is searched byte by byte.
//!
//! A client may talk for hours before it asks for TLS: FTP that is kept open by NOOP and then AUTH TLS, POSTs through a
//! proxy and then CONNECT. Of such text only its beginning and its last line are kept. Whoever has asked for TLS waits for
//! the answer, so the hello stands at the beginning of a segment.

use crate::session::preamble;
use crate::tls::search::opens;

/// Clear text kept of each side from its beginning: enough to name the protocol and to read a PROXY header.
const HEAD: usize = 256;
/// Clear text kept of each side from its end: the longest request for TLS is an element of XMPP with its name space.
const TAIL: usize = 128;
/// A piece this long is not part of a line that somebody types.
const TYPED: usize = 64;

/// What is known of a side that has said more in clear than is searched.
#[derive(Debug, Clone, Default)]
pub(super) struct LongText {
    /// Its beginning, or that of a CONNECT request in it.
    head: Vec<u8>,
    /// Its end.
    tail: Vec<u8>,
    /// This side may ask for TLS: it is not known to be the server.
    asks: bool,
    /// The last thing said is a request for TLS.
    asked: bool,
}

impl LongText {
    /// Of all that was said so far by a side that may ask for TLS, or only answers.
    pub(super) fn of(text: &[u8], asks: bool) -> Self {
        // Of protocols in which TLS is asked for, some are told by their greeting; that of HTTP tells nothing.
        let greets = !text.starts_with(b"HTTP/") && text.first().is_some_and(u8::is_ascii_graphic);
        let mut long = Self {
            head: if asks || greets {
                first(text, HEAD).to_vec()
            } else {
                Vec::new()
            },
            asks,
            ..Self::default()
        };
        long.add(text);
        long
    }

    /// Whether TLS may begin with this piece: what was said asks for it, or there is a hello all the same.
    pub(super) fn ends_before(&self, piece: &[u8]) -> bool {
        self.asked || (piece.first() == Some(&22) && opens(piece))
    }

    /// More clear text. Nearly always that is content, and nothing is kept of it.
    pub(super) fn add(&mut self, piece: &[u8]) {
        if !self.asks {
            return;
        }
        if piece.starts_with(b"CONNECT ") {
            self.head = first(piece, HEAD).to_vec();
        }
        let ends_a_request = matches!(piece.last(), Some(b'\n' | b'>' | b'7'));
        if !ends_a_request && piece.len() >= TYPED {
            self.lose();
            return;
        }
        self.tail.extend_from_slice(last(piece, TAIL));
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
        self.asked = ends_a_request && preamble::asks_for_tls(&self.text());
    }

    /// Bytes are missing: what stands before them is not the end of anything.
    pub(super) fn lose(&mut self) {
        self.tail.clear();
        self.asked = false;
    }

    /// Its beginning and its end.
    pub(super) fn text(&self) -> Vec<u8> {
        [self.head.as_slice(), self.tail.as_slice()].concat()
    }

    /// Bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        self.head.capacity() + self.tail.capacity()
    }
}

/// What names the protocol of a text: its beginning and its end. `known` is that of the text before this stretch of it.
pub(super) fn go_on(known: &[u8], text: &[u8]) -> Vec<u8> {
    match (known.len(), text.len()) {
        (0, ..HEAD) => text.to_vec(),
        (0, length) => [first(text, HEAD), last(text, TAIL.min(length - HEAD))].concat(),
        _ => [first(known, HEAD), last(text, TAIL)].concat(),
    }
}

fn first(text: &[u8], most: usize) -> &[u8] {
    text.get(..most).unwrap_or(text)
}

fn last(text: &[u8], most: usize) -> &[u8] {
    text.len()
        .checked_sub(most)
        .and_then(|at| text.get(at..))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session of FTP that is kept open.
    fn long() -> LongText {
        LongText::of(&[&b"USER anonymous\r\n"[..], &b"NOOP\r\n".repeat(2000)].concat(), true)
    }

    #[test]
    fn a_request_for_tls_is_seen_at_the_end_of_any_length_of_text() {
        for asked in [
            &[&b"AUTH TLS\r\n"[..]][..],
            &[b"a", b"u", b"t", b"h tls", b"\r", b"\n"],
            &[b"a7 STARTTLS\r\n"],
            &[b"DATA\r\n", &[b'x'; 1400], b"\r\n.\r\n", b"STARTTLS\r\n"],
            &[b"CONNECT a:443 HTTP/1.1\r\n", &[b'x'; 1400], b"\r\n\r\n"],
            &[b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
            &[b"0\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"],
        ] {
            let mut text = long();
            for piece in asked {
                assert!(!text.ends_before(b"\x16"), "{}", piece.escape_ascii());
                text.add(piece);
            }
            assert!(text.ends_before(b"\x16"));
            // Refused: the client goes on in clear.
            text.add(b"NOOP\r\n");
            assert!(!text.ends_before(b"\x16"));
        }
    }

    #[test]
    fn a_request_across_lost_bytes_is_none() {
        let mut text = long();
        text.add(b"AUTH T");
        text.lose();
        text.add(b"LS\r\n");
        assert!(!text.ends_before(b"\x16"));
    }

    #[test]
    fn a_server_is_watched_for_its_hello_alone() {
        let greeting = [&b"220 ready\r\n"[..], &b"200 NOOP ok\r\n".repeat(2000)].concat();
        let mut text = LongText::of(&greeting, false);
        text.add(b"AUTH TLS\r\n");
        assert!(!text.ends_before(b"\x16"));
        assert_eq!(text.text(), greeting[..HEAD]);
        let page = LongText::of(&[&b"HTTP/1.1 200 OK\r\n"[..], &[b'x'; 9000]].concat(), false);
        assert_eq!(page.memory(), 0);
    }

    #[test]
    fn text_without_end_takes_no_more_memory() {
        let mut text = long();
        for _ in 0..10_000 {
            text.add(b"MDTM a-name-of-a-file-that-is-not-short-at-all.txt\r\n");
            text.add(&[b'x'; 1400]);
        }
        assert!(text.memory() <= HEAD + 2 * TAIL, "{}", text.memory());
    }

    #[test]
    fn what_is_kept_of_a_text_is_its_beginning_and_its_end() {
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        assert_eq!(go_on(b"", &text[..100]), text[..100]);
        assert_eq!(go_on(b"", &text[..300]), text[..300]);
        let kept = go_on(b"", &text);
        assert_eq!(kept, [&text[..HEAD], &text[1000 - TAIL..]].concat());
        assert_eq!(go_on(&kept, b"AUTH TLS\r\n"), [&text[..HEAD], b"AUTH TLS\r\n"].concat());
    }
}
