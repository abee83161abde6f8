//! The difference between "not there" and "not seen".

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Why something was not visible. The list is closed: reports name nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Blindness {
    /// The ClientHello is not in the capture.
    ClientHelloMissing,
    /// The ServerHello is not in the capture.
    ServerHelloMissing,
    /// It travels encrypted and there is no key.
    Encrypted,
    /// Encrypted ClientHello hides it (RFC 9849).
    Ech,
    /// Packets are missing.
    Gap,
    /// Packets were cut when captured.
    Snaplen,
    /// Only one direction was captured.
    OneDirection,
    /// It happened before the capture began.
    CaptureStartedLate,
    /// The connection was still open when the capture ended.
    OpenAtCaptureEnd,
    /// The connection was silent for long when the capture ended.
    IdleAtCaptureEnd,
    /// It was dropped to keep memory bounded.
    Evicted,
    /// It is there but cannot be read by this version.
    Unsupported,
    /// Nothing visible tells one from the other.
    NothingTellsApart,
}

impl Blindness {
    /// Every cause.
    pub const ALL: [Self; 13] = [
        Self::ClientHelloMissing,
        Self::ServerHelloMissing,
        Self::Encrypted,
        Self::Ech,
        Self::Gap,
        Self::Snaplen,
        Self::OneDirection,
        Self::CaptureStartedLate,
        Self::OpenAtCaptureEnd,
        Self::IdleAtCaptureEnd,
        Self::Evicted,
        Self::Unsupported,
        Self::NothingTellsApart,
    ];

    /// Whether it was not seen because the capture ended first.
    #[must_use]
    pub const fn is_end_of_capture(self) -> bool {
        matches!(self, Self::OpenAtCaptureEnd | Self::IdleAtCaptureEnd)
    }

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClientHelloMissing => "client-hello-missing",
            Self::ServerHelloMissing => "server-hello-missing",
            Self::Encrypted => "encrypted",
            Self::Ech => "ech",
            Self::Gap => "gap",
            Self::Snaplen => "snaplen",
            Self::OneDirection => "one-direction",
            Self::CaptureStartedLate => "capture-started-late",
            Self::OpenAtCaptureEnd => "open-at-capture-end",
            Self::IdleAtCaptureEnd => "idle-at-capture-end",
            Self::Evicted => "evicted",
            Self::Unsupported => "unsupported",
            Self::NothingTellsApart => "nothing-tells-apart",
        }
    }
}

/// An observation. There is no default and no conversion that loses the difference on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Seen<T> {
    /// It was there.
    Yes(T),
    /// We looked, and it was not there.
    No,
    /// We could not look.
    #[cfg_attr(feature = "serde", serde(rename = "not-visible"))]
    Blind(Blindness),
}

impl<T> Seen<T> {
    /// Puts two observations of one thing together, and leaves the other with the lesser: what one of two saw is seen, and what
    /// one of them could not look for may have been there.
    pub const fn take_better(&mut self, other: &mut Self) {
        if matches!((&*self, &*other), (Self::No, _) | (Self::Blind(_), Self::Yes(_))) {
            std::mem::swap(self, other);
        }
    }

    /// The value, to change.
    pub const fn yes_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Yes(value) => Some(value),
            Self::No | Self::Blind(_) => None,
        }
    }

    /// The value, where it was seen.
    pub const fn yes(&self) -> Option<&T> {
        match self {
            Self::Yes(value) => Some(value),
            Self::No | Self::Blind(_) => None,
        }
    }

    /// Why it could not be seen.
    pub const fn blind(&self) -> Option<Blindness> {
        match self {
            Self::Blind(cause) => Some(*cause),
            Self::Yes(_) | Self::No => None,
        }
    }

    /// Borrows the value.
    pub const fn as_ref(&self) -> Seen<&T> {
        match self {
            Self::Yes(value) => Seen::Yes(value),
            Self::No => Seen::No,
            Self::Blind(cause) => Seen::Blind(*cause),
        }
    }

    /// The same observation of something derived from it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Yes(value) => Seen::Yes(f(value)),
            Self::No => Seen::No,
            Self::Blind(cause) => Seen::Blind(cause),
        }
    }
}
