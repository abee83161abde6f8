//! What serde cannot derive of facts as documents (feature `serde`): frames of other runs, bytes in hex, notices.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::{FrameRef, Notice, Notices};

/// Which captures the document that is being read may name.
///
/// Documents count captures from 0, and their frames stand behind those of all documents before. serde hands no context
/// down to a field, so it is kept here while a closure runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureNumbers {
    /// Captures before those of this document.
    pub before: u16,
    /// Captures of this document.
    pub own: u16,
}

thread_local! {
    static NUMBERS: Cell<Option<CaptureNumbers>> = const { Cell::new(None) };
}

impl CaptureNumbers {
    /// Whatever `read` deserialises counts captures like this.
    pub fn within<T>(self, read: impl FnOnce() -> T) -> T {
        let outer = NUMBERS.replace(Some(self));
        let value = read();
        NUMBERS.set(outer);
        value
    }
}

impl From<FrameRef> for (u16, u64) {
    fn from(frame: FrameRef) -> Self {
        (frame.capture(), frame.frame())
    }
}

/// Outside of [`CaptureNumbers::within`] no capture is known, and no frame can be right.
impl TryFrom<(u16, u64)> for FrameRef {
    type Error = &'static str;

    fn try_from((capture, frame): (u16, u64)) -> Result<Self, Self::Error> {
        let numbers = NUMBERS.get().filter(|numbers| capture < numbers.own);
        let capture = numbers.and_then(|numbers| numbers.before.checked_add(capture));
        match capture {
            Some(capture) if frame != 0 && frame >> Self::FRAME_BITS == 0 => Ok(Self::new(capture, frame)),
            _ => Err("a frame names no capture of its header, or number 0"),
        }
    }
}

/// One kind of notice, by its stable name.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counted {
    code: String,
    count: u64,
    first: Option<FrameRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<u16>,
}

impl From<Notices> for Vec<Counted> {
    fn from(notices: Notices) -> Self {
        let counted = |(notice, count, first): (Notice, u64, _)| Counted {
            code: notice.code().to_owned(),
            count,
            first,
            numbers: notices.numbers(notice).collect(),
        };
        notices.iter().map(counted).collect()
    }
}

/// Kinds that this version does not know are left out: those of a later one must not cost the header they stand in.
impl From<Vec<Counted>> for Notices {
    fn from(all: Vec<Counted>) -> Self {
        let mut notices = Self::default();
        for counted in all {
            if let Some(notice) = Notice::ALL.iter().find(|notice| notice.code() == counted.code) {
                notices.add_many(*notice, counted.count, counted.first);
                for number in counted.numbers {
                    notices.add_number(*notice, number);
                }
            }
        }
        notices
    }
}

/// Bytes as hex digits: a list of numbers would take twice the room.
pub(crate) mod hex_bytes {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::net::hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        unhex(&text).ok_or_else(|| serde::de::Error::custom(format_args!("expected {N} bytes in hex")))
    }

    pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        let bytes: Vec<u8> = bytes.collect::<Option<_>>().filter(|_| rest.is_empty())?;
        bytes.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::hex_bytes::unhex;
    use super::*;

    #[test]
    fn hex_is_of_one_length() {
        assert_eq!(unhex("00fF"), Some([0, 255]));
        for wrong in ["", "00", "000", "0g00", "é00", "000000"] {
            assert_eq!(unhex::<2>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_frame_must_be_of_a_capture_of_its_header() {
        let read = |before, own, place| CaptureNumbers { before, own }.within(|| FrameRef::try_from(place));
        assert_eq!(read(3, 1, (0, 7)), Ok(FrameRef::new(3, 7)));
        for wrong in [(1, 7), (0, 0), (0, 1 << 48)] {
            assert!(read(3, 1, wrong).is_err(), "{wrong:?}");
        }
        assert!(read(u16::MAX, 2, (1, 7)).is_err());
        assert!(
            FrameRef::try_from((0, 7)).is_err(),
            "what was read before tells nothing"
        );
    }

    #[test]
    fn notices_come_back_with_their_numbers() {
        let mut before = Notices::default();
        before.add_unsupported(Notice::EtherTypeNotDecoded, 0x8903, None);
        before.add_unsupported(Notice::EtherTypeNotDecoded, 0x4305, None);
        before.add(Notice::HeaderCut, None);
        let mut counted = Vec::<Counted>::from(before);
        counted.push(Counted {
            code: "of-a-later-version".to_owned(),
            count: 1,
            first: None,
            numbers: Vec::new(),
        });
        let after = Notices::from(counted);
        assert!(after.numbers(Notice::EtherTypeNotDecoded).eq([0x4305, 0x8903]));
        assert_eq!(after.iter().map(|(_, count, _)| count).collect::<Vec<_>>(), [2, 1]);
    }
}
