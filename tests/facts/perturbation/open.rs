//! What damage changes and is to be repaired.

/// Violations by member and kinds of damage, as runs over the fixtures (`DAMAGE=all`) showed them: a line goes when its member is
/// right, and nothing is added to make a test pass. `DAMAGE=all` says which lines no fixture needs any more.
pub(super) const OPEN: &[(&str, &[&str])] = &[
    ("(connection missing)", &["begins late", "cut to headers", "lost"]),
    ("close.class (hidden without loss)", &["one side's clock"]),
    ("cost.extra_round_trips", &["one side's clock"]),
    ("cost.extra_round_trips (hidden without loss)", &["one side's clock"]),
    (
        "cost.handshake_bytes.client (hidden without loss)",
        &["one side's clock"],
    ),
    ("cost.handshake_bytes.server", &["one side's clock"]),
    (
        "cost.handshake_bytes.server (hidden without loss)",
        &["one side's clock"],
    ),
    ("outcome", &["one side's clock"]),
    ("resumed_by (hidden without loss)", &["one side's clock"]),
];
