//! Connections of which nothing but the outcome is known any more.

use crate::session::{Outcomes, Service};
use crate::store::ConnectionStore;

/// What was folded away of a service, at the memory limit or for its age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    /// The outcomes.
    pub outcomes: Outcomes,
    /// There may be more: beyond [`MAX_EVICTED_SERVICES`](crate::store::MAX_EVICTED_SERVICES) services are not told apart.
    pub perhaps_more: bool,
}

impl Folded {
    pub(super) fn of(connection_store: &ConnectionStore, service: &Service) -> Self {
        match connection_store.evicted_of(service) {
            Some(outcomes) => Self {
                outcomes: *outcomes,
                perhaps_more: false,
            },
            None => Self {
                outcomes: Outcomes::default(),
                perhaps_more: connection_store.evicted_elsewhere().total() > 0,
            },
        }
    }

    /// Whether every connection of the service is kept.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.may_have(Outcomes::total)
    }

    /// Whether connections that are counted so were folded away, or may have been.
    #[must_use]
    pub fn may_have(&self, count: impl Fn(&Outcomes) -> u64) -> bool {
        self.perhaps_more || count(&self.outcomes) > 0
    }
}
