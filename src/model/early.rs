//! What became of early data (0-RTT), and why it was refused, as far as the packets say.

use reshake_core::session::{Blindness, Connection, EarlyData, Outcome};

/// What the server did with early data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyAnswer {
    /// It took them.
    Accepted {
        /// Concluded from the lengths of records.
        inferred: bool,
    },
    /// It did not.
    Refused(WhyRefused),
    /// That is not visible.
    NotVisible(Blindness),
}

/// Why early data was refused (RFC 8446 §4.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyRefused {
    /// A HelloRetryRequest refuses it.
    HelloRetry,
    /// The server chose a version that has none.
    OlderVersion,
    /// The session was refused.
    Session,
    /// Another PSK than the first was accepted.
    OtherIdentity,
    /// The session resumed all the same.
    Server,
}

impl EarlyAnswer {
    /// `None` where none was offered.
    #[must_use]
    pub fn of(connection: &Connection) -> Option<Self> {
        match connection.early_data {
            EarlyData::NotOffered => None,
            EarlyData::Accepted { inferred, .. } => Some(Self::Accepted { inferred }),
            EarlyData::Unclear(cause) => {
                let offered = connection.hello.yes().is_some_and(|hello| hello.early_data);
                offered.then_some(Self::NotVisible(cause))
            }
            EarlyData::Rejected { .. } => Some(Self::Refused(WhyRefused::of(connection))),
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Accepted { inferred: false } => "early data accepted".to_owned(),
            Self::Accepted { inferred: true } => "early data accepted (inferred)".to_owned(),
            Self::Refused(why) => format!("early data refused: {}", why.words()),
            Self::NotVisible(cause) => {
                format!(
                    "early data offered; what became of it is not visible ({})",
                    cause.code()
                )
            }
        }
    }
}

impl WhyRefused {
    fn of(connection: &Connection) -> Self {
        let answer = connection.answer.yes();
        if connection.retry.is_some() {
            Self::HelloRetry
        } else if answer.is_some_and(|answer| !answer.version.is_tls13()) {
            Self::OlderVersion
        } else if answer.is_some_and(|answer| answer.selected_psk.is_none()) || connection.outcome == Outcome::Declined
        {
            Self::Session
        } else if answer.is_some_and(|answer| answer.selected_psk != Some(0)) {
            Self::OtherIdentity
        } else {
            Self::Server
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::HelloRetry => "the server asked for another hello",
            Self::OlderVersion => "the server chose a version without it",
            Self::Session => "the session was refused",
            Self::OtherIdentity => "another ticket than the first was accepted",
            Self::Server => {
                "though the session resumed (turned off at the server, another ALPN, a replay, or a ticket whose age is off)"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_words_of_its_own() {
        let all = [
            WhyRefused::HelloRetry,
            WhyRefused::OlderVersion,
            WhyRefused::Session,
            WhyRefused::OtherIdentity,
            WhyRefused::Server,
        ];
        let words: std::collections::BTreeSet<String> =
            all.into_iter().map(|why| EarlyAnswer::Refused(why).words()).collect();
        assert_eq!(words.len(), all.len());
        assert!(words.iter().all(|words| words.starts_with("early data refused: ")));
    }
}
