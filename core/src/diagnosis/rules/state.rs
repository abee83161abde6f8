//! The server dropped the session: by an unclean close, by age, by use, or because it never kept it.

use super::super::RuleResult;
use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::explained::{explained, explained_close};
use super::reason;
use crate::session::ProtocolVersion;

reason! {
    /// ## What it means
    /// By the letter of TLS 1.0 a session must not be resumed after one of its connections ended without close_notify.
    /// Few servers comply.
    ///
    /// ## How we know
    /// The close of the session's latest connection is in the capture. It is `inferred` where sessions resume after
    /// clean closes and not after such ones, with three on each side and a chance of at most 1 in 100 after all
    /// corrections, and no rival left; otherwise `possible`. Ruled out once a session has survived such a close that
    /// was read.
    pub(super) static UNCLEAN_CLOSE_TLS10 = {
        name: "unclean-close-tls10", since: "0.1.0", stage: Inferred,
        summary: "TLS 1.0 forbids resumption after an unclean close",
        spec: [(2246, "7.2.1")],
        actor: Either,
        advice: "send close_notify before closing (OpenSSL: SSL_shutdown before SSL_free; HAProxy: no option nolinger), or move to TLS 1.2 or later",
        rule: unclean_close_tls10,
    }
}

fn unclean_close_tls10(case: &RuleContext<'_>) -> RuleResult {
    let old = case
        .connection
        .version()
        .is_some_and(ProtocolVersion::is_tls10_or_older);
    let kinds = [Kind::ClientReset, Kind::ClientFin, Kind::ServerClose];
    explained_close(case, old, &kinds)
}

reason! {
    /// ## What it means
    /// The server closed the session's latest connection without sending close_notify. OpenSSL servers drop a cached
    /// session when the application frees a connection without having sent it.
    ///
    /// ## How we know
    /// The close of the session's latest connection is in the capture. It is `inferred` where sessions resume after
    /// clean closes and not after such ones, with three on each side and a chance of at most 1 in 100 after all
    /// corrections, and no rival left; otherwise `possible`. A server that exits closes its connections this way as
    /// well, and loses everything: at least three sessions must have been lost while another one, from before the
    /// close, was honoured after the refusal. Ruled out once a session has survived such a close that was read.
    pub(super) static SERVER_DID_NOT_SEND_CLOSE_NOTIFY = {
        name: "server-did-not-send-close-notify", since: "0.1.0", stage: Inferred,
        summary: "the server closed without close_notify and lost the session with it",
        spec: [(4346, "7.2.1"), (5246, "7.2.1")],
        actor: Server,
        advice: "send close_notify from the server application (OpenSSL: SSL_shutdown before SSL_free), or use tickets",
        rule: server_close,
    }
}

fn server_close(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "server-did-not-send-close-notify", &[Kind::ServerClose])
}

reason! {
    /// ## What it means
    /// The client ended the session's latest connection without close_notify, by RST or FIN, and the server dropped the
    /// session because of it. From TLS 1.1 on no rule asks for that, but some implementations do it: Java before 16,
    /// and OpenSSL servers that free a connection they could not shut down. Health checks that reset their connections
    /// are a common source.
    ///
    /// ## How we know
    /// The close of the session's latest connection is in the capture. It is `inferred` where sessions resume after
    /// clean closes and not after such ones, with three on each side and a chance of at most 1 in 100 after all
    /// corrections, and no rival left; otherwise `possible`. Where several such closes fall together, the server may
    /// have hung and been restarted: then another session must outlive three of them, as with closes by the server.
    /// Ruled out once a session has survived such a close that was read.
    pub(super) static IMPL_INVALIDATES_ON_RST = {
        name: "impl-invalidates-on-rst", since: "0.1.0", stage: Inferred,
        summary: "the server drops sessions whose connection the client ended uncleanly",
        spec: [(4346, "7.2.1"), (5246, "7.2.1")],
        actor: Either,
        advice: "have the client or proxy send close_notify (HAProxy: plain TCP checks instead of check-ssl), upgrade the server (Java 17), or use tickets",
        rule: client_close,
    }
}

fn client_close(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "impl-invalidates-on-rst", &[Kind::ClientReset, Kind::ClientFin])
}

reason! {
    /// ## What it means
    /// The server keeps sessions for a shorter time than this client waited.
    ///
    /// ## How we know
    /// On this service sessions were resumed up to a certain age (or pause), and this one was refused above it. It is
    /// `inferred` by the count, where rows refute that everything from before some moment was lost and that newer
    /// sessions pushed it out, and where other sessions outlived the pauses of at least three of those refused, so that
    /// not every pause contains a restart; otherwise `possible`.
    pub(super) static SERVER_CACHE_EXPIRED = {
        name: "server-cache-expired", since: "0.1.0", stage: Inferred,
        summary: "the session was older than the server keeps sessions",
        spec: [(5246, "7.4.1.3"), (5246, "F.1.4")],
        actor: Server,
        advice: "raise the session timeout (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime; OpenSSL: SSL_CTX_set_timeout; Java: SSLSessionContext.setSessionTimeout)",
        rule: cache_expired,
    }
}

fn cache_expired(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "server-cache-expired", &[Kind::TooOld, Kind::TooIdle])
}

reason! {
    /// ## What it means
    /// The server's cache was full, and newer sessions pushed this one out. Raising the timeout does not help then.
    ///
    /// ## How we know
    /// On this service sessions resumed as long as few newer ones had been made, and were refused once there were more.
    /// It stays `possible`: the true size of the cache is not visible, and a capture shows only some of what fills it.
    pub(super) static SERVER_CACHE_EVICTED = {
        name: "server-cache-evicted", since: "0.1.0", stage: Inferred,
        summary: "newer sessions may have pushed this one out of the server's cache",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "increase the size of the session cache (nginx: the size in ssl_session_cache shared:SSL:10m; Apache: the size in SSLSessionCache shmcb:…; HAProxy: tune.ssl.cachesize; OpenSSL: SSL_CTX_sess_set_cache_size; Java: javax.net.ssl.sessionCacheSize), or use tickets",
        rule: cache_evicted,
    }
}

fn cache_evicted(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "server-cache-evicted", &[Kind::Evicted])
}

reason! {
    /// ## What it means
    /// The server hands out session IDs but keeps no session behind them, as nginx does by default (`ssl_session_cache
    /// none`). Offering one is always in vain.
    ///
    /// ## How we know
    /// No session ID of this service was ever accepted. That alone proves little: several servers in turn look the
    /// same, and n refusals rule out up to n/5 of them. It is `inferred` from 40 refusals of fresh sessions whose
    /// connections ended cleanly, some of them offered at points where up to eight servers in strict rotation would
    /// have come round again; otherwise `possible`.
    pub(super) static SERVER_NEVER_ACCEPTS_IDS = {
        name: "server-never-accepts-ids", since: "0.1.0", stage: Inferred,
        summary: "the server issues session IDs that it never honours",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "give the server a session cache (nginx: ssl_session_cache shared:SSL:10m; Apache: SSLSessionCache shmcb:…; OpenSSL: SSL_CTX_set_session_cache_mode and SSL_CTX_set_session_id_context), or turn tickets on at both ends",
        rule: never_accepts_ids,
    }
}

fn never_accepts_ids(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "server-never-accepts-ids", &[Kind::NeverIds])
}

reason! {
    /// ## What it means
    /// This very ticket was accepted before and is refused now. Some servers honour a ticket only once, to keep early
    /// data from being replayed.
    ///
    /// ## How we know
    /// Both offers are in the capture, and no credential of this service was accepted twice. It is `inferred` by the
    /// count only, where no rival is left; otherwise `possible`: a key change or another backend would explain it too.
    pub(super) static SINGLE_USE_SPENT = {
        name: "single-use-spent", since: "0.1.0", stage: Inferred,
        summary: "the same ticket was accepted before and may be good only once",
        spec: [(8446, "8.1"), (8446, "C.4")],
        actor: Client,
        advice: "use each TLS 1.3 ticket once, and have the server issue enough of them (OpenSSL: SSL_CTX_set_num_tickets; Java 24: jdk.tls.server.newSessionTicketCount)",
        rule: single_use,
    }
}

fn single_use(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "single-use-spent", &[Kind::SingleUse])
}
