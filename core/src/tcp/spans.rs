//! Where in its captures a connection stands.

use crate::net::{At, FrameRef};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// First and last frame of a connection in each capture that holds packets of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Spans {
    /// In the capture where it was seen first.
    pub main: (FrameRef, FrameRef),
    /// In the others, in their order; nearly always there are none, hence the box.
    #[allow(clippy::box_collection)]
    pub more: Option<Box<Vec<(FrameRef, FrameRef)>>>,
}

impl Spans {
    /// One frame.
    #[must_use]
    pub fn new(at: At) -> Self {
        Self {
            main: (at.frame, at.frame),
            more: None,
        }
    }

    /// Takes a frame of the capture where the connection was seen first that is behind all others there; `false` for any
    /// other frame.
    #[inline]
    pub(super) fn goes_on_to(&mut self, frame: FrameRef) -> bool {
        let behind = self.main.1 < frame && self.main.1.capture() == frame.capture();
        if behind {
            self.main.1 = frame;
        }
        behind
    }

    /// Files may hold packets out of order, and two taps interleave theirs: every range only widens.
    pub fn note(&mut self, frame: FrameRef) {
        let (first, last) = &mut self.main;
        if first.capture() == frame.capture() {
            (*first, *last) = ((*first).min(frame), (*last).max(frame));
            return;
        }
        let others = self.more.get_or_insert_default();
        match others.binary_search_by_key(&frame.capture(), |(first, _)| first.capture()) {
            Ok(known) => {
                if let Some((first, last)) = others.get_mut(known) {
                    (*first, *last) = ((*first).min(frame), (*last).max(frame));
                }
            }
            Err(place) => others.insert(place, (frame, frame)),
        }
    }

    /// The frames of another sighting of the connection belong to it, too.
    pub fn join(&mut self, other: &Self) {
        for (first, last) in other.iter() {
            self.note(first);
            self.note(last);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (FrameRef, FrameRef)> + '_ {
        std::iter::once(self.main).chain(self.more.as_deref().into_iter().flatten().copied())
    }
}
