//! Data connections of FTP and the control connections that they are of (RFC 4217): which session a transfer resumed.
//!
//! vsftpd (`require_ssl_reuse`), ProFTPD and FileZilla Server refuse a transfer that does not resume the session of its
//! control connection. That channel is encrypted, so the port that PASV, EPSV, PORT or EPRT named is not visible. What is:
//! the same two hosts, a control connection that is open, and credentials that one session has in common.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use crate::session::{Blindness, Completed, Connection, ConnectionId, CredentialId, Outcome, Seen, TransportKind};
use crate::store::{ConnectionStore, CredentialStore};

/// FTP over TLS from the first byte (IANA: ftps).
const IMPLICIT: u16 = 990;
/// Where active transfers come from: ftp-data, ftps-data. Passive ones go to a port above those of well-known services.
const DATA: [u16; 2] = [20, 989];
const FIRST_PASSIVE: u16 = 1024;
/// Control connections of one client at one server that are open at once.
const MAX_OPEN: usize = 64;

/// What a transfer resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferSession {
    /// The session of its control connection.
    Control,
    /// Another one, of an earlier control connection for example.
    Other,
    /// None: it made a full handshake.
    None,
}

impl TransferSession {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

/// A data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Its control connection.
    pub control: ConnectionId,
    /// It offers a credential of that session; else the two hosts and the time tell.
    pub by_credential: bool,
    /// What it resumed.
    pub session: Seen<TransferSession>,
    /// That is concluded: in TLS 1.3 without keys no ticket shows where it was issued, and no other connection can have.
    pub concluded: bool,
}

/// The data connections of a run.
#[derive(Debug, Default)]
pub struct Transfers(HashMap<ConnectionId, Transfer>);

/// A client and a server, by their addresses.
type Hosts = (IpAddr, IpAddr);

/// A control connection that is open.
#[derive(Debug, Clone, Copy)]
struct Control<'k> {
    id: ConnectionId,
    connection: &'k Connection,
    /// Its transfers so far, and whether each resumed its session.
    transfers: usize,
    pure: bool,
}

/// What went on between two hosts so far.
#[derive(Debug, Default)]
struct Between<'k> {
    open: Vec<Control<'k>>,
    /// Connections of any kind.
    connections: usize,
}

impl Transfers {
    /// Of these connections; `order` is that of their hellos.
    #[must_use]
    pub fn of(connection_store: &ConnectionStore, credential_store: &CredentialStore, order: &[ConnectionId]) -> Self {
        let controls = connection_store.iter().filter(|(_, connection)| is_control(connection));
        let hosts: HashSet<Hosts> = controls.map(|(_, connection)| hosts(connection)).collect();
        let mut found = Self::default();
        if hosts.is_empty() {
            return found;
        }
        let mut between: HashMap<Hosts, Between<'_>> = HashMap::new();
        for (id, connection) in connection_store.in_turn(order) {
            let at = self::hosts(connection);
            if connection.transport.kind() != TransportKind::Tcp || !hosts.contains(&at) {
                continue;
            }
            let state = between.entry(at).or_default();
            let begun = connection.transport.started;
            state.open.retain(|control| control.connection.transport.ended >= begun);
            if !is_control(connection) {
                found.enter(connection_store, credential_store, (id, connection), state);
            } else if state.open.len() < MAX_OPEN {
                state.open.push(Control {
                    id,
                    connection,
                    transfers: 0,
                    pure: true,
                });
            }
            state.connections += 1;
        }
        found
    }

    /// What this connection is, if it is a data connection.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<&Transfer> {
        self.0.get(&id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Transfer)> {
        self.0.iter().map(|(id, transfer)| (*id, transfer))
    }

    /// Enters a connection that may be a transfer.
    fn enter(
        &mut self,
        connection_store: &ConnectionStore,
        credential_store: &CredentialStore,
        (id, connection): (ConnectionId, &Connection),
        state: &mut Between<'_>,
    ) {
        let Some((place, by_credential)) = self.control_of(credential_store, connection, state) else {
            return;
        };
        let alone = connection_store.evicted_total() == 0;
        let Some(control) = state.open.get_mut(place) else {
            return;
        };
        // All that went on between the two hosts is of this session.
        let alone = alone && control.pure && state.connections == control.transfers + 1;
        let (session, concluded) = self.session(credential_store, connection, control, alone);
        control.transfers += 1;
        control.pure &= session == Seen::Yes(TransferSession::Control);
        let transfer = Transfer {
            control: control.id,
            by_credential,
            session,
            concluded,
        };
        self.0.insert(id, transfer);
    }

    /// The place of the control connection of a transfer among those that are open, and whether a credential tells it.
    fn control_of(
        &self,
        credential_store: &CredentialStore,
        connection: &Connection,
        state: &Between<'_>,
    ) -> Option<(usize, bool)> {
        let port = connection.server.port;
        if !(port >= FIRST_PASSIVE || DATA.contains(&port)) {
            return None;
        }
        let open = || {
            state
                .open
                .iter()
                .enumerate()
                .filter(|(_, control)| control.connection.server.port != port)
        };
        let offers = |control: &Control<'_>| {
            let mut offers = connection.offers.iter();
            offers.any(|offer| self.is_of(credential_store, offer.credential, control))
        };
        let one = |mut all: Vec<usize>| all.pop().filter(|_| all.is_empty());
        let by_credential = open()
            .filter(|(_, control)| offers(control))
            .map(|(place, _)| place)
            .collect();
        if let Some(place) = one(by_credential) {
            return Some((place, true));
        }
        Some((one(open().map(|(place, _)| place).collect())?, false))
    }

    /// Whether a credential stands for the session of a control connection: that issued or used it, or a transfer did that
    /// had resumed it.
    fn is_of(&self, credential_store: &CredentialStore, credential: CredentialId, control: &Control<'_>) -> bool {
        let issuer = credential_store
            .get(credential)
            .and_then(|credential| credential.issued);
        let issuer = issuer.map(|issue| issue.connection);
        let sibling = issuer.and_then(|issuer| self.get(issuer)).is_some_and(|transfer| {
            transfer.control == control.id && transfer.session == Seen::Yes(TransferSession::Control)
        });
        issuer == Some(control.id) || sibling || control.connection.accepted == Some(credential)
    }

    /// What a transfer resumed, and whether that is concluded. `alone`: nothing else went on between the two hosts.
    fn session(
        &self,
        credential_store: &CredentialStore,
        connection: &Connection,
        control: &Control<'_>,
        alone: bool,
    ) -> (Seen<TransferSession>, bool) {
        let read = |session| (Seen::Yes(session), false);
        let accepted = match connection.outcome {
            Outcome::Unclear(cause) => return (Seen::Blind(cause), false),
            Outcome::Declined | Outcome::NotOffered => return read(TransferSession::None),
            Outcome::ExternalPsk => return read(TransferSession::Other),
            Outcome::Failed | Outcome::Resumed(_) => connection.accepted,
        };
        let Some(accepted) = accepted else {
            return (Seen::Blind(Blindness::NothingTellsApart), false);
        };
        if self.is_of(credential_store, accepted, control) {
            return read(TransferSession::Control);
        }
        if credential_store
            .get(accepted)
            .is_some_and(|credential| credential.issued.is_some())
        {
            return read(TransferSession::Other);
        }
        // A ticket whose issue is encrypted: the control connection began with nothing in hand, and nobody else gave one.
        let began = control.connection;
        let fresh = began.outcome == Outcome::NotOffered && began.completed == Completed::Yes;
        if alone && fresh && began.is_tls13() {
            return (Seen::Yes(TransferSession::Control), true);
        }
        let cause = if connection.is_tls13() {
            Blindness::Encrypted
        } else {
            Blindness::CaptureStartedLate
        };
        (Seen::Blind(cause), false)
    }
}

fn hosts(connection: &Connection) -> Hosts {
    (connection.client_address(), connection.server.ip)
}

fn is_control(connection: &Connection) -> bool {
    let asked = || {
        connection
            .transport
            .preamble()
            .is_some_and(|before| before.kind == "ftp-auth-tls")
    };
    connection.server.port == IMPLICIT || asked()
}

#[cfg(test)]
mod tests;
