//! What is known of one input as a whole: its format, how far it was read, what was skipped.

use super::{Notices, Timestamp};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// File format, or a live device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum CaptureFormat {
    /// Classic pcap with microseconds.
    Pcap,
    /// Classic pcap with nanoseconds.
    PcapNanoseconds,
    /// pcapng.
    Pcapng,
    /// A device.
    Live,
}

/// Compression around the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Ended {
    /// At the end of the file, or still being read.
    EndOfFile,
    /// Inside a packet or block.
    Truncated,
    /// At damage from which reading could not go on, or at a read error.
    Corrupt,
    /// By the user, a packet count or a duration.
    Stopped,
}

/// One input as a whole.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Capture {
    /// Path as the user gave it; `-` for standard input.
    pub path: String,
    /// Format.
    pub format: CaptureFormat,
    /// Compression, where there is one.
    pub compression: Option<Compression>,
    /// Frames read, counted as Wireshark counts them.
    pub packets: u64,
    /// Bytes read, before decompression.
    pub bytes: u64,
    /// Earliest packet time.
    pub first_time: Option<Timestamp>,
    /// Latest packet time.
    pub last_time: Option<Timestamp>,
    /// Packets that the capturing side says it dropped (pcapng interface statistics, live statistics); `None` when it says nothing.
    pub dropped: Option<u64>,
    /// How reading ended.
    pub ended: Ended,
    /// What was skipped while reading; the layers above add theirs.
    pub notices: Notices,
}

impl Capture {
    /// Of which nothing was read yet.
    #[must_use]
    pub fn new(path: &str, format: CaptureFormat) -> Self {
        Self {
            path: path.to_owned(),
            format,
            compression: None,
            packets: 0,
            bytes: 0,
            first_time: None,
            last_time: None,
            dropped: None,
            ended: Ended::EndOfFile,
            notices: Notices::default(),
        }
    }
}
