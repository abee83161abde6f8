//! What damage changes and is to be repaired.

/// Violations by member and kinds of damage, as a run over 45 fixtures (`DAMAGE=1/7`) showed them: a line goes when its member is
/// right, and nothing is added to make a test pass. `DAMAGE=all` says which lines no fixture needs any more.
pub(super) const OPEN: &[(&str, &[&str])] = &[
    ("(connection missing)", &["begins late", "cut to headers", "lost"]),
    ("close.class (hidden without loss)", &["one side's clock"]),
    ("close.server.close_notify (hidden without loss)", &["one side's clock"]),
    (
        "close.server.close_notify_frame (hidden without loss)",
        &["one side's clock"],
    ),
    ("cost.extra_round_trips", &["one side's clock", "swapped with the next"]),
    (
        "cost.extra_round_trips (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "cost.handshake_bytes.client (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "cost.handshake_bytes.server",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "cost.handshake_bytes.server (hidden without loss)",
        &["one side's clock"],
    ),
    ("early_data (hidden without loss)", &["one side's clock"]),
    ("outcome", &["one side's clock", "swapped with the next"]),
    (
        "resumed_by (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
];
