//! What damage changes and is to be repaired.

/// Violations by member and kinds of damage, as a run over 44 fixtures showed them: a line goes when its member is right, and nothing is
/// added to make a test pass. `DAMAGE=all` says which lines no fixture needs any more.
pub(super) const OPEN: &[(&str, &[&str])] = &[
    ("(connection in parts)", &["one side's clock"]),
    (
        "(connection missing)",
        &["begins late", "cut to headers", "lost", "one side cut to headers"],
    ),
    (
        "cipher_suite (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    ("close.class", &["one side cut to headers"]),
    (
        "close.class (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "close.client.close_notify",
        &["all cut to headers", "ends early", "one side cut to headers"],
    ),
    (
        "close.client.close_notify (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "close.client.close_notify_frame",
        &[
            "all cut to headers",
            "begins late",
            "cut to headers",
            "ends early",
            "lost",
            "one side cut to headers",
            "one side's clock",
            "swapped with the next",
            "times in 1 ms",
            "times in 10 ms",
        ],
    ),
    (
        "close.client.fin_frame",
        &["ends early", "lost", "swapped with the next"],
    ),
    ("close.client.rst_form", &["ends early", "lost", "one side's clock"]),
    ("close.client.rst_frame", &["ends early", "lost", "one side's clock"]),
    (
        "close.first_closer",
        &[
            "all cut to headers",
            "begins late",
            "cut to headers",
            "ends early",
            "lost",
            "one side cut to headers",
            "one side's clock",
            "swapped with the next",
        ],
    ),
    ("close.server.close_notify", &["ends early"]),
    ("close.server.close_notify (hidden without loss)", &["one side's clock"]),
    (
        "close.server.close_notify_frame",
        &[
            "begins late",
            "cut to headers",
            "ends early",
            "lost",
            "one side cut to headers",
            "one side's clock",
            "swapped with the next",
            "times in 1 ms",
            "times in 10 ms",
        ],
    ),
    (
        "close.server.fin_frame",
        &[
            "begins late",
            "ends early",
            "lost",
            "one side's clock",
            "swapped with the next",
        ],
    ),
    ("close.server.rst_form", &["ends early", "lost", "one side's clock"]),
    ("close.server.rst_frame", &["ends early", "lost", "one side's clock"]),
    (
        "cost.certificate_operation (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "cost.extra_round_trips",
        &[
            "all cut to headers",
            "begins late",
            "cut to headers",
            "ends early",
            "lost",
            "one side cut to headers",
            "one side's clock",
            "swapped with the next",
        ],
    ),
    (
        "cost.extra_round_trips (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "cost.handshake_bytes.client",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "cost.handshake_bytes.server",
        &["one side's clock", "swapped with the next"],
    ),
    (
        "credential_accepted (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    ("credentials_issued", &["one side's clock", "swapped with the next"]),
    ("credentials_offered (hidden without loss)", &["one side's clock"]),
    ("early_data (hidden without loss)", &["one side's clock"]),
    (
        "hello_retry_request",
        &[
            "begins late",
            "cut to headers",
            "ends early",
            "lost",
            "one side cut to headers",
        ],
    ),
    ("offered (hidden without loss)", &["one side's clock"]),
    ("outcome", &["one side's clock", "swapped with the next"]),
    ("preamble", &["begins late"]),
    (
        "resumed_by (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
    ("server_name (hidden without loss)", &["one side's clock"]),
    (
        "tls_version (hidden without loss)",
        &["one side's clock", "swapped with the next"],
    ),
];
