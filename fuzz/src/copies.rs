//! Copies of captures with comments, and excerpts: the frames that are in one are those of the original.

use std::io::Cursor;

use reshake::capture::copy::{Changes, copy};
use reshake::capture::{Stream, from_reader};

/// Frames read of one input: a few bytes of gzip can make a gigabyte of them.
const MAX_FRAMES: usize = 5_000;

/// A frame as it stands in a file: its number, then what a copy has of it, too. Frames that cannot be read count as well.
type Frame = (u64, (i64, u16, u32, Vec<u8>));

/// Which frames are kept, and whether as an excerpt.
struct Picked {
    which: u8,
    excerpt: bool,
}

impl Changes for Picked {
    fn keeps(&self, frame: u64) -> bool {
        !self.excerpt || self.which >> (frame % 8) & 1 == 1
    }

    fn comments(&self, frame: u64) -> Vec<String> {
        let count = usize::from(self.which) >> (frame % 4) & 3;
        vec!["reshake: résumption?\n".repeat(count); count]
    }

    fn is_excerpt(&self) -> bool {
        self.excerpt
    }

    fn embedded(&self) -> Option<&[u8]> {
        (self.which & 1 == 1).then_some(b"CLIENT_RANDOM 00 00\n")
    }
}

/// Two bytes that say what is copied, then a file of any form.
pub fn copies(data: &[u8]) {
    let Some((&[which, how], file)) = data.split_first_chunk::<2>() else {
        return;
    };
    let picked = Picked {
        which,
        excerpt: how & 1 == 1,
    };
    let (Some(original), mut out) = (frames(file), Vec::new()) else {
        return;
    };
    if original.len() >= MAX_FRAMES {
        return;
    }
    let stream = Stream {
        name: "fuzz".to_owned(),
        reader: Box::new(Cursor::new(file.to_vec())),
        size: None,
    };
    let Ok(copied) = copy(stream, &picked, &mut out) else {
        return;
    };
    let kept = original.iter().filter(|(number, _)| picked.keeps(*number));
    let kept: Vec<_> = kept.map(|(_, frame)| frame).collect();
    let copy = frames(&out).unwrap_or_default();
    let copy: Vec<_> = copy.iter().map(|(_, frame)| frame).collect();
    // Frames of which nobody knows whose they are stay out of an excerpt.
    if copied.left_out == 0 {
        assert_eq!(copy, kept, "other frames");
    } else {
        assert!(
            copy.iter().all(|frame| kept.contains(frame)),
            "a frame that is not of the original"
        );
    }
}

fn frames(file: &[u8]) -> Option<Vec<Frame>> {
    let mut source = from_reader("fuzz", Box::new(Cursor::new(file.to_vec())), None, 0).ok()?;
    let mut frames = Vec::new();
    while let Some(packet) = source.next() {
        let frame = (
            packet.time.nanos(),
            packet.link.0,
            packet.original_len,
            packet.data.to_vec(),
        );
        frames.push((packet.frame.frame(), frame));
        if frames.len() >= MAX_FRAMES {
            break;
        }
    }
    Some(frames)
}
