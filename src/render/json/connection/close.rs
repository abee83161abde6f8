//! How a connection was closed, and what of that is not visible.

use reshake_core::session::{Blindness, Close, CloseNotify, Connection, KeyOrigin, Side, TransportKind};
use reshake_core::tcp::ResetForm;

use super::{Causes, CloseJson, SideCloseJson};

pub(super) fn told(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> CloseJson {
    let Close {
        class,
        first_closer,
        client,
        server,
    } = &connection.close;
    let [client_reset, server_reset] = Side::BOTH.map(|side| unseen_reset(connection, side));
    for (path, cause) in [
        ("close.class", class.blind()),
        ("close.first_closer", first_closer.blind()),
        ("close.client.fin_frame", unseen_fin(connection, Side::Client)),
        ("close.server.fin_frame", unseen_fin(connection, Side::Server)),
        ("close.client.rst_frame", client_reset),
        ("close.client.rst_form", client_reset),
        ("close.server.rst_frame", server_reset),
        ("close.server.rst_form", server_reset),
    ] {
        if let Some(cause) = cause {
            not_visible.insert(path, cause.code());
        }
    }
    let [client, server] = [
        (
            Side::Client,
            client,
            "close.client.close_notify",
            "close.client.close_notify_frame",
        ),
        (
            Side::Server,
            server,
            "close.server.close_notify",
            "close.server.close_notify_frame",
        ),
    ]
    .map(|(side, notify, path, frame)| {
        let facts = connection.side(side);
        let stated = match notify {
            // See read_with_embedded_keys.
            CloseNotify::Observed(_) if connection.keys == Some(KeyOrigin::Embedded) => Some("inferred"),
            CloseNotify::Observed(_) => Some("observed"),
            CloseNotify::Inferred(_) => {
                let why = if connection.transport.dtls().is_some() {
                    "last record of this side, of the type and size of an alert"
                } else {
                    "last record of this side, of the size of an alert, with the close right after it"
                };
                inferred.insert(path, why);
                if class.yes().is_some() {
                    inferred.insert(
                        "close.class",
                        "from the close_notify of each side, as far as sizes tell",
                    );
                }
                Some("inferred")
            }
            CloseNotify::Absent => None,
            CloseNotify::AnswerToBareFin(_) => {
                not_visible.insert(path, "encrypted");
                not_visible.insert(frame, "encrypted");
                None
            }
            CloseNotify::Blind(cause) => {
                not_visible.insert(path, cause.code());
                not_visible.insert(frame, cause.code());
                None
            }
        };
        SideCloseJson {
            close_notify: stated,
            close_notify_frame: notify.at().map(Into::into),
            fin_frame: facts.fin.map(Into::into),
            rst_frame: facts.reset.map(|reset| reset.at.into()),
            rst_form: facts.reset.map(|reset| match reset.form {
                ResetForm::Active => "active",
                ResetForm::NoSocket => "no-socket",
            }),
        }
    });
    CloseJson {
        class: class.yes().map(|class| class.code()),
        first_closer: first_closer.yes().map(|side| match side {
            Side::Client => "client",
            Side::Server => "server",
        }),
        client,
        server,
    }
}

/// Why the FIN of a side may have been sent although it was not seen.
fn unseen_fin(connection: &Connection, side: Side) -> Option<Blindness> {
    // QUIC has none to come.
    let not_over = not_over(connection, side).filter(|_| connection.transport.kind() != TransportKind::Quic);
    let unended = unended(connection);
    let (side, peer) = (connection.side(side), connection.side(side.other()));
    let reset = side.reset.is_some() || peer.reset.is_some();
    let cause = if side.fin_is_lost() {
        Some(Blindness::Gap)
    } else if side.captured && peer.captured {
        let still_open = (!reset && connection.transport.kind() == TransportKind::Tcp).then_some(unended);
        side.tail_loss.or(not_over).or(still_open)
    } else {
        // Without the other side nothing acknowledges it.
        Some(Blindness::OneDirection)
    };
    cause.filter(|_| side.fin.is_none())
}

/// Why a reset of a side may have been sent although it was not seen. Nothing acknowledges one: only where both sides had
/// closed before, or one had reset, was the connection seen to its end.
fn unseen_reset(connection: &Connection, side: Side) -> Option<Blindness> {
    if connection.transport.kind() != TransportKind::Tcp {
        return None;
    }
    let not_over = not_over(connection, side).or(not_over(connection, side.other()));
    let unended = unended(connection);
    let (side, peer) = (connection.side(side), connection.side(side.other()));
    let over = side.reset.is_some() || peer.reset.is_some() || (side.sent_fin() && peer.sent_fin());
    if side.reset.is_some() || (over && side.captured) {
        return None;
    }
    let captured = (!side.captured).then_some(Blindness::OneDirection);
    captured.or(side.tail_loss).or(not_over).or(Some(unended))
}

/// Why a connection that was not seen to its end goes on.
fn unended(connection: &Connection) -> Blindness {
    let cause = connection.close.class.blind();
    cause.unwrap_or(Blindness::OpenAtCaptureEnd)
}

/// Why a side was not seen to its end, where the capture was over first.
fn not_over(connection: &Connection, side: Side) -> Option<Blindness> {
    let cause = connection.close.side(side).blind();
    cause.filter(|cause| cause.is_end_of_capture())
}
