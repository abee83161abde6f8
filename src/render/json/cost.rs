//! What full handshakes of returning clients cost, in all and by reason.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::connection::milliseconds;
use crate::model::cost::{Avoidable, AvoidableByReason};

/// Cost of the full handshakes that a resumption could have stood for. A sum of which a part is not visible is that of
/// the rest, and `not_measured` says how much is missing; `null` where nothing was visible.
#[derive(Serialize, JsonSchema)]
pub(super) struct AvoidableJson {
    /// Full handshakes of clients that came back.
    handshakes: u64,
    /// Round trips that a resumption would have saved.
    extra_round_trips: u64,
    /// Time of the extra round trips.
    extra_ms: Option<f64>,
    /// From ClientHello to the last Finished.
    handshake_ms: Option<f64>,
    /// Both directions.
    handshake_bytes: Option<u64>,
    /// What the servers computed with the keys of their certificates.
    certificate_operations: BTreeMap<&'static str, u64>,
    /// Handshakes of which a quantity is not visible.
    not_measured: NotMeasuredJson,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct NotMeasuredJson {
    /// Extra round trips.
    extra_ms: u64,
    /// Handshakes.
    handshake_ms: u64,
    /// Handshakes.
    handshake_bytes: u64,
}

/// The same, and by the primary reason for which there was no resumption.
#[derive(Serialize, JsonSchema)]
pub(super) struct AvoidableByReasonJson {
    /// All connections.
    #[serde(flatten)]
    all: AvoidableJson,
    /// The same by primary reason.
    by_reason: BTreeMap<&'static str, AvoidableJson>,
}

impl From<&Avoidable> for AvoidableJson {
    fn from(cost: &Avoidable) -> Self {
        let seen = |unseen: u64, of: u64| unseen < of || of == 0;
        Self {
            handshakes: cost.handshakes,
            extra_round_trips: cost.round_trips,
            extra_ms: seen(cost.untimed, cost.round_trips).then(|| milliseconds(cost.nanos)),
            handshake_ms: seen(cost.unmeasured, cost.handshakes).then(|| milliseconds(cost.handshake_nanos)),
            handshake_bytes: seen(cost.unweighed, cost.handshakes).then_some(cost.bytes),
            certificate_operations: cost
                .operations()
                .map(|(operation, count)| (operation.code(), count))
                .collect(),
            not_measured: NotMeasuredJson {
                extra_ms: cost.untimed,
                handshake_ms: cost.unmeasured,
                handshake_bytes: cost.unweighed,
            },
        }
    }
}

impl From<&AvoidableByReason> for AvoidableByReasonJson {
    fn from(cost: &AvoidableByReason) -> Self {
        let reasons = cost.by_reason().into_iter();
        Self {
            all: (&cost.all).into(),
            by_reason: reasons.map(|(reason, cost)| (reason, cost.into())).collect(),
        }
    }
}
