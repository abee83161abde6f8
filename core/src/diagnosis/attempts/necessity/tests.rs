use super::*;
use crate::diagnosis::tests::full;
use crate::session::tests::{answered, at, endpoint, offer, stack};
use crate::session::{CredentialFingerprint, HelloRetry, OfferKind, PskModes, Seen, TransportKind};
use crate::tls::CipherSuite;

const SHA256: u16 = 0x1301;
const SHA384: u16 = 0x1302;

fn session(change: impl FnOnce(&mut Credential)) -> Credential {
    let name = CredentialFingerprint::of(&[1]);
    let mut credential = Credential {
        version: Some(ProtocolVersion::TLS_1_2),
        suite: Some(CipherSuite(0xc02f)),
        ..Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2))
    };
    change(&mut credential);
    credential
}

/// The defect of a session ID of TLS 1.2.
fn older(hello: fn(&mut ClientHelloFacts), change: fn(&mut Credential)) -> Option<Necessity> {
    let mut connection = full(1);
    hello(connection.hello.yes_mut().expect("a hello"));
    let offer = offer(0, OfferKind::Resumption(Mechanism::SessionId));
    Necessity::of(&connection, &offer, &session(change), Mechanism::SessionId)
}

#[test]
fn numbers_of_dtls_count_downwards() {
    let dtls = |hello, session| {
        let mut connection = full(1);
        connection.hello.yes_mut().expect("a hello").version = hello;
        let offer = offer(0, OfferKind::Resumption(Mechanism::SessionId));
        let session = self::session(|it| it.version = Some(session));
        Necessity::of(&connection, &offer, &session, Mechanism::SessionId)
    };
    let (old, new) = (ProtocolVersion::DTLS_1_0, ProtocolVersion::DTLS_1_2);
    assert_eq!(dtls(new, old), None);
    assert_eq!(dtls(new, new), None);
    assert_eq!(dtls(old, new), Some(Necessity::Version));
}

#[test]
fn a_hello_must_have_version_and_suite_of_the_session() {
    assert_eq!(older(|_| (), |_| ()), None);
    assert_eq!(
        older(|it| it.version = ProtocolVersion::TLS_1_0, |_| ()),
        Some(Necessity::Version)
    );
    assert_eq!(
        older(|it| it.version = ProtocolVersion::TLS_1_0, |it| it.version = None),
        None
    );
    assert_eq!(
        older(|_| (), |it| it.version = Some(ProtocolVersion::TLS_1_3)),
        Some(Necessity::Version)
    );
    assert_eq!(
        older(
            |it| it.offers_tls13 = true,
            |it| it.version = Some(ProtocolVersion::TLS_1_3)
        ),
        None
    );
    assert_eq!(
        older(|_| (), |it| it.suite = Some(CipherSuite(0xc030))),
        Some(Necessity::Cipher)
    );
    assert_eq!(older(|_| (), |it| it.suite = None), None);
    assert_eq!(
        older(|it| it.stack = stack(1, Vec::new()), |_| ()),
        None,
        "its suites were not kept"
    );
    assert_eq!(older(|it| it.v2_format = true, |_| ()), Some(Necessity::OldHello));
}

#[test]
fn extended_master_secret_must_be_in_both_or_in_neither_where_the_server_knows_it() {
    let defect = |session_has: Option<bool>, hello_has, answer_has| {
        let mut connection = full(1);
        connection.hello.yes_mut().expect("a hello").extended_master_secret = hello_has;
        connection.answer.yes_mut().expect("an answer").extended_master_secret = answer_has;
        let offer = offer(0, OfferKind::Resumption(Mechanism::Ticket));
        let credential = session(|it| it.extended_master_secret = session_has);
        Necessity::of(&connection, &offer, &credential, Mechanism::Ticket)
    };
    let differs = Some(Necessity::ExtendedMasterSecret);
    assert_eq!(defect(Some(false), true, true), differs);
    assert_eq!(defect(Some(false), true, false), None);
    assert_eq!(defect(Some(true), false, false), differs);
    assert_eq!(defect(Some(true), true, true), None);
    assert_eq!(defect(Some(false), false, true), None);
    assert_eq!(defect(None, true, true), None);
}

/// The defect of a PSK whose binder has 32 bytes, and so whose hash is SHA-256.
fn psk(suites: &[u16], change: fn(&mut Connection)) -> Option<Necessity> {
    let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_3);
    let hello = connection.hello.yes_mut().expect("a hello");
    hello.offers_tls13 = true;
    hello.pre_shared_key = true;
    hello.psk_modes = Some(PskModes {
        ke: false,
        dhe_ke: true,
    });
    hello.stack = stack(1, suites.iter().map(|suite| CipherSuite(*suite)).collect());
    change(&mut connection);
    let mut offer = offer(0, OfferKind::Resumption(Mechanism::Psk));
    offer.binder = 32;
    Necessity::of(&connection, &offer, &session(|_| ()), Mechanism::Psk)
}

#[test]
fn a_psk_wants_its_modes_and_its_hash() {
    assert_eq!(psk(&[SHA256, SHA384], |_| ()), None);
    assert_eq!(psk(&[SHA384, 0xc02f], |_| ()), Some(Necessity::Hash));
    assert_eq!(psk(&[], |_| ()), None, "its suites were not kept");
    let tls12: fn(&mut Connection) = |it| it.hello.yes_mut().expect("a hello").offers_tls13 = false;
    assert_eq!(psk(&[SHA256], tls12), Some(Necessity::Version));
    let without_modes: fn(&mut Connection) = |it| it.hello.yes_mut().expect("a hello").psk_modes = None;
    assert_eq!(psk(&[SHA256], without_modes), Some(Necessity::Modes));
    // An older answer looks at neither; and where there is no such extension, it was in the first hello only.
    let older: fn(&mut Connection) = |it| {
        it.hello.yes_mut().expect("a hello").psk_modes = None;
        it.answer.yes_mut().expect("an answer").version = ProtocolVersion::TLS_1_2;
    };
    assert_eq!(psk(&[SHA256], older), None);
    let in_the_first: fn(&mut Connection) = |it| {
        let hello = it.hello.yes_mut().expect("a hello");
        (hello.psk_modes, hello.pre_shared_key) = (None, false);
    };
    assert_eq!(psk(&[SHA256], in_the_first), None);
}

#[test]
fn the_suite_of_a_hello_retry_request_leaves_one_hash() {
    fn retried(connection: &mut Connection, suite: u16) {
        connection.retry = Some(Box::new(HelloRetry {
            request: at(1),
            first_hello: at(1),
        }));
        connection.answer.yes_mut().expect("an answer").suite = CipherSuite(suite);
    }
    let both = [SHA256, SHA384];
    assert_eq!(psk(&both, |it| retried(it, SHA384)), Some(Necessity::Hash));
    assert_eq!(psk(&both, |it| retried(it, SHA256)), None);
    // What the hello behind it lacks, no server could accept.
    let left_out: fn(&mut Connection) = |it| {
        retried(it, SHA256);
        it.hello.yes_mut().expect("a hello").pre_shared_key = false;
    };
    assert_eq!(psk(&both, left_out), Some(Necessity::LeftOut));
    assert_eq!(
        psk(&both, |it| it.answer.yes_mut().expect("an answer").suite =
            CipherSuite(SHA384)),
        None
    );
    let unanswered: fn(&mut Connection) = |it| {
        retried(it, SHA384);
        it.answer = Seen::No;
    };
    assert_eq!(psk(&both, unanswered), None);
}

#[test]
fn each_defect_says_what_it_is_and_what_to_do() {
    let all = [
        Necessity::Version,
        Necessity::Cipher,
        Necessity::Hash,
        Necessity::Modes,
        Necessity::ExtendedMasterSecret,
        Necessity::OldHello,
        Necessity::LeftOut,
    ];
    let causes: std::collections::BTreeSet<_> = all.iter().map(|it| it.cause()).collect();
    let actions: std::collections::BTreeSet<_> = all.iter().map(|it| it.action()).collect();
    assert_eq!((causes.len(), actions.len()), (all.len(), all.len()));
}

#[test]
fn no_ticket_of_tls13_can_be_used_in_an_older_version() {
    let defect = |version, outcome| {
        let mut connection = answered(1, "a.test", version);
        connection.outcome = outcome;
        let hello = connection.hello.yes_mut().expect("a hello");
        (hello.offers_tls13, hello.pre_shared_key) = (true, true);
        hello.psk_modes = Some(PskModes {
            ke: false,
            dhe_ke: true,
        });
        let offer = offer(0, OfferKind::Resumption(Mechanism::Psk));
        Necessity::of(&connection, &offer, &session(|_| ()), Mechanism::Psk)
    };
    let (older, tls13) = (ProtocolVersion::TLS_1_2, ProtocolVersion::TLS_1_3);
    assert_eq!(defect(older, Outcome::Declined), Some(Necessity::AnsweredVersion));
    assert_eq!(defect(tls13, Outcome::Declined), None);
    // What broke may have broken for another cause.
    assert_eq!(defect(older, Outcome::Failed), None);
}
