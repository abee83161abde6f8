//! Primary reasons: the one of each connection in little room, and how often each was one.

use reshake_core::diagnosis::{Confidence, Judged, Reason};

/// The primary reason of a connection, without its words.
#[derive(Debug, Clone, Copy)]
pub struct Primary {
    /// Which.
    pub reason: &'static Reason,
    /// How sure.
    pub confidence: Confidence,
    /// The pattern that settled it with service analysis.
    pub settled_by: Option<&'static str>,
}

impl Primary {
    pub(super) fn of(judged: &Judged) -> Self {
        Self {
            reason: judged.reason,
            confidence: judged.confidence,
            settled_by: judged.settled_by,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        std::ptr::eq(self.reason, other.reason)
            && self.confidence == other.confidence
            && self.settled_by == other.settled_by
    }
}

/// The primary reason of every connection in two bytes each: a million connections have a few dozen different ones.
#[derive(Debug, Default)]
pub(super) struct Primaries {
    kinds: Vec<Option<Primary>>,
    of: Vec<u16>,
}

impl Primaries {
    pub(super) fn push(&mut self, primary: Option<&Judged>) {
        let primary = primary.map(Primary::of);
        let known = self.kinds.iter().position(|kind| match (kind, &primary) {
            (Some(kind), Some(primary)) => kind.is_like(primary),
            (kind, primary) => kind.is_none() && primary.is_none(),
        });
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(primary);
            self.kinds.len() - 1
        });
        // Reasons times confidences times patterns stay far below 2^16.
        self.of.push(u16::try_from(kind).unwrap_or(u16::MAX));
    }

    /// Adds those of the connections that come next.
    pub(super) fn append(&mut self, next: &Self) {
        let same = |a: &Option<Primary>, b: &Option<Primary>| match (a, b) {
            (Some(a), Some(b)) => a.is_like(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let mut places = Vec::with_capacity(next.kinds.len());
        for kind in &next.kinds {
            let known = self.kinds.iter().position(|known| same(known, kind));
            let place = known.unwrap_or_else(|| {
                self.kinds.push(*kind);
                self.kinds.len() - 1
            });
            places.push(u16::try_from(place).unwrap_or(u16::MAX));
        }
        let place = |kind: &u16| places.get(usize::from(*kind)).copied().unwrap_or(u16::MAX);
        self.of.extend(next.of.iter().map(place));
    }

    pub(super) fn at(&self, place: usize) -> Option<Primary> {
        *self.kinds.get(usize::from(*self.of.get(place)?))?
    }
}

/// How often a reason was the primary one.
#[derive(Debug, Clone, Copy)]
pub struct ReasonCount {
    /// Which.
    pub reason: &'static Reason,
    /// With confidence observed, inferred and possible.
    pub by_confidence: [u64; 3],
}

impl ReasonCount {
    /// Connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.by_confidence.iter().sum()
    }
}

/// Primary reasons counted: in a list, for a run has a dozen of them.
#[derive(Debug, Default)]
pub(super) struct ReasonTally(Vec<ReasonCount>);

impl ReasonTally {
    pub(super) fn add(&mut self, primary: Option<&Judged>) {
        let Some(judged) = primary else { return };
        let one = [Confidence::Observed, Confidence::Inferred, Confidence::Possible];
        self.count(
            judged.reason,
            one.map(|confidence| u64::from(judged.confidence == confidence)),
        );
    }

    pub(super) fn merge(&mut self, others: &Self) {
        for more in &others.0 {
            self.count(more.reason, more.by_confidence);
        }
    }

    fn count(&mut self, reason: &'static Reason, more: [u64; 3]) {
        let known = self.0.iter_mut().find(|count| std::ptr::eq(count.reason, reason));
        match known {
            Some(count) => {
                let both = count.by_confidence.iter_mut().zip(more);
                both.for_each(|(sum, more)| *sum += more);
            }
            None => self.0.push(ReasonCount {
                reason,
                by_confidence: more,
            }),
        }
    }

    pub(super) fn sorted(self) -> Vec<ReasonCount> {
        let mut counts = self.0;
        counts.sort_by_key(|count| (std::cmp::Reverse(count.connections()), count.reason.name));
        counts
    }
}
