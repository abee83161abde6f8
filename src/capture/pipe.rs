//! A capture that is piped in while it is being made: another thread reads it and this source never waits for long, so
//! that time passes also while nothing comes. What was read and is not taken yet is bounded.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::{Pause, Source, SourceError, from_reader};
use reshake_core::net::capture::CaptureFormat;
use reshake_core::net::{Capture, FrameRef, LinkType, Packet, Timestamp};

/// Bytes read ahead at most; beyond that the sender waits.
const AHEAD: usize = 8 << 20;
/// Packets are gathered, and batches that wait put together, up to so many bytes: of a slow sender each holds a packet.
const TOGETHER: usize = 64 << 10;
/// How long to wait for a packet before time is told to pass.
const PATIENCE: Duration = Duration::from_millis(100);
/// Senders may hold packets back for a while: only what is older than this is sure to have come.
const DELAY: i64 = 3_000_000_000;

/// A capture that comes through standard input or another byte stream.
pub struct Pipe {
    shared: Arc<Shared>,
    batch: Batch,
    /// Bytes of the batch that are taken already.
    taken: usize,
    capture: Capture,
    error: Option<SourceError>,
    /// Time of the latest packet, and when it came.
    latest: Option<(Timestamp, Instant)>,
    over: bool,
}

/// Packets on their way from one thread to the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    packets: VecDeque<Head>,
    /// Key logs, each with the number of packets of this batch that stand before it.
    secrets: VecDeque<(u64, Vec<u8>)>,
    /// Packets of this batch that are taken already.
    given: u64,
    capture: Option<Capture>,
    /// Nothing more comes.
    over: bool,
    /// Why, where that is no ordinary end.
    error: Option<SourceError>,
}

impl Batch {
    fn is_nothing(&self) -> bool {
        self.packets.is_empty() && self.secrets.is_empty() && !self.over
    }

    /// Bytes that its packets take, those without content too.
    fn size(&self) -> usize {
        self.bytes.len() + self.packets.len() * size_of::<Head>()
    }

    /// Key logs that stand behind the packets so far.
    fn add_secrets(&mut self, secrets: Vec<Vec<u8>>) {
        let before = self.packets.len() as u64;
        self.secrets.extend(secrets.into_iter().map(|text| (before, text)));
    }

    /// Puts another one, of which nothing was taken, behind this one, and leaves nothing of it but its memory.
    fn append(&mut self, next: &mut Self) {
        let before = self.packets.len() as u64;
        self.bytes.extend_from_slice(&next.bytes);
        self.packets.append(&mut next.packets);
        let secrets = next.secrets.drain(..);
        self.secrets.extend(secrets.map(|(place, text)| (before + place, text)));
        self.capture = next.capture.take().or(self.capture.take());
        self.over |= next.over;
        self.error = self.error.take().or(next.error.take());
        next.clear();
    }

    /// Leaves nothing but its memory.
    fn clear(&mut self) {
        let (mut bytes, mut packets) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.packets));
        bytes.clear();
        packets.clear();
        *self = Self {
            bytes,
            packets,
            ..Self::default()
        };
    }
}

struct Head {
    frame: FrameRef,
    time: Timestamp,
    link: LinkType,
    interface: u32,
    length: usize,
    original_len: u32,
}

/// Batches that were handed over, in their order.
#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    /// Bytes of them.
    bytes: usize,
    /// Batches of which all was taken: their memory is used again. There are never more than were handed over at once.
    emptied: Vec<Batch>,
}

impl Queue {
    /// So much waits that the sender does.
    const fn is_full(&self) -> bool {
        self.bytes > AHEAD
    }

    fn push(&mut self, batch: &mut Batch) {
        self.bytes += batch.size();
        match self.batches.back_mut() {
            Some(last) if last.size() + batch.size() <= TOGETHER => last.append(batch),
            _ => {
                let room = self.emptied.pop().unwrap_or_default();
                self.batches.push_back(std::mem::replace(batch, room));
            }
        }
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something came.
    filled: Condvar,
    /// Something was taken.
    emptied: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after each step, whatever became of the other thread.
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pipe {
    /// Reads a capture from a byte stream; `name` stands for its path, `capture` is the index of its frames.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn open(name: &str, reader: Box<dyn Read + Send>, capture: u16) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let sending = Sending {
            gathered: Arc::default(),
            shared: Arc::clone(&shared),
        };
        let path = name.to_owned();
        let work = move || {
            let reader = Box::new(HandingOver {
                reader,
                sending: sending.clone(),
            });
            match from_reader(&path, reader, None, capture) {
                Ok(mut source) => pass_on(source.as_mut(), &sending),
                Err(error) => sending.end(Batch {
                    error: Some(error),
                    ..Batch::default()
                }),
            }
        };
        thread::Builder::new().name("pipe".to_owned()).spawn(work)?;
        Ok(Self {
            shared,
            batch: Batch::default(),
            taken: 0,
            capture: Capture::new(name, CaptureFormat::Pcap),
            error: None,
            latest: None,
            over: false,
        })
    }

    /// Takes what came meanwhile. `false` when nothing did.
    fn refill(&mut self) -> bool {
        let empty = |queue: &mut Queue| queue.batches.is_empty();
        let waited = self
            .shared
            .filled
            .wait_timeout_while(self.shared.lock(), PATIENCE, empty);
        let (mut queue, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(next) = queue.batches.pop_front() else {
            return false;
        };
        let was_full = queue.is_full();
        queue.bytes = queue.bytes.saturating_sub(next.size());
        let is_room = was_full && !queue.is_full();
        let mut taken = std::mem::replace(&mut self.batch, next);
        taken.clear();
        // One that a huge packet made large is not kept.
        if taken.bytes.capacity() <= 2 * TOGETHER {
            queue.emptied.push(taken);
        }
        drop(queue);
        if is_room {
            self.shared.emptied.notify_one();
        }
        self.taken = 0;
        if let Some(capture) = self.batch.capture.take() {
            self.capture = capture;
        }
        if self.batch.over {
            self.over = true;
            self.error = self.batch.error.take();
        }
        !self.batch.packets.is_empty()
    }

    fn secrets_are_next(&self) -> bool {
        let due = |(before, _): &(u64, Vec<u8>)| *before <= self.batch.given;
        self.batch.secrets.front().is_some_and(due)
    }
}

/// The sending side: packets are gathered, and handed over together.
#[derive(Clone)]
struct Sending {
    /// Only the sending thread locks it: while it reads a packet, and while it waits for bytes.
    gathered: Arc<Mutex<Batch>>,
    shared: Arc<Shared>,
}

impl Sending {
    fn gathered(&self) -> MutexGuard<'_, Batch> {
        self.gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands over what was gathered, once there is room for it.
    fn hand_over(&self) {
        let mut gathered = self.gathered();
        if gathered.is_nothing() {
            return;
        }
        let full = |queue: &mut Queue| queue.is_full();
        let waited = self.shared.emptied.wait_while(self.shared.lock(), full);
        let mut queue = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        // To wake another thread is a call of the system, whether or not it waits: it waits for the first one alone.
        let is_first = queue.batches.is_empty();
        queue.push(&mut gathered);
        drop(queue);
        if is_first {
            self.shared.filled.notify_one();
        }
    }

    /// Nothing comes behind `last`.
    fn end(&self, mut last: Batch) {
        last.over = true;
        self.gathered().append(&mut last);
        self.hand_over();
    }
}

/// The byte stream. It is read when all packets at hand were taken from what was read before: whoever waits for bytes must
/// not hold packets back meanwhile, and to hand over each by itself would wake the other thread for each.
struct HandingOver {
    reader: Box<dyn Read + Send>,
    sending: Sending,
}

impl Read for HandingOver {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.sending.hand_over();
        self.reader.read(space)
    }
}

/// Reads a source to its end.
fn pass_on(source: &mut dyn Source, sending: &Sending) {
    loop {
        let secrets = if source.brings_secrets() {
            source.secrets()
        } else {
            Vec::new()
        };
        let Some(packet) = source.next() else { break };
        let mut gathered = sending.gathered();
        gathered.add_secrets(secrets);
        gathered.bytes.extend_from_slice(packet.data);
        gathered.packets.push_back(Head {
            frame: packet.frame,
            time: packet.time,
            link: packet.link,
            interface: packet.interface,
            length: packet.data.len(),
            original_len: packet.original_len,
        });
        // Of the first packet of a batch: a copy for each would cost as much as the packet, and this side is ahead anyway.
        if gathered.capture.is_none() {
            gathered.capture = Some(source.capture().clone());
        }
        let is_full = gathered.size() >= TOGETHER;
        drop(gathered);
        // A compressed stream may hold far more than what is read of it at once.
        if is_full {
            sending.hand_over();
        }
    }
    let mut last = Batch {
        capture: Some(source.capture().clone()),
        error: source.take_error(),
        ..Batch::default()
    };
    last.add_secrets(source.secrets());
    sending.end(last);
}

impl Source for Pipe {
    fn next(&mut self) -> Option<Packet<'_>> {
        if self.batch.packets.is_empty() && (self.over || !self.refill()) {
            return None;
        }
        if self.secrets_are_next() {
            // They are asked for before the packet behind them.
            return None;
        }
        let head = self.batch.packets.pop_front()?;
        let from = self.taken;
        self.taken += head.length;
        self.batch.given += 1;
        if self.batch.packets.is_empty() {
            self.latest = Some((head.time, Instant::now()));
        }
        Some(Packet {
            frame: head.frame,
            time: head.time,
            link: head.link,
            interface: head.interface,
            data: self.batch.bytes.get(from..self.taken).unwrap_or_default(),
            original_len: head.original_len,
        })
    }

    fn is_ready(&mut self) -> bool {
        let at_hand = self.over || !self.batch.packets.is_empty() || !self.batch.secrets.is_empty();
        at_hand || !self.shared.lock().batches.is_empty()
    }

    fn peek(&mut self) -> Option<Timestamp> {
        if self.batch.packets.is_empty() && !self.over {
            self.refill();
        }
        self.batch.packets.front().map(|head| head.time)
    }

    fn capture(&self) -> &Capture {
        &self.capture
    }

    fn error(&self) -> Option<&SourceError> {
        self.error.as_ref()
    }

    fn pause(&self) -> Pause {
        if self.over && self.batch.packets.is_empty() && self.batch.secrets.is_empty() {
            return Pause::Over;
        }
        if !self.batch.packets.is_empty() {
            return Pause::Idle(None);
        }
        Pause::Idle(self.latest.map(|(time, came)| {
            let since = i64::try_from(came.elapsed().as_nanos()).unwrap_or(i64::MAX);
            Timestamp::from_nanos(time.nanos().saturating_add(since.saturating_sub(DELAY).max(0)))
        }))
    }

    fn brings_secrets(&mut self) -> bool {
        self.secrets_are_next()
    }

    fn secrets(&mut self) -> Vec<Vec<u8>> {
        let mut due = Vec::new();
        while self.secrets_are_next() {
            due.extend(self.batch.secrets.pop_front().map(|(_, text)| text));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;
    use crate::capture::testing::plain_pcap;

    /// A byte stream whose pieces are handed over one by one.
    struct Pieces(Receiver<Vec<u8>>, Vec<u8>);

    impl Read for Pieces {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            if self.1.is_empty() {
                self.1 = self.0.recv().unwrap_or_default();
            }
            let count = self.1.len().min(space.len());
            for (to, from) in space.iter_mut().zip(self.1.drain(..count)) {
                *to = from;
            }
            Ok(count)
        }
    }

    fn frame(pipe: &mut Pipe) -> Option<u64> {
        loop {
            if let Some(packet) = pipe.next() {
                return Some(packet.frame.frame());
            }
            if pipe.pause() == Pause::Over {
                return None;
            }
        }
    }

    #[test]
    fn packets_come_as_they_are_written_and_silence_is_no_end() {
        let bytes = plain_pcap(3);
        let (front, back) = bytes.split_at(24 + 56 + 10);
        let (send, pieces) = mpsc::channel();
        let mut pipe = Pipe::open("-", Box::new(Pieces(pieces, Vec::new())), 0).expect("a thread");
        assert!(!pipe.is_ready(), "it would wait");
        assert!(pipe.next().is_none(), "nothing was sent");
        assert_eq!(pipe.pause(), Pause::Idle(None));
        send.send(front.to_vec()).expect("a reader");
        assert_eq!(frame(&mut pipe), Some(1));
        assert!(pipe.next().is_none(), "half a packet was sent");
        assert!(matches!(pipe.pause(), Pause::Idle(Some(_))));
        send.send(back.to_vec()).expect("a reader");
        assert_eq!(frame(&mut pipe), Some(2));
        drop(send);
        assert_eq!(frame(&mut pipe), Some(3));
        assert_eq!(frame(&mut pipe), None);
        assert!(pipe.is_ready(), "the end need not be waited for");
        assert_eq!(pipe.capture().packets, 3);
        assert!(pipe.error().is_none());
    }

    #[test]
    fn what_is_handed_over_at_once_is_bounded_however_much_a_compressed_stream_holds() {
        use std::io::Write;

        let some = plain_pcap(250);
        let capture = [&some[..24], &some[24..].repeat(80)].concat();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&capture).expect("memory takes all");
        let bytes = encoder.finish().expect("memory takes all");
        let shared = Arc::new(Shared::default());
        let sending = Sending {
            gathered: Arc::default(),
            shared: Arc::clone(&shared),
        };
        let reader = HandingOver {
            reader: Box::new(io::Cursor::new(bytes)),
            sending: sending.clone(),
        };
        let mut source = from_reader("-", Box::new(reader), None, 0).expect("a capture");
        pass_on(source.as_mut(), &sending);
        let queue = shared.lock();
        let sizes: Vec<usize> = queue.batches.iter().map(Batch::size).collect();
        let sum: usize = sizes.iter().sum();
        assert!(sum > 8 * TOGETHER && queue.bytes == sum, "{sum}");
        assert!(sizes.iter().all(|size| *size < TOGETHER + 1024), "{sizes:?}");
        let given: usize = queue.batches.iter().map(|batch| batch.packets.len()).sum();
        assert_eq!(given, 80 * 250);
    }

    #[test]
    fn what_is_no_capture_is_named() {
        let mut pipe = Pipe::open("-", Box::new(io::Cursor::new(b"hello world".to_vec())), 0).expect("a thread");
        assert_eq!(frame(&mut pipe), None);
        let text = pipe.error().expect("an error").to_string();
        assert!(text.starts_with("-: is not a capture file"), "{text}");
    }
}
