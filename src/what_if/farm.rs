//! What modelled servers give, and what they honour.

use super::crowd::{Refusal, Visit};
use super::plan::{Plan, Share};
use super::replay::FullCause;
use reshake_core::net::Timestamp;
use reshake_core::net::span::SECOND;
use reshake_core::session::Mechanism;

/// A credential of the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModelCredential {
    pub(super) kind: Mechanism,
    /// Which one.
    pub(super) serial: u32,
    /// The backend that made it.
    backend: u16,
    /// When the session began. A resumption begins none in TLS 1.2, and one of its own in TLS 1.3.
    since: Timestamp,
    /// When the ticket was made.
    made: Timestamp,
    /// Seconds for which it is said to be good.
    lifetime: Option<u32>,
}

/// The servers of a plan.
#[derive(Debug)]
pub(super) struct Servers {
    plan: Plan,
    renewed_on_use: bool,
    /// Nanoseconds by which the first key change is early.
    phase: i64,
    next_serial: u32,
}

impl Servers {
    pub(super) fn new(plan: Plan, renewed_on_use: bool, draw: u64) -> Self {
        let period = i64::from(plan.key_rotation.unwrap_or(1).max(1)) * SECOND;
        Self {
            plan,
            renewed_on_use,
            phase: i64::try_from(draw >> 1).unwrap_or(0) % period,
            next_serial: 0,
        }
    }

    /// What a full handshake leaves the client with.
    pub(super) fn give(&mut self, visit: &Visit, backend: u16) -> Option<ModelCredential> {
        let captured = visit.left_with?;
        let kind = match self.plan.share {
            _ if visit.tls13 => Mechanism::Psk,
            Share::Nothing => captured,
            Share::Tickets if visit.takes_tickets => Mechanism::Ticket,
            Share::Cache | Share::Tickets => Mechanism::SessionId,
        };
        Some(ModelCredential {
            kind,
            serial: self.serial(),
            backend,
            since: visit.hello,
            made: visit.hello,
            lifetime: visit.lifetime.filter(|_| kind == Mechanism::Ticket),
        })
    }

    /// What a resumption leaves the client with: in TLS 1.3 a new ticket, before it what it had, unless the server
    /// renews the ticket (RFC 5077 §3.3).
    pub(super) fn after_resumption(&mut self, used: ModelCredential, visit: &Visit, backend: u16) -> ModelCredential {
        let fresh = match used.kind {
            Mechanism::SessionId => return used,
            Mechanism::Ticket if !self.renewed_on_use && self.keys_between(used.made, visit.hello) == 0 => return used,
            Mechanism::Ticket => used.since,
            Mechanism::Psk => visit.hello,
        };
        ModelCredential {
            serial: self.serial(),
            backend,
            since: fresh,
            made: visit.hello,
            ..used
        }
    }

    /// Why `backend` refuses a credential; `None` when it takes it.
    pub(super) fn refuses(&self, credential: &ModelCredential, visit: &Visit, backend: u16) -> Option<FullCause> {
        if !self.knows(credential, backend) {
            return Some(FullCause::OtherBackend);
        }
        let age = visit.hello.since(credential.since);
        let limit = self.plan.timeout.or(credential.lifetime);
        if limit.is_some_and(|seconds| age > i64::from(seconds) * SECOND) {
            return Some(FullCause::TooOld);
        }
        if self.is_sealed(credential) && self.keys_between(credential.made, visit.hello) > 1 {
            return Some(FullCause::KeyGone);
        }
        None
    }

    /// Whether what was refused in the capture for a cause of its own is refused here, too.
    pub(super) const fn refuses_again(&self, refusal: Refusal, unexplained: bool) -> bool {
        match refusal {
            Refusal::ByFarm => false,
            Refusal::ByNature => true,
            Refusal::ByAge => self.plan.timeout.is_none(),
            Refusal::BySettings => matches!(self.plan.share, Share::Nothing),
            Refusal::Unexplained => unexplained,
        }
    }

    fn knows(&self, credential: &ModelCredential, backend: u16) -> bool {
        let everywhere = match self.plan.share {
            Share::Nothing => false,
            Share::Cache => true,
            Share::Tickets => credential.kind != Mechanism::SessionId,
        };
        everywhere || credential.backend == backend
    }

    /// Whether the session is inside the ticket, so that its key matters.
    fn is_sealed(&self, credential: &ModelCredential) -> bool {
        match credential.kind {
            Mechanism::SessionId => false,
            Mechanism::Ticket => true,
            Mechanism::Psk => self.plan.share != Share::Cache,
        }
    }

    /// Key changes between two moments.
    fn keys_between(&self, from: Timestamp, to: Timestamp) -> i64 {
        let Some(seconds) = self.plan.key_rotation else {
            return 0;
        };
        let period = i64::from(seconds.max(1)) * SECOND;
        let key = |time: Timestamp| time.nanos().saturating_add(self.phase).div_euclid(period);
        key(to) - key(from)
    }

    const fn serial(&mut self) -> u32 {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_serial
    }
}
