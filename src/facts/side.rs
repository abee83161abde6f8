//! What one side did, and how its stream ended, as facts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use reshake_core::net::SeqNumber;
use reshake_core::session::{Close, CloseNotify, PlainAlert, Record, SideClose, SideFacts};
use reshake_core::tcp::Reset;
use reshake_core::tls::{AlertDescription, Content, ContentType};

use super::handshake::cause;
use super::value::{
    AtFact, Base, BlindFact, ClassFact, CoversFact, FrameFact, NotVisible, ResetFact, SideFact, Wrong, at_back,
    frame_back, get, put,
};

/// What one side did on the connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct SideFactsFact {
    captured: bool,
    /// Why bytes of its handshake are missing, where some are.
    handshake_loss: Option<BlindFact>,
    /// Why bytes at the end of its stream are missing, where some are.
    tail_loss: Option<BlindFact>,
    handshake_bytes: Option<std::num::NonZeroU32>,
    finished: Option<AtFact>,
    application_data: Option<AtFact>,
    alert: Option<AlertFact>,
    handshake_alert: Option<FrameFact>,
    fin: Option<AtFact>,
    fin_covers: CoversFact,
    reset: Option<ResetSeen>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct AlertFact {
    #[serde(flatten)]
    at: AtFact,
    fatal: bool,
    description: u8,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct ResetSeen {
    #[serde(flatten)]
    at: AtFact,
    form: ResetFact,
    doubtful: bool,
}

impl From<&SideFacts> for SideFactsFact {
    fn from(side: &SideFacts) -> Self {
        Self {
            captured: side.captured,
            handshake_loss: side.handshake_loss.map(Into::into),
            tail_loss: side.tail_loss.map(Into::into),
            handshake_bytes: side.handshake_bytes,
            finished: side.finished.map(Into::into),
            application_data: side.application_data.map(Into::into),
            alert: side.alert.as_deref().map(|alert| AlertFact {
                at: alert.at.into(),
                fatal: alert.fatal,
                description: alert.description.0,
            }),
            handshake_alert: side.handshake_alert.map(Into::into),
            fin: side.fin.map(Into::into),
            fin_covers: side.fin_covers.into(),
            reset: side.reset.map(|reset| ResetSeen {
                at: reset.at.into(),
                form: reset.form.into(),
                doubtful: reset.doubtful,
            }),
        }
    }
}

impl SideFactsFact {
    pub(super) fn back(&self, base: Base) -> Result<SideFacts, Wrong> {
        let alert = |alert: AlertFact| {
            Ok(Box::new(PlainAlert {
                at: alert.at.back(base)?,
                fatal: alert.fatal,
                description: AlertDescription(alert.description),
            }))
        };
        let reset = |reset: ResetSeen| {
            Ok(Reset {
                at: reset.at.back(base)?,
                form: reset.form.into(),
                doubtful: reset.doubtful,
            })
        };
        Ok(SideFacts {
            captured: self.captured,
            handshake_loss: self.handshake_loss.map(Into::into),
            tail_loss: self.tail_loss.map(Into::into),
            handshake_bytes: self.handshake_bytes,
            finished: at_back(self.finished, base)?,
            application_data: at_back(self.application_data, base)?,
            alert: self.alert.map(alert).transpose()?,
            handshake_alert: frame_back(self.handshake_alert, base)?,
            fin: at_back(self.fin, base)?,
            fin_covers: self.fin_covers.into(),
            reset: self.reset.map(reset).transpose()?,
        })
    }
}

/// How the connection was closed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct CloseFact {
    class: Option<ClassFact>,
    first_closer: Option<SideFact>,
    /// The close_notify of the client; null where it is not visible.
    client: Option<NotifyFact>,
    server: Option<NotifyFact>,
}

/// Whether a side sent close_notify.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum NotifyFact {
    Observed(AtFact),
    Inferred(AtFact),
    Absent,
    /// An alert that may be close_notify or an error.
    AnswerToBareFin(AtFact),
}

impl CloseFact {
    pub(super) fn of(close: &Close, hidden: &mut NotVisible) -> Self {
        let mut notify = |notify: CloseNotify, name: &'static str| match notify {
            CloseNotify::Observed(at) => Some(NotifyFact::Observed(at.into())),
            CloseNotify::Inferred(at) => Some(NotifyFact::Inferred(at.into())),
            CloseNotify::Absent => Some(NotifyFact::Absent),
            CloseNotify::AnswerToBareFin(at) => Some(NotifyFact::AnswerToBareFin(at.into())),
            CloseNotify::Blind(cause) => {
                hidden.insert(name.into(), cause.into());
                None
            }
        };
        Self {
            client: notify(close.client, "close.client"),
            server: notify(close.server, "close.server"),
            first_closer: put(&close.first_closer, "close.first_closer", hidden, |side| (*side).into()),
            class: put(&close.class, "close.class", hidden, |class| (*class).into()),
        }
    }

    pub(super) fn back(self, hidden: &NotVisible, base: Base) -> Result<Close, Wrong> {
        let notify = |fact: Option<NotifyFact>, name| {
            Ok(match fact {
                Some(NotifyFact::Observed(at)) => CloseNotify::Observed(at.back(base)?),
                Some(NotifyFact::Inferred(at)) => CloseNotify::Inferred(at.back(base)?),
                Some(NotifyFact::Absent) => CloseNotify::Absent,
                Some(NotifyFact::AnswerToBareFin(at)) => CloseNotify::AnswerToBareFin(at.back(base)?),
                None => CloseNotify::Blind(cause(hidden, name)?),
            })
        };
        Ok(Close {
            class: get(self.class.map(Into::into), "close.class", hidden),
            first_closer: get(self.first_closer.map(Into::into), "close.first_closer", hidden),
            client: notify(self.client, "close.client")?,
            server: notify(self.server, "close.server")?,
        })
    }
}

/// Where the stream of one side is torn off: what joins it with what other sensors saw.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(super) struct EdgeFact {
    /// Lowest sequence number, and the one behind the highest.
    pub(super) numbers: Option<[u32; 2]>,
    /// All that it sent last was read as TLS.
    pub(super) read: bool,
    last: Option<RecordFact>,
    before_last: Option<RecordFact>,
    unfinished: bool,
    short_records: u32,
    padding: Option<u16>,
    close_notify: Option<AtFact>,
    /// A renegotiation was asked for.
    #[serde(default)]
    asked_again: bool,
    /// Whether the FIN of the other side had arrived before its last bytes, where acknowledgements tell.
    #[serde(default)]
    after_peer_fin: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_peer_data: Option<bool>,
}

/// A protected record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct RecordFact {
    #[serde(flatten)]
    at: AtFact,
    content_type: u8,
    length: u16,
    content: ContentFact,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ContentFact {
    Closed,
    Data,
    Alert { fatal: bool, description: u8 },
    Handshake,
    Other,
}

impl From<Record> for RecordFact {
    fn from(record: Record) -> Self {
        Self {
            at: record.at.into(),
            content_type: record.content_type.0,
            length: record.length,
            content: match record.content {
                Content::Closed => ContentFact::Closed,
                Content::Data => ContentFact::Data,
                Content::Alert { fatal, description } => ContentFact::Alert {
                    fatal,
                    description: description.0,
                },
                Content::Handshake => ContentFact::Handshake,
                Content::Other => ContentFact::Other,
            },
        }
    }
}

impl RecordFact {
    fn back(self, base: Base) -> Result<Record, Wrong> {
        Ok(Record {
            at: self.at.back(base)?,
            content_type: ContentType(self.content_type),
            length: self.length,
            content: match self.content {
                ContentFact::Closed => Content::Closed,
                ContentFact::Data => Content::Data,
                ContentFact::Alert { fatal, description } => Content::Alert {
                    fatal,
                    description: AlertDescription(description),
                },
                ContentFact::Handshake => Content::Handshake,
                ContentFact::Other => Content::Other,
            },
        })
    }
}

impl EdgeFact {
    pub(super) fn of(numbers: Option<(SeqNumber, SeqNumber)>, read: bool, end: &SideClose) -> Self {
        Self {
            numbers: numbers.map(|(first, next)| [first.0, next.0]),
            read,
            last: end.last.map(Into::into),
            before_last: end.before_last.map(Into::into),
            unfinished: end.unfinished,
            short_records: end.short_records,
            padding: end.padding,
            close_notify: end.plain.map(Into::into),
            asked_again: end.asked_again,
            after_peer_fin: end.after_peer_fin,
            after_peer_data: end.after_peer_data,
        }
    }

    pub(super) fn numbers(self) -> Option<(SeqNumber, SeqNumber)> {
        self.numbers.map(|[first, next]| (SeqNumber(first), SeqNumber(next)))
    }

    pub(super) fn end(self, base: Base) -> Result<SideClose, Wrong> {
        Ok(SideClose {
            last: self.last.map(|record| record.back(base)).transpose()?,
            before_last: self.before_last.map(|record| record.back(base)).transpose()?,
            unfinished: self.unfinished,
            short_records: self.short_records,
            padding: self.padding,
            plain: at_back(self.close_notify, base)?,
            asked_again: self.asked_again,
            after_peer_fin: self.after_peer_fin,
            after_peer_data: self.after_peer_data,
        })
    }
}
