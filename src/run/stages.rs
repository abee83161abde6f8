//! The one loop with a thread beside it: this one reads, decodes and puts bytes in order, the other one reads TLS in them.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::keys::KeyLogs;
use super::{Options, PACKETS_PER_TICK, Progress};
use crate::engine::{Back, Batch, Engine, Front};
use crate::source::Timeline;

/// Batches that may wait: enough that neither thread waits for the other's every step.
const BATCHES: usize = 4;

/// Moves packets until the timeline ends or breaks off, and ends every connection.
pub(super) fn pump(
    timeline: &mut Timeline,
    engine: Engine,
    logs: &mut KeyLogs,
    options: &Options,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> (Engine, ControlFlow<()>) {
    let mut front = Front::new(options.limits.flows);
    let (give, full) = sync_channel(BATCHES);
    let (give_back, empty) = sync_channel(2 * BATCHES);
    let (warn, warnings) = channel();
    let mut back = Back::new(engine);
    let (decoder, back, ended) = thread::scope(|scope| {
        let reading = scope.spawn(move || {
            work(&mut back, &full, &give_back);
            back
        });
        let belt = Belt { give, empty, warn };
        let ended = belt.feed(timeline, &mut front, logs, options.packets, watch);
        let decoder = front.finish(|batch| belt.hand_over(batch));
        drop(belt);
        match reading.join() {
            Ok(back) => (decoder, back, ended),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    logs.warn(warnings.try_iter());
    (back.into_engine(decoder), ended)
}

/// The other thread.
fn work(back: &mut Back, full: &Receiver<Batch>, give_back: &SyncSender<Batch>) {
    for batch in full {
        // The other side may be done and want no more.
        let _ = give_back.try_send(back.take(batch));
    }
}

/// What goes between the two threads.
struct Belt {
    give: SyncSender<Batch>,
    empty: Receiver<Batch>,
    warn: Sender<String>,
}

impl Belt {
    /// Waits while too many batches wait. A thread that is gone panicked, and says so when it is joined.
    fn hand_over(&self, batch: Batch) {
        let _ = self.give.send(batch);
    }

    fn feed(
        &self,
        timeline: &mut Timeline,
        front: &mut Front,
        logs: &mut KeyLogs,
        limit: Option<u64>,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let size = timeline.size();
        let limit = limit.unwrap_or(u64::MAX);
        let blocks = timeline.may_bring_secrets();
        let mut packets = 0;
        while packets < limit {
            if blocks && timeline.brings_secrets() {
                self.order_keys(timeline, front, logs, packets > 0);
            }
            let Some(packet) = timeline.next() else {
                return ControlFlow::Continue(());
            };
            front.push(&packet);
            packets += 1;
            if front.is_full() {
                self.hand_over(front.take(self.empty.try_recv().unwrap_or_default()));
            }
            if packets.is_multiple_of(PACKETS_PER_TICK) {
                let bytes = timeline.captures().map(|capture| capture.bytes).sum();
                watch(Progress { packets, bytes, size })?;
            }
        }
        ControlFlow::Break(())
    }

    /// Has the secrets that stand here read before the next packet.
    fn order_keys(&self, timeline: &mut Timeline, front: &mut Front, logs: &mut KeyLogs, more: bool) {
        for block in logs.find_blocks(timeline) {
            let warn = self.warn.clone();
            front.order(Box::new(move |engine| {
                for warning in block.read(engine) {
                    let _ = warn.send(warning);
                }
            }));
        }
        if more {
            front.order(Box::new(Engine::expect_keys));
        }
    }
}
