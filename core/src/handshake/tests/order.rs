//! What came after what, where acknowledgements tell it and the order of the packets does not.

use super::*;

const DATA: ContentType = ContentType::APPLICATION_DATA;

impl Talk {
    /// A record that stays closed, up to this place of its stream, in a packet that acknowledges so much of the other one.
    fn placed(&mut self, side: Side, length: u16, (offset, acknowledged): (u64, u64)) -> &mut Self {
        let place = StreamPlace {
            at: self.next(),
            offset,
            acknowledged: Some(acknowledged),
        };
        let record = RecordEvent::Protected(record(DATA, length));
        self.open
            .event(side, record, place, &mut self.credential_store, &mut self.interner);
        self
    }
}

/// A server's flight of two records that ends at byte 900 of its stream, and two tickets behind it; the client's Finished
/// comes in front of so many of these four.
fn finished_in_front_of(records: usize, acknowledged: Option<u64>) -> crate::session::Connection {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    let server = [(27, 800), (63, 900), (250, 1155), (250, 1410)];
    for (place, (length, end)) in server.into_iter().enumerate() {
        if place == records {
            match acknowledged {
                Some(bytes) => talk.placed(Side::Client, 53, (600, bytes)),
                None => talk.sealed(Side::Client, DATA, 53),
            };
        }
        talk.placed(Side::Server, length, (end, 500));
    }
    if records == server.len() {
        talk.placed(Side::Client, 53, (600, acknowledged.unwrap_or(0)));
    }
    talk.finish().0
}

#[test]
fn the_server_s_flight_ends_where_the_client_s_finished_says_wherever_that_stands() {
    for records in 1..=4 {
        let connection = finished_in_front_of(records, Some(900));
        let flight = connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get);
        assert_eq!(flight, Some(900), "in front of {records}");
        assert_eq!(
            connection.tickets_inferred,
            TicketsInferred::Like(2),
            "in front of {records}"
        );
        assert!(connection.server_side.application_data.is_some());
    }
}

#[test]
fn what_the_client_had_when_it_finished_is_of_the_flight_though_it_may_be_a_ticket() {
    // A server may send tickets before it has the client's Finished (RFC 8446 §4.6.1): nothing tells them from a flight in which
    // no record has the size of Finished.
    let connection = finished_in_front_of(4, Some(1410));
    assert_eq!(
        connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get),
        Some(1410)
    );
    assert_eq!(connection.server_side.application_data, None);
}

#[test]
fn without_an_acknowledgement_the_order_of_the_packets_counts() {
    let connection = finished_in_front_of(2, None);
    assert_eq!(
        connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get),
        Some(900)
    );
    assert_eq!(connection.tickets_inferred, TicketsInferred::Like(2));
    let connection = finished_in_front_of(3, None);
    assert_eq!(
        connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get),
        Some(1155)
    );
}

/// Records of a server in front of the client's Finished, and behind it: what is told of tickets, and where the flight ends.
fn told_of(hello: ServerHello<'_>, before: &[u16], after: &[u16]) -> (TicketsInferred, Option<u32>) {
    let mut talk = Talk::new();
    talk.client(with_psks([psk(&[0xee; 48], 5)])).server(hello);
    let mut end = 100;
    let mut say = |talk: &mut Talk, length: u16| {
        end += u64::from(length) + 5;
        talk.placed(Side::Server, length, (end, 500));
        end
    };
    let mut had = 0;
    for length in before {
        had = say(&mut talk, *length);
    }
    talk.placed(Side::Client, 53, (600, had));
    for length in after {
        say(&mut talk, *length);
    }
    let connection = talk.finish().0;
    let flight = connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get);
    (connection.tickets_inferred, flight)
}

#[test]
fn tickets_may_follow_the_server_s_finished_before_the_client_s() {
    use TicketsInferred::{Like, None, Unclear};
    let cases: [(&[u16], &[u16], TicketsInferred, u32); 13] = [
        // Go, GnuTLS, and a server that has none.
        (&[23, 450, 96, 53, 147], &[20], Like(1), 742),
        (&[23, 450, 96, 53, 268, 268], &[20], Like(2), 742),
        (&[23, 450, 96, 53], &[20], None, 742),
        // One crosses the client's Finished.
        (&[23, 450, 96, 53, 268], &[268, 20], Like(2), 742),
        // JSSE pads.
        (&[39, 466, 112, 69, 166], &[36], Like(1), 806),
        (&[39, 466, 112, 69], &[36], None, 806),
        // Data before the client's Finished: tickets may come behind that.
        (&[23, 450, 96, 53, 30], &[20], Unclear, 742),
        (&[23, 450, 96, 53, 300, 700], &[20], Unclear, 742),
        // EncryptedExtensions and CertificateRequest may be as long as Finished.
        (&[53, 53, 450, 96, 53], &[20], None, 830),
        (&[53, 53, 600], &[20], Unclear, 821),
        // All messages in one record; some of them; and padded ones: tickets may be among them.
        (&[640], &[20], None, 745),
        (&[23, 640], &[20], Unclear, 773),
        (&[512, 512, 512, 512, 512], &[20], Unclear, 2685),
    ];
    for (before, after, tickets, flight) in cases {
        let told = told_of(server_of_tls13(), before, after);
        assert_eq!(told, (tickets, Some(flight)), "{before:?} {after:?}");
    }
}

#[test]
fn a_handshake_with_a_psk_has_no_certificate_in_front_of_finished() {
    let told = |before: &[u16]| {
        let hello = ServerHello {
            selected_psk: Some(0),
            ..server_of_tls13()
        };
        told_of(hello, before, &[20]).0
    };
    assert_eq!(told(&[23, 53, 147]), TicketsInferred::Like(1));
    assert_eq!(told(&[23, 53]), TicketsInferred::None);
    assert_eq!(told(&[53, 53]), TicketsInferred::None);
    assert_eq!(told(&[23 + 36]), TicketsInferred::None, "one record");
    assert_eq!(told(&[40]), TicketsInferred::Unclear, "no room for Finished");
    assert_eq!(told(&[23, 69, 69]), TicketsInferred::Unclear, "two of them");
}

#[test]
fn what_answers_early_data_is_no_ticket() {
    let told = |early_data: bool| {
        let mut talk = Talk::new();
        talk.client(ClientHello {
            early_data,
            ..with_psks([psk(&[0xee; 48], 5)])
        });
        talk.server(ServerHello {
            selected_psk: Some(0),
            ..server_of_tls13()
        });
        for (length, end) in [(23, 128), (53, 186), (300, 491)] {
            talk.placed(Side::Server, length, (end, 500));
        }
        talk.placed(Side::Client, 53, (600, 491));
        talk.finish().0.tickets_inferred
    };
    assert_eq!(told(true), TicketsInferred::Unclear);
    assert_eq!(told(false), TicketsInferred::Like(1));
}

#[test]
fn an_alert_in_answer_to_a_certificate_does_not_show_that_there_were_no_tickets() {
    let told = |client: &[u16], server: &[u16]| {
        let mut talk = Talk::new();
        talk.client(of_tls13()).server(server_of_tls13());
        talk.placed(Side::Server, 640, (745, 500));
        let mut end = 745;
        for length in client {
            talk.placed(Side::Client, *length, (600, end));
        }
        for length in server {
            end += u64::from(*length) + 5;
            talk.placed(Side::Server, *length, (end, 600));
        }
        talk.finish().0.tickets_inferred
    };
    assert_eq!(told(&[25, 53], &[19]), TicketsInferred::Unclear, "an empty certificate");
    assert_eq!(told(&[25, 53], &[20]), TicketsInferred::None, "no alert");
    assert_eq!(told(&[25, 53], &[19, 19]), TicketsInferred::None, "not alone");
    assert_eq!(told(&[53], &[19]), TicketsInferred::None, "no certificate");
}

/// Whether the last record of a side, of the size of an alert, was answered by a record of the other side, which acknowledges so
/// much; behind the server's flight and those records of it.
fn answered(side: Side, server: &[u16], (length, acknowledged): (u16, Option<u64>)) -> bool {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    talk.placed(Side::Server, 640, (745, 500));
    talk.placed(Side::Client, 53, (600, 745));
    let mut end = 745;
    if side == Side::Client {
        talk.placed(side, 19, (624, 745));
    }
    for length in server {
        end += u64::from(*length) + 5;
        talk.placed(Side::Server, *length, (end, 600));
    }
    if side == Side::Server {
        talk.placed(side, 19, (end + 24, 600));
    }
    match acknowledged {
        Some(bytes) => talk.placed(side.other(), length, (2000, bytes)),
        None => talk.sealed(side.other(), DATA, length),
    };
    let [client, server] = talk.open.ends();
    if side == Side::Client {
        client.answered
    } else {
        server.answered
    }
}

#[test]
fn data_answer_a_record_that_they_acknowledge() {
    let client = |server: &[u16], answer| answered(Side::Client, server, answer);
    assert!(client(&[250, 250], (20, Some(624))));
    assert!(client(&[250, 250], (20, None)), "nothing says what it had");
    assert!(!client(&[250, 250], (20, Some(600))), "it had not come");
    assert!(!client(&[250, 250], (19, Some(624))), "an alert");
    assert!(!client(&[], (250, Some(624))), "a ticket");
    assert!(!client(&[250], (250, Some(624))), "two tickets");
    assert!(client(&[250], (300, Some(624))));
    // What a client says first is no answer, whatever it acknowledges.
    assert!(!answered(Side::Server, &[250], (40, Some(2000))));
}

#[test]
fn a_client_that_goes_on_answers_what_the_server_said() {
    let answered = |more: Option<u16>| {
        let mut talk = Talk::new();
        talk.client(of_tls13()).server(server_of_tls13());
        talk.placed(Side::Server, 640, (745, 500));
        talk.placed(Side::Client, 53, (600, 745));
        talk.placed(Side::Client, 40, (645, 745));
        talk.placed(Side::Server, 19, (769, 645));
        talk.placed(Side::Client, 40, (690, 769));
        if let Some(length) = more {
            talk.placed(Side::Server, length, (1200, 690));
        }
        talk.open.ends()[1].answered
    };
    assert!(answered(None));
    assert!(!answered(Some(19)), "the last record counts");
}

#[test]
fn a_record_behind_lost_bytes_does_not_show_how_a_side_pads() {
    let padding = |lost: Option<Side>| {
        let mut talk = Talk::new();
        talk.client(of_tls13()).server(server_of_tls13());
        if let Some(side) = lost {
            talk.open.handshake_lost(side, Blindness::Gap);
        }
        for (length, end) in [(23, 128), (450, 583), (112, 700), (69, 774)] {
            talk.placed(Side::Server, length, (end, 500));
        }
        talk.placed(Side::Client, 69, (600, 774));
        talk.open.ends().map(|end| end.padding)
    };
    assert_eq!(padding(None), [Some(16); 2]);
    assert_eq!(padding(Some(Side::Client)), [None, Some(16)]);
    assert_eq!(padding(Some(Side::Server)), [Some(16), None]);
}

#[test]
fn a_torn_flight_of_the_server_may_have_had_tickets_in_it() {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    // Certificate and CertificateVerify are missing.
    for (length, end) in [(23, 128), (53, 800), (147, 952)] {
        talk.placed(Side::Server, length, (end, 500));
    }
    talk.placed(Side::Client, 53, (600, 952));
    talk.placed(Side::Server, 20, (977, 600));
    assert_eq!(talk.open.ends()[1].padding, None);
    assert_eq!(talk.finish().0.tickets_inferred, TicketsInferred::Unclear);
}

#[test]
fn where_bytes_behind_the_flight_are_missing_no_ticket_is_taken_for_absent() {
    let told = |end: u64| {
        let mut talk = Talk::new();
        talk.client(of_tls13()).server(server_of_tls13());
        talk.placed(Side::Server, 700, (900, 500));
        talk.placed(Side::Client, 53, (600, 900));
        // Too short for a ticket.
        talk.placed(Side::Server, 35, (end, 600));
        talk.finish().0.tickets_inferred
    };
    assert_eq!(told(940), TicketsInferred::None);
    assert_eq!(told(1450), TicketsInferred::Unclear, "510 bytes were not seen");
}

#[test]
fn a_flight_in_one_record_is_never_taken_for_what_follows_it() {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    talk.placed(Side::Server, 700, (900, 500));
    // It acknowledges less than a client has that sends Finished: something rewrote its packets.
    talk.placed(Side::Client, 53, (600, 200));
    let connection = talk.finish().0;
    assert_eq!(connection.server_side.finished, Some(at(103)));
    assert_eq!(
        connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get),
        Some(900)
    );
    assert_eq!(connection.server_side.application_data, None);
}

#[test]
fn whether_data_was_sent_before_the_server_s_finished_is_told_by_what_it_acknowledges() {
    let told = |data_first: bool, acknowledged: u64| {
        let mut talk = Talk::new();
        talk.client(client_hello()).server(server_hello());
        talk.placed(Side::Client, 40, (300, 800));
        let say = |talk: &mut Talk, client: bool| {
            if client {
                talk.placed(Side::Client, 200, (505, acknowledged));
            } else {
                talk.placed(Side::Server, 40, (900, 300));
            }
        };
        say(&mut talk, data_first);
        say(&mut talk, !data_first);
        talk.finish().0.false_start
    };
    for data_first in [true, false] {
        assert_eq!(told(data_first, 800), Some(true));
        assert_eq!(told(data_first, 900), Some(false));
    }
    let mut talk = Talk::new();
    talk.client(client_hello()).server(server_hello());
    for side in [Side::Client, Side::Server, Side::Client] {
        talk.sealed(side, DATA, 40);
    }
    assert_eq!(talk.finish().0.false_start, None, "nothing acknowledges");
}

#[test]
fn a_finished_that_acknowledges_the_answer_is_no_early_data_though_it_stands_in_front() {
    let hello = ClientHello {
        early_data: true,
        ..with_psks([psk(&[0xee; 48], 5)])
    };
    let mut talk = Talk::new();
    talk.client(hello);
    talk.placed(Side::Client, 300, (900, 0));
    // EndOfEarlyData and Finished, by their sizes, before the answer that they acknowledge.
    talk.placed(Side::Client, 21, (926, 700))
        .placed(Side::Client, 53, (984, 700));
    talk.server(ServerHello {
        selected_psk: Some(0),
        ..server_of_tls13()
    });
    talk.placed(Side::Server, 60, (700, 900));
    let connection = talk.finish().0;
    assert_eq!(connection.client_side.finished, Some(at(104)));
    assert!(matches!(connection.early_data, EarlyData::Accepted { .. }));
    assert_eq!(
        connection.server_side.handshake_bytes.map(std::num::NonZeroU32::get),
        Some(700)
    );
}
