//! What is remembered of the last segments of one side, to know a packet that was captured twice.

use crate::net::{At, Segment};

/// Enough of the last segments to know them again, the latest first: digests of their header fields, and when they were
/// captured.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    digests: [u64; 4],
    /// In units of 2^16 ns. They come round after three days: a silent peer that repeats a header just then is taken for a
    /// copy.
    times: [u32; 4],
}

impl Recent {
    pub(super) fn digest(segment: &Segment<'_>) -> u64 {
        let length = u64::try_from(segment.payload.len())
            .unwrap_or(u64::MAX)
            .wrapping_add(u64::from(segment.cut));
        let (value, echo) = segment.options.timestamps().unwrap_or_default();
        let fields = [
            u64::from(segment.seq.0) << 32 | u64::from(segment.ack.0),
            u64::from(value) << 32 | u64::from(echo),
            length << 32 | u64::from(segment.flags.0) << 17 | segment.path.ip_id.map_or(1 << 16, u64::from),
        ];
        // Multiplicative mixing: two different headers meet in 64 bits only by design, and then one packet is missing.
        fields.into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, field| {
            (hash ^ field).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
        })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // differences are taken modulo 2^32
    pub(super) fn time(at: At) -> u32 {
        (at.time.nanos() >> 16) as u32
    }

    pub(super) fn has(&self, digest: u64, time: u32) -> bool {
        let soon = |earlier: u32| time.wrapping_sub(earlier).min(earlier.wrapping_sub(time)) <= SAME_PACKET;
        let mut all = self.digests.iter().zip(self.times);
        all.any(|(known, earlier)| *known == digest && soon(earlier))
    }

    pub(super) fn note(&mut self, digest: u64, time: u32) {
        let ([first, second, third, _], [newest, second_time, third_time, _]) = (self.digests, self.times);
        self.digests = [digest, first, second, third];
        self.times = [time, newest, second_time, third_time];
    }
}

/// The same bytes captured again this soon are the same packet: no retransmission timer fires within it. 10 ms in units
/// of 2^16 ns.
const SAME_PACKET: u32 = 10_000_000 >> 16;
