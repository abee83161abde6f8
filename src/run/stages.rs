//! The one loop with a thread beside it: this one reads, decodes and puts bytes in order, the other one reads TLS in them.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread;

use super::keys::KeyLogs;
use super::{PACKETS_PER_TICK, RunOptions, RunProgress, Threads};
use crate::capture::Timeline;
use reshake_core::engine::{Engine, StepBatch, TcpStage, TlsStage};

/// Batches that may wait: some milliseconds of work, for as long as a busy machine may keep one of the threads waiting.
const BATCHES: usize = 16;
/// With less memory for what connections hold back than this, what is on its way between two threads would count.
const ENOUGH: usize = 64 << 20;
/// By so many packets it shows whether content dominates.
const SAMPLE: u64 = 16_384;
/// From so many bytes a packet on it does. Downloads have 1,000 and more, pages 700, handshakes 300; the second thread costs
/// time from about 900 on (`docs/performance.md`).
const CONTENT: u64 = 900;

/// How the two threads came to an end.
pub(super) enum StagesEnded {
    /// The timeline is over, or somebody stopped it.
    Run(ControlFlow<()>),
    /// One thread goes on after so many packets: connections hold back so much that some will have to go, or two threads
    /// would only copy content to each other.
    Alone(u64),
}

/// Whether two threads may work on a run.
pub(super) fn fit(options: &RunOptions) -> bool {
    options.threads.count() > 1 && options.follow.is_none() && options.limits.buffered_bytes >= ENOUGH
}

/// Moves packets until the timeline ends or breaks off. Connections that are open stay so.
pub(super) fn pump(
    timeline: &mut Timeline,
    engine: Engine,
    logs: &mut KeyLogs,
    options: &RunOptions,
    watch: &mut dyn FnMut(RunProgress) -> ControlFlow<()>,
) -> (Engine, StagesEnded) {
    let mut front = TcpStage::new(&options.limits);
    let (give, full) = sync_channel(BATCHES);
    let (give_back, empty) = sync_channel(2 * BATCHES);
    let (warn, warnings) = channel();
    let held = AtomicUsize::new(0);
    let (back, ended) = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut back = TlsStage::new(engine);
            work(&mut back, full, give_back, &held);
            back
        });
        let belt = StageChannel {
            give,
            empty,
            warn,
            held: &held,
            room: options.limits.buffered_bytes / 2,
        };
        let ended = belt.feed(timeline, &mut front, logs, options, watch);
        belt.hand_over(front.take(StepBatch::default()));
        drop(belt);
        let back = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (back, ended)
    });
    logs.warn(warnings.try_iter());
    (back.join(front), ended)
}

/// The other thread. It takes the ends of both channels, so that they close when it is gone.
#[allow(clippy::needless_pass_by_value)]
fn work(back: &mut TlsStage, full: Receiver<StepBatch>, give_back: SyncSender<StepBatch>, held: &AtomicUsize) {
    for batch in &full {
        let used = back.take(batch);
        held.store(back.buffered(), Ordering::Relaxed);
        // The other side may be done and want no more.
        let _ = give_back.try_send(used);
    }
}

/// What goes between the two threads.
struct StageChannel<'a> {
    give: SyncSender<StepBatch>,
    empty: Receiver<StepBatch>,
    warn: Sender<String>,
    /// Bytes that the other thread's connections hold back.
    held: &'a AtomicUsize,
    /// Bytes that connections may hold back in all before one thread goes on alone.
    room: usize,
}

impl StageChannel<'_> {
    /// Waits while too many batches wait, and says whether it did. A thread that is gone panicked, and says so when it is joined.
    fn hand_over(&self, batch: StepBatch) -> bool {
        match self.give.try_send(batch) {
            Err(TrySendError::Full(batch)) => self.give.send(batch).is_ok(),
            Ok(()) | Err(TrySendError::Disconnected(_)) => false,
        }
    }

    fn feed(
        &self,
        timeline: &mut Timeline,
        front: &mut TcpStage,
        logs: &mut KeyLogs,
        options: &RunOptions,
        watch: &mut dyn FnMut(RunProgress) -> ControlFlow<()>,
    ) -> StagesEnded {
        let size = timeline.size();
        let limit = options.packets.unwrap_or(u64::MAX);
        let mut sampled = 0;
        let blocks = timeline.may_bring_secrets();
        let mut packets = 0;
        while packets < limit {
            if blocks && timeline.brings_secrets() {
                self.order_keys(timeline, front, logs, packets > 0);
            }
            let Some(packet) = &timeline.next() else {
                return StagesEnded::Run(ControlFlow::Continue(()));
            };
            front.push(packet);
            packets += 1;
            if front.is_full() {
                let waited = self.hand_over(front.take(self.empty.try_recv().unwrap_or_default()));
                front.make_room(waited);
            }
            if front.held() + self.held.load(Ordering::Relaxed) > self.room {
                return StagesEnded::Alone(packets);
            }
            if packets <= SAMPLE && options.threads == Threads::Auto {
                sampled += packet.data.len() as u64;
                if packets == SAMPLE && sampled >= SAMPLE * CONTENT {
                    return StagesEnded::Alone(packets);
                }
            }
            if packets.is_multiple_of(PACKETS_PER_TICK) {
                let bytes = timeline.captures().map(|capture| capture.bytes).sum();
                if watch(RunProgress { packets, bytes, size }).is_break() {
                    break;
                }
            }
        }
        StagesEnded::Run(ControlFlow::Break(()))
    }

    /// Has the secrets that stand here read before the next packet.
    fn order_keys(&self, timeline: &mut Timeline, front: &mut TcpStage, logs: &mut KeyLogs, more: bool) {
        for block in logs.find_blocks(timeline) {
            let warn = self.warn.clone();
            front.order(Box::new(move |engine| {
                for warning in block.read(engine) {
                    let _ = warn.send(warning);
                }
            }));
        }
        if more {
            front.expect_keys();
        }
    }
}
