//! One connection by two clocks: what stands on one side of it is told by the clock of the other.

use crate::net::{At, Timestamp};

use super::close::SideClose;
use super::connection::Connection;
use super::seen::Seen;
use super::side::{Side, SideFacts};

/// The server's clock was ahead of the client's by so many nanoseconds when this connection was captured: whatever the
/// server sent is set back by them, so that what both sides did can be put in order.
pub fn set_server_back(connection: &mut Connection, end: &mut SideClose, ahead: i64) {
    let back = |at: &mut At| at.time = Timestamp::from_nanos(at.time.nanos().saturating_sub(ahead));
    if let Seen::Yes(answer) = &mut connection.answer {
        back(&mut answer.at);
    }
    set_back(connection.side_mut(Side::Server), back);
    for record in [&mut end.last, &mut end.before_last].into_iter().flatten() {
        back(&mut record.at);
    }
    end.plain.iter_mut().for_each(back);
}

fn set_back(side: &mut SideFacts, back: impl Fn(&mut At)) {
    let times = [&mut side.finished, &mut side.application_data, &mut side.fin];
    times.into_iter().flatten().for_each(&back);
    if let Some(reset) = &mut side.reset {
        back(&mut reset.at);
    }
    if let Some(alert) = &mut side.alert {
        back(&mut alert.at);
    }
}
