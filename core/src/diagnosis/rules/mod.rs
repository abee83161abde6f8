//! The catalogue of reasons. `explain`, `docs/reasons.md`, the JSON schema, shell completion and the tests are functions
//! over [`CATALOG`]; nothing else lists reasons.

use std::fmt;

use super::RuleResult;
use super::context::RuleContext;

mod backend;
mod binding;
mod breaks;
mod changed;
mod explained;
mod held;
mod lifetime;
mod lost;
mod offer;
mod refusal;
mod state;
mod used_up;
mod visibility;

/// A section of an RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Citation {
    /// Number of the RFC.
    pub rfc: u16,
    /// Section, "7.4.1.3" or "E.2".
    pub section: &'static str,
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {} §{}", self.rfc, self.section)
    }
}

const fn rfc(rfc: u16, section: &'static str) -> Citation {
    Citation { rfc, section }
}

/// What kind of question a reason answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleStage {
    /// The packets that decide are not visible.
    NotVisible,
    /// The handshake failed.
    NoVerdict,
    /// The client offered nothing.
    NothingOffered,
    /// The offer was refused, for a cause visible in the protocol.
    Protocol,
    /// The offer was refused, for a cause that must be inferred.
    Inferred,
    /// The offer was refused, and nothing visible says why.
    Unexplained,
}

impl RuleStage {
    /// What would tell more where a reason of this kind is not certain.
    #[must_use]
    pub const fn settle(self) -> &'static str {
        match self {
            Self::NotVisible => "a capture of both directions from before the first connection, with whole packets",
            Self::NoVerdict => "the failing client once without its session",
            Self::NothingOffered => "a capture on the client, or one client alone",
            Self::Protocol | Self::Inferred | Self::Unexplained => {
                "one more connection after a pause, and the server's log"
            }
        }
    }
}

/// Who can act on a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Whoever runs or writes the client.
    Client,
    /// Whoever runs or writes the server.
    Server,
    /// Either, or both together.
    Either,
    /// Whoever captures.
    Observer,
}

impl Actor {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Either => "client or server",
            Self::Observer => "whoever captures",
        }
    }
}

/// One entry of the catalogue.
#[derive(Debug)]
pub struct Reason {
    /// Public name in kebab case; also the folder of its fixtures. A published name keeps its meaning.
    pub name: &'static str,
    /// Version that introduced it.
    pub since: &'static str,
    /// What it says in general, at most 80 characters, no full stop.
    pub summary: &'static str,
    /// What kind of question it answers.
    pub stage: RuleStage,
    /// A statement of fact that explains nothing ("unexplained", "not visible").
    pub neutral: bool,
    /// Sections that it rests on.
    pub spec: &'static [Citation],
    /// Who can act.
    pub actor: Actor,
    /// What to do, in one sentence.
    pub advice: &'static str,
    /// "What it means" and "How we know", in Markdown.
    pub text: &'static str,
    /// Decides whether it holds.
    pub rule: fn(&RuleContext<'_>) -> RuleResult,
}

impl Reason {
    /// The reason with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        CATALOG.iter().copied().find(|reason| reason.name == name)
    }

    /// Whether it says what a client does and leaves the cause to another reason.
    #[must_use]
    pub fn is_behaviour(&self) -> bool {
        self.name == lost::CLIENT_KEEPS_OLD_TICKET.name
    }
}

/// Declares one reason: its documentation is its text.
macro_rules! reason {
    (
        $(#[doc = $line:literal])+
        $vis:vis static $ident:ident = {
            name: $name:literal, since: $since:literal, stage: $stage:ident, $(neutral: $neutral:literal,)?
            summary: $summary:literal,
            spec: [$(($rfc:literal, $section:literal)),* $(,)?],
            actor: $actor:ident,
            advice: $advice:literal,
            rule: $rule:path $(,)?
        }
    ) => {
        $(#[doc = $line])+
        $vis static $ident: $crate::diagnosis::rules::Reason = $crate::diagnosis::rules::Reason {
            name: $name,
            since: $since,
            summary: $summary,
            stage: $crate::diagnosis::rules::RuleStage::$stage,
            neutral: false $(|| $neutral)?,
            spec: &[$($crate::diagnosis::rules::rfc($rfc, $section)),*],
            actor: $crate::diagnosis::rules::Actor::$actor,
            advice: $advice,
            text: concat!($($line, "\n"),+),
            rule: $rule,
        };
    };
}
use reason;

pub(super) use explained::candidates;
pub(super) use offer::{CLIENT_DID_NOT_OFFER, FIRST_IN_CAPTURE};
pub use refusal::failure;
pub(super) use visibility::{CAPTURE_INCOMPLETE, issue_may_be_lost};

/// Every reason, in the order of precedence among equally sure ones.
pub static CATALOG: &[&Reason] = &[
    &visibility::CAPTURE_INCOMPLETE,
    &refusal::HANDSHAKE_FAILED,
    &breaks::OFFER_BREAKS_HANDSHAKE,
    &offer::CLIENT_CANNOT_OFFER_V2_HELLO,
    &offer::FIRST_IN_CAPTURE,
    &offer::SERVER_ISSUES_NOTHING,
    &offer::NO_CREDENTIAL_YET_PARALLEL,
    &held::CREDENTIAL_EXPIRED_CLIENT_SIDE,
    &held::CLIENT_DROPPED_AFTER_FATAL_ALERT,
    &held::CLIENT_DROPPED_AFTER_UNCLEAN_CLOSE,
    &used_up::CLIENT_TICKETS_EXHAUSTED,
    &changed::CLIENT_SNI_CHANGED,
    &changed::CLIENT_OFFERS_LOWER_VERSION_ONLY,
    &changed::CLIENT_CONFIG_CHANGED,
    &changed::CLIENT_NON_EMS_NOT_OFFERED,
    &offer::CLIENT_DID_NOT_OFFER,
    &binding::HELLO_VERSION_MISMATCH,
    &binding::CIPHER_NOT_OFFERED,
    &binding::PSK_HASH_MISMATCH,
    &binding::PSK_MODE_MISSING,
    &binding::EMS_MISMATCH,
    &binding::SNI_MISMATCH,
    &refusal::FATAL_ALERT_PREVIOUS,
    &lifetime::CREDENTIAL_OVER_LIFETIME,
    &breaks::DECLINED_AFTER_HELLO_RETRY,
    &refusal::CLIENT_CERT_POLICY,
    &backend::FAILOVER_NO_SHARED_STATE,
    &backend::STEK_NOT_SHARED,
    &backend::STEK_CHANGED,
    &backend::OFFERED_TO_WRONG_BACKEND,
    &lost::SESSION_CONTEXT_MISMATCH,
    &lost::SERVER_LOST_SESSIONS,
    &state::UNCLEAN_CLOSE_TLS10,
    &state::SERVER_DID_NOT_SEND_CLOSE_NOTIFY,
    &state::IMPL_INVALIDATES_ON_RST,
    &state::SINGLE_USE_SPENT,
    &state::SERVER_CACHE_EXPIRED,
    &state::SERVER_CACHE_EVICTED,
    &state::SERVER_NEVER_ACCEPTS_IDS,
    &backend::OTHER_BACKEND_CACHE,
    &lost::CLIENT_KEEPS_OLD_TICKET,
    &refusal::ECH_REJECTED_OR_GREASE,
    &visibility::OFFER_OF_UNKNOWN_ORIGIN,
    &refusal::REJECTED_UNEXPLAINED,
];
