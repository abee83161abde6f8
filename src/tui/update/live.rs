//! A capture that goes on: new reports replace old ones, and whoever looks at something keeps looking at it.

use std::sync::Arc;

use crate::model::view::connection::ConnectionView;
use crate::model::view::credential::CredentialView;
use crate::model::view::table::Table;

use super::super::event::{BackgroundJob, Effect, Shared, Stats};
use super::super::state::{Screen, ScreenState};
use super::{ask, ask_rows};

/// A later report came.
pub(super) fn report(state: &mut ScreenState, report: Shared) -> Vec<Effect> {
    match &mut state.live {
        Some(live) if live.paused => {
            live.pending = Some(report);
            Vec::new()
        }
        _ => show(state, &report),
    }
}

/// How the capture goes. While the picture stands still, what was lost is still told.
pub(super) fn stats(state: &mut ScreenState, stats: Stats) {
    let live = state.live.get_or_insert_default();
    if live.paused {
        live.stats.dropped = stats.dropped;
    } else {
        live.stats = stats;
    }
}

/// The capture is over.
pub(super) fn ended(state: &mut ScreenState, why: String) {
    state.message = Some(format!("the capture is over: {why}"));
    state.live.get_or_insert_default().ended = Some(why);
}

/// Stops the picture, or lets it run on.
pub(super) fn pause(state: &mut ScreenState) -> Vec<Effect> {
    let Some(live) = &mut state.live else {
        return Vec::new();
    };
    live.paused = !live.paused;
    match live.pending.take() {
        Some(report) => show(state, &report),
        None => Vec::new(),
    }
}

fn show(state: &mut ScreenState, report: &Shared) -> Vec<Effect> {
    state.take_overview(report);
    let old = std::mem::replace(&mut state.report, Arc::clone(report));
    let mut opened = std::mem::take(&mut state.opened);
    let mut commands = Vec::new();
    for screen in &mut opened {
        match screen {
            Screen::Connection(view, _) => {
                let place = report.place_of(view.id);
                if let Some(new) = place.and_then(|place| ConnectionView::at(report, place)) {
                    *view = Arc::new(new);
                }
            }
            Screen::Credential(view, _) => {
                if let Some(new) = CredentialView::of(report, view.id) {
                    *view = Arc::new(new);
                }
            }
            Screen::Service(_) => {}
        }
    }
    // The last question wins, and the last screen is the one that is seen; the others ask again when they are.
    let services = opened.iter_mut().filter_map(|screen| match screen {
        Screen::Service(service) => Some(service),
        Screen::Connection(..) | Screen::Credential(..) => None,
    });
    for service in services {
        let wanted = old.services.get(service.index);
        let same = |view: &crate::model::ServiceView| wanted.is_some_and(|old| view.service() == old.service());
        if let Some(index) = report.services.iter().position(same) {
            service.index = index;
            let client = service.client;
            let (generation, asked) = ask(state, BackgroundJob::Service { index, client });
            service.asked = Some(generation);
            commands.extend(asked);
        }
    }
    state.opened = opened;
    for table in [Table::Connections, Table::Credentials] {
        commands.extend(ask_rows(state, table));
    }
    commands
}
