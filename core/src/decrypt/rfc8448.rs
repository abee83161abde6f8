//! The traces that RFC 8448 publishes: its secrets as a key log, its records as they were sent.

use super::testing::bytes;
use super::{ConnectionKeys, KeyLogReader, Readiness, Secrets, Speaker};
use crate::tls::names::HandshakeType;
use crate::tls::record::{Content, Sealed};
use crate::tls::{AlertDescription, ContentType, Message, ProtocolVersion};

const CLIENT_RANDOM: &str = "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7";
const SERVER_RANDOM: &str = "a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928";

/// Section 3: the four traffic secrets.
const SECRETS: [(&str, &str); 4] = [
    (
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
    ),
    (
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
    ),
    (
        "CLIENT_TRAFFIC_SECRET_0",
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
    ),
    (
        "SERVER_TRAFFIC_SECRET_0",
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
    ),
];

/// Section 3, "complete record" of the server's handshake: EncryptedExtensions to Finished.
const SERVER_FLIGHT: &str = "
    17030302a2d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af35edf7869fcf40aa40aa2b8ea73f848a7ca07612ef9f945cb96
    0b4068905123ea78b111b429ba9191cd05d2a389280f526134aadc7fc78c4b729df828b5ecf7b13bd9aefb0e57f271585b8ea9bb355c7c79
    020716cfb9b1183ef3ab20e37d57a6b9d7477609aee6e122a4cf51427325250c7d0e509289444c9b3a648f1d71035d2ed65b0e3cdd0cbae8
    bf2d0b227812cbb360987255cc744110c453baa4fcd610928d809810e4b7ed1a8fd991f06aa6248204797e36a6a73b70a2559c09ead68694
    5ba246ab66e5edd8044b4c6de3fcf2a89441ac66272fd8fb330ef8190579b3684596c960bd596eea520a56a8d650f563aad27409960dca63
    d3e688611ea5e22f4415cf9538d51a200c27034272968a264ed6540c84838d89f72c24461aad6d26f59ecaba9acbbb317b66d902f4f292a3
    6ac1b639c637ce343117b659622245317b49eeda0c6258f100d7d961ffb138647e92ea330faeea6dfa31c7a84dc3bd7e1b7a6c7178af3687
    9018e3f252107f243d243dc7339d5684c8b0378bf30244da8c87c843f5e56eb4c5e8280a2b48052cf93b16499a66db7cca71e4599426f7d4
    61e66f99882bd89fc50800becca62d6c74116dbd2972fda1fa80f85df881edbe5a37668936b335583b599186dc5c6918a396fa48a181d6b6
    fa4f9d62d513afbb992f2b992f67f8afe67f76913fa388cb5630c8ca01e0c65d11c66a1e2ac4c85977b7c7a6999bbf10dc35ae69f5515614
    636c0b9b68c19ed2e31c0b3b66763038ebba42f3b38edc0399f3a9f23faa63978c317fc9fa66a73f60f0504de93b5b845e275592c12335ee
    340bbc4fddd502784016e4b3be7ef04dda49f4b440a30cb5d2af939828fd4ae3794e44f94df5a631ede42c1719bfdabf0253fe5175be898e
    750edc53370d2b";
const CLIENT_FINISHED: &str = "
    170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab6867d726c4
    0546";
const NEW_SESSION_TICKET: &str = "
    17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a015940252f55713e
    061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac46f75f7b981be6343
    9b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac3
    47d143f9605d64f650db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf159
    85684f";
const CLIENT_DATA: &str = "
    1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2
    977014bd1e3deae63aeebb21694915e4";
const SERVER_DATA: &str = "
    17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a2
    1c0047c2abf332540dd032e167c2955d";
const CLIENT_CLOSE: &str = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
const SERVER_CLOSE: &str = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

/// A connection with these lines in its log, whose hellos have been seen.
fn connection(lines: &[(&str, &str)], early_data: bool) -> (ConnectionKeys, Secrets) {
    let (mut keys, mut secrets, mut log) = (ConnectionKeys::new(), Secrets::default(), KeyLogReader::default());
    for (label, secret) in lines {
        log.push(format!("{label} {CLIENT_RANDOM} {secret}\n").as_bytes(), &mut secrets);
    }
    assert_eq!(log.faults(), []);
    let extensions: &[u8] = if early_data { &[0, 4, 0, 42, 0, 0] } else { &[] };
    let client = [
        &[3, 3][..],
        &bytes(CLIENT_RANDOM),
        &[0, 0, 2, 0x13, 1, 1, 0],
        extensions,
    ]
    .concat();
    let server = [
        &[3, 3][..],
        &bytes(SERVER_RANDOM),
        &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4],
    ]
    .concat();
    for (speaker, kind, body) in [(Speaker::Client, 1, client), (Speaker::Server, 2, server)] {
        let length = u8::try_from(body.len()).expect("short");
        let message = [&[kind, 0, 0, length][..], &body].concat();
        keys.message(speaker, &Message::parse(&message), &mut secrets);
    }
    assert_eq!(keys.prepare(&mut secrets), Readiness::Ready);
    (keys, secrets)
}

fn open(keys: &mut ConnectionKeys, secrets: &mut Secrets, speaker: Speaker, record: &str) -> Content {
    let record = bytes(record);
    let (header, body) = record.split_at(5);
    let length = u16::from_be_bytes([header[3], header[4]]);
    assert_eq!(usize::from(length), body.len(), "the record is whole");
    let sealed = Sealed {
        content_type: ContentType(header[0]),
        version: ProtocolVersion(u16::from_be_bytes([header[1], header[2]])),
        length,
        body,
    };
    keys.open(speaker, &sealed, secrets)
}

const CLOSE_NOTIFY: Content = Content::Alert {
    fatal: false,
    description: AlertDescription::CLOSE_NOTIFY,
};

#[test]
fn the_simple_handshake_is_read_from_its_first_protected_record_to_its_last() {
    let (mut keys, mut secrets) = connection(&SECRETS, false);
    let content = open(&mut keys, &mut secrets, Speaker::Server, SERVER_FLIGHT);
    assert_eq!(content, Content::Handshake);
    let mut seen = Vec::new();
    while let Some(message) = keys.next_message(Speaker::Server, &mut secrets) {
        seen.push(match message {
            Message::EncryptedExtensions(extensions) => {
                assert!(!extensions.early_data && extensions.alpn.is_none());
                HandshakeType::ENCRYPTED_EXTENSIONS
            }
            Message::Certificate(certificate) => {
                assert_eq!((certificate.len(), certificate[..4].to_vec()), (432, bytes("308201ac")));
                HandshakeType::CERTIFICATE
            }
            Message::Other(kind) => kind,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        seen,
        [
            HandshakeType::ENCRYPTED_EXTENSIONS,
            HandshakeType::CERTIFICATE,
            HandshakeType::CERTIFICATE_VERIFY,
            HandshakeType::FINISHED
        ]
    );
    // Its size gives it away, so that no key is made for it.
    let content = open(&mut keys, &mut secrets, Speaker::Client, CLIENT_FINISHED);
    assert_eq!(content, Content::Closed);
    let content = open(&mut keys, &mut secrets, Speaker::Server, NEW_SESSION_TICKET);
    assert_eq!(content, Content::Handshake);
    let Some(Message::PskTicket(ticket)) = keys.next_message(Speaker::Server, &mut secrets) else {
        panic!("a ticket");
    };
    assert_eq!(
        (ticket.lifetime, ticket.age_add, ticket.max_early_data),
        (30, 0xfad6_aac5, Some(1024))
    );
    assert_eq!(
        (ticket.ticket.len(), ticket.ticket[..4].to_vec()),
        (178, bytes("2c035d82"))
    );
    for (speaker, record, expected) in [
        (Speaker::Client, CLIENT_DATA, Content::Data),
        (Speaker::Server, SERVER_DATA, Content::Data),
        (Speaker::Client, CLIENT_CLOSE, CLOSE_NOTIFY),
        (Speaker::Server, SERVER_CLOSE, CLOSE_NOTIFY),
    ] {
        assert_eq!(open(&mut keys, &mut secrets, speaker, record), expected, "{speaker:?}");
    }
    assert_eq!(keys.counts(), (6, 0));
}

#[test]
fn without_the_handshake_secrets_what_follows_still_opens() {
    let (mut keys, mut secrets) = connection(&SECRETS[2..], false);
    for (speaker, record, expected) in [
        (Speaker::Server, SERVER_FLIGHT, Content::Closed),
        (Speaker::Client, CLIENT_FINISHED, Content::Closed),
        (Speaker::Server, NEW_SESSION_TICKET, Content::Handshake),
        (Speaker::Client, CLIENT_DATA, Content::Data),
        (Speaker::Client, CLIENT_CLOSE, CLOSE_NOTIFY),
    ] {
        assert_eq!(open(&mut keys, &mut secrets, speaker, record), expected, "{speaker:?}");
    }
}

/// After a loss the number of a record is searched for; it opens under no other.
#[test]
fn after_lost_bytes_the_next_short_record_is_found() {
    let (mut keys, mut secrets) = connection(&SECRETS, false);
    for (speaker, record) in [(Speaker::Server, SERVER_FLIGHT), (Speaker::Client, CLIENT_FINISHED)] {
        open(&mut keys, &mut secrets, speaker, record);
        while keys.next_message(speaker, &mut secrets).is_some() {}
    }
    // The ticket and the data before the alert are lost.
    keys.lose(Speaker::Server, 300);
    assert_eq!(
        open(&mut keys, &mut secrets, Speaker::Server, SERVER_CLOSE),
        CLOSE_NOTIFY
    );
    // Here nothing was lost, but the data did not come: the alert is another record than the one it is taken for.
    assert_eq!(
        open(&mut keys, &mut secrets, Speaker::Client, CLIENT_CLOSE),
        Content::Closed
    );
    assert_eq!(keys.counts(), (2, 1));
}

#[test]
fn a_finished_that_was_lost_leads_to_the_application_key() {
    let (mut keys, mut secrets) = connection(&SECRETS, false);
    keys.lose(Speaker::Server, 700);
    assert_eq!(
        open(&mut keys, &mut secrets, Speaker::Server, NEW_SESSION_TICKET),
        Content::Handshake
    );
    assert!(matches!(
        keys.next_message(Speaker::Server, &mut secrets),
        Some(Message::PskTicket(_))
    ));
}

#[test]
fn a_changed_record_stays_closed() {
    let (mut keys, mut secrets) = connection(&SECRETS, false);
    let changed = SERVER_FLIGHT.replace("750edc53370d2b", "750edc53370d2a");
    assert_eq!(
        open(&mut keys, &mut secrets, Speaker::Server, &changed),
        Content::Closed
    );
    assert!(keys.next_message(Speaker::Server, &mut secrets).is_none());
    assert_eq!(keys.counts(), (0, 1));
}

/// Section 4, resumed 0-RTT: the early traffic secret and the record of early data.
#[test]
fn early_data_opens_under_the_early_secret() {
    let early = "3fbbe6a60deb66c30a32795aba0eff7eaa10105586e7be5c09678d63b6caab62";
    let mut lines = SECRETS.to_vec();
    lines.push(("CLIENT_EARLY_TRAFFIC_SECRET", early));
    let (mut keys, mut secrets) = connection(&lines, true);
    let data = "1703030017ab1df420e75c457a7cc5d2844f76d5aee4b4edbf049be0";
    assert_eq!(open(&mut keys, &mut secrets, Speaker::Client, data), Content::Data);
    let end = "1703030015aca6fc944841298df99593725f9bf9754429b12f09";
    assert_eq!(open(&mut keys, &mut secrets, Speaker::Client, end), Content::Handshake);
    assert_eq!(
        keys.next_message(Speaker::Client, &mut secrets),
        Some(Message::Other(HandshakeType::END_OF_EARLY_DATA))
    );
}
