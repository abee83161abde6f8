//! Who closed first: acknowledgements tell before any clock, and where clocks differ nothing may.

use super::*;

#[test]
fn the_first_to_close_is_told_by_what_a_fin_acknowledges_before_any_clock() {
    let first = |client: (u32, FinCovers), server: (u32, FinCovers)| {
        let ending = Ending::tls12()
            .fin(Client, client.0, client.1)
            .fin(Server, server.0, server.1);
        ending.close().first_closer
    };
    // Neither had the end of the other: they crossed, wherever they were captured.
    assert_eq!(first((10, Part), (11, Part)), Seen::Blind(Blindness::NothingTellsApart));
    assert_eq!(first((11, Part), (10, Part)), Seen::Blind(Blindness::NothingTellsApart));
    // Nothing is on its way for that long: what the first one sent was lost.
    assert_eq!(first((10, Part), (1011, Part)), Seen::Yes(Client));
    assert_eq!(first((1011, Part), (10, Part)), Seen::Yes(Server));
    assert_eq!(first((11, Part), (10, End)), Seen::Yes(Client));
    assert_eq!(first((10, End), (11, Part)), Seen::Yes(Server));
    // Both acknowledge the end of the other: the clocks decide.
    assert_eq!(first((10, End), (11, End)), Seen::Yes(Client));
    assert_eq!(first((11, End), (10, End)), Seen::Yes(Server));
    // All data is not the end, unless close_notify was among it.
    assert_eq!(first((11, Part), (10, Data)), Seen::Blind(Blindness::NothingTellsApart));
    let notified = Ending::tls12()
        .alert(Client, 11)
        .fin(Client, 12, Part)
        .fin(Server, 10, Data);
    assert_eq!(notified.close().first_closer, Seen::Yes(Client));
    let one = |ending: Ending| ending.close().first_closer;
    assert_eq!(one(Ending::tls12().fin(Client, 10, Part)), Seen::Yes(Client));
    assert_eq!(one(Ending::tls12().reset(Server, 10)), Seen::Yes(Server));
    assert_eq!(one(Ending::tls12()), Seen::Blind(Blindness::OpenAtCaptureEnd));
}

#[test]
fn where_the_clock_was_set_back_before_the_second_end_nothing_tells_which_was_first() {
    let first = |hello: u32| {
        let mut ending = Ending::tls12().reset(Client, 10).reset(Server, 900);
        let Seen::Yes(answer) = &mut ending.connection.answer else {
            panic!("an answer")
        };
        answer.at = At {
            time: ms(hello).time,
            ..ms(1)
        };
        ending.close().first_closer
    };
    assert_eq!(first(1), Seen::Yes(Client));
    assert_eq!(first(1_000), Seen::Blind(Blindness::NothingTellsApart));
}

#[test]
fn the_close_notify_that_answers_another_comes_second_whatever_the_clocks_say() {
    let first = |client: Option<bool>, server: Option<bool>| {
        let ending = Ending::tls12()
            .alert(Client, 11)
            .alert(Server, 10)
            .fin(Client, 12, Data)
            .fin(Server, 13, Data);
        let told = |ending: &mut Ending| {
            ending.end(Client).after_peer_data = client;
            ending.end(Server).after_peer_data = server;
        };
        ending.with(told).close().first_closer
    };
    assert_eq!(first(Some(false), Some(true)), Seen::Yes(Client));
    assert_eq!(first(Some(true), Some(false)), Seen::Yes(Server));
    assert_eq!(
        first(Some(false), Some(false)),
        Seen::Blind(Blindness::NothingTellsApart)
    );
    // Without acknowledgements the clocks decide.
    assert_eq!(first(None, None), Seen::Yes(Server));
}

#[test]
fn a_reset_that_acknowledges_a_fin_comes_second_wherever_it_stands() {
    let first = |covers| {
        let ending = Ending::tls12().fin(Server, 11, Part).reset(Client, 10);
        let told = |ending: &mut Ending| ending.connection.client_side.fin_covers = covers;
        ending.with(told).close().first_closer
    };
    assert_eq!(first(End), Seen::Yes(Server));
    // It had said goodbye, or may have: the reset is not what it closed with.
    let notified = Ending::tls12().alert(Client, 9).fin(Server, 11, Part).reset(Client, 12);
    let told = |ending: &mut Ending| ending.connection.client_side.fin_covers = End;
    assert_eq!(notified.with(told).close().first_closer, Seen::Yes(Client));
    // It came before the FIN, or did not wait for it: the order of the packets decides.
    assert_eq!(first(Data), Seen::Yes(Client));
    assert_eq!(first(Part), Seen::Yes(Client));
}

#[test]
fn an_end_in_front_of_what_it_acknowledges_does_not_tell_who_closed_first() {
    let nothing_tells = Seen::Blind(Blindness::NothingTellsApart);
    // What cannot be read may be close_notify; the server's clock is ahead.
    let first = |fin: u32, covers| {
        let ending = Ending::tls13().data(Client, 8, 200).fin(Client, fin, covers);
        let ending = ending.data(Server, 10, 200).fin(Server, 11, Part);
        let hidden = |ending: &mut Ending| ending.connection.answer = Seen::Blind(Blindness::CaptureStartedLate);
        ending.with(hidden).close().first_closer
    };
    assert_eq!(first(9, End), nothing_tells);
    assert_eq!(first(9, Data), nothing_tells);
    assert_eq!(first(9, Part), Seen::Yes(Client));
    let reset = |time: u32, covers| {
        let ending = Ending::tls12().data(Server, 10, 200).reset(Client, time);
        let told = |ending: &mut Ending| ending.connection.client_side.fin_covers = covers;
        ending.with(told).close().first_closer
    };
    assert_eq!(reset(9, Data), nothing_tells);
    assert_eq!(reset(11, Data), Seen::Yes(Client));
    assert_eq!(reset(9, Part), Seen::Yes(Client));
}
