//! What an explanation is called in sentences: the cause, and the one thing to do.

use super::{Claim, FittedValue, Kind, Scope};
use crate::diagnosis::attempts::Attempts;
use crate::net::Timestamp;
use crate::net::span::SECOND;

/// What to do where the key is shared and the context is not.
const CONTEXT: &str = "serve the same certificate and context wherever the ticket key is shared";
/// And where nothing tells of some tickets whether the key is.
const CONTEXT_AND_KEYS: &str = "serve the same certificate and context, under the same ticket keys, on all servers";

/// Time of day in UTC.
#[must_use]
pub fn clock(time: Timestamp) -> String {
    let seconds = time.nanos().div_euclid(SECOND).rem_euclid(86_400);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// A duration in the unit that a reader expects: of an age, or of the oldest that was still accepted, no more than it was.
#[must_use]
pub fn duration(nanos: i64) -> String {
    in_steps(nanos, |nanos, step| nanos.div_euclid(step))
}

/// The same of the youngest that was refused: rounded up, for some that are a little younger may have been accepted.
#[must_use]
pub fn no_less(nanos: i64) -> String {
    in_steps(nanos, |nanos, step| {
        nanos.div_euclid(step) + i64::from(nanos.rem_euclid(step) > 0)
    })
}

/// The age of what was refused beside the oldest that was accepted, which reads the same where the two are close.
#[must_use]
pub fn beyond(nanos: i64, oldest: i64) -> String {
    let told = duration(nanos);
    if told == duration(oldest) {
        format!("more than {told}")
    } else {
        told
    }
}

/// In milliseconds below a second, in tenths of one below ten.
fn in_steps(nanos: i64, steps: impl Fn(i64, i64) -> i64) -> String {
    const MILLISECOND: i64 = SECOND / 1_000;
    const TENTH: i64 = SECOND / 10;
    let tenths = steps(nanos, TENTH);
    match steps(nanos, MILLISECOND) {
        milliseconds @ ..1_000 => format!("{milliseconds} ms"),
        _ if tenths < 100 && tenths % 10 > 0 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ if tenths < 100 => format!("{} s", tenths / 10),
        _ => format!("{} s", steps(nanos, SECOND)),
    }
}

/// What the offers that an explanation names have in common, for the words.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// A server would have to keep some of them.
    stateful: bool,
    /// Whoever refused them issued under their own key in that handshake.
    opened: bool,
    /// Their clients had been given newer ones.
    outdated: bool,
}

impl Named {
    /// By this explanation.
    #[must_use]
    pub fn by(claim: &Claim, table: &Attempts) -> Self {
        let entries = || claim.named.iter().filter_map(|number| table.entry(*number));
        Self {
            stateful: entries().any(|entry| entry.stateful),
            opened: entries().all(|entry| entry.own_key),
            outdated: entries().all(|entry| entry.outdated),
        }
    }
}

impl Claim {
    /// The cause, as it follows "because", of these offers.
    #[must_use]
    pub fn cause_of(&self, named: Named) -> String {
        match (self.kind, self.value) {
            (Kind::OtherMachine | Kind::OtherStore, _) if named.opened => {
                "the servers behind the address open each other's tickets and differ in certificate or context"
                    .to_owned()
            }
            (Kind::OtherMachine, _) if self.shares_keys && !named.stateful => {
                "the servers behind the address refuse each other's tickets, also those under a key that they share"
                    .to_owned()
            }
            (Kind::KeyChanged, _) if named.outdated => {
                "the ticket key changed, and clients kept tickets although they had been given newer ones".to_owned()
            }
            (Kind::OtherStore, FittedValue::Late(latest)) => {
                let cause = if self.proven.is_empty() {
                    "another server answered, or their own was without its store or keys".to_owned()
                } else {
                    self.cause(named.stateful)
                };
                format!("{cause}; since {} UTC the same sessions are honoured", clock(latest))
            }
            _ => self.cause(named.stateful),
        }
    }

    /// The one thing to do about it, for these offers.
    #[must_use]
    pub const fn action_for(&self, named: Named) -> &'static str {
        match self.kind {
            Kind::OtherMachine | Kind::OtherStore if named.opened => CONTEXT,
            Kind::OtherMachine if self.shares_keys && !named.stateful => CONTEXT_AND_KEYS,
            Kind::OtherStore if matches!(self.value, FittedValue::Late(_)) => {
                "give all servers the same ticket keys, or one session cache, unless keys were rolled out or a store came back then"
            }
            Kind::KeyChanged if named.outdated => {
                "have clients replace a ticket with each newer one that they are given; until then, keep old keys longer"
            }
            _ => self.action(named.stateful),
        }
    }

    /// The cause, as it follows "because".
    #[must_use]
    pub fn cause(&self, stateful: bool) -> String {
        let fixed = match self.kind {
            Kind::OtherServer => "the client offers one server's sessions to another",
            Kind::OtherMachine if stateful => "the servers behind the address do not honour each other's sessions",
            Kind::OtherMachine => "the servers behind the address do not open each other's tickets",
            Kind::OtherKey => "servers with ticket keys of their own answer",
            Kind::OtherContext => "servers with different certificates answer",
            Kind::OtherStore if self.value == FittedValue::Slow => {
                "their store did not answer in time (refusals took far longer than acceptances), or another server or process answered"
            }
            Kind::OtherStore => "a server or process other than the one that holds them answered",
            Kind::Takeover => "another machine took over the address",
            Kind::KeyChanged => "the ticket key changed",
            Kind::ContextRenewed => "the renewed certificate made older sessions worthless",
            Kind::ClientReset => "the client side reset their connections without close_notify",
            Kind::ClientFin => "the client side closed their connections without close_notify",
            Kind::ServerClose => "the server side closed their connections without close_notify",
            Kind::FatalAlert => "a fatal alert ended their connections",
            Kind::OverLifetime => "the tickets were over their lifetime",
            Kind::HelloRetry => "the server takes no session after HelloRetryRequest",
            Kind::OtherVersion => "the server negotiates another version than that of the sessions",
            Kind::OtherHash => "the server chooses suites with another hash than that of the sessions",
            Kind::OtherName => "the sessions were made under another server name",
            Kind::SingleUse => "a session is good for one use",
            Kind::NeverIds if matches!(self.value, FittedValue::Never { in_tickets: true, .. }) => {
                "the server keeps no sessions behind its tickets"
            }
            Kind::NeverIds => "the server keeps no sessions behind its session IDs",
            Kind::NeverTickets => "nobody can open the server's tickets",
            Kind::EncryptedHello => "encrypted_client_hello hides the true offer",
            Kind::AsksCertificate => "the server now asks for a client certificate",
            Kind::OfferBreaks => "offering a session breaks the handshake",
            Kind::LostAtOnce | Kind::TooOld | Kind::TooIdle | Kind::Evicted => return self.fitted_cause(),
        };
        fixed.to_owned()
    }

    fn fitted_cause(&self) -> String {
        match (self.kind, self.value) {
            (Kind::LostAtOnce, FittedValue::Moment(..)) if self.moments.len() > 1 => {
                let first = self.moments.iter().map(|(_, until)| *until).min();
                let first = first.map_or_else(String::new, |first| format!(", first at about {} UTC", clock(first)));
                let what = match self.scope {
                    Scope::Service => "all sessions were lost",
                    Scope::Cache => "all sessions in the cache were lost",
                    Scope::Machine => "machines lost their sessions",
                };
                format!("{what} {} times{first}", self.moments.len())
            }
            (Kind::LostAtOnce, FittedValue::Moment(_, until)) => {
                let until = clock(until);
                match self.scope {
                    Scope::Service => format!("all sessions from before about {until} UTC were lost"),
                    Scope::Cache => format!("all sessions in the cache from before about {until} UTC were lost"),
                    Scope::Machine => format!("one of the machines lost its sessions from before about {until} UTC"),
                }
            }
            (Kind::TooOld, FittedValue::Age(_, youngest)) => {
                format!("sessions live less than {} here", no_less(youngest))
            }
            (Kind::TooIdle, FittedValue::Age(_, youngest)) => {
                format!("sessions live less than {} without use here", no_less(youngest))
            }
            (_, FittedValue::Newer(_, fewest) | FittedValue::NewerUnused(_, fewest)) => {
                format!("the cache holds fewer than {} sessions", u64::from(fewest) + 1)
            }
            _ => "sessions are lost".to_owned(),
        }
    }

    /// The one thing to do about it.
    #[must_use]
    pub const fn action(&self, stateful: bool) -> &'static str {
        match self.kind {
            Kind::OtherServer => {
                "keep the client's sessions by server address and port, or give the servers the same ticket keys"
            }
            Kind::OtherStore if matches!(self.value, FittedValue::Slow) => {
                "have the session store answer in time, or use tickets, which need none"
            }
            Kind::OtherMachine | Kind::OtherStore if stateful => {
                "share the session cache or the ticket keys between the servers, and the session context with them (nginx: ssl_session_ticket_key; OpenSSL: SSL_CTX_set_session_id_context)"
            }
            Kind::OtherMachine | Kind::OtherStore | Kind::OtherKey => {
                "give all servers and processes the same ticket keys (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys)"
            }
            Kind::OtherContext => CONTEXT,
            Kind::Takeover => "give the standby the same ticket keys, or the cache",
            Kind::KeyChanged => "use a key file that outlives reloads, with the old key kept in it",
            Kind::ContextRenewed | Kind::LostAtOnce => {
                "keep the session cache, the ticket keys and the session context across reloads and restarts"
            }
            Kind::ClientReset | Kind::ClientFin => {
                "have the client side send close_notify (HAProxy checks: no check-ssl), or use tickets"
            }
            Kind::ServerClose => {
                "have the server application send close_notify (OpenSSL: SSL_shutdown before SSL_free), or use tickets"
            }
            Kind::FatalAlert => "find out what the alert was about",
            Kind::OverLifetime | Kind::TooOld | Kind::TooIdle => {
                "raise the session timeout above the usual pause between connections"
            }
            Kind::Evicted => {
                "increase the size of the session cache (nginx: ssl_session_cache shared:SSL:10m), or use tickets"
            }
            Kind::HelloRetry => "let the client send a key share of the server's group in its first hello",
            Kind::OtherVersion => "offer the same versions on every backend and in every client",
            Kind::OtherHash => "prefer the same suites in the same order on every backend, and at all times",
            Kind::OtherName => "offer a session only under the name that it was made for",
            Kind::SingleUse => "use each ticket once, and have the server issue enough of them",
            Kind::NeverIds => {
                "give the server a session cache (nginx: ssl_session_cache shared:SSL:10m in the port's default server), or turn on tickets"
            }
            Kind::NeverTickets => "give the processes that terminate TLS one ticket key that outlives them",
            Kind::EncryptedHello => "publish the ECH configuration that the server has keys for",
            Kind::AsksCertificate => "serve what needs client certificates under a separate name",
            Kind::OfferBreaks => {
                "switch resumption off until the server takes sessions again (OpenSSL: set a session ID context)"
            }
        }
    }

    /// What is proven, or else what it names.
    fn shown(&self) -> &[u32] {
        if self.proven.is_empty() {
            &self.named
        } else {
            &self.proven
        }
    }

    /// What became worthless, and when; each moment by itself where there are several.
    fn lost_at(&self, from: Timestamp, until: Timestamp) -> String {
        let units = self.units();
        let lost = counted(units.named_refused, "session", "sessions");
        let kept = units.other_accepted;
        let kept = format!(
            "{kept} spanning no such moment {} honoured",
            if kept == 1 { "was" } else { "were" }
        );
        let whose = match self.scope {
            Scope::Service => "",
            Scope::Cache => " in the cache",
            Scope::Machine => " on one machine",
        };
        let between =
            |(from, until): &(Timestamp, Timestamp)| format!("between {} and {}", clock(*from), clock(*until));
        if self.moments.len() < 2 {
            let when = between(&(from, until));
            return format!("{when} UTC {lost} from before became worthless{whose}; {kept}");
        }
        let mut moments = self.moments.clone();
        moments.sort_unstable();
        let named: Vec<String> = moments.iter().map(between).collect();
        format!(
            "{lost} became worthless at {} moments ({} UTC); {kept}",
            named.len(),
            named.join(", ")
        )
    }

    /// What it says of the service, in figures.
    #[must_use]
    pub fn summary(&self, stateful: bool) -> String {
        let units = self.units();
        let (lost, kept) = (units.named_refused, units.other_accepted);
        let lost_sessions = counted(lost, "session", "sessions");
        match (self.kind, self.value) {
            // Another reason beside this one, or several machines with the same marks.
            (Kind::OtherMachine, _) if units.other_refused > 0 => format!(
                "where the marks are those of the backend that issued, {kept} resumed and {} declined; where they are others, {} resumed and {lost} declined",
                units.other_refused, units.named_accepted
            ),
            (Kind::OtherMachine, _) => format!(
                "on the same backend {kept} resumed and {} declined, on the other {} resumed and {lost} declined",
                units.other_refused, units.named_accepted
            ),
            (Kind::OtherStore, FittedValue::Late(latest)) => format!(
                "{} refused of {} that were accepted again later, and none after {} UTC: more than one store answered, or one that learnt late{}",
                were(self.shown().len() as u64, "offer", "offers"),
                counted(lost, "session", "sessions"),
                clock(latest),
                if self.proven.is_empty() {
                    ", or was out of reach until then"
                } else {
                    ""
                }
            ),
            (Kind::OtherStore, _) if !self.proven.is_empty() => format!(
                "{} refused of a session that was accepted again later: more than one store answers",
                were(self.proven.len() as u64, "offer", "offers")
            ),
            (Kind::OtherStore, FittedValue::Slow) => format!(
                "{} refused; a store that does not answer in time would look like this (refusals took far longer than acceptances), and so would servers that share nothing",
                were(self.named.len() as u64, "offer", "offers")
            ),
            (Kind::OtherStore, _) => format!(
                "{} refused; servers in turn that share nothing would look like this",
                were(self.named.len() as u64, "offer", "offers")
            ),
            (Kind::LostAtOnce, FittedValue::Moment(from, until)) => self.lost_at(from, until),
            (Kind::TooOld, FittedValue::Age(oldest, youngest)) => format!(
                "sessions resumed up to an age of {} and were refused from {} on",
                duration(oldest),
                no_less(youngest)
            ),
            (Kind::TooIdle, FittedValue::Age(oldest, youngest)) => format!(
                "sessions resumed up to {} after their latest use and were refused from {} on",
                duration(oldest),
                no_less(youngest)
            ),
            (Kind::Evicted, FittedValue::Newer(most, fewest)) => format!(
                "sessions resumed while the service made up to {most} newer ones, and were refused from {fewest} newer ones on"
            ),
            (Kind::Evicted, FittedValue::NewerUnused(most, fewest)) => format!(
                "sessions resumed while the service made up to {most} newer ones since their latest use, and were refused from {fewest} newer ones on"
            ),
            (Kind::NeverIds, value) => never_ids(lost, value),
            (Kind::NeverTickets, _) => {
                format!("the server issues tickets and refused all {lost} that were offered again")
            }
            (Kind::OfferBreaks, _) => {
                format!(
                    "{} with an offer broke; {} of the same clients without one worked",
                    counted(lost, "handshake", "handshakes"),
                    self.units_concerned().other_accepted
                )
            }
            (Kind::ClientReset | Kind::ClientFin | Kind::ServerClose, _) => {
                let [clean, after] = self.kind.rows();
                format!("{lost_sessions} offered {after} refused, none resumed; {clean} {kept} resumed")
            }
            // Acceptances do not show what it looks at: a certificate.
            (Kind::ContextRenewed | Kind::OtherContext, _) if kept == 0 => {
                format!(
                    "{} refused: {}",
                    were(lost, "session", "sessions"),
                    self.cause(stateful)
                )
            }
            _ => format!(
                "{} refused: {}; otherwise {kept} resumed",
                were(lost, "session", "sessions"),
                self.cause(stateful)
            ),
        }
    }
}

fn never_ids(lost: u64, value: FittedValue) -> String {
    let (in_tickets, servers) = match value {
        FittedValue::Never { in_tickets, servers } => (in_tickets, servers),
        _ => (false, 0),
    };
    let issued = if in_tickets {
        "tickets that stand for sessions in its cache"
    } else {
        "session IDs"
    };
    let excluded = match servers {
        0 | 1 => "that does not rule out several servers in turn".to_owned(),
        servers => format!("that rules out up to {servers} servers in turn, but no more than that"),
    };
    format!("the server issues {issued} and refused all {lost} that were offered again; {excluded}")
}

/// "1 session", "2 sessions".
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn were(count: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        counted(count, one, many),
        if count == 1 { "was" } else { "were" }
    )
}

#[cfg(test)]
mod tests;
