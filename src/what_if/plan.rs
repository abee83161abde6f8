//! A farm that is not there: what is asked about.

/// How a backend is chosen for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    RoundRobin,
    /// The one with the fewest open connections; in turn among equals.
    LeastConnections,
    /// By a hash of the client's address.
    SourceHash,
    /// By the session ID in the hello, where the balancer has seen it in a ServerHello; else in turn.
    SessionId,
}

impl Balance {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::RoundRobin,
        Self::LeastConnections,
        Self::SourceHash,
        Self::SessionId,
    ];

    /// Name in arguments and reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::SourceHash => "source-hash",
            Self::SessionId => "session-id",
        }
    }
}

/// What the backends share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Nothing: each has a cache and ticket keys of its own.
    Nothing,
    /// One session cache; they give IDs, and no tickets that contain the session.
    Cache,
    /// The ticket keys; clients that take no tickets have IDs, which each backend keeps to itself.
    Tickets,
}

impl Share {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Cache, Self::Tickets];

    /// Name in arguments and reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Cache => "cache",
            Self::Tickets => "tickets",
        }
    }
}

/// A farm to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Machines behind each service, at least 1.
    pub backends: u16,
    /// How one is chosen.
    pub balance: Balance,
    /// What they share.
    pub share: Share,
    /// Seconds after which a session is no longer honoured. Without it, tickets live as long as the capture shows that
    /// servers promised, and IDs without end.
    pub timeout: Option<u32>,
    /// Seconds after which ticket keys change. The key before is still accepted, and its tickets are renewed.
    pub key_rotation: Option<u32>,
    /// What decides where the plan leaves something open.
    pub seed: u64,
}
