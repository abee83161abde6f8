//! Going from one thing to another: a line to what it is about, a connection to its issuer, its session, its service.

use std::sync::Arc;

use crate::model::service_of;
use crate::model::view::connection::ConnectionView;
use crate::model::view::credential::CredentialView;
use crate::model::view::service::ServicePage;
use crate::model::view::table::{RowKey, Table};
use crate::model::view::{ConnectionId, CredentialId};

use super::super::event::{BackgroundJob, Effect};
use super::super::layout::overview;
use super::super::page::Target;
use super::super::state::{Main, Screen, ScreenState, ServiceState};
use super::{START, ask, push, to_main, typing, view_of_line};

/// Into what the line with the cursor is about.
pub(super) fn line(state: &mut ScreenState) -> Vec<Effect> {
    if let Some((page, cursor)) = state.page() {
        let target = page.items.get(cursor.line).and_then(|item| item.target.clone());
        return target.map_or_else(Vec::new, |target| follow(state, target));
    }
    if !state.opened.is_empty() {
        return Vec::new();
    }
    match state.main {
        Main::Overview => of_overview(state),
        Main::Table(table) => {
            match state.table(table).key() {
                Some(RowKey::Connection(id)) => connection(state, id),
                Some(RowKey::Credential(id)) => credential(state, id),
                None => {}
            }
            Vec::new()
        }
    }
}

fn of_overview(state: &mut ScreenState) -> Vec<Effect> {
    let [service, reason] = state.overview.line;
    if state.overview.list == 0 {
        let index = state.overview.ranked.get(service).copied();
        return index.map_or_else(Vec::new, |index| self::service(state, index, 0));
    }
    let reason = state.report.summary.reasons.get(reason);
    let Some(name) = reason.map(|count| count.reason.name) else {
        return Vec::new();
    };
    follow(state, Target::Filter(format!("reason:{name}")))
}

fn follow(state: &mut ScreenState, target: Target) -> Vec<Effect> {
    match target {
        Target::Connection(id) => connection(state, id),
        Target::Credential(id) => credential(state, id),
        Target::Client(client) => return swimlane_of(state, client),
        Target::Filter(text) => {
            to_main(state, Main::Table(Table::Connections));
            return typing::filter(state, Table::Connections, &text);
        }
    }
    Vec::new()
}

/// Opens a connection.
pub(super) fn connection(state: &mut ScreenState, id: ConnectionId) {
    let place = state.report.place_of(id);
    match place.and_then(|place| ConnectionView::at(&state.report, place)) {
        Some(view) => push(state, Screen::Connection(Arc::new(view), START)),
        None => state.message = Some("that connection is no longer kept".to_owned()),
    }
}

/// Opens a credential.
pub(super) fn credential(state: &mut ScreenState, id: CredentialId) {
    match CredentialView::of(&state.report, id) {
        Some(view) => push(state, Screen::Credential(Arc::new(view), START)),
        None => state.message = Some("that credential is no longer kept".to_owned()),
    }
}

/// Opens a service.
pub(super) fn service(state: &mut ScreenState, index: usize, client: usize) -> Vec<Effect> {
    let (generation, commands) = ask(state, BackgroundJob::Service { index, client });
    let service = ServiceState {
        index,
        client,
        from: 0,
        page: None,
        asked: Some(generation),
        cursor: START,
    };
    push(state, Screen::Service(service));
    commands
}

/// The page of a service is there.
pub(super) fn service_came(state: &mut ScreenState, generation: u64, page: Option<Arc<ServicePage>>) {
    for opened in &mut state.opened {
        if let Screen::Service(service) = opened
            && service.asked == Some(generation)
        {
            service.asked = None;
            service.page = page;
            return;
        }
    }
}

/// Asks for the picture of the service with the cursor, where there is room for it and it was not asked for.
pub(super) fn picture(state: &mut ScreenState) -> Vec<Effect> {
    let is_seen = state.opened.is_empty() && state.main == Main::Overview && overview(state.size).picture.is_some();
    let asked = state.overview.asked.map(|(_, index)| index);
    let Some(index) = state.overview.chosen().filter(|index| is_seen && asked != Some(*index)) else {
        return Vec::new();
    };
    let (generation, effects) = ask(state, BackgroundJob::Picture { index });
    state.overview.asked = Some((generation, index));
    effects
}

/// The picture of a service is there.
pub(super) fn picture_came(state: &mut ScreenState, generation: u64, page: Option<Arc<ServicePage>>) {
    let index = state.overview.asked.filter(|(asked, _)| *asked == generation);
    let service = index.and_then(|(_, index)| state.report.services.get(index));
    if let (Some(service), Some(page)) = (service, page) {
        state.overview.pictured = Some((service.service(), page));
    }
}

/// A service that is seen again asks again for what it did not get.
pub(super) fn service_again(state: &mut ScreenState) -> Vec<Effect> {
    match state.opened.last() {
        Some(Screen::Service(service)) if service.asked.is_some() => swimlane_of(state, service.client),
        _ => Vec::new(),
    }
}

/// The swimlane of another client.
fn swimlane_of(state: &mut ScreenState, client: usize) -> Vec<Effect> {
    let Some(Screen::Service(service)) = state.opened.last() else {
        return Vec::new();
    };
    let (generation, commands) = ask(
        state,
        BackgroundJob::Service {
            index: service.index,
            client,
        },
    );
    if let Some(Screen::Service(service)) = state.opened.last_mut() {
        service.client = client;
        service.from = 0;
        service.asked = Some(generation);
    }
    commands
}

/// The next connection of the session, or the swimlane of the next client.
pub(super) fn neighbour(state: &mut ScreenState, next: bool) -> Vec<Effect> {
    match state.opened.last() {
        Some(Screen::Connection(view, _)) => {
            let (before, after) = view.neighbours;
            match if next { after } else { before } {
                Some(id) => connection(state, id),
                None => state.message = Some("no other connection of this session that way".to_owned()),
            }
            Vec::new()
        }
        Some(Screen::Service(service)) => {
            let clients = service.page.as_ref().map_or(0, |page| page.clients.len());
            if clients == 0 {
                return Vec::new();
            }
            let client = if next {
                service.client + 1
            } else {
                service.client + clients - 1
            };
            swimlane_of(state, client % clients)
        }
        _ => Vec::new(),
    }
}

/// To the connection that issued what the one at hand offered.
pub(super) fn issuer(state: &mut ScreenState) {
    let Some(view) = view_of_line(state) else { return };
    match view.issuer {
        Some(id) => connection(state, id),
        None => state.message = Some("where that was issued is not visible".to_owned()),
    }
}

/// To the credential that the connection at hand is about.
pub(super) fn credential_of_line(state: &mut ScreenState) {
    let Some(view) = view_of_line(state) else { return };
    match view.credential {
        Some(id) => credential(state, id),
        None => state.message = Some("no credential was seen on that connection".to_owned()),
    }
}

/// To the service of the connection at hand.
pub(super) fn service_of_line(state: &mut ScreenState) -> Vec<Effect> {
    let view = view_of_line(state);
    let place = view.and_then(|view| state.report.place_of(view.id));
    let service = place
        .and_then(|place| state.report.at(place))
        .map(|(.., of)| service_of(of));
    let Some(wanted) = service else { return Vec::new() };
    let mut services = state.report.services.iter();
    let index = services.position(|view| view.service() == wanted);
    index.map_or_else(Vec::new, |index| self::service(state, index, 0))
}
