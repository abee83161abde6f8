//! One connection by two clocks: what stands on one side of it is told by the clock of the other.

use crate::net::{At, Timestamp};

use super::close::SideClose;
use super::connection::Connection;
use super::seen::Seen;
use super::side::{Side, SideFacts};
use super::transport::TransportKind;

/// Sets back what a clock stamped that was ahead by so many nanoseconds.
pub fn set_back_by(at: &mut At, ahead: i64) {
    at.time = Timestamp::from_nanos(at.time.nanos().saturating_sub(ahead));
}

/// The server's clock was ahead of the client's by so many nanoseconds when this connection was captured: whatever the
/// server sent is set back by them, so that what both sides did can be put in order.
pub fn set_server_back(connection: &mut Connection, end: &mut SideClose, ahead: i64) {
    let back = |at: &mut At| set_back_by(at, ahead);
    if let Seen::Yes(answer) = &mut connection.answer {
        back(&mut answer.at);
    }
    set_back(connection.side_mut(Side::Server), back);
    for record in [&mut end.last, &mut end.before_last].into_iter().flatten() {
        back(&mut record.at);
    }
    end.plain.iter_mut().for_each(back);
}

/// Whether a flight of the handshake stands in front of the one that it answers: two clocks stamped the two sides, or the
/// packets of one were held up on their way to where they were captured. Then nothing holds that rests on the order of both
/// sides' packets and that no acknowledgement tells.
#[must_use]
pub fn clocks_differ(connection: &Connection) -> bool {
    let hello = connection.hello.yes().map(|hello| hello.at);
    let answer = connection.answer.yes().map(|answer| answer.at);
    // The last Handshake packet of a QUIC server may acknowledge the client's Finished.
    let told = connection.shape.yes().is_some() && connection.transport.kind() != TransportKind::Quic;
    let order = connection.finish_order().filter(|_| told);
    let finished = |side: Side| connection.side(side).finished;
    // Behind lost bytes what is taken for a Finished may be what follows it.
    let read = |side: Side| finished(side).filter(|_| connection.side(side).handshake_loss.is_none());
    let ends = order.map_or((None, None), |[first, second]| (read(first), finished(second)));
    [(hello, answer), (answer, finished(Side::Client)), ends]
        .into_iter()
        .any(|(earlier, later)| {
            earlier
                .zip(later)
                .is_some_and(|(earlier, later)| later.time < earlier.time)
        })
}

/// Whether the clock was set back while this connection was captured: what a side closed with, given for client and server,
/// stands behind its hello in the file and before it in time. Then the times of what both did are those of two clocks.
#[must_use]
pub fn was_set_back(connection: &Connection, closes: [Option<At>; 2]) -> bool {
    let hellos = [
        connection.hello.yes().map(|hello| hello.at),
        connection.answer.yes().map(|answer| answer.at),
    ];
    let pairs = hellos.into_iter().zip(closes);
    let mut pairs = pairs.filter_map(|(hello, close)| hello.zip(close));
    pairs.any(|(hello, close)| {
        let in_one_file = hello.frame.capture() == close.frame.capture();
        in_one_file && hello.frame < close.frame && close.time < hello.time
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::connection::Shape;
    use crate::session::seen::Blindness;
    use crate::session::tests::{answered, at};
    use crate::tls::ProtocolVersion;

    /// A handshake by the seconds of its hello, answer, and the Finished of client and server.
    fn differ(version: ProtocolVersion, shape: Seen<Shape>, [hello, answer, client, server]: [u32; 4]) -> bool {
        let mut connection = answered(hello, "a.test", version);
        connection.answer.yes_mut().expect("an answer").at = at(answer);
        connection.client_side.finished = Some(at(client));
        connection.server_side.finished = Some(at(server));
        connection.shape = shape;
        clocks_differ(&connection)
    }

    #[test]
    fn an_answer_in_front_of_what_it_answers_shows_two_clocks() {
        let full = Seen::Yes(Shape::Full(at(2)));
        let abbreviated = Seen::Yes(Shape::Abbreviated(at(2)));
        let blind = Seen::Blind(Blindness::Gap);
        for (version, shape, seconds, told) in [
            (ProtocolVersion::TLS_1_2, full, [1, 2, 3, 4], false),
            (ProtocolVersion::TLS_1_2, full, [1, 2, 4, 3], true),
            (ProtocolVersion::TLS_1_2, abbreviated, [1, 2, 4, 3], false),
            (ProtocolVersion::TLS_1_2, abbreviated, [1, 2, 3, 4], true),
            (ProtocolVersion::TLS_1_3, full, [1, 2, 4, 3], false),
            (ProtocolVersion::DTLS_1_3, full, [1, 2, 4, 3], false),
            (ProtocolVersion::DTLS_1_3, full, [1, 2, 3, 4], true),
            // The server's clock is behind, or so far ahead that the client goes on before it is answered.
            (ProtocolVersion::TLS_1_2, full, [2, 1, 3, 4], true),
            (ProtocolVersion::TLS_1_2, full, [1, 3, 2, 4], true),
            (ProtocolVersion::TLS_1_2, blind, [1, 2, 4, 3], false),
            (ProtocolVersion::TLS_1_2, blind, [1, 3, 2, 4], true),
        ] {
            assert_eq!(differ(version, shape, seconds), told, "{version:?} {seconds:?}");
        }
    }

    #[test]
    fn a_clock_is_set_back_where_the_end_of_a_side_is_stamped_before_its_hello() {
        let connection = answered(10, "a.test", ProtocolVersion::TLS_1_2);
        let [hello, answer] = [
            connection.hello.yes().expect("a hello").at,
            connection.answer.yes().expect("an answer").at,
        ];
        let behind = |at: At, frames: i64, nanos: i64| {
            let frame = u64::try_from(i64::try_from(at.frame.frame()).unwrap_or_default() + frames).unwrap_or_default();
            Some(At {
                frame: crate::net::FrameRef::new(at.frame.capture(), frame),
                time: Timestamp::from_nanos(at.time.nanos() + nanos),
            })
        };
        for (closes, told) in [
            ([None, None], false),
            ([behind(hello, 5, 5), behind(answer, 5, 5)], false),
            ([behind(hello, 5, -5), None], true),
            ([behind(hello, 5, 5), behind(answer, 5, -5)], true),
            // Two captures, put one behind the other.
            ([behind(hello, -5, -5), None], false),
        ] {
            assert_eq!(was_set_back(&connection, closes), told, "{closes:?}");
        }
    }

    #[test]
    fn behind_lost_bytes_a_finished_may_be_what_follows_it() {
        let mut lossy = answered(1, "a.test", ProtocolVersion::TLS_1_2);
        lossy.shape = Seen::Yes(Shape::Full(at(2)));
        lossy.client_side.finished = Some(at(4));
        lossy.server_side.finished = Some(at(3));
        assert!(clocks_differ(&lossy));
        lossy.client_side.handshake_loss = Some(Blindness::Gap);
        assert!(!clocks_differ(&lossy));
    }
}
