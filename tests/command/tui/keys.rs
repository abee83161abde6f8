//! What keys and events do to the state.

use std::sync::Arc;

use reshake::model::Report;
use reshake::tui::event::{Cutter, Effect, Shared, Stats, UserEvent};
use reshake::tui::keys::KEYS;
use reshake::tui::update::update;
use reshake_core::engine::{Engine, Limits};
use serde_json::Value;

use super::look::Look;
use crate::common::{fixture, packets};

const QUICKSTART: &str = "captures/quickstart";

fn look() -> Look {
    Look::at(QUICKSTART, (120, 40))
}

#[test]
fn tab_goes_round_the_main_screens() {
    assert!(look().shows("Services by waste"));
    assert!(look().press("<Tab>").shows("1 / 32 connections"));
    assert!(look().press("<Tab><Tab>").shows("1 / 20 credentials"));
    assert!(look().press("<Tab><Tab><Tab>").shows("Services by waste"));
    assert!(look().press("<BackTab>").shows("1 / 20 credentials"));
    assert!(look().press("2").click(10, 0).shows("Services by waste"));
    assert!(look().click(40, 0).shows("1 / 20 credentials"));
}

#[test]
fn the_cursor_stays_within_the_rows() {
    assert!(look().press("2").chosen().trim_start().starts_with("1 "));
    assert!(look().press("2kkk").chosen().trim_start().starts_with("1 "));
    assert!(look().press("2jjk").chosen().trim_start().starts_with("2 "));
    assert!(look().press("2Gjjj").chosen().trim_start().starts_with("32 "));
    assert!(look().press("2G<Home>").chosen().trim_start().starts_with("1 "));
    assert!(
        look()
            .press("2<PageDown><PageUp>")
            .chosen()
            .trim_start()
            .starts_with("1 ")
    );
}

#[test]
fn a_filter_takes_effect_as_it_is_typed() {
    let typed = look().press("2foutcome:declined");
    assert!(typed.shows("filter: outcome:declined"));
    assert!(typed.shows("18 of 32 connections"));
    // "backend:" alone is no term: the rows stay, and what is wrong is said.
    let half = typed.press(" backend:");
    assert!(half.shows("18 of 32 connections"));
    assert!(half.shows("has an empty value"), "{}", half.text());
    let both = half.press("2<Enter>");
    assert!(
        both.shows("9 of 32 connections   filter: outcome:declined backend:2"),
        "{}",
        both.text()
    );
    assert!(both.press("<Esc>").shows(" / 32 connections"));
}

#[test]
fn giving_up_a_filter_brings_back_the_one_before() {
    let before = look().press("2foutcome:declined<Enter>f client:10.0.0.12<Esc>");
    assert!(
        before.shows("18 of 32 connections   filter: outcome:declined"),
        "{}",
        before.text()
    );
    let emptied = before.press("f<C-u><Enter>");
    assert!(emptied.shows(" / 32 connections"));
}

#[test]
fn the_beginning_of_a_reason_is_enough_for_a_filter() {
    assert!(look().press("2freason:other<Enter>").shows("18 of 32 connections"));
    assert!(look().press("2freason:zzz").shows("unknown reason"));
}

#[test]
fn a_column_sorts_and_sorts_back() {
    // To the column of clients, where nothing else on the screen names any.
    let sorted = Look::at(QUICKSTART, (120, 24)).press("2<Right><Right><Right>");
    assert!(sorted.line("client").contains("client▲"));
    let clients: Vec<String> = column(&sorted, "10.0.0.1");
    let mut expected = clients.clone();
    expected.sort();
    assert_eq!(clients, expected);
    let reversed = sorted.press("r");
    expected.reverse();
    assert_eq!(column(&reversed, "10.0.0.1"), expected);
    assert!(reversed.line("client").contains("client▼"));
    assert!(reversed.press("s").line("client").contains("client  "));
}

/// The words of the rows that begin with a text.
fn column(look: &Look, beginning: &str) -> Vec<String> {
    let text = look.text();
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with(beginning)));
    words.map(ToOwned::to_owned).collect()
}

#[test]
fn every_column_of_both_tables_can_be_sorted_by() {
    for (screen, columns) in [("2", 12), ("3", 10)] {
        let mut seen = look().press(screen);
        for _ in 0..columns {
            seen = seen.press("<Right>");
            let ascending = seen.text();
            seen = seen.press("r");
            assert_eq!(ascending.matches('▲').count(), 1, "{ascending}");
            assert_eq!(seen.text().matches('▼').count(), 1);
            seen = seen.press("r");
            assert_eq!(seen.text(), ascending);
        }
    }
}

#[test]
fn sorting_keeps_the_cursor_on_its_row() {
    let chosen = look().press("2jjjj").chosen();
    let port = |line: &str| {
        line.split_whitespace()
            .find(|word| word.starts_with("10.0.0.1"))
            .map(ToOwned::to_owned)
    };
    let sorted = look().press("2jjjj<Right><Right><Right>r").chosen();
    assert_eq!(port(&chosen), port(&sorted));
    assert!(port(&chosen).is_some());
}

#[test]
fn a_search_goes_to_the_row_as_it_is_typed_and_on_from_there() {
    let found = look().press("2/resumed");
    assert!(found.chosen().contains("✓ resumed"));
    let first = found.press("<Enter>");
    let second = look().press("2/resumed<Enter>n");
    assert_ne!(first.chosen(), second.chosen());
    assert_eq!(second.press("N").chosen(), first.chosen());
    let nothing = look().press("2/nowhere");
    assert_eq!(nothing.state.message.as_deref(), Some("no match for 'nowhere'"));
    assert!(look().press("2jj/resumed<Esc>").chosen().trim_start().starts_with("3 "));
}

#[test]
fn a_search_works_in_running_text_too() {
    let found = look().press("2jj<Enter>/serverhello<Enter>");
    assert!(found.chosen().contains("ServerHello TLS 1.2"));
}

#[test]
fn a_refused_connection_leads_to_its_issuer_credential_session_and_service() {
    let refused = look().press("2jj<Enter>");
    assert!(refused.shows("› Connection 3") && refused.shows("✗ declined"));
    let issuer = look().press("2jj<Enter>i");
    assert!(issuer.shows("› Connection 2") && issuer.shows("issues session ID kb71da0491d"));
    assert!(issuer.press("<Esc>").shows("› Connection 3"));
    assert!(look().press("2jj<Enter>c").shows("› kb71da0491d"));
    assert!(look().press("2jj<Enter>[").shows("› Connection 2"));
    assert!(look().press("2j<Enter>]").shows("› Connection 3"));
    assert!(look().press("2jj<Enter>v").shows("One client's sessions"));
    assert!(look().press("2jji").shows("› Connection 2"), "from the table too");
    assert!(look().press("2<Enter>i").shows("where that was issued is not visible"));
}

#[test]
fn the_overview_leads_to_services_and_to_the_connections_of_a_reason() {
    assert!(look().press("<Enter>").shows("backends do not share session state"));
    let filtered = look().press("l<Enter>");
    assert!(
        filtered.shows("filter: reason:other-backend-cache"),
        "{}",
        filtered.text()
    );
    assert!(filtered.shows("18 of 32 connections"));
}

#[test]
fn a_credential_leads_to_the_connections_of_its_life() {
    let life = look().press("3<Enter>G<Enter>");
    assert!(life.shows("› Connection 6"), "{}", life.text());
}

#[test]
fn the_swimlane_shows_one_client_after_the_other() {
    let first = look().press("<Enter>");
    assert!(first.shows("One client's sessions: 10.0.0.11"), "{}", first.text());
    let second = first.press("]");
    assert!(second.shows("One client's sessions: 10.0.0.12"));
    assert!(second.press("]").shows("One client's sessions: 10.0.0.11"));
    let narrow = Look::at(QUICKSTART, (60, 30)).press("<Enter>");
    assert!(narrow.shows("marks 1 to 9 of 26"), "{}", narrow.text());
    assert!(narrow.press("ll").shows("marks 3 to 11 of 26"));
}

#[test]
fn filter_and_frame_can_be_copied() {
    let copied = look().press("2jjyY").copied;
    assert!(
        copied[0].starts_with("((ip.src == 10.0.0.12 && tcp.srcport == 44092"),
        "{copied:?}"
    );
    assert_eq!(copied[1], "31");
    let of_line = look().press("2jj<Enter>/ServerHello<Enter>Y").copied;
    assert_eq!(of_line, ["36"]);
    let none = look().press("y");
    assert!(none.copied.is_empty());
}

#[test]
fn the_mouse_chooses_opens_and_sorts() {
    assert!(look().press("2").click(30, 5).chosen().trim_start().starts_with("3 "));
    assert!(look().press("2").click(30, 5).click(30, 5).shows("› Connection 3"));
    assert!(look().press("2").click(20, 2).line("client").contains("client▲"));
    assert!(
        look()
            .press("2")
            .click(20, 2)
            .click(20, 2)
            .line("client")
            .contains("client▼")
    );
    assert!(look().click(90, 16).press("<Enter>").shows("filter: reason:"));
}

#[test]
fn the_help_names_every_key_and_goes_away() {
    let mut help = Look::at(QUICKSTART, (120, 70)).press("?");
    let text = help.text();
    for binding in KEYS {
        assert!(text.contains(&binding.label()), "{}", binding.label());
        assert!(text.contains(binding.words), "{}", binding.words);
    }
    help = help.press("x");
    assert!(help.shows("Everywhere"), "a key without meaning changes nothing");
    assert!(!help.press("<Esc>").shows("Everywhere"));
}

#[test]
fn every_key_that_a_foot_promises_does_something() {
    for (place, keys) in [
        ("", "l"),
        ("2jj", "lfivcy/e"),
        ("2jj<Enter>", "ivcy[/e"),
        ("<Enter>", "]/e"),
        ("3<Enter>", "/e"),
    ] {
        for key in keys.chars() {
            let before = look().press(place);
            let after = look().press(place).press(&key.to_string());
            let changed = before.text() != after.text() || !after.copied.is_empty();
            assert!(changed, "{key} at {place}");
        }
    }
}

#[test]
fn leaving_is_asked_for_by_q_and_control_c() {
    assert!(look().press("q").left);
    assert!(look().press("<C-c>").left);
    assert!(look().press("2f<C-c>").left, "while typing too");
    assert!(!look().press("2fq").left, "a letter that is typed is no key");
    assert!(look().press("?q").left);
}

#[test]
fn what_is_shown_is_written_to_a_file_and_never_over_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut look = look();
    look.folder = folder.path().to_owned();
    look = look.press("2foutcome:declined<Enter>ej");
    assert_eq!(
        look.state.message.as_deref(),
        Some("written to reshake-connections.json")
    );
    look = look.press("ejem");
    assert_eq!(look.state.message.as_deref(), Some("written to reshake-connections.md"));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("the file");
    let document: Value = serde_json::from_str(&read("reshake-connections-2.json")).expect("JSON");
    assert_eq!(document["selection"], "outcome:declined");
    assert_eq!(document["connections"].as_array().map(Vec::len), Some(18));
    assert_eq!(read("reshake-connections.md").lines().count(), 2 + 18);
    look = look.press("<Enter>ejem");
    assert_eq!(look.state.message.as_deref(), Some("written to reshake-c1e99d8aa5b.md"));
    let one: Value = serde_json::from_str(&read("reshake-c1e99d8aa5b.json")).expect("JSON");
    assert_eq!(one["connections"][0]["id"], "c1e99d8aa5b");
    look = look.press("cejem");
    let life: Value = serde_json::from_str(&read("reshake-kb71da0491d.json")).expect("JSON");
    assert_eq!(life["schema"], "reshake-session/1");
    look = look.press("1ejem<Enter>ejem");
    let service: Value = serde_json::from_str(&read("reshake-service.json")).expect("JSON");
    assert_eq!(
        service["selection"],
        "server:10.0.0.100:443 name:www.a.test transport:tcp"
    );
    assert!(read("reshake-service.md").contains("backends do not share session state"));
    let whole: Value = serde_json::from_str(&read("reshake-overview.json")).expect("JSON");
    assert_eq!(whole["connections"].as_array().map(Vec::len), Some(32));
    drop(look);
    let gone = self::look().press("2em").state.message;
    assert!(gone.is_some_and(|message| message.starts_with("not written: reshake-connections.md:")));
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut look = look().press("2");
    let question = |look: &mut Look, letter: char| {
        let key = ratatui::crossterm::event::KeyCode::Char(letter).into();
        let mut asked = update(&mut look.state, UserEvent::Key(key));
        match asked.pop() {
            Some(Effect::Ask(ask)) => ask,
            other => panic!("no question: {other:?}"),
        }
    };
    let late = question(&mut look, 'l');
    let latest = question(&mut look, 'l');
    let answer = |ask| {
        reshake::tui::work::answer(ask, (std::path::Path::new("."), &Cutter::none("")), &|| true).expect("an answer")
    };
    look.event(answer(&late));
    assert!(look.shows("looking …"), "the latest is still to come");
    look.event(answer(&latest));
    assert!(!look.shows("looking …"));
    assert!(
        reshake::tui::work::answer(&late, (std::path::Path::new("."), &Cutter::none("")), &|| false).is_none(),
        "given up"
    );
}

/// The report after so many packets of the fixture.
fn report_after(packets: &[packets::RawPacket]) -> Shared {
    let mut engine = Engine::new(Limits::default());
    for (frame, packet) in (1..).zip(packets) {
        engine.push(&packet.packet(frame));
    }
    engine.finish();
    Arc::new(Report::of(Arc::new(engine), Vec::new()))
}

fn live() -> (Look, Vec<packets::RawPacket>) {
    let packets = packets::read(fixture(QUICKSTART).path());
    let mut look = Look::at_report(report_after(&packets[..75]), (120, 40));
    look.state = look.state.live();
    (look, packets)
}

#[test]
fn the_cursor_stays_on_its_row_while_connections_come_in() {
    let (look, packets) = live();
    let mut look = look.press("2<Right>rjjj");
    assert!(look.shows("● live"));
    let (before, screen) = (look.chosen(), look.text());
    look.event(UserEvent::Report(report_after(&packets)));
    assert_eq!(look.chosen(), before);
    let line = |text: &str| text.lines().position(|line| line == before);
    assert!(look.shows("32 connections"), "{}", look.text());
    assert!(line(&screen).is_some());
}

#[test]
fn a_paused_picture_stands_still_and_catches_up() {
    let (look, packets) = live();
    let mut look = look.press("2 ");
    assert!(look.shows("‖ paused"));
    let before = look.text();
    look.event(UserEvent::Report(report_after(&packets)));
    assert_eq!(look.text(), before);
    let look = look.press(" ");
    assert!(look.shows("/ 32 connections"), "{}", look.text());
}

#[test]
fn an_open_connection_is_followed_by_its_id() {
    let (look, packets) = live();
    let mut look = look.press("2j<Enter>");
    assert!(look.shows("› Connection 2"));
    look.event(UserEvent::Report(report_after(&packets)));
    assert!(look.shows("› Connection 2"));
    let mut service = live().0.press("<Enter>");
    service.event(UserEvent::Report(report_after(&packets)));
    assert!(service.shows("✗ declined 18"), "{}", service.text());
}

#[test]
fn a_live_capture_tells_its_rate_losses_and_lag() {
    let (mut look, _) = live();
    look.event(UserEvent::Stats(Stats {
        handshakes: vec![0, 3, 8, 1],
        packets: 12_345,
        dropped: Some(7),
        lag: Some(12),
    }));
    assert!(
        look.line("12,345 packets")
            .contains("dropped 7   lag 12 ms   handshakes/s 1")
    );
    assert!(look.line("handshakes/s").ends_with("▃█▁"), "{}", look.text());
    look.event(UserEvent::Ended("the interface is down".to_owned()));
    assert!(look.shows("the capture is over: the interface is down"));
}

#[test]
fn tab_completes_a_filter_and_the_arrows_bring_earlier_ones_back() {
    let look = Look::at("captures/quickstart", (120, 40)).press("2foutc<Tab>de<Tab>");
    assert!(look.shows("filter: outcome:declined"), "{}", look.text());
    assert!(
        look.shows("18 of 32") || look.shows("/ 18 connections") || look.shows("18 / "),
        "{}",
        look.text()
    );
    let look = look.press("<Enter><Esc>fname:a<Enter><Esc>f");
    let look = look.press("<Up>");
    assert!(look.line("filter: ").contains("name:a"), "{}", look.text());
    let look = look.press("<Up>");
    assert!(look.line("filter: ").contains("outcome:declined"), "{}", look.text());
    let look = look.press("<Down><Down>");
    assert!(
        !look.shows("outcome:declined") && !look.shows("name:a"),
        "{}",
        look.text()
    );
    // What can follow is told where it is not one.
    let look = look.press("c<Tab>");
    assert!(look.shows("client: close: cache: confidence:"), "{}", look.text());
}

#[test]
fn the_packets_of_a_connection_are_written_by_whoever_has_them() {
    let mut look = Look::at("captures/quickstart", (120, 40));
    look.cutter = Cutter(Arc::new(|_: &Report<'_>, _, name: &str, _: &std::path::Path| {
        Ok(format!("reshake-{name}.pcapng"))
    }));
    let look = look.press("2jjw");
    assert!(look.shows("written to reshake-c1e99d8aa5b.pcapng"), "{}", look.text());
    let look = Look::at("captures/quickstart", (120, 40)).press("2w");
    assert!(look.shows("not written: nothing to cut"), "{}", look.text());
}

#[test]
fn what_there_is_to_say_of_the_chosen_connection_stands_below_the_table_where_there_is_room() {
    let told = |look: &Look| {
        let text = look.text();
        text.split_once("────").map(|(_, told)| told.to_owned())
    };
    let looked = look().press("2jj");
    let below = told(&looked).expect("a rule");
    assert!(
        below.contains("connection 3") && below.contains("ClientHello offers"),
        "{below}"
    );
    let moved = told(&looked.press("j")).expect("a rule");
    assert!(
        moved.contains("connection 4") && !moved.contains("connection 3"),
        "{moved}"
    );
    // A click there chooses nothing: it is no line of the table.
    assert!(look().press("2").click(30, 36).shows("1 / 32 connections"));
    // The last line of the table is seen although it has fewer.
    assert!(Look::at(QUICKSTART, (120, 34)).press("2G").chosen().contains("32"));
    assert!(!Look::at(QUICKSTART, (80, 24)).press("2").shows("ClientHello"));
    assert!(
        !look().press("3").shows("ClientHello"),
        "credentials have pages of their own"
    );
}

#[test]
fn the_overview_of_a_wide_terminal_has_the_swimlane_of_the_chosen_service() {
    let wide = |name: &str| Look::at(name, (200, 60));
    let overview = wide(QUICKSTART);
    assert!(overview.shows("One client's sessions: 10.0.0.11") && overview.shows("backend-2  ───"));
    assert!(!look().shows("One client's sessions"), "there is no room");
    // Two services, each with its own.
    let two = wide("findings/stek-shared-across-sni");
    assert_eq!(two.state.overview.ranked.len(), 2);
    let first = two
        .state
        .overview
        .picture(&two.state.report)
        .map(|picture| picture.credentials.clone());
    let two = two.press("j");
    let second = two
        .state
        .overview
        .picture(&two.state.report)
        .map(|picture| picture.credentials.clone());
    assert!(first.is_some() && second.is_some());
    assert_ne!(first, second);
}

#[test]
fn an_answer_to_an_older_question_is_no_picture_of_the_chosen_service() {
    let mut look = Look::at("findings/stek-shared-across-sni", (200, 60));
    let (generation, _) = look.state.overview.asked.expect("it was asked");
    let (_, page) = look.state.overview.pictured.take().expect("it was answered");
    let moved = update(
        &mut look.state,
        UserEvent::Key(ratatui::crossterm::event::KeyCode::Down.into()),
    );
    assert!(matches!(moved.as_slice(), [Effect::Ask(_)]), "another is asked for");
    let late = UserEvent::Picture {
        generation,
        page: Some(page),
    };
    assert!(update(&mut look.state, late).is_empty());
    assert!(look.state.overview.picture(&look.state.report).is_none());
}
