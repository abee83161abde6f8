//! What a live run does while it waits for a packet.

use std::ops::ControlFlow;

use super::{Live, LiveSnapshot, Onlooker, RunOptions};
use crate::capture::Source;
use reshake_core::engine::TlsEvent;
use reshake_core::net::capture::CaptureFormat;
use reshake_core::net::{Capture, Packet, Timestamp};

/// A source that ends, after it was asked so often in vain whether it has anything.
struct Late(u32, Capture);

impl Source for Late {
    fn next(&mut self) -> Option<Packet<'_>> {
        None
    }

    fn is_ready(&mut self) -> bool {
        let asked = self.0;
        self.0 = asked.saturating_sub(1);
        asked == 0
    }

    fn peek(&mut self) -> Option<Timestamp> {
        None
    }

    fn capture(&self) -> &Capture {
        &self.1
    }
}

/// Somebody with so much to do that can wait.
struct Busy(u32, u32);

impl Onlooker for Busy {
    fn happened(&mut self, _: LiveSnapshot<'_>, _: TlsEvent) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn tick(&mut self, _: LiveSnapshot<'_>, _: bool) -> ControlFlow<()> {
        self.1 += 1;
        ControlFlow::Continue(())
    }

    fn spare(&mut self, _: LiveSnapshot<'_>) -> ControlFlow<(), bool> {
        self.0 -= 1;
        ControlFlow::Continue(self.0 > 0)
    }
}

#[test]
fn what_can_wait_is_done_while_no_packet_is_there() {
    let look = |vain: u32, work: u32| {
        let source = Late(vain, Capture::new("late", CaptureFormat::Pcap));
        let mut busy = Busy(work, 0);
        let live = Live::new(Box::new(source), &[]);
        drop(live.run(&RunOptions::default(), &mut busy, &mut |_| ()));
        (busy.0, busy.1)
    };
    assert_eq!(look(5, 100), (95, 0), "a packet is not kept waiting");
    assert_eq!(look(100, 5), (0, 0));
    // Whoever wants it to stop is heard meanwhile.
    assert_eq!(look(1000, 2000), (1000, 3));
}
