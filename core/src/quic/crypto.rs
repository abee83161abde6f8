//! The TLS stream of one side in one number space, put together from CRYPTO frames in any order (RFC 9000 §19.6).

/// Bytes kept in front of what is still missing. RFC 9000 §7.5 asks receivers for 4 KiB at least; handshakes with long
/// certificate chains need more.
const WINDOW: u64 = 64 * 1024;
/// Pieces kept in front of what is still missing: as many as a hello of one byte a frame that anybody would send.
const PIECES: usize = 64;
/// Longest message, as over TCP.
const MAX_MESSAGE: usize = 128 * 1024;

/// One stream.
#[derive(Debug, Clone, Default)]
pub struct CryptoStream {
    /// Bytes in order that were not yet taken as messages.
    ready: Vec<u8>,
    /// Offset of the byte behind them.
    next: u64,
    /// Pieces beyond, by offset, none of which overlap.
    pieces: Vec<(u64, Box<[u8]>)>,
    /// More came than is kept, or a message was too long.
    broken: bool,
}

impl CryptoStream {
    /// Takes bytes at an offset. Where they overlap what came before, that stays.
    pub fn push(&mut self, offset: u64, data: &[u8]) {
        if self.broken {
            return;
        }
        let skipped = self.next.saturating_sub(offset);
        let Some(data) = usize::try_from(skipped).ok().and_then(|skipped| data.get(skipped..)) else {
            return;
        };
        let offset = offset.max(self.next);
        if data.is_empty() {
            return;
        }
        if offset == self.next && self.pieces.is_empty() {
            self.append(data);
            return;
        }
        if offset.saturating_add(data.len() as u64) > self.next + WINDOW {
            self.broken = true;
            return;
        }
        self.insert(offset, data);
        while self.pieces.first().is_some_and(|(start, _)| *start == self.next) {
            let (_, piece) = self.pieces.remove(0);
            self.append(&piece);
        }
        self.broken |= self.pieces.len() > PIECES;
    }

    fn append(&mut self, data: &[u8]) {
        self.ready.extend_from_slice(data);
        self.next += data.len() as u64;
        self.broken |= self.ready.len() > MAX_MESSAGE + 4;
    }

    /// Keeps what of these bytes no piece has.
    fn insert(&mut self, mut offset: u64, mut data: &[u8]) {
        let mut place = self.pieces.partition_point(|(start, _)| *start <= offset);
        if let Some((start, piece)) = place.checked_sub(1).and_then(|before| self.pieces.get(before)) {
            let covered = (start + piece.len() as u64).saturating_sub(offset);
            let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(data.len());
            data = data.get(covered..).unwrap_or_default();
            offset += covered as u64;
        }
        while !data.is_empty() {
            let known = self.pieces.get(place).map(|(start, piece)| (*start, piece.len()));
            let room = known.map_or(data.len(), |(start, _)| {
                usize::try_from(start.saturating_sub(offset)).map_or(data.len(), |room| room.min(data.len()))
            });
            let (fresh, rest) = data.split_at(room);
            if !fresh.is_empty() {
                self.pieces.insert(place, (offset, fresh.into()));
                place += 1;
            }
            let covered = known.map_or(0, |(_, length)| length.min(rest.len()));
            data = rest.get(covered..).unwrap_or_default();
            offset += (room + covered) as u64;
            place += 1;
            if self.pieces.len() > PIECES {
                return;
            }
        }
    }

    /// The next whole handshake message, header included, with the offset behind it.
    pub fn message(&mut self) -> Option<Box<[u8]>> {
        let (&[_, a, b, c], _) = self.ready.split_first_chunk()?;
        let length = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_MESSAGE {
            self.broken = true;
        }
        if self.broken || self.ready.len() < length {
            return None;
        }
        Some(self.ready.drain(..length).collect())
    }

    /// The first byte of the next message.
    #[must_use]
    pub fn next_kind(&self) -> Option<u8> {
        self.ready.first().copied()
    }

    /// Whether bytes are missing in front of others, or more came than is kept.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.broken || !self.pieces.is_empty()
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether more came than is kept.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        let pieces = self.pieces.iter().map(|(_, piece)| piece.len() + 32);
        self.ready.capacity() + pieces.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of type 1 whose body counts.
    fn message(length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let body = (0..length).map(|byte| byte.to_le_bytes()[0]);
        [1, 0, high, low].into_iter().chain(body).collect()
    }

    #[test]
    fn messages_come_out_whole_and_one_by_one() {
        let mut stream = CryptoStream::default();
        let both = [message(3), message(0)].concat();
        stream.push(0, &both[..5]);
        assert_eq!((stream.message(), stream.is_inside_message()), (None, true));
        stream.push(5, &both[5..]);
        assert_eq!(stream.message().as_deref(), Some(&message(3)[..]));
        assert_eq!(stream.message().as_deref(), Some(&message(0)[..]));
        assert_eq!((stream.message(), stream.is_inside_message()), (None, false));
    }

    proptest! {
        #[test]
        fn any_order_with_any_overlap_gives_the_same_message(
            cuts in proptest::collection::vec((0_usize..600, 1_usize..200), 1..40),
            seed in any::<u64>(),
        ) {
            let whole = message(700);
            let mut pieces: Vec<(usize, usize)> = cuts;
            // What nobody sent cannot be put together: the rest comes in a few pieces at the end of the list.
            pieces.extend((0..whole.len()).step_by(100).map(|start| (start, 100)));
            let mut order = seed | 1;
            for at in (1..pieces.len()).rev() {
                order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let other = usize::try_from(order >> 33).unwrap_or(0) % (at + 1);
                pieces.swap(at, other);
            }
            let mut stream = CryptoStream::default();
            for (start, length) in pieces {
                let end = (start + length).min(whole.len());
                stream.push(start as u64, &whole[start..end]);
            }
            let taken = stream.message();
            prop_assert_eq!(taken.as_deref(), Some(&whole[..]));
            prop_assert!(!stream.has_gap());
        }
    }

    #[test]
    fn what_came_first_stays() {
        let whole = message(20);
        let mut stream = CryptoStream::default();
        stream.push(10, &whole[10..15]);
        stream.push(4, &[0xff; 14]);
        stream.push(0, &whole[..4]);
        stream.push(18, &whole[18..]);
        let taken = stream.message().expect("whole");
        assert_eq!(taken[10..15], whole[10..15]);
        assert_eq!((&taken[4..10], &taken[15..18]), (&[0xff; 6][..], &[0xff; 3][..]));
    }

    #[test]
    fn no_more_is_kept_than_the_window_and_the_pieces() {
        let mut far = CryptoStream::default();
        far.push(WINDOW - 1, &[0, 0]);
        assert!(far.is_broken());
        let mut near = CryptoStream::default();
        near.push(WINDOW - 1, &[0]);
        assert!(!near.is_broken() && near.has_gap());
        let mut many = CryptoStream::default();
        for number in 1..=PIECES as u64 {
            many.push(2 * number, &[0]);
        }
        assert!(!many.is_broken());
        many.push(2 * PIECES as u64 + 2, &[0]);
        assert!(many.is_broken());
        assert!(many.memory() < 8 * 1024);
        // A message longer than any is none.
        let mut long = CryptoStream::default();
        long.push(0, &[1, 2, 0, 0]);
        assert_eq!((long.message(), long.is_broken()), (None, true));
    }

    #[test]
    fn more_than_the_longest_message_is_not_kept() {
        let longest = vec![0; MAX_MESSAGE + 4];
        let mut stream = CryptoStream::default();
        stream.push(0, &longest);
        assert!(!stream.is_broken() && stream.memory() >= longest.len());
        stream.push(longest.len() as u64, &[0]);
        assert!(stream.is_broken());
        // And stays so.
        stream.push(longest.len() as u64 + 1, &[0]);
        assert!(stream.is_broken() && stream.has_gap());
    }

    #[test]
    fn what_waits_behind_a_gap_is_counted_with_its_place() {
        let mut stream = CryptoStream::default();
        assert_eq!((stream.memory(), stream.next_kind()), (0, None));
        stream.push(10, &[1; 5]);
        stream.push(20, &[1; 7]);
        assert_eq!(stream.memory(), 5 + 7 + 2 * 32);
        stream.push(0, &[11, 0, 0, 9]);
        assert_eq!(stream.next_kind(), Some(11));
        assert!(stream.memory() >= 4 + 5 + 7 + 2 * 32 && stream.has_gap());
    }

    #[test]
    fn one_frame_fills_no_more_holes_than_there_are_pieces() {
        let mut stream = CryptoStream::default();
        for number in 1..PIECES as u64 {
            stream.push(2 * number, &[0]);
        }
        // It lies over all of them, and fills the holes between.
        stream.push(1, &[0; 2 * PIECES]);
        assert!(stream.is_broken() && stream.pieces.len() <= PIECES + 1);
    }

    #[test]
    fn the_longest_message_is_one() {
        let body = u32::try_from(MAX_MESSAGE - 4).expect("short");
        let [_, a, b, c] = body.to_be_bytes();
        let mut longest = vec![1, a, b, c];
        longest.resize(MAX_MESSAGE, 0);
        let mut stream = CryptoStream::default();
        stream.push(0, &longest);
        assert_eq!(stream.message().map(|message| message.len()), Some(MAX_MESSAGE));
    }
}
