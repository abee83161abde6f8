//! What records hold that were read with keys.

use super::*;
use crate::tls::handshake::EncryptedExtensions;

/// A connection of TLS 1.3 of which the server's flight was read with keys, and which the server has ended.
fn read_with_keys() -> Talk {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    for side in [Side::Server, Side::Client] {
        talk.inner(side, &Message::Other(HandshakeType::FINISHED));
    }
    talk.open.facts_mut().server_side.fin = Some(at(500));
    talk
}

#[test]
fn where_the_capture_ends_behind_the_handshake_a_ticket_may_still_come() {
    let tickets = |change: fn(&mut Talk)| {
        let mut talk = read_with_keys();
        talk.open.facts_mut().server_side.fin = None;
        change(&mut talk);
        talk.finish().0.tickets_inferred
    };
    let none = TicketsInferred::Read {
        usable: false,
        complete: true,
    };
    assert_ne!(tickets(|_| ()), none);
    // The server has gone on, or has ended it.
    assert_eq!(
        tickets(|talk| talk.open.facts_mut().server_side.application_data = Some(at(500))),
        none
    );
    assert_eq!(
        tickets(|talk| talk.open.facts_mut().server_side.fin = Some(at(500))),
        none
    );
    // Data in front of the client's Finished says nothing.
    assert_ne!(
        tickets(|talk| talk.open.facts_mut().server_side.application_data = Some(at(1))),
        none
    );
}

#[test]
fn a_client_that_leaves_behind_its_finished_does_not_show_that_the_server_issues_nothing() {
    let left: [fn(&mut Talk); 2] = [
        |talk| talk.open.facts_mut().client_side.fin = Some(at(500)),
        |talk| {
            talk.open.facts_mut().client_side.reset = Some(crate::tcp::Reset {
                at: at(500),
                form: crate::tcp::ResetForm::Active,
                doubtful: false,
            });
        },
    ];
    for left in left {
        let mut talk = read_with_keys();
        talk.open.facts_mut().server_side.fin = None;
        left(&mut talk);
        assert_eq!(talk.finish().0.tickets_inferred, TicketsInferred::Unclear);
    }
}

#[test]
fn a_ticket_that_is_to_be_discarded_at_once_is_none() {
    let tickets = |lifetimes: &[u32]| {
        let mut talk = read_with_keys();
        for lifetime in lifetimes {
            let ticket = PskTicket {
                lifetime: *lifetime,
                age_add: 5,
                ticket: &lifetime.to_be_bytes(),
                max_early_data: None,
            };
            talk.inner(Side::Server, &Message::PskTicket(ticket));
        }
        talk.finish().0.tickets_inferred
    };
    let read = |usable| TicketsInferred::Read { usable, complete: true };
    assert_eq!(tickets(&[]), read(false));
    assert_eq!(tickets(&[0]), read(false));
    assert_eq!(tickets(&[0, 1]), read(true));
}

#[test]
fn what_was_read_is_complete_only_when_nothing_stayed_closed_or_was_lost() {
    fn sealed(talk: &mut Talk, side: Side) {
        talk.sealed(side, DATA, 300);
    }

    let tickets = |change: fn(&mut Talk)| {
        let mut talk = read_with_keys();
        change(&mut talk);
        talk.finish().0.tickets_inferred
    };
    let none = TicketsInferred::Read {
        usable: false,
        complete: true,
    };
    assert_eq!(tickets(|_| ()), none);
    assert_ne!(tickets(|talk| sealed(talk, Side::Server)), none);
    assert_eq!(tickets(|talk| sealed(talk, Side::Client)), none);
    let lost: [fn(&mut Talk); 2] = [
        |talk| talk.open.facts_mut().server_side.tail_loss = Some(Blindness::Gap),
        |talk| talk.open.facts_mut().server_side.handshake_loss = Some(Blindness::Gap),
    ];
    for change in lost {
        assert_ne!(tickets(change), none);
    }
}

/// The server's alert behind both Finished, which was read: whether that handshake came to its end, and what is told of tickets.
fn alerted(description: AlertDescription, change: fn(&mut Talk)) -> (Completed, TicketsInferred) {
    let mut talk = read_with_keys();
    change(&mut talk);
    let (at, content) = (
        talk.next(),
        Content::Alert {
            fatal: true,
            description,
        },
    );
    talk.open
        .opened(Side::Server, &record(DATA, 19), content, StreamPlace::new(at, 900));
    let mut connection = talk.finish().0;
    connection.client_side.captured = true;
    connection.server_side.captured = true;
    (connection.judge_completed(None), connection.tickets_inferred)
}

#[test]
fn a_client_certificate_that_is_refused_breaks_a_handshake_that_seemed_complete() {
    let (completed, tickets) = alerted(AlertDescription::CERTIFICATE_REQUIRED, |_| ());
    assert_eq!((completed, tickets), (Completed::No, TicketsInferred::Unclear));
    // The server had taken the client's Finished, as its data show, or its ticket.
    let data = |talk: &mut Talk| talk.open.facts_mut().server_side.application_data = Some(at(104));
    let (completed, tickets) = alerted(AlertDescription::CERTIFICATE_REQUIRED, data);
    let none = TicketsInferred::Read {
        usable: false,
        complete: true,
    };
    assert_eq!((completed, tickets), (Completed::Yes, none));
    let ticket = |talk: &mut Talk| {
        let ticket = PskTicket {
            lifetime: 300,
            age_add: 5,
            ticket: &[9; 32],
            max_early_data: None,
        };
        talk.inner(Side::Server, &Message::PskTicket(ticket));
    };
    assert_eq!(
        alerted(AlertDescription::CERTIFICATE_REQUIRED, ticket).0,
        Completed::Yes
    );
    // What follows a handshake may end with this one, but then it is not known that no ticket was to come.
    let (completed, tickets) = alerted(AlertDescription::BAD_RECORD_MAC, |_| ());
    assert_eq!((completed, tickets), (Completed::Yes, TicketsInferred::Unclear));
}

#[test]
fn data_read_with_keys_is_application_data_only_behind_the_finished() {
    let first_data = |talk: &mut Talk, content| {
        let at = talk.next();
        talk.open
            .opened(Side::Client, &record(DATA, 300), content, StreamPlace::new(at, 900));
        talk.open.facts().client_side.application_data
    };
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    assert_eq!(first_data(&mut talk, Content::Data), None);
    let mut talk = read_with_keys();
    assert_eq!(first_data(&mut talk, Content::Handshake), None);
    assert_eq!(first_data(&mut talk, Content::Data), Some(at(106)));
    assert_eq!(first_data(&mut talk, Content::Data), Some(at(106)));
}

/// A PSK is offered with early data, and accepted.
fn with_early_data() -> Talk {
    let mut talk = Talk::new();
    talk.client(ClientHello {
        early_data: true,
        ..with_psks([psk(&[0xee; 48], 5)])
    });
    talk.server(ServerHello {
        selected_psk: Some(0),
        ..server_of_tls13()
    });
    talk
}

/// Early data fills the records before: the client's Finished is known by its size, behind the server's flight alone.
#[test]
fn the_flight_of_a_server_that_was_read_ends_early_data() {
    let finished = |content: Option<Content>| {
        let mut talk = with_early_data();
        if let Some(content) = content {
            let at = talk.next();
            talk.open
                .opened(Side::Server, &record(DATA, 100), content, StreamPlace::new(at, 900));
        }
        // A Finished of 32 bytes with its header, its type and the tag.
        talk.sealed(Side::Client, DATA, 53);
        talk.open.facts().client_side.finished.is_some()
    };
    assert!(finished(Some(Content::Handshake)));
    assert!(!finished(Some(Content::Data)));
    assert!(!finished(None));
}

/// Of one side alone there are keys: what the client says in front of its Finished shows as much as EncryptedExtensions.
#[test]
fn the_client_s_records_alone_tell_whether_early_data_was_taken() {
    let talk = |end: fn(&mut Talk)| {
        let mut talk = with_early_data();
        let flight = talk.next();
        let place = StreamPlace::new(flight, 900);
        talk.open
            .opened(Side::Server, &record(DATA, 100), Content::Handshake, place);
        end(&mut talk);
        talk.inner(Side::Client, &Message::Other(HandshakeType::FINISHED));
        talk
    };
    let told = |end: fn(&mut Talk)| match talk(end).open.facts().early_data {
        EarlyData::Accepted { inferred, .. } => Some((true, inferred)),
        EarlyData::Rejected { inferred, .. } => Some((false, inferred)),
        EarlyData::NotOffered | EarlyData::Unclear(_) => None,
    };
    let read = |talk: &mut Talk| talk.inner(Side::Client, &Message::Other(HandshakeType::END_OF_EARLY_DATA));
    assert_eq!(told(read), Some((true, false)));
    // Its record stays closed, for it is under another key.
    assert_eq!(
        told(|talk| {
            talk.sealed(Side::Client, DATA, 21);
        }),
        Some((true, true))
    );
    assert_eq!(told(|_| ()), Some((false, true)));
    assert_eq!(
        told(|talk| talk.open.facts_mut().client_side.handshake_loss = Some(Blindness::Gap)),
        None
    );
    // Where packets changed places, what the server says comes later.
    let mut late = talk(|_| ());
    let extensions = EncryptedExtensions {
        alpn: None,
        early_data: true,
    };
    late.inner(Side::Server, &Message::EncryptedExtensions(extensions));
    let accepted = late.open.facts().early_data;
    assert!(
        matches!(accepted, EarlyData::Accepted { inferred: false, .. }),
        "{accepted:?}"
    );
}
