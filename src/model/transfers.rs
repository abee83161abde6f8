//! The data connections of FTP, each with its control connection, and what they resumed, counted.

use std::collections::HashMap;

use super::Report;
use reshake_core::diagnosis::{Transfer, TransferSession, Transfers};
use reshake_core::engine::Engine;
use reshake_core::session::{ConnectionId, Seen, Service};

/// Data connections by what they resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferCounts {
    /// The session of their control connection.
    pub control: u64,
    /// Another session.
    pub other: u64,
    /// None.
    pub none: u64,
    /// That is not visible.
    pub not_visible: u64,
}

impl TransferCounts {
    fn add(&mut self, session: Seen<TransferSession>) {
        let count = match session {
            Seen::Yes(TransferSession::Control) => &mut self.control,
            Seen::Yes(TransferSession::Other) => &mut self.other,
            Seen::Yes(TransferSession::None) => &mut self.none,
            Seen::No | Seen::Blind(_) => &mut self.not_visible,
        };
        *count += 1;
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.control + self.other + self.none + self.not_visible
    }
}

/// The data connections of a run.
#[derive(Debug, Default)]
pub(super) struct FtpTransfers {
    each: Transfers,
    /// By the service of the control connections.
    counts: HashMap<Service, TransferCounts>,
}

impl FtpTransfers {
    /// `order` is that of the hellos.
    pub(super) fn of(engine: &Engine, order: &[ConnectionId]) -> Self {
        let each = Transfers::of(engine.connection_store(), engine.credential_store(), order);
        let mut counts: HashMap<Service, TransferCounts> = HashMap::new();
        for (_, transfer) in each.iter() {
            if let Some(control) = engine.connection_store().get(transfer.control) {
                counts.entry(Service::of(control)).or_default().add(transfer.session);
            }
        }
        Self { each, counts }
    }
}

impl Report<'_> {
    /// What this connection is of an FTP session, if it is one of its data connections.
    #[must_use]
    pub fn transfer(&self, id: ConnectionId) -> Option<&Transfer> {
        self.transfers.each.get(id)
    }

    /// Data connections of the FTP control connections of this service.
    #[must_use]
    pub fn transfers(&self, service: &Service) -> Option<&TransferCounts> {
        self.transfers.counts.get(service)
    }
}
