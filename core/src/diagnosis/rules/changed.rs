//! Nothing was offered because the ClientHello is another than that of the session: name, version, suites, extended
//! master secret.

use super::super::context::{Issuance, RuleContext};
use super::super::{Confidence, Evidence, RuleResult};
use super::held::silent_hello;
use super::reason;
use crate::net::FrameRef;
use crate::session::{ClientHelloFacts, Connection, Mechanism, ProtocolVersion, TicketExtension};
use crate::tls::CipherSuite;

/// Earlier connections looked at for one that gave the client something.
const MAX_SEARCHED: usize = 64;

fn shown(issuance: &Issuance<'_>) -> FrameRef {
    issuance
        .from
        .answer
        .yes()
        .map_or(issuance.over.frame, |answer| answer.at.frame)
}

reason! {
    /// ## What it means
    /// The client holds sessions with this server, but for another server name. Clients keep sessions by name and offer
    /// none under a new one.
    ///
    /// ## How we know
    /// Earlier connections of this client stack to the same address and port gave it something under other names, and
    /// none did under this one. It is `possible`: one address and client stack may be several clients, each with a
    /// store of its own, and the one that uses this name may be here for the first time.
    pub(super) static CLIENT_SNI_CHANGED = {
        name: "client-sni-changed", since: "0.1.0", stage: NothingOffered,
        summary: "the client holds sessions with this server only under another name",
        spec: [(6066, "3"), (8446, "4.6.1")],
        actor: Client,
        advice: "use fewer names for one service, or let HTTP/2 clients reuse a connection for several names of one certificate",
        rule: sni_changed,
    }
}

fn sni_changed(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = silent_hello(case) else {
        return RuleResult::CannotTell;
    };
    if case.latest_gift().is_some() {
        return RuleResult::DoesNotHold;
    }
    let other = case
        .history
        .earlier(case.connection_store, case.id)
        .take(MAX_SEARCHED)
        .filter(|(_, earlier)| earlier.server_name() != case.connection.server_name())
        .find_map(|earlier| case.issuance(earlier).filter(Issuance::is_sure));
    let Some(other) = other else {
        return RuleResult::DoesNotHold;
    };
    let summary = match other.from.server_name() {
        Some(name) => format!("the client's sessions with this server are for {name}"),
        None => "the client's sessions with this server are for no server name".to_owned(),
    };
    // Whoever comes under this name for the first time may be another client behind the address as well.
    RuleResult::holds(
        Confidence::Possible,
        summary,
        hello,
        vec![Evidence::new(
            shown(&other),
            "handshake of this client under another name",
        )],
    )
}

/// The highest version that a ClientHello offers.
const fn highest(hello: &ClientHelloFacts) -> ProtocolVersion {
    if hello.offers_tls13 {
        ProtocolVersion::TLS_1_3
    } else {
        hello.version
    }
}

reason! {
    /// ## What it means
    /// The session has a higher version than this ClientHello offers: a TLS 1.3 ticket cannot be offered in a hello
    /// whose highest version is TLS 1.2. A fallback after a failure does this; so do a client with two configurations,
    /// and two clients behind one address.
    ///
    /// ## How we know
    /// The version of the earlier handshake and the versions in this ClientHello are both in clear. Whether both are
    /// one client cannot be known, whatever else their hellos have in common: two processes with different settings,
    /// each with its own store, look the same. It stays `possible`.
    pub(super) static CLIENT_OFFERS_LOWER_VERSION_ONLY = {
        name: "client-offers-lower-version-only", since: "0.1.0", stage: NothingOffered,
        summary: "the highest version of the hello is below that of the client's session",
        spec: [(8446, "4.1.2"), (5246, "7.4.1.2")],
        actor: Client,
        advice: "offer the same versions in every connection (curl: --tls-max; OpenSSL: MaxProtocol; Java: jdk.tls.client.protocols; HAProxy: ssl-max-ver on the server line)",
        rule: lower_version,
    }
}

fn lower_version(case: &RuleContext<'_>) -> RuleResult {
    let (Some(silent), Some(hello)) = (silent_hello(case), case.connection.hello.yes()) else {
        return RuleResult::CannotTell;
    };
    if case
        .latest_gift()
        .is_some_and(|own| own.from.version().map(ProtocolVersion::rank) <= Some(highest(hello).rank()))
    {
        return RuleResult::DoesNotHold;
    }
    let Some(issuance) = case.gift_to_any_stack() else {
        return RuleResult::DoesNotHold;
    };
    let Some(version) = issuance
        .from
        .version()
        .filter(|version| version.rank() > highest(hello).rank())
    else {
        return RuleResult::DoesNotHold;
    };
    RuleResult::holds(
        Confidence::Possible,
        format!("the session is {version}; this hello offers at most {}", highest(hello)),
        silent,
        vec![Evidence::new(
            shown(&issuance),
            format!("handshake of this client in {version}"),
        )],
    )
}

/// RFC 8446 B.4.
const fn is_tls13_suite(suite: CipherSuite) -> bool {
    suite.0 >> 8 == 0x13
}

reason! {
    /// ## What it means
    /// The client's settings are no longer those of its session: this ClientHello could not resume it. Its cipher suite
    /// is gone from the list, extended master secret or session tickets were turned off, or no suite of the ticket's
    /// hash is left. Two programs behind one address look the same.
    ///
    /// ## How we know
    /// The earlier handshake shows what the session needs, and this one what the client offers now. Whether both are
    /// one client cannot be known: it stays `possible`.
    pub(super) static CLIENT_CONFIG_CHANGED = {
        name: "client-config-changed", since: "0.1.0", stage: NothingOffered,
        summary: "the hello lacks what the client's session needs",
        spec: [(5246, "7.4.1.2"), (8446, "4.1.2"), (7627, "5.3")],
        actor: Client,
        advice: "keep suites and extensions the same in every connection, and give programs with different settings a cache of their own (HAProxy: equal ciphers on all server lines; curl: --ciphers; Java: one SSLContext)",
        rule: config_changed,
    }
}

fn config_changed(case: &RuleContext<'_>) -> RuleResult {
    let (Some(silent), Some(hello)) = (silent_hello(case), case.connection.hello.yes()) else {
        return RuleResult::CannotTell;
    };
    let own = case.latest_gift();
    if own.is_some_and(|own| lacking(case, hello, own.from).is_none()) {
        return RuleResult::DoesNotHold;
    }
    let Some(issuance) = own.or_else(|| case.gift_to_any_stack()) else {
        return RuleResult::DoesNotHold;
    };
    let Some(lacking) = lacking(case, hello, issuance.from) else {
        return RuleResult::DoesNotHold;
    };
    RuleResult::holds(
        Confidence::Possible,
        format!("the session needs {lacking}, which this hello does not offer"),
        silent,
        vec![Evidence::new(
            shown(&issuance),
            "handshake of this client address that made the session",
        )],
    )
}

/// What the session of an earlier connection needs and a ClientHello does not have.
fn lacking(case: &RuleContext<'_>, hello: &ClientHelloFacts, earlier: &Connection) -> Option<String> {
    let answer = earlier.answer.yes()?;
    if answer.version.is_tls13() {
        let hash = answer.suite.kdf_hash()?;
        let fits = |suite: &CipherSuite| is_tls13_suite(*suite) && suite.kdf_hash() == Some(hash);
        let gone = hello.offers_tls13 && !hello.stack.suites.iter().any(fits);
        return gone.then(|| format!("a suite with the hash of {}", answer.suite));
    }
    if answer.version.rank() > highest(hello).rank() {
        return None;
    }
    if !hello.stack.suites.contains(&answer.suite) {
        return Some(answer.suite.to_string());
    }
    if answer.extended_master_secret && !hello.extended_master_secret {
        return Some("extended master secret".to_owned());
    }
    let ticket = case
        .left_with(earlier)
        .any(|(_, credential)| credential.mechanism == Mechanism::Ticket);
    (ticket && hello.ticket == TicketExtension::Absent).then(|| "session tickets".to_owned())
}

reason! {
    /// ## What it means
    /// The session was made without extended master secret, which the server lacks. A client that insists on the
    /// extension must not resume such a session, and offers none.
    ///
    /// ## How we know
    /// The earlier ServerHello lacks the extension, and this ClientHello has it. Few clients are that strict: it stays
    /// `possible`, and is not reported once this client has offered such a session.
    pub(super) static CLIENT_NON_EMS_NOT_OFFERED = {
        name: "client-non-ems-not-offered", since: "0.1.0", stage: NothingOffered,
        summary: "the client's session lacks extended master secret",
        spec: [(7627, "5.3")],
        actor: Server,
        advice: "upgrade the server to one with extended master secret (OpenSSL 1.1.0, Java 8u161); Java clients do not offer such sessions where jdk.tls.allowLegacyResumption is false, which is the safer setting",
        rule: non_ems,
    }
}

fn non_ems(case: &RuleContext<'_>) -> RuleResult {
    let (Some(silent), Some(hello)) = (silent_hello(case), case.connection.hello.yes()) else {
        return RuleResult::CannotTell;
    };
    let Some(issuance) = case.latest_gift().filter(|issuance| !issuance.from.is_tls13()) else {
        return RuleResult::DoesNotHold;
    };
    let mut any = false;
    for (_, credential) in case.left_with(issuance.from) {
        if credential.extended_master_secret != Some(false) || !credential.offers.is_empty() {
            return RuleResult::DoesNotHold;
        }
        any = true;
    }
    if !any || !hello.extended_master_secret || case.behaviour().offers() {
        return RuleResult::DoesNotHold;
    }
    RuleResult::holds(
        Confidence::Possible,
        "the client's session was made without extended master secret, which this hello asks for",
        silent,
        vec![Evidence::new(
            shown(&issuance),
            "ServerHello without extended_master_secret",
        )],
    )
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn hello(suites: &[u16]) -> ClientHelloFacts {
        let mut connection = crate::diagnosis::tests::full(1);
        let hello = connection.hello.yes_mut().expect("a hello");
        let stack = std::sync::Arc::get_mut(&mut hello.stack).expect("of this hello alone");
        stack.suites = suites.iter().map(|suite| CipherSuite(*suite)).collect();
        hello.clone()
    }

    #[test]
    fn a_hello_ends_at_its_highest_version() {
        let mut facts = hello(&[0xc02f]);
        facts.offers_tls13 = false;
        assert_eq!(highest(&facts), facts.version);
        facts.offers_tls13 = true;
        assert_eq!(highest(&facts), ProtocolVersion::TLS_1_3);
    }

    #[test]
    fn what_a_session_needs_and_a_hello_lacks_is_named() {
        use crate::diagnosis::tests::{World, full, one_credential};
        use crate::session::tests::answered;
        let lacks = |earlier: fn(&mut Connection), now: fn(&mut ClientHelloFacts), suites: &[u16]| {
            let credential_store = one_credential(Mechanism::Ticket, &[7; 100], |_| ());
            let mut first = full(1);
            earlier(&mut first);
            let world = World::with(credential_store, vec![first, full(2)], usize::MAX);
            let case = world.case(1);
            let mut hello = hello(suites);
            hello.ticket = TicketExtension::Empty;
            now(&mut hello);
            let first = case
                .connection_store
                .get(crate::session::ConnectionId(0))
                .expect("it is kept");
            lacking(&case, &hello, first)
        };
        let suite = CipherSuite(0xc02f).to_string();
        assert_eq!(lacks(|_| (), |_| (), &[0xc02f]), None);
        assert_eq!(lacks(|_| (), |_| (), &[0xc030]), Some(suite));
        assert_eq!(
            lacks(|_| (), |it| it.version = ProtocolVersion::TLS_1_0, &[0xc030]),
            None
        );
        let secret = Some("extended master secret".to_owned());
        assert_eq!(lacks(|_| (), |it| it.extended_master_secret = false, &[0xc02f]), secret);
        let made_without: fn(&mut Connection) = |it| {
            it.answer.yes_mut().expect("an answer").extended_master_secret = false;
        };
        assert_eq!(
            lacks(made_without, |it| it.extended_master_secret = false, &[0xc02f]),
            None
        );
        let issuing: fn(&mut Connection) = |it| it.issued = smallvec![crate::session::CredentialId(0)];
        let off: fn(&mut ClientHelloFacts) = |it| it.ticket = TicketExtension::Absent;
        assert_eq!(lacks(issuing, off, &[0xc02f]), Some("session tickets".to_owned()));
        assert_eq!(lacks(issuing, |_| (), &[0xc02f]), None);
        assert_eq!(lacks(|_| (), off, &[0xc02f]), None);
        // In TLS 1.3 any suite with the hash will do.
        let tls13: fn(&mut Connection) = |it| {
            it.answer = answered(1, "a.test", ProtocolVersion::TLS_1_3).answer;
            it.answer.yes_mut().expect("an answer").suite = CipherSuite(0x1302);
        };
        let offers: fn(&mut ClientHelloFacts) = |it| it.offers_tls13 = true;
        assert_eq!(lacks(tls13, offers, &[0x1301, 0x1302]), None);
        let hash = format!("a suite with the hash of {}", CipherSuite(0x1302));
        assert_eq!(lacks(tls13, offers, &[0x1301, 0xc030]), Some(hash));
        assert_eq!(lacks(tls13, |it| it.offers_tls13 = false, &[0xc030]), None);
    }
}
