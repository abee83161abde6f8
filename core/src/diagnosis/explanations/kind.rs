//! The explanations as data: what each is called, which family it is of, and what would settle it.

use crate::diagnosis::attempts::OfferedCredential;

/// The question that an explanation answers. Members of one family often cannot be parted; the family then is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Is it another party than the one that holds the session?
    Who,
    /// Was everything from before some moment lost?
    When,
    /// Is it too old, or are too many newer?
    HowLong,
    /// How did its connection end, and was it used?
    WhatBefell,
    /// Which property of the hello makes the difference?
    WhatAsks,
    /// Does anybody honour it?
    Never,
    /// Do offers break handshakes?
    Breaks,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = ($family:ident, $reason:expr, $pattern:expr, $fitted:literal, $settle:literal, $rows:expr);)+) => {
        /// One explanation. The order is the last word between equally good ones.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// Every explanation, in order.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// Its family.
            #[must_use]
            pub const fn family(self) -> Family {
                match self { $(Self::$kind => Family::$family,)+ }
            }

            /// The reason that a refused session ID gets by it; tickets may have another ([`Kind::reason`]).
            const fn reason_of_id(self) -> Option<&'static str> {
                match self { $(Self::$kind => $reason,)+ }
            }

            /// The pattern that it is told as.
            #[must_use]
            pub const fn pattern(self) -> Option<&'static str> {
                match self { $(Self::$kind => $pattern,)+ }
            }

            /// Values that it fits to the capture: fewer are better.
            #[must_use]
            pub const fn fitted(self) -> u8 {
                match self { $(Self::$kind => $fitted,)+ }
            }

            /// The cheapest next step that would part it from its rivals.
            #[must_use]
            pub const fn settle(self) -> &'static str {
                match self { $(Self::$kind => $settle,)+ }
            }

            /// What stands on the two sides of its contrast: where it says accept, and where it says refuse.
            #[must_use]
            pub const fn rows(self) -> [&'static str; 2] {
                match self { $(Self::$kind => $rows,)+ }
            }
        }
    };
}

kinds! {
    /// The session is of another server address or port.
    OtherServer = (Who, Some("offered-to-wrong-backend"), None, 0,
        "one session of this server offered to it again: it must resume there", ["of this server", "of another server"]);
    /// Another machine answers, by marks on its packets.
    OtherMachine = (Who, Some("other-backend-cache"), Some("session-state-not-shared"), 0,
        "ten connections of one client in a row: sessions must resume on the machine that made them", ["same backend", "other backend"]);
    /// The answering server lacks the ticket's key, which is in use elsewhere.
    OtherKey = (Who, Some("stek-not-shared"), Some("ticket-keys-not-shared"), 0,
        "the same ticket offered twice at once: one server will take it", ["under the server's key", "under another key"]);
    /// The key is there and the context is another: another certificate.
    OtherContext = (Who, Some("session-context-mismatch"), Some("session-context-mismatch"), 0,
        "the certificate of each backend, asked for directly", ["same certificate", "other certificate"]);
    /// Another machine took over the address.
    Takeover = (When, Some("failover-no-shared-state"), Some("failover"), 0,
        "a capture on the server's own network, which shows the MAC address that answers", ["since the takeover", "from before the takeover"]);
    /// The ticket key changed.
    KeyChanged = (When, Some("stek-changed"), Some("ticket-key-changed"), 0,
        "ten connections of one client in a row: the old key must not come back", ["under the new key", "under the old key"]);
    /// The certificate was renewed, and with it the context.
    ContextRenewed = (When, Some("session-context-mismatch"), Some("session-context-mismatch"), 0,
        "the server's log for a reload at that time", ["since the new certificate", "from before the new certificate"]);
    /// Everything from before a moment was lost.
    LostAtOnce = (When, Some("server-lost-sessions"), Some("sessions-lost-at-once"), 1,
        "one session made now and offered again after the refused age; the server's log for a reload or restart", ["since that moment", "from before that moment"]);
    /// The client reset the connection of the session.
    ClientReset = (WhatBefell, Some("impl-invalidates-on-rst"), Some("unclean-close-invalidates"), 0,
        "two uses of a session in a row, one ended by close_notify, one by RST", ["after a clean close", "after a reset by the client"]);
    /// The client closed it by a bare FIN.
    ClientFin = (WhatBefell, Some("impl-invalidates-on-rst"), Some("unclean-close-invalidates"), 0,
        "two uses of a session in a row, one ended by close_notify, one by FIN alone", ["after a clean close", "after FIN without close_notify"]);
    /// The server closed it without close_notify.
    ServerClose = (WhatBefell, Some("server-did-not-send-close-notify"), Some("server-close-invalidates"), 0,
        "two uses of a session in a row, one of them closed by the client with close_notify first", ["after a clean close", "after an unclean close by the server"]);
    /// A fatal alert ended it.
    FatalAlert = (WhatBefell, Some("fatal-alert-previous"), None, 0,
        "two uses of a session in a row without an alert in between", ["after a clean close", "after a fatal alert"]);
    /// It is older than its lifetime.
    OverLifetime = (HowLong, Some("credential-over-lifetime"), None, 0,
        "one session offered shortly before its lifetime ends, one shortly after", ["within the lifetime", "over the lifetime"]);
    /// Sessions live up to some age.
    TooOld = (HowLong, Some("server-cache-expired"), Some("session-times-out"), 1,
        "one session made now and offered again after the refused age", ["younger", "older"]);
    /// Sessions live up to some time without use.
    TooIdle = (HowLong, Some("server-cache-expired"), Some("session-times-out"), 2,
        "one session made now and offered again after the refused pause", ["shorter pause", "longer pause"]);
    /// Newer sessions pushed it out.
    Evicted = (HowLong, Some("server-cache-evicted"), Some("cache-overflows"), 1,
        "the same pause at a quiet hour; the counters of the server's cache", ["fewer newer sessions", "more newer sessions"]);
    /// The server negotiated another version than that of the session.
    OtherVersion = (WhatAsks, Some("hello-version-mismatch"), None, 0,
        "the client with the session's version only", ["in its own version", "in another version"]);
    /// The server chose a suite with another hash than that of the PSK.
    OtherHash = (WhatAsks, Some("psk-hash-mismatch"), None, 0,
        "the client with suites of the session's hash only", ["-", "-"]);
    /// A server that sent HelloRetryRequest takes no PSK.
    HelloRetry = (WhatAsks, Some("declined-after-hello-retry"), Some("declined-after-hello-retry"), 0,
        "the client with the server's group first in its key shares", ["without HelloRetryRequest", "after HelloRetryRequest"]);
    /// It is offered under another server name.
    OtherName = (WhatAsks, Some("sni-mismatch"), None, 0,
        "several sessions, each under both names in turn", ["under its own name", "under another name"]);
    /// It can be used once.
    SingleUse = (WhatBefell, Some("single-use-spent"), None, 0,
        "the same session offered twice at once", ["first use", "used before"]);
    /// The server keeps no sessions behind its IDs.
    NeverIds = (Never, Some("server-never-accepts-ids"), Some("ids-never-honoured"), 0,
        "two sessions, each offered eight times in a row, within seconds, after clean ends", ["-", "session IDs"]);
    /// Nobody can open the server's tickets.
    NeverTickets = (Never, None, Some("tickets-never-honoured"), 0,
        "the same ticket offered twice at once, and the server's configuration", ["-", "tickets"]);
    /// Another store than the one that holds it answers, without marks that tell them apart.
    OtherStore = (Who, Some("other-backend-cache"), Some("session-state-not-shared"), 3,
        "ten connections of one client in a row; the processes that listen on the port", ["-", "-"]);
    /// encrypted_client_hello may hide the true offer.
    EncryptedHello = (WhatAsks, Some("ech-rejected-or-grease"), None, 0,
        "the client without encrypted_client_hello", ["without ECH", "with ECH"]);
    /// The server asks for a client certificate now.
    AsksCertificate = (WhatAsks, Some("client-cert-policy"), None, 3,
        "the server's rules for client certificates at the two times", ["-", "-"]);
    /// Offering a session breaks the handshake.
    OfferBreaks = (Breaks, Some("offer-breaks-handshake"), Some("offers-break-handshakes"), 0,
        "the failing client once without its session", ["without an offer", "with an offer"]);
}

impl Kind {
    /// The reason of an offer that it explains. A ticket that another party cannot open is a matter of keys, unless that
    /// party seals under the very key: then it is the context.
    #[must_use]
    pub const fn reason(self, entry: &OfferedCredential) -> Option<&'static str> {
        match self {
            Self::OtherMachine | Self::OtherStore if entry.own_key => Some("session-context-mismatch"),
            Self::OtherMachine | Self::OtherStore if !entry.stateful => Some("stek-not-shared"),
            kind => kind.reason_of_id(),
        }
    }

    /// Every name that it may be told by as a reason.
    pub fn reasons(self) -> impl Iterator<Item = &'static str> {
        let of_tickets: &[&'static str] = match self {
            Self::OtherMachine | Self::OtherStore => &["stek-not-shared", "session-context-mismatch"],
            _ => &[],
        };
        self.reason_of_id().into_iter().chain(of_tickets.iter().copied())
    }

    /// Whether it says that handshakes break, beside that sessions are refused.
    #[must_use]
    pub const fn breaks(self) -> bool {
        matches!(self, Self::OfferBreaks | Self::OtherServer | Self::OtherName)
    }

    /// Its bit in [`crate::diagnosis::attempts::OfferedCredential::causes`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Reason;
    use crate::diagnosis::service::PatternKind;

    #[test]
    fn explanations_are_told_by_names_of_the_catalogue() {
        for kind in Kind::ALL {
            assert!(kind.reasons().all(|name| Reason::by_name(name).is_some()), "{kind:?}");
            assert!(
                kind.pattern().is_none_or(|name| PatternKind::by_name(name).is_some()),
                "{kind:?}"
            );
            assert!(!kind.settle().is_empty() && !kind.settle().ends_with('.'), "{kind:?}");
        }
        assert!(Kind::ALL.len() <= 32, "causes of an entry are 32 bits");
    }

    #[test]
    fn what_another_party_refuses_is_told_by_several_names() {
        for kind in Kind::ALL {
            let several = matches!(kind, Kind::OtherMachine | Kind::OtherStore);
            let expected = if several {
                3
            } else {
                usize::from(*kind != Kind::NeverTickets)
            };
            assert_eq!(kind.reasons().count(), expected, "{kind:?}");
        }
    }

    #[test]
    fn three_explanations_say_that_handshakes_break() {
        let breaking: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| kind.breaks()).collect();
        assert_eq!(breaking, [Kind::OtherServer, Kind::OtherName, Kind::OfferBreaks]);
    }

    #[test]
    fn each_explanation_has_a_bit_of_its_own() {
        let bits = Kind::ALL.iter().fold(0, |bits, kind| {
            assert_eq!(bits & kind.bit(), 0, "{kind:?}");
            bits | kind.bit()
        });
        assert_eq!(bits.count_ones() as usize, Kind::ALL.len());
    }
}
