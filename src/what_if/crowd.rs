//! The clients of a capture, as far as a model of the farm needs them.

use std::net::IpAddr;

use reshake_core::net::Timestamp;
use reshake_core::session::{ConnectionId, Mechanism};

/// What a client came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// Nothing was offered.
    Nothing,
    /// A credential of which the capture does not show who gave it.
    Unknown,
    /// What an earlier visit left it with, by the place of that visit in the crowd.
    From(usize),
}

/// Why an offer was refused in the capture, as far as that matters to another farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another backend or another key answered: another farm decides anew.
    ByFarm,
    /// The hello, the close before, or the client rule it out: every farm refuses.
    ByNature,
    /// The session was too old; another timeout decides anew.
    ByAge,
    /// The server honours nothing of this kind; one that shares its state does.
    BySettings,
    /// No certain cause.
    Unexplained,
}

/// How the visit went in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Had {
    /// Resumed.
    Resumed,
    /// Offered and refused.
    Refused(Refusal),
    /// A full handshake with nothing offered.
    Full,
    /// An external PSK was accepted.
    External,
    /// Failed, or not visible.
    Undecided,
}

/// One connection of the capture.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// Which.
    pub connection: ConnectionId,
    /// Which service, as clients take it for one: addresses where they offer what another one gave are one farm.
    pub farm: u32,
    /// The address that a balancer sees.
    pub source: IpAddr,
    /// First packet.
    pub opened: Timestamp,
    /// ClientHello.
    pub hello: Timestamp,
    /// Last packet.
    pub closed: Timestamp,
    /// What it came with.
    pub brought: Brought,
    /// What it was left with.
    pub left_with: Option<Mechanism>,
    /// TLS 1.3 was negotiated.
    pub tls13: bool,
    /// The hello asks for tickets of TLS 1.2 (RFC 5077 §3.2).
    pub takes_tickets: bool,
    /// What it brought is offered more than once, be it a ticket of TLS 1.3.
    pub reuses: bool,
    /// The session ID that its client makes up beside a ticket is the same whenever the ticket is.
    pub id_follows_ticket: bool,
    /// Seconds for which a ticket of this visit is said to be good.
    pub lifetime: Option<u32>,
    /// Tickets that the server gives in TLS 1.3 after a full handshake and after a resumption.
    pub tickets: [u8; 2],
    /// How it went.
    pub had: Had,
    /// Whether it was asked about.
    pub counted: bool,
}

impl Visit {
    /// Whether a credential was offered whose giving the capture shows, and the answer is visible.
    #[must_use]
    pub const fn is_reconnect(&self) -> bool {
        matches!(self.brought, Brought::From(_)) && matches!(self.had, Had::Resumed | Had::Refused(_))
    }
}

/// Connections that were asked about, and why most of those that are no reconnects are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// All.
    pub connections: u64,
    /// Reconnects.
    pub reconnects: u64,
    /// Reconnects that resumed in the capture.
    pub resumed: u64,
    /// Refusals without a certain cause among the reconnects.
    pub unexplained: u64,
    /// The client's first, or opened before it could have had anything.
    pub newcomers: u64,
    /// Of clients that never offer anything.
    pub never_offer: u64,
    /// The client had something and did not offer it this time.
    pub did_not_offer: u64,
    /// The server had given the client nothing.
    pub given_nothing: u64,
    /// Offers of what was given before the capture, or elsewhere.
    pub unknown_origin: u64,
    /// Failed, not visible, or with an external PSK.
    pub undecided: u64,
    /// Reconnects of clients that ask for no tickets (TLS 1.2 and older).
    pub take_no_tickets: u64,
    /// Reconnects with a ticket of TLS 1.2 or older: whether those clients would offer an ID is not shown.
    pub by_ticket: u64,
    /// Reconnects in TLS 1.3.
    pub tls13: u64,
}

/// Every connection that the capture shows, in the order of their hellos.
#[derive(Debug, Clone, Default)]
pub struct Crowd {
    /// The connections.
    pub visits: Vec<Visit>,
    /// Servers give a new ticket of TLS 1.2 when one is used, as the capture shows.
    pub renewed_on_use: bool,
    /// What was asked about.
    pub census: Census,
}
